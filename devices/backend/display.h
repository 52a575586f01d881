/*
 * The screen: the meeting place of the devices that have a picture (sources: the framebuffer,
 * virtio-gpu) and of what shows it to people (viewers: a window, VNC). One per machine.
 *
 * The source that drew last is on the screen: a kernel prints to the framebuffer until a
 * graphics driver draws on virtio-gpu, and is seen again when it prints there later. But a source
 * whose memory has to be looked at takes the screen from another only by drawing on some part of
 * its height, or a text cursor that blinks there would take it twice a second.
 *
 * What has changed (damage) is kept for each viewer apart, as a few rectangles. Some sources tell
 * of it; the memory of a framebuffer has to be looked at (poll), and only as long as somebody sees
 * it: with no viewer, or with all of them hidden, nothing is done at all.
 *
 * Pixels are those of DRM_FORMAT_XRGB8888: 32 bits, little endian, blue in the lowest byte, the
 * highest byte without a meaning.
 *
 * Threads: a viewer has a thread of its own; sources call on vCPU threads and on the loop's. One
 * lock guards it all; no callback that comes with the lock held may call back. A device's lock is
 * taken before this one, never after.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

struct display;

enum {
	DISPLAY_WIDTH_DEFAULT = 1024,
	DISPLAY_HEIGHT_DEFAULT = 768,
	DISPLAY_WIDTH_MIN = 320,
	DISPLAY_HEIGHT_MIN = 200,
	DISPLAY_WIDTH_MAX = 7680,
	DISPLAY_HEIGHT_MAX = 4320,
	DISPLAY_PIXEL_BYTES = 4,
	DISPLAY_RECTS_MAX = 16,
	DISPLAY_CURSOR_SIDE = 64,
};

/* In pixels; [x, x + width) by [y, y + height). */
struct display_rect {
	uint32_t x, y, width, height;
};

struct display_damage {
	struct display_rect rects[DISPLAY_RECTS_MAX];
	unsigned count;
};

/*
 * Adds a rectangle, or what of it lies in the largest picture there can be. Those that make one
 * without a loss are joined; where there is no room for one more, two become the one around both.
 */
void display_damage_add(struct display_damage *damage, const struct display_rect *rect);

struct display_surface {
	const uint8_t *pixels; /* borrowed; row y begins at y * stride */
	uint32_t width, height;
	uint32_t stride; /* bytes, at least width * DISPLAY_PIXEL_BYTES */
};

/* ---- The hub ---- */

/* What people ask for in a window. Comes on the loop's thread. */
enum display_request {
	DISPLAY_REQUEST_POWEROFF, /* the window was closed: ask the guest */
	DISPLAY_REQUEST_QUIT,	  /* closed again: end it */
	DISPLAY_REQUEST_PAUSE,	  /* pause or resume, in turn */
	DISPLAY_REQUEST_RESET,
};

/* Error: -errno and a sentence. destroy(NULL) is legal; sources and viewers are gone by then. */
int display_create(struct display **display, struct loop *loop, struct err *err);
void display_destroy(struct display *display);

/* On the loop's thread; NULL: none. */
void display_set_owner(struct display *display,
	void (*request)(void *opaque, enum display_request request), void *opaque);

/* Any thread, never blocks. */
void display_request(struct display *display, enum display_request request);

/* What a title bar says; viewers are woken. The name is copied. */
void display_set_name(struct display *display, const char *name);
void display_set_paused(struct display *display, bool paused);

/* ---- Sources ---- */

struct display_cursor {
	uint32_t width, height; /* 1 to DISPLAY_CURSOR_SIDE, or 0: no cursor is seen */
	uint32_t hot_x, hot_y;
	uint32_t argb[DISPLAY_CURSOR_SIDE *
		DISPLAY_CURSOR_SIDE]; /* premultiplied; rows of `width` */
};

struct display_source_ops {
	/*
	 * Adds what the guest has drawn since the last call. With the display's lock, on a viewer's
	 * thread. NULL: the source calls display_damage() itself.
	 */
	void (*poll)(void *opaque, struct display_damage *damage);
	/*
	 * A viewer has room for this many pixels now (within the limits above). On the loop's
	 * thread, with the device's lock. May be NULL.
	 */
	void (*resize)(void *opaque, uint32_t width, uint32_t height);
};

/* The device's memory; stays in place from add to remove. */
struct display_source {
	const struct display_source_ops *ops;
	void *opaque;
	pthread_mutex_t *lock; /* the device's: held in resize() */
	/* private to display.c */
	struct display *display;
	struct display_source *next;
	struct display_surface surface; /* pixels NULL: none */
	uint64_t drawn;			/* when it drew last, as a count of drawings */
	struct display_rect unseen;	/* drawn since another has the screen and drew last */
	struct display_cursor cursor;
	int32_t cursor_x, cursor_y;
};

/* Both on the loop's thread. */
void display_add_source(struct display *display, struct display_source *source);
void display_remove_source(struct display_source *source);

/*
 * The picture from now on, all of it damaged: a drawing too; NULL: none. When this returns nobody
 * reads the old one any more. Sides from 1 to DISPLAY_WIDTH_MAX and DISPLAY_HEIGHT_MAX.
 */
void display_set_surface(struct display_source *source, const struct display_surface *surface);

/* Drawn there; what lies outside is cut off. Makes the source the one that is seen. */
void display_add_damage(struct display_source *source, const struct display_rect *rect);

/* Between these nobody reads the pixels: for a source that writes them itself. */
void display_lock(struct display_source *source);
void display_unlock(struct display_source *source);

void display_set_cursor(struct display_source *source, const struct display_cursor *cursor);
/* Its picture's upper left corner, which may lie outside. */
void display_move_cursor(struct display_source *source, int32_t x, int32_t y);

/* ---- Viewers ---- */

/* The viewer's memory; stays in place from add to remove. */
struct display_viewer {
	/*
	 * Something is new: look by display_begin_frame(). With the lock, any thread; not called
	 * again before that look.
	 */
	void (*wake)(void *opaque);
	void *opaque;
	/* private to display.c */
	struct display *display;
	struct display_viewer *next;
	struct display_damage damage;
	bool visible, woken, surface_changed, cursor_changed, state_changed;
};

/* Visible at first, all of the picture damaged. */
void display_add_viewer(struct display *display, struct display_viewer *viewer);
void display_remove_viewer(struct display_viewer *viewer);

/* A hidden window is not woken and looks at nothing; when it is seen again all is damaged. */
void display_set_visible(struct display_viewer *viewer, bool visible);

struct display_frame {
	struct display_surface surface;	     /* pixels NULL: there is no picture now */
	bool surface_changed;		     /* another size, or another source */
	struct display_damage damage;	     /* inside of the surface */
	const struct display_cursor *cursor; /* never NULL */
	bool cursor_changed;		     /* its picture; its place may be new at any time */
	int32_t cursor_x, cursor_y;
	bool state_changed; /* name or paused */
	const char *name;
	bool paused;
};

/*
 * Polls, and takes what has changed since the viewer's last frame. All of `frame` may be read until
 * display_end_frame(), and no longer; the guest's drawing may wait meanwhile, so copy and end.
 */
void display_begin_frame(struct display_viewer *viewer, struct display_frame *frame);
void display_end_frame(struct display_viewer *viewer);

/*
 * How long a viewer that was not woken may sleep before it looks again: one frame of 60 a second
 * while things change, up to DISPLAY_IDLE_NS after two seconds of stillness; UINT64_MAX where no
 * source has to be polled.
 */
#define DISPLAY_FRAME_NS UINT64_C(16666667)
#define DISPLAY_IDLE_NS	 UINT64_C(500000000)
uint64_t display_poll_ns(const struct display *display);

/* A key was pressed: its echo is to be seen soon, so polling is quick for a while. Any thread. */
void display_expect_change(struct display *display);

/* The viewer has room for so many pixels: told to the sources by the loop. Any thread. */
void display_request_size(struct display *display, uint32_t width, uint32_t height);

/* ---- One picture ---- */

struct display_image {
	uint32_t width, height;
	uint32_t *xrgb; /* rows of `width`, owned: display_image_finish() */
};

/*
 * A copy of what is on the screen now, without the cursor. Any thread. -ENODATA: no source has a
 * picture. No sentence: the caller knows who asks.
 */
int display_copy_image(struct display *display, struct display_image *image);
void display_image_finish(struct display_image *image);

/* How large what is on the screen is. False, and nothing written: no source has a picture. */
bool display_find_size(struct display *display, uint32_t *width, uint32_t *height);
