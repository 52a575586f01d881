/*
 * The framebuffer: what the guest writes is what is seen, and only its rows are damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "devices/backend/display.h"
#include "tests/fake/fake_machine.h"
#include "vmm/base/util.h"

extern const struct device_class framebuffer_class;

#define BASE UINT64_C(0xc0000000)

enum {
	RESETS = 500
};

struct fixture {
	struct fake_machine *fm;
	struct display *display;
	struct device *device;
	struct display_viewer viewer;
	struct display_frame frame;
	uint32_t width;
};

static void ignore_wake(void *opaque)
{
	(void)opaque;
}

static void look(struct fixture *f)
{
	display_begin_frame(&f->viewer, &f->frame);
	display_end_frame(&f->viewer);
}

static void set_up(struct fixture *f, uint32_t width, uint32_t height)
{
	struct err err = ERR_INIT;
	struct device_args args = {
		.name = "framebuffer0", .width = width, .height = height, .base = BASE};

	*f = (struct fixture){.width = width, .viewer = {.wake = ignore_wake}};
	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(display_create(&f->display, f->fm->loop, &err), 0);
	args.display = f->display;
	assert_int_equal(device_create(&f->device, &framebuffer_class, &args, &err), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, &err), 0);
	display_add_viewer(f->display, &f->viewer);
	look(f);
}

static void tear_down(struct fixture *f)
{
	display_remove_viewer(&f->viewer);
	device_destroy(f->device);
	assert_int_equal(fake_machine_memory_count(f->fm), 0);
	display_destroy(f->display);
	fake_machine_destroy(f->fm);
}

static void put_pixel(struct fixture *f, uint32_t x, uint32_t y, uint32_t value)
{
	fake_machine_poke(
		f->fm, BASE + ((uint64_t)y * f->width + x) * DISPLAY_PIXEL_BYTES, &value, 4);
}

static uint32_t get_pixel(const struct fixture *f, uint32_t x, uint32_t y)
{
	return load_le32(f->frame.surface.pixels + (size_t)y * f->frame.surface.stride +
		(size_t)x * DISPLAY_PIXEL_BYTES);
}

static void assert_rows(const struct fixture *f, unsigned index, uint32_t first, uint32_t count)
{
	const struct display_rect *rect = &f->frame.damage.rects[index];

	assert_true(index < f->frame.damage.count);
	assert_int_equal(rect->x, 0);
	assert_int_equal(rect->width, f->width);
	assert_int_equal(rect->y, first);
	assert_int_equal(rect->height, count);
}

static void a_screen_is_black_at_first(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1024, 768);
	assert_true(f.frame.surface_changed);
	assert_int_equal(f.frame.surface.width, 1024);
	assert_int_equal(f.frame.surface.height, 768);
	assert_rows(&f, 0, 0, 768);
	assert_int_equal(get_pixel(&f, 1023, 767), 0);
	look(&f);
	assert_int_equal(f.frame.damage.count, 0);
	tear_down(&f);
}

static void writes_become_rows(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1024, 768);
	/* A line of text: 16 rows, of which each is one page. */
	for (uint32_t y = 160; y < 176; y++)
		put_pixel(&f, 8, y, 0x00aaaaaa);
	put_pixel(&f, 1023, 767, 0x00ff8001);
	look(&f);
	assert_int_equal(f.frame.damage.count, 2);
	assert_rows(&f, 0, 160, 16);
	assert_rows(&f, 1, 767, 1);
	assert_int_equal(get_pixel(&f, 8, 175), 0x00aaaaaa);
	assert_int_equal(get_pixel(&f, 1023, 767), 0x00ff8001);
	look(&f);
	assert_int_equal(f.frame.damage.count, 0);
	tear_down(&f);
}

/* A page begins and ends within a row: both rows are damaged, no more. */
static void rows_need_not_be_pages(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1280, 800);
	put_pixel(&f, 0, 0, 1);
	look(&f);
	assert_rows(&f, 0, 0, 1);
	put_pixel(&f, 1100, 0, 1); /* on the second page, which holds rows 0 and 1 */
	look(&f);
	assert_int_equal(f.frame.damage.count, 1);
	assert_rows(&f, 0, 0, 2);
	put_pixel(&f, 1279, 799, 1);
	look(&f);
	assert_rows(&f, 0, 799, 1);
	tear_down(&f);

	/* Many rows on one page, the last of which is not full. */
	set_up(&f, 321, 201);
	put_pixel(&f, 320, 200, 1);
	look(&f);
	assert_int_equal(f.frame.damage.count, 1);
	assert_rows(&f, 0, 200, 1);
	assert_int_equal(get_pixel(&f, 320, 200), 1);
	put_pixel(&f, 320, 0, 1);
	look(&f);
	assert_rows(&f, 0, 0, 4);
	/* Behind the last pixel, on the same page. */
	fake_machine_poke(f.fm, BASE + 321 * 201 * 4, &f.width, 4);
	look(&f);
	assert_rows(&f, 0, 200, 1);
	tear_down(&f);
}

static void all_pages_are_all_rows(void **state)
{
	static const uint32_t sizes[][2] = {
		{1024, 768}, {320, 200}, {1280, 800}, {7680, 4320}, {1000, 999}, {2048, 64}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct fixture f;

		set_up(&f, sizes[i][0], sizes[i][1]);
		look(&f);
		for (uint64_t at = 0; at < (uint64_t)sizes[i][0] * sizes[i][1] * 4; at += 4096)
			fake_machine_poke(f.fm, BASE + at, "x", 1);
		look(&f);
		assert_int_equal(f.frame.damage.count, 1);
		assert_rows(&f, 0, 0, sizes[i][1]);
		tear_down(&f);
	}
}

static void many_rows_are_few_areas(void **state)
{
	struct fixture f;
	bool covered[768] = {false};

	(void)state;
	set_up(&f, 1024, 768);
	for (uint32_t y = 0; y < 768; y += 2)
		put_pixel(&f, y, y, 1);
	look(&f);
	assert_int_equal(f.frame.damage.count, DISPLAY_RECTS_MAX);
	for (unsigned i = 0; i < f.frame.damage.count; i++)
		for (uint32_t y = 0; y < f.frame.damage.rects[i].height; y++)
			covered[f.frame.damage.rects[i].y + y] = true;
	for (uint32_t y = 0; y < 768; y += 2)
		assert_true(covered[y]);
	tear_down(&f);
}

static void reset_clears_all(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1024, 768);
	put_pixel(&f, 5, 5, 0x00ffffff);
	look(&f);
	assert_int_equal(get_pixel(&f, 5, 5), 0x00ffffff);
	/* The host's record can't be had now. */
	f.fm->memory_is_gone = true;
	look(&f);
	assert_int_equal(f.frame.damage.count, 0);
	device_reset(f.device);
	look(&f);
	assert_rows(&f, 0, 0, 768);
	assert_int_equal(get_pixel(&f, 5, 5), 0);
	f.fm->memory_is_gone = false;
	look(&f);
	assert_int_equal(f.frame.damage.count, 0);
	put_pixel(&f, 6, 6, 3);
	look(&f);
	assert_rows(&f, 0, 6, 1);
	assert_int_equal(get_pixel(&f, 6, 6), 3);
	tear_down(&f);
}

/* No other device can be made to read or write it. */
static void it_is_no_ram(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 320, 200);
	assert_null(gmem_ptr(&f.fm->mem, BASE, 4));
	tear_down(&f);
}

static void trouble_is_a_sentence(void **state)
{
	struct fixture f;
	struct err err = ERR_INIT;
	struct device *device;
	struct device_args args = {
		.name = "framebuffer1", .width = 320, .height = 200, .base = BASE + 256 * MIB};

	(void)state;
	set_up(&f, 320, 200);
	for (unsigned i = 1; i < FAKE_MEMORIES_MAX; i++)
		assert_true(f.fm->platform.ops->memory_map(
				    f.fm->platform.opaque, i * GIB, &f, 4096, &err) > 0);
	args.display = f.display;
	assert_int_equal(device_create(&device, &framebuffer_class, &args, &err), 0);
	assert_true(device_realize(device, &f.fm->platform, &err) < 0);
	assert_true(err_is_set(&err));
	device_destroy(device);
	/* One that was never realized. */
	assert_int_equal(device_create(&device, &framebuffer_class, &args, &err), 0);
	device_destroy(device);
	for (unsigned i = 1; i < FAKE_MEMORIES_MAX; i++)
		f.fm->platform.ops->memory_unmap(f.fm->platform.opaque, (int)i);
	tear_down(&f);
}

struct busy {
	struct fixture *f;
	atomic_bool done;
	uint64_t sum;
};

static void *watch(void *opaque)
{
	struct busy *busy = opaque;
	struct display_viewer viewer = {.wake = ignore_wake};
	struct display_frame frame;

	display_add_viewer(busy->f->display, &viewer);
	while (!atomic_load(&busy->done)) {
		display_begin_frame(&viewer, &frame);
		for (uint32_t y = 0; y < frame.surface.height; y++)
			busy->sum += frame.surface.pixels[(size_t)y * frame.surface.stride];
		display_end_frame(&viewer);
	}
	display_remove_viewer(&viewer);
	return NULL;
}

/* For the sanitizers: somebody looks while the machine is reset, and while its record is gone. */
static void a_reset_while_somebody_looks(void **state)
{
	struct fixture f;
	struct busy busy = {.f = &f};
	pthread_t thread;

	(void)state;
	set_up(&f, 320, 200);
	assert_int_equal(pthread_create(&thread, NULL, watch, &busy), 0);
	for (unsigned i = 0; i < RESETS; i++) {
		pthread_mutex_lock(&f.fm->mutex);
		f.fm->memory_is_gone = i & 1;
		pthread_mutex_unlock(&f.fm->mutex);
		device_reset(f.device);
		look(&f);
	}
	atomic_store(&busy.done, true);
	pthread_join(thread, NULL);
	assert_int_equal(busy.sum, 0);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_screen_is_black_at_first),
		cmocka_unit_test(writes_become_rows),
		cmocka_unit_test(rows_need_not_be_pages),
		cmocka_unit_test(all_pages_are_all_rows),
		cmocka_unit_test(many_rows_are_few_areas),
		cmocka_unit_test(reset_clears_all),
		cmocka_unit_test(it_is_no_ram),
		cmocka_unit_test(trouble_is_a_sentence),
		cmocka_unit_test(a_reset_while_somebody_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
