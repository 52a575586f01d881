/*
 * What a window says over the guest's picture: a panel with the keys it takes for itself, and short
 * notes. Draws into memory; knows no window system and no keys. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/display.h"
#include "devices/backend/display_scale.h"
#include "vmm/base/util.h"

enum {
	DISPLAY_OVERLAY_LINES = 24,
	DISPLAY_OVERLAY_TEXT = 100,
	DISPLAY_OVERLAY_RECTS = 2,
};

/* How long a note is seen. */
#define DISPLAY_OVERLAY_NOTE_NS UINT64_C(4000000000)

struct display_overlay_line {
	char key[24]; /* empty: the text begins at the left edge */
	char text[DISPLAY_OVERLAY_TEXT];
};

struct display_overlay {
	bool shows_help;
	char title[DISPLAY_OVERLAY_TEXT];
	struct display_overlay_line lines[DISPLAY_OVERLAY_LINES];
	unsigned line_count;

	char note[DISPLAY_OVERLAY_TEXT * 2]; /* empty: none; lines end in \n */
	uint64_t note_end_ns;
};

/* Makes the panel of nothing but its title again. */
void display_overlay_clear_help(struct display_overlay *overlay, const char *title);
/* One line more; beyond DISPLAY_OVERLAY_LINES they are left out. */
void display_overlay_add_help(struct display_overlay *overlay, const char *key, const char *format,
	...) PRINTF_LIKE(3, 4);

/* Takes the place of the note before. `now_ns` as util_now_ns() has it. */
void display_overlay_note(struct display_overlay *overlay, uint64_t now_ns, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* The note goes when its time is over: true when it did now. */
bool display_overlay_expire(struct display_overlay *overlay, uint64_t now_ns);

/* Where it stands in a window of that size. Returns how many rectangles. */
unsigned display_overlay_rects(const struct display_overlay *overlay, uint32_t width,
	uint32_t height, struct display_rect rects[DISPLAY_OVERLAY_RECTS]);
/* Covers all of these rectangles. */
void display_overlay_draw(
	const struct display_overlay *overlay, const struct display_canvas *canvas);
