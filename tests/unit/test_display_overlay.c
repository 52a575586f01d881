/*
 * What the window says over the picture, and its font.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/backend/display_font.h"
#include "devices/backend/display_overlay.h"

enum {
	WIDTH = 1024,
	HEIGHT = 768,
	BEFORE = 0x00ff00ff, /* no colour of the overlay's */
};

static uint32_t pixels[WIDTH * HEIGHT];

static void draw(const struct display_overlay *overlay, uint32_t width, uint32_t height)
{
	const struct display_canvas canvas = {(uint8_t *)pixels, width, height, width * 4};

	for (size_t i = 0; i < ARRAY_SIZE(pixels); i++)
		pixels[i] = BEFORE;
	display_overlay_draw(overlay, &canvas);
}

static bool is_inside(const struct display_rect *rect, uint32_t x, uint32_t y)
{
	return x >= rect->x && x - rect->x < rect->width && y >= rect->y &&
		y - rect->y < rect->height;
}

/* All pixels of its rectangles are its own, and none besides. */
static void check_covers(const struct display_overlay *overlay, uint32_t width, uint32_t height)
{
	struct display_rect rects[DISPLAY_OVERLAY_RECTS];
	unsigned count = display_overlay_rects(overlay, width, height, rects);

	draw(overlay, width, height);
	for (unsigned i = 0; i < count; i++)
		assert_true(rects[i].x + rects[i].width <= width &&
			rects[i].y + rects[i].height <= height);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			bool inside = false;

			for (unsigned i = 0; i < count; i++)
				inside |= is_inside(&rects[i], x, y);
			if (inside != (pixels[y * width + x] != BEFORE))
				fail_msg("%u,%u of %ux%u", x, y, width, height);
		}
	}
}

static void add_lines(struct display_overlay *overlay, unsigned count)
{
	display_overlay_clear_help(overlay, "A title");
	for (unsigned i = 0; i < count; i++)
		display_overlay_add_help(overlay, i % 2 ? "F" : "", "line %u", i);
}

static void overlay_stays_in_its_rectangles(void **state)
{
	struct display_overlay overlay = {.shows_help = true};

	(void)state;
	add_lines(&overlay, 12);
	display_overlay_note(&overlay, 0, "a note\nof two lines");
	check_covers(&overlay, WIDTH, HEIGHT);
	check_covers(&overlay, 320, 200);
	check_covers(&overlay, 160, 120);
	check_covers(&overlay, 7, 3);
	check_covers(&overlay, 1, 1);
	overlay.shows_help = false;
	check_covers(&overlay, WIDTH, HEIGHT);
}

static void overlay_takes_any_text(void **state)
{
	struct display_overlay overlay = {.shows_help = true};
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	display_overlay_clear_help(&overlay, text);
	for (unsigned i = 0; i < 2 * DISPLAY_OVERLAY_LINES; i++)
		display_overlay_add_help(&overlay, text, "%s", text);
	assert_int_equal(overlay.line_count, DISPLAY_OVERLAY_LINES);
	display_overlay_note(&overlay, 0, "\n\n%s\n", text);
	check_covers(&overlay, WIDTH, HEIGHT);
	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i + 1);
	display_overlay_note(&overlay, 0, "%s", text);
	check_covers(&overlay, WIDTH, HEIGHT);
}

static void notes_go_after_a_while(void **state)
{
	struct display_overlay overlay = {.shows_help = false};
	struct display_rect rects[DISPLAY_OVERLAY_RECTS];

	(void)state;
	assert_int_equal(display_overlay_rects(&overlay, WIDTH, HEIGHT, rects), 0);
	display_overlay_note(&overlay, 1000, "a note");
	assert_int_equal(display_overlay_rects(&overlay, WIDTH, HEIGHT, rects), 1);
	assert_false(display_overlay_expire(&overlay, 1000 + DISPLAY_OVERLAY_NOTE_NS - 1));
	assert_true(display_overlay_expire(&overlay, 1000 + DISPLAY_OVERLAY_NOTE_NS));
	assert_false(display_overlay_expire(&overlay, 1000 + DISPLAY_OVERLAY_NOTE_NS));
	assert_int_equal(display_overlay_rects(&overlay, WIDTH, HEIGHT, rects), 0);
}

static void letters_differ_from_each_other(void **state)
{
	(void)state;
	for (int a = '!'; a < 127; a++)
		for (int b = ' '; b < a; b++)
			if (!memcmp(display_font_glyph((char)a), display_font_glyph((char)b),
				    DISPLAY_FONT_HEIGHT))
				fail_msg("%c looks like %c", a, b);
	for (int c = ' '; c < 127; c++)
		for (unsigned row = 0; row < DISPLAY_FONT_HEIGHT; row++)
			assert_int_equal(display_font_glyph((char)c)[row] >> DISPLAY_FONT_WIDTH, 0);
	assert_ptr_equal(display_font_glyph('\n'), display_font_glyph('?'));
	assert_ptr_equal(display_font_glyph((char)0xe4), display_font_glyph('?'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlay_stays_in_its_rectangles),
		cmocka_unit_test(overlay_takes_any_text),
		cmocka_unit_test(notes_go_after_a_while),
		cmocka_unit_test(letters_differ_from_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
