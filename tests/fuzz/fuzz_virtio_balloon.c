/*
 * virtio-balloon: register accesses, memory writes, page numbers, reports, statistics, targets,
 * kicks and resets in any order. The pages that are given up include the driver's own
 * rings. Whatever happened before, after a reset the device serves a polite driver.
 */
#include "devices/virtio/balloon.h"
#include "tests/fuzz/fuzz_virtio.h"

enum {
	OPERATIONS_MAX = 1000,
	QUEUE_SIZE = 16,
	NUMBERS = 0x9000, /* where page numbers and statistics are written */
	PAGE = 0xa000,
};

extern const struct device_class virtio_balloon_class;

static struct fuzz_virtio fuzz;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A request whose bytes are nearly sensible for the queue. */
static void send(struct fuzz_input *input)
{
	unsigned queue = (unsigned)fuzz_take(input, 1) % fuzz.queues;
	uint8_t head = (uint8_t)fuzz_take(input, 1);
	uint8_t bytes[64];
	size_t len = fuzz_take_bytes(input, bytes, fuzz_take(input, 1) % sizeof(bytes));

	(void)gmem_write(&fuzz.fm->mem, NUMBERS + head * 16, bytes, len);
	fuzz_virtio_add_buffer(&fuzz, queue, NUMBERS + head * 16, (uint32_t)len, false, head);
}

static void send_range(struct fuzz_input *input)
{
	unsigned queue = (unsigned)fuzz_take(input, 1) % fuzz.queues;
	uint8_t head = (uint8_t)fuzz_take(input, 1);
	gpa_t gpa = fuzz_take(input, 3);
	uint32_t len = (uint32_t)fuzz_take(input, 3);

	fuzz_virtio_add_buffer(&fuzz, queue, gpa, len, true, head);
}

static void ask(struct fuzz_input *input)
{
	struct virtio_balloon_stats stats;

	(void)virtio_balloon_set_target(fuzz.device, fuzz_take(input, 3));
	(void)virtio_balloon_ask_guest(fuzz.device);
	virtio_balloon_get_stats(fuzz.device, &stats);
	ASSERT(stats.target_bytes <= stats.ram_bytes);
}

static void run_one(struct fuzz_input *input)
{
	unsigned op = (unsigned)fuzz_take(input, 1) % (FUZZ_VIRTIO_OPS + 4);

	switch (op) {
	case FUZZ_VIRTIO_OPS:
		send(input);
		break;
	case FUZZ_VIRTIO_OPS + 1:
		send_range(input);
		break;
	case FUZZ_VIRTIO_OPS + 2:
		ask(input);
		break;
	case FUZZ_VIRTIO_OPS + 3:
		device_reset(fuzz.device);
		break;
	default:
		fuzz_virtio_run(&fuzz, op, input);
	}
}

static void expect_service(void)
{
	const struct fake_buffer buffer = {NUMBERS, 4, false};
	const uint32_t page = PAGE / 4096;
	unsigned head;
	uint32_t len;
	bool got;

	fuzz_virtio_clear_memory(&fuzz);
	fuzz_virtio_bring_up(&fuzz, ~UINT64_C(0), QUEUE_SIZE);
	(void)gmem_fill(&fuzz.fm->mem, PAGE, 0x5a, 4096);
	(void)gmem_write(&fuzz.fm->mem, NUMBERS, &page, sizeof(page));
	fake_vq_add(&fuzz.driver, 0, &buffer, 1, 0);
	fake_driver_kick(&fuzz.driver, 0);
	fake_machine_run_loop(fuzz.fm);
	got = fake_vq_take(&fuzz.driver, 0, &head, &len);
	ASSERT(got && len == 0);
	ASSERT(*(uint8_t *)fake_driver_host(&fuzz.driver, PAGE, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	if (!fuzz.fm) {
		struct device_args args = {.name = "balloon", .balloon_bytes = 65536};

		fuzz_virtio_create(&fuzz, &virtio_balloon_class, &args, NULL);
	}
	fuzz_virtio_begin(&fuzz);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	expect_service();
	device_reset(fuzz.device);
	fake_machine_run_loop(fuzz.fm);
	return 0;
}
