/*
 * The VNC display, seen by real clients: pictures pixel by pixel, damage as it is, keys and
 * pointers as events, passwords, and clients that misbehave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/display_vnc.h"
#include "tests/fake/fake_vnc_client.h"
#include "vmm/base/util.h"

enum {
	WIDTH = 400,
	HEIGHT = 300,
	BIG_WIDTH = 2000,
	BIG_HEIGHT = 1500,
	EVENTS_MAX = 64,
	WAIT_STEP_US = 2000,
	WAIT_STEPS = 15000,
};

static char dir[32], path[64], password_path[64];
static struct loop *loop;
static pthread_t loop_thread;
static struct display *display;
static struct input *input;
static struct display_vnc *vnc;
static struct err err;

/* ---- The machine's side ---- */

static uint32_t picture[BIG_WIDTH * BIG_HEIGHT];
static pthread_mutex_t source_lock = PTHREAD_MUTEX_INITIALIZER;
static struct display_source source;
static _Atomic unsigned polls;
static _Atomic uint32_t wanted_width, wanted_height;

static void poll_source(void *opaque, struct display_damage *damage)
{
	(void)opaque;
	(void)damage;
	polls++;
}

static void resize_source(void *opaque, uint32_t width, uint32_t height)
{
	(void)opaque;
	wanted_width = width;
	wanted_height = height;
}

static const struct display_source_ops polled_ops = {
	.poll = poll_source,
	.resize = resize_source,
};

static void show(uint32_t width, uint32_t height, uint32_t seed)
{
	const struct display_surface surface = {
		(const uint8_t *)picture, width, height, width * DISPLAY_PIXEL_BYTES};

	display_set_surface(&source, NULL);
	for (uint32_t i = 0; i < width * height; i++)
		picture[i] = (i * 2654435761U + seed) & 0xffffff;
	display_set_surface(&source, &surface);
}

static void draw(const struct display_rect *rect, uint32_t width, uint32_t color)
{
	display_lock(&source);
	for (uint32_t y = rect->y; y < rect->y + rect->height; y++)
		for (uint32_t x = rect->x; x < rect->x + rect->width; x++)
			picture[y * width + x] = color;
	display_unlock(&source);
	display_add_damage(&source, rect);
}

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static struct input_sink sink;
static struct input_event events[EVENTS_MAX];
static unsigned event_count;
static bool has_sink;

static bool sink_is_ready(void *opaque)
{
	(void)opaque;
	return true;
}

static bool take_event(void *opaque, const struct input_event *event)
{
	(void)opaque;
	if (event_count < EVENTS_MAX)
		events[event_count++] = *event;
	return true;
}

static void add_sink(unsigned kinds)
{
	sink = (struct input_sink){.kinds = kinds,
		.rank = 1,
		.is_ready = sink_is_ready,
		.take = take_event,
		.lock = &sink_lock};
	input_add_sink(input, &sink);
	has_sink = true;
}

/* The events so far, when there are that many. */
static bool have_events(unsigned count)
{
	for (unsigned i = 0; i < WAIT_STEPS; i++) {
		bool enough;

		pthread_mutex_lock(&sink_lock);
		enough = event_count >= count;
		pthread_mutex_unlock(&sink_lock);
		if (enough)
			return true;
		usleep(WAIT_STEP_US);
	}
	return false;
}

static void expect_key(unsigned index, unsigned code, int value)
{
	assert_int_equal(events[index].type, INPUT_EVENT_KEY);
	assert_int_equal(events[index].code, code);
	assert_int_equal(events[index].value, value);
}

static void *run_loop(void *opaque)
{
	(void)opaque;
	loop_run(loop);
	return NULL;
}

/* ---- Set-up: the loop stands still while things are added and removed ---- */

static void start_loop(void)
{
	assert_int_equal(pthread_create(&loop_thread, NULL, run_loop, NULL), 0);
}

static void stop_loop(void)
{
	loop_stop(loop, 0);
	pthread_join(loop_thread, NULL);
}

static int start_vnc(const char *password)
{
	struct display_vnc_config config = {.password_file = password ? password_path : NULL};
	int fd, ret;

	snprintf(config.address.path, sizeof(config.address.path), "%s", path);
	if (password) {
		fd = open(password_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
		assert_int_equal(write(fd, password, strlen(password)), strlen(password));
		close(fd);
	}
	err = (struct err)ERR_INIT;
	ret = display_vnc_start(&vnc, display, input, loop, &config, &err);
	start_loop();
	return ret;
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmm-vnc-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(password_path, sizeof(password_path), "%s/password", dir);
	event_count = 0;
	polls = wanted_width = wanted_height = 0;
	has_sink = false;
	vnc = NULL;
	if (loop_create(&loop, &err) < 0 || display_create(&display, loop, &err) < 0 ||
		input_create(&input, loop, &err) < 0)
		return -1;
	source = (struct display_source){.ops = &polled_ops, .lock = &source_lock};
	display_add_source(display, &source);
	show(WIDTH, HEIGHT, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_loop();
	display_vnc_stop(vnc);
	if (has_sink)
		input_remove_sink(&sink);
	input_destroy(input);
	display_remove_source(&source);
	display_destroy(display);
	loop_destroy(loop);
	unlink(password_path);
	return rmdir(dir);
}

static bool clients_become(unsigned count)
{
	for (unsigned i = 0; i < WAIT_STEPS; i++) {
		if (display_vnc_stats(vnc).clients == count)
			return true;
		usleep(WAIT_STEP_US);
	}
	return false;
}

static void open_client(struct fake_vnc_client *client)
{
	assert_int_equal(fake_vnc_open(client, path), 0);
}

static void update(struct fake_vnc_client *client, bool incremental)
{
	assert_int_equal(fake_vnc_ask(client, incremental), 0);
	assert_int_equal(fake_vnc_take_update(client), 0);
}

/* A picture is looked at once in a frame of 60 a second: the newest may come with the next update. */
static void update_until(struct fake_vnc_client *client, uint32_t x, uint32_t y, uint32_t color)
{
	for (unsigned i = 0; i < 100 && client->pixels[y * client->width + x] != color; i++)
		update(client, true);
	assert_int_equal(client->pixels[y * client->width + x], color);
}

/* ---- Pictures ---- */

static void picture_is_the_same_pixel_for_pixel(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	display_set_name(display, "tuba");
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	assert_string_equal(client.name, "tuba - vmm");
	assert_int_equal(client.width, WIDTH);
	assert_int_equal(client.height, HEIGHT);
	update(&client, false);
	assert_memory_equal(client.pixels, picture, WIDTH * HEIGHT * DISPLAY_PIXEL_BYTES);
	fake_vnc_close(&client);
}

static void one_line_comes_as_one_line(void **state)
{
	const struct display_rect line = {.y = 77, .width = WIDTH, .height = 1};
	const struct display_rect dot = {.x = 399, .y = 299, .width = 1, .height = 1};
	struct fake_vnc_client client;

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	update(&client, false);
	draw(&line, WIDTH, 0x123456);
	update(&client, true);
	assert_int_equal(client.rect_count, 1);
	assert_memory_equal(&client.rects[0], &line, sizeof(line));
	draw(&dot, WIDTH, 0xabcdef);
	update(&client, true);
	assert_int_equal(client.rect_count, 1);
	assert_memory_equal(&client.rects[0], &dot, sizeof(dot));
	assert_memory_equal(client.pixels, picture, WIDTH * HEIGHT * DISPLAY_PIXEL_BYTES);
	assert_int_equal(display_vnc_stats(vnc).pixels, WIDTH * HEIGHT + WIDTH + 1);
	fake_vnc_close(&client);
}

static void nobody_there_nothing_is_looked_at(void **state)
{
	struct fake_vnc_client client;
	unsigned then;

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	draw(&(struct display_rect){.width = 9, .height = 9}, WIDTH, 7);
	assert_int_equal(polls, 0);
	/* Who has not greeted yet sees nothing either. */
	assert_int_equal(fake_vnc_connect(&client, path), 0);
	assert_true(clients_become(1));
	draw(&(struct display_rect){.width = 9, .height = 9}, WIDTH, 8);
	assert_int_equal(polls, 0);
	assert_int_equal(fake_vnc_greet(&client, NULL), 0);
	update(&client, false);
	assert_true(polls > 0);
	fake_vnc_close(&client);
	assert_true(clients_become(0));
	then = polls;
	draw(&(struct display_rect){.width = 9, .height = 9}, WIDTH, 9);
	usleep(3 * DISPLAY_IDLE_NS / 1000);
	assert_int_equal(polls, then);
}

static void size_follows_the_guest(void **state)
{
	static const int32_t encodings[] = {FAKE_VNC_RAW, FAKE_VNC_NEW_SIZE};
	struct fake_vnc_client client, old;

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	open_client(&old);
	assert_int_equal(fake_vnc_set_encodings(&client, encodings, 2), 0);
	update(&client, false);
	update(&old, false);
	show(640, 200, 2);
	assert_int_equal(fake_vnc_ask(&client, true), 0);
	while (client.width != 640)
		assert_int_equal(fake_vnc_take_update(&client), 0);
	assert_int_equal(client.height, 200);
	update(&client, false);
	assert_memory_equal(client.pixels, picture, 640 * 200 * DISPLAY_PIXEL_BYTES);
	/* Who knows nothing of new sizes sees what fits, and black where there is nothing. */
	update_until(&old, 0, 0, picture[0]);
	assert_int_equal(old.width, WIDTH);
	for (unsigned y = 0; y < 200; y++)
		assert_memory_equal(old.pixels + y * WIDTH, picture + y * 640, WIDTH * 4);
	assert_int_equal(old.pixels[200 * WIDTH], 0);
	assert_int_equal(old.pixels[HEIGHT * WIDTH - 1], 0);
	show(320, HEIGHT, 3);
	update_until(&old, 0, 0, picture[0]);
	assert_int_equal(old.pixels[320], 0);
	assert_memory_equal(old.pixels + WIDTH, picture + 320, 320 * 4);
	fake_vnc_close(&old);
	fake_vnc_close(&client);
}

static void size_may_be_asked_for(void **state)
{
	static const int32_t encodings[] = {
		FAKE_VNC_RAW, FAKE_VNC_NEW_SIZE, FAKE_VNC_EXTENDED_SIZE};
	struct fake_vnc_client client;

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	assert_int_equal(fake_vnc_set_encodings(&client, encodings, 3), 0);
	update(&client, false);
	assert_int_equal(fake_vnc_set_size(&client, 1280, 720), 0);
	for (unsigned i = 0; i < WAIT_STEPS && wanted_height != 720; i++)
		usleep(WAIT_STEP_US);
	assert_int_equal(wanted_width, 1280);
	assert_int_equal(wanted_height, 720);
	/* Impossible ones are refused. */
	assert_int_equal(fake_vnc_set_size(&client, 20000, 10), 0);
	assert_int_equal(fake_vnc_set_size(&client, 0, 0), 0);
	for (unsigned i = 0; i < 10 && client.size_status != 3; i++)
		update(&client, false);
	assert_int_equal(client.size_status, 3);
	assert_int_equal(wanted_width, 1280);
	fake_vnc_close(&client);
}

static void cursor_has_its_shape(void **state)
{
	static const int32_t encodings[] = {FAKE_VNC_RAW, FAKE_VNC_CURSOR};
	static struct display_cursor cursor = {.width = 9, .height = 3, .hot_x = 2, .hot_y = 1};
	struct fake_vnc_client client;

	(void)state;
	/* Half covered red: the colour is given multiplied. One that is covered less is not seen. */
	cursor.argb[0] = 0x80800000;
	cursor.argb[8] = 0xff00ff00;
	cursor.argb[26] = 0x7f00007f;
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	assert_int_equal(fake_vnc_set_encodings(&client, encodings, 2), 0);
	update(&client, false);
	display_set_cursor(&source, &cursor);
	for (unsigned i = 0; i < 10 && client.cursor_width != 9; i++)
		update(&client, true);
	assert_int_equal(client.cursor_width, 9);
	assert_int_equal(client.cursor_height, 3);
	assert_int_equal(client.cursor_x, 2);
	assert_int_equal(client.cursor_y, 1);
	assert_int_equal(client.cursor_pixels[0] & 0xffffff, 0xff0000);
	assert_int_equal(client.cursor_pixels[8] & 0xffffff, 0x00ff00);
	assert_memory_equal(client.cursor_mask, "\x80\x80\0\0\0\0", 6);
	/* The picture is without it. */
	assert_memory_equal(client.pixels, picture, WIDTH * HEIGHT * DISPLAY_PIXEL_BYTES);
	fake_vnc_close(&client);
}

/* ---- Keys and pointers ---- */

static void keys_arrive_by_symbol_and_by_place(void **state)
{
	static const int32_t encodings[] = {FAKE_VNC_RAW, FAKE_VNC_KEY_PLACES};
	struct fake_vnc_client client;

	(void)state;
	add_sink(INPUT_KEYBOARD);
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	assert_int_equal(fake_vnc_set_encodings(&client, encodings, 2), 0);
	assert_int_equal(fake_vnc_take_update(&client), 0);
	assert_true(client.has_key_places);
	assert_int_equal(fake_vnc_key(&client, 0xffe1, true), 0); /* Shift_L */
	assert_int_equal(fake_vnc_key(&client, 'A', true), 0);
	assert_int_equal(fake_vnc_key(&client, 'a', false), 0);
	assert_int_equal(fake_vnc_key(&client, 0xffe1, false), 0);
	assert_int_equal(fake_vnc_key(&client, 0x1234567, true), 0); /* none */
	assert_int_equal(fake_vnc_key_place(&client, 0x1c, true), 0);
	assert_int_equal(fake_vnc_key_place(&client, 0x1c, false), 0);
	assert_int_equal(fake_vnc_key_place(&client, 0x9c, true), 0);
	assert_int_equal(fake_vnc_key_place(&client, 0xffffff1c, true), 0); /* none */
	assert_int_equal(fake_vnc_key_place(&client, 0x9c, false), 0);
	assert_true(have_events(8));
	expect_key(0, KEY_LEFTSHIFT, 1);
	expect_key(1, KEY_A, 1);
	expect_key(2, KEY_A, 0);
	expect_key(3, KEY_LEFTSHIFT, 0);
	expect_key(4, KEY_ENTER, 1);
	expect_key(5, KEY_ENTER, 0);
	expect_key(6, KEY_KPENTER, 1);
	expect_key(7, KEY_KPENTER, 0);
	fake_vnc_close(&client);
}

static void keys_go_up_when_the_client_goes(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	add_sink(INPUT_KEYBOARD | INPUT_POSITION);
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	update(&client, false);
	assert_int_equal(fake_vnc_key(&client, 0xffe3, true), 0); /* Control_L */
	assert_int_equal(fake_vnc_point(&client, 1, 0, 0), 0);
	assert_true(have_events(3));
	fake_vnc_close(&client);
	assert_true(have_events(5));
	expect_key(3, KEY_LEFTCTRL, 0);
	expect_key(4, BTN_LEFT, 0);
}

static void pointer_has_positions_buttons_and_wheels(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	add_sink(INPUT_POSITION);
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	update(&client, false);
	assert_int_equal(fake_vnc_point(&client, 0, 0, 0), 0);
	assert_true(have_events(1));
	assert_int_equal(fake_vnc_point(&client, 0, WIDTH - 1, HEIGHT - 1), 0);
	assert_true(have_events(2));
	assert_int_equal(events[0].type, INPUT_EVENT_POINT);
	assert_int_equal(events[0].x, 0);
	assert_int_equal(events[0].y, 0);
	assert_int_equal(events[1].x, INPUT_ABS_MAX);
	assert_int_equal(events[1].y, INPUT_ABS_MAX);
	/* Left and right at once; then both wheels, one way and back. */
	assert_int_equal(fake_vnc_point(&client, 1 | 4, WIDTH - 1, HEIGHT - 1), 0);
	assert_true(have_events(4));
	expect_key(2, BTN_LEFT, 1);
	expect_key(3, BTN_RIGHT, 1);
	assert_int_equal(fake_vnc_point(&client, 1, WIDTH - 1, HEIGHT - 1), 0);
	assert_true(have_events(5));
	expect_key(4, BTN_RIGHT, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fake_vnc_point(&client, 1 | 8u << i, WIDTH - 1, HEIGHT - 1), 0);
		assert_int_equal(fake_vnc_point(&client, 1, WIDTH - 1, HEIGHT - 1), 0);
		assert_true(have_events(6 + i));
		assert_int_equal(events[5 + i].type, INPUT_EVENT_WHEEL);
	}
	assert_int_equal(events[5].y, INPUT_NOTCH);
	assert_int_equal(events[6].y, -INPUT_NOTCH);
	assert_int_equal(events[7].x, -INPUT_NOTCH);
	assert_int_equal(events[8].x, INPUT_NOTCH);
	/* Outside is inside. */
	assert_int_equal(fake_vnc_point(&client, 1, 0, 0), 0);
	assert_true(have_events(10));
	assert_int_equal(fake_vnc_point(&client, 1, 65535, 65535), 0);
	assert_true(have_events(11));
	assert_int_equal(events[10].x, INPUT_ABS_MAX);
	fake_vnc_close(&client);
}

static void pointer_moves_where_no_positions_are_taken(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	add_sink(INPUT_MOTION);
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	update(&client, false);
	assert_int_equal(fake_vnc_point(&client, 0, 100, 100), 0);
	assert_int_equal(fake_vnc_point(&client, 0, 103, 90), 0);
	assert_true(have_events(1));
	assert_int_equal(events[0].type, INPUT_EVENT_MOVE);
	assert_int_equal(events[0].x, 3);
	assert_int_equal(events[0].y, -10);
	fake_vnc_close(&client);
}

static void lamps_are_told(void **state)
{
	static const int32_t encodings[] = {FAKE_VNC_RAW, FAKE_VNC_LAMPS};
	struct fake_vnc_client client;

	(void)state;
	add_sink(INPUT_KEYBOARD);
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	assert_int_equal(fake_vnc_set_encodings(&client, encodings, 2), 0);
	assert_int_equal(fake_vnc_take_update(&client), 0);
	assert_int_equal(client.lamps, 0);
	assert_int_equal(fake_vnc_key(&client, 0xffe5, true), 0); /* Caps_Lock */
	assert_true(have_events(1));
	pthread_mutex_lock(&sink_lock);
	input_sink_set_leds(&sink, 1 << LED_CAPSL | 1 << LED_NUML);
	pthread_mutex_unlock(&sink_lock);
	assert_int_equal(fake_vnc_take_update(&client), 0);
	assert_int_equal(client.lamps, 6);
	fake_vnc_close(&client);
}

/* ---- Passwords ---- */

static void password_is_asked_for(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	assert_int_equal(start_vnc("letmein!andmore\nnot this\n"), 0);
	assert_int_equal(fake_vnc_connect(&client, path), 0);
	assert_int_equal(fake_vnc_greet(&client, NULL), -EPROTO);
	fake_vnc_close(&client);
	assert_int_equal(fake_vnc_connect(&client, path), 0);
	assert_int_equal(fake_vnc_greet(&client, "wrong"), -EACCES);
	assert_true(fake_vnc_is_cut(&client));
	fake_vnc_close(&client);
	assert_int_equal(fake_vnc_connect(&client, path), 0);
	assert_int_equal(fake_vnc_greet(&client, "letmein!"), 0);
	update(&client, false);
	assert_memory_equal(client.pixels, picture, WIDTH * HEIGHT * DISPLAY_PIXEL_BYTES);
	fake_vnc_close(&client);
}

static void password_is_not_to_be_guessed(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	assert_int_equal(start_vnc("secret"), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(fake_vnc_connect(&client, path), 0);
		assert_int_equal(fake_vnc_greet(&client, "guess"), -EACCES);
		fake_vnc_close(&client);
	}
	assert_int_equal(fake_vnc_connect(&client, path), 0);
	assert_true(fake_vnc_greet(&client, "secret") < 0);
	fake_vnc_close(&client);
	assert_int_equal(polls, 0);
}

static void password_file_may_be_bad(void **state)
{
	(void)state;
	assert_int_equal(start_vnc(""), -EINVAL);
	assert_non_null(strstr(err.text, "is empty"));
	stop_loop();
	unlink(password_path);
	mkdir(password_path, 0700);
	err = (struct err)ERR_INIT;
	assert_int_equal(display_vnc_start(&vnc, display, input, loop,
				 &(struct display_vnc_config){.address.host = "127.0.0.1",
					 .address.port = 5999,
					 .password_file = password_path},
				 &err),
		-EISDIR);
	assert_non_null(strstr(err.text, "can't read the password file"));
	rmdir(password_path);
	start_loop();
}

/* ---- Where it listens ---- */

static void public_addresses_need_a_password(void **state)
{
	static const char *const hosts[] = {"0.0.0.0", "::", "192.0.2.1"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct display_vnc_config config = {.address.port = 5999};

		strcpy(config.address.host, hosts[i]);
		err = (struct err)ERR_INIT;
		assert_int_equal(
			display_vnc_start(&vnc, display, input, loop, &config, &err), -EPERM);
		assert_int_equal(err.kind, EXIT_CODE_DEVICE);
		assert_non_null(strstr(err.text, "it needs a password"));
		assert_non_null(strstr(err.hint, "password-file="));
	}
	start_loop();
}

static void taken_names_and_ports_are_told(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct display_vnc_config config = {.address.host = "127.0.0.1"};
	struct display_vnc *second = NULL;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	config.address.port = ntohs(address.sin_port);
	err = (struct err)ERR_INIT;
	assert_int_equal(
		display_vnc_start(&second, display, input, loop, &config, &err), -EADDRINUSE);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, "another program has this port"));
	close(fd);
	/* And now it is free. */
	err = (struct err)ERR_INIT;
	assert_int_equal(display_vnc_start(&second, display, input, loop, &config, &err), 0);
	display_vnc_stop(second);
	assert_int_equal(start_vnc(NULL), 0);
	config = (struct display_vnc_config){.password_file = NULL};
	strcpy(config.address.path, path);
	err = (struct err)ERR_INIT;
	assert_int_equal(
		display_vnc_start(&second, display, input, loop, &config, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another program listens on it"));
}

/* ---- Clients that misbehave ---- */

static void twenty_clients_eight_get_in(void **state)
{
	struct fake_vnc_client clients[20];
	unsigned in = 0;

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(fake_vnc_connect(&clients[i], path), 0);
		if (fake_vnc_greet(&clients[i], NULL) == 0)
			in++;
		else
			assert_true(i >= VNC_CLIENTS_MAX);
	}
	assert_int_equal(in, VNC_CLIENTS_MAX);
	assert_int_equal(display_vnc_stats(vnc).refused, 20 - VNC_CLIENTS_MAX);
	for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++)
		update(&clients[i], false);
	for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++)
		assert_memory_equal(
			clients[i].pixels, picture, WIDTH * HEIGHT * DISPLAY_PIXEL_BYTES);
	/* One goes, another comes. */
	fake_vnc_close(&clients[3]);
	assert_true(clients_become(VNC_CLIENTS_MAX - 1));
	open_client(&clients[3]);
	update(&clients[3], false);
	for (unsigned i = 0; i < 20; i++)
		fake_vnc_close(&clients[i]);
	assert_true(clients_become(0));
}

/* The picture is far larger than what the socket holds. */
static void stalled_client_holds_nobody_up(void **state)
{
	struct fake_vnc_client stalled, other;

	(void)state;
	show(BIG_WIDTH, BIG_HEIGHT, 4);
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&stalled);
	open_client(&other);
	assert_int_equal(fake_vnc_ask(&stalled, false), 0);
	update(&other, false);
	for (uint32_t i = 0; i < 20; i++) {
		const struct display_rect rect = {i * 10, i * 10, 100, 100};

		draw(&rect, BIG_WIDTH, i);
		update(&other, true);
		assert_int_equal(other.pixels[i * 10 * BIG_WIDTH + i * 10], i);
	}
	assert_memory_equal(
		other.pixels, picture, (size_t)BIG_WIDTH * BIG_HEIGHT * DISPLAY_PIXEL_BYTES);
	/* And when it reads again it has not missed a thing. */
	assert_int_equal(fake_vnc_take_update(&stalled), 0);
	update(&stalled, true);
	assert_memory_equal(
		stalled.pixels, picture, (size_t)BIG_WIDTH * BIG_HEIGHT * DISPLAY_PIXEL_BYTES);
	/* The machine ends at once though somebody reads no more. */
	assert_int_equal(fake_vnc_ask(&stalled, false), 0);
	fake_vnc_close(&other);
	stop_loop();
	display_vnc_stop(vnc);
	vnc = NULL;
	assert_true(fake_vnc_is_cut(&stalled));
	fake_vnc_close(&stalled);
	start_loop();
}

static void client_may_die_in_an_update(void **state)
{
	struct fake_vnc_client client;
	char some[1000];

	(void)state;
	show(BIG_WIDTH, BIG_HEIGHT, 5);
	assert_int_equal(start_vnc(NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		open_client(&client);
		assert_int_equal(fake_vnc_ask(&client, false), 0);
		assert_int_equal(fake_vnc_read(&client, some, i * 50), 0);
		fake_vnc_close(&client);
	}
	open_client(&client);
	update(&client, false);
	assert_memory_equal(
		client.pixels, picture, (size_t)BIG_WIDTH * BIG_HEIGHT * DISPLAY_PIXEL_BYTES);
	fake_vnc_close(&client);
	assert_true(clients_become(0));
}

static void web_sockets_are_not_spoken(void **state)
{
	static const char request[] =
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Protocol: binary\r\nOrigin: a\r\n\r\n";
	struct fake_vnc_client client;
	char version[12];

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	assert_int_equal(fake_vnc_connect(&client, path), 0);
	assert_int_equal(fake_vnc_send(&client, request, sizeof(request) - 1), 0);
	assert_int_equal(fake_vnc_read(&client, version, sizeof(version)), 0);
	assert_memory_equal(version, "RFB 003.008\n", sizeof(version));
	assert_true(fake_vnc_is_cut(&client));
	fake_vnc_close(&client);
}

/* Random bytes, before and behind a good greeting: VMM_VNC_NOISE rounds, or a few. */
static void garbage_is_survived(void **state)
{
	const char *text = getenv("VMM_VNC_NOISE");
	unsigned rounds = text ? (unsigned)atoi(text) : 40;
	struct fake_vnc_client client;
	uint8_t noise[512];

	(void)state;
	add_sink(INPUT_KEYBOARD | INPUT_POSITION);
	assert_int_equal(start_vnc(NULL), 0);
	srandom(text ? rounds : 1);
	for (unsigned i = 0; i < rounds; i++) {
		size_t len = (size_t)random() % sizeof(noise);

		for (size_t j = 0; j < len; j++)
			noise[j] = (uint8_t)random();
		/* Kinds of messages that there are, most of the time. */
		if (len && i % 4)
			noise[0] = (uint8_t)(random() % 16);
		assert_int_equal(fake_vnc_connect(&client, path), 0);
		if (i & 1 && fake_vnc_greet(&client, NULL) < 0) {
			fake_vnc_close(&client);
			continue;
		}
		if (i & 2)
			(void)fake_vnc_ask(&client, false);
		(void)fake_vnc_send(&client, noise, len);
		fake_vnc_close(&client);
	}
	assert_true(clients_become(0));
	open_client(&client);
	update(&client, false);
	assert_memory_equal(client.pixels, picture, WIDTH * HEIGHT * DISPLAY_PIXEL_BYTES);
	fake_vnc_close(&client);
}

static void scaling_is_refused(void **state)
{
	struct fake_vnc_client client;

	(void)state;
	assert_int_equal(start_vnc(NULL), 0);
	open_client(&client);
	update(&client, false);
	assert_int_equal(fake_vnc_send(&client, "\x08\x02\0\0", 4), 0);
	assert_true(fake_vnc_is_cut(&client));
	fake_vnc_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(picture_is_the_same_pixel_for_pixel),
		TEST(one_line_comes_as_one_line),
		TEST(nobody_there_nothing_is_looked_at),
		TEST(size_follows_the_guest),
		TEST(size_may_be_asked_for),
		TEST(cursor_has_its_shape),
		TEST(keys_arrive_by_symbol_and_by_place),
		TEST(keys_go_up_when_the_client_goes),
		TEST(pointer_has_positions_buttons_and_wheels),
		TEST(pointer_moves_where_no_positions_are_taken),
		TEST(lamps_are_told),
		TEST(password_is_asked_for),
		TEST(password_is_not_to_be_guessed),
		TEST(password_file_may_be_bad),
		TEST(public_addresses_need_a_password),
		TEST(taken_names_and_ports_are_told),
		TEST(twenty_clients_eight_get_in),
		TEST(stalled_client_holds_nobody_up),
		TEST(client_may_die_in_an_update),
		TEST(web_sockets_are_not_spoken),
		TEST(garbage_is_survived),
		TEST(scaling_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
