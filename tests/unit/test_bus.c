/*
 * bus: who answers which access, with which offset and width.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "vmm/core/bus.h"

/* A device that remembers what it was asked and answers with a pattern. */
struct probe {
	pthread_mutex_t lock;
	unsigned calls;
	uint64_t offset[8], value[8];
	unsigned size[8];
	bool locked; /* during the last call */
};

static void note(struct probe *probe, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned at = MIN(probe->calls, 7u);

	probe->offset[at] = offset;
	probe->size[at] = size;
	probe->value[at] = value;
	probe->calls++;
	probe->locked = pthread_mutex_trylock(&probe->lock) == EBUSY;
	if (!probe->locked)
		pthread_mutex_unlock(&probe->lock);
}

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
	note(opaque, offset, size, 0);
	return UINT64_C(0x8877665544332211) + offset;
}

static void probe_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	note(opaque, offset, size, value);
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static int add(struct bus *bus, uint64_t base, uint64_t size, struct probe *probe, struct err *err)
{
	struct bus_range range = {.base = base,
		.size = size,
		.ops = &probe_ops,
		.opaque = probe,
		.lock = probe ? &probe->lock : NULL,
		.name = "probe"};

	return bus_add(bus, &range, err);
}

static void make(struct bus *bus, struct probe *probe, uint64_t base, uint64_t size)
{
	struct err err = ERR_INIT;

	bus_init(bus, "port");
	*probe = (struct probe){.lock = PTHREAD_MUTEX_INITIALIZER};
	assert_int_equal(add(bus, base, size, probe, &err), 0);
}

static void test_overlap_is_refused_on_all_sides(void **state)
{
	static const struct {
		uint64_t base, size;
		int result;
	} cases[] = {
		{0x100, 0x10, -EBUSY}, /* the same */
		{0xf8, 9, -EBUSY},     /* its first byte */
		{0xf8, 8, 0},	       /* just before */
		{0x10f, 1, -EBUSY},    /* its last byte */
		{0x110, 8, 0},	       /* just behind */
		{0x104, 2, -EBUSY},    /* inside */
		{0, 0x1000, -EBUSY},   /* round it */
		{0, 0, -EINVAL},
		{UINT64_MAX, 2, -EINVAL},
		{UINT64_MAX, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;
		struct probe probe;
		struct bus bus;

		make(&bus, &probe, 0x100, 0x10);
		assert_int_equal(
			add(&bus, cases[i].base, cases[i].size, &probe, &err), cases[i].result);
		assert_int_equal(err_is_set(&err), cases[i].result < 0);
		if (cases[i].result == -EBUSY)
			assert_non_null(strstr(err.text, "taken by probe"));
	}
}

static void test_ranges_are_found_whatever_their_order(void **state)
{
	static const uint64_t bases[] = {0x70, 0x3f8, 0x60, 0xcf8, 0x64, 0x2f8};
	struct err err = ERR_INIT;
	struct bus bus;

	(void)state;
	bus_init(&bus, "port");
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		assert_int_equal(add(&bus, bases[i], 2, NULL, &err), 0);
	bus_freeze(&bus);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		assert_null(bus_find(&bus, bases[i] - 1));
		assert_true(bus_find(&bus, bases[i])->base == bases[i]);
		assert_true(bus_find(&bus, bases[i] + 1)->base == bases[i]);
		assert_null(bus_find(&bus, bases[i] + 2));
	}
	assert_null(bus_find(&bus, 0));
	assert_null(bus_find(&bus, UINT64_MAX));
}

static void test_full_table_is_a_sentence(void **state)
{
	struct err err = ERR_INIT;
	struct bus bus;

	(void)state;
	bus_init(&bus, "MMIO");
	for (uint64_t i = 0; i < BUS_RANGES_MAX; i++)
		assert_int_equal(add(&bus, i * 16, 16, NULL, &err), 0);
	assert_int_equal(add(&bus, BUS_RANGES_MAX * 16, 16, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "MMIO bus is full"));
}

static void test_each_width_arrives_whole(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	struct probe probe;
	struct bus bus;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t data[9] = {0};

		make(&bus, &probe, 0x100, 0x10);
		assert_true(bus_read(&bus, 0x104, data, sizes[i]));
		assert_int_equal(probe.calls, 1);
		assert_int_equal(probe.offset[0], 4);
		assert_int_equal(probe.size[0], sizes[i]);
		assert_true(probe.locked);
		assert_int_equal(data[0], 0x15);
		assert_int_equal(data[sizes[i]], 0);
		memset(data, 0xff, sizeof(data));
		assert_true(bus_write(&bus, 0x108, data, sizes[i]));
		assert_int_equal(probe.offset[1], 8);
		assert_true(probe.value[1] == util_low_bytes(UINT64_MAX, sizes[i]));
	}
}

static void test_access_over_the_edge_is_split(void **state)
{
	uint8_t data[4] = {0xaa, 0xbb, 0xcc, 0xdd};
	struct probe probe;
	struct bus bus;

	(void)state;
	make(&bus, &probe, 0x100, 0x10);
	assert_true(bus_write(&bus, 0x10e, data, 4));
	assert_int_equal(probe.calls, 2);
	assert_int_equal(probe.offset[0], 0xe);
	assert_int_equal(probe.value[0], 0xaa);
	assert_int_equal(probe.offset[1], 0xf);
	assert_int_equal(probe.value[1], 0xbb);
	assert_int_equal(probe.size[1], 1);
	/* From the front: the bytes before the range are nobody's. */
	assert_true(bus_read(&bus, 0xfe, data, 4));
	assert_int_equal(data[0], 0xff);
	assert_int_equal(data[1], 0xff);
	assert_int_equal(data[2], 0x11);
	assert_int_equal(data[3], 0x12);
}

static void test_odd_widths_are_split(void **state)
{
	uint8_t data[8];
	struct probe probe;
	struct bus bus;

	(void)state;
	for (unsigned size = 3; size < 8; size++) {
		if (size == 4)
			continue;
		make(&bus, &probe, 0x100, 0x10);
		assert_true(bus_read(&bus, 0x100, data, size));
		assert_int_equal(probe.calls, size);
		for (unsigned i = 0; i < size; i++)
			assert_int_equal(data[i], 0x11 + i);
	}
}

static void test_neighbours_share_one_access(void **state)
{
	uint8_t data[2] = {1, 2};
	struct err err = ERR_INIT;
	struct probe low, high = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct bus bus;

	(void)state;
	make(&bus, &low, 0x60, 1);
	assert_int_equal(add(&bus, 0x61, 1, &high, &err), 0);
	assert_true(bus_write(&bus, 0x60, data, 2));
	assert_int_equal(low.calls, 1);
	assert_int_equal(low.value[0], 1);
	assert_int_equal(high.calls, 1);
	assert_int_equal(high.offset[0], 0);
	assert_int_equal(high.value[0], 2);
}

/* A device that knows no runs sees each write by itself. */
static void test_run_of_writes(void **state)
{
	static const uint8_t run[] = {3, 1, 2};
	struct probe probe;
	struct bus bus;

	(void)state;
	make(&bus, &probe, 0x100, 0x10);
	assert_true(bus_write_run(&bus, 0x10f, run, sizeof(run)));
	assert_int_equal(probe.calls, sizeof(run));
	assert_true(probe.locked);
	for (size_t i = 0; i < sizeof(run); i++) {
		assert_int_equal(probe.offset[i], 0xf);
		assert_int_equal(probe.size[i], 1);
		assert_int_equal(probe.value[i], run[i]);
	}
	assert_false(bus_write_run(&bus, 0x110, run, sizeof(run)));
}

static void test_nobody_there(void **state)
{
	uint8_t data[8] = {0};
	struct bus bus;

	(void)state;
	bus_init(&bus, "port");
	assert_false(bus_read(&bus, 0x1234, data, 8));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(data[i], 0xff);
	assert_false(bus_write(&bus, 0x1234, data, 4));
	/* At the very end of the address space the access wraps to addresses nobody has. */
	assert_false(bus_read(&bus, UINT64_MAX, data, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlap_is_refused_on_all_sides),
		cmocka_unit_test(test_ranges_are_found_whatever_their_order),
		cmocka_unit_test(test_full_table_is_a_sentence),
		cmocka_unit_test(test_each_width_arrives_whole),
		cmocka_unit_test(test_access_over_the_edge_is_split),
		cmocka_unit_test(test_odd_widths_are_split),
		cmocka_unit_test(test_neighbours_share_one_access),
		cmocka_unit_test(test_run_of_writes),
		cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
