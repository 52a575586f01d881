/*
 * picture - looks at a PNG as vmm screenshot writes them: 8 bits of red, green and blue.
 *
 *	picture FILE.png            prints "WIDTHxHEIGHT COLOURS", as many as there are, up to 256
 *	picture FILE.png N          succeeds if it is picture N of picture.h, pixel for pixel
 *	picture FILE.png has RRGGBB [COUNT]   if it has that colour, at least so often (1)
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/boot/picture.h"

enum {
	BYTES_MAX = 64 << 20,
	COLOURS_MAX = 256,
};

struct png {
	uint32_t width, height;
	uint8_t *packed;
	size_t packed_bytes;
	uint8_t *rows; /* each with its filter's number before it */
};

static void fail(const char *why)
{
	fprintf(stderr, "picture: %s\n", why);
	exit(2);
}

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static size_t row_bytes(const struct png *png)
{
	return (size_t)png->width * 3;
}

/* Chunks: length, name, bytes, checksum. */
static void read_chunks(struct png *png, const uint8_t *file, size_t size)
{
	bool ended = false;

	if (size < 8 || memcmp(file, "\x89PNG\r\n\x1a\n", 8) != 0)
		fail("not a PNG");
	for (size_t at = 8; at + 12 <= size && !ended;) {
		uint32_t len = big_endian(file + at);
		const uint8_t *name = file + at + 4, *bytes = file + at + 8;

		if (len > size - at - 12 || crc32(0, name, len + 4) != big_endian(bytes + len))
			fail("a chunk is cut or its checksum is wrong");
		if (!memcmp(name, "IHDR", 4)) {
			png->width = big_endian(bytes);
			png->height = big_endian(bytes + 4);
			if (bytes[8] != 8 || bytes[9] != 2 || bytes[12])
				fail("not 8 bits of red, green and blue");
		} else if (!memcmp(name, "IDAT", 4)) {
			memcpy(png->packed + png->packed_bytes, bytes, len);
			png->packed_bytes += len;
		}
		ended = !memcmp(name, "IEND", 4);
		at += len + 12;
	}
	if (!ended || !png->width || !png->height || row_bytes(png) * png->height > BYTES_MAX)
		fail("no end, or no size");
}

static int paeth(int left, int above, int corner)
{
	int p = left + above - corner;
	int a = abs(p - left), b = abs(p - above), c = abs(p - corner);

	return a <= b && a <= c ? left : b <= c ? above : corner;
}

static void undo_filter(uint8_t *row, const uint8_t *before, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		int left = i >= 3 ? row[1 + i - 3] : 0, above = before ? before[1 + i] : 0;
		int corner = before && i >= 3 ? before[1 + i - 3] : 0;
		const int guess[] = {
			0, left, above, (left + above) / 2, paeth(left, above, corner)};

		if (row[0] > 4)
			fail("an unknown filter");
		row[1 + i] = (uint8_t)(row[1 + i] + guess[row[0]]);
	}
}

static void unpack(struct png *png)
{
	size_t stride = row_bytes(png) + 1;
	uLongf bytes = stride * png->height;

	png->rows = malloc(bytes);
	if (!png->rows || uncompress(png->rows, &bytes, png->packed, png->packed_bytes) != Z_OK ||
		bytes != stride * png->height)
		fail("its pixels can't be unpacked");
	for (uint32_t y = 0; y < png->height; y++)
		undo_filter(png->rows + y * stride, y ? png->rows + (y - 1) * stride : NULL,
			stride - 1);
}

static void load(struct png *png, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = malloc(BYTES_MAX);
	size_t size;

	if (!file || !bytes)
		fail("no such file");
	size = fread(bytes, 1, BYTES_MAX, file);
	fclose(file);
	*png = (struct png){.packed = malloc(size + 1)};
	if (!png->packed)
		fail("no memory");
	read_chunks(png, bytes, size);
	unpack(png);
	free(bytes);
}

static uint32_t pixel(const struct png *png, uint32_t x, uint32_t y)
{
	const uint8_t *at = png->rows + y * (row_bytes(png) + 1) + 1 + (size_t)x * 3;

	return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static int compare(const struct png *png, unsigned number)
{
	for (uint32_t y = 0; y < png->height; y++)
		for (uint32_t x = 0; x < png->width; x++)
			if (pixel(png, x, y) != picture_pixel(number, x, y)) {
				printf("%ux%u: pixel %u, %u is %06x, not %06x\n", png->width,
					png->height, x, y, pixel(png, x, y),
					picture_pixel(number, x, y));
				return 1;
			}
	return 0;
}

static int count(const struct png *png, uint32_t colour, unsigned long least)
{
	unsigned long found = 0;

	for (uint32_t y = 0; y < png->height; y++)
		for (uint32_t x = 0; x < png->width; x++)
			found += pixel(png, x, y) == colour;
	printf("%lu pixels are %06x\n", found, colour);
	return found < least;
}

static int describe(const struct png *png)
{
	uint32_t colours[COLOURS_MAX];
	unsigned known = 0;

	for (uint32_t y = 0; y < png->height && known < COLOURS_MAX; y++)
		for (uint32_t x = 0; x < png->width && known < COLOURS_MAX; x++) {
			unsigned i = 0;

			while (i < known && colours[i] != pixel(png, x, y))
				i++;
			if (i == known)
				colours[known++] = pixel(png, x, y);
		}
	printf("%ux%u %u\n", png->width, png->height, known);
	return 0;
}

int main(int argc, char **argv)
{
	struct png png;

	if (argc < 2)
		fail("usage: picture FILE.png [N | has RRGGBB [COUNT]]");
	load(&png, argv[1]);
	if (argc == 2)
		return describe(&png);
	if (strcmp(argv[2], "has") != 0 || argc < 4)
		return compare(&png, (unsigned)strtoul(argv[2], NULL, 10));
	return count(&png, (uint32_t)strtoul(argv[3], NULL, 16),
		argc > 4 ? strtoul(argv[4], NULL, 10) : 1);
}
