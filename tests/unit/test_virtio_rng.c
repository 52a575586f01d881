/*
 * virtio-rng, through its registers and rings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_rng_class;

#define RAM_BYTES (4 * MIB)

enum {
	QUEUE_SIZE = 64,
	ANSWER_MAX = 4096,
	ROUNDS_MAX = 1000,
};

struct fixture {
	struct fake_machine *fm;
	struct device *device;
	struct fake_driver driver;
	gpa_t data; /* 64 KiB of zeroes */
};

static void bring_up(struct fixture *f)
{
	fake_driver_init(&f->driver, f->fm, f->device, 4096, RAM_BYTES - 4096);
	f->data = fake_driver_alloc(&f->driver, 65536, 4096);
	fake_driver_bring_up(&f->driver, ~UINT64_C(0), 1, QUEUE_SIZE);
}

static int setup(void **state)
{
	const struct device_args args = {.name = "virtio-rng0"};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = true;
	assert_int_equal(device_create(&f->device, &virtio_rng_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, NULL), 0);
	bring_up(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static uint8_t *data(struct fixture *f)
{
	return fake_driver_host(&f->driver, f->data, 65536);
}

/* Sends one request and returns how many bytes came. */
static uint32_t ask(struct fixture *f, const struct fake_buffer *buffers, unsigned count)
{
	unsigned head;
	uint32_t len;

	fake_vq_add(&f->driver, 0, buffers, count, 0);
	fake_driver_kick(&f->driver, 0);
	assert_true(fake_driver_wait_used(&f->driver, 0, 1));
	assert_true(fake_vq_take(&f->driver, 0, &head, &len));
	return len;
}

static unsigned zeros(const uint8_t *bytes, size_t len)
{
	unsigned count = 0;

	for (size_t i = 0; i < len; i++)
		count += !bytes[i];
	return count;
}

static void test_fills_buffers(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer one = {f->data, 1024, true};
	uint8_t before[1024];

	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), 4);
	assert_int_equal(ask(f, &one, 1), 1024);
	/* 4 zeroes are to be expected, 100 are no chance. Nothing is written behind the end. */
	assert_true(zeros(data(f), 1024) < 100);
	assert_int_equal(zeros(data(f) + 1024, 1024), 1024);
	memcpy(before, data(f), sizeof(before));
	assert_int_equal(ask(f, &one, 1), 1024);
	assert_memory_not_equal(before, data(f), sizeof(before));
	assert_true(fake_machine_irq_count(f->fm, f->driver.gsi) > 0);
	assert_int_equal(f->device->guest_errors.total, 0);
}

static void test_scattered_buffers(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer pieces[] = {
		{f->data, 100, true}, {f->data + 200, 1, true}, {f->data + 300, 500, true}};

	assert_int_equal(ask(f, pieces, 3), 601);
	assert_true(zeros(data(f), 100) < 50);
	assert_int_equal(zeros(data(f) + 100, 100), 100);
	assert_int_equal(zeros(data(f) + 201, 99), 99);
	assert_true(zeros(data(f) + 300, 500) < 100);
	assert_int_equal(zeros(data(f) + 800, 1000), 1000);
}

static void test_long_buffers_are_cut(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer pieces[] = {
		{f->data, 4000, true}, {f->data + 8192, 1 * MIB, true}};

	assert_int_equal(ask(f, pieces, 2), ANSWER_MAX);
	assert_true(zeros(data(f) + 8192, 96) < 40);
	assert_int_equal(zeros(data(f) + 8192 + 96, 4096), 4096);
}

static void test_nothing_to_write(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer readable = {f->data, 64, false};

	assert_int_equal(ask(f, &readable, 1), 0);
	assert_int_equal(zeros(data(f), 64), 64);
	assert_int_equal(f->device->guest_errors.total, 1);
}

static void test_readable_bytes_are_ignored(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer both[] = {{f->data, 64, false}, {f->data + 64, 64, true}};

	assert_int_equal(ask(f, both, 2), 64);
	assert_int_equal(zeros(data(f), 64), 64);
	assert_true(zeros(data(f) + 64, 64) < 32);
}

/* Fills the ring, kicks, and takes what is answered at once. */
static unsigned round_of(struct fixture *f, uint32_t bytes)
{
	const struct fake_buffer buffer = {f->data, bytes, true};
	unsigned taken = 0, head;
	uint32_t len;

	while (f->driver.queues[0].free_count)
		fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	fake_driver_kick(&f->driver, 0);
	loop_run_once(f->fm->loop, 0);
	while (fake_vq_take(&f->driver, 0, &head, &len)) {
		assert_in_range(len, 1, ANSWER_MAX);
		taken++;
	}
	return taken;
}

static void use_up(struct fixture *f, uint32_t bytes)
{
	unsigned rounds = 0;

	while (round_of(f, bytes)) {
		rounds++;
		assert_true(rounds < ROUNDS_MAX);
	}
}

static void test_limit_holds_back(void **state)
{
	struct fixture *f = *state;

	use_up(f, ANSWER_MAX);
	/* Nothing is lost: all of the ring comes later, without a kick. */
	assert_true(fake_driver_wait_used(&f->driver, 0, QUEUE_SIZE));
}

static void test_small_requests_are_paid(void **state)
{
	struct fixture *f = *state;

	use_up(f, 1);
	assert_true(fake_driver_wait_used(&f->driver, 0, QUEUE_SIZE));
}

static void test_reset_while_held_back(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer one = {f->data, 16, true};

	use_up(f, ANSWER_MAX);
	device_reset(f->device);
	fake_machine_run_loop(f->fm);
	bring_up(f);
	/* The new driver may have to wait as well, but gets its answer. */
	assert_int_equal(ask(f, &one, 1), 16);
	use_up(f, ANSWER_MAX);
	/* teardown() destroys it with the timer armed */
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fills_buffers),
		TEST(scattered_buffers),
		TEST(long_buffers_are_cut),
		TEST(nothing_to_write),
		TEST(readable_bytes_are_ignored),
		TEST(limit_holds_back),
		TEST(small_requests_are_paid),
		TEST(reset_while_held_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
