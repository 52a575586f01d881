/*
 * See display_overlay.h. Sizes are counted in dots, squares of some pixels, more of them the larger
 * the window is, so that the letters can be read on any screen.
 */
#include "devices/backend/display_overlay.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "devices/backend/display_font.h"

enum {
	DOT_MAX = 8,
	LINES_PER_DOT = 384, /* of the window: so many rows for each pixel of a dot */
	LINE_DOTS = DISPLAY_FONT_HEIGHT + 4,
	PADDING = 8,
	NOTE_PADDING = 6,
	KEY_GAP = 3 * DISPLAY_FONT_ADVANCE,
	KEY_PADDING = 2,
	TITLE_GAP = 7, /* with the rule under the title */
	MARGIN = 12,
};

enum colour {
	BACKGROUND = 0x161b22,
	BORDER = 0x3d4a5c,
	TEXT = 0xd8dee9,
	TITLE = 0xffffff,
	KEY_TEXT = 0xffd27d,
	KEY_BACKGROUND = 0x2a3340,
	RULE = 0x4f8fd0,
};

/* ---- What it says ---- */

void display_overlay_clear_help(struct display_overlay *overlay, const char *title)
{
	snprintf(overlay->title, sizeof(overlay->title), "%s", title);
	overlay->line_count = 0;
}

void display_overlay_add_help(
	struct display_overlay *overlay, const char *key, const char *format, ...)
{
	struct display_overlay_line *line;
	va_list args;

	if (overlay->line_count == DISPLAY_OVERLAY_LINES)
		return;
	line = &overlay->lines[overlay->line_count++];
	snprintf(line->key, sizeof(line->key), "%s", key);
	va_start(args, format);
	vsnprintf(line->text, sizeof(line->text), format, args);
	va_end(args);
}

void display_overlay_note(struct display_overlay *overlay, uint64_t now_ns, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(overlay->note, sizeof(overlay->note), format, args);
	va_end(args);
	overlay->note_end_ns = now_ns + DISPLAY_OVERLAY_NOTE_NS;
}

bool display_overlay_expire(struct display_overlay *overlay, uint64_t now_ns)
{
	if (!overlay->note[0] || now_ns < overlay->note_end_ns)
		return false;
	overlay->note[0] = 0;
	return true;
}

/* ---- Where it stands ---- */

/* In dots. */
struct box {
	uint32_t width, height;
};

static uint32_t text_dots(size_t letters)
{
	return letters ? (uint32_t)letters * DISPLAY_FONT_ADVANCE - 1 : 0;
}

static uint32_t key_column(const struct display_overlay *overlay)
{
	size_t longest = 0;

	for (unsigned i = 0; i < overlay->line_count; i++)
		longest = MAX(longest, strlen(overlay->lines[i].key));
	return longest ? text_dots(longest) + KEY_GAP : 0;
}

static struct box measure_help(const struct display_overlay *overlay)
{
	uint32_t column = key_column(overlay), widest = text_dots(strlen(overlay->title));

	for (unsigned i = 0; i < overlay->line_count; i++) {
		const struct display_overlay_line *line = &overlay->lines[i];

		widest = MAX(widest, text_dots(strlen(line->text)) + (line->key[0] ? column : 0));
	}
	return (struct box){widest + 2 * PADDING,
		(overlay->line_count + 1) * LINE_DOTS + TITLE_GAP + 2 * PADDING};
}

static struct box measure_note(const struct display_overlay *overlay)
{
	uint32_t widest = 0, lines = 0;

	for (const char *at = overlay->note; *at; lines++) {
		size_t letters = strcspn(at, "\n");

		widest = MAX(widest, text_dots(letters));
		at += letters + (at[letters] == '\n');
	}
	return (struct box){widest + 2 * NOTE_PADDING,
		lines * LINE_DOTS - (LINE_DOTS - DISPLAY_FONT_HEIGHT) + 2 * NOTE_PADDING};
}

/* Pixels of a dot: what suits the window, or less, so that the box has room. */
static uint32_t dot_pixels(struct box box, uint32_t width, uint32_t height)
{
	uint32_t dot = MIN((height + LINES_PER_DOT / 4) / LINES_PER_DOT, (uint32_t)DOT_MAX);

	while (dot > 1 && (box.width * dot > width || box.height * dot > height))
		dot--;
	return MAX(dot, 1u);
}

/* Across the middle; `top` counts in pixels. What has no room is cut off on the right and below. */
static struct display_rect place(
	struct box box, uint32_t dot, uint32_t width, uint32_t top, uint32_t height)
{
	uint32_t box_width = MIN(box.width * dot, width), box_height;

	top = MIN(top, height);
	box_height = MIN(box.height * dot, height - top);
	return (struct display_rect){(width - box_width) / 2, top, box_width, box_height};
}

static struct display_rect place_help(
	const struct display_overlay *overlay, uint32_t *dot, uint32_t width, uint32_t height)
{
	struct box box = measure_help(overlay);
	uint32_t pixels;

	*dot = dot_pixels(box, width, height);
	pixels = MIN(box.height * *dot, height);
	return place(box, *dot, width, (height - pixels) / 2, height);
}

static struct display_rect place_note(
	const struct display_overlay *overlay, uint32_t *dot, uint32_t width, uint32_t height)
{
	struct box box = measure_note(overlay);
	uint32_t pixels;

	*dot = dot_pixels(box, width, height);
	pixels = MIN((box.height + MARGIN) * *dot, height);
	return place(box, *dot, width, height - pixels, height);
}

unsigned display_overlay_rects(const struct display_overlay *overlay, uint32_t width,
	uint32_t height, struct display_rect rects[DISPLAY_OVERLAY_RECTS])
{
	unsigned count = 0;
	uint32_t dot;

	if (overlay->shows_help)
		rects[count++] = place_help(overlay, &dot, width, height);
	if (overlay->note[0])
		rects[count++] = place_note(overlay, &dot, width, height);
	return count;
}

/* ---- Drawing ---- */

/* A part of the canvas whose dots are counted from its corner; nothing is drawn outside of it. */
struct panel {
	const struct display_canvas *canvas;
	struct display_rect rect;
	uint32_t dot;
};

static void fill_pixels(
	const struct display_canvas *canvas, const struct display_rect *rect, enum colour colour)
{
	for (uint32_t y = rect->y; y < rect->y + rect->height; y++) {
		uint32_t *row = (uint32_t *)(void *)(canvas->pixels + (size_t)y * canvas->stride);

		for (uint32_t x = rect->x; x < rect->x + rect->width; x++)
			row[x] = colour;
	}
}

static void fill(const struct panel *panel, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
	enum colour colour)
{
	const struct display_rect wanted = {panel->rect.x + x * panel->dot,
		panel->rect.y + y * panel->dot, width * panel->dot, height * panel->dot};
	struct display_rect rect = display_scale_common(&wanted, &panel->rect);

	fill_pixels(panel->canvas, &rect, colour);
}

static void draw_letter(
	const struct panel *panel, uint32_t x, uint32_t y, char c, enum colour colour)
{
	const uint8_t *rows = display_font_glyph(c);

	for (unsigned row = 0; row < DISPLAY_FONT_HEIGHT; row++)
		for (unsigned column = 0; column < DISPLAY_FONT_WIDTH; column++)
			if (rows[row] >> (DISPLAY_FONT_WIDTH - 1 - column) & 1)
				fill(panel, x + column, y + row, 1, 1, colour);
}

static void draw_text(const struct panel *panel, uint32_t x, uint32_t y, const char *text,
	size_t letters, enum colour colour)
{
	for (size_t i = 0; i < letters; i++)
		draw_letter(panel, x + (uint32_t)i * DISPLAY_FONT_ADVANCE, y, text[i], colour);
}

static void draw_background(const struct panel *panel)
{
	const struct display_rect *rect = &panel->rect;
	const uint32_t dot = panel->dot;

	fill_pixels(panel->canvas, rect, BORDER);
	if (rect->width > 2 * dot && rect->height > 2 * dot) {
		const struct display_rect inner = {rect->x + dot, rect->y + dot,
			rect->width - 2 * dot, rect->height - 2 * dot};

		fill_pixels(panel->canvas, &inner, BACKGROUND);
	}
}

static void draw_help(const struct display_overlay *overlay, const struct display_canvas *canvas)
{
	struct panel panel = {.canvas = canvas};
	uint32_t column = key_column(overlay), y = PADDING, width;

	panel.rect = place_help(overlay, &panel.dot, canvas->width, canvas->height);
	draw_background(&panel);
	draw_text(&panel, PADDING, y, overlay->title, strlen(overlay->title), TITLE);
	y += LINE_DOTS;
	width = measure_help(overlay).width;
	fill(&panel, PADDING, y, width - 2 * PADDING, 1, RULE);
	y += TITLE_GAP;
	for (unsigned i = 0; i < overlay->line_count; i++, y += LINE_DOTS) {
		const struct display_overlay_line *line = &overlay->lines[i];
		size_t letters = strlen(line->key);

		if (letters)
			fill(&panel, PADDING - KEY_PADDING, y - KEY_PADDING,
				text_dots(letters) + 2 * KEY_PADDING, LINE_DOTS - 2,
				KEY_BACKGROUND);
		draw_text(&panel, PADDING, y, line->key, letters, KEY_TEXT);
		draw_text(&panel, PADDING + (letters ? column : 0), y, line->text,
			strlen(line->text), TEXT);
	}
}

static void draw_note(const struct display_overlay *overlay, const struct display_canvas *canvas)
{
	struct panel panel = {.canvas = canvas};
	uint32_t y = NOTE_PADDING;

	panel.rect = place_note(overlay, &panel.dot, canvas->width, canvas->height);
	draw_background(&panel);
	for (const char *at = overlay->note; *at; y += LINE_DOTS) {
		size_t letters = strcspn(at, "\n");

		draw_text(&panel, NOTE_PADDING, y, at, letters, TEXT);
		at += letters + (at[letters] == '\n');
	}
}

void display_overlay_draw(
	const struct display_overlay *overlay, const struct display_canvas *canvas)
{
	if (overlay->shows_help)
		draw_help(overlay, canvas);
	if (overlay->note[0])
		draw_note(overlay, canvas);
}
