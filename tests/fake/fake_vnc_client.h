/*
 * A small VNC client that plays the other side of display_vnc.h: RFC 6143 with raw pixels only, and
 * the pseudo-encodings that the tests look at. Every wait ends after FAKE_VNC_WAIT_MS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/backend/display.h"

enum {
	FAKE_VNC_WAIT_MS = 30000,
	FAKE_VNC_RECTS_MAX = 256,
	FAKE_VNC_RAW = 0,
	FAKE_VNC_NEW_SIZE = -223,
	FAKE_VNC_CURSOR = -239,
	FAKE_VNC_KEY_PLACES = -258,
	FAKE_VNC_LAMPS = -261,
	FAKE_VNC_EXTENDED_SIZE = -308,
};

struct fake_vnc_client {
	int fd;
	uint32_t width, height;
	uint32_t *pixels; /* XRGB */
	char name[128];

	/* The last update. */
	struct display_rect rects[FAKE_VNC_RECTS_MAX];
	unsigned rect_count;

	bool has_key_places;
	int lamps;	 /* -1: never told */
	int size_status; /* of the last extended size; -1: none */
	unsigned cursors;
	uint32_t cursor_width, cursor_height, cursor_x, cursor_y;
	uint32_t cursor_pixels[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE];
	uint8_t cursor_mask[DISPLAY_CURSOR_SIDE * DISPLAY_CURSOR_SIDE / 8];
};

/* All: 0, or -errno; -ECONNRESET where the server hung up, -ETIMEDOUT where it says nothing. */
int fake_vnc_connect(struct fake_vnc_client *client, const char *path);

/* Greets and says what is understood; `password` NULL: none. -EACCES: it was wrong. */
int fake_vnc_greet(struct fake_vnc_client *client, const char *password);
int fake_vnc_set_encodings(
	struct fake_vnc_client *client, const int32_t *encodings, unsigned count);
int fake_vnc_open(struct fake_vnc_client *client, const char *path);

int fake_vnc_ask(struct fake_vnc_client *client, bool incremental);

/* Reads one update and puts it into the picture. */
int fake_vnc_take_update(struct fake_vnc_client *client);

int fake_vnc_send(struct fake_vnc_client *client, const void *data, size_t len);
int fake_vnc_read(struct fake_vnc_client *client, void *data, size_t len);
int fake_vnc_key(struct fake_vnc_client *client, uint32_t symbol, bool down);
int fake_vnc_key_place(struct fake_vnc_client *client, uint32_t scancode, bool down);
int fake_vnc_point(struct fake_vnc_client *client, unsigned buttons, unsigned x, unsigned y);
int fake_vnc_set_size(struct fake_vnc_client *client, unsigned width, unsigned height);

/* True: the server has hung up, or does within the time. */
bool fake_vnc_is_cut(struct fake_vnc_client *client);
void fake_vnc_close(struct fake_vnc_client *client);
