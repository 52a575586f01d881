/*
 * gmem: no access leaves RAM, wraps, crosses the hole or is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "vmm/core/gmem.h"

#define HOLE UINT64_C(0x100000) /* small, so that the test is */
#define HIGH UINT64_C(0x100000000)

static struct gmem make(uint64_t size)
{
	struct gmem_config config = {.size = size, .hole_start = HOLE, .high_base = HIGH};
	struct err err = ERR_INIT;
	struct gmem mem;

	assert_int_equal(gmem_init(&mem, &config, &err), 0);
	return mem;
}

static void test_regions_round_the_hole(void **state)
{
	struct gmem mem = make(HOLE);

	(void)state;
	assert_int_equal(mem.region_count, 1);
	assert_true(mem.regions[0].size == HOLE);
	gmem_finish(&mem);
	mem = make(HOLE + 4096);
	assert_int_equal(mem.region_count, 2);
	assert_true(mem.regions[0].base == 0 && mem.regions[0].size == HOLE);
	assert_true(mem.regions[1].base == HIGH && mem.regions[1].size == 4096);
	assert_true(mem.regions[1].file_offset == HOLE);
	assert_true(mem.regions[1].host == mem.regions[0].host + HOLE);
	assert_int_equal((uintptr_t)mem.regions[0].host % (2 * MIB), 0);
	gmem_finish(&mem);
	assert_int_equal(mem.fd, -1);
}

static void test_access_at_the_edges(void **state)
{
	static const struct {
		uint64_t gpa, len;
		bool good;
	} cases[] = {
		{0, 1, true}, {0, HOLE, true}, {0, HOLE + 1, false}, {HOLE - 1, 1, true},
		{HOLE - 1, 2, false}, /* into the hole */
		{HOLE - 1, 0, true}, {HOLE, 0, false}, {HOLE, 1, false}, {HIGH - 1, 1, false},
		{HIGH - 1, 2, false}, /* out of the hole */
		{HIGH, 8192, true}, {HIGH, 8193, false}, {HIGH + 8191, 1, true},
		{HIGH + 8192, 1, false}, {HIGH + 8191, UINT64_MAX, false}, /* wraps */
		{UINT64_MAX, 1, false}, {UINT64_MAX, 2, false}, {1, UINT64_MAX, false},
		{0, HIGH + 8192, false}, /* from one region to the other */
	};
	struct gmem mem = make(HOLE + 8192);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret = gmem_fill(&mem, cases[i].gpa, 0, cases[i].len);

		assert_int_equal(ret, cases[i].good ? 0 : -EFAULT);
		assert_int_equal(gmem_ptr(&mem, cases[i].gpa, cases[i].len) != NULL, cases[i].good);
	}
	gmem_finish(&mem);
}

static void test_copies_are_whole_or_nothing(void **state)
{
	struct gmem mem = make(HOLE);
	uint8_t buf[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {0};

	(void)state;
	assert_int_equal(gmem_write(&mem, HOLE - 8, buf, 8), 0);
	assert_int_equal(gmem_read(&mem, HOLE - 8, out, 8), 0);
	assert_memory_equal(buf, out, 8);
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(gmem_write(&mem, HOLE - 4, buf, 8), -EFAULT);
	assert_int_equal(gmem_read(&mem, HOLE - 4, buf, 8), -EFAULT);
	assert_int_equal(buf[0], 0xee);
	assert_int_equal(gmem_read(&mem, HOLE - 8, out, 8), 0);
	assert_int_equal(out[7], 8);
	assert_int_equal(gmem_fill(&mem, HOLE - 8, 0x5a, 4), 0);
	assert_int_equal(gmem_read(&mem, HOLE - 8, out, 8), 0);
	assert_int_equal(out[3], 0x5a);
	assert_int_equal(out[4], 5);
	gmem_finish(&mem);
}

static void test_discard_zeroes_both_regions(void **state)
{
	struct gmem mem = make(HOLE + 4096);
	uint8_t byte = 1;

	(void)state;
	assert_int_equal(gmem_write(&mem, 0, &byte, 1), 0);
	assert_int_equal(gmem_write(&mem, HIGH + 4095, &byte, 1), 0);
	gmem_discard_all(&mem);
	assert_int_equal(gmem_read(&mem, 0, &byte, 1), 0);
	assert_int_equal(byte, 0);
	byte = 1;
	assert_int_equal(gmem_read(&mem, HIGH + 4095, &byte, 1), 0);
	assert_int_equal(byte, 0);
	gmem_finish(&mem);
}

static void test_huge_pages_stay(void **state)
{
	struct gmem mem = make(HOLE);
	uint8_t byte = 1;

	(void)state;
	/* As if it had been made of them: a host need not have any. */
	mem.hugepages = true;
	assert_int_equal(gmem_fill(&mem, 0, 0x5a, HOLE), 0);
	gmem_discard_all(&mem);
	assert_int_equal(gmem_held_bytes(&mem), HOLE);
	assert_int_equal(gmem_read(&mem, HOLE - 1, &byte, 1), 0);
	assert_int_equal(byte, 0);
	gmem_finish(&mem);
}

static void test_small_pages_below_2m(void **state)
{
	struct gmem mem = make(HOLE + 8192);

	(void)state;
	gmem_use_small_pages_below_2m(&mem);
	assert_int_equal(gmem_fill(&mem, 8192, 0x5a, 1), 0);
	assert_int_equal(gmem_held_bytes(&mem), 4096);
	gmem_finish(&mem);
	/* Less than 2 MiB of RAM, and none that a wish could be said for. */
	mem = make(8192);
	gmem_use_small_pages_below_2m(&mem);
	assert_int_equal(gmem_fill(&mem, 0, 0x5a, 8192), 0);
	assert_int_equal(gmem_held_bytes(&mem), 8192);
	mem.hugepages = true;
	gmem_use_small_pages_below_2m(&mem);
	gmem_finish(&mem);
}

static void test_discard_takes_whole_pages(void **state)
{
	static const struct {
		uint64_t gpa, len;
		int64_t discarded;
	} cases[] = {
		{0, 4096, 4096},
		{4096, 8192, 8192},
		{1, 4095, 0},
		{1, 8191, 4096},
		{4095, 2, 0},
		{8192, 0, 0},
		{HOLE - 4096, 4096, 4096},
		{HOLE - 4096, 4097, -EFAULT},
		{HOLE, 0, -EFAULT},
		{HIGH, 4096, 4096},
		{HIGH + 4096, 4097, -EFAULT},
		{HIGH - 4096, 8192, -EFAULT},
		{4096, UINT64_MAX, -EFAULT},
		{UINT64_MAX - 4095, 4096, -EFAULT},
	};
	struct gmem mem = make(HOLE + 8192);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before;

		assert_int_equal(gmem_fill(&mem, 0, 0x5a, HOLE), 0);
		assert_int_equal(gmem_fill(&mem, HIGH, 0x5a, 8192), 0);
		before = gmem_held_bytes(&mem);
		assert_int_equal(before, HOLE + 8192);
		assert_int_equal(
			gmem_discard(&mem, cases[i].gpa, cases[i].len), cases[i].discarded);
		assert_int_equal(before - gmem_held_bytes(&mem),
			cases[i].discarded > 0 ? cases[i].discarded : 0);
	}
	gmem_finish(&mem);
}

static void test_discard_leaves_neighbours(void **state)
{
	struct gmem mem = make(HOLE + 8192);
	uint8_t *low = gmem_ptr(&mem, 0, HOLE), *high = gmem_ptr(&mem, HIGH, 8192);

	(void)state;
	memset(low, 0x5a, HOLE);
	memset(high, 0x5a, 8192);
	assert_int_equal(gmem_discard(&mem, HIGH, 5000), 4096);
	assert_int_equal(low[HOLE - 1], 0x5a);
	assert_int_equal(high[0], 0);
	assert_int_equal(high[4095], 0);
	assert_int_equal(high[4096], 0x5a);
	gmem_finish(&mem);
}

static void test_host_address_back_to_guest(void **state)
{
	struct gmem mem = make(HOLE + 8192);
	const uint8_t *low = gmem_ptr(&mem, 0, 1), *high = gmem_ptr(&mem, HIGH, 1);
	gpa_t gpa = 1;

	(void)state;
	assert_true(gmem_gpa(&mem, low, &gpa) && gpa == 0);
	assert_true(gmem_gpa(&mem, low + HOLE - 1, &gpa) && gpa == HOLE - 1);
	assert_true(gmem_gpa(&mem, high, &gpa) && gpa == HIGH);
	assert_true(gmem_gpa(&mem, high + 8191, &gpa) && gpa == HIGH + 8191);
	assert_false(gmem_gpa(&mem, high + 8192, &gpa));
	assert_false(gmem_gpa(&mem, low - 1, &gpa));
	assert_false(gmem_gpa(&mem, NULL, &gpa));
	gmem_finish(&mem);
}

/* More than a host has is given lazily; more than can be addressed is a sentence. */
static void test_absurd_size_is_a_sentence(void **state)
{
	struct gmem_config config = {
		.size = UINT64_C(1) << 62, .hole_start = HOLE, .high_base = HIGH};
	struct err err = ERR_INIT;
	struct gmem mem;

	(void)state;
	assert_true(gmem_init(&mem, &config, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_INTERNAL);
	assert_non_null(strstr(err.text, "guest RAM"));
	assert_non_null(strstr(err.hint, "--memory"));
	assert_non_null(strstr(err.hint, "ulimit -d"));
	assert_int_equal(mem.fd, -1);
	gmem_finish(&mem);
}

static void test_finish_of_nothing(void **state)
{
	struct gmem mem = {.fd = -1};

	(void)state;
	gmem_finish(&mem);
	assert_null(gmem_ptr(&mem, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions_round_the_hole),
		cmocka_unit_test(test_access_at_the_edges),
		cmocka_unit_test(test_copies_are_whole_or_nothing),
		cmocka_unit_test(test_discard_zeroes_both_regions),
		cmocka_unit_test(test_huge_pages_stay),
		cmocka_unit_test(test_small_pages_below_2m),
		cmocka_unit_test(test_discard_takes_whole_pages),
		cmocka_unit_test(test_discard_leaves_neighbours),
		cmocka_unit_test(test_host_address_back_to_guest),
		cmocka_unit_test(test_absurd_size_is_a_sentence),
		cmocka_unit_test(test_finish_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
