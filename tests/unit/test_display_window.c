/*
 * The window in a real X server (Xvfb): what is on its screen, what xdotool types, and what becomes
 * of it when the server ends. The display's and the input's hubs are the real ones.
 */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/backend/display_sdl.h"
#include "tests/fake/x_server.h"
#include "vmm/base/log.h"

enum {
	SCREEN_WIDTH = 1280,
	SCREEN_HEIGHT = 960,
	WIDTH = 640,
	HEIGHT = 400,
	PATIENCE_MS = 20000,
	EVENTS_MAX = 1000,
};

static struct {
	struct x_server server;
	struct loop *loop;
	struct display *display;
	struct input *input;
	struct display_sdl *window;
	struct display_source source;
	struct input_sink sink;
	pthread_mutex_t lock;
	bool takes_positions;
	uint32_t *pixels;
	uint32_t width, height;
	uint32_t told_width, told_height; /* by the window */
	struct input_event events[EVENTS_MAX];
	unsigned event_count;
	unsigned requests[DISPLAY_REQUEST_RESET + 1];
} t;

/* X libraries keep what they allocated for a connection that was lost, or that nobody closed. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libX11.so\nleak:libSDL2-2.0.so\nleak:libdbus-1.so\n";
}

/* They clear up when the program ends, under the hands of a thread that was left behind. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:libXau.so\nrace:libX11.so\n";
}

/* ---- The guest ---- */

static void note_request(void *opaque, enum display_request request)
{
	(void)opaque;
	t.requests[request]++;
}

static void note_size(void *opaque, uint32_t width, uint32_t height)
{
	(void)opaque;
	t.told_width = width;
	t.told_height = height;
}

static const struct display_source_ops source_ops = {.resize = note_size};

static bool is_ready(void *opaque)
{
	(void)opaque;
	return true;
}

static bool take(void *opaque, const struct input_event *event)
{
	(void)opaque;
	assert_in_range(t.event_count, 0, EVENTS_MAX - 1);
	t.events[t.event_count++] = *event;
	return true;
}

static uint32_t pattern(uint32_t x, uint32_t y)
{
	return ((x * 7) & 0xff) << 16 | ((y * 5) & 0xff) << 8 | ((x ^ y) & 0xff);
}

static void show_picture(uint32_t width, uint32_t height)
{
	struct display_surface surface = {.width = width, .height = height, .stride = width * 4};
	uint32_t *before = t.pixels;

	t.pixels = malloc((size_t)width * height * sizeof(*t.pixels));
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			t.pixels[y * width + x] = pattern(x, y) | 0xee000000;
	surface.pixels = (const uint8_t *)t.pixels;
	t.width = width;
	t.height = height;
	display_set_surface(&t.source, &surface);
	free(before);
}

static void damage(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	display_add_damage(&t.source, &(struct display_rect){x, y, width, height});
}

static bool is_all_up(void)
{
	int down = 0;

	for (unsigned i = 0; i < t.event_count; i++)
		if (t.events[i].type == INPUT_EVENT_KEY)
			down += t.events[i].value ? 1 : -1;
	return down == 0;
}

/* ---- Time ---- */

static void pass_ms(unsigned ms)
{
	const uint64_t end_ns = util_now_ns() + ms * UINT64_C(1000000);

	while (util_now_ns() < end_ns)
		loop_run_once(t.loop, 5);
}

#define wait_until(condition)                                                                      \
	do {                                                                                       \
		const uint64_t end_ns_ = util_now_ns() + PATIENCE_MS * UINT64_C(1000000);          \
                                                                                                   \
		while (!(condition) && util_now_ns() < end_ns_)                                    \
			loop_run_once(t.loop, 5);                                                  \
		if (!(condition))                                                                  \
			fail_msg("not in time: %s", #condition);                                   \
	} while (0)

static uint64_t frames(void)
{
	return display_sdl_stats(t.window).frames;
}

/* Until nothing more is drawn: the events of the last change have all come. */
static void settle(void)
{
	uint64_t before;

	do {
		before = frames();
		pass_ms(150);
	} while (frames() != before);
}

/* ---- The window ---- */

static long find_window(void)
{
	return x_server_ask("search --onlyvisible --name 'vmm' 2>/dev/null");
}

static int open_window(struct err *err)
{
	const struct display_sdl_config config = {.hide_hint = true};

	return display_sdl_start(&t.window, t.display, t.input, &config, err);
}

static void create_machine(void)
{
	t.pixels = NULL;
	t.window = NULL;
	t.told_width = t.told_height = t.event_count = 0;
	memset(t.requests, 0, sizeof(t.requests));
	pthread_mutex_init(&t.lock, NULL);
	assert_int_equal(loop_create(&t.loop, NULL), 0);
	assert_int_equal(display_create(&t.display, t.loop, NULL), 0);
	assert_int_equal(input_create(&t.input, t.loop, NULL), 0);
	display_set_owner(t.display, note_request, NULL);
	t.source = (struct display_source){.ops = &source_ops, .lock = &t.lock};
	display_add_source(t.display, &t.source);
	t.sink = (struct input_sink){
		.kinds = INPUT_KEYBOARD | (t.takes_positions ? INPUT_POSITION : INPUT_MOTION),
		.rank = 2,
		.is_ready = is_ready,
		.take = take,
		.lock = &t.lock,
	};
	input_add_sink(t.input, &t.sink);
	show_picture(WIDTH, HEIGHT);
}

static void destroy_machine(void)
{
	display_sdl_stop(t.window);
	input_remove_sink(&t.sink);
	display_remove_source(&t.source);
	input_destroy(t.input);
	display_destroy(t.display);
	loop_destroy(t.loop);
	pthread_mutex_destroy(&t.lock);
	free(t.pixels);
}

static int set_up_with(bool positions, unsigned depth)
{
	struct err err = ERR_INIT;

	if (!x_server_start(&t.server, SCREEN_WIDTH, SCREEN_HEIGHT, depth)) {
		print_message("skip: Xvfb and xdotool are not here\n");
		return 0;
	}
	t.takes_positions = positions;
	create_machine();
	if (open_window(&err) < 0)
		print_message("# %s\n", err.text);
	assert_non_null(t.window);
	x_server_do("windowfocus --sync %ld windowmove --sync %ld 0 0 2>/dev/null", find_window(),
		find_window());
	/* Where its cursor hides nothing of the picture. */
	assert_true(x_server_do("mousemove %d %d", SCREEN_WIDTH - 1, SCREEN_HEIGHT - 1));
	settle();
	t.event_count = 0;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return set_up_with(true, 24);
}

static int set_up_relative(void **state)
{
	(void)state;
	return set_up_with(false, 24);
}

static int set_up_16_bits(void **state)
{
	(void)state;
	return set_up_with(true, 16);
}

static int tear_down(void **state)
{
	(void)state;
	if (t.server.pid)
		destroy_machine();
	x_server_stop(&t.server);
	return 0;
}

#define need_server()                                                                              \
	do {                                                                                       \
		if (!t.server.pid)                                                                 \
			skip();                                                                    \
	} while (0)

/* ---- What is on the screen ---- */

static unsigned count_wrong(unsigned left, unsigned top, unsigned factor)
{
	unsigned wrong = 0;

	for (unsigned y = 0; y < t.height * factor; y++)
		for (unsigned x = 0; x < t.width * factor; x++)
			wrong += left + x >= SCREEN_WIDTH || top + y >= SCREEN_HEIGHT ||
				x_server_pixel(&t.server, left + x, top + y) !=
					(t.pixels[y / factor * t.width + x / factor] & 0xffffff);
	return wrong;
}

static void window_shows_the_picture(void **state)
{
	(void)state;
	need_server();
	wait_until(!count_wrong(0, 0, 1));
}

static void window_uploads_what_changed(void **state)
{
	struct display_sdl_stats before, after;

	(void)state;
	need_server();
	before = display_sdl_stats(t.window);
	for (uint32_t x = 0; x < WIDTH; x++)
		t.pixels[100 * WIDTH + x] = 0x123456 + x;
	damage(0, 100, WIDTH, 1);
	wait_until(frames() > before.frames);
	settle();
	after = display_sdl_stats(t.window);
	assert_int_equal(after.frames - before.frames, 1);
	assert_int_equal(after.bytes - before.bytes, WIDTH * 4);
	wait_until(!count_wrong(0, 0, 1));
	/* And nothing, not even a look, while nothing changes. */
	before = after;
	pass_ms(500);
	after = display_sdl_stats(t.window);
	assert_int_equal(after.looks, before.looks);
	assert_int_equal(after.frames, before.frames);
}

static void window_draws_nothing_when_hidden(void **state)
{
	long window = find_window();
	uint64_t before;

	(void)state;
	need_server();
	x_server_do("windowunmap --sync %ld", window);
	settle();
	before = frames();
	t.pixels[0] = 0xabcdef;
	damage(0, 0, 1, 1);
	pass_ms(300);
	assert_int_equal(frames(), before);
	x_server_do("windowmap --sync %ld", window);
	wait_until(frames() > before);
	settle();
	wait_until(!count_wrong(0, 0, 1));
}

static void window_follows_the_guest(void **state)
{
	(void)state;
	need_server();
	show_picture(800, 600);
	settle();
	wait_until(x_server_ask("getwindowgeometry --shell %ld | sed -n 's/^WIDTH=//p'",
			   find_window()) == 800);
	wait_until(!count_wrong(0, 0, 1));
	show_picture(320, 200);
	settle();
	wait_until(!count_wrong(0, 0, 1));
	/* One smaller than any window: nobody has chosen the size that it has then. */
	show_picture(100, 60);
	settle();
	wait_until(!count_wrong(30, 30, 1));
	show_picture(WIDTH, HEIGHT);
	settle();
	wait_until(!count_wrong(0, 0, 1));
}

static void window_resized_tells_the_guest(void **state)
{
	(void)state;
	need_server();
	x_server_do("windowsize --sync %ld 1280 900", find_window());
	wait_until(t.told_width);
	assert_int_equal(t.told_width, 1280);
	assert_int_equal(t.told_height, 900);
	settle();
	/* Twice as large, in the middle. */
	wait_until(!count_wrong(0, 50, 2));
	assert_int_equal(x_server_pixel(&t.server, 5, 20), 0);
	/* A person's size stays when the guest has another one. */
	show_picture(1280, 900);
	settle();
	wait_until(!count_wrong(0, 0, 1));
	show_picture(WIDTH, HEIGHT);
	settle();
	wait_until(!count_wrong(0, 50, 2));
}

static void window_fills_the_screen(void **state)
{
	(void)state;
	need_server();
	if (!x_server_manage_windows(&t.server)) {
		print_message("skip: openbox is not here\n");
		skip();
	}
	x_server_do("windowactivate --sync %ld", find_window());
	settle();
	x_server_do("key ctrl+alt+f");
	wait_until(t.told_width == SCREEN_WIDTH);
	assert_int_equal(t.told_height, SCREEN_HEIGHT);
	/* A note says how to leave it, for a while. */
	wait_until(!count_wrong(0, (SCREEN_HEIGHT - 2 * HEIGHT) / 2, 2));
	x_server_do("key ctrl+alt+f");
	wait_until(t.told_width == WIDTH);
	assert_int_equal(t.told_height, HEIGHT);
	assert_true(is_all_up());
}

static void window_zooms(void **state)
{
	(void)state;
	need_server();
	x_server_do("key ctrl+alt+plus");
	settle();
	wait_until(!count_wrong(0, 0, 2));
	x_server_do("key ctrl+alt+0");
	settle();
	wait_until(!count_wrong(0, 0, 1));
	/* The guest hears nothing of it. */
	assert_true(t.told_width == 0 || t.told_width == WIDTH);
}

static void window_shows_itself_in_16_bits(void **state)
{
	(void)state;
	need_server();
	assert_true(frames() > 0);
}

/* ---- Keys ---- */

static const unsigned all_keys[] = {KEY_ESC, KEY_F1, KEY_F2, KEY_F3, KEY_F4, KEY_F5, KEY_F6, KEY_F7,
	KEY_F8, KEY_F9, KEY_F10, KEY_F11, KEY_F12, KEY_SYSRQ, KEY_SCROLLLOCK, KEY_PAUSE, KEY_GRAVE,
	KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7, KEY_8, KEY_9, KEY_0, KEY_MINUS, KEY_EQUAL,
	KEY_BACKSPACE, KEY_INSERT, KEY_HOME, KEY_PAGEUP, KEY_NUMLOCK, KEY_KPSLASH, KEY_KPASTERISK,
	KEY_KPMINUS, KEY_TAB, KEY_Q, KEY_W, KEY_E, KEY_R, KEY_T, KEY_Y, KEY_U, KEY_I, KEY_O, KEY_P,
	KEY_LEFTBRACE, KEY_RIGHTBRACE, KEY_BACKSLASH, KEY_DELETE, KEY_END, KEY_PAGEDOWN, KEY_KP7,
	KEY_KP8, KEY_KP9, KEY_KPPLUS, KEY_CAPSLOCK, KEY_A, KEY_S, KEY_D, KEY_F, KEY_G, KEY_H, KEY_J,
	KEY_K, KEY_L, KEY_SEMICOLON, KEY_APOSTROPHE, KEY_ENTER, KEY_KP4, KEY_KP5, KEY_KP6,
	KEY_LEFTSHIFT, KEY_Z, KEY_X, KEY_C, KEY_V, KEY_B, KEY_N, KEY_M, KEY_COMMA, KEY_DOT,
	KEY_SLASH, KEY_RIGHTSHIFT, KEY_UP, KEY_KP1, KEY_KP2, KEY_KP3, KEY_KPENTER, KEY_LEFTCTRL,
	KEY_LEFTMETA, KEY_LEFTALT, KEY_SPACE, KEY_RIGHTALT, KEY_RIGHTMETA, KEY_COMPOSE,
	KEY_RIGHTCTRL, KEY_LEFT, KEY_DOWN, KEY_RIGHT, KEY_KP0, KEY_KPDOT,
	/* Beyond the 104 of a keyboard for the US. */
	KEY_102ND, KEY_RO, KEY_YEN, KEY_HENKAN, KEY_MUHENKAN, KEY_KATAKANAHIRAGANA, KEY_HANGEUL,
	KEY_HANJA, KEY_KPEQUAL, KEY_MUTE, KEY_VOLUMEDOWN, KEY_VOLUMEUP, KEY_NEXTSONG, KEY_PLAYPAUSE,
	KEY_PREVIOUSSONG, KEY_STOPCD};

/* X numbers its keys by those of Linux, and 8. */
static void press_key(char *command, size_t size, const char *verb, unsigned code)
{
	size_t used = strlen(command);

	if (code == KEY_ESC)
		snprintf(command + used, size - used, " %s Escape", verb);
	else
		snprintf(command + used, size - used, " %s %u", verb, code + 8);
}

static void check_event(unsigned index, unsigned code, int value)
{
	if (t.events[index].code != code || t.events[index].value != value)
		fail_msg("event %u: key %u value %d instead of %u %d", index, t.events[index].code,
			t.events[index].value, code, value);
}

static void keys_arrive_in_order(void **state)
{
	char command[3000] = "";

	(void)state;
	need_server();
	for (size_t i = 0; i < ARRAY_SIZE(all_keys); i++) {
		press_key(command, sizeof(command), "keydown", all_keys[i]);
		press_key(command, sizeof(command), "keyup", all_keys[i]);
	}
	assert_true(x_server_do("%s", command));
	wait_until(t.event_count >= 2 * ARRAY_SIZE(all_keys));
	for (unsigned i = 0; i < ARRAY_SIZE(all_keys); i++) {
		check_event(2 * i, all_keys[i], 1);
		check_event(2 * i + 1, all_keys[i], 0);
	}
	assert_int_equal(t.event_count, 2 * ARRAY_SIZE(all_keys));
}

/* With a layout whose ^ waits for a letter: the guest is given the key at once. */
static void dead_keys_are_keys(void **state)
{
	(void)state;
	need_server();
	if (system("setxkbmap de 2>/dev/null") != 0) {
		print_message("skip: setxkbmap is not here\n");
		skip();
	}
	pass_ms(300);
	t.event_count = 0;
	assert_true(x_server_do("keydown %u keyup %u keydown %u keyup %u keydown %u keyup %u",
		KEY_GRAVE + 8, KEY_GRAVE + 8, KEY_EQUAL + 8, KEY_EQUAL + 8, KEY_Y + 8, KEY_Y + 8));
	wait_until(t.event_count >= 6);
	check_event(0, KEY_GRAVE, 1);
	check_event(1, KEY_GRAVE, 0);
	check_event(2, KEY_EQUAL, 1);
	check_event(4, KEY_Y, 1);
}

static void focus_loss_releases_keys(void **state)
{
	(void)state;
	need_server();
	x_server_do("keydown shift keydown a");
	wait_until(t.event_count == 2);
	x_server_do("windowunmap --sync %ld", find_window());
	wait_until(t.event_count == 4);
	assert_int_equal(t.events[2].value, 0);
	assert_int_equal(t.events[3].value, 0);
	assert_int_equal(t.events[2].code + t.events[3].code, KEY_LEFTSHIFT + KEY_A);
	x_server_do("keyup shift keyup a");
}

static bool was_pressed(unsigned code)
{
	for (unsigned i = 0; i < t.event_count; i++)
		if (t.events[i].type == INPUT_EVENT_KEY && t.events[i].code == code)
			return true;
	return false;
}

static void host_keys_are_not_the_guests(void **state)
{
	(void)state;
	need_server();
	x_server_do("key ctrl+alt+2");
	wait_until(t.requests[DISPLAY_REQUEST_PAUSE] == 1);
	x_server_do("key ctrl+alt+3");
	pass_ms(200);
	assert_int_equal(t.requests[DISPLAY_REQUEST_RESET], 0);
	x_server_do("key ctrl+alt+3");
	wait_until(t.requests[DISPLAY_REQUEST_RESET] == 1);
	assert_int_equal(chdir(t.server.folder), 0);
	x_server_do("key ctrl+alt+1 key ctrl+alt+1");
	/* Two in a second: both are there. What they show is what the display has. */
	wait_until(system("test $(ls vmm-2*.png 2>/dev/null | wc -l) = 2") == 0);
	assert_int_equal(chdir("/"), 0);
	x_server_do("key ctrl+alt+h");
	settle();
	assert_int_not_equal(count_wrong(0, 0, 1), 0);
	x_server_do("key ctrl+alt+h");
	assert_true(is_all_up());
	assert_false(was_pressed(KEY_1) || was_pressed(KEY_2) || was_pressed(KEY_3) ||
		was_pressed(KEY_H));
	t.event_count = 0;
	x_server_do("key ctrl+alt+4");
	wait_until(was_pressed(KEY_DELETE));
	wait_until(is_all_up());
	assert_false(was_pressed(KEY_4));
	/* Any other third key is the guest's. */
	t.event_count = 0;
	x_server_do("key ctrl+alt+t");
	wait_until(was_pressed(KEY_T));
}

/* ---- The pointer ---- */

static const struct input_event *last_of(enum input_event_type type)
{
	for (unsigned i = t.event_count; i-- > 0;)
		if (t.events[i].type == type)
			return &t.events[i];
	return NULL;
}

/* The hub's scale: the first pixel is 0, the last INPUT_ABS_MAX. */
static bool points_at(int x, int y)
{
	const struct input_event *event = last_of(INPUT_EVENT_POINT);
	double at_x = event ? (double)event->x * (WIDTH - 1) / INPUT_ABS_MAX : -1;
	double at_y = event ? (double)event->y * (HEIGHT - 1) / INPUT_ABS_MAX : -1;

	return at_x > x - 0.5 && at_x < x + 0.5 && at_y > y - 0.5 && at_y < y + 0.5;
}

static void pointer_reaches_every_corner(void **state)
{
	static const struct {
		int x, y;
	} places[] = {{WIDTH / 2, HEIGHT / 2}, {0, 0}, {WIDTH - 1, 0}, {WIDTH - 1, HEIGHT - 1},
		{0, HEIGHT - 1}, {WIDTH / 2 + 1, HEIGHT / 2 - 1}};

	(void)state;
	need_server();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		x_server_do("mousemove %d %d", places[i].x, places[i].y);
		wait_until(points_at(places[i].x, places[i].y));
	}
	/* The same places of a picture twice as large, with black above and below. */
	x_server_do("windowsize --sync %ld 1280 900", find_window());
	settle();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		x_server_do("mousemove %d %d", places[i].x * 2 + 1, 50 + places[i].y * 2);
		wait_until(points_at(places[i].x, places[i].y));
	}
}

static void buttons_and_wheel_arrive(void **state)
{
	static const unsigned buttons[] = {BTN_LEFT, BTN_MIDDLE, BTN_RIGHT, BTN_SIDE, BTN_EXTRA};
	static const unsigned x_buttons[] = {1, 2, 3, 8, 9};
	const struct input_event *wheel;

	(void)state;
	need_server();
	x_server_do("mousemove 100 100");
	wait_until(points_at(100, 100));
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++) {
		t.event_count = 0;
		x_server_do("click %u", x_buttons[i]);
		wait_until(was_pressed(buttons[i]) && is_all_up());
	}
	for (unsigned i = 4; i <= 7; i++) {
		t.event_count = 0;
		x_server_do("click %u", i);
		wait_until(last_of(INPUT_EVENT_WHEEL));
		wheel = last_of(INPUT_EVENT_WHEEL);
		assert_int_equal(wheel->y, i == 4 ? INPUT_NOTCH : i == 5 ? -INPUT_NOTCH : 0);
		assert_int_equal(wheel->x, i == 7 ? INPUT_NOTCH : i == 6 ? -INPUT_NOTCH : 0);
	}
}

static bool title_has(const char *text)
{
	char command[200];

	snprintf(command, sizeof(command), "xdotool getwindowname %ld | grep -qF -- '%s'",
		find_window(), text);
	return system(command) == 0;
}

/* A square of one colour that hides what is below it. */
static void show_cursor(uint32_t side)
{
	struct display_cursor cursor = {.width = side, .height = side};

	for (uint32_t i = 0; i < side * side; i++)
		cursor.argb[i] = 0xffff8000;
	display_set_cursor(&t.source, &cursor);
}

static bool has_cursor(unsigned x, unsigned y)
{
	return x_server_pixel(&t.server, x, y) == 0xff8000;
}

static void hosts_pointer_looks_like_the_guests(void **state)
{
	(void)state;
	need_server();
	x_server_do("mousemove 100 100");
	show_cursor(8);
	wait_until(has_cursor(100, 100) && has_cursor(107, 107) && !has_cursor(108, 108));
	/* A guest that hides its pointer hides the host's. */
	show_cursor(0);
	wait_until(!count_wrong(0, 0, 1));
	show_cursor(4);
	wait_until(has_cursor(103, 103) && !has_cursor(104, 104));
}

static void grabbed_pointer_is_painted(void **state)
{
	(void)state;
	need_server();
	x_server_do("mousemove 100 100 click 1");
	wait_until(title_has("(Ctrl+Alt releases)"));
	show_cursor(8);
	display_move_cursor(&t.source, 20, 30);
	wait_until(has_cursor(20, 30) && has_cursor(27, 37));
	/* What it hid is seen again, and drawing below leaves it on top. */
	display_move_cursor(&t.source, WIDTH - 4, -4);
	wait_until(has_cursor(WIDTH - 1, 3) && !has_cursor(20, 30));
	damage(0, 0, WIDTH, 2);
	settle();
	assert_true(has_cursor(WIDTH - 1, 0));
	x_server_do("keydown ctrl keydown alt keyup alt keyup ctrl");
	wait_until(!title_has("releases"));
	x_server_do("mousemove %d %d", SCREEN_WIDTH - 1, SCREEN_HEIGHT - 1);
	wait_until(!count_wrong(0, 0, 1));
}

static void click_grabs_a_relative_pointer(void **state)
{
	const struct input_event *move;

	(void)state;
	need_server();
	assert_false(title_has("releases"));
	x_server_do("mousemove 100 100 click 1");
	wait_until(title_has("(Ctrl+Alt releases)"));
	assert_null(last_of(INPUT_EVENT_KEY));
	pass_ms(200);
	t.event_count = 0;
	x_server_do("mousemove_relative 10 5");
	wait_until(last_of(INPUT_EVENT_MOVE));
	pass_ms(100);
	move = last_of(INPUT_EVENT_MOVE);
	assert_int_equal(move->x, 10);
	assert_int_equal(move->y, 5);
	x_server_do("click 3");
	wait_until(was_pressed(BTN_RIGHT));
	/* With a third key in between it is not meant. */
	x_server_do("key ctrl+alt+t");
	pass_ms(200);
	assert_true(title_has("(Ctrl+Alt releases)"));
	x_server_do("keydown ctrl keydown alt keyup alt keyup ctrl");
	wait_until(!title_has("releases"));
	assert_true(is_all_up());
	/* What is held when the pointer is given back goes up all the same. */
	x_server_do("click 1");
	wait_until(title_has("(Ctrl+Alt releases)"));
	pass_ms(100);
	t.event_count = 0;
	x_server_do("mousedown 1");
	wait_until(was_pressed(BTN_LEFT));
	x_server_do("keydown ctrl keydown alt keyup alt keyup ctrl");
	wait_until(!title_has("releases"));
	x_server_do("mouseup 1");
	wait_until(is_all_up());
}

/* ---- Title and end ---- */

static void title_says_name_and_state(void **state)
{
	(void)state;
	need_server();
	display_set_name(t.display, "my guest");
	wait_until(title_has("my guest \u2014 vmm"));
	display_set_paused(t.display, true);
	wait_until(title_has("my guest \u2014 vmm [paused]"));
	display_set_paused(t.display, false);
	wait_until(!title_has("paused"));
}

static void closing_asks_and_then_ends(void **state)
{
	(void)state;
	need_server();
	x_server_close_window((unsigned long)find_window());
	wait_until(t.requests[DISPLAY_REQUEST_POWEROFF] == 1);
	assert_int_equal(t.requests[DISPLAY_REQUEST_QUIT], 0);
	x_server_close_window((unsigned long)find_window());
	wait_until(t.requests[DISPLAY_REQUEST_QUIT] == 1);
	assert_int_equal(t.requests[DISPLAY_REQUEST_POWEROFF], 1);
}

static void window_survives_its_server(void **state)
{
	(void)state;
	need_server();
	x_server_do("keydown a");
	wait_until(t.event_count == 1);
	kill(t.server.pid, SIGKILL);
	wait_until(display_sdl_stats(t.window).is_lost);
	wait_until(is_all_up());
	/* The guest goes on drawing. */
	damage(0, 0, WIDTH, HEIGHT);
	show_picture(800, 600);
	pass_ms(50);
}

static void window_of_a_stopped_server_ends(void **state)
{
	(void)state;
	need_server();
	kill(t.server.pid, SIGSTOP);
	for (unsigned i = 0; i < 20; i++) {
		damage(0, 0, WIDTH, HEIGHT);
		pass_ms(20);
	}
	/* The guest was never kept waiting; and this returns. */
	display_sdl_stop(t.window);
	t.window = NULL;
}

/* A pointer that grows with the picture's pixels is more than fits on the way to the server. */
static void pointer_for_a_stopped_server_holds_nobody_up(void **state)
{
	(void)state;
	need_server();
	x_server_do("windowsize --sync %ld 1280 900", find_window());
	settle();
	show_cursor(DISPLAY_CURSOR_SIDE);
	settle();
	kill(t.server.pid, SIGSTOP);
	alarm(PATIENCE_MS / 1000);
	for (unsigned i = 0; i < 20; i++) {
		show_picture(i % 2 ? WIDTH : WIDTH / 2, i % 2 ? HEIGHT : HEIGHT / 2);
		pass_ms(20);
	}
	display_sdl_stop(t.window);
	t.window = NULL;
	alarm(0);
}

static void window_of_a_stopped_server_fails(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	need_server();
	display_sdl_stop(t.window);
	kill(t.server.pid, SIGSTOP);
	assert_int_equal(open_window(&err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "does not answer"));
	assert_null(t.window);
}

static void window_without_server_fails(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	need_server();
	display_sdl_stop(t.window);
	setenv("DISPLAY", ":54321", 1);
	assert_int_equal(open_window(&err), -ENODEV);
	assert_non_null(strstr(err.text, ":54321"));
	assert_true(err.hint[0]);
	err_clear(&err);
	unsetenv("DISPLAY");
	assert_int_equal(open_window(&err), -ENODEV);
	assert_non_null(strstr(err.text, "no desktop"));
	setenv("DISPLAY", ":0", 1);
}

/*
 * What is left of a connection that was lost can't be cleared away: each of these has a process of
 * its own, which is this program again.
 */
static char *own_path;

static void in_own_process(void **state)
{
	char command[600], line[200];
	FILE *output;

	snprintf(command, sizeof(command), "CMOCKA_MESSAGE_OUTPUT=STDOUT '%s' %s 2>&1", own_path,
		(const char *)*state);
	output = popen(command, "r");
	assert_non_null(output);
	while (fgets(line, sizeof(line), output))
		print_message("# %s", line);
	assert_int_equal(pclose(output), 0);
}

#define window_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define own_process_test(name)                                                                     \
	{                                                                                          \
#name "_", in_own_process, NULL, NULL, (void *)(uintptr_t) #name                   \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		window_test(window_shows_the_picture),
		window_test(window_uploads_what_changed),
		window_test(window_draws_nothing_when_hidden),
		window_test(window_follows_the_guest),
		window_test(window_resized_tells_the_guest),
		window_test(window_fills_the_screen),
		window_test(window_zooms),
		cmocka_unit_test_setup_teardown(
			window_shows_itself_in_16_bits, set_up_16_bits, tear_down),
		window_test(keys_arrive_in_order),
		window_test(dead_keys_are_keys),
		window_test(focus_loss_releases_keys),
		window_test(host_keys_are_not_the_guests),
		window_test(pointer_reaches_every_corner),
		window_test(buttons_and_wheel_arrive),
		window_test(hosts_pointer_looks_like_the_guests),
		cmocka_unit_test_setup_teardown(
			click_grabs_a_relative_pointer, set_up_relative, tear_down),
		cmocka_unit_test_setup_teardown(
			grabbed_pointer_is_painted, set_up_relative, tear_down),
		window_test(title_says_name_and_state),
		window_test(closing_asks_and_then_ends),
		own_process_test(window_survives_its_server),
		own_process_test(window_of_a_stopped_server_ends),
		own_process_test(pointer_for_a_stopped_server_holds_nobody_up),
		own_process_test(window_of_a_stopped_server_fails),
		own_process_test(window_without_server_fails),
	};
	const struct CMUnitTest destructive[] = {
		window_test(window_survives_its_server),
		window_test(window_of_a_stopped_server_ends),
		window_test(pointer_for_a_stopped_server_holds_nobody_up),
		window_test(window_of_a_stopped_server_fails),
		window_test(window_without_server_fails),
	};

	own_path = realpath("/proc/self/exe", NULL);
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	} else {
		/* One of them by its name. */
		cmocka_set_test_filter(argv[1]);
		failed = cmocka_run_group_tests(destructive, NULL, NULL);
	}
	free(own_path);
	return failed;
}
