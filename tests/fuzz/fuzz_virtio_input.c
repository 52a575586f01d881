/*
 * virtio-input, a keyboard and a tablet in turn: registers, memory, buffers, kicks, resets and what
 * people type, in any order. Whatever happened before, after a reset the device serves a polite
 * driver, and no key that it is told of stays down.
 */
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>

#include "devices/backend/input.h"
#include "tests/fuzz/fuzz_virtio.h"

enum {
	OPERATIONS_MAX = 1000,
	QUEUE_SIZE = 16,
	BUFFERS = 0x9000,
	EVENT_BYTES = sizeof(struct virtio_input_event),
	PICTURE_SIDE = 1000,
};

extern const struct device_class virtio_keyboard_class, virtio_tablet_class;

static struct fuzz_virtio machines[2];
static struct input *inputs[2];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_machines(void)
{
	static const struct device_class *const classes[] = {
		&virtio_keyboard_class, &virtio_tablet_class};

	for (unsigned i = 0; i < 2; i++) {
		struct fake_machine *fm = fake_machine_create_split(
			2 * FUZZ_PIECE_BYTES, FUZZ_PIECE_BYTES, FUZZ_HIGH_BASE);
		struct device_args args = {.name = "input"};
		int ret = input_create(&inputs[i], fm->loop, NULL);

		ASSERT(ret == 0);
		args.input = inputs[i];
		fuzz_virtio_create(&machines[i], classes[i], &args, fm);
	}
}

static void type(struct input *input, struct fuzz_input *data)
{
	unsigned kind = (unsigned)fuzz_take(data, 1), code = (unsigned)fuzz_take(data, 2);

	switch (kind % 6) {
	case 0:
		input_key(input, code % KEY_CNT, kind & 0x80);
		break;
	case 1:
		input_key(input, BTN_LEFT + code % 8, kind & 0x80);
		break;
	case 2:
		input_point(input, (int32_t)code, (int16_t)code, PICTURE_SIDE, PICTURE_SIDE);
		break;
	case 3:
		input_wheel(input, (int32_t)fuzz_take(data, 4), (int16_t)code);
		break;
	case 4:
		input_release_all(input);
		break;
	default:
		input_press_ctrl_alt_del(input);
	}
}

static void add_buffer(struct fuzz_virtio *fuzz, struct fuzz_input *data)
{
	gpa_t gpa = FUZZ_RINGS_END + fuzz_take(data, 3) % (4 * FUZZ_PIECE_BYTES);
	uint8_t head = (uint8_t)fuzz_take(data, 1), len = (uint8_t)fuzz_take(data, 1);

	fuzz_virtio_add_buffer(fuzz, head & 1, gpa, len & 0x80 ? EVENT_BYTES : len,
		!(head & 1) ^ !(head & 0x30), head >> 1 & 7);
}

static void run_one(struct fuzz_virtio *fuzz, struct input *input, struct fuzz_input *data)
{
	unsigned op = (unsigned)fuzz_take(data, 1) % (FUZZ_VIRTIO_OPS + 4);

	switch (op) {
	case FUZZ_VIRTIO_OPS:
	case FUZZ_VIRTIO_OPS + 1:
		add_buffer(fuzz, data);
		break;
	case FUZZ_VIRTIO_OPS + 2:
		type(input, data);
		break;
	case FUZZ_VIRTIO_OPS + 3:
		device_reset(fuzz->device);
		break;
	default:
		fuzz_virtio_run(fuzz, op, data);
	}
}

/* A press and its release arrive, each with its end, and nothing else. */
static void expect_service(struct fuzz_virtio *fuzz, struct input *input, unsigned code)
{
	const uint16_t want[][3] = {
		{EV_KEY, (uint16_t)code, 1}, {EV_SYN, 0, 0}, {EV_KEY, (uint16_t)code, 0}, {EV_SYN}};
	unsigned heads[ARRAY_SIZE(want)];

	input_release_all(input);
	device_reset(fuzz->device);
	fake_machine_run_loop(fuzz->fm);
	fuzz_virtio_clear_memory(fuzz);
	fuzz_virtio_bring_up(fuzz, ~UINT64_C(0), QUEUE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		const struct fake_buffer buffer = {BUFFERS + i * EVENT_BYTES, EVENT_BYTES, true};

		heads[i] = fake_vq_add(&fuzz->driver, 0, &buffer, 1, 0);
	}
	fake_driver_kick(&fuzz->driver, 0);
	fake_machine_run_loop(fuzz->fm);
	input_key(input, code, true);
	input_key(input, code, false);
	fake_machine_run_loop(fuzz->fm);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		const struct virtio_input_event *event =
			fake_driver_host(&fuzz->driver, BUFFERS + i * EVENT_BYTES, EVENT_BYTES);
		unsigned head;
		uint32_t len;
		bool got = fake_vq_take(&fuzz->driver, 0, &head, &len);

		ASSERT(got && head == heads[i] && len == EVENT_BYTES);
		ASSERT(event->type == want[i][0] && event->code == want[i][1] &&
			event->value == want[i][2]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input bytes = {data, size};
	unsigned which = (unsigned)fuzz_take(&bytes, 1) & 1;

	if (!inputs[0])
		make_machines();
	fuzz_virtio_begin(&machines[which]);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&bytes); i++)
		run_one(&machines[which], inputs[which], &bytes);
	expect_service(&machines[which], inputs[which], which ? BTN_SIDE : KEY_Q);
	device_reset(machines[which].device);
	fake_machine_run_loop(machines[which].fm);
	return 0;
}
