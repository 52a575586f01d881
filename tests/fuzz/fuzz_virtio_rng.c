/*
 * virtio-rng: register accesses, memory writes, requests, kicks and resets in any order. Whatever
 * happened before, after a reset the device serves a polite driver.
 */
#include "tests/fuzz/fuzz_virtio.h"

enum {
	OPERATIONS_MAX = 1000,
	QUEUE_SIZE = 16,
	BUFFER = 0x9000,
	BUFFER_BYTES = 32,
};

extern const struct device_class virtio_rng_class;

static struct fuzz_virtio fuzz;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_request(struct fuzz_input *input)
{
	gpa_t gpa = FUZZ_RINGS_END + fuzz_take(input, 3) % (4 * FUZZ_PIECE_BYTES);
	uint32_t len = (uint32_t)fuzz_take(input, 2);
	uint8_t head = (uint8_t)fuzz_take(input, 1);

	fuzz_virtio_add_buffer(&fuzz, 0, gpa, len, head & 0x80 ? false : true, head);
}

static void run_one(struct fuzz_input *input)
{
	unsigned op = (unsigned)fuzz_take(input, 1) % (FUZZ_VIRTIO_OPS + 2);

	switch (op) {
	case FUZZ_VIRTIO_OPS:
		add_request(input);
		break;
	case FUZZ_VIRTIO_OPS + 1:
		device_reset(fuzz.device);
		break;
	default:
		fuzz_virtio_run(&fuzz, op, input);
	}
}

static void expect_service(void)
{
	const struct fake_buffer buffer = {BUFFER, BUFFER_BYTES, true};
	unsigned head;
	uint32_t len;
	bool got;

	fuzz_virtio_clear_memory(&fuzz);
	fuzz_virtio_bring_up(&fuzz, ~UINT64_C(0), QUEUE_SIZE);
	fake_vq_add(&fuzz.driver, 0, &buffer, 1, 0);
	fake_driver_kick(&fuzz.driver, 0);
	got = fake_driver_wait_used(&fuzz.driver, 0, 1);
	ASSERT(got);
	got = fake_vq_take(&fuzz.driver, 0, &head, &len);
	ASSERT(got && len == BUFFER_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	if (!fuzz.fm) {
		struct device_args args = {.name = "rng"};

		fuzz_virtio_create(&fuzz, &virtio_rng_class, &args, NULL);
	}
	fuzz_virtio_begin(&fuzz);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	expect_service();
	device_reset(fuzz.device);
	fake_machine_run_loop(fuzz.fm);
	return 0;
}
