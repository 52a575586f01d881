/* See game.h. Linux Documentation/arch/x86/zero-page.rst; include/uapi/linux/screen_info.h. */
#include "game.h"

enum {
	/* In boot_params, which begins with struct screen_info */
	LFB_WIDTH = 0x12,
	LFB_HEIGHT = 0x14,
	LFB_DEPTH = 0x16,
	LFB_BASE = 0x18,
	LFB_LINE_BYTES = 0x24,
};

static uint8_t *base;
static int width, height, line_bytes;

static uint32_t field(const uint8_t *params, unsigned at, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | params[at + bytes];
	return value;
}

bool screen_init(const uint8_t *boot_params)
{
	base = (uint8_t *)(uint64_t)field(boot_params, LFB_BASE, 4);
	width = (int)field(boot_params, LFB_WIDTH, 2);
	height = (int)field(boot_params, LFB_HEIGHT, 2);
	line_bytes = (int)field(boot_params, LFB_LINE_BYTES, 2);
	return base && field(boot_params, LFB_DEPTH, 2) == 32;
}

int screen_width(void)
{
	return width;
}

int screen_height(void)
{
	return height;
}

static volatile uint32_t *row(int y)
{
	return (volatile uint32_t *)(base + (int64_t)y * line_bytes);
}

static int at_least(int value, int limit)
{
	return value > limit ? value : limit;
}

static int at_most(int value, int limit)
{
	return value < limit ? value : limit;
}

/* Cut first, drawn then: no pixel is looked at twice. */
void screen_fill(int x, int y, int fill_width, int fill_height, uint32_t colour)
{
	int left = at_least(x, 0), right = at_most(x + fill_width, width);
	int bottom = at_most(y + fill_height, height);

	for (y = at_least(y, 0); y < bottom; y++) {
		volatile uint32_t *pixels = row(y);

		for (x = left; x < right; x++)
			pixels[x] = colour;
	}
}

static bool is_inside(int x, int y)
{
	return x >= 0 && x < width && y >= 0 && y < height;
}

void screen_draw_sprite(int x, int y)
{
	for (int i = 0; i < SPRITE_SIZE; i++)
		for (int j = 0; j < SPRITE_SIZE; j++) {
			uint32_t colour = sprite_colour(sprite[i][j]);

			if (colour != SPRITE_CLEAR && is_inside(x + j, y + i))
				row(y + i)[x + j] = colour;
		}
}
