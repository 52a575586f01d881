/*
 * ring: a byte queue keeps order and bytes over any number of wraps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/base/ring.h"
#include "vmm/base/util.h"

static void test_empty_gives_nothing(void **state)
{
	uint8_t bytes[4], out[4];
	const uint8_t *piece;
	struct ring ring;

	(void)state;
	ring_init(&ring, bytes, sizeof(bytes));
	assert_int_equal(ring_used(&ring), 0);
	assert_int_equal(ring_free(&ring), 4);
	assert_int_equal(ring_get(&ring, out, sizeof(out)), 0);
	assert_int_equal(ring_peek(&ring, &piece), 0);
	assert_int_equal(ring_put(&ring, "", 0), 0);
}

static void test_full_takes_no_more(void **state)
{
	uint8_t bytes[4];
	char out[8] = "";
	struct ring ring;

	(void)state;
	ring_init(&ring, bytes, sizeof(bytes));
	assert_int_equal(ring_put(&ring, "abcdef", 6), 4);
	assert_int_equal(ring_free(&ring), 0);
	assert_int_equal(ring_put(&ring, "x", 1), 0);
	assert_int_equal(ring_get(&ring, out, sizeof(out)), 4);
	assert_memory_equal(out, "abcd", 4);
}

static void test_wraps_without_loss(void **state)
{
	uint8_t bytes[7], in = 0, expected = 0;
	struct ring ring;

	(void)state;
	ring_init(&ring, bytes, sizeof(bytes));
	/* All pairs of lengths, so that every position of the wrap is met. */
	for (unsigned round = 0; round < 1000; round++) {
		uint8_t chunk[8], out[8];
		size_t want = round % 8, put, got;

		for (size_t i = 0; i < want; i++)
			chunk[i] = (uint8_t)(in + i);
		put = ring_put(&ring, chunk, want);
		in = (uint8_t)(in + put);
		got = ring_get(&ring, out, round / 8 % 8);
		for (size_t i = 0; i < got; i++)
			assert_int_equal(out[i], expected++);
		assert_int_equal(ring_used(&ring), (uint8_t)(in - expected));
		assert_int_equal(ring_used(&ring) + ring_free(&ring), sizeof(bytes));
	}
}

static void test_peek_shows_the_piece_before_the_wrap(void **state)
{
	const uint8_t *piece;
	uint8_t bytes[4];
	struct ring ring;

	(void)state;
	ring_init(&ring, bytes, sizeof(bytes));
	ring_put(&ring, "abc", 3);
	ring_drop(&ring, 3);
	ring_put(&ring, "defg", 4);
	assert_int_equal(ring_peek(&ring, &piece), 1);
	assert_int_equal(piece[0], 'd');
	ring_drop(&ring, 1);
	assert_int_equal(ring_peek(&ring, &piece), 3);
	assert_memory_equal(piece, "efg", 3);
}

static void test_clear_forgets_all(void **state)
{
	uint8_t bytes[4], out[4];
	struct ring ring;

	(void)state;
	ring_init(&ring, bytes, sizeof(bytes));
	ring_put(&ring, "abcd", 4);
	ring_clear(&ring);
	assert_int_equal(ring_get(&ring, out, 4), 0);
	assert_int_equal(ring_put(&ring, "wxyz", 4), 4);
	assert_int_equal(ring_get(&ring, out, 4), 4);
	assert_memory_equal(out, "wxyz", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_gives_nothing),
		cmocka_unit_test(test_full_takes_no_more),
		cmocka_unit_test(test_wraps_without_loss),
		cmocka_unit_test(test_peek_shows_the_piece_before_the_wrap),
		cmocka_unit_test(test_clear_forgets_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
