/*
 * A window of the host's desktop that shows a display and feeds an input hub: SDL 2, loaded only
 * when a window is asked for.
 *
 * The window lives in a thread of its own, with all that SDL does: an X server that is slow, hangs
 * or goes away never stops the guest. A window whose server is lost is told of in a sentence, and
 * the machine runs on without it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/display.h"
#include "devices/backend/input.h"
#include "vmm/base/err.h"

struct display_sdl;

/* Debian's name of the library, for sentences. */
#define DISPLAY_SDL_PACKAGE "libsdl2-2.0-0"

struct display_sdl_config {
	bool smooth;	  /* scale to any size with soft edges, instead of by whole numbers */
	bool full_screen; /* at first */
	bool hide_hint;	  /* do not begin with a note that says how to get help */
};

/*
 * Opens the window and waits until it is there or can't be. `display` and `input` (NULL: nobody
 * listens to keys) are borrowed until display_sdl_stop(). Takes input_set_listener(). On the
 * loop's thread. Error: -errno and a sentence of kind EXIT_CODE_DEVICE. One at a time in a process, and none after a server
 * was lost.
 */
int display_sdl_start(struct display_sdl **window, struct display *display, struct input *input,
	const struct display_sdl_config *config, struct err *err);

/* Closes it. On the loop's thread; NULL is legal. Waits for a server that hangs a short time. */
void display_sdl_stop(struct display_sdl *window);

struct display_sdl_stats {
	bool is_lost;	 /* the server went away */
	uint64_t looks;	 /* at the display */
	uint64_t frames; /* given to the server */
	uint64_t bytes;	 /* of pixels in them */
};

/* Any thread. */
struct display_sdl_stats display_sdl_stats(const struct display_sdl *window);
