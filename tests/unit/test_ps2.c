/*
 * The PS/2 keyboard and mouse alone, byte by byte, and the translation between the scan code sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/input-event-codes.h>

#include "devices/legacy/ps2_codes.h"
#include "devices/legacy/ps2_keyboard.h"
#include "devices/legacy/ps2_mouse.h"
#include "vmm/base/util.h"

/* ---- The keyboard ---- */

static struct ps2_keyboard keyboard;

static int new_keyboard(void **state)
{
	(void)state;
	ps2_keyboard_init(&keyboard);
	return 0;
}

static void expect(const char *bytes, size_t len)
{
	uint8_t byte;

	for (size_t i = 0; i < len; i++) {
		assert_true(ps2_keyboard_read(&keyboard, &byte));
		assert_int_equal(byte, (uint8_t)bytes[i]);
	}
	assert_false(ps2_keyboard_read(&keyboard, &byte));
}
#define EXPECT(text) expect(text, sizeof(text) - 1)

/* A command with its arguments, each of which is acknowledged. */
static void tell(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		ps2_keyboard_write(&keyboard, (uint8_t)bytes[i]);
		EXPECT("\xfa");
	}
}
#define TELL(text) tell(text, sizeof(text) - 1)

static void press(unsigned key)
{
	assert_true(ps2_keyboard_key(&keyboard, key, true));
}

static void release(unsigned key)
{
	assert_true(ps2_keyboard_key(&keyboard, key, false));
}

static void test_set_2(void **state)
{
	(void)state;
	press(KEY_A);
	EXPECT("\x1c");
	release(KEY_A);
	EXPECT("\xf0\x1c");
	press(KEY_RIGHTCTRL);
	EXPECT("\xe0\x14");
	release(KEY_RIGHTCTRL);
	EXPECT("\xe0\xf0\x14");
	press(KEY_F7);
	EXPECT("\x83");
	release(KEY_F7);
	EXPECT("\xf0\x83");
	press(KEY_VOLUMEUP);
	EXPECT("\xe0\x32");
	press(KEY_YEN);
	EXPECT("\x6a");
	/* Told of its press alone */
	press(KEY_HANGEUL);
	EXPECT("\xf2");
	release(KEY_HANGEUL);
	EXPECT("");
}

static void test_set_1(void **state)
{
	(void)state;
	TELL("\xf0\x01");
	press(KEY_A);
	release(KEY_A);
	EXPECT("\x1e\x9e");
	press(KEY_DELETE);
	release(KEY_DELETE);
	EXPECT("\xe0\x53\xe0\xd3");
	press(KEY_PAUSE);
	EXPECT("\xe1\x1d\x45\xe1\x9d\xc5");
}

static void test_set_3(void **state)
{
	(void)state;
	TELL("\xf0\x03");
	press(KEY_ESC);
	release(KEY_ESC);
	EXPECT("\x08\xf0\x08");
	press(KEY_LEFT);
	EXPECT("\x61");
	press(KEY_SYSRQ);
	release(KEY_SYSRQ);
	EXPECT("\x57\xf0\x57");
	press(KEY_PAUSE);
	release(KEY_PAUSE);
	EXPECT("\x62\xf0\x62");
	/* There is no such key in this set. */
	press(KEY_BOOKMARKS);
	release(KEY_BOOKMARKS);
	EXPECT("");
}

static void test_print_screen_and_pause(void **state)
{
	(void)state;
	press(KEY_SYSRQ);
	EXPECT("\xe0\x12\xe0\x7c");
	assert_true(ps2_keyboard_repeat(&keyboard));
	EXPECT("\xe0\x7c");
	release(KEY_SYSRQ);
	EXPECT("\xe0\xf0\x7c\xe0\xf0\x12");
	press(KEY_LEFTSHIFT);
	press(KEY_SYSRQ);
	/* As it was pressed, whatever has gone up meanwhile. */
	release(KEY_LEFTSHIFT);
	release(KEY_SYSRQ);
	EXPECT("\x12\xe0\x7c\xf0\x12\xe0\xf0\x7c");
	press(KEY_RIGHTALT);
	press(KEY_SYSRQ);
	release(KEY_SYSRQ);
	release(KEY_RIGHTALT);
	EXPECT("\xe0\x11\x84\xf0\x84\xe0\xf0\x11");
	press(KEY_PAUSE);
	EXPECT("\xe1\x14\x77\xe1\xf0\x14\xf0\x77");
	release(KEY_PAUSE);
	EXPECT("");
	assert_false(ps2_keyboard_repeat(&keyboard));
	press(KEY_LEFTCTRL);
	press(KEY_PAUSE);
	EXPECT("\x14\xe0\x7e\xe0\xf0\x7e");
}

static void test_unknown_keys_and_repeats_are_ignored(void **state)
{
	(void)state;
	press(KEY_RESERVED);
	press(KEY_MICMUTE);
	press(BTN_LEFT);
	press(UINT32_MAX);
	release(KEY_B);
	EXPECT("");
	press(KEY_B);
	press(KEY_B);
	EXPECT("\x32");
}

static void test_typematic(void **state)
{
	(void)state;
	assert_int_equal(ps2_keyboard_delay_ms(&keyboard), 500);
	assert_in_range(ps2_keyboard_period_ms(&keyboard), 91, 92);
	assert_false(ps2_keyboard_repeat(&keyboard));
	press(KEY_A);
	press(KEY_B);
	EXPECT("\x1c\x32");
	assert_true(ps2_keyboard_repeat(&keyboard));
	/* Never one behind the other */
	assert_true(ps2_keyboard_repeat(&keyboard));
	EXPECT("\x32");
	release(KEY_A);
	EXPECT("\xf0\x1c");
	assert_true(ps2_keyboard_repeat(&keyboard));
	EXPECT("\x32");
	release(KEY_B);
	EXPECT("\xf0\x32");
	assert_false(ps2_keyboard_repeat(&keyboard));
	/* As fast, and as slow, as can be */
	TELL("\xf3");
	TELL("\x00");
	assert_int_equal(ps2_keyboard_delay_ms(&keyboard), 250);
	assert_int_equal(ps2_keyboard_period_ms(&keyboard), 33);
	TELL("\xf3\x7f");
	assert_int_equal(ps2_keyboard_delay_ms(&keyboard), 1000);
	assert_int_equal(ps2_keyboard_period_ms(&keyboard), 500);
}

static void test_lamps(void **state)
{
	(void)state;
	TELL("\xed\x05");
	assert_int_equal(keyboard.leds, PS2_LED_SCROLL | PS2_LED_CAPS);
	TELL("\xf6");
	assert_int_equal(keyboard.leds, 0);
}

static void test_keys_wait_while_a_command_is_given(void **state)
{
	(void)state;
	press(KEY_A);
	ps2_keyboard_write(&keyboard, 0xed);
	assert_false(ps2_keyboard_key(&keyboard, KEY_A, false));
	/* The answer goes before what was typed. */
	EXPECT("\xfa\x1c");
	TELL("\x02");
	release(KEY_A);
	EXPECT("\xf0\x1c");
}

static void test_disabled(void **state)
{
	(void)state;
	press(KEY_A);
	TELL("\xf5");
	assert_false(keyboard.is_scanning);
	assert_false(ps2_keyboard_repeat(&keyboard));
	TELL("\xf4");
	assert_true(keyboard.is_scanning);
	/* Whether A is still down is not known, but pressing it counts. */
	press(KEY_A);
	EXPECT("\x1c");
}

static void test_keys_without_reader(void **state)
{
	uint8_t byte;
	unsigned count = 0;
	bool overrun = false;

	(void)state;
	/* Nobody has spoken to it: what is too much is lost, and there is a code for that. */
	for (unsigned i = 0; i < 1000; i++) {
		press(KEY_A + i % 10);
		press(KEY_SYSRQ);
		if (i % 2)
			release(KEY_SYSRQ);
		release(KEY_A + i % 10);
	}
	release(KEY_SYSRQ);
	while (ps2_keyboard_read(&keyboard, &byte)) {
		overrun |= !byte;
		count++;
	}
	/* Linux reads 16 bytes to empty it, and one is in the controller. */
	assert_in_range(count, 4, PS2_KEYBOARD_QUEUE - 1);
	assert_true(overrun);
	for (unsigned key = 0; key < PS2_KEYBOARD_KEYS; key++)
		assert_false(keyboard.is_down[key]);
	/* A driver that has begun gets all, in its time. */
	TELL("\xf4");
	for (count = 0; ps2_keyboard_key(&keyboard, KEY_1 + count / 2 % 9, count % 2 == 0);)
		count++;
	assert_int_equal(count, 11);
	assert_true(ps2_keyboard_read(&keyboard, &byte));
	assert_int_equal(byte, 0x16);
}

static void test_translation(void **state)
{
	bool seen[256] = {false};
	bool broken = false;
	uint8_t byte;

	(void)state;
	/* No two keys become one. */
	for (unsigned code = 1; code <= 0x84; code++) {
		uint8_t one = ps2_code_to_set1((uint8_t)code);

		/* But for two that have two codes each in set 2. */
		if (code == 0x02 || code == 0x7f || (code >= 0x80 && code < 0x83))
			continue;
		assert_in_range(one, 1, 0x7f);
		assert_false(seen[one]);
		seen[one] = true;
	}
	byte = 0xf0;
	assert_false(ps2_translate(&byte, &broken));
	byte = 0x1c;
	assert_true(ps2_translate(&byte, &broken));
	assert_int_equal(byte, 0x9e);
	for (unsigned code = 0x85; code < 0x100; code++) {
		byte = (uint8_t)code;
		assert_int_equal(ps2_translate(&byte, &broken), code != 0xf0);
		broken = false;
		assert_int_equal(byte, code);
	}
}

static void test_all_keys(void **state)
{
	unsigned count = 0;

	(void)state;
	ps2_keyboard_write(&keyboard, 0xf4);
	for (unsigned set = 1; set <= 3; set++) {
		uint8_t byte;

		ps2_keyboard_write(&keyboard, 0xf0);
		ps2_keyboard_write(&keyboard, (uint8_t)set);
		while (ps2_keyboard_read(&keyboard, &byte))
			;
		for (unsigned key = 0; key < KEY_CNT; key++) {
			press(key);
			count += ps2_keyboard_read(&keyboard, &byte);
			while (ps2_keyboard_read(&keyboard, &byte))
				;
			release(key);
			while (ps2_keyboard_read(&keyboard, &byte))
				;
		}
	}
	assert_true(count > 3 * 104);
	assert_int_equal(keyboard.down_bytes, 0);
}

/* ---- The mouse ---- */

static struct ps2_mouse mouse;

static int new_mouse(void **state)
{
	(void)state;
	ps2_mouse_init(&mouse);
	return 0;
}

static void expect_mouse(const char *bytes, size_t len)
{
	uint8_t byte;

	for (size_t i = 0; i < len; i++) {
		assert_true(ps2_mouse_read(&mouse, &byte));
		assert_int_equal(byte, (uint8_t)bytes[i]);
	}
	assert_false(ps2_mouse_read(&mouse, &byte));
}
#define EXPECT_MOUSE(text) expect_mouse(text, sizeof(text) - 1)

/* One byte, and its whole answer. */
#define ASK_MOUSE(value, text)                                                                     \
	do {                                                                                       \
		ps2_mouse_write(&mouse, value);                                                    \
		EXPECT_MOUSE(text);                                                                \
	} while (0)

static void knock(uint8_t first, uint8_t second, uint8_t third)
{
	const uint8_t rates[] = {first, second, third};

	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		ASK_MOUSE(0xf3, "\xfa");
		ASK_MOUSE(rates[i], "\xfa");
	}
}

static void move(int32_t x, int32_t y)
{
	assert_true(ps2_mouse_move(&mouse, x, y));
}

static void test_mouse_commands(void **state)
{
	(void)state;
	ASK_MOUSE(0xff, "\xfa\xaa\x00");
	ASK_MOUSE(0xf2, "\xfa\x00");
	ASK_MOUSE(0xe9, "\xfa\x00\x02\x64");
	ASK_MOUSE(0xe8, "\xfa");
	ASK_MOUSE(0x03, "\xfa");
	ASK_MOUSE(0xe8, "\xfa");
	ASK_MOUSE(0x04, "\xfe");
	ASK_MOUSE(0xf3, "\xfa");
	ASK_MOUSE(0x28, "\xfa");
	ASK_MOUSE(0xe7, "\xfa");
	ASK_MOUSE(0xf4, "\xfa");
	ASK_MOUSE(0xe9, "\xfa\x30\x03\x28");
	ASK_MOUSE(0xf0, "\xfa");
	ASK_MOUSE(0xe6, "\xfa");
	ASK_MOUSE(0xe9, "\xfa\x60\x03\x28");
	ASK_MOUSE(0xfe, "\x28");
	ASK_MOUSE(0xea, "\xfa");
	ASK_MOUSE(0xf6, "\xfa");
	ASK_MOUSE(0xe9, "\xfa\x00\x02\x64");
	ASK_MOUSE(0x00, "\xfe");
	ASK_MOUSE(0xe1, "\xfe");
	/* A command where an argument was due. */
	ASK_MOUSE(0xe8, "\xfa");
	ASK_MOUSE(0xf2, "\xfa\x00");
}

static void test_mouse_packets(void **state)
{
	(void)state;
	assert_false(ps2_mouse_is_listened_to(&mouse));
	ASK_MOUSE(0xf4, "\xfa");
	assert_true(ps2_mouse_is_listened_to(&mouse));
	move(3, 2);
	EXPECT_MOUSE("\x08\x03\x02");
	move(-1, -2);
	EXPECT_MOUSE("\x38\xff\xfe");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_RIGHT, true));
	EXPECT_MOUSE("\x0a\x00\x00");
	/* Longer than a packet holds, and behind it the button. */
	move(300, 0);
	assert_false(ps2_mouse_press(&mouse, PS2_MOUSE_RIGHT, false));
	EXPECT_MOUSE("\x0a\xff\x00\x0a\x2d\x00");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_RIGHT, false));
	assert_false(ps2_mouse_move(&mouse, 1, 1));
	EXPECT_MOUSE("\x08\x00\x00");
	/* This one has neither a wheel nor more buttons. */
	assert_true(ps2_mouse_turn(&mouse, 1, 1));
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_SIDE, true));
	EXPECT_MOUSE("");
}

static void test_mouse_with_wheel(void **state)
{
	(void)state;
	knock(200, 100, 80);
	ASK_MOUSE(0xf2, "\xfa\x03");
	ASK_MOUSE(0xf4, "\xfa");
	assert_true(ps2_mouse_turn(&mouse, -1, 5));
	EXPECT_MOUSE("\x08\x00\x00\xff");
	assert_true(ps2_mouse_turn(&mouse, 9, 0));
	EXPECT_MOUSE("\x08\x00\x00\x07\x08\x00\x00\x02");
	ASK_MOUSE(0xff, "\xfa\xaa\x00");
	ASK_MOUSE(0xf2, "\xfa\x00");
}

static void test_mouse_explorer(void **state)
{
	(void)state;
	knock(200, 200, 80);
	ASK_MOUSE(0xf2, "\xfa\x00");
	knock(200, 100, 80);
	knock(200, 200, 80);
	ASK_MOUSE(0xf2, "\xfa\x04");
	ASK_MOUSE(0xf4, "\xfa");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_SIDE, true));
	EXPECT_MOUSE("\x08\x00\x00\x10");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_EXTRA, true));
	EXPECT_MOUSE("\x08\x00\x00\x30");
	assert_true(ps2_mouse_turn(&mouse, -1, 1));
	EXPECT_MOUSE("\x08\x00\x00\x3f");
	/* It tilts for those who ask for it. */
	knock(200, 80, 40);
	assert_true(ps2_mouse_turn(&mouse, 0, -2));
	EXPECT_MOUSE("\x08\x00\x00\x7e");
	assert_true(ps2_mouse_turn(&mouse, 1, 40));
	EXPECT_MOUSE("\x08\x00\x00\x31\x08\x00\x00\x5f\x08\x00\x00\x49");
}

static void test_mouse_remote_mode(void **state)
{
	(void)state;
	ASK_MOUSE(0xf0, "\xfa");
	assert_true(ps2_mouse_is_listened_to(&mouse));
	move(5, 5);
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_LEFT, true));
	move(1, 1);
	EXPECT_MOUSE("");
	ASK_MOUSE(0xeb, "\xfa\x09\x06\x06");
	ASK_MOUSE(0xeb, "\xfa\x09\x00\x00");
}

static void test_mouse_wrap_mode(void **state)
{
	(void)state;
	ASK_MOUSE(0xf4, "\xfa");
	ASK_MOUSE(0xee, "\xfa");
	assert_false(ps2_mouse_is_listened_to(&mouse));
	ASK_MOUSE(0xf2, "\xf2");
	ASK_MOUSE(0x17, "\x17");
	ASK_MOUSE(0xec, "\xfa");
	assert_true(ps2_mouse_is_listened_to(&mouse));
	ASK_MOUSE(0xee, "\xfa");
	ASK_MOUSE(0xff, "\xfa\xaa\x00");
	ASK_MOUSE(0xf2, "\xfa\x00");
}

static void test_mouse_scaling(void **state)
{
	static const struct {
		int32_t step;
		uint8_t told;
	} cases[] = {{1, 1}, {2, 1}, {3, 3}, {4, 6}, {5, 9}, {6, 12}, {100, 200}, {200, 255}};

	(void)state;
	ASK_MOUSE(0xe7, "\xfa");
	ASK_MOUSE(0xf4, "\xfa");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char packet[] = {0x08, (char)cases[i].told, 0};
		const char back[] = {0x18, (char)-cases[i].told, 0};

		move(cases[i].step, 0);
		expect_mouse(packet, 3);
		move(-cases[i].step, 0);
		expect_mouse(back, 3);
	}
}

static void test_a_command_ends_a_packet(void **state)
{
	uint8_t byte;

	(void)state;
	ASK_MOUSE(0xf4, "\xfa");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_LEFT, true));
	assert_true(ps2_mouse_read(&mouse, &byte));
	assert_int_equal(byte, 0x09);
	/* What follows the answer begins a packet, and it knows of the button. */
	ASK_MOUSE(0xf2, "\xfa\x00\x09\x00\x00");
}

/* Its release is not seen while nobody listens, and it would stay down. */
static void test_a_button_goes_up_with_its_listener(void **state)
{
	(void)state;
	ASK_MOUSE(0xf4, "\xfa");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_LEFT, true));
	EXPECT_MOUSE("\x09\x00\x00");
	ASK_MOUSE(0xf5, "\xfa");
	ASK_MOUSE(0xf4, "\xfa\x08\x00\x00");
	EXPECT_MOUSE("");
	assert_true(ps2_mouse_press(&mouse, PS2_MOUSE_LEFT, true));
	EXPECT_MOUSE("\x09\x00\x00");
	ASK_MOUSE(0xff, "\xfa\xaa\x00");
	ASK_MOUSE(0xf4, "\xfa");
	EXPECT_MOUSE("");
}

static void test_mouse_without_reader(void **state)
{
	uint8_t byte;
	unsigned count = 0;

	(void)state;
	ASK_MOUSE(0xf4, "\xfa");
	for (unsigned i = 0; i < 100000; i++) {
		move(INT32_MAX, -INT32_MAX);
		(void)ps2_mouse_turn(&mouse, INT32_MAX, INT32_MAX);
		(void)ps2_mouse_press(&mouse, PS2_MOUSE_LEFT, i & 1);
	}
	while (ps2_mouse_read(&mouse, &byte))
		count++;
	assert_in_range(count, 3, 3 * 130);
}

static void test_mouse_flood(void **state)
{
	uint8_t byte;
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		ps2_mouse_write(&mouse, (uint8_t)(i * 7));
	while (ps2_mouse_read(&mouse, &byte))
		count++;
	assert_in_range(count, 1, PS2_MOUSE_QUEUE + 4);
	ps2_mouse_write(&mouse, 0xff);
	ASK_MOUSE(0xff, "\xfa\xaa\x00");
}

int main(void)
{
#define KEYBOARD(name) cmocka_unit_test_setup(test_##name, new_keyboard)
#define MOUSE(name)    cmocka_unit_test_setup(test_##name, new_mouse)
	const struct CMUnitTest tests[] = {
		KEYBOARD(set_2),
		KEYBOARD(set_1),
		KEYBOARD(set_3),
		KEYBOARD(print_screen_and_pause),
		KEYBOARD(unknown_keys_and_repeats_are_ignored),
		KEYBOARD(typematic),
		KEYBOARD(lamps),
		KEYBOARD(keys_wait_while_a_command_is_given),
		KEYBOARD(disabled),
		KEYBOARD(keys_without_reader),
		KEYBOARD(translation),
		KEYBOARD(all_keys),
		MOUSE(mouse_commands),
		MOUSE(mouse_packets),
		MOUSE(mouse_with_wheel),
		MOUSE(mouse_explorer),
		MOUSE(mouse_remote_mode),
		MOUSE(mouse_wrap_mode),
		MOUSE(mouse_scaling),
		MOUSE(a_command_ends_a_packet),
		MOUSE(a_button_goes_up_with_its_listener),
		MOUSE(mouse_without_reader),
		MOUSE(mouse_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
