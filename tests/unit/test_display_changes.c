/*
 * display_changes: a copy that is brought up to date, and the places that are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/backend/display_changes.h"

enum {
	WIDTH = 200, /* no multiple of what is compared at once */
	HEIGHT = 4 * 1100,
	STRIDE = WIDTH + 3, /* pixels */
};

static uint32_t picture[HEIGHT][STRIDE], copy[HEIGHT][WIDTH];
static const struct display_surface surface = {.pixels = (const uint8_t *)picture,
	.width = WIDTH,
	.height = HEIGHT,
	.stride = sizeof(picture[0])};
static const struct display_rect all = {.width = WIDTH, .height = HEIGHT};
static struct display_changes changes;

static int setup(void **state)
{
	(void)state;
	memset(picture, 0, sizeof(picture));
	memset(copy, 0, sizeof(copy));
	changes.count = 0;
	return 0;
}

static void bring_up_to_date(const struct display_rect *rect)
{
	changes.count = 0;
	display_copy_changes(copy[0], WIDTH, &surface, rect, &changes);
}

static void assert_is_copy(void)
{
	for (unsigned y = 0; y < HEIGHT; y++)
		assert_memory_equal(copy[y], picture[y], sizeof(copy[y]));
}

static bool is_told(unsigned x, unsigned y)
{
	for (unsigned i = 0; i < changes.count; i++) {
		const struct display_rect *rect = &changes.rects[i];

		assert_true(rect->x + rect->width <= WIDTH && rect->y + rect->height <= HEIGHT);
		if (x - rect->x < rect->width && y - rect->y < rect->height)
			return true;
	}
	return false;
}

static void test_what_is_drawn_alike_is_not_told(void **state)
{
	(void)state;
	bring_up_to_date(&all);
	assert_int_equal(changes.count, 0);
}

static void test_a_pixel_is_told_with_its_surroundings(void **state)
{
	(void)state;
	picture[33][199] = 5;
	bring_up_to_date(&all);
	assert_is_copy();
	assert_int_equal(changes.count, 1);
	assert_true(is_told(199, 33));
	assert_int_equal(changes.rects[0].width, 200 - 192);
	assert_int_equal(changes.rects[0].height, 16);
}

static void test_outside_of_the_rectangle_nothing_is_looked_at(void **state)
{
	const struct display_rect rect = {.x = 10, .y = 20, .width = 30, .height = 5};

	(void)state;
	picture[20][9] = picture[20][40] = picture[19][10] = picture[25][10] = 1;
	bring_up_to_date(&rect);
	assert_int_equal(changes.count, 0);
	picture[24][39] = 1;
	bring_up_to_date(&rect);
	assert_int_equal(changes.count, 1);
	assert_memory_equal(&changes.rects[0], &rect, sizeof(rect));
	assert_int_equal(copy[20][9] | copy[20][40] | copy[19][10] | copy[25][10], 0);
	assert_int_equal(copy[24][39], 1);
}

static void test_bands_that_follow_each_other_are_one(void **state)
{
	(void)state;
	for (unsigned y = 0; y < 160; y++)
		picture[y][0] = y + 1;
	bring_up_to_date(&all);
	assert_int_equal(changes.count, 1);
	assert_int_equal(changes.rects[0].height, 160);
}

/* More places than there is room for: all are told, with more around some. */
static void test_places_without_end_are_all_told(void **state)
{
	(void)state;
	for (unsigned y = 0; y < HEIGHT; y += 32)
		picture[y][y % WIDTH] = 7;
	bring_up_to_date(&all);
	assert_is_copy();
	assert_int_equal(changes.count, DISPLAY_CHANGES_MAX);
	for (unsigned y = 0; y < HEIGHT; y += 32)
		assert_true(is_told(y % WIDTH, y));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_is_drawn_alike_is_not_told, setup),
		cmocka_unit_test_setup(test_a_pixel_is_told_with_its_surroundings, setup),
		cmocka_unit_test_setup(test_outside_of_the_rectangle_nothing_is_looked_at, setup),
		cmocka_unit_test_setup(test_bands_that_follow_each_other_are_one, setup),
		cmocka_unit_test_setup(test_places_without_end_are_all_told, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
