/*
 * See display_scale.h. Places in the picture are counted in 1/2^32 of its pixels, each from the
 * window's pixel alone and not from its neighbour: a part painted by itself is the same as when all
 * is painted.
 */
#include "devices/backend/display_scale.h"

#include <string.h>

#include "vmm/base/util.h"

struct display_rect display_scale_common(const struct display_rect *a, const struct display_rect *b)
{
	uint32_t left = MAX(a->x, b->x), top = MAX(a->y, b->y);
	uint32_t right = MIN(a->x + a->width, b->x + b->width);
	uint32_t bottom = MIN(a->y + a->height, b->y + b->height);

	if (left >= right || top >= bottom)
		return (struct display_rect){0};
	return (struct display_rect){left, top, right - left, bottom - top};
}

/* ---- Where it stands ---- */

struct display_fit display_scale_fit(uint32_t picture_width, uint32_t picture_height,
	uint32_t window_width, uint32_t window_height, bool smooth)
{
	struct display_fit fit = {.picture_width = picture_width, .picture_height = picture_height};
	struct display_rect *area = &fit.area;
	uint64_t by_width, by_height;

	if (!picture_width || !picture_height || !window_width || !window_height)
		return (struct display_fit){0};
	fit.factor = MIN(window_width / picture_width, window_height / picture_height);
	area->width = picture_width * fit.factor;
	area->height = picture_height * fit.factor;
	by_width = (uint64_t)window_width * picture_height;
	by_height = (uint64_t)window_height * picture_width;
	/* Filled from side to side already: there is nothing to make smooth. */
	if (!fit.factor ||
		(smooth && area->width != window_width && area->height != window_height)) {
		fit.factor = 0;
		area->width = window_width;
		area->height = window_height;
		if (by_width < by_height)
			area->height = (uint32_t)MAX(by_width / picture_width, UINT64_C(1));
		else
			area->width = (uint32_t)MAX(by_height / picture_height, UINT64_C(1));
	}
	area->x = (window_width - area->width) / 2;
	area->y = (window_height - area->height) / 2;
	return fit;
}

static int32_t map_side(int64_t at, uint32_t window, uint32_t picture)
{
	const int64_t last = (int64_t)window - 1;

	at = at < 0 ? 0 : at > last ? last : at;
	/* Made smaller, both ends have to be reached all the same. */
	if (window < picture && window > 1)
		return (int32_t)((at * (picture - 1) + (window - 1) / 2) / (window - 1));
	return (int32_t)(at * picture / window);
}

void display_scale_point(
	const struct display_fit *fit, int32_t window_x, int32_t window_y, int32_t *x, int32_t *y)
{
	const struct display_rect *area = &fit->area;

	*x = *y = 0;
	if (!fit->picture_width)
		return;
	*x = map_side((int64_t)window_x - area->x, area->width, fit->picture_width);
	*y = map_side((int64_t)window_y - area->y, area->height, fit->picture_height);
}

/* Soft edges reach one pixel of the picture further, and what is cut off one of the window. */
static void map_span(uint32_t from, uint32_t length, uint32_t window, uint32_t picture,
	uint32_t *to, uint32_t *to_length)
{
	uint64_t first = from ? from - 1 : 0;
	uint64_t end = MIN((uint64_t)from + length + 1, (uint64_t)picture);
	uint64_t left = first * window / picture;
	uint64_t right = MIN((end * window + picture - 1) / picture + 1, (uint64_t)window);

	left -= left ? 1 : 0;
	*to = (uint32_t)left;
	*to_length = (uint32_t)(right - left);
}

struct display_rect display_scale_rect(
	const struct display_fit *fit, const struct display_rect *picture)
{
	const struct display_rect whole = {0, 0, fit->picture_width, fit->picture_height};
	const struct display_rect *area = &fit->area;
	struct display_rect part = display_scale_common(picture, &whole);
	struct display_rect rect;

	if (!part.width)
		return part;
	if (fit->factor) {
		rect = (struct display_rect){part.x * fit->factor, part.y * fit->factor,
			part.width * fit->factor, part.height * fit->factor};
	} else {
		map_span(part.x, part.width, area->width, fit->picture_width, &rect.x, &rect.width);
		map_span(part.y, part.height, area->height, fit->picture_height, &rect.y,
			&rect.height);
	}
	rect.x += area->x;
	rect.y += area->y;
	return rect;
}

/* ---- Pixels ---- */

static uint32_t *row_of(const struct display_canvas *canvas, uint32_t x, uint32_t y)
{
	return (uint32_t *)(void *)(canvas->pixels + (size_t)y * canvas->stride) + x;
}

static const uint32_t *source_row(const struct display_surface *surface, uint64_t y)
{
	return (const uint32_t *)(const void *)(surface->pixels + (size_t)y * surface->stride);
}

static void fill_black(const struct display_canvas *canvas, uint32_t x, uint32_t y, uint32_t width,
	uint32_t height)
{
	for (uint32_t i = 0; i < height; i++)
		memset(row_of(canvas, x, y + i), 0, (size_t)width * DISPLAY_PIXEL_BYTES);
}

/* What of `rect` is not in `area`: above, below, left and right of it. */
static void paint_bars(const struct display_canvas *canvas, const struct display_rect *rect,
	const struct display_rect *area)
{
	uint32_t right = area->x + area->width, bottom = area->y + area->height;

	fill_black(canvas, rect->x, rect->y, rect->width, area->y - rect->y);
	fill_black(canvas, rect->x, bottom, rect->width, rect->y + rect->height - bottom);
	fill_black(canvas, rect->x, area->y, area->x - rect->x, area->height);
	fill_black(canvas, right, area->y, rect->x + rect->width - right, area->height);
}

static void enlarge_row(const uint32_t *in, uint32_t *out, uint32_t x, uint32_t count, unsigned k)
{
	const uint32_t *at = in + x / k;
	unsigned left = k - x % k;

	while (count--) {
		*out++ = *at;
		if (!--left) {
			at++;
			left = k;
		}
	}
}

/* A row is made once and copied below for as long as it is the same one of the picture. */
static void paint_whole(const struct display_fit *fit, const struct display_surface *surface,
	const struct display_canvas *canvas, const struct display_rect *rect)
{
	const unsigned k = fit->factor;
	uint32_t x = rect->x - fit->area.x, y = rect->y - fit->area.y;
	size_t bytes = (size_t)rect->width * DISPLAY_PIXEL_BYTES;

	for (uint32_t i = 0; i < rect->height; i++) {
		uint32_t *out = row_of(canvas, rect->x, rect->y + i);

		if (k == 1)
			memcpy(out, source_row(surface, y + i) + x, bytes);
		else if (i && (y + i) % k)
			memcpy(out, row_of(canvas, rect->x, rect->y + i - 1), bytes);
		else
			enlarge_row(source_row(surface, (y + i) / k), out, x, rect->width, k);
	}
}

static uint32_t mix(uint32_t a, uint32_t b, unsigned part)
{
	uint32_t even = (a & 0xff00ff) * (256 - part) + (b & 0xff00ff) * part;
	uint32_t odd = (a >> 8 & 0xff) * (256 - part) + (b >> 8 & 0xff) * part;

	return (even >> 8 & 0xff00ff) | (odd & 0xff00);
}

/* The two pixels between which the middle of the window's pixel lies, and how near the second is. */
struct taps {
	uint32_t first, second;
	unsigned part;
};

static struct taps find_taps(uint32_t at, uint64_t step, uint32_t picture)
{
	int64_t place = (int64_t)(at * step + step / 2) - (INT64_C(1) << 31);
	uint64_t inside = place < 0 ? 0 : (uint64_t)place;
	uint32_t first = MIN((uint32_t)(inside >> 32), picture - 1);

	return (struct taps){first, MIN(first + 1, picture - 1), (unsigned)(inside >> 24 & 0xff)};
}

static uint64_t step_of(uint32_t picture, uint32_t window)
{
	return ((uint64_t)picture << 32) / window;
}

static void paint_soft(const struct display_fit *fit, const struct display_surface *surface,
	const struct display_canvas *canvas, const struct display_rect *rect)
{
	uint64_t step_x = step_of(fit->picture_width, fit->area.width);
	uint64_t step_y = step_of(fit->picture_height, fit->area.height);

	for (uint32_t i = 0; i < rect->height; i++) {
		struct taps v = find_taps(rect->y + i - fit->area.y, step_y, fit->picture_height);
		const uint32_t *above = source_row(surface, v.first);
		const uint32_t *below = source_row(surface, v.second);
		uint32_t *out = row_of(canvas, rect->x, rect->y + i);

		for (uint32_t j = 0; j < rect->width; j++) {
			struct taps h =
				find_taps(rect->x + j - fit->area.x, step_x, fit->picture_width);

			out[j] = mix(mix(above[h.first], above[h.second], h.part),
				mix(below[h.first], below[h.second], h.part), v.part);
		}
	}
}

/* The pixels of the picture that one of the window covers, wholly or in part. */
static void find_box(uint32_t at, uint64_t step, uint32_t picture, uint32_t *from, uint32_t *to)
{
	*from = MIN((uint32_t)(at * step >> 32), picture - 1);
	*to = (uint32_t)(((at + 1) * step + UINT32_MAX) >> 32);
	*to = MAX(MIN(*to, picture), *from + 1);
}

static uint32_t average(const struct display_surface *surface, uint32_t left, uint32_t right,
	uint32_t top, uint32_t bottom)
{
	uint64_t red = 0, green = 0, blue = 0;
	uint64_t count = (uint64_t)(right - left) * (bottom - top);

	for (uint32_t y = top; y < bottom; y++) {
		const uint32_t *row = source_row(surface, y);

		for (uint32_t x = left; x < right; x++) {
			red += row[x] >> 16 & 0xff;
			green += row[x] >> 8 & 0xff;
			blue += row[x] & 0xff;
		}
	}
	return (uint32_t)(red / count << 16 | green / count << 8 | blue / count);
}

static void paint_smaller(const struct display_fit *fit, const struct display_surface *surface,
	const struct display_canvas *canvas, const struct display_rect *rect)
{
	uint64_t step_x = step_of(fit->picture_width, fit->area.width);
	uint64_t step_y = step_of(fit->picture_height, fit->area.height);
	uint32_t left, right, top, bottom;

	for (uint32_t i = 0; i < rect->height; i++) {
		uint32_t *out = row_of(canvas, rect->x, rect->y + i);

		find_box(rect->y + i - fit->area.y, step_y, fit->picture_height, &top, &bottom);
		for (uint32_t j = 0; j < rect->width; j++) {
			find_box(rect->x + j - fit->area.x, step_x, fit->picture_width, &left,
				&right);
			out[j] = average(surface, left, right, top, bottom);
		}
	}
}

void display_scale_paint(const struct display_fit *fit, const struct display_surface *surface,
	const struct display_canvas *canvas, const struct display_rect *rect)
{
	struct display_rect inside = display_scale_common(rect, &fit->area);

	if (!inside.width) {
		fill_black(canvas, rect->x, rect->y, rect->width, rect->height);
		return;
	}
	paint_bars(canvas, rect, &inside);
	if (fit->factor)
		paint_whole(fit, surface, canvas, &inside);
	else if (fit->area.width < fit->picture_width || fit->area.height < fit->picture_height)
		paint_smaller(fit, surface, canvas, &inside);
	else
		paint_soft(fit, surface, canvas, &inside);
}
