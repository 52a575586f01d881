/*
 * The window's tables of keys. No library is needed for them.
 */
#include <linux/input-event-codes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/backend/display_sdl_keys.h"
#include "vmm/base/util.h"

/*
 * All keys that Linux's own driver for USB keyboards has (usages 4 to 0xe7 of the keyboard's page):
 * SDL's numbers are the same. 0: it has none, or SDL gives it another name.
 */
static void every_key_of_a_usb_keyboard_has_its_code(void **state)
{
	static const uint8_t usages[] = {0, 0, 0, 0, 30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38,
		50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44, 2, 3, 4, 5, 6, 7, 8, 9, 10,
		11, 28, 1, 14, 15, 57, 12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, 58, 59, 60,
		61, 62, 63, 64, 65, 66, 67, 68, 87, 88, 99, 70, 119, 110, 102, 104, 111, 107, 109,
		106, 105, 108, 103, 69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82,
		83, 86, 127, 116, 117, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193, 194,
		134, 138, 130, 132, 128, 129, 131, 137, 133, 135, 136, 113, 115, 114};
	static const uint8_t modifiers[] = {29, 42, 56, 125, 97, 54, 100, 126};

	(void)state;
	for (unsigned i = 4; i < ARRAY_SIZE(usages); i++)
		if (display_sdl_key((SDL_Scancode)i) != usages[i])
			fail_msg("usage %#x is key %u instead of %u", i,
				display_sdl_key((SDL_Scancode)i), usages[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(modifiers); i++)
		assert_int_equal(display_sdl_key((SDL_Scancode)(0xe0 + i)), modifiers[i]);
}

static void no_two_places_are_one_key(void **state)
{
	unsigned places[KEY_CNT] = {0}, count = 0;

	(void)state;
	for (unsigned i = 0; i < SDL_NUM_SCANCODES; i++) {
		unsigned code = display_sdl_key((SDL_Scancode)i);

		assert_in_range(code, 0, KEY_MAX);
		if (!code || i == SDL_SCANCODE_NONUSHASH)
			continue;
		count++;
		if (places[code])
			fail_msg("scancodes %u and %u are both key %u", places[code], i, code);
		places[code] = i;
	}
	assert_true(count > 150);
	assert_int_equal(display_sdl_key(SDL_NUM_SCANCODES), 0);
	assert_int_equal(display_sdl_key((SDL_Scancode)-1), 0);
}

static void five_buttons(void **state)
{
	(void)state;
	assert_int_equal(display_sdl_button(SDL_BUTTON_LEFT), BTN_LEFT);
	assert_int_equal(display_sdl_button(SDL_BUTTON_X2), BTN_EXTRA);
	assert_int_equal(display_sdl_button(0), 0);
	assert_int_equal(display_sdl_button(6), 0);
	assert_int_equal(display_sdl_button(255), 0);
}

static void host_keys_go_by_sign_then_by_place(void **state)
{
	(void)state;
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_F, 'f'), DISPLAY_SDL_FULL_SCREEN);
	/* Dvorak: the key that writes f is elsewhere, and what is on F's place is another letter. */
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_Y, 'f'), DISPLAY_SDL_FULL_SCREEN);
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_F, 'u'), DISPLAY_SDL_NOTHING);
	/* Cyrillic, where no key writes an f. */
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_F, 0x430), DISPLAY_SDL_FULL_SCREEN);
	/* French, where digits need Shift. */
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_1, '&'), DISPLAY_SDL_SCREENSHOT);
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_EQUALS, '='), DISPLAY_SDL_ZOOM_IN);
	assert_int_equal(
		display_sdl_find_action(SDL_SCANCODE_KP_PLUS, SDLK_KP_PLUS), DISPLAY_SDL_ZOOM_IN);
	/* German. */
	assert_int_equal(
		display_sdl_find_action(SDL_SCANCODE_RIGHTBRACKET, '+'), DISPLAY_SDL_ZOOM_IN);
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_F1, SDLK_F1), DISPLAY_SDL_HELP);
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_T, 't'), DISPLAY_SDL_NOTHING);
	assert_int_equal(display_sdl_find_action(SDL_SCANCODE_UNKNOWN, 0), DISPLAY_SDL_NOTHING);
	assert_int_equal(
		display_sdl_find_action(SDL_SCANCODE_DELETE, SDLK_DELETE), DISPLAY_SDL_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_of_a_usb_keyboard_has_its_code),
		cmocka_unit_test(no_two_places_are_one_key),
		cmocka_unit_test(five_buttons),
		cmocka_unit_test(host_keys_go_by_sign_then_by_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
