/* Does what the word says: draws, waits for keys, ends with a status, prints for ever. */
#include "lab.h"

enum {
	LFB_WIDTH = 0x12, /* in boot_params: struct screen_info */
	LFB_HEIGHT = 0x14,
	LFB_BASE = 0x18,
	LFB_STRIDE = 0x24,
	KEY_A = 0x1e, /* as the PS/2 controller gives it */
};

static uint32_t field(const uint8_t *params, unsigned at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = bytes; i--;)
		value = value << 8 | params[at + i];
	return value;
}

static void fill(const uint8_t *params, uint32_t colour)
{
	unsigned width = field(params, LFB_WIDTH, 2), height = field(params, LFB_HEIGHT, 2);
	uint8_t *row = (uint8_t *)(uint64_t)field(params, LFB_BASE, 4);

	/* The upper half. */
	for (unsigned y = 0; y < height / 2; y++, row += field(params, LFB_STRIDE, 2))
		for (unsigned x = 0; x < width; x++)
			((volatile uint32_t *)row)[x] = colour;
}

static void wait_for_key(void)
{
	uint8_t code = 0;

	while (code != KEY_A)
		if (inb(0x64) & 1)
			code = inb(0x60);
}

int kmain(const char *words, const uint8_t *boot_params)
{
	if (has_word(words, "screen")) {
		fill(boot_params, 0x0000ff);
		print("blue\n");
		wait_for_key();
		fill(boot_params, 0xff8000);
		print("orange\n");
		wait_for_key();
		return 0;
	}
	if (has_word(words, "seven"))
		return 7;
	for (;;)
		hlt();
}
