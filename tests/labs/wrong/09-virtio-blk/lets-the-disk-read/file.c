/* See blk.h. ustar: POSIX.1-2017, pax, "ustar Interchange Format". */
#include "blk.h"

enum {
	NAME_BYTES = 100,
	SIZE_AT = 124,
	SIZE_DIGITS = 11,
	MAGIC_AT = 257,
};

static uint8_t sector_bytes[SECTOR_BYTES];

static bool is_header(const uint8_t *header)
{
	static const char magic[] = "ustar";

	for (unsigned i = 0; magic[i]; i++)
		if (header[MAGIC_AT + i] != (uint8_t)magic[i])
			return false;
	return true;
}

/* A name of 100 characters has no zero behind it. */
static bool has_name(const uint8_t *header, const char *name)
{
	unsigned i = 0;

	while (i < NAME_BYTES && name[i] && header[i] == (uint8_t)name[i])
		i++;
	return !name[i] && (i == NAME_BYTES || !header[i]);
}

/* In octal digits. */
static uint64_t size_of(const uint8_t *header)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < SIZE_DIGITS; i++) {
		uint8_t digit = header[SIZE_AT + i];

		if (digit < '0' || digit > '7')
			break;
		size = size * 8 + (digit - '0');
	}
	return size;
}

/* Sector by sector, for the last one may hold more than the file does. */
static bool copy(uint64_t sector, uint8_t *to, uint64_t bytes)
{
	for (; bytes; sector++) {
		unsigned part = bytes < SECTOR_BYTES ? (unsigned)bytes : SECTOR_BYTES;

		if (blk_read(sector, sector_bytes, 1) != BLK_OK)
			return false;
		for (unsigned i = 0; i < part; i++)
			*to++ = sector_bytes[i];
		bytes -= part;
	}
	return true;
}

long file_read(const char *name, void *buffer, unsigned size)
{
	uint64_t end = blk_sectors(), bytes;

	for (uint64_t sector = 0; sector < end;
		sector += 1 + (bytes + SECTOR_BYTES - 1) / SECTOR_BYTES) {
		if (blk_read(sector, sector_bytes, 1) != BLK_OK || !is_header(sector_bytes))
			break;
		bytes = size_of(sector_bytes);
		if (has_name(sector_bytes, name))
			return copy(sector + 1, buffer, bytes < size ? bytes : size) ? (long)bytes
										     : -1;
	}
	return -1;
}
