/*
 * What the parts of the window share. For display_sdl*.c and their tests.
 *
 * display_sdl.c the thread and its life; display_sdl_window.c the window, its title and cursors;
 * display_sdl_size.c its size; display_sdl_paint.c the picture; display_sdl_events.c what people
 * do; display_sdl_shot.c screenshots; display_sdl_keys.c tables; display_sdl_lib.c the library.
 */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "devices/backend/display_overlay.h"
#include "devices/backend/display_scale.h"
#include "devices/backend/display_sdl.h"
#include "devices/backend/display_sdl_keys.h"
#include "devices/backend/display_sdl_lib.h"

enum {
	DISPLAY_SDL_NAME_MAX = 100,
	/* Of a window, in its own units. */
	DISPLAY_SDL_WIDTH_MIN = 160,
	DISPLAY_SDL_HEIGHT_MIN = 120,
};

enum display_sdl_progress {
	DISPLAY_SDL_OPENING,
	DISPLAY_SDL_OPEN,
	DISPLAY_SDL_FAILED,
	DISPLAY_SDL_ENDED,
};

struct display_sdl {
	struct display *display;
	struct input *input; /* NULL: none */
	struct display_viewer viewer;

	/* Between the threads. */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved; /* CLOCK_MONOTONIC: `progress` is another one */
	enum display_sdl_progress progress;
	struct err err;
	int wake_fd;
	int hang_up_fd; /* the connection's, of our own; the window thread's until it is open */
	_Atomic bool is_woken; /* the display has something new */
	_Atomic bool is_input_new;
	_Atomic bool must_end;
	_Atomic bool is_lost;
	_Atomic uint64_t looks, frames, bytes;

	/* All below is the window thread's. */
	struct display_sdl_lib sdl;
	pthread_t own;
	jmp_buf loss; /* where it goes on without its server */

	SDL_Window *window;
	int connection_fd;
	bool is_visible, is_full_screen, is_smooth;
	uint64_t last_look_ns;
	uint64_t input_ns; /* when the next change of the guest's input devices is looked at */

	/* The window's memory: the surface's own, or one beside it where its pixels are others. */
	SDL_Surface *surface, *beside;
	struct display_canvas canvas; /* pixels NULL: to be asked for again */
	struct display_fit fit;	      /* of the picture in the canvas */
	struct display_damage dirty;  /* of the canvas, to be painted */
	bool all_dirty;		      /* all of it */
	struct display_rect
		sprite_rect; /* where the guest's pointer was painted; width 0: nowhere */
	struct display_overlay overlay;

	/* Size. */
	unsigned zoom;			    /* pixels of the window for one of the guest */
	uint32_t guest_width, guest_height; /* 0: no picture */
	int width, height;		    /* of the window, in its own units: pixels, or larger */
	int asked_width, asked_height;	    /* what it was told to be */
	bool is_resized;		    /* a person has chosen the size */
	uint32_t told_width, told_height;   /* what the guest was told that there is room for */
	uint64_t tell_ns;		    /* when to tell it again, 0: no need */

	/* What stands round the picture. */
	char name[DISPLAY_SDL_NAME_MAX];
	bool is_paused;
	struct display_cursor cursor;
	int32_t cursor_x, cursor_y;
	bool guest_had_cursor;
	SDL_Cursor *guest_cursor, *dot_cursor, *arrow_cursor;

	/* What people do. */
	bool is_grabbed;
	bool ctrl[2], alt;	     /* held */
	bool is_chord;		     /* Ctrl and Alt alone, until something else is pressed */
	float wheel_rest[2];	     /* of the last step, vertical and horizontal */
	uint64_t close_ns, reset_ns; /* until when a second one counts, 0: none was */
};

/* ---- display_sdl_window.c ---- */

int display_sdl_open_window(
	struct display_sdl *self, const struct display_sdl_config *config, struct err *err);
void display_sdl_close_window(struct display_sdl *self);

void display_sdl_set_visible(struct display_sdl *self, bool visible);
void display_sdl_set_grab(struct display_sdl *self, bool grab);
void display_sdl_show_title(struct display_sdl *self);
void display_sdl_show_cursor(struct display_sdl *self);
void display_sdl_note(struct display_sdl *self, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- display_sdl_size.c ---- */

/* At first: the guest's size, and as many pixels for each of its own as suit a fine screen. */
void display_sdl_choose_size(struct display_sdl *self);
/* Makes the window as large as the guest's picture, or as the desktop has room for. */
void display_sdl_follow_guest(struct display_sdl *self);
/* The window has another size. */
void display_sdl_handle_size(struct display_sdl *self);
/* Tells the guest of the room it has, when that has been the same for a while. */
void display_sdl_tell_size(struct display_sdl *self, uint64_t now_ns);
/*
 * Puts the picture anew into its canvas. True: the guest's pointer has another size now, and is to
 * be shown anew, which needs the server and so must not be done with the display's lock.
 */
bool display_sdl_refit(struct display_sdl *self);
void display_sdl_set_zoom(struct display_sdl *self, unsigned zoom);
void display_sdl_set_full_screen(struct display_sdl *self, bool full_screen);
void display_sdl_set_smooth(struct display_sdl *self, bool smooth);
/* The pixel of the picture at a place of the window, which is in the window's own units. */
void display_sdl_map(
	const struct display_sdl *self, int x, int y, int32_t *picture_x, int32_t *picture_y);

/* ---- display_sdl_paint.c ---- */

/* Looks at the display and shows what is new. True: the server was spoken to. */
bool display_sdl_look(struct display_sdl *self);
/* When to do it again; UINT64_MAX: not before something happens. */
uint64_t display_sdl_next_look_ns(struct display_sdl *self);
/* Keeps what a frame says beside the picture. True: the picture has another size. */
bool display_sdl_take_frame(struct display_sdl *self, const struct display_frame *frame);

/* ---- display_sdl_events.c ---- */

void display_sdl_handle_event(struct display_sdl *self, const SDL_Event *event);
/* The guest takes positions now, or does no more; its lamps are others. */
void display_sdl_handle_input_change(struct display_sdl *self);
/* Makes the help anew, where it is shown. */
void display_sdl_show_help(struct display_sdl *self);

/* ---- display_sdl_shot.c ---- */

void display_sdl_save_picture(struct display_sdl *self);
