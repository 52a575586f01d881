/*
 * display: what is damaged for whom, which source is seen, who is woken, what reaches the loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "devices/backend/display.h"

enum {
	WIDTH = 64,
	HEIGHT = 48,
	THREAD_ROUNDS = 2000,
};

/* A source with a picture of its own; with `dirty` set a poll finds that rectangle. */
struct painter {
	struct display_source source;
	pthread_mutex_t lock;
	uint32_t pixels[WIDTH * HEIGHT];
	struct display_rect dirty;
	unsigned polls, resizes;
	uint32_t width, height;
};

struct watcher {
	struct display_viewer viewer;
	unsigned wakes;
	struct display_frame frame;
};

struct scene {
	struct loop *loop;
	struct display *display;
	struct painter polled, teller; /* the first has to be looked at */
	struct watcher watcher;
	unsigned requests[8], request_count;
};

static void find_dirty(void *opaque, struct display_damage *damage)
{
	struct painter *painter = opaque;

	painter->polls++;
	display_damage_add(damage, &painter->dirty);
	painter->dirty = (struct display_rect){.width = 0};
}

static void note_resize(void *opaque, uint32_t width, uint32_t height)
{
	struct painter *painter = opaque;

	assert_int_equal(pthread_mutex_trylock(&painter->lock), EBUSY);
	painter->resizes++;
	painter->width = width;
	painter->height = height;
}

static const struct display_source_ops polled_ops = {.poll = find_dirty};
static const struct display_source_ops teller_ops = {.resize = note_resize};

static void note_wake(void *opaque)
{
	((struct watcher *)opaque)->wakes++;
}

static void note_request(void *opaque, enum display_request request)
{
	struct scene *scene = opaque;

	scene->requests[scene->request_count++] = request;
}

static void add_painter(
	struct scene *scene, struct painter *painter, const struct display_source_ops *ops)
{
	pthread_mutex_init(&painter->lock, NULL);
	painter->source =
		(struct display_source){.ops = ops, .opaque = painter, .lock = &painter->lock};
	display_add_source(scene->display, &painter->source);
}

static void show(struct painter *painter, uint32_t width, uint32_t height)
{
	display_set_surface(&painter->source,
		&(struct display_surface){.pixels = (const uint8_t *)painter->pixels,
			.width = width,
			.height = height,
			.stride = WIDTH * DISPLAY_PIXEL_BYTES});
}

static void add_watcher(struct scene *scene, struct watcher *watcher)
{
	watcher->viewer = (struct display_viewer){.wake = note_wake, .opaque = watcher};
	display_add_viewer(scene->display, &watcher->viewer);
}

/* The frame stays as it was; its pixels and its name are not looked at afterwards. */
static const struct display_frame *look(struct watcher *watcher)
{
	display_begin_frame(&watcher->viewer, &watcher->frame);
	display_end_frame(&watcher->viewer);
	return &watcher->frame;
}

static void set_up(struct scene *scene)
{
	struct err err = ERR_INIT;

	*scene = (struct scene){.loop = NULL};
	assert_int_equal(loop_create(&scene->loop, &err), 0);
	assert_int_equal(display_create(&scene->display, scene->loop, &err), 0);
	add_painter(scene, &scene->polled, &polled_ops);
	add_painter(scene, &scene->teller, &teller_ops);
	add_watcher(scene, &scene->watcher);
}

static void tear_down(struct scene *scene)
{
	display_remove_viewer(&scene->watcher.viewer);
	display_remove_source(&scene->polled.source);
	display_remove_source(&scene->teller.source);
	display_destroy(scene->display);
	loop_destroy(scene->loop);
}

static void assert_rect(
	const struct display_rect *rect, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	assert_int_equal(rect->x, x);
	assert_int_equal(rect->y, y);
	assert_int_equal(rect->width, width);
	assert_int_equal(rect->height, height);
}

static void assert_whole(const struct display_frame *frame)
{
	assert_int_equal(frame->damage.count, 1);
	assert_rect(&frame->damage.rects[0], 0, 0, frame->surface.width, frame->surface.height);
}

/* ---- Rectangles ---- */

static void add(struct display_damage *damage, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	display_damage_add(damage, &(struct display_rect){.x = x, .y = y, .width = w, .height = h});
}

static void damage_joins_what_costs_nothing(void **state)
{
	struct display_damage damage = {.count = 0};

	(void)state;
	add(&damage, 0, 10, 100, 1);
	add(&damage, 0, 12, 100, 1);
	assert_int_equal(damage.count, 2);
	/* The line between makes one of the three. */
	add(&damage, 0, 11, 100, 1);
	assert_int_equal(damage.count, 1);
	assert_rect(&damage.rects[0], 0, 10, 100, 3);
	add(&damage, 5, 11, 10, 1);
	assert_int_equal(damage.count, 1);
	add(&damage, 0, 0, 200, 200);
	assert_int_equal(damage.count, 1);
	assert_rect(&damage.rects[0], 0, 0, 200, 200);
	add(&damage, 300, 300, 1, 1);
	assert_int_equal(damage.count, 2);
}

static void damage_has_an_end(void **state)
{
	struct display_damage damage = {.count = 0};
	static uint8_t covered[100][100];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		add(&damage, 37 * i % 100, 61 * i % 100, 1, 1);
		assert_true(damage.count <= DISPLAY_RECTS_MAX);
	}
	assert_int_equal(damage.count, DISPLAY_RECTS_MAX);
	memset(covered, 0, sizeof(covered));
	for (unsigned i = 0; i < damage.count; i++) {
		const struct display_rect *rect = &damage.rects[i];

		for (uint32_t y = rect->y; y < rect->y + rect->height; y++)
			for (uint32_t x = rect->x; x < rect->x + rect->width; x++)
				covered[y][x] = 1;
	}
	for (unsigned i = 0; i < 50; i++)
		assert_true(covered[61 * i % 100][37 * i % 100]);
}

static void damage_is_cut(void **state)
{
	struct display_damage damage = {.count = 0};

	(void)state;
	add(&damage, 0, 0, 0, 5);
	add(&damage, UINT32_MAX, 0, 5, 5);
	add(&damage, 0, DISPLAY_HEIGHT_MAX, 5, 5);
	assert_int_equal(damage.count, 0);
	add(&damage, 7000, 4000, UINT32_MAX, UINT32_MAX);
	assert_int_equal(damage.count, 1);
	assert_rect(
		&damage.rects[0], 7000, 4000, DISPLAY_WIDTH_MAX - 7000, DISPLAY_HEIGHT_MAX - 4000);
}

/* ---- What a viewer gets ---- */

static void viewer_gets_all_at_first_then_changes(void **state)
{
	struct scene scene;
	const struct display_frame *frame;

	(void)state;
	set_up(&scene);
	frame = look(&scene.watcher);
	assert_null(frame->surface.pixels);
	assert_non_null(frame->cursor);
	assert_int_equal(frame->damage.count, 0);
	assert_true(frame->surface_changed && frame->cursor_changed && frame->state_changed);

	show(&scene.teller, WIDTH, HEIGHT);
	assert_int_equal(scene.watcher.wakes, 2);
	frame = look(&scene.watcher);
	assert_ptr_equal(frame->surface.pixels, scene.teller.pixels);
	assert_true(frame->surface_changed);
	assert_whole(frame);

	frame = look(&scene.watcher);
	assert_false(frame->surface_changed || frame->cursor_changed || frame->state_changed);
	assert_int_equal(frame->damage.count, 0);

	display_add_damage(&scene.teller.source, &(struct display_rect){60, 40, 100, 2});
	display_add_damage(&scene.teller.source, &(struct display_rect){1, 1, 2, 2});
	display_add_damage(&scene.teller.source, &(struct display_rect){WIDTH, 0, 2, 2});
	assert_int_equal(scene.watcher.wakes, 3);
	frame = look(&scene.watcher);
	assert_int_equal(frame->damage.count, 2);
	assert_rect(&frame->damage.rects[0], 60, 40, WIDTH - 60, 2);
	assert_rect(&frame->damage.rects[1], 1, 1, 2, 2);
	tear_down(&scene);
}

static void new_size_is_a_new_surface(void **state)
{
	struct scene scene;
	const struct display_frame *frame;

	(void)state;
	set_up(&scene);
	show(&scene.teller, WIDTH, HEIGHT);
	look(&scene.watcher);
	show(&scene.teller, WIDTH, HEIGHT);
	frame = look(&scene.watcher);
	assert_false(frame->surface_changed);
	assert_whole(frame);
	show(&scene.teller, WIDTH / 2, HEIGHT / 2);
	frame = look(&scene.watcher);
	assert_true(frame->surface_changed);
	assert_int_equal(frame->surface.width, WIDTH / 2);
	assert_whole(frame);
	display_set_surface(&scene.teller.source, NULL);
	frame = look(&scene.watcher);
	assert_true(frame->surface_changed);
	assert_null(frame->surface.pixels);
	assert_int_equal(frame->damage.count, 0);
	tear_down(&scene);
}

static void viewers_have_their_own_damage(void **state)
{
	struct scene scene;
	struct watcher second = {.wakes = 0};
	const struct display_frame *frame;

	(void)state;
	set_up(&scene);
	show(&scene.polled, WIDTH, HEIGHT);
	look(&scene.watcher);
	add_watcher(&scene, &second);
	look(&second);
	/* What one finds by looking wakes the other, not itself. */
	scene.watcher.wakes = second.wakes = 0;
	scene.polled.dirty = (struct display_rect){0, 7, WIDTH, 1};
	frame = look(&scene.watcher);
	assert_int_equal(frame->damage.count, 1);
	assert_int_equal(scene.watcher.wakes, 0);
	assert_int_equal(second.wakes, 1);
	frame = look(&second);
	assert_int_equal(frame->damage.count, 1);
	assert_rect(&frame->damage.rects[0], 0, 7, WIDTH, 1);
	display_remove_viewer(&second.viewer);
	tear_down(&scene);
}

static void hidden_viewer_costs_nothing(void **state)
{
	struct scene scene;
	const struct display_frame *frame;

	(void)state;
	set_up(&scene);
	show(&scene.polled, WIDTH, HEIGHT);
	look(&scene.watcher);
	display_set_visible(&scene.watcher.viewer, false);
	scene.watcher.wakes = scene.polled.polls = 0;
	display_add_damage(&scene.polled.source, &(struct display_rect){0, 0, 5, 5});
	display_set_paused(scene.display, true);
	look(&scene.watcher);
	assert_int_equal(scene.watcher.wakes, 0);
	assert_int_equal(scene.polled.polls, 0);
	display_set_visible(&scene.watcher.viewer, true);
	assert_int_equal(scene.watcher.wakes, 1);
	frame = look(&scene.watcher);
	assert_whole(frame);
	assert_true(frame->surface_changed && frame->cursor_changed && frame->state_changed);
	assert_true(frame->paused);
	assert_int_equal(scene.polled.polls, 1);
	tear_down(&scene);
}

static void name_and_state_wake(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	look(&scene.watcher);
	scene.watcher.wakes = 0;
	display_set_name(scene.display, "web");
	display_set_paused(scene.display, false); /* nothing new */
	assert_int_equal(scene.watcher.wakes, 1);
	display_begin_frame(&scene.watcher.viewer, &scene.watcher.frame);
	assert_true(scene.watcher.frame.state_changed);
	assert_string_equal(scene.watcher.frame.name, "web");
	assert_false(scene.watcher.frame.paused);
	display_end_frame(&scene.watcher.viewer);
	display_set_paused(scene.display, true);
	assert_int_equal(scene.watcher.wakes, 2);
	assert_true(look(&scene.watcher)->paused);
	tear_down(&scene);
}

/* ---- Which source is seen ---- */

static void last_to_draw_is_seen(void **state)
{
	struct scene scene;
	const struct display_frame *frame;

	(void)state;
	set_up(&scene);
	show(&scene.polled, WIDTH, HEIGHT);
	assert_ptr_equal(look(&scene.watcher)->surface.pixels, scene.polled.pixels);
	show(&scene.teller, WIDTH, HEIGHT);
	frame = look(&scene.watcher);
	assert_ptr_equal(frame->surface.pixels, scene.teller.pixels);
	assert_true(frame->surface_changed);
	/* The kernel prints again. */
	scene.polled.dirty = (struct display_rect){0, 3, WIDTH, HEIGHT / 2};
	frame = look(&scene.watcher);
	assert_ptr_equal(frame->surface.pixels, scene.polled.pixels);
	assert_true(frame->surface_changed);
	assert_whole(frame);
	/* Damage without pixels shows nothing. */
	display_add_damage(&scene.teller.source, &(struct display_rect){WIDTH, HEIGHT, 1, 1});
	assert_ptr_equal(look(&scene.watcher)->surface.pixels, scene.polled.pixels);
	display_add_damage(&scene.teller.source, &(struct display_rect){0, 0, 1, 1});
	frame = look(&scene.watcher);
	assert_ptr_equal(frame->surface.pixels, scene.teller.pixels);
	assert_whole(frame);
	/* Its driver goes. */
	display_set_surface(&scene.teller.source, NULL);
	assert_ptr_equal(look(&scene.watcher)->surface.pixels, scene.polled.pixels);
	tear_down(&scene);
}

/* What was drawn before, and found only now, does not take the screen back. */
static void older_drawing_stays_behind(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	show(&scene.polled, WIDTH, HEIGHT);
	look(&scene.watcher);
	scene.polled.dirty = (struct display_rect){0, 3, WIDTH, HEIGHT / 2};
	show(&scene.teller, WIDTH, HEIGHT);
	assert_ptr_equal(look(&scene.watcher)->surface.pixels, scene.teller.pixels);
	tear_down(&scene);
}

/* Is the text seen after rows [y, y + rows) of it were drawn? */
static bool text_takes_over(struct scene *scene, uint32_t y, uint32_t rows)
{
	scene->polled.dirty = (struct display_rect){0, y, WIDTH, rows};
	return look(&scene->watcher)->surface.pixels == (const uint8_t *)scene->polled.pixels;
}

static void blinking_cursor_takes_no_screen(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	show(&scene.polled, WIDTH, HEIGHT);
	show(&scene.teller, WIDTH, HEIGHT);
	for (unsigned i = 0; i < 20; i++)
		assert_false(text_takes_over(&scene, 10, HEIGHT / 8));
	/* Somewhere else as well, in the time of one picture of the other: that is more. */
	display_add_damage(&scene.teller.source, &(struct display_rect){0, 0, 1, 1});
	assert_false(text_takes_over(&scene, 20, HEIGHT / 8));
	assert_true(text_takes_over(&scene, 26, 1));
	/* What has the screen keeps it with anything. */
	assert_true(text_takes_over(&scene, 0, 1));
	/* Where there is no other picture the smallest line is enough. */
	show(&scene.teller, WIDTH, HEIGHT);
	assert_false(text_takes_over(&scene, 0, 1));
	display_set_surface(&scene.teller.source, NULL);
	assert_true(text_takes_over(&scene, 0, 1));
	tear_down(&scene);
}

static void cursor_belongs_to_its_source(void **state)
{
	struct scene scene;
	const struct display_frame *frame;
	static const struct display_cursor arrow = {.width = 2, .height = 3, .hot_x = 1};

	(void)state;
	set_up(&scene);
	show(&scene.polled, WIDTH, HEIGHT);
	look(&scene.watcher);
	scene.watcher.wakes = 0;
	display_set_cursor(&scene.teller.source, &arrow);
	display_move_cursor(&scene.teller.source, -4, 9);
	assert_int_equal(scene.watcher.wakes, 0);
	assert_int_equal(look(&scene.watcher)->cursor->width, 0);
	show(&scene.teller, WIDTH, HEIGHT);
	frame = look(&scene.watcher);
	assert_true(frame->cursor_changed);
	assert_int_equal(frame->cursor->height, 3);
	assert_int_equal(frame->cursor_x, -4);
	display_move_cursor(&scene.teller.source, 5, 6);
	frame = look(&scene.watcher);
	assert_false(frame->cursor_changed);
	assert_int_equal(frame->cursor_y, 6);
	/* A guest may say anything; who adds a hot spot to it needs no more bits. */
	display_move_cursor(&scene.teller.source, INT32_MAX, INT32_MIN);
	frame = look(&scene.watcher);
	assert_int_equal(frame->cursor_x, DISPLAY_WIDTH_MAX);
	assert_int_equal(frame->cursor_y, -DISPLAY_CURSOR_SIDE);
	assert_int_equal(frame->damage.count, 0);
	tear_down(&scene);
}

/* ---- How often to look ---- */

static void polling_follows_changes(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	assert_true(display_poll_ns(scene.display) == UINT64_MAX);
	show(&scene.teller, WIDTH, HEIGHT);
	assert_true(display_poll_ns(scene.display) == UINT64_MAX);
	show(&scene.polled, WIDTH, HEIGHT);
	assert_true(display_poll_ns(scene.display) >= DISPLAY_FRAME_NS);
	assert_true(display_poll_ns(scene.display) <= DISPLAY_IDLE_NS);
	display_expect_change(scene.display);
	assert_true(display_poll_ns(scene.display) <= DISPLAY_IDLE_NS);
	display_set_surface(&scene.polled.source, NULL);
	assert_true(display_poll_ns(scene.display) == UINT64_MAX);
	tear_down(&scene);
}

/* ---- What goes through the loop ---- */

static void requests_come_on_the_loop(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	display_request(scene.display, DISPLAY_REQUEST_RESET);
	loop_run_once(scene.loop, 0); /* nobody listens */
	display_set_owner(scene.display, note_request, &scene);
	display_request(scene.display, DISPLAY_REQUEST_PAUSE);
	display_request(scene.display, DISPLAY_REQUEST_POWEROFF);
	assert_int_equal(scene.request_count, 0);
	loop_run_once(scene.loop, 0);
	assert_int_equal(scene.request_count, 2);
	assert_int_equal(scene.requests[0], DISPLAY_REQUEST_POWEROFF);
	assert_int_equal(scene.requests[1], DISPLAY_REQUEST_PAUSE);
	loop_run_once(scene.loop, 0);
	assert_int_equal(scene.request_count, 2);
	/* One that is never passed on. */
	display_request(scene.display, DISPLAY_REQUEST_QUIT);
	tear_down(&scene);
}

static void size_comes_on_the_loop(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	display_request_size(scene.display, 800, 600);
	display_request_size(scene.display, 1, 100000);
	assert_int_equal(scene.teller.resizes, 0);
	loop_run_once(scene.loop, 0);
	assert_int_equal(scene.teller.resizes, 1);
	assert_int_equal(scene.teller.width, DISPLAY_WIDTH_MIN);
	assert_int_equal(scene.teller.height, DISPLAY_HEIGHT_MAX);
	tear_down(&scene);
}

/* ---- One picture ---- */

static void image_is_a_copy(void **state)
{
	struct scene scene;
	struct display_image image;

	(void)state;
	set_up(&scene);
	assert_int_equal(display_copy_image(scene.display, &image), -ENODATA);
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		scene.teller.pixels[i] = i;
	show(&scene.teller, WIDTH / 2, HEIGHT);
	look(&scene.watcher);
	assert_int_equal(display_copy_image(scene.display, &image), 0);
	scene.teller.pixels[0] = 77;
	assert_int_equal(image.width, WIDTH / 2);
	assert_int_equal(image.height, HEIGHT);
	for (unsigned y = 0; y < HEIGHT; y++)
		for (unsigned x = 0; x < WIDTH / 2; x++)
			assert_int_equal(image.xrgb[y * (WIDTH / 2) + x], y * WIDTH + x);
	display_image_finish(&image);
	assert_null(image.xrgb);
	/* Somebody else saw nothing of it: what it found is still theirs. */
	show(&scene.polled, WIDTH, HEIGHT);
	look(&scene.watcher);
	scene.polled.dirty = (struct display_rect){0, 1, WIDTH, 1};
	assert_int_equal(display_copy_image(scene.display, &image), 0);
	display_image_finish(&image);
	assert_int_equal(look(&scene.watcher)->damage.count, 1);
	tear_down(&scene);
}

/* ---- Threads ---- */

struct busy {
	struct scene *scene;
	atomic_bool done;
	uint64_t sum;
};

static void *view(void *opaque)
{
	struct busy *busy = opaque;
	struct watcher watcher = {.wakes = 0};

	add_watcher(busy->scene, &watcher);
	while (!atomic_load(&busy->done)) {
		const struct display_surface *surface = &watcher.frame.surface;

		display_begin_frame(&watcher.viewer, &watcher.frame);
		for (uint32_t y = 0; surface->pixels && y < surface->height; y++)
			busy->sum += surface->pixels[(size_t)y * surface->stride];
		display_end_frame(&watcher.viewer);
		display_poll_ns(busy->scene->display);
		display_expect_change(busy->scene->display);
		display_request_size(busy->scene->display, 800, 600);
		display_request(busy->scene->display, DISPLAY_REQUEST_PAUSE);
		display_set_visible(&watcher.viewer, !watcher.viewer.visible);
	}
	display_remove_viewer(&watcher.viewer);
	return NULL;
}

static void note_nothing(void *opaque, enum display_request request)
{
	(void)opaque;
	(void)request;
}

/* For the thread sanitizer: a source that draws, two viewers, and the loop. */
static void threads_share_it(void **state)
{
	struct scene scene;
	struct busy busy[2];
	pthread_t threads[2];
	struct display_image image;

	(void)state;
	set_up(&scene);
	display_set_owner(scene.display, note_nothing, NULL);
	for (unsigned i = 0; i < 2; i++) {
		busy[i] = (struct busy){.scene = &scene};
		assert_int_equal(pthread_create(&threads[i], NULL, view, &busy[i]), 0);
	}
	for (unsigned i = 0; i < THREAD_ROUNDS; i++) {
		struct painter *painter = i & 1 ? &scene.teller : &scene.polled;

		show(painter, 1 + i % WIDTH, 1 + i % HEIGHT);
		display_lock(&painter->source);
		painter->pixels[0] = i;
		display_unlock(&painter->source);
		display_add_damage(&painter->source, &(struct display_rect){0, 0, 1, 1});
		display_move_cursor(&painter->source, (int32_t)i, 0);
		display_set_paused(scene.display, i & 2);
		if (i % 16 == 0)
			display_set_surface(&painter->source, NULL);
		if (display_copy_image(scene.display, &image) == 0)
			display_image_finish(&image);
		loop_run_once(scene.loop, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		atomic_store(&busy[i].done, true);
		pthread_join(threads[i], NULL);
	}
	tear_down(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_joins_what_costs_nothing),
		cmocka_unit_test(damage_has_an_end),
		cmocka_unit_test(damage_is_cut),
		cmocka_unit_test(viewer_gets_all_at_first_then_changes),
		cmocka_unit_test(new_size_is_a_new_surface),
		cmocka_unit_test(viewers_have_their_own_damage),
		cmocka_unit_test(hidden_viewer_costs_nothing),
		cmocka_unit_test(name_and_state_wake),
		cmocka_unit_test(last_to_draw_is_seen),
		cmocka_unit_test(older_drawing_stays_behind),
		cmocka_unit_test(blinking_cursor_takes_no_screen),
		cmocka_unit_test(cursor_belongs_to_its_source),
		cmocka_unit_test(polling_follows_changes),
		cmocka_unit_test(requests_come_on_the_loop),
		cmocka_unit_test(size_comes_on_the_loop),
		cmocka_unit_test(image_is_a_copy),
		cmocka_unit_test(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
