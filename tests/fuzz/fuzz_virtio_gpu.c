/*
 * virtio-gpu: register accesses, memory writes, and commands on both queues that are nearly
 * sensible, with sizes, offsets and lists of any value, while a viewer looks at what is on the
 * screen and asks for other sizes. Whatever happened before, after a reset the device serves a
 * polite driver.
 */
#include <linux/virtio_gpu.h>

#include "devices/backend/display.h"
#include "tests/fuzz/fuzz_virtio.h"

enum {
	OPERATIONS_MAX = 1000,
	QUEUE_SIZE = 16,
	COMMANDS = 0x8000, /* each with 512 bytes: a command, entries, an answer */
	COMMAND_BYTES = 512,
	ANSWER = 256,
	PIXELS = 0xe000,
	IDS = 8,
};

extern const struct device_class virtio_gpu_class;

static struct fuzz_virtio fuzz;
static struct display *display;
static struct display_viewer viewer;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_wake(void *opaque)
{
	(void)opaque;
}

/* Every pixel that a viewer may read is there. */
static void look(void)
{
	struct display_frame frame;
	unsigned sum = 0;

	display_begin_frame(&viewer, &frame);
	for (uint32_t y = 0; frame.surface.pixels && y < frame.surface.height; y += 7) {
		const uint8_t *row = frame.surface.pixels + (size_t)y * frame.surface.stride;

		sum += row[0] + row[(size_t)frame.surface.width * DISPLAY_PIXEL_BYTES - 1];
	}
	for (unsigned i = 0; i < frame.cursor->width * frame.cursor->height; i++)
		sum += frame.cursor->argb[i];
	__asm__ volatile("" : : "r"(sum));
	display_end_frame(&viewer);
}

/* Mostly small, sometimes at an edge of 32 bits. */
static uint32_t take_size(struct fuzz_input *input)
{
	uint32_t value = (uint32_t)fuzz_take(input, 1);

	if (value < 0xe0)
		return value % 100;
	if (value < 0xf0)
		return (uint32_t)fuzz_take(input, 2);
	return value < 0xf8 ? UINT32_MAX - (value & 7) : (uint32_t)fuzz_take(input, 4);
}

static struct virtio_gpu_rect take_rect(struct fuzz_input *input)
{
	struct virtio_gpu_rect rect;

	rect.x = take_size(input);
	rect.y = take_size(input);
	rect.width = take_size(input);
	rect.height = take_size(input);
	return rect;
}

union command {
	struct virtio_gpu_ctrl_hdr header;
	struct virtio_gpu_cmd_get_edid edid;
	struct virtio_gpu_resource_create_2d create;
	struct virtio_gpu_resource_attach_backing attach;
	struct virtio_gpu_set_scanout scanout;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_transfer_to_host_2d transfer;
	struct virtio_gpu_update_cursor cursor;
	uint8_t bytes[ANSWER];
};

/* Entries behind the command; the list often reaches no further than where the answer begins. */
static void take_entries(struct fuzz_input *input, union command *command)
{
	size_t at = sizeof(command->attach);
	unsigned count = (unsigned)fuzz_take(input, 1);

	command->attach.nr_entries = count < 0xf0 ? count % 14 : take_size(input);
	for (unsigned i = 0; i < command->attach.nr_entries && at + 16 <= ANSWER; i++, at += 16) {
		struct virtio_gpu_mem_entry entry = {
			.addr = fuzz_take(input, 1) * 1024, .length = take_size(input) * 64};

		memcpy(command->bytes + at, &entry, sizeof(entry));
	}
}

/* What follows the header lies in one place in several commands. */
static void fill_command(struct fuzz_input *input, union command *command)
{
	uint32_t id = (uint32_t)fuzz_take(input, 1) % IDS;

	switch (command->header.type) {
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
		command->create.resource_id = id;
		command->create.format = (uint32_t)fuzz_take(input, 1) % 8 ? 1 : take_size(input);
		command->create.width = take_size(input);
		command->create.height = take_size(input);
		break;
	case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
		command->attach.resource_id = id;
		take_entries(input, command);
		break;
	case VIRTIO_GPU_CMD_SET_SCANOUT:
		command->scanout.r = take_rect(input);
		command->scanout.resource_id = id;
		break;
	case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
		command->flush.r = take_rect(input);
		command->flush.resource_id = id;
		break;
	case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
		command->transfer.r = take_rect(input);
		command->transfer.offset = take_size(input);
		command->transfer.resource_id = id;
		break;
	case VIRTIO_GPU_CMD_UPDATE_CURSOR:
	case VIRTIO_GPU_CMD_MOVE_CURSOR:
		command->cursor.pos.x = take_size(input);
		command->cursor.hot_x = take_size(input);
		command->cursor.resource_id = id;
		break;
	default:
		/* unref and detach: the number comes first */
		memcpy(&command->header + 1, &id, sizeof(id));
	}
}

static void add_command(unsigned queue, const union command *command, uint32_t len, unsigned slot)
{
	struct fake_vq *vq = &fuzz.driver.queues[queue];
	gpa_t gpa = COMMANDS + slot * COMMAND_BYTES;
	unsigned head = slot * 2;

	if (vq->size < 2)
		return;
	head %= vq->size - 1;
	(void)gmem_write(&fuzz.fm->mem, gpa, command, sizeof(*command));
	vq->desc[head] = (struct vring_desc){gpa, len, VRING_DESC_F_NEXT, (uint16_t)(head + 1)};
	vq->desc[head + 1] = (struct vring_desc){gpa + ANSWER, ANSWER, VRING_DESC_F_WRITE, 0};
	fake_vq_publish(vq, (uint16_t)head);
}

static void send(struct fuzz_input *input)
{
	unsigned what = (unsigned)fuzz_take(input, 1);
	union command command = {.bytes = {0}};
	unsigned queue = 0;

	command.header.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO + what % 16;
	command.header.flags = what >> 4 & 1;
	if (what % 16 >= 14) {
		command.header.type = VIRTIO_GPU_CMD_UPDATE_CURSOR + what % 2;
		queue = 1;
	}
	fill_command(input, &command);
	add_command(queue, &command, what == 0xff ? what / 8 : ANSWER, what % 8);
	fake_driver_kick(&fuzz.driver, queue);
	loop_run_once(fuzz.fm->loop, 0);
}

static void run_one(struct fuzz_input *input)
{
	unsigned op = (unsigned)fuzz_take(input, 1) % (FUZZ_VIRTIO_OPS + 12);

	switch (op) {
	case FUZZ_VIRTIO_OPS:
		look();
		break;
	case FUZZ_VIRTIO_OPS + 1:
		display_request_size(
			display, (uint32_t)fuzz_take(input, 2), (uint32_t)fuzz_take(input, 2));
		break;
	case FUZZ_VIRTIO_OPS + 2:
		device_reset(fuzz.device);
		break;
	default:
		if (op > FUZZ_VIRTIO_OPS)
			send(input);
		else
			fuzz_virtio_run(&fuzz, op, input);
	}
}

static uint32_t ask(const union command *command)
{
	uint32_t type = 0, len;
	unsigned head;
	bool got;

	add_command(0, command, ANSWER, 0);
	fake_driver_kick(&fuzz.driver, 0);
	fake_machine_run_loop(fuzz.fm);
	got = fake_vq_take(&fuzz.driver, 0, &head, &len);
	ASSERT(got);
	(void)gmem_read(&fuzz.fm->mem, COMMANDS + ANSWER, &type, sizeof(type));
	return type;
}

static void expect_service(void)
{
	union command command = {.create = {.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
					 .resource_id = 1,
					 .format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
					 .width = 8,
					 .height = 8}};
	const struct virtio_gpu_mem_entry entry = {.addr = PIXELS, .length = 256};
	struct display_image image;
	uint32_t type;

	fuzz_virtio_clear_memory(&fuzz);
	fuzz_virtio_bring_up(&fuzz, ~UINT64_C(0), QUEUE_SIZE);
	(void)gmem_fill(&fuzz.fm->mem, PIXELS, 0x5a, 256);
	type = ask(&command);
	ASSERT(type == VIRTIO_GPU_RESP_OK_NODATA);
	command = (union command){.attach = {.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
					  .resource_id = 1,
					  .nr_entries = 1}};
	memcpy(command.bytes + sizeof(command.attach), &entry, sizeof(entry));
	type = ask(&command);
	ASSERT(type == VIRTIO_GPU_RESP_OK_NODATA);
	command = (union command){.transfer = {.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
					  .r = {0, 0, 8, 8},
					  .resource_id = 1}};
	type = ask(&command);
	ASSERT(type == VIRTIO_GPU_RESP_OK_NODATA);
	command = (union command){.scanout = {.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT,
					  .r = {0, 0, 8, 8},
					  .resource_id = 1}};
	type = ask(&command);
	ASSERT(type == VIRTIO_GPU_RESP_OK_NODATA);
	type = (uint32_t)display_copy_image(display, &image);
	ASSERT(type == 0 && image.width == 8 && image.xrgb[63] == 0x5a5a5a5a);
	display_image_finish(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	if (!fuzz.fm) {
		struct fake_machine *fm = fake_machine_create_split(
			2 * FUZZ_PIECE_BYTES, FUZZ_PIECE_BYTES, FUZZ_HIGH_BASE);
		struct device_args args = {.name = "gpu", .width = 640, .height = 480};
		int ret = display_create(&display, fm->loop, NULL);

		ASSERT(ret == 0);
		args.display = display;
		fuzz_virtio_create(&fuzz, &virtio_gpu_class, &args, fm);
		viewer.wake = note_wake;
		display_add_viewer(display, &viewer);
	}
	fuzz_virtio_begin(&fuzz);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	expect_service();
	look();
	device_reset(fuzz.device);
	fake_machine_run_loop(fuzz.fm);
	return 0;
}
