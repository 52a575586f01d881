/*
 * A copy of a picture that is brought up to date, and where it was not: for a viewer to whom each
 * pixel is dear. A source knows only roughly what it has drawn: a text console that scrolls writes
 * all of its screen anew, and much of it stays what it was.
 *
 * Any thread, no state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "devices/backend/display.h"

enum {
	DISPLAY_CHANGES_MAX = 64,
};

struct display_changes {
	struct display_rect rects[DISPLAY_CHANGES_MAX]; /* from top to bottom for each copy */
	unsigned count;
};

/*
 * Copies what differs inside of `rect` from `surface` to `to`, rows of `columns` pixels, and adds
 * the places, as bands of a few rows. `rect` lies inside of both.
 */
void display_copy_changes(uint32_t *to, size_t columns, const struct display_surface *surface,
	const struct display_rect *rect, struct display_changes *changes);
