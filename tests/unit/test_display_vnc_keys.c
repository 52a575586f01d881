/*
 * VNC's names of keys: every key of a PC keyboard can be named by its place, and those that have
 * a symbol by that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <linux/input-event-codes.h>

#include "devices/backend/display_vnc_keys.h"
#include "vmm/base/util.h"

static void vnc_keys_of_symbols(void **state)
{
	static const struct {
		uint32_t symbol;
		unsigned key;
	} keys[] = {
		{'a', KEY_A},
		{'z', KEY_Z},
		{'A', KEY_A},
		{'Q', KEY_Q},
		{'1', KEY_1},
		{'!', KEY_1},
		{'0', KEY_0},
		{')', KEY_0},
		{' ', KEY_SPACE},
		{'~', KEY_GRAVE},
		{'|', KEY_BACKSLASH},
		{'"', KEY_APOSTROPHE},
		{0xff0d, KEY_ENTER},
		{0xff08, KEY_BACKSPACE},
		{0xff09, KEY_TAB},
		{0xfe20, KEY_TAB},
		{0xff1b, KEY_ESC},
		{0xffff, KEY_DELETE},
		{0xff50, KEY_HOME},
		{0xff56, KEY_PAGEDOWN},
		{0xffe1, KEY_LEFTSHIFT},
		{0xffe2, KEY_RIGHTSHIFT},
		{0xffe3, KEY_LEFTCTRL},
		{0xffe4, KEY_RIGHTCTRL},
		{0xffe9, KEY_LEFTALT},
		{0xffea, KEY_RIGHTALT},
		{0xfe03, KEY_RIGHTALT},
		{0xffeb, KEY_LEFTMETA},
		{0xffbe, KEY_F1},
		{0xffc7, KEY_F10},
		{0xffc8, KEY_F11},
		{0xffc9, KEY_F12},
		{0xffca, KEY_F13},
		{0xffd5, KEY_F24},
		{0xffb0, KEY_KP0},
		{0xffb9, KEY_KP9},
		{0xff8d, KEY_KPENTER},
		{0xff95, KEY_KP7},
		{0xffaf, KEY_KPSLASH},
		{0x1008ff12, KEY_MUTE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(vnc_key_of_symbol(keys[i].symbol), keys[i].key);
}

/* All that can be seen on a page has a key on a US keyboard. */
static void vnc_keys_of_ascii(void **state)
{
	(void)state;
	for (uint32_t c = ' '; c <= '~'; c++)
		assert_in_range(vnc_key_of_symbol(c), KEY_1, KEY_SPACE);
}

static void vnc_keys_of_nothing(void **state)
{
	static const uint32_t none[] = {0, 1, 31, 127, 128, 0xe9, 0xff, 0x100, 0xffd6, 0xffba,
		0x10000, 0x80000000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(vnc_key_of_symbol(none[i]), 0);
	assert_int_equal(vnc_key_of_scancode(0), 0);
	assert_int_equal(vnc_key_of_scancode(0x80), 0);
	assert_int_equal(vnc_key_of_scancode(0xff), 0);
	assert_int_equal(vnc_key_of_scancode(0x100), 0);
	assert_int_equal(vnc_key_of_scancode(UINT32_MAX), 0);
}

/* Each of the 104 keys has its own place. */
static void vnc_keys_of_places(void **state)
{
	bool seen[KEY_CNT] = {false};
	unsigned twice = 0;

	(void)state;
	for (uint32_t code = 1; code < 256; code++) {
		unsigned key = vnc_key_of_scancode(code);

		assert_true(key < KEY_CNT);
		twice += key && seen[key];
		seen[key] = true;
	}
	assert_int_equal(twice, 1); /* SysRq is Print with and without Alt */
	for (unsigned key = KEY_ESC; key <= KEY_KPDOT; key++)
		assert_true(seen[key]);
	for (unsigned key = KEY_HOME; key <= KEY_DELETE; key++)
		assert_true(seen[key]);
	assert_int_equal(vnc_key_of_scancode(0x57), KEY_F11);
	assert_int_equal(vnc_key_of_scancode(0x58), KEY_F12);
	assert_int_equal(vnc_key_of_scancode(0x56), KEY_102ND);
	assert_int_equal(vnc_key_of_scancode(0x9d), KEY_RIGHTCTRL);
	assert_int_equal(vnc_key_of_scancode(0xb8), KEY_RIGHTALT);
	assert_int_equal(vnc_key_of_scancode(0xdb), KEY_LEFTMETA);
	assert_int_equal(vnc_key_of_scancode(0xdd), KEY_COMPOSE);
	assert_int_equal(vnc_key_of_scancode(0xc6), KEY_PAUSE);
	assert_int_equal(vnc_key_of_scancode(0xb5), KEY_KPSLASH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vnc_keys_of_symbols),
		cmocka_unit_test(vnc_keys_of_ascii),
		cmocka_unit_test(vnc_keys_of_nothing),
		cmocka_unit_test(vnc_keys_of_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
