/*
 * GUID partition tables. As Linux does, one counts only behind a protective MBR,
 * with both checksums right; where the primary table is damaged the backup at the
 * end of the disk is looked at. No state, any thread.
 *
 * Sources: UEFI 2.10, 5.2 and 5.3; the Discoverable Partitions Specification for
 * the types that say what a partition is for.
 *
 * What the disk can say           limit                        enforced in       test
 * any number and size of entries  ENTRIES_BYTES_MAX in all     read_header()     disk_gpt_absurd_header
 * tables outside the disk         read as absent               read_entries()    disk_gpt_absurd_header
 * partition beyond the disk       cut or left out              add_entry()       disk_gpt_beyond_end
 * names with control characters   printable ASCII only         copy_name()       disk_labels_are_printable
 */
#include <stdio.h>
#include <stdlib.h>

#include "firmware/disk_fs.h"
#include "firmware/disk_tables.h"
#include "vmm/base/util.h"

enum {
	MBR_BYTES = 512,
	MBR_ENTRIES = 4,
	MBR_PROTECTIVE = 0xee,
	HEADER_BYTES_MIN = 92,
	HEADER_BYTES_MAX = 512,
	ENTRY_BYTES_MIN = 128,
	ENTRIES_BYTES_MAX = 512 * 1024,
	NAME_CHARS = 36,
	ATTRIBUTE_READ_ONLY = 60,
	ATTRIBUTE_NO_AUTO = 63,
};

struct header {
	uint64_t entries_lba;
	uint32_t entry_count, entry_bytes, entries_crc;
};

/* CRC-32 as in UEFI 5.3.2 (the one of Ethernet and gzip), half a byte at a time. */
static uint32_t crc32(const uint8_t *data, size_t len)
{
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
		0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc = crc >> 4 ^ table[(crc ^ data[i]) & 0xf];
		crc = crc >> 4 ^ table[(crc ^ data[i] >> 4) & 0xf];
	}
	return ~crc;
}

static bool has_protective_mbr(const struct source *source)
{
	uint8_t sector[MBR_BYTES];

	if (!source_read(source, 0, sector, sizeof(sector)) || load_le16(sector + 510) != 0xaa55)
		return false;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *entry = sector + 446 + i * 16;

		if (entry[4] == MBR_PROTECTIVE && load_le32(entry + 8) == 1)
			return true;
	}
	return false;
}

static bool read_header(
	const struct source *source, uint64_t lba, unsigned sector_bytes, struct header *header)
{
	uint8_t raw[HEADER_BYTES_MAX];
	uint32_t bytes, crc;
	uint64_t offset, entries_bytes;

	if (util_mul_overflows(lba, sector_bytes, &offset) ||
		!source_read(source, offset, raw, sizeof(raw)) || memcmp(raw, "EFI PART", 8))
		return false;
	bytes = load_le32(raw + 12);
	crc = load_le32(raw + 16);
	if (bytes < HEADER_BYTES_MIN || bytes > HEADER_BYTES_MAX || load_le64(raw + 24) != lba)
		return false;
	store_le32(raw + 16, 0);
	if (crc32(raw, bytes) != crc)
		return false;
	header->entries_lba = load_le64(raw + 72);
	header->entry_count = load_le32(raw + 80);
	header->entry_bytes = load_le32(raw + 84);
	header->entries_crc = load_le32(raw + 88);
	return header->entry_bytes >= ENTRY_BYTES_MIN &&
		!util_mul_overflows(header->entry_count, header->entry_bytes, &entries_bytes) &&
		entries_bytes && entries_bytes <= ENTRIES_BYTES_MAX;
}

/* The whole array for the caller to free, or NULL: unreadable, or its checksum is wrong. */
static uint8_t *read_entries(
	const struct source *source, unsigned sector_bytes, const struct header *header)
{
	size_t bytes = (size_t)header->entry_count * header->entry_bytes;
	uint8_t *entries = malloc(bytes);
	uint64_t offset;

	if (entries && !util_mul_overflows(header->entries_lba, sector_bytes, &offset) &&
		source_read(source, offset, entries, bytes) &&
		crc32(entries, bytes) == header->entries_crc)
		return entries;
	free(entries);
	return NULL;
}

/* A GUID's text; its first three fields are stored with the low byte first. */
static void guid_text(const uint8_t *guid, char text[37])
{
	const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t uuid[16];

	for (int i = 0; i < 16; i++)
		uuid[i] = guid[order[i]];
	disk_uuid_text(uuid, text);
}

static void describe(struct disk_volume *volume, const uint8_t *guid)
{
	enum use {
		DATA,
		ROOT,
		NEVER
	};
	static const struct {
		const char *guid;
		enum use use;
		const char *text;
	} types[] = {
		{"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", ROOT, "Linux root (x86-64)"},
		{"0fc63daf-8483-4772-8e79-3d69d8477de4", DATA, "Linux"},
		{"44479540-f297-41b2-9af7-d131d5f0458a", DATA, "Linux root (x86)"},
		{"b921b045-1df0-41c3-af44-4c6f280d3fae", DATA, "Linux root (AArch64)"},
		{"8484680c-9521-48c6-9c11-b0720656f69e", NEVER, "Linux /usr (x86-64)"},
		{"933ac7e1-2eb4-4f13-b844-0e14e2aef915", NEVER, "Linux /home"},
		{"3b8f8425-20e0-4f3b-907f-1a25a76f98e8", NEVER, "Linux /srv"},
		{"4d21b016-b534-45c2-a9fb-5c16e091fd2d", NEVER, "Linux /var"},
		{"7ec6f557-3bc5-4aca-b293-16ef5df639d1", NEVER, "Linux /var/tmp"},
		{"bc13c2ff-59e6-4262-a352-b275fd6f7172", NEVER, "Linux extended boot"},
		{"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", NEVER, "Linux swap"},
		{"e6d6d379-f507-44c2-a23c-238f2a3df928", NEVER, "Linux LVM"},
		{"a19d880f-05fc-4d3b-a006-743f0f84911e", NEVER, "Linux RAID"},
		{"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", NEVER, "EFI system"},
		{"21686148-6449-6e6f-744e-656564454649", NEVER, "BIOS boot"},
		{"e3c9e316-0b5c-4db8-817d-f92df00215ae", NEVER, "Microsoft reserved"},
		{"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", DATA, "Microsoft basic data"},
	};
	char text[37];

	guid_text(guid, text);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].guid, text)) {
			snprintf(volume->type, sizeof(volume->type), "%s", types[i].text);
			volume->type_root = types[i].use == ROOT;
			volume->type_never = types[i].use == NEVER;
			return;
		}
	snprintf(volume->type, sizeof(volume->type), "type %s", text);
}

static void copy_name(struct disk_volume *volume, const uint8_t *utf16)
{
	uint8_t ascii[NAME_CHARS];

	for (int i = 0; i < NAME_CHARS; i++) {
		unsigned c = load_le16(utf16 + i * 2);

		ascii[i] = c < 0x80 ? (uint8_t)c : '?';
	}
	disk_copy_text(volume->part_name, sizeof(volume->part_name), ascii, sizeof(ascii));
}

static void add_entry(
	struct disk_info *info, unsigned number, unsigned sector_bytes, const uint8_t *entry)
{
	static const uint8_t unused[16];
	uint64_t first = load_le64(entry + 32), last = load_le64(entry + 40);
	uint64_t attributes = load_le64(entry + 48);
	uint64_t sectors = info->size / sector_bytes;
	struct disk_volume *volume;

	if (!memcmp(entry, unused, sizeof(unused)) || first > last || first >= sectors)
		return;
	last = MIN(last, sectors - 1);
	volume = disk_add_volume(
		info, number, first * sector_bytes, (last - first + 1) * sector_bytes);
	if (!volume)
		return;
	describe(volume, entry);
	copy_name(volume, entry + 56);
	volume->type_read_only = attributes >> ATTRIBUTE_READ_ONLY & 1;
	if (attributes >> ATTRIBUTE_NO_AUTO & 1)
		volume->type_root = false;
}

static bool read_table(
	const struct source *source, struct disk_info *info, uint64_t lba, unsigned sector_bytes)
{
	struct header header;
	uint8_t *entries;

	if (!read_header(source, lba, sector_bytes, &header))
		return false;
	entries = read_entries(source, sector_bytes, &header);
	if (!entries)
		return false;
	info->table = DISK_TABLE_GPT;
	info->sector_bytes = sector_bytes;
	for (uint32_t i = 0; i < header.entry_count; i++)
		add_entry(info, i + 1, sector_bytes, entries + (size_t)i * header.entry_bytes);
	free(entries);
	return true;
}

bool disk_read_gpt(const struct source *source, struct disk_info *info)
{
	static const unsigned sector_sizes[] = {512, 4096};

	if (!has_protective_mbr(source))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sector_sizes); i++)
		if (read_table(source, info, 1, sector_sizes[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(sector_sizes); i++)
		if (source->size >= sector_sizes[i] &&
			read_table(source, info, source->size / sector_sizes[i] - 1,
				sector_sizes[i])) {
			info->gpt_backup_used = true;
			return true;
		}
	return false;
}
