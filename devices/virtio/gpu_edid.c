/*
 * See gpu_edid.h. Section numbers are those of E-EDID Release A, Revision 2 (EDID 1.4); times
 * between the lines are those of CVT 1.2 with reduced blanking. No driver of a virtual screen uses
 * them, but they have to make sense together.
 *
 * Knows nothing of devices. No state, any thread.
 */
#include "devices/virtio/gpu_edid.h"

#include <string.h>

#include "vmm/base/util.h"

enum {
	REFRESH_HZ = 60,
	CLOCK_MAX_10KHZ = UINT16_MAX,
	CLOCK_MIN_10KHZ = 1000, /* below that some take it for no timing */
	BLANK_MIN_US = 460,	/* CVT: of each picture */
	BLANK_MIN_LINES = 15,
	BLANK_PIXELS = 160,
	SYNC_BEGIN_PIXELS = 48,
	SYNC_PIXELS = 32,
	SYNC_BEGIN_LINES = 3,
	SYNC_LINES = 6,
	DPI = 96,

	OFFSET_DETAILED = 54,
	OFFSET_NAME = 72,
	OFFSET_RANGE = 90,
	OFFSET_DUMMY = 108,
	OFFSET_CHECKSUM = 127,
};

struct timing {
	uint32_t width, height, blank_lines, clock_10khz;
};

/* 3.3 to 3.8: header, maker "VMM", product and serial number 1, of 2024; digital, 8 bits, sRGB. */
static const uint8_t fixed_part[OFFSET_DETAILED] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0x00,						       /* header */
	0x59, 0xad, 1, 0, 1, 0, 0, 0, 0xff, 2024 - 1990, 1, 4, /* the year is that of the model */
	0xa0, 0, 0, 120, 0x06, /* digital, 8 bits; size in cm; gamma 2.2; sRGB, native mode first */
	0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54, /* colours of sRGB */
	0x21, 0x08, 0x00,					    /* 640x480, 800x600, 1024x768 */
	/* 3.9: width / 8 - 31; ratio of the sides (16:10, 4:3, 5:4, 16:9) above the refresh rate - 60 */
	1280 / 8 - 31, 0xc0, 1280 / 8 - 31, 0x00, 1280 / 8 - 31, 0x80, 1440 / 8 - 31, 0x00,
	1600 / 8 - 31, 0xc0, 1680 / 8 - 31, 0x00, 1920 / 8 - 31, 0xc0, 1920 / 8 - 31, 0x00};

/* 60 pictures a second, or as many as the field for the clock can say. */
static struct timing choose_timing(uint32_t width, uint32_t height)
{
	struct timing timing = {.width = width, .height = height};
	uint64_t clock;

	for (uint32_t hz = REFRESH_HZ;; hz--) {
		uint32_t lines = height * BLANK_MIN_US / (1000000 / hz - BLANK_MIN_US) + 1;

		timing.blank_lines = MAX(lines, (uint32_t)BLANK_MIN_LINES);
		clock = (uint64_t)(width + BLANK_PIXELS) * (height + timing.blank_lines) * hz /
			10000;
		if (clock <= CLOCK_MAX_10KHZ)
			break;
	}
	for (; clock < CLOCK_MIN_10KHZ; timing.blank_lines++)
		clock = (uint64_t)(width + BLANK_PIXELS) * (height + timing.blank_lines + 1) *
			REFRESH_HZ / 10000;
	timing.clock_10khz = (uint32_t)clock;
	return timing;
}

static uint32_t millimetres(uint32_t pixels)
{
	return pixels * 254 / (10 * DPI);
}

/* Two values of 12 bits in three bytes. */
static void put_pair(
	uint8_t *low_first, uint8_t *low_second, uint8_t *high, uint32_t first, uint32_t second)
{
	*low_first = (uint8_t)first;
	*low_second = (uint8_t)second;
	*high = (uint8_t)((first >> 8 & 0xf) << 4 | (second >> 8 & 0xf));
}

/* 3.10.2 */
static void put_detailed_timing(uint8_t *at, const struct timing *timing)
{
	store_le16(at, (uint16_t)timing->clock_10khz);
	put_pair(at + 2, at + 3, at + 4, timing->width, BLANK_PIXELS);
	put_pair(at + 5, at + 6, at + 7, timing->height, timing->blank_lines);
	at[8] = SYNC_BEGIN_PIXELS;
	at[9] = SYNC_PIXELS;
	at[10] = SYNC_BEGIN_LINES << 4 | SYNC_LINES;
	put_pair(
		at + 12, at + 13, at + 14, millimetres(timing->width), millimetres(timing->height));
	at[17] = 0x1a; /* separate syncs: horizontal positive, vertical negative */
}

/* 3.10.3: a descriptor of another kind than a timing. */
static void put_descriptor(uint8_t *at, uint8_t tag, const void *bytes, size_t len)
{
	at[3] = tag;
	memcpy(at + 5, bytes, len);
}

void gpu_edid_fill(uint8_t edid[GPU_EDID_BYTES], uint32_t width, uint32_t height)
{
	static const uint8_t name[13] = "vmm\n         ";
	/* Pictures a second, lines in kHz, tens of MHz: all that is in this block. */
	static const uint8_t range[13] = "\x18\x4b\x0f\xff\x42\x01\n      ";
	const struct timing timing = choose_timing(width, height);
	uint8_t sum = 0;

	memset(edid, 0, GPU_EDID_BYTES);
	memcpy(edid, fixed_part, sizeof(fixed_part));
	edid[21] = (uint8_t)MAX(millimetres(width) / 10, 1U);
	edid[22] = (uint8_t)MAX(millimetres(height) / 10, 1U);
	put_detailed_timing(edid + OFFSET_DETAILED, &timing);
	put_descriptor(edid + OFFSET_NAME, 0xfc, name, sizeof(name));
	put_descriptor(edid + OFFSET_RANGE, 0xfd, range, sizeof(range));
	put_descriptor(edid + OFFSET_DUMMY, 0x10, "", 0);
	for (unsigned i = 0; i < OFFSET_CHECKSUM; i++)
		sum = (uint8_t)(sum + edid[i]);
	edid[OFFSET_CHECKSUM] = (uint8_t)-sum;
}
