/*
 * Keys of SDL as keys of Linux, and those that the window keeps for itself. Tables only, any
 * thread.
 */
#pragma once

#include <SDL2/SDL.h>

/*
 * The KEY_* of linux/input-event-codes.h on the same place of the keyboard; 0: Linux has none.
 */
unsigned display_sdl_key(SDL_Scancode scancode);

/* The BTN_* of a button of the mouse, 0: none. */
unsigned display_sdl_button(unsigned button);

/* What is done with Ctrl and Alt held. */
enum display_sdl_action {
	DISPLAY_SDL_NOTHING,
	DISPLAY_SDL_FULL_SCREEN,
	DISPLAY_SDL_SCREENSHOT,
	DISPLAY_SDL_PAUSE,
	DISPLAY_SDL_RESET,
	DISPLAY_SDL_CTRL_ALT_DEL,
	DISPLAY_SDL_SMOOTH,
	DISPLAY_SDL_ZOOM_IN,
	DISPLAY_SDL_ZOOM_OUT,
	DISPLAY_SDL_ZOOM_ONE,
	DISPLAY_SDL_HELP,
};

struct display_sdl_host_key {
	enum display_sdl_action action;
	SDL_Scancode places[2]; /* either of these places */
	SDL_Keycode sign;	/* or the key that writes this; 0: the place alone counts */
	const char *name;	/* empty: not listed */
	const char *text;
};

/* In the order in which they are listed; the last has the action DISPLAY_SDL_NOTHING. */
extern const struct display_sdl_host_key display_sdl_host_keys[];

enum display_sdl_action display_sdl_find_action(SDL_Scancode scancode, SDL_Keycode sign);
