/*
 * Where a picture stands in a window, and its pixels there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/backend/display_scale.h"
#include "vmm/base/util.h"

enum {
	SIDE_MAX = 200
};

static uint32_t picture[SIDE_MAX * SIDE_MAX], window[SIDE_MAX * SIDE_MAX],
	parts[SIDE_MAX * SIDE_MAX];

static struct display_surface make_picture(uint32_t width, uint32_t height)
{
	for (uint32_t i = 0; i < width * height; i++)
		picture[i] = (uint32_t)rand() & 0xffffff;
	return (struct display_surface){(const uint8_t *)picture, width, height, width * 4};
}

static struct display_canvas canvas_of(uint32_t *pixels, uint32_t width, uint32_t height)
{
	return (struct display_canvas){(uint8_t *)pixels, width, height, width * 4};
}

static void paint_all(const struct display_fit *fit, const struct display_surface *surface,
	const struct display_canvas *canvas)
{
	display_scale_paint(
		fit, surface, canvas, &(struct display_rect){0, 0, canvas->width, canvas->height});
}

static void assert_area(
	const struct display_fit *fit, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	assert_int_equal(fit->area.x, x);
	assert_int_equal(fit->area.y, y);
	assert_int_equal(fit->area.width, width);
	assert_int_equal(fit->area.height, height);
}

static void fit_is_sharp_or_fills(void **state)
{
	struct display_fit fit;

	(void)state;
	fit = display_scale_fit(640, 400, 640, 400, false);
	assert_int_equal(fit.factor, 1);
	assert_area(&fit, 0, 0, 640, 400);
	fit = display_scale_fit(640, 400, 1400, 900, false);
	assert_int_equal(fit.factor, 2);
	assert_area(&fit, 60, 50, 1280, 800);
	fit = display_scale_fit(640, 400, 1400, 900, true);
	assert_int_equal(fit.factor, 0);
	assert_area(&fit, 0, 12, 1400, 875);
	/* A whole number that fills the window is sharp by itself. */
	fit = display_scale_fit(640, 400, 1280, 900, true);
	assert_int_equal(fit.factor, 2);
	fit = display_scale_fit(640, 400, 320, 400, false);
	assert_int_equal(fit.factor, 0);
	assert_area(&fit, 0, 100, 320, 200);
	fit = display_scale_fit(7680, 1, 20, 20, false);
	assert_area(&fit, 0, 9, 20, 1);
	fit = display_scale_fit(0, 0, 20, 20, false);
	assert_int_equal(fit.area.width, 0);
}

static void corners_are_reached_at_every_size(void **state)
{
	int32_t x, y;

	(void)state;
	for (uint32_t w = 1; w < 150; w++) {
		for (uint32_t p = 1; p < 150; p += 7) {
			struct display_fit fit = display_scale_fit(p, p, w, w, w % 2);
			int32_t left = (int32_t)fit.area.x, before = 0;
			int32_t right = left + (int32_t)fit.area.width - 1;

			display_scale_point(&fit, left, left, &x, &y);
			assert_true(x == 0 && y == 0);
			for (int32_t at = left; at <= right; at++) {
				display_scale_point(&fit, at, at, &x, &y);
				assert_true(x >= before && x == y);
				before = x;
			}
			assert_true(right == left || x == (int32_t)p - 1);
			/* What is outside counts as the edge. */
			display_scale_point(&fit, -1000, 1000000, &x, &y);
			assert_true(x == 0 && (right == left || y == (int32_t)p - 1));
		}
	}
}

static void whole_numbers_repeat_pixels(void **state)
{
	struct display_surface surface = make_picture(13, 9);
	struct display_canvas canvas = canvas_of(window, 50, 40);
	struct display_fit fit = display_scale_fit(13, 9, 50, 40, false);

	(void)state;
	assert_int_equal(fit.factor, 3);
	memset(window, 0xff, sizeof(window));
	paint_all(&fit, &surface, &canvas);
	for (uint32_t y = 0; y < 40; y++) {
		for (uint32_t x = 0; x < 50; x++) {
			uint32_t px = x - fit.area.x, py = y - fit.area.y;
			bool inside = px < fit.area.width && py < fit.area.height;

			assert_int_equal(
				window[y * 50 + x], inside ? picture[py / 3 * 13 + px / 3] : 0);
		}
	}
}

static void one_colour_stays_so(void **state)
{
	struct display_surface surface = make_picture(40, 30);

	(void)state;
	for (uint32_t i = 0; i < 40 * 30; i++)
		picture[i] = 0x12f0ff;
	for (uint32_t w = 20; w < 120; w += 3) {
		struct display_canvas canvas = canvas_of(window, w, w);
		struct display_fit fit = display_scale_fit(40, 30, w, w, true);

		paint_all(&fit, &surface, &canvas);
		for (uint32_t y = 0; y < fit.area.height; y++)
			for (uint32_t x = 0; x < fit.area.width; x++)
				assert_int_equal(
					window[(fit.area.y + y) * w + fit.area.x + x], 0x12f0ff);
	}
}

/* The part of the window that display_scale_rect() names is all that a change can reach. */
static void painted_parts_make_the_whole(void **state)
{
	const bool smooth[] = {false, true};

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		uint32_t pw = 1 + (uint32_t)rand() % 90, ph = 1 + (uint32_t)rand() % 90;
		uint32_t ww = 1 + (uint32_t)rand() % SIDE_MAX, wh = 1 + (uint32_t)rand() % SIDE_MAX;
		struct display_surface surface = make_picture(pw, ph);
		struct display_fit fit = display_scale_fit(pw, ph, ww, wh, smooth[round % 2]);
		struct display_canvas whole = canvas_of(window, ww, wh),
				      partly = canvas_of(parts, ww, wh);
		struct display_rect part, rect;

		paint_all(&fit, &surface, &partly);
		part.x = (uint32_t)rand() % pw;
		part.y = (uint32_t)rand() % ph;
		part.width = 1 + (uint32_t)rand() % (pw - part.x);
		part.height = 1 + (uint32_t)rand() % (ph - part.y);
		for (uint32_t y = 0; y < part.height; y++)
			for (uint32_t x = 0; x < part.width; x++)
				picture[(part.y + y) * pw + part.x + x] =
					(uint32_t)rand() & 0xffffff;
		rect = display_scale_rect(&fit, &part);
		assert_true(rect.width && rect.x + rect.width <= ww && rect.y + rect.height <= wh);
		display_scale_paint(&fit, &surface, &partly, &rect);
		paint_all(&fit, &surface, &whole);
		assert_memory_equal(window, parts, (size_t)ww * wh * 4);
	}
}

static void line_of_the_picture_is_a_line_of_the_window(void **state)
{
	struct display_fit fit = display_scale_fit(100, 50, 100, 50, false);
	struct display_rect rect = display_scale_rect(&fit, &(struct display_rect){0, 7, 100, 1});

	(void)state;
	assert_true(rect.x == 0 && rect.y == 7 && rect.width == 100 && rect.height == 1);
	rect = display_scale_rect(&fit, &(struct display_rect){90, 49, 4000, 4000});
	assert_true(rect.x == 90 && rect.y == 49 && rect.width == 10 && rect.height == 1);
	rect = display_scale_rect(&fit, &(struct display_rect){100, 0, 1, 1});
	assert_int_equal(rect.width, 0);
}

static void no_picture_is_black(void **state)
{
	struct display_fit fit = display_scale_fit(0, 0, 30, 20, false);
	struct display_canvas canvas = canvas_of(window, 30, 20);
	const struct display_surface none = {.pixels = NULL};
	int32_t x = 5, y = 5;

	(void)state;
	memset(window, 0xff, sizeof(window));
	paint_all(&fit, &none, &canvas);
	for (unsigned i = 0; i < 30 * 20; i++)
		assert_int_equal(window[i], 0);
	display_scale_point(&fit, 3, 3, &x, &y);
	assert_true(x == 0 && y == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fit_is_sharp_or_fills),
		cmocka_unit_test(corners_are_reached_at_every_size),
		cmocka_unit_test(whole_numbers_repeat_pixels),
		cmocka_unit_test(one_colour_stays_so),
		cmocka_unit_test(painted_parts_make_the_whole),
		cmocka_unit_test(line_of_the_picture_is_a_line_of_the_window),
		cmocka_unit_test(no_picture_is_black),
	};

	srand(4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
