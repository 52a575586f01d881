/*
 * page_walk: all four kinds of tables, every way in which a walk ends, and tables
 * that a hostile guest may build.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/processor-flags.h>
#include <cmocka.h>

#include "vmm/base/util.h"
#include "vmm/core/gmem.h"
#include "vmm/kvm/page_walk.h"

#define EFER_LMA (UINT64_C(1) << 10)
#define EFER_NXE (UINT64_C(1) << 11)
#define NX	 (UINT64_C(1) << 63)

#define P     UINT64_C(0x01)
#define RW    UINT64_C(0x02)
#define US    UINT64_C(0x04)
#define LARGE UINT64_C(0x80)

#define RAM_SIZE (8 * MIB)

static const struct page_walk_regs regs_4level = {.cr0 = X86_CR0_PE | X86_CR0_PG,
	.cr3 = 0x1000,
	.cr4 = X86_CR4_PAE,
	.efer = EFER_LMA | EFER_NXE};

static int setup(void **state)
{
	static struct gmem mem;
	const struct gmem_config config = {
		.size = RAM_SIZE, .hole_start = 3 * GIB, .high_base = 4 * GIB};

	*state = &mem;
	return gmem_init(&mem, &config, NULL);
}

static int teardown(void **state)
{
	gmem_finish(*state);
	return 0;
}

static void put64(struct gmem *mem, gpa_t at, uint64_t value)
{
	assert_int_equal(gmem_write(mem, at, &value, 8), 0);
}

static void put32(struct gmem *mem, gpa_t at, uint32_t value)
{
	assert_int_equal(gmem_write(mem, at, &value, 4), 0);
}

/* PML4 at 0x1000 → PDPT 0x2000 → PD 0x3000 → PT 0x4000, for address 0. */
static void put_4level(struct gmem *mem, uint64_t flags)
{
	put64(mem, 0x1000, 0x2000 | flags);
	put64(mem, 0x2000, 0x3000 | flags);
	put64(mem, 0x3000, 0x4000 | flags);
	put64(mem, 0x4000, 0x5000 | flags);
}

static void test_without_paging_addresses_are_physical(void **state)
{
	const struct page_walk_regs regs = {.cr0 = X86_CR0_PE};
	struct page_walk walk;

	page_walk(&walk, *state, &regs, 0x12345);
	assert_int_equal(walk.mode, PAGE_WALK_NONE);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.gpa, 0x12345);
	assert_int_equal(walk.step_count, 0);
}

static void test_4level_small_page(void **state)
{
	struct page_walk walk;

	put_4level(*state, P | RW);
	page_walk(&walk, *state, &regs_4level, 0x123);
	assert_int_equal(walk.mode, PAGE_WALK_4LEVEL);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.gpa, 0x5123);
	assert_int_equal(walk.page_size, 4096);
	assert_int_equal(walk.step_count, 4);
	assert_string_equal(walk.steps[0].name, "PML4");
	assert_string_equal(walk.steps[3].name, "PT");
	assert_int_equal(walk.steps[3].entry_gpa, 0x4000);
	assert_true(walk.writable);
	assert_false(walk.user);
	assert_true(walk.executable);
}

static void test_4level_uses_each_index(void **state)
{
	/* Indices 1, 2, 3, 4 and offset 5, in the upper half. */
	const uint64_t address = UINT64_C(0xffff800000000000) | 1ull << 39 | 2ull << 30 |
		3ull << 21 | 4ull << 12 | 5;
	struct page_walk walk;

	put64(*state, 0x1000 + 257 * 8, 0x2000 | P);
	put64(*state, 0x2000 + 2 * 8, 0x3000 | P);
	put64(*state, 0x3000 + 3 * 8, 0x4000 | P);
	put64(*state, 0x4000 + 4 * 8, 0x7000 | P);
	page_walk(&walk, *state, &regs_4level, address);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.gpa, 0x7005);
	assert_false(walk.writable);
}

static void test_large_pages(void **state)
{
	struct page_walk walk;

	put64(*state, 0x1000, 0x2000 | P | RW | US);
	put64(*state, 0x2000, 0x3000 | P | RW | US);
	put64(*state, 0x2000 + 8, 0x40000000 | P | RW | US | LARGE);
	put64(*state, 0x3000 + 8, 0x400000 | P | RW | US | LARGE | NX);
	page_walk(&walk, *state, &regs_4level, 0x212345);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.page_size, 2 * MIB);
	assert_int_equal(walk.gpa, 0x412345);
	assert_true(walk.user);
	assert_false(walk.executable);
	page_walk(&walk, *state, &regs_4level, 0x40000123);
	assert_int_equal(walk.page_size, GIB);
	assert_int_equal(walk.gpa, 0x40000123);
	assert_int_equal(walk.step_count, 2);
}

static void test_each_missing_level_is_named(void **state)
{
	static const char *const names[] = {"PML4", "PDPT", "PD", "PT"};
	struct page_walk walk;
	char text[200], expected[80];

	for (unsigned level = 0; level < 4; level++) {
		put_4level(*state, P | RW);
		put64(*state, 0x1000 + level * 0x1000, 0x5000 | RW);
		page_walk(&walk, *state, &regs_4level, 0);
		assert_int_equal(walk.result, PAGE_WALK_NOT_PRESENT);
		assert_int_equal(walk.step_count, level + 1);
		page_walk_describe(&walk, text, sizeof(text));
		snprintf(expected, sizeof(expected), "stops at the %s entry (not present)",
			names[level]);
		assert_string_equal(text, expected);
	}
}

static void test_non_canonical_address(void **state)
{
	static const uint64_t bad[] = {
		UINT64_C(0x0000800000000000), UINT64_C(0xffff7fffffffffff), UINT64_C(1) << 62};
	struct page_walk walk;

	put_4level(*state, P | RW);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		page_walk(&walk, *state, &regs_4level, bad[i]);
		assert_int_equal(walk.result, PAGE_WALK_NOT_CANONICAL);
		assert_int_equal(walk.step_count, 0);
	}
}

static void test_5level(void **state)
{
	struct page_walk_regs regs = regs_4level;
	struct page_walk walk;

	regs.cr4 |= X86_CR4_LA57;
	/* PML5 at 0x1000 points to the tables one step further down. */
	put64(*state, 0x1000 + 8, 0x2000 | P);
	put64(*state, 0x2000, 0x3000 | P);
	put64(*state, 0x3000, 0x4000 | P);
	put64(*state, 0x4000, 0x6000 | P);
	put64(*state, 0x6000, 0x7000 | P);
	page_walk(&walk, *state, &regs, UINT64_C(1) << 48 | 9);
	assert_int_equal(walk.mode, PAGE_WALK_5LEVEL);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_string_equal(walk.steps[0].name, "PML5");
	assert_int_equal(walk.gpa, 0x7009);
	page_walk(&walk, *state, &regs, UINT64_C(1) << 56);
	assert_int_equal(walk.result, PAGE_WALK_NOT_CANONICAL);
}

static void test_pae(void **state)
{
	const struct page_walk_regs regs = {
		.cr0 = X86_CR0_PE | X86_CR0_PG, .cr3 = 0x1020, .cr4 = X86_CR4_PAE};
	struct page_walk walk;

	/* The four PDPT entries lie at a multiple of 32. The fourth GiB: entry 3. */
	put64(*state, 0x1020 + 3 * 8, 0x3000 | P);
	put64(*state, 0x3000, 0x4000 | P | RW);
	put64(*state, 0x4000 + 7 * 8, 0x5000 | P | RW);
	page_walk(&walk, *state, &regs, 0xc0007010);
	assert_int_equal(walk.mode, PAGE_WALK_PAE);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.step_count, 3);
	assert_int_equal(walk.gpa, 0x5010);
	assert_true(walk.writable);
	/* Bits that a PDPT entry must not have. */
	put64(*state, 0x1020 + 3 * 8, 0x3000 | P | RW);
	page_walk(&walk, *state, &regs, 0xc0007010);
	assert_int_equal(walk.result, PAGE_WALK_RESERVED);
}

static void test_32bit(void **state)
{
	struct page_walk_regs regs = {.cr0 = X86_CR0_PE | X86_CR0_PG, .cr3 = 0x1000};
	struct page_walk walk;

	put32(*state, 0x1000 + 0x300 * 4, 0x2000 | P | RW);
	put32(*state, 0x2000 + 5 * 4, 0x6000 | P | RW);
	page_walk(&walk, *state, &regs, 0xc0005abc);
	assert_int_equal(walk.mode, PAGE_WALK_32BIT);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.step_count, 2);
	assert_int_equal(walk.gpa, 0x6abc);
	/* A page of 4 MiB, with address bit 32 in bit 13 of the entry. */
	put32(*state, 0x1000 + 0x301 * 4, 0x400000 | P | LARGE | 1u << 13);
	regs.cr4 = X86_CR4_PSE;
	page_walk(&walk, *state, &regs, 0xc0412345);
	assert_int_equal(walk.page_size, 4 * MIB);
	assert_int_equal(walk.gpa, UINT64_C(0x100412345));
	/* Without PSE that bit means nothing, and the entry points to a table. */
	regs.cr4 = 0;
	page_walk(&walk, *state, &regs, 0xc0412345);
	assert_int_equal(walk.step_count, 2);
}

static void test_reserved_bits(void **state)
{
	struct page_walk_regs regs = regs_4level;
	struct page_walk walk;

	put_4level(*state, P | RW);
	put64(*state, 0x1000, 0x2000 | P | LARGE);
	page_walk(&walk, *state, &regs, 0);
	assert_int_equal(walk.result, PAGE_WALK_RESERVED);
	put_4level(*state, P | RW);
	put64(*state, 0x3000, 0x2000 | P | LARGE);
	page_walk(&walk, *state, &regs, 0);
	assert_int_equal(walk.result, PAGE_WALK_RESERVED);
	put_4level(*state, P | RW);
	put64(*state, 0x4000, 0x5000 | P | NX);
	page_walk(&walk, *state, &regs, 0);
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	regs.efer &= ~EFER_NXE;
	page_walk(&walk, *state, &regs, 0);
	assert_int_equal(walk.result, PAGE_WALK_RESERVED);
}

static void test_tables_outside_ram(void **state)
{
	struct page_walk_regs regs = regs_4level;
	struct page_walk walk;
	char text[200];

	regs.cr3 = UINT64_C(0x000ffffffffff000);
	page_walk(&walk, *state, &regs, 0);
	assert_int_equal(walk.result, PAGE_WALK_OUTSIDE_RAM);
	assert_int_equal(walk.step_count, 1);
	put_4level(*state, P | RW);
	put64(*state, 0x2000, RAM_SIZE | P);
	page_walk(&walk, *state, &regs_4level, 0);
	assert_int_equal(walk.result, PAGE_WALK_OUTSIDE_RAM);
	page_walk_describe(&walk, text, sizeof(text));
	assert_string_equal(text, "stops at the PD entry (the table is outside RAM)");
}

static void test_tables_that_point_to_themselves(void **state)
{
	struct page_walk walk;

	for (gpa_t at = 0x1000; at < 0x2000; at += 8)
		put64(*state, at, 0x1000 | P | RW);
	page_walk(&walk, *state, &regs_4level, UINT64_C(0x7fffffffffff));
	assert_int_equal(walk.result, PAGE_WALK_MAPPED);
	assert_int_equal(walk.step_count, 4);
	assert_int_equal(walk.gpa, 0x1fff);
}

static void test_random_tables_are_harmless(void **state)
{
	uint8_t *ram = gmem_ptr(*state, 0, RAM_SIZE);
	char text[900];
	uint8_t bytes[100];

	srand(1);
	for (size_t i = 0; i < 0x10000; i++)
		ram[i] = (uint8_t)rand();
	for (int i = 0; i < 20000; i++) {
		const struct page_walk_regs regs = {.cr0 = X86_CR0_PE | X86_CR0_PG,
			.cr3 = (uint64_t)rand() << 8,
			.cr4 = (uint64_t)(rand() & 1 ? X86_CR4_PAE : 0) |
				(rand() & 1 ? X86_CR4_LA57 : X86_CR4_PSE),
			.efer = rand() & 1 ? EFER_LMA : 0};
		uint64_t address = (uint64_t)rand() << 33 ^ (uint64_t)rand();
		struct page_walk walk;

		page_walk(&walk, *state, &regs, address);
		assert_in_range(walk.step_count, 0, PAGE_WALK_STEPS_MAX);
		page_walk_print(&walk, text, sizeof(text));
		assert_true(strlen(text) < sizeof(text) - 1);
		assert_in_range(page_walk_read(*state, &regs, address, bytes, sizeof(bytes)), 0,
			sizeof(bytes));
	}
}

static void test_reading_goes_page_by_page(void **state)
{
	char text[16];

	/* Two neighbours that are apart in memory; the third page is missing. */
	put_4level(*state, P | RW);
	put64(*state, 0x4008, 0x9000 | P);
	assert_int_equal(gmem_write(*state, 0x5ffc, "abcd", 4), 0);
	assert_int_equal(gmem_write(*state, 0x9000, "efgh", 4), 0);
	assert_int_equal(page_walk_read(*state, &regs_4level, 0xffc, text, 8), 8);
	assert_memory_equal(text, "abcdefgh", 8);
	assert_int_equal(page_walk_read(*state, &regs_4level, 0x1ffa, text, 16), 6);
	assert_int_equal(page_walk_read(*state, &regs_4level, 0x2000, text, 1), 0);
}

static void test_reading_stops_where_ram_ends(void **state)
{
	uint8_t bytes[8];

	put_4level(*state, P | RW);
	put64(*state, 0x4000, 0xd0000000 | P);
	assert_int_equal(page_walk_read(*state, &regs_4level, 0, bytes, 8), 0);
}

static void test_print_shows_each_step(void **state)
{
	struct page_walk walk;
	char text[1000];

	put_4level(*state, P | RW);
	page_walk(&walk, *state, &regs_4level, 0x123);
	page_walk_print(&walk, text, sizeof(text));
	assert_non_null(strstr(text, "0x0000000000000123 (4-level paging)\n"));
	assert_non_null(strstr(text,
		"PDPT entry at 0x000000002000: 0x0000000000003003 present "
		"writable\n"));
	assert_non_null(strstr(text,
		"leads to guest-physical 0x5123, page of 4 KiB, writable, "
		"supervisor\n"));
	page_walk_print(&walk, text, 10);
	assert_int_equal(strlen(text), 9);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_paging_addresses_are_physical),
		TEST(test_4level_small_page),
		TEST(test_4level_uses_each_index),
		TEST(test_large_pages),
		TEST(test_each_missing_level_is_named),
		TEST(test_non_canonical_address),
		TEST(test_5level),
		TEST(test_pae),
		TEST(test_32bit),
		TEST(test_reserved_bits),
		TEST(test_tables_outside_ram),
		TEST(test_tables_that_point_to_themselves),
		TEST(test_random_tables_are_harmless),
		TEST(test_reading_goes_page_by_page),
		TEST(test_reading_stops_where_ram_ends),
		TEST(test_print_shows_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
