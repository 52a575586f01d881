/*
 * The escape keys: what reaches the guest and what is asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/backend/chr_escape.h"
#include "vmm/base/util.h"

/* Feeds all of `in`, `step` bytes at a time, and notes the keys as letters. */
static void feed(const char *in, size_t step, char *out, char *keys)
{
	static const char letters[] = {'-', 'q', 'h', 'b', 'd'};
	struct chr_escape escape = {0};
	size_t len = strlen(in), out_len = 0, key_count = 0;

	for (size_t at = 0; at < len;) {
		enum chr_escape_key key;
		size_t put, n = MIN(step, len - at);
		size_t used = chr_escape_feed(
			&escape, (const uint8_t *)in + at, n, (uint8_t *)out + out_len, &put, &key);

		assert_in_range(used, 1, n);
		assert_true(put <= used);
		assert_true(key != CHR_ESCAPE_NONE || used == n);
		if (key != CHR_ESCAPE_NONE)
			keys[key_count++] = letters[key];
		out_len += put;
		at += used;
	}
	out[out_len] = 0;
	keys[key_count] = 0;
}

static const struct {
	const char *in, *out, *keys;
} cases[] = {
	{"plain text\r\003\032\004", "plain text\r\003\032\004", ""},
	{"\001x", "", "q"},
	{"\001X", "", "q"},
	{"ab\001hcd", "abcd", "h"},
	{"\001?", "", "h"},
	{"\001t", "", "h"},
	{"\001z\001\033", "", "hh"},
	{"\001b", "", "b"},
	{"\001dd", "d", "d"},
	{"\001D", "", "d"},
	{"x\001by", "xy", "b"},
	{"\001\001", "\001", ""},
	{"\001a", "\001", ""},
	{"\001\001\001\001x", "\001\001x", ""},
	{"\001\001x", "\001x", ""},
	{"\001a\001x", "\001", "q"},
	{"end\001", "end", ""},
	{"\001b\001b\001h", "", "bbh"},
};

static void test_keys_in_one_piece(void **state)
{
	char out[64], keys[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		feed(cases[i].in, 64, out, keys);
		assert_string_equal(out, cases[i].out);
		assert_string_equal(keys, cases[i].keys);
	}
}

static void test_keys_in_small_pieces(void **state)
{
	char out[64], keys[64];

	(void)state;
	for (size_t step = 1; step < 4; step++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			feed(cases[i].in, step, out, keys);
			assert_string_equal(out, cases[i].out);
			assert_string_equal(keys, cases[i].keys);
		}
}

static void test_in_place(void **state)
{
	uint8_t data[] = "a\001ab\001\001c";
	struct chr_escape escape = {0};
	enum chr_escape_key key;
	size_t put;

	(void)state;
	assert_int_equal(chr_escape_feed(&escape, data, 7, data, &put, &key), 7);
	assert_int_equal(put, 5);
	assert_memory_equal(data, "a\001b\001c", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_in_one_piece),
		cmocka_unit_test(test_keys_in_small_pieces),
		cmocka_unit_test(test_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
