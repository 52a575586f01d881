/*
 * Names of keys, chords, and what a US keyboard types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/input-event-codes.h>

#include "vmm/base/util.h"
#include "vmm/key_names.h"

static unsigned key(const char *name)
{
	return key_find(name, strlen(name));
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(key("a"), KEY_A);
	assert_int_equal(key("A"), KEY_A);
	assert_int_equal(key("1"), KEY_1);
	assert_int_equal(key("102nd"), KEY_102ND);
	assert_int_equal(key("KpEnter"), KEY_KPENTER);
	assert_int_equal(key("ctrl"), KEY_LEFTCTRL);
	assert_int_equal(key("printscreen"), KEY_SYSRQ);
	assert_int_equal(key("micmute"), KEY_MICMUTE);
	assert_int_equal(key(""), 0);
	assert_int_equal(key("aa"), 0);
	assert_int_equal(key("key_a"), 0);
	assert_int_equal(key("reserved"), 0);
	assert_int_equal(key_find("ctrl-alt", 4), KEY_LEFTCTRL);
	assert_int_equal(key_find_button("side"), BTN_SIDE);
	assert_int_equal(key_find_button("a"), 0);
}

static void test_chords(void **state)
{
	static const struct {
		const char *text, *bad;
		size_t bad_len;
	} wrong[] = {{"", "", 0}, {"ctrl-", "", 0}, {"-a", "-a", 0}, {"ctrl--a", "-a", 0},
		{"ctrl-foo-a", "foo-a", 3}, {"a-a-a-a-a-a-a-a-b", "b", 1}};
	unsigned codes[KEY_CHORD_MAX];
	const char *bad;
	size_t len;

	(void)state;
	assert_int_equal(key_parse_chord("ctrl-alt-delete", codes, &bad, &len), 3);
	assert_int_equal(codes[0], KEY_LEFTCTRL);
	assert_int_equal(codes[1], KEY_LEFTALT);
	assert_int_equal(codes[2], KEY_DELETE);
	assert_int_equal(key_parse_chord("a-a-a-a-a-a-a-b", codes, &bad, &len), KEY_CHORD_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(key_parse_chord(wrong[i].text, codes, &bad, &len), 0);
		assert_string_equal(bad, wrong[i].bad);
		assert_int_equal(len, wrong[i].bad_len);
	}
}

static void test_typing(void **state)
{
	unsigned codes[KEY_CHORD_MAX];
	const char *bad;
	size_t len;

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *chord = key_type((char)c);
		bool has_key = (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t';

		assert_int_equal(chord != NULL, has_key);
		if (chord)
			assert_true(key_parse_chord(chord, codes, &bad, &len) > 0);
	}
	assert_string_equal(key_type('A'), "shift-a");
	assert_string_equal(key_type('?'), "shift-slash");
	assert_string_equal(key_type('\n'), "enter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_chords),
		cmocka_unit_test(test_typing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
