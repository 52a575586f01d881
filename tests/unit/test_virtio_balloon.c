/*
 * virtio-balloon, through its registers and rings, and what the host asks of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "devices/virtio/balloon.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_balloon_class;

#define BIT(n)	   (UINT64_C(1) << (n))
#define STATS	   BIT(VIRTIO_BALLOON_F_STATS_VQ)
#define POISON	   BIT(VIRTIO_BALLOON_F_PAGE_POISON)
#define REPORTING  BIT(VIRTIO_BALLOON_F_REPORTING)
#define VERSION_1  BIT(VIRTIO_F_VERSION_1)
#define RAM_BYTES  (8 * MIB) /* 4 at 0, 4 at 16 MiB */
#define LOW_BYTES  (4 * MIB)
#define HIGH_BASE  (16 * MIB)
#define HEAP_BYTES (1 * MIB)

enum {
	INFLATE,
	DEFLATE,
	STATS_QUEUE,
	REPORTING_QUEUE,
	BY_NUMBER_QUEUE,
	QUEUES,
	QUEUE_SIZE = 32,
	PAGES_MAX = 512,
	PAGE = 4096,
	FILL = 0x5a,
};

struct fixture {
	struct fake_machine *fm;
	struct device *device;
	struct fake_driver driver;
	gpa_t data; /* 16 KiB */
};

static void make_device(struct fixture *f)
{
	const struct device_args args = {.name = "virtio-balloon0", .balloon_bytes = 2 * MIB};

	assert_int_equal(device_create(&f->device, &virtio_balloon_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, NULL), 0);
	fake_driver_init(&f->driver, f->fm, f->device, 4096, HEAP_BYTES - 4096);
	f->data = fake_driver_alloc(&f->driver, 16384, 4096);
}

static void bring_up(struct fixture *f, uint64_t features)
{
	fake_driver_bring_up(&f->driver, VERSION_1 | features, QUEUES, QUEUE_SIZE);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fm = fake_machine_create_split(RAM_BYTES, LOW_BYTES, HIGH_BASE);
	f->fm->plays_doorbells = true;
	make_device(f);
	gmem_fill(&f->fm->mem, HEAP_BYTES, FILL, LOW_BYTES - HEAP_BYTES);
	gmem_fill(&f->fm->mem, HIGH_BASE, FILL, RAM_BYTES - LOW_BYTES);
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

static uint64_t guest_errors(struct fixture *f)
{
	return f->device->guest_errors.total;
}

static struct virtio_balloon_stats stats_of(struct fixture *f)
{
	struct virtio_balloon_stats stats;

	virtio_balloon_get_stats(f->device, &stats);
	return stats;
}

static uint64_t held_bytes(struct fixture *f)
{
	return gmem_held_bytes(&f->fm->mem);
}

static uint8_t byte_at(struct fixture *f, gpa_t gpa)
{
	return *(uint8_t *)fake_driver_host(&f->driver, gpa, 1);
}

/* Sends one request and waits until it is given back. */
static void ask(
	struct fixture *f, unsigned queue, const struct fake_buffer *buffers, unsigned count)
{
	unsigned head;
	uint32_t len;

	fake_vq_add(&f->driver, queue, buffers, count, 0);
	fake_driver_kick(&f->driver, queue);
	fake_machine_run_loop(f->fm);
	assert_true(fake_vq_take(&f->driver, queue, &head, &len));
	assert_int_equal(len, 0);
}

static void send_pages(struct fixture *f, unsigned queue, const uint32_t *pages, unsigned count)
{
	const struct fake_buffer buffer = {f->data, count * 4, false};

	memcpy(fake_driver_host(&f->driver, f->data, count * 4), pages, count * 4);
	ask(f, queue, &buffer, 1);
}

/* ---- The balloon ---- */

static void test_configuration(void **state)
{
	struct fixture *f = *state;
	uint64_t offered = fake_driver_offered(&f->driver);

	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), 5);
	assert_true(offered & REPORTING && offered & STATS && offered & POISON);
	assert_true(offered & BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
	assert_false(offered & BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT));
	bring_up(f, STATS | REPORTING | POISON);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG), 512);
	fake_driver_write(&f->driver, VIRTIO_MMIO_CONFIG + 4, 100);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG + 4), 100);
	assert_true(stats_of(f).actual_bytes == 100 * PAGE);
	assert_true(stats_of(f).target_bytes == 2 * MIB);
	assert_true(stats_of(f).ram_bytes == RAM_BYTES);
	assert_true(stats_of(f).driver_ready);
	fake_driver_write(&f->driver, VIRTIO_MMIO_CONFIG + 4, UINT32_MAX);
	assert_true(stats_of(f).actual_bytes == UINT64_C(0xffffffff) * PAGE);
	assert_int_equal(guest_errors(f), 0);
	/* The target and a command are not the driver's to write. */
	fake_driver_write(&f->driver, VIRTIO_MMIO_CONFIG, 0);
	fake_driver_write(&f->driver, VIRTIO_MMIO_CONFIG + 8, 0);
	assert_int_equal(guest_errors(f), 2);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG), 512);
	device_reset(f->device);
	assert_true(stats_of(f).target_bytes == 2 * MIB);
	assert_false(stats_of(f).driver_ready);
	bring_up(f, 0);
	assert_int_equal(stats_of(f).actual_bytes, 0);
	fake_driver_write(&f->driver, VIRTIO_MMIO_CONFIG + 12, 1);
	assert_int_equal(guest_errors(f), 3);
}

static void test_target(void **state)
{
	struct fixture *f = *state;

	/* Before there is a driver: it finds it when it comes. */
	assert_int_equal(virtio_balloon_set_target(f->device, 1 * MIB + 4095), 0);
	assert_true(stats_of(f).target_bytes == 1 * MIB);
	bring_up(f, 0);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG), 256);
	assert_int_equal(fake_driver_ack(&f->driver), 0);
	assert_int_equal(virtio_balloon_set_target(f->device, RAM_BYTES), 0);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG), RAM_BYTES / PAGE);
	assert_int_equal(virtio_balloon_set_target(f->device, RAM_BYTES + 1), -EINVAL);
	assert_int_equal(virtio_balloon_set_target(f->device, UINT64_MAX), -EINVAL);
	assert_int_equal(virtio_balloon_set_target(f->device, 0), 0);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG), 0);
}

static void test_inflate_and_deflate(void **state)
{
	struct fixture *f = *state;
	/* Up, down, alone, in the high region. */
	const uint32_t pages[] = {300, 301, 302, 600, 599, 598, 700, HIGH_BASE / PAGE};
	uint64_t before;

	bring_up(f, 0);
	(void)byte_at(f, f->data);
	memset(fake_driver_host(&f->driver, f->data, 16384), 0, 16384);
	before = held_bytes(f);
	send_pages(f, INFLATE, pages, ARRAY_SIZE(pages));
	assert_int_equal(before - held_bytes(f), ARRAY_SIZE(pages) * PAGE);
	assert_int_equal(stats_of(f).inflated_bytes, ARRAY_SIZE(pages) * PAGE);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		assert_int_equal(byte_at(f, (gpa_t)pages[i] * PAGE), 0);
	assert_int_equal(byte_at(f, 300 * PAGE - 1), FILL);
	assert_int_equal(byte_at(f, 303 * PAGE), FILL);
	assert_int_equal(byte_at(f, 598 * PAGE - 1), FILL);
	assert_int_equal(byte_at(f, 601 * PAGE), FILL);
	send_pages(f, DEFLATE, pages, ARRAY_SIZE(pages));
	assert_int_equal(guest_errors(f), 0);
}

static void test_duplicates(void **state)
{
	struct fixture *f = *state;
	const uint32_t pages[] = {400, 400, 401, 400, 400};

	bring_up(f, 0);
	send_pages(f, INFLATE, pages, ARRAY_SIZE(pages));
	assert_int_equal(byte_at(f, 400 * PAGE), 0);
	assert_int_equal(byte_at(f, 401 * PAGE), 0);
	assert_int_equal(byte_at(f, 402 * PAGE), FILL);
	assert_int_equal(byte_at(f, 399 * PAGE), FILL);
	assert_int_equal(guest_errors(f), 0);
}

static void test_pages_outside_ram(void **state)
{
	struct fixture *f = *state;
	/* The end of the low region, the hole, the end of RAM, the end of page numbers. */
	const uint32_t pages[] = {LOW_BYTES / PAGE - 1, LOW_BYTES / PAGE, HIGH_BASE / PAGE - 1,
		HIGH_BASE / PAGE, (HIGH_BASE + LOW_BYTES) / PAGE, UINT32_MAX - 1, UINT32_MAX,
		0x100000, (HIGH_BASE + LOW_BYTES) / PAGE - 1};

	bring_up(f, 0);
	send_pages(f, INFLATE, pages, ARRAY_SIZE(pages));
	assert_int_equal(guest_errors(f), 6);
	assert_int_equal(stats_of(f).inflated_bytes, 3 * PAGE);
	assert_int_equal(byte_at(f, LOW_BYTES - 1), 0);
	assert_int_equal(byte_at(f, HIGH_BASE), 0);
	assert_int_equal(byte_at(f, HIGH_BASE + LOW_BYTES - 1), 0);
	assert_int_equal(byte_at(f, LOW_BYTES - PAGE - 1), FILL);
	assert_int_equal(byte_at(f, HIGH_BASE + PAGE), FILL);
}

static void test_too_many_pages(void **state)
{
	struct fixture *f = *state;
	uint32_t pages[PAGES_MAX + 1];
	const struct fake_buffer endless = {HIGH_BASE, 4 * MIB, false};

	bring_up(f, 0);
	for (unsigned i = 0; i <= PAGES_MAX; i++)
		pages[i] = HIGH_BASE / PAGE + i;
	send_pages(f, INFLATE, pages, PAGES_MAX);
	assert_int_equal(guest_errors(f), 0);
	assert_int_equal(stats_of(f).inflated_bytes, PAGES_MAX * PAGE);
	send_pages(f, INFLATE, pages, PAGES_MAX + 1);
	assert_int_equal(guest_errors(f), 1);
	assert_int_equal(byte_at(f, HIGH_BASE + PAGES_MAX * PAGE), FILL);
	/* A million numbers: 0 (given up just now) and then 0x5a5a5a5a. */
	ask(f, INFLATE, &endless, 1);
	assert_true(guest_errors(f) > 1);
}

static void test_cut_numbers(void **state)
{
	struct fixture *f = *state;
	const uint32_t pages[] = {500, 501};
	const struct fake_buffer pieces[] = {
		{f->data, 3, false}, {f->data + 3, 2, false}, {f->data + 100, 64, true}};

	bring_up(f, 0);
	memcpy(fake_driver_host(&f->driver, f->data, 8), pages, 8);
	ask(f, INFLATE, pieces, 3);
	assert_int_equal(byte_at(f, 500 * PAGE), 0);
	assert_int_equal(byte_at(f, 501 * PAGE), FILL);
	ask(f, INFLATE, &pieces[2], 1);
	assert_int_equal(stats_of(f).inflated_bytes, PAGE);
}

static void test_inflates_its_own_ring(void **state)
{
	struct fixture *f = *state;
	const uint32_t pages[] = {350};
	uint32_t ring[HEAP_BYTES / PAGE];
	const struct fake_buffer buffer = {f->data, sizeof(ring), false};

	bring_up(f, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(ring); i++)
		ring[i] = i;
	memcpy(fake_driver_host(&f->driver, f->data, sizeof(ring)), ring, sizeof(ring));
	fake_vq_add(&f->driver, INFLATE, &buffer, 1, 0);
	fake_driver_kick(&f->driver, INFLATE);
	fake_machine_run_loop(f->fm);
	/* Whatever the device made of the ring: a new driver is served. */
	f->driver.heap = 4096;
	f->data = fake_driver_alloc(&f->driver, 16384, 4096);
	bring_up(f, 0);
	send_pages(f, INFLATE, pages, 1);
	assert_int_equal(byte_at(f, 350 * PAGE), 0);
}

/* ---- Reporting ---- */

static void test_huge_pages(void **state)
{
	struct fixture *f = *state;
	const uint32_t pages[] = {600};

	/* As if its memory were on huge pages, of which a host may have none. */
	device_destroy(f->device);
	fake_machine_destroy(f->fm);
	f->fm = fake_machine_create_split(RAM_BYTES, LOW_BYTES, HIGH_BASE);
	f->fm->plays_doorbells = true;
	f->fm->mem.hugepages = true;
	make_device(f);
	gmem_fill(&f->fm->mem, HEAP_BYTES, FILL, LOW_BYTES - HEAP_BYTES);
	assert_false(fake_driver_offered(&f->driver) & REPORTING);
	bring_up(f, ~UINT64_C(0));
	send_pages(f, INFLATE, pages, 1);
	assert_int_equal(byte_at(f, 600 * PAGE), FILL);
	assert_int_equal(stats_of(f).inflated_bytes, 0);
	assert_int_equal(virtio_balloon_set_target(f->device, 1 * MIB), -EOPNOTSUPP);
	assert_int_equal(virtio_balloon_set_target(f->device, 0), 0);
}

static void report_on(struct fixture *f, unsigned queue, uint64_t features)
{
	const struct fake_buffer ranges[] = {
		{HIGH_BASE, 1 * MIB, true}, {HIGH_BASE + 2 * MIB, 2 * MIB, true}};

	gmem_fill(&f->fm->mem, HIGH_BASE, FILL, RAM_BYTES - LOW_BYTES);
	bring_up(f, features);
	ask(f, queue, ranges, 2);
}

static void test_reports_are_given_back(void **state)
{
	struct fixture *f = *state;
	uint64_t before = held_bytes(f);

	report_on(f, REPORTING_QUEUE, STATS | REPORTING);
	assert_int_equal(stats_of(f).reported_bytes, 3 * MIB);
	assert_true(before - held_bytes(f) > 3 * MIB - HEAP_BYTES);
	assert_int_equal(byte_at(f, HIGH_BASE), 0);
	assert_int_equal(byte_at(f, HIGH_BASE + 1 * MIB), FILL);
	assert_int_equal(byte_at(f, HIGH_BASE + 4 * MIB - 1), 0);
	/* As Linux counts without statistics, and as the specification does. */
	report_on(f, STATS_QUEUE, REPORTING);
	assert_int_equal(stats_of(f).reported_bytes, 6 * MIB);
	report_on(f, BY_NUMBER_QUEUE, REPORTING);
	assert_int_equal(stats_of(f).reported_bytes, 9 * MIB);
	assert_int_equal(guest_errors(f), 0);
	/* Not agreed on: nothing is taken. */
	report_on(f, REPORTING_QUEUE, STATS);
	assert_int_equal(stats_of(f).reported_bytes, 9 * MIB);
	assert_int_equal(byte_at(f, HIGH_BASE), FILL);
}

static void test_small_reports(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer ranges[] = {{HIGH_BASE + 100, 5000, true},
		{HIGH_BASE + 5 * PAGE - 1, 2, true}, {HIGH_BASE + 10 * PAGE - 1, 2 + PAGE, true}};

	bring_up(f, STATS | REPORTING);
	ask(f, REPORTING_QUEUE, ranges, 3);
	assert_int_equal(stats_of(f).reported_bytes, PAGE);
	assert_int_equal(byte_at(f, HIGH_BASE + 200), FILL);
	assert_int_equal(byte_at(f, HIGH_BASE + 10 * PAGE), 0);
	assert_int_equal(byte_at(f, HIGH_BASE + 10 * PAGE - 1), FILL);
	assert_int_equal(byte_at(f, HIGH_BASE + 11 * PAGE), FILL);
}

static void test_poisoned_pages(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer range = {HIGH_BASE, 1 * MIB, true};

	bring_up(f, STATS | REPORTING | POISON);
	fake_driver_write(&f->driver, VIRTIO_MMIO_CONFIG + 12, 0xaaaaaaaa);
	ask(f, REPORTING_QUEUE, &range, 1);
	assert_int_equal(byte_at(f, HIGH_BASE), FILL);
	assert_int_equal(stats_of(f).reported_bytes, 0);
	/* Poisoned with zeroes: that is what they read as afterwards. */
	bring_up(f, STATS | REPORTING | POISON);
	ask(f, REPORTING_QUEUE, &range, 1);
	assert_int_equal(byte_at(f, HIGH_BASE), 0);
	assert_int_equal(stats_of(f).reported_bytes, 1 * MIB);
	assert_int_equal(guest_errors(f), 0);
}

/* ---- Statistics ---- */

static void put_stat(struct fixture *f, unsigned nth, uint16_t tag, uint64_t value)
{
	struct virtio_balloon_stat stat = {.tag = tag, .val = value};

	memcpy(fake_driver_host(&f->driver, f->data + nth * sizeof(stat), sizeof(stat)), &stat,
		sizeof(stat));
}

static void send_stats(struct fixture *f, uint32_t bytes)
{
	const struct fake_buffer buffer = {f->data, bytes, false};

	fake_vq_add(&f->driver, STATS_QUEUE, &buffer, 1, 0);
	fake_driver_kick(&f->driver, STATS_QUEUE);
	fake_machine_run_loop(f->fm);
}

static unsigned take_stats(struct fixture *f)
{
	unsigned count = 0, head;
	uint32_t len;

	while (fake_vq_take(&f->driver, STATS_QUEUE, &head, &len))
		count++;
	return count;
}

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	struct virtio_balloon_stats stats;

	assert_false(virtio_balloon_ask_guest(f->device));
	bring_up(f, STATS);
	assert_false(virtio_balloon_ask_guest(f->device));
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMFREE, 123 * MIB);
	put_stat(f, 1, VIRTIO_BALLOON_S_MAJFLT, 7);
	send_stats(f, 20);
	stats = stats_of(f);
	assert_int_equal(stats.guest_answers, 1);
	assert_int_equal(
		stats.guest_known, BIT(VIRTIO_BALLOON_S_MEMFREE) | BIT(VIRTIO_BALLOON_S_MAJFLT));
	assert_true(stats.guest[VIRTIO_BALLOON_S_MEMFREE] == 123 * MIB);
	/* The buffer stays with the device until somebody asks. */
	assert_int_equal(take_stats(f), 0);
	assert_true(virtio_balloon_ask_guest(f->device));
	assert_int_equal(take_stats(f), 1);
	assert_true(fake_machine_irq_count(f->fm, f->driver.gsi) > 0);
	assert_false(virtio_balloon_ask_guest(f->device));
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMFREE, 100 * MIB);
	send_stats(f, 10);
	stats = stats_of(f);
	assert_int_equal(stats.guest_answers, 2);
	assert_true(stats.guest[VIRTIO_BALLOON_S_MEMFREE] == 100 * MIB);
	assert_int_equal(stats.guest_known, BIT(VIRTIO_BALLOON_S_MEMFREE));
	/* A reset with the buffer kept. */
	device_reset(f->device);
	assert_false(virtio_balloon_ask_guest(f->device));
	bring_up(f, STATS);
	assert_int_equal(stats_of(f).guest_known, 0);
	send_stats(f, 10);
	/* The queue is stopped with the buffer kept: it comes back. */
	fake_driver_write(&f->driver, VIRTIO_MMIO_QUEUE_SEL, STATS_QUEUE);
	fake_driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(take_stats(f), 1);
	assert_false(virtio_balloon_ask_guest(f->device));
	assert_int_equal(guest_errors(f), 0);
}

/* As Linux does. */
static void test_statistics_before_driver_ok(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 10, false};

	assert_true(fake_driver_negotiate(&f->driver, VERSION_1 | STATS));
	for (unsigned i = 0; i < QUEUES; i++)
		fake_driver_setup_queue(&f->driver, i, QUEUE_SIZE);
	put_stat(f, 0, VIRTIO_BALLOON_S_AVAIL, 5);
	fake_vq_add(&f->driver, STATS_QUEUE, &buffer, 1, 0);
	fake_driver_kick(&f->driver, STATS_QUEUE);
	fake_machine_run_loop(f->fm);
	assert_int_equal(stats_of(f).guest_answers, 0);
	fake_driver_start(&f->driver);
	fake_machine_run_loop(f->fm);
	assert_int_equal(stats_of(f).guest_answers, 1);
	assert_int_equal(guest_errors(f), 0);
}

static void test_two_stats_buffers(void **state)
{
	struct fixture *f = *state;

	bring_up(f, STATS);
	put_stat(f, 0, VIRTIO_BALLOON_S_AVAIL, 5);
	send_stats(f, 10);
	send_stats(f, 10);
	assert_int_equal(take_stats(f), 1);
	assert_int_equal(guest_errors(f), 1);
	assert_true(virtio_balloon_ask_guest(f->device));
	assert_int_equal(take_stats(f), 1);
}

static void test_odd_statistics(void **state)
{
	struct fixture *f = *state;

	bring_up(f, STATS);
	put_stat(f, 0, VIRTIO_BALLOON_S_NR, 1);
	put_stat(f, 1, UINT16_MAX, 2);
	put_stat(f, 2, VIRTIO_BALLOON_S_CACHES, UINT64_MAX);
	put_stat(f, 3, VIRTIO_BALLOON_S_AVAIL, 3);
	send_stats(f, 39);
	assert_int_equal(stats_of(f).guest_known, BIT(VIRTIO_BALLOON_S_CACHES));
	assert_true(stats_of(f).guest[VIRTIO_BALLOON_S_CACHES] == UINT64_MAX);
	assert_true(virtio_balloon_ask_guest(f->device));
	assert_int_equal(take_stats(f), 1);
	send_stats(f, 1 * MIB);
	assert_int_equal(stats_of(f).guest_answers, 2);
	/* teardown() destroys it with the buffer kept */
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(configuration),
		TEST(target),
		TEST(inflate_and_deflate),
		TEST(duplicates),
		TEST(pages_outside_ram),
		TEST(too_many_pages),
		TEST(cut_numbers),
		TEST(inflates_its_own_ring),
		TEST(huge_pages),
		TEST(reports_are_given_back),
		TEST(small_reports),
		TEST(poisoned_pages),
		TEST(statistics),
		TEST(statistics_before_driver_ok),
		TEST(two_stats_buffers),
		TEST(odd_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
