/*
 * A small font of the printable characters of ASCII, for what a window says over its picture.
 * Thread-safe.
 */
#pragma once

#include <stdint.h>

enum {
	DISPLAY_FONT_WIDTH = 5, /* of a letter; the next begins one column further on */
	DISPLAY_FONT_HEIGHT = 9,
	DISPLAY_FONT_ADVANCE = 6,
};

/* DISPLAY_FONT_HEIGHT rows from the top, a bit for each pixel, the leftmost is bit 4. */
const uint8_t *display_font_glyph(char c);
