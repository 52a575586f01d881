/* See fake_gpu.h. */
#include "tests/fake/fake_gpu.h"

#include <sched.h>
#include <stdlib.h>

#include "devices/virtio/virtio.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_gpu_class;

enum {
	QUEUE_SIZE = 16,
	PAGE = 4096,
};

struct fake_gpu *fake_gpu_create(void)
{
	struct fake_gpu *gpu = calloc(1, sizeof(*gpu));
	struct device_args args = {
		.name = "virtio-gpu0", .width = FAKE_GPU_WIDTH, .height = FAKE_GPU_HEIGHT};
	int ret;

	ASSERT(gpu);
	gpu->fm = fake_machine_create(FAKE_GPU_RAM);
	gpu->fm->plays_doorbells = true;
	ret = display_create(&gpu->display, gpu->fm->loop, NULL);
	ASSERT(ret == 0);
	args.display = gpu->display;
	ret = device_create(&gpu->device, &virtio_gpu_class, &args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(gpu->device, &gpu->fm->platform, NULL);
	ASSERT(ret == 0);
	fake_driver_init(&gpu->driver, gpu->fm, gpu->device, PAGE, FAKE_GPU_RAM - PAGE);
	gpu->command = fake_driver_alloc(&gpu->driver, PAGE, PAGE);
	gpu->answer = fake_driver_alloc(&gpu->driver, PAGE, PAGE);
	gpu->entries = fake_driver_alloc(&gpu->driver, FAKE_GPU_ENTRIES_BYTES, PAGE);
	gpu->answer_bytes = sizeof(struct virtio_gpu_resp_edid);
	return gpu;
}

void fake_gpu_destroy(struct fake_gpu *gpu)
{
	device_destroy(gpu->device);
	display_destroy(gpu->display);
	fake_machine_destroy(gpu->fm);
	free(gpu);
}

void fake_gpu_bring_up(struct fake_gpu *gpu)
{
	fake_driver_bring_up(&gpu->driver, ~UINT64_C(0), FAKE_GPU_QUEUES, QUEUE_SIZE);
	if (!gpu->pixels)
		gpu->pixels = util_align_up(gpu->driver.heap, PAGE) + 1 * MIB;
}

void *fake_gpu_host(struct fake_gpu *gpu, gpa_t gpa, uint64_t len)
{
	return fake_driver_host(&gpu->driver, gpa, len);
}

static bool take(struct fake_gpu *gpu, unsigned queue)
{
	unsigned head;

	if (!gpu->is_looped) {
		fake_machine_run_loop(gpu->fm);
		return fake_vq_take(&gpu->driver, queue, &head, &gpu->written);
	}
	while (!fake_vq_take(&gpu->driver, queue, &head, &gpu->written))
		sched_yield();
	return true;
}

uint32_t fake_gpu_send(
	struct fake_gpu *gpu, unsigned queue, const void *bytes, uint32_t len, uint32_t more)
{
	struct fake_buffer buffers[3];
	unsigned count = 0;

	memcpy(fake_gpu_host(gpu, gpu->command, len), bytes, len);
	memset(fake_gpu_host(gpu, gpu->answer, PAGE), 0, PAGE);
	if (len)
		buffers[count++] = (struct fake_buffer){gpu->command, len, false};
	if (more)
		buffers[count++] = (struct fake_buffer){gpu->entries, more, false};
	if (gpu->answer_bytes)
		buffers[count++] = (struct fake_buffer){gpu->answer, gpu->answer_bytes, true};
	fake_vq_add(&gpu->driver, queue, buffers, count, 0);
	fake_driver_kick(&gpu->driver, queue);
	if (!take(gpu, queue))
		return 0;
	return load_le32(fake_gpu_host(gpu, gpu->answer, 4));
}

const void *fake_gpu_answer(struct fake_gpu *gpu)
{
	return fake_gpu_host(gpu, gpu->answer, PAGE);
}

uint32_t fake_gpu_make(
	struct fake_gpu *gpu, uint32_t id, uint32_t format, uint32_t width, uint32_t height)
{
	const struct virtio_gpu_resource_create_2d command = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = id,
		.format = format,
		.width = width,
		.height = height};

	return fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
}

uint32_t fake_gpu_unref(struct fake_gpu *gpu, uint32_t id)
{
	const struct virtio_gpu_resource_unref command = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF, .resource_id = id};

	return fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
}

uint32_t fake_gpu_attach_list(struct fake_gpu *gpu, uint32_t id,
	const struct virtio_gpu_mem_entry *entries, uint32_t count, uint32_t present)
{
	const struct virtio_gpu_resource_attach_backing command = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = id,
		.nr_entries = count};
	uint32_t bytes = present * (uint32_t)sizeof(*entries);

	ASSERT(bytes <= FAKE_GPU_ENTRIES_BYTES);
	if (bytes)
		memcpy(fake_gpu_host(gpu, gpu->entries, bytes), entries, bytes);
	return fake_gpu_send(gpu, 0, &command, sizeof(command), bytes);
}

uint32_t fake_gpu_attach(struct fake_gpu *gpu, uint32_t id, gpa_t gpa, uint32_t len)
{
	const struct virtio_gpu_mem_entry entry = {.addr = gpa, .length = len};

	return fake_gpu_attach_list(gpu, id, &entry, 1, 1);
}

uint32_t fake_gpu_detach(struct fake_gpu *gpu, uint32_t id)
{
	const struct virtio_gpu_resource_detach_backing command = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, .resource_id = id};

	return fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
}

uint32_t fake_gpu_transfer(
	struct fake_gpu *gpu, uint32_t id, struct virtio_gpu_rect rect, uint64_t offset)
{
	const struct virtio_gpu_transfer_to_host_2d command = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = rect,
		.offset = offset,
		.resource_id = id};

	return fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
}

uint32_t fake_gpu_scanout(
	struct fake_gpu *gpu, uint32_t screen, uint32_t id, struct virtio_gpu_rect rect)
{
	const struct virtio_gpu_set_scanout command = {.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
		.r = rect,
		.scanout_id = screen,
		.resource_id = id};

	return fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
}

uint32_t fake_gpu_flush(struct fake_gpu *gpu, uint32_t id, struct virtio_gpu_rect rect)
{
	const struct virtio_gpu_resource_flush command = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH, .r = rect, .resource_id = id};

	return fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
}

uint32_t fake_gpu_cursor(struct fake_gpu *gpu, const struct virtio_gpu_update_cursor *command)
{
	return fake_gpu_send(gpu, 1, command, sizeof(*command), 0);
}
