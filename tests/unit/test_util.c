/*
 * util: arithmetic that can't wrap, bytes at any alignment, whole reads and writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/util.h"

static void test_overflow_is_seen(void **state)
{
	uint64_t result;

	(void)state;
	assert_false(util_add_overflows(UINT64_MAX - 1, 1, &result));
	assert_true(result == UINT64_MAX);
	assert_true(util_add_overflows(UINT64_MAX, 1, &result));
	assert_false(util_mul_overflows(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &result));
	assert_true(util_mul_overflows(UINT64_C(1) << 32, UINT64_C(1) << 32, &result));
	assert_false(util_mul_overflows(0, UINT64_MAX, &result));
	assert_int_equal(result, 0);
}

static void test_range_inside_at_its_edges(void **state)
{
	(void)state;
	assert_true(util_range_inside(0, 0, 0));
	assert_true(util_range_inside(0, 10, 10));
	assert_true(util_range_inside(10, 0, 10));
	assert_false(util_range_inside(11, 0, 10));
	assert_false(util_range_inside(0, 11, 10));
	assert_false(util_range_inside(9, 2, 10));
	assert_false(util_range_inside(1, UINT64_MAX, 10));
	assert_false(util_range_inside(UINT64_MAX, 1, 10));
	assert_true(util_range_inside(UINT64_MAX, 0, UINT64_MAX));
}

static void test_alignment(void **state)
{
	(void)state;
	assert_int_equal(util_align_up(0, 4096), 0);
	assert_int_equal(util_align_up(1, 4096), 4096);
	assert_int_equal(util_align_up(4096, 4096), 4096);
	assert_int_equal(util_align_down(4095, 4096), 0);
	assert_int_equal(util_align_down(8191, 4096), 4096);
	assert_false(util_is_power_of_two(0));
	assert_true(util_is_power_of_two(1));
	assert_true(util_is_power_of_two(UINT64_C(1) << 63));
	assert_false(util_is_power_of_two(6));
}

static void test_little_endian_at_odd_addresses(void **state)
{
	uint8_t bytes[9] = {0};

	(void)state;
	store_le64(bytes + 1, UINT64_C(0x8877665544332211));
	for (unsigned i = 1; i <= 8; i++)
		assert_int_equal(bytes[i], 0x11 * i);
	assert_int_equal(load_le16(bytes + 1), 0x2211);
	assert_int_equal(load_le32(bytes + 3), 0x66554433);
	assert_true(load_le64(bytes + 1) == UINT64_C(0x8877665544332211));
	store_le16(bytes + 7, 0xabcd);
	store_le32(bytes + 3, 0x01020304);
	assert_int_equal(bytes[7], 0xcd);
	assert_int_equal(bytes[8], 0xab);
	assert_int_equal(bytes[3], 0x04);
}

static void test_low_bytes_of_each_width(void **state)
{
	const uint64_t value = UINT64_C(0x8877665544332211);

	(void)state;
	assert_int_equal(util_low_bytes(value, 1), 0x11);
	assert_int_equal(util_low_bytes(value, 2), 0x2211);
	assert_int_equal(util_low_bytes(value, 4), 0x44332211);
	assert_true(util_low_bytes(value, 8) == value);
}

static void test_edit_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} cases[] = {
		{"", "", 0},
		{"", "abc", 3},
		{"kernel", "kernel", 0},
		{"kernal", "kernel", 1},
		{"kernl", "kernel", 1},
		{"kerneel", "kernel", 1},
		{"kenrel", "kernel", 1},
		{"memory", "cpus", 6},
		{"ab", "ba", 1},
		{"abcd", "badc", 2},
	};
	char long_a[200], long_b[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(util_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
		assert_int_equal(util_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
	/* Only the first 64 letters count. */
	memset(long_a, 'x', sizeof(long_a));
	memset(long_b, 'x', sizeof(long_b));
	long_a[199] = long_b[199] = '\0';
	long_b[150] = 'y';
	assert_int_equal(util_edit_distance(long_a, long_b), 0);
	long_b[10] = 'y';
	assert_int_equal(util_edit_distance(long_a, long_b), 1);
}

static void test_whole_reads_and_writes(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char out[16] = "";

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(util_pwrite_full(fd, "hello", 5, 3), 5);
	assert_int_equal(util_pread_full(fd, out, 5, 3), 5);
	assert_memory_equal(out, "hello", 5);
	/* Reading stops at the end of the file and says how far it came. */
	assert_int_equal(util_pread_full(fd, out, 16, 6), 2);
	assert_int_equal(util_pread_full(fd, out, 16, 100), 0);
	assert_int_equal(util_pread_full(fd, out, 0, 0), 0);
	close(fd);
	assert_int_equal(util_pread_full(fd, out, 1, 0), -EBADF);
	assert_int_equal(util_pwrite_full(fd, out, 1, 0), -EBADF);
}

static void test_failed_assertion_ends_the_program(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		close(STDERR_FILENO);
		util_assert_failed("1 == 2", "file.c", 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void test_clock_goes_forward(void **state)
{
	uint64_t before_ns = util_now_ns(), after_ns = util_now_ns();

	(void)state;
	assert_true(before_ns > 0);
	assert_true(after_ns >= before_ns);
}

static void test_zeros_of_any_length_and_place(void **state)
{
	static _Alignas(16) uint8_t bytes[1024];

	(void)state;
	assert_true(util_is_zero(bytes, 0));
	for (unsigned start = 0; start < 18; start++)
		for (unsigned len = 1; len < 800; len += start % 2 ? 7 : 255) {
			assert_true(util_is_zero(bytes + start, len));
			for (unsigned at = 0; at < len; at++) {
				bytes[start + at] = 0x10;
				assert_false(util_is_zero(bytes + start, len));
				bytes[start + at] = 0;
			}
			bytes[start + len] = 1;
			assert_true(util_is_zero(bytes + start, len));
			bytes[start + len] = 0;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overflow_is_seen),
		cmocka_unit_test(test_range_inside_at_its_edges),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_little_endian_at_odd_addresses),
		cmocka_unit_test(test_low_bytes_of_each_width),
		cmocka_unit_test(test_edit_distance),
		cmocka_unit_test(test_whole_reads_and_writes),
		cmocka_unit_test(test_zeros_of_any_length_and_place),
		cmocka_unit_test(test_failed_assertion_ends_the_program),
		cmocka_unit_test(test_clock_goes_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
