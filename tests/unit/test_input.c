/*
 * The input hub: who gets which event, in which order, and what a guest that does not listen
 * can and can't bring about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/input-event-codes.h>
#include <stdlib.h>

#include "devices/backend/input.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	TAKEN_MAX = 4096,
	THREADS = 4,
	ROUNDS = 2000,
};

/* A device: notes what it takes. */
struct fake_sink {
	struct input_sink sink;
	pthread_mutex_t lock;
	bool is_ready;
	unsigned room; /* events until it says "no room" */
	struct input_event taken[TAKEN_MAX];
	unsigned count;
	bool is_down[KEY_CNT];
};

enum {
	PS2_KEYBOARD,
	PS2_MOUSE,
	KEYBOARD,
	TABLET,
	SINKS,
};

struct fixture {
	struct loop *loop;
	struct input *input;
	struct fake_sink sinks[SINKS];
	unsigned changes;
};

static bool fake_is_ready(void *opaque)
{
	return ((struct fake_sink *)opaque)->is_ready;
}

static bool fake_take(void *opaque, const struct input_event *event)
{
	struct fake_sink *fake = opaque;

	if (!fake->room)
		return false;
	fake->room--;
	assert_true(fake->count < TAKEN_MAX);
	fake->taken[fake->count++] = *event;
	if (event->type == INPUT_EVENT_KEY)
		fake->is_down[event->code] = event->value;
	return true;
}

static void add_sink(struct fixture *f, unsigned index, unsigned kinds, unsigned rank)
{
	struct fake_sink *fake = &f->sinks[index];

	pthread_mutex_init(&fake->lock, NULL);
	fake->is_ready = true;
	fake->room = UINT32_MAX;
	fake->sink = (struct input_sink){.kinds = kinds,
		.rank = rank,
		.is_ready = fake_is_ready,
		.take = fake_take,
		.opaque = fake,
		.lock = &fake->lock};
	input_add_sink(f->input, &fake->sink);
}

static void on_change(void *opaque)
{
	((struct fixture *)opaque)->changes++;
}

static void run(struct fixture *f)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(f->loop, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_ERROR);
	assert_int_equal(loop_create(&f->loop, NULL), 0);
	assert_int_equal(input_create(&f->input, f->loop, NULL), 0);
	input_set_listener(f->input, on_change, f);
	add_sink(f, PS2_KEYBOARD, INPUT_KEYBOARD, 1);
	add_sink(f, PS2_MOUSE, INPUT_MOTION, 1);
	add_sink(f, KEYBOARD, INPUT_KEYBOARD, 2);
	add_sink(f, TABLET, INPUT_POSITION, 2);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SINKS; i++) {
		input_remove_sink(&f->sinks[i].sink);
		pthread_mutex_destroy(&f->sinks[i].lock);
	}
	input_destroy(f->input);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

/* The only event since the last look, on that sink. */
static struct input_event only(struct fixture *f, unsigned index)
{
	run(f);
	for (unsigned i = 0; i < SINKS; i++) {
		assert_int_equal(f->sinks[i].count, i == index);
		f->sinks[i].count = 0;
	}
	return f->sinks[index].taken[0];
}

static void assert_nothing(struct fixture *f)
{
	run(f);
	for (unsigned i = 0; i < SINKS; i++)
		assert_int_equal(f->sinks[i].count, 0);
}

static void assert_key(const struct input_event *event, unsigned code, bool down)
{
	assert_int_equal(event->type, INPUT_EVENT_KEY);
	assert_int_equal(event->code, code);
	assert_int_equal(event->value, down);
}

static void set_ready(struct fixture *f, unsigned index, bool ready)
{
	f->sinks[index].is_ready = ready;
	input_sink_wake(&f->sinks[index].sink);
}

static void set_room(struct fixture *f, unsigned index, unsigned room)
{
	f->sinks[index].room = room;
	input_sink_wake(&f->sinks[index].sink);
}

/* ---- Who gets it ---- */

static void test_events_go_to_the_best_of_their_kind(void **state)
{
	struct fixture *f = *state;
	struct input_event event;

	input_key(f->input, KEY_A, true);
	event = only(f, KEYBOARD);
	assert_key(&event, KEY_A, true);
	input_key(f->input, BTN_SIDE, true);
	event = only(f, TABLET);
	assert_key(&event, BTN_SIDE, true);
	input_point(f->input, 10, 20, 100, 100);
	assert_int_equal(only(f, TABLET).type, INPUT_EVENT_POINT);
	input_wheel(f->input, INPUT_NOTCH, -INPUT_NOTCH);
	event = only(f, TABLET);
	assert_int_equal(event.type, INPUT_EVENT_WHEEL);
	assert_int_equal(event.y, INPUT_NOTCH);
	assert_int_equal(event.x, -INPUT_NOTCH);
	input_move(f->input, 3, -4);
	event = only(f, PS2_MOUSE);
	assert_int_equal(event.x, 3);
	assert_int_equal(event.y, -4);
}

static void test_without_virtio_the_ps2_devices_take_over(void **state)
{
	struct fixture *f = *state;
	struct input_event event;

	set_ready(f, KEYBOARD, false);
	set_ready(f, TABLET, false);
	input_key(f->input, KEY_PLAYPAUSE, true);
	event = only(f, PS2_KEYBOARD);
	assert_key(&event, KEY_PLAYPAUSE, true);
	input_key(f->input, BTN_LEFT, true);
	event = only(f, PS2_MOUSE);
	assert_key(&event, BTN_LEFT, true);
	input_wheel(f->input, INPUT_NOTCH, 0);
	assert_int_equal(only(f, PS2_MOUSE).type, INPUT_EVENT_WHEEL);
	/* Nobody understands positions. */
	input_point(f->input, 10, 20, 100, 100);
	assert_nothing(f);
}

static void test_a_key_is_released_where_it_was_pressed(void **state)
{
	struct fixture *f = *state;
	struct input_event event;

	set_ready(f, KEYBOARD, false);
	input_key(f->input, KEY_LEFTSHIFT, true);
	only(f, PS2_KEYBOARD);
	set_ready(f, KEYBOARD, true);
	input_key(f->input, KEY_B, true);
	only(f, KEYBOARD);
	input_key(f->input, KEY_LEFTSHIFT, false);
	event = only(f, PS2_KEYBOARD);
	assert_key(&event, KEY_LEFTSHIFT, false);
	input_key(f->input, KEY_B, false);
	event = only(f, KEYBOARD);
	assert_key(&event, KEY_B, false);
}

static void test_device_gone_while_a_key_is_down(void **state)
{
	struct fixture *f = *state;

	input_key(f->input, KEY_A, true);
	only(f, KEYBOARD);
	set_ready(f, KEYBOARD, false);
	/* The other device never heard of the press. */
	input_key(f->input, KEY_A, false);
	assert_nothing(f);
	input_key(f->input, KEY_A, true);
	only(f, PS2_KEYBOARD);
}

static void test_a_removed_sink_gets_nothing(void **state)
{
	struct fixture *f = *state;

	input_key(f->input, KEY_A, true);
	only(f, KEYBOARD);
	input_remove_sink(&f->sinks[KEYBOARD].sink);
	input_key(f->input, KEY_A, false);
	assert_nothing(f);
	input_key(f->input, KEY_A, true);
	only(f, PS2_KEYBOARD);
	input_sink_wake(&f->sinks[KEYBOARD].sink);
	input_sink_set_leds(&f->sinks[KEYBOARD].sink, 7);
	run(f);
	assert_int_equal(input_leds(f->input), 0);
}

static void test_without_any_driver_events_vanish(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SINKS; i++)
		set_ready(f, i, false);
	for (unsigned i = 0; i < 10 * INPUT_RING; i++) {
		input_key(f->input, KEY_A, true);
		input_key(f->input, KEY_A, false);
		if (i % 64 == 0)
			run(f);
	}
	assert_int_equal(input_dropped(f->input), 0);
	assert_nothing(f);
	/* Who comes then sees what is typed then, and nothing of before. */
	for (unsigned i = 0; i < SINKS; i++)
		set_ready(f, i, true);
	assert_nothing(f);
}

/* ---- What a viewer may say ---- */

static void test_repeats_and_unknown_codes_are_ignored(void **state)
{
	struct fixture *f = *state;

	input_key(f->input, KEY_A, true);
	input_key(f->input, KEY_A, true);
	only(f, KEYBOARD);
	input_key(f->input, KEY_B, false);
	input_key(f->input, KEY_RESERVED, true);
	input_key(f->input, KEY_CNT, true);
	input_key(f->input, UINT32_MAX, true);
	input_move(f->input, 0, 0);
	input_wheel(f->input, 0, 0);
	assert_nothing(f);
}

static void test_corners_and_centre(void **state)
{
	static const struct {
		int32_t x, y;
		uint32_t width, height;
		int32_t want_x, want_y;
	} cases[] = {
		{0, 0, 1024, 768, 0, 0},
		{1023, 0, 1024, 768, INPUT_ABS_MAX, 0},
		{0, 767, 1024, 768, 0, INPUT_ABS_MAX},
		{1023, 767, 1024, 768, INPUT_ABS_MAX, INPUT_ABS_MAX},
		{512, 384, 1024, 768, 16400, 16405},
		{-5, INT32_MIN, 1024, 768, 0, 0},
		{1024, INT32_MAX, 1024, 768, INPUT_ABS_MAX, INPUT_ABS_MAX},
		{0, 1, 1, 1, 0, INPUT_ABS_MAX},
		{7, 7, 0, 0, INPUT_ABS_MAX, INPUT_ABS_MAX},
		{0, INT32_MAX, UINT32_MAX, UINT32_MAX, 0, 16384},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct input_event event;

		input_point(f->input, cases[i].x, cases[i].y, cases[i].width, cases[i].height);
		event = only(f, TABLET);
		assert_int_equal(event.x, cases[i].want_x);
		assert_int_equal(event.y, cases[i].want_y);
	}
}

static void test_each_pixel_comes_back(void **state)
{
	static const uint32_t sizes[] = {2, 640, 1024, 1280, 1366, 3840, 7680};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (uint32_t x = 0; x < sizes[i]; x++) {
			uint64_t there;

			input_point(f->input, (int32_t)x, 0, sizes[i], 1);
			there = (uint64_t)only(f, TABLET).x * (sizes[i] - 1);
			assert_int_equal((there + INPUT_ABS_MAX / 2) / INPUT_ABS_MAX, x);
		}
}

static void test_ctrl_alt_del(void **state)
{
	static const struct {
		unsigned code;
		bool down;
	} want[] = {{KEY_LEFTCTRL, true}, {KEY_LEFTALT, true}, {KEY_DELETE, true},
		{KEY_DELETE, false}, {KEY_LEFTALT, false}, {KEY_LEFTCTRL, false}};
	struct fixture *f = *state;

	/* Held by the person, who asks for it by a key with Ctrl. */
	input_key(f->input, KEY_LEFTCTRL, true);
	input_press_ctrl_alt_del(f->input);
	input_key(f->input, KEY_LEFTCTRL, false);
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_key(&f->sinks[KEYBOARD].taken[i], want[i].code, want[i].down);
}

static void test_release_all(void **state)
{
	struct fixture *f = *state;

	input_key(f->input, KEY_LEFTSHIFT, true);
	input_key(f->input, KEY_RIGHTALT, true);
	input_key(f->input, BTN_LEFT, true);
	input_release_all(f->input);
	input_release_all(f->input);
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, 4);
	assert_int_equal(f->sinks[TABLET].count, 2);
	assert_key(&f->sinks[TABLET].taken[1], BTN_LEFT, false);
	for (unsigned code = 0; code < KEY_CNT; code++)
		assert_false(f->sinks[KEYBOARD].is_down[code]);
}

/* ---- A guest that is slow, or does not take anything ---- */

static void test_motion_is_merged(void **state)
{
	struct fixture *f = *state;
	struct input_event *taken = f->sinks[PS2_MOUSE].taken;

	for (int i = 0; i < 1000; i++)
		input_move(f->input, 2, -1);
	input_key(f->input, KEY_A, true);
	input_move(f->input, INT32_MAX, INT32_MIN);
	input_move(f->input, INT32_MAX, INT32_MIN);
	run(f);
	assert_int_equal(f->sinks[PS2_MOUSE].count, 2);
	assert_int_equal(taken[0].x, 2000);
	assert_int_equal(taken[0].y, -1000);
	/* But not past a key. */
	assert_int_equal(taken[1].x, INT32_MAX);
	assert_int_equal(taken[1].y, -INT32_MAX);
	for (int i = 0; i < 1000; i++)
		input_point(f->input, i, 0, 1000, 1);
	run(f);
	assert_int_equal(f->sinks[TABLET].count, 1);
	assert_int_equal(f->sinks[TABLET].taken[0].x, INPUT_ABS_MAX);
}

static void test_what_waits_comes_in_order(void **state)
{
	struct fixture *f = *state;

	set_room(f, KEYBOARD, 1);
	for (unsigned code = KEY_1; code <= KEY_9; code++) {
		input_key(f->input, code, true);
		input_key(f->input, code, false);
	}
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, 1);
	set_room(f, KEYBOARD, 2);
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, 3);
	set_room(f, KEYBOARD, 1000);
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, 18);
	for (unsigned i = 0; i < 18; i++)
		assert_key(&f->sinks[KEYBOARD].taken[i], KEY_1 + i / 2, i % 2 == 0);
	assert_int_equal(input_dropped(f->input), 0);
}

static void test_keys_pass_a_pointer_that_waits(void **state)
{
	struct fixture *f = *state;

	set_room(f, TABLET, 0);
	for (unsigned i = 0; i < INPUT_RING; i++)
		input_wheel(f->input, INPUT_NOTCH, 0);
	run(f);
	assert_int_equal(input_waiting(f->input, INPUT_POSITION), INPUT_RING);
	assert_int_equal(input_waiting(f->input, INPUT_KEYBOARD), 0);
	input_key(f->input, KEY_A, true);
	input_key(f->input, KEY_A, false);
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, 2);
	assert_int_equal(f->sinks[TABLET].count, 0);
	assert_int_equal(input_dropped(f->input), 0);
	/* And the other way round. */
	set_room(f, TABLET, UINT32_MAX);
	run(f);
	set_room(f, KEYBOARD, 0);
	input_key(f->input, KEY_B, true);
	input_key(f->input, BTN_LEFT, true);
	input_key(f->input, BTN_LEFT, false);
	run(f);
	assert_int_equal(f->sinks[TABLET].count, INPUT_RING + 2);
	assert_int_equal(f->sinks[KEYBOARD].count, 2);
	assert_int_equal(input_waiting(f->input, INPUT_KEYBOARD), 1);
}

/* A device of both kinds sees a click with Ctrl as it was made, though the loop came late. */
static void test_keys_and_buttons_stay_in_order(void **state)
{
	static const unsigned want[] = {
		KEY_LEFTCTRL, BTN_LEFT, BTN_LEFT, KEY_LEFTCTRL, BTN_RIGHT, BTN_RIGHT};
	struct fixture *f = *state;
	const struct input_event *taken = f->sinks[TABLET].taken;

	set_ready(f, KEYBOARD, false);
	set_ready(f, PS2_KEYBOARD, false);
	f->sinks[TABLET].sink.kinds |= INPUT_KEYBOARD;
	input_key(f->input, KEY_LEFTCTRL, true);
	input_key(f->input, BTN_LEFT, true);
	input_key(f->input, BTN_LEFT, false);
	input_key(f->input, KEY_LEFTCTRL, false);
	input_key(f->input, BTN_RIGHT, true);
	input_key(f->input, BTN_RIGHT, false);
	run(f);
	assert_int_equal(f->sinks[TABLET].count, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(taken[i].code, want[i]);
}

static void test_nothing_outlives_a_reset(void **state)
{
	struct fixture *f = *state;

	input_key(f->input, KEY_LEFTSHIFT, true);
	only(f, KEYBOARD);
	set_room(f, KEYBOARD, 0);
	set_room(f, TABLET, 0);
	input_key(f->input, KEY_A, true);
	input_key(f->input, BTN_LEFT, true);
	input_wheel(f->input, INPUT_NOTCH, 0);
	run(f);
	input_reset(f->input);
	assert_int_equal(input_waiting(f->input, INPUT_KEYBOARD | INPUT_POSITION), 0);
	set_room(f, KEYBOARD, UINT32_MAX);
	set_room(f, TABLET, UINT32_MAX);
	/* The new guest knows of none of these keys. */
	input_release_all(f->input);
	assert_nothing(f);
	input_key(f->input, KEY_A, true);
	only(f, KEYBOARD);
	input_key(f->input, KEY_A, false);
	only(f, KEYBOARD);
}

static void test_what_waits_ends_with_the_driver(void **state)
{
	struct fixture *f = *state;

	set_room(f, KEYBOARD, 0);
	input_key(f->input, KEY_A, true);
	input_key(f->input, KEY_A, false);
	assert_nothing(f);
	/* The driver goes: what was for it goes to the other, whole. */
	set_ready(f, KEYBOARD, false);
	run(f);
	assert_int_equal(f->sinks[PS2_KEYBOARD].count, 2);
	assert_false(f->sinks[PS2_KEYBOARD].is_down[KEY_A]);
}

static void test_a_full_ring_drops_presses_and_no_release(void **state)
{
	struct fixture *f = *state;

	set_room(f, KEYBOARD, 0);
	input_key(f->input, KEY_LEFTSHIFT, true);
	for (unsigned i = 0; i < 100000; i++) {
		input_key(f->input, KEY_A + i % 10, true);
		input_wheel(f->input, 1, 0);
		input_move(f->input, 1, 1);
		input_key(f->input, BTN_LEFT, true);
		if (i % 3)
			input_key(f->input, KEY_A + i % 10, false);
		input_key(f->input, BTN_LEFT, false);
		input_press_ctrl_alt_del(f->input);
	}
	run(f);
	assert_true(input_dropped(f->input) > 100000);
	input_release_all(f->input);
	set_room(f, KEYBOARD, UINT32_MAX);
	run(f);
	assert_in_range(f->sinks[KEYBOARD].count, 2, INPUT_RING);
	for (unsigned i = 0; i < SINKS; i++)
		for (unsigned code = 0; code < KEY_CNT; code++)
			assert_false(f->sinks[i].is_down[code]);
	/* And all is as before. */
	for (unsigned i = 0; i < SINKS; i++)
		f->sinks[i].count = 0;
	input_key(f->input, KEY_Z, true);
	only(f, KEYBOARD);
}

static void test_all_keys_at_once(void **state)
{
	struct fixture *f = *state;

	set_room(f, KEYBOARD, 0);
	for (unsigned code = 1; code < BTN_MISC; code++)
		input_key(f->input, code, true);
	assert_int_equal(input_dropped(f->input), BTN_MISC - 1 - INPUT_RING / 2);
	input_release_all(f->input);
	set_room(f, KEYBOARD, UINT32_MAX);
	run(f);
	assert_int_equal(f->sinks[KEYBOARD].count, INPUT_RING);
	assert_key(&f->sinks[KEYBOARD].taken[INPUT_RING - 1], INPUT_RING / 2, false);
}

/* ---- What viewers are told ---- */

static void test_lamps_of_the_keyboard_in_use(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	run(f);
	before = f->changes;
	input_sink_set_leds(&f->sinks[PS2_KEYBOARD].sink, 1 << LED_NUML);
	run(f);
	assert_int_equal(input_leds(f->input), 0);
	assert_int_equal(f->changes, before);
	input_sink_set_leds(&f->sinks[KEYBOARD].sink, 1 << LED_CAPSL);
	run(f);
	assert_int_equal(input_leds(f->input), 1 << LED_CAPSL);
	assert_int_equal(f->changes, before + 1);
	input_sink_set_leds(&f->sinks[KEYBOARD].sink, 1 << LED_CAPSL);
	run(f);
	assert_int_equal(f->changes, before + 1);
	set_ready(f, KEYBOARD, false);
	run(f);
	assert_int_equal(input_leds(f->input), 1 << LED_NUML);
	assert_int_equal(f->changes, before + 2);
}

static void test_positions_come_and_go(void **state)
{
	struct fixture *f = *state;

	assert_false(input_takes_positions(f->input));
	run(f);
	assert_true(input_takes_positions(f->input));
	assert_int_equal(f->changes, 1);
	set_ready(f, TABLET, false);
	run(f);
	assert_false(input_takes_positions(f->input));
	assert_int_equal(f->changes, 2);
	input_set_listener(f->input, NULL, NULL);
	set_ready(f, TABLET, true);
	run(f);
	assert_true(input_takes_positions(f->input));
	assert_int_equal(f->changes, 2);
}

/* ---- Threads ---- */

struct typist {
	pthread_t thread;
	struct fixture *f;
	unsigned code;
};

static void *type_and_move(void *opaque)
{
	struct typist *typist = opaque;
	struct input *input = typist->f->input;

	for (int i = 0; i < ROUNDS; i++) {
		input_key(input, typist->code, true);
		input_move(input, 1, 1);
		input_point(input, i, i, ROUNDS, ROUNDS);
		input_key(input, typist->code, false);
		(void)input_leds(input);
		(void)input_takes_positions(input);
	}
	return NULL;
}

/* What vCPUs do: room comes, drivers come and go, lamps change. */
static void *be_a_guest(void *opaque)
{
	struct fixture *f = opaque;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct fake_sink *fake = &f->sinks[i % SINKS];

		pthread_mutex_lock(&fake->lock);
		fake->room = i % 5;
		fake->is_ready = i % 7;
		fake->count = 0;
		input_sink_wake(&fake->sink);
		input_sink_set_leds(&fake->sink, i % 8);
		pthread_mutex_unlock(&fake->lock);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	struct typist typists[THREADS];
	pthread_t guest;

	/* What is taken is kept: only the guest, who looks at it, makes room. */
	for (unsigned i = 0; i < SINKS; i++)
		set_room(f, i, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		typists[i] = (struct typist){.f = f, .code = KEY_A + i};
		assert_int_equal(
			pthread_create(&typists[i].thread, NULL, type_and_move, &typists[i]), 0);
	}
	assert_int_equal(pthread_create(&guest, NULL, be_a_guest, f), 0);
	for (int i = 0; i < ROUNDS; i++)
		loop_run_once(f->loop, 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(typists[i].thread, NULL);
	pthread_join(guest, NULL);
	for (unsigned i = 0; i < SINKS; i++) {
		f->sinks[i].count = 0;
		set_ready(f, i, true);
		set_room(f, i, TAKEN_MAX);
	}
	run(f);
	for (unsigned i = 0; i < THREADS; i++) {
		f->sinks[KEYBOARD].count = 0;
		f->sinks[PS2_KEYBOARD].count = 0;
		input_key(f->input, typists[i].code, true);
		input_key(f->input, typists[i].code, false);
		run(f);
		assert_int_equal(f->sinks[KEYBOARD].count, 2);
		assert_false(f->sinks[KEYBOARD].is_down[typists[i].code]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(events_go_to_the_best_of_their_kind),
		TEST(without_virtio_the_ps2_devices_take_over),
		TEST(a_key_is_released_where_it_was_pressed),
		TEST(device_gone_while_a_key_is_down),
		TEST(a_removed_sink_gets_nothing),
		TEST(without_any_driver_events_vanish),
		TEST(repeats_and_unknown_codes_are_ignored),
		TEST(corners_and_centre),
		TEST(each_pixel_comes_back),
		TEST(ctrl_alt_del),
		TEST(release_all),
		TEST(motion_is_merged),
		TEST(what_waits_comes_in_order),
		TEST(keys_pass_a_pointer_that_waits),
		TEST(keys_and_buttons_stay_in_order),
		TEST(nothing_outlives_a_reset),
		TEST(what_waits_ends_with_the_driver),
		TEST(a_full_ring_drops_presses_and_no_release),
		TEST(all_keys_at_once),
		TEST(lamps_of_the_keyboard_in_use),
		TEST(positions_come_and_go),
		TEST(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
