/*
 * e820: every byte of RAM is either usable or reserved, nothing twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "firmware/e820.h"
#include "firmware/layout.h"

static struct e820_map map;

/* Guest memory of that shape; nobody touches it. */
static struct gmem shape(uint64_t low, uint64_t high)
{
	return (struct gmem){.region_count = high ? 2 : 1,
		.size = low + high,
		.regions = {{.base = 0, .size = low}, {.base = 4 * GIB, .size = high}}};
}

static void assert_entry(unsigned nth, uint64_t base, uint64_t end, unsigned type)
{
	assert_true(nth < map.count);
	assert_int_equal(map.entries[nth].addr, base);
	assert_int_equal(map.entries[nth].addr + map.entries[nth].size, end);
	assert_int_equal(map.entries[nth].type, type);
}

static void assert_ascending(void)
{
	for (unsigned i = 0; i < map.count; i++) {
		assert_true(map.entries[i].size > 0);
		if (i > 0)
			assert_true(map.entries[i].addr >=
				map.entries[i - 1].addr + map.entries[i - 1].size);
	}
}

static void e820_small_machine(void **state)
{
	struct gmem mem = shape(128 * MIB, 0);

	(void)state;
	assert_int_equal(e820_build(&map, &mem, NULL, 0), 0);
	assert_int_equal(map.count, 3);
	assert_entry(0, 0, FW_LOW_RAM_END, E820_RAM);
	assert_entry(1, FW_LOW_RAM_END, MIB, E820_RESERVED);
	assert_entry(2, MIB, 128 * MIB, E820_RAM);
}

static void e820_memory_beyond_4_gib(void **state)
{
	const struct boot_range reserved[] = {
		{0xfffbc000, 0x4000}, {0xfec00000, 0x1000}, {0xfee00000, 0x1000}};
	struct gmem mem = shape(3 * GIB, 3 * GIB);

	(void)state;
	assert_int_equal(e820_build(&map, &mem, reserved, ARRAY_SIZE(reserved)), 0);
	assert_int_equal(map.count, 7);
	assert_entry(2, MIB, 3 * GIB, E820_RAM);
	assert_entry(3, 0xfec00000, 0xfec01000, E820_RESERVED);
	assert_entry(4, 0xfee00000, 0xfee01000, E820_RESERVED);
	assert_entry(5, 0xfffbc000, 0xfffc0000, E820_RESERVED);
	assert_entry(6, 4 * GIB, 7 * GIB, E820_RAM);
}

static void e820_reserved_inside_ram_is_cut_out(void **state)
{
	const struct boot_range reserved[] = {{10 * MIB, MIB}, {127 * MIB, 5 * MIB}};
	struct gmem mem = shape(128 * MIB, 0);

	(void)state;
	assert_int_equal(e820_build(&map, &mem, reserved, ARRAY_SIZE(reserved)), 0);
	assert_entry(2, MIB, 10 * MIB, E820_RAM);
	assert_entry(3, 10 * MIB, 11 * MIB, E820_RESERVED);
	assert_entry(4, 11 * MIB, 127 * MIB, E820_RAM);
	assert_entry(5, 127 * MIB, 132 * MIB, E820_RESERVED);
	assert_int_equal(map.count, 6);
}

static void e820_overlapping_ranges_stay_disjoint(void **state)
{
	const struct boot_range reserved[] = {{10 * MIB, 10 * MIB}, {5 * MIB, 7 * MIB},
		{12 * MIB, MIB}, {0, 2 * MIB}, {20 * MIB, 0}, {19 * MIB, 2 * MIB}};
	struct gmem mem = shape(64 * MIB, 0);
	uint64_t ram = 0;

	(void)state;
	assert_int_equal(e820_build(&map, &mem, reserved, ARRAY_SIZE(reserved)), 0);
	assert_ascending();
	for (unsigned i = 0; i < map.count; i++)
		if (map.entries[i].type == E820_RAM)
			ram += map.entries[i].size;
	assert_int_equal(ram, 3 * MIB + 43 * MIB);
}

static void e820_too_many_ranges_is_an_error(void **state)
{
	struct boot_range reserved[E820_MAX_ENTRIES_ZEROPAGE];
	struct gmem mem = shape(2 * GIB, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		reserved[i] = (struct boot_range){.base = (i + 1) * 2 * MIB, .size = 4096};
	assert_int_equal(e820_build(&map, &mem, reserved, 62), 0);
	assert_ascending();
	assert_int_equal(e820_build(&map, &mem, reserved, ARRAY_SIZE(reserved)), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e820_small_machine),
		cmocka_unit_test(e820_memory_beyond_4_gib),
		cmocka_unit_test(e820_reserved_inside_ram_is_cut_out),
		cmocka_unit_test(e820_overlapping_ranges_stay_disjoint),
		cmocka_unit_test(e820_too_many_ranges_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
