/*
 * Where a picture stands in a window, and its pixels at that size: arithmetic and memory, no
 * window system. No state, any thread.
 *
 * A picture keeps its shape; what is left of the window is black. Enlarged by a whole number it
 * stays sharp; by any other number, which has to be asked for (`smooth`), it gets soft edges.
 * Where the window is smaller than the picture it is made smaller by averages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/display.h"

struct display_fit {
	uint32_t picture_width, picture_height; /* 0: no picture, all is black */
	struct display_rect area;		/* of the window that shows it */
	unsigned factor;			/* a whole number, or 0: any */
};

/* Pixels of a window: rows of `stride` bytes. */
struct display_canvas {
	uint8_t *pixels;
	uint32_t width, height, stride;
};

struct display_fit display_scale_fit(uint32_t picture_width, uint32_t picture_height,
	uint32_t window_width, uint32_t window_height, bool smooth);

/*
 * The pixel of the picture at a place of the window, which may be outside of it. The window's first
 * pixel of the picture is the picture's first, the last is the last.
 */
void display_scale_point(
	const struct display_fit *fit, int32_t window_x, int32_t window_y, int32_t *x, int32_t *y);

/* The part of the window that has to be painted when this part of the picture has changed. */
struct display_rect display_scale_rect(
	const struct display_fit *fit, const struct display_rect *picture);

/*
 * Paints a part of the window, inside of the canvas: the picture, and black round it. The surface
 * has the size that the fit was made for; it is not looked at where there is no picture.
 */
void display_scale_paint(const struct display_fit *fit, const struct display_surface *surface,
	const struct display_canvas *canvas, const struct display_rect *rect);

/* What two have in common; its sides are 0 where that is nothing. */
struct display_rect display_scale_common(
	const struct display_rect *a, const struct display_rect *b);
