/*
 * See display_changes.h.
 *
 * The guest may draw while this reads. What it draws after a comparison is damage of the next look.
 */
#include "devices/backend/display_changes.h"

#include <string.h>

#include "vmm/base/util.h"

enum {
	/* A line of text has 16 rows; 64 pixels are a few cache lines. */
	BAND_ROWS = 16,
	RUN_PIXELS = 64,
};

struct span {
	uint32_t first, end; /* columns inside of the rectangle; end 0: none */
};

static void copy_row(uint32_t *to, const uint8_t *from, uint32_t width, struct span *span)
{
	for (uint32_t x = 0; x < width; x += RUN_PIXELS) {
		uint32_t run = MIN(width - x, (uint32_t)RUN_PIXELS);
		size_t bytes = (size_t)run * DISPLAY_PIXEL_BYTES;
		const uint8_t *new = from + (size_t)x *DISPLAY_PIXEL_BYTES;

		if (!memcmp(to + x, new, bytes))
			continue;
		memcpy(to + x, new, bytes);
		span->first = span->end ? MIN(span->first, x) : x;
		span->end = MAX(span->end, x + run);
	}
}

static void add_change(struct display_changes *changes, const struct display_rect *rect)
{
	struct display_rect *last = changes->count ? &changes->rects[changes->count - 1] : NULL;
	uint32_t x, y, end_x, end_y;

	if (last && last->x == rect->x && last->width == rect->width &&
		last->y + last->height == rect->y) {
		last->height += rect->height;
		return;
	}
	if (changes->count < DISPLAY_CHANGES_MAX) {
		changes->rects[changes->count++] = *rect;
		return;
	}
	x = MIN(last->x, rect->x);
	y = MIN(last->y, rect->y);
	end_x = MAX(last->x + last->width, rect->x + rect->width);
	end_y = MAX(last->y + last->height, rect->y + rect->height);
	*last = (struct display_rect){x, y, end_x - x, end_y - y};
}

void display_copy_changes(uint32_t *to, size_t columns, const struct display_surface *surface,
	const struct display_rect *rect, struct display_changes *changes)
{
	for (uint32_t top = 0; top < rect->height; top += BAND_ROWS) {
		uint32_t rows = MIN(rect->height - top, (uint32_t)BAND_ROWS);
		struct span span = {0, 0};

		for (uint32_t i = 0; i < rows; i++) {
			size_t y = (size_t)rect->y + top + i;

			copy_row(to + y * columns + rect->x,
				surface->pixels + y * surface->stride +
					(size_t)rect->x * DISPLAY_PIXEL_BYTES,
				rect->width, &span);
		}
		if (span.end)
			add_change(changes,
				&(struct display_rect){.x = rect->x + span.first,
					.y = rect->y + top,
					.width = span.end - span.first,
					.height = rows});
	}
}
