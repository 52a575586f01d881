/*
 * virtio-gpu: a screen with modes, a cursor and pictures in the device, in two dimensions
 * (VIRTIO 1.2, 5.7). There is one screen; its size follows the window (5.7.4, EDID and the
 * display event). No 3D, no blobs: contexts, capsets and what belongs to them are unknown commands.
 *
 * Knows no window: what is to be seen goes to the display (backend/display.h), which has several
 * sources and viewers. See gpu_impl.h for the files.
 *
 * A picture is in the guest's memory and in ours. A change of the whole screen costs one copy from
 * there to here, and one more when somebody looks.
 *
 * Threads: the loop's works on commands; register accesses on vCPUs may reset; the display asks for
 * another size on the loop's. All with the device's lock. Viewers read pictures on
 * threads of their own, between display_lock() and display_unlock() they don't.
 *
 * Threats
 *   what the guest can send       limit                       where              test
 *   commands cut, or unknown      refused                     gpu_command.c run  cut_commands, unknown_…
 *   no room for an answer         cut, counted                gpu_answer         no_room_for_an_answer
 *   commands without end          GPU_TURN_COST a turn        handle_queue       turns_end
 *   pictures, lists, copies       see gpu_resource.c
 *   any number of a picture       looked up, no index         gpu_resource_find  ids_that_are_not_there
 *   a picture gone while shown    taken off the screen first  unref              unref_on_screen
 *   the cursor's picture gone     the display has a copy      gpu_cursor.c       unref_of_the_cursor
 *   a screen outside its picture  refused                     set_scanout        scanout_limits
 *   another screen than the one   refused                     set_scanout, …     scanout_limits
 *   reset at any time             all is given back           drain              reset_gives_back
 *   all of it while one looks     the display's lock          transfer, unref    test_virtio_gpu_threads.c
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "devices/virtio/gpu_edid.h"
#include "devices/virtio/gpu_impl.h"
#include "devices/virtio/mmio.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_gpu_class;

/* ---- Queues ---- */

static void run_one(struct virtio_gpu *gpu, unsigned index, struct virtq_req *req)
{
	gpu->turn_cost += GPU_COMMAND_COST;
	if (index == GPU_QUEUE_CONTROL)
		gpu_command_run(gpu, req);
	else
		gpu_cursor_run(gpu, req);
}

/* What is left after a turn has the next one, behind the loop's other work. */
static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	struct virtio_gpu *gpu = gpu_of(vdev);
	struct virtq_req *req;

	gpu->turn_cost = 0;
	do {
		virtio_disable_kicks(vdev, index);
		while (gpu->turn_cost < GPU_TURN_COST && virtio_can_work(vdev, index) &&
			virtio_take(vdev, index, &req))
			run_one(gpu, index, req);
		if (gpu->turn_cost >= GPU_TURN_COST) {
			virtio_kick_self(vdev, index);
			break;
		}
	} while (virtio_can_work(vdev, index) && virtio_enable_kicks(vdev, index));
	virtio_notify(vdev);
}

/* No request outlives its turn. */
static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_gpu *gpu = gpu_of(vdev);
	const struct display_cursor none = {.width = 0};

	if (!abort || !gpu->is_source)
		return;
	gpu_scanout_drop(gpu, NULL);
	display_set_cursor(&gpu->source, &none);
	gpu_resource_destroy_all(&gpu->resources);
	gpu->config.events_read = 0;
}

/* ---- Configuration ---- */

static void config_write(struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value)
{
	struct virtio_gpu *gpu = gpu_of(vdev);

	if (offset == offsetof(struct virtio_gpu_config, events_clear) && size == 4)
		gpu->config.events_read &= ~(uint32_t)value;
	else
		device_guest_error(&vdev->dev, "write of its configuration at 0x%x", offset);
}

static void set_size(struct virtio_gpu *gpu, uint32_t width, uint32_t height)
{
	gpu->width = MIN(MAX(width, (uint32_t)DISPLAY_WIDTH_MIN), (uint32_t)GPU_EDID_SIDE_MAX);
	gpu->height = MIN(MAX(height, (uint32_t)DISPLAY_HEIGHT_MIN), (uint32_t)GPU_EDID_SIDE_MAX);
}

static void resize(void *opaque, uint32_t width, uint32_t height)
{
	struct virtio_gpu *gpu = opaque;
	uint32_t old_width = gpu->width, old_height = gpu->height;

	set_size(gpu, width, height);
	if (gpu->width == old_width && gpu->height == old_height)
		return;
	gpu->config.events_read |= VIRTIO_GPU_EVENT_DISPLAY;
	virtio_config_changed(&gpu->vdev);
}

static const struct display_source_ops source_ops = {.resize = resize};

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_GPU,
	.queue_size = GPU_QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.handle_queue = handle_queue,
	.drain = drain,
	.config_write = config_write,
};

/* ---- Life cycle ---- */

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_gpu *gpu = calloc(1, sizeof(*gpu));
	int ret;

	ASSERT(args->display);
	if (!gpu)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	gpu->display = args->display;
	gpu->source = (struct display_source){.ops = &source_ops, .opaque = gpu};
	set_size(gpu, args->width ? args->width : DISPLAY_WIDTH_DEFAULT,
		args->height ? args->height : DISPLAY_HEIGHT_DEFAULT);
	gpu->config.num_scanouts = 1;
	ret = virtio_init(&gpu->vdev, &virtio_gpu_class, args,
		&(struct virtio_config){.class = &class,
			.features = VIRTIO_FEATURE(VIRTIO_GPU_F_EDID),
			.queue_count = GPU_QUEUES,
			.config = &gpu->config,
			.config_size = sizeof(gpu->config)},
		err);
	if (ret < 0) {
		free(gpu);
		return ret;
	}
	gpu->source.lock = &gpu->vdev.dev.lock;
	*device = &gpu->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_gpu *gpu = gpu_of(virtio_of(device));
	int ret = virtio_realize(&gpu->vdev, err);

	(void)platform;
	if (ret < 0)
		return ret;
	display_add_source(gpu->display, &gpu->source);
	gpu->is_source = true;
	return virtio_mmio_connect(&gpu->vdev, err);
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_gpu *gpu = gpu_of(virtio_of(device));

	virtio_finish(&gpu->vdev);
	gpu_scanout_drop(gpu, NULL);
	gpu_resource_destroy_all(&gpu->resources);
	if (gpu->is_source)
		display_remove_source(&gpu->source);
	free(gpu);
}

const struct device_class virtio_gpu_class = {
	.name = "virtio-gpu",
	.description = "virtio screen with modes and a cursor, in two dimensions",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
