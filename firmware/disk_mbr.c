/*
 * The partition table of the PC's master boot record, with the chain of logical
 * partitions, numbered as Linux does (block/partitions/msdos.c decides what counts).
 * No state, any thread.
 *
 * What the disk can say          limit                        enforced in       test
 * partition beyond the disk      cut or left out              add_partition()   disk_mbr_beyond_end
 * chain that runs in a circle    LOGICAL_MAX links            read_logical()    disk_mbr_circular_chain
 * boot code that looks like one  flags must be 0 or 0x80      is_table()        disk_random_mbr
 */
#include <stdio.h>

#include "firmware/disk_tables.h"
#include "vmm/base/util.h"

enum {
	SECTOR_BYTES = 512,
	TABLE_OFFSET = 446,
	ENTRY_BYTES = 16,
	ENTRIES = 4,
	SIGNATURE_OFFSET = 510,
	SIGNATURE = 0xaa55,
	FIRST_LOGICAL = 5,
	LOGICAL_MAX = 60,
	ACTIVE = 0x80,

	TYPE_EXTENDED_CHS = 0x05,
	TYPE_EXTENDED_LBA = 0x0f,
	TYPE_EXTENDED_LINUX = 0x85,
	TYPE_SWAP = 0x82,
	TYPE_LINUX = 0x83,
	TYPE_LVM = 0x8e,
	TYPE_ESP = 0xef,
	TYPE_RAID = 0xfd,
};

struct entry {
	uint8_t active, type;
	uint32_t start, sectors;
};

static struct entry read_entry(const uint8_t *sector, unsigned nth)
{
	const uint8_t *p = sector + TABLE_OFFSET + nth * ENTRY_BYTES;

	return (struct entry){.active = p[0],
		.type = p[4],
		.start = load_le32(p + 8),
		.sectors = load_le32(p + 12)};
}

static bool is_extended(uint8_t type)
{
	return type == TYPE_EXTENDED_CHS || type == TYPE_EXTENDED_LBA ||
		type == TYPE_EXTENDED_LINUX;
}

static bool is_table(const uint8_t *sector)
{
	unsigned used = 0;

	if (load_le16(sector + SIGNATURE_OFFSET) != SIGNATURE)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry entry = read_entry(sector, i);

		if (entry.active & (uint8_t)~ACTIVE)
			return false;
		used += entry.type && entry.sectors && entry.start;
	}
	return used > 0;
}

static void describe(struct disk_volume *volume, uint8_t type)
{
	static const struct {
		uint8_t type;
		bool never;
		const char *text;
	} types[] = {
		{0x01, false, "FAT12"},
		{0x06, false, "FAT16"},
		{0x07, false, "NTFS or exFAT"},
		{0x0b, false, "FAT32"},
		{0x0c, false, "FAT32"},
		{0x0e, false, "FAT16"},
		{TYPE_SWAP, true, "Linux swap"},
		{TYPE_LINUX, false, "Linux"},
		{TYPE_LVM, true, "Linux LVM"},
		{TYPE_ESP, true, "EFI system"},
		{TYPE_RAID, true, "Linux RAID"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type) {
			snprintf(volume->type, sizeof(volume->type), "%s", types[i].text);
			volume->type_never = types[i].never;
			return;
		}
	snprintf(volume->type, sizeof(volume->type), "type 0x%02x", type);
}

/* `base`: the sector that the entry's start counts from. */
static void add_partition(
	struct disk_info *info, unsigned number, uint64_t base, const struct entry *entry)
{
	uint64_t start = (base + entry->start) * SECTOR_BYTES;
	struct disk_volume *volume;

	if (start >= info->size)
		return;
	volume = disk_add_volume(info, number, start,
		MIN((uint64_t)entry->sectors * SECTOR_BYTES, info->size - start));
	if (volume)
		describe(volume, entry->type);
}

/* Each link holds one partition, counted from itself, and the next link, counted from the first. */
static void read_logical(const struct source *source, struct disk_info *info, uint64_t first)
{
	uint64_t link = first;
	unsigned number = FIRST_LOGICAL;

	for (unsigned links = 0; links < LOGICAL_MAX; links++) {
		uint8_t sector[SECTOR_BYTES];
		struct entry next = {0};

		if (!source_read(source, link * SECTOR_BYTES, sector, sizeof(sector)) ||
			load_le16(sector + SIGNATURE_OFFSET) != SIGNATURE)
			return;
		for (unsigned i = 0; i < ENTRIES; i++) {
			struct entry entry = read_entry(sector, i);

			if (!entry.sectors)
				continue;
			if (!is_extended(entry.type))
				add_partition(info, number++, link, &entry);
			else if (!next.sectors)
				next = entry;
		}
		if (!next.sectors || !next.start)
			return;
		link = first + next.start;
	}
}

bool disk_read_mbr(const struct source *source, struct disk_info *info)
{
	uint8_t sector[SECTOR_BYTES];

	if (!source_read(source, 0, sector, sizeof(sector)) || !is_table(sector))
		return false;
	info->table = DISK_TABLE_MBR;
	info->sector_bytes = SECTOR_BYTES;
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry entry = read_entry(sector, i);

		if (entry.type && entry.sectors && !is_extended(entry.type))
			add_partition(info, i + 1, 0, &entry);
	}
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry entry = read_entry(sector, i);

		if (entry.sectors && is_extended(entry.type))
			read_logical(source, info, entry.start);
	}
	return true;
}
