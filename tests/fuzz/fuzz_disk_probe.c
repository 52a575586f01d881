/*
 * A disk of any bytes: what is said of it lies inside it and is printable.
 *
 * The first byte of the input chooses the way; then follow sectors, each with the
 * number of its place before it. A fuzzer can't guess checksums: they are made
 * right where the way says so.
 */
#include <stdlib.h>
#include <string.h>

#include "firmware/disk_probe.h"

enum {
	WAY_RIGHT_CHECKSUMS = 1,
	WAY_CUT = 2,
	SECTOR_BYTES = 512,
	SECTORS = 256,
	DISK_BYTES = SECTOR_BYTES * SECTORS,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *data++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void correct_checksums(uint8_t *disk, size_t lba)
{
	uint8_t *header = disk + lba * SECTOR_BYTES;
	uint64_t entries = load_le64(header + 72), bytes;

	if (util_mul_overflows(load_le32(header + 80), load_le32(header + 84), &bytes) ||
		util_mul_overflows(entries, SECTOR_BYTES, &entries) ||
		!util_range_inside(entries, bytes, DISK_BYTES))
		return;
	store_le32(header + 88, crc32_of(disk + entries, bytes));
	store_le32(header + 16, 0);
	store_le32(header + 16, crc32_of(header, MIN(load_le32(header + 12), 512u)));
}

static void check_text(const char *text, size_t size)
{
	ASSERT(strnlen(text, size) < size);
	for (; *text; text++)
		ASSERT(*text >= ' ' && *text <= '~');
}

static void check(const struct disk_info *info, uint64_t size)
{
	char device[32];
	bool read_only;

	ASSERT(info->volume_count <= DISK_VOLUMES_MAX);
	ASSERT(info->root >= -1 && info->root < (int)info->volume_count);
	for (unsigned i = 0; i < info->volume_count; i++) {
		const struct disk_volume *volume = &info->volumes[i];

		ASSERT(util_range_inside(volume->start, volume->size, size));
		check_text(volume->type, sizeof(volume->type));
		check_text(volume->part_name, sizeof(volume->part_name));
		check_text(volume->label, sizeof(volume->label));
		check_text(volume->uuid, sizeof(volume->uuid));
	}
	if (disk_root_device(info, 0, device, sizeof(device), &read_only))
		ASSERT(!strncmp(device, "/dev/vda", 8));
	else
		ASSERT(info->root == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct disk_info info;
	static uint8_t disk[DISK_BYTES];
	struct source_bytes bytes = {.data = disk, .size = DISK_BYTES};
	struct source source;
	uint8_t way;

	if (size < 1)
		return 0;
	memset(disk, 0, sizeof(disk));
	way = data[0];
	for (size_t at = 1; at < size; at += 1 + SECTOR_BYTES)
		memcpy(disk + (size_t)data[at] * SECTOR_BYTES, data + at + 1,
			MIN((size_t)SECTOR_BYTES, size - at - 1));
	if (way & WAY_RIGHT_CHECKSUMS) {
		correct_checksums(disk, 1);
		correct_checksums(disk, SECTORS - 1);
	}
	/* A buffer of the exact size lets the sanitizer see a step too far. */
	if (way & WAY_CUT) {
		bytes.size = (uint64_t)way * SECTOR_BYTES;
		bytes.data = memcpy(malloc(bytes.size), disk, bytes.size);
	}
	source = source_from_bytes(&bytes);
	disk_probe(&source, &info);
	check(&info, bytes.size);
	if (bytes.data != disk)
		free((void *)bytes.data);
	return 0;
}
