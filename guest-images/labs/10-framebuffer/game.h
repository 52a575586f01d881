/* What this lab is about: screen.c, keyboard.c, game.c. */
#pragma once

#include "lab.h"

/* ---- screen.c: colours are 0xRRGGBB, places count from the upper left corner ---- */

/* Looks the screen up in boot_params; false where the machine has none. */
bool screen_init(const uint8_t *boot_params);
int screen_width(void);
int screen_height(void);

/* A rectangle; only what lies on the screen is drawn. */
void screen_fill(int x, int y, int width, int height, uint32_t colour);

/* sprite.c has the picture: SPRITE_SIZE rows of so many characters. */
enum {
	SPRITE_SIZE = 16
};
extern const char *const sprite[SPRITE_SIZE];
/* Of a character of the picture; SPRITE_CLEAR where what is behind it shows through. */
#define SPRITE_CLEAR UINT32_MAX
uint32_t sprite_colour(char c);

/* The sprite; only what lies on the screen is drawn. */
void screen_draw_sprite(int x, int y);

/* ---- keyboard.c ---- */

enum key {
	KEY_NONE, /* no key was pressed */
	KEY_UP,
	KEY_DOWN,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_ESCAPE,
	KEY_OTHER,
};

/* From now on what is pressed goes into a ring, by interrupt 1. Called with interrupts off. */
void keyboard_start(void);

/* The oldest key in the ring that was pressed, or KEY_NONE. Touches no port. */
enum key keyboard_read(void);

/* ---- game.c ---- */

#define GAME_COLOUR 0x103060
enum {
	GAME_STEP = SPRITE_SIZE
};

/* Fills the screen with GAME_COLOUR, and puts the sprite into its upper left corner. */
void game_start(void);

/* An arrow moves the sprite by GAME_STEP, but never over the edge. Returns false at Escape. */
bool game_key(enum key key);
