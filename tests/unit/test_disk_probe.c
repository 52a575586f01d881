/*
 * disk_probe: tables and superblocks made by hand, each number spoilt, and real
 * disks made by the tools that make them, where those are installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/disk_probe.h"

enum {
	DISK_BYTES = 4 << 20,
	SECTOR = 512,
	GPT_ENTRIES = 128,
	GPT_ENTRY_BYTES = 128,
};

#define LINUX_GUID "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4"
#define ROOT_GUID  "\xe3\xbc\x68\x4f\xcd\xe8\xb1\x4d\x96\xe7\xfb\xca\xf9\x84\xb7\x09"
#define ESP_GUID   "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b"

static char folder[] = "/tmp/test-disk-XXXXXX";
static uint8_t *disk;
static struct disk_info info;

/* ---- Disks made by hand ---- */

static void probe_bytes(size_t size)
{
	struct source_bytes in = {.data = disk, .size = size};
	struct source source = source_from_bytes(&in);

	disk_probe(&source, &info);
}

static void probe(void)
{
	probe_bytes(DISK_BYTES);
}

static int clear_disk(void **state)
{
	(void)state;
	memset(disk, 0, DISK_BYTES);
	return 0;
}

static void put_ext4(size_t at, const char *label)
{
	uint8_t *sb = disk + at + 1024;

	store_le32(sb, 100);	  /* inodes */
	store_le32(sb + 4, 1000); /* blocks */
	store_le16(sb + 56, 0xef53);
	store_le32(sb + 92, 0x4);  /* journal */
	store_le32(sb + 96, 0x42); /* extents */
	memset(sb + 104, 0xab, 16);
	memcpy(sb + 120, label, strlen(label));
}

static void put_squashfs(size_t at)
{
	memcpy(disk + at, "hsqs", 4);
	store_le16(disk + at + 28, 4);
}

static void put_fat(size_t at)
{
	memcpy(disk + at + 82, "FAT32   ", 8);
	memcpy(disk + at + 71, "BOOT       ", 11);
	store_le16(disk + at + 510, 0xaa55);
}

static void put_mbr_entry(
	size_t table_at, unsigned nth, uint8_t type, uint32_t start, uint32_t sectors)
{
	uint8_t *entry = disk + table_at + 446 + nth * 16;

	entry[4] = type;
	store_le32(entry + 8, start);
	store_le32(entry + 12, sectors);
	store_le16(disk + table_at + 510, 0xaa55);
}

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

static uint8_t *gpt_entry(unsigned nth)
{
	return disk + 2 * SECTOR + nth * GPT_ENTRY_BYTES;
}

static void put_gpt_entry(unsigned nth, const char *guid, uint64_t first, uint64_t last)
{
	uint8_t *entry = gpt_entry(nth);

	memcpy(entry, guid, 16);
	memset(entry + 16, 0x11 + (int)nth, 16);
	store_le64(entry + 32, first);
	store_le64(entry + 40, last);
}

static void seal_header(uint8_t *header, uint64_t lba, uint64_t entries_lba, const uint8_t *entries)
{
	memcpy(header, "EFI PART", 8);
	store_le32(header + 8, 0x10000);
	store_le32(header + 12, 92);
	store_le64(header + 24, lba);
	store_le64(header + 72, entries_lba);
	store_le32(header + 80, GPT_ENTRIES);
	store_le32(header + 84, GPT_ENTRY_BYTES);
	store_le32(header + 88, crc32_of(entries, GPT_ENTRIES * GPT_ENTRY_BYTES));
	store_le32(header + 16, 0);
	store_le32(header + 16, crc32_of(header, 92));
}

/* Both tables and the protective MBR, for the entries that stand there. */
static void seal_gpt(void)
{
	const uint64_t last = DISK_BYTES / SECTOR - 1, backup = last - 32;

	memcpy(disk + backup * SECTOR, gpt_entry(0), GPT_ENTRIES * GPT_ENTRY_BYTES);
	seal_header(disk + SECTOR, 1, 2, gpt_entry(0));
	seal_header(disk + last * SECTOR, last, backup, gpt_entry(0));
	put_mbr_entry(0, 0, 0xee, 1, UINT32_MAX);
}

/* ESP, a small and a large Linux partition. */
static void put_gpt_disk(void)
{
	put_gpt_entry(0, ESP_GUID, 64, 127);
	put_gpt_entry(1, LINUX_GUID, 128, 1023);
	put_gpt_entry(4, LINUX_GUID, 1024, 7999);
	put_fat(64 * SECTOR);
	put_ext4(128 * SECTOR, "small");
	put_ext4(1024 * SECTOR, "large");
	seal_gpt();
}

static void assert_root(const char *device, bool read_only)
{
	char buf[32];
	bool ro;

	assert_true(disk_root_device(&info, 0, buf, sizeof(buf), &ro));
	assert_string_equal(buf, device);
	assert_int_equal(ro, read_only);
}

static void assert_no_root(void)
{
	char buf[32];
	bool ro;

	assert_int_equal(info.root, -1);
	assert_false(disk_root_device(&info, 0, buf, sizeof(buf), &ro));
}

/* ---- File systems ---- */

static void disk_empty_has_nothing(void **state)
{
	(void)state;
	probe();
	assert_int_equal(info.table, DISK_TABLE_NONE);
	assert_int_equal(info.volume_count, 1);
	assert_int_equal(info.volumes[0].fs, DISK_FS_NONE);
	assert_no_root();
	probe_bytes(0);
	assert_no_root();
}

static void disk_whole_file_system(void **state)
{
	(void)state;
	put_ext4(0, "my root");
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_EXT4);
	assert_string_equal(info.volumes[0].label, "my root");
	assert_string_equal(info.volumes[0].uuid, "abababab-abab-abab-abab-abababababab");
	assert_root("/dev/vda", false);
}

static void disk_ext_generations(void **state)
{
	uint8_t *sb = disk + 1024;

	(void)state;
	put_ext4(0, "");
	store_le32(sb + 96, 0x2);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_EXT3);
	store_le32(sb + 92, 0);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_EXT2);
	store_le32(sb + 100, 0x400);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_EXT4);
	store_le32(sb + 96, 0x8); /* a journal of another file system */
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_NONE);
}

static void disk_weak_ext_magic(void **state)
{
	(void)state;
	store_le16(disk + 1024 + 56, 0xef53);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_NONE);
	put_ext4(0, "");
	store_le32(disk + 1024 + 24, 7);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_NONE);
}

static void disk_other_file_systems(void **state)
{
	static const struct {
		size_t offset;
		const char *magic;
		size_t len;
		enum disk_fs fs;
		const char *name;
		bool is_root, read_only;
	} cases[] = {
		{0, "XFSB", 4, DISK_FS_XFS, "xfs", true, false},
		{65536 + 64, "_BHRfS_M", 8, DISK_FS_BTRFS, "btrfs", true, false},
		{32769, "CD001", 5, DISK_FS_ISO9660, "iso9660", true, true},
		{1024, "\xe2\xe1\xf5\xe0", 4, DISK_FS_EROFS, "erofs", true, true},
		{1024, "\x10\x20\xf5\xf2", 4, DISK_FS_F2FS, "f2fs", true, false},
		{4086, "SWAPSPACE2", 10, DISK_FS_SWAP, "swap", false, false},
		{0, "LUKS\xba\xbe", 6, DISK_FS_LUKS, "crypto_LUKS", false, false},
		{4096, "\xfc\x4e\x2b\xa9", 4, DISK_FS_RAID, "linux_raid_member", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(disk, 0, DISK_BYTES);
		memcpy(disk + cases[i].offset, cases[i].magic, cases[i].len);
		probe();
		assert_int_equal(info.volumes[0].fs, cases[i].fs);
		assert_string_equal(disk_fs_name(cases[i].fs), cases[i].name);
		if (cases[i].is_root)
			assert_root("/dev/vda", cases[i].read_only);
		else
			assert_no_root();
	}
	memset(disk, 0, DISK_BYTES);
	memcpy(disk + 512, "LABELONE", 8);
	memcpy(disk + 536, "LVM2 001", 8);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_LVM);
	memset(disk, 0, DISK_BYTES);
	put_fat(0);
	probe();
	assert_int_equal(info.volumes[0].fs, DISK_FS_VFAT);
	assert_string_equal(info.volumes[0].label, "BOOT");
	assert_no_root();
}

/* ---- MBR ---- */

static void disk_mbr_largest_linux_is_root(void **state)
{
	(void)state;
	put_mbr_entry(0, 0, 0x0c, 64, 64);
	put_mbr_entry(0, 1, 0x83, 128, 1000);
	put_mbr_entry(0, 3, 0x83, 2000, 4000);
	put_fat(64 * SECTOR);
	put_ext4(128 * SECTOR, "");
	put_ext4(2000 * SECTOR, "");
	probe();
	assert_int_equal(info.table, DISK_TABLE_MBR);
	assert_int_equal(info.volume_count, 3);
	assert_string_equal(info.volumes[0].type, "FAT32");
	assert_root("/dev/vda4", false);
}

static void disk_mbr_logical_partitions(void **state)
{
	(void)state;
	put_mbr_entry(0, 0, 0x82, 64, 64);
	put_mbr_entry(0, 1, 0x05, 1000, 4000);
	/* The first link, its partition, and the next link, counted from the first. */
	put_mbr_entry(1000 * SECTOR, 0, 0x83, 63, 500);
	put_mbr_entry(1000 * SECTOR, 1, 0x05, 1000, 1000);
	put_mbr_entry(2000 * SECTOR, 0, 0x83, 63, 900);
	put_squashfs((1000 + 63) * SECTOR);
	put_ext4((2000 + 63) * SECTOR, "");
	probe();
	assert_int_equal(info.volume_count, 3);
	assert_int_equal(info.volumes[0].number, 1);
	assert_true(info.volumes[0].type_never);
	assert_int_equal(info.volumes[1].number, 5);
	assert_int_equal(info.volumes[1].fs, DISK_FS_SQUASHFS);
	assert_int_equal(info.volumes[2].number, 6);
	assert_int_equal(info.volumes[2].start, 2063 * SECTOR);
	assert_root("/dev/vda6", false);
}

static void disk_mbr_circular_chain(void **state)
{
	(void)state;
	put_mbr_entry(0, 0, 0x0f, 1000, 4000);
	put_mbr_entry(1000 * SECTOR, 0, 0x83, 63, 500);
	put_mbr_entry(1000 * SECTOR, 1, 0x05, 1000, 1000);
	put_mbr_entry(2000 * SECTOR, 0, 0x83, 63, 500);
	put_mbr_entry(2000 * SECTOR, 1, 0x05, 1000, 1000); /* itself */
	probe();
	assert_true(info.volume_count <= 61);
	put_mbr_entry(2000 * SECTOR, 1, 0x05, 0, 1000); /* the first one */
	probe();
	assert_int_equal(info.volume_count, 2);
	put_mbr_entry(2000 * SECTOR, 1, 0x05, UINT32_MAX, 1000);
	probe();
	assert_int_equal(info.volume_count, 2);
}

static void disk_mbr_beyond_end(void **state)
{
	(void)state;
	put_mbr_entry(0, 0, 0x83, 1000, UINT32_MAX);
	put_mbr_entry(0, 1, 0x83, UINT32_MAX, UINT32_MAX);
	put_mbr_entry(0, 2, 0x83, DISK_BYTES / SECTOR, 1);
	put_ext4(1000 * SECTOR, "");
	probe();
	assert_int_equal(info.volume_count, 1);
	assert_int_equal(info.volumes[0].start + info.volumes[0].size, DISK_BYTES);
	assert_root("/dev/vda1", false);
}

static void disk_random_mbr(void **state)
{
	uint32_t random = 5;

	(void)state;
	for (int round = 0; round < 500; round++) {
		for (size_t i = 440; i < 510; i++) {
			random = random * 1664525u + 1013904223u;
			disk[i] = (uint8_t)(random >> 24);
		}
		store_le16(disk + 510, 0xaa55);
		probe();
		assert_true(info.volume_count <= DISK_VOLUMES_MAX);
		for (unsigned i = 0; i < info.volume_count; i++) {
			assert_true(info.volumes[i].start < DISK_BYTES);
			assert_true(info.volumes[i].size <= DISK_BYTES - info.volumes[i].start);
		}
	}
}

static void disk_stale_table_does_not_hide_the_whole(void **state)
{
	(void)state;
	/* A file system over a disk that was partitioned once: nothing is in the partition. */
	put_mbr_entry(0, 0, 0x83, 2048, 1000);
	put_ext4(0, "whole");
	probe();
	assert_root("/dev/vda", false);
	/* And the other way round. */
	put_ext4(2048 * SECTOR, "part");
	probe();
	assert_root("/dev/vda1", false);
}

static void disk_hybrid_cd_is_one_whole(void **state)
{
	(void)state;
	memcpy(disk + 32769, "CD001", 5);
	put_mbr_entry(0, 0, 0x17, 64, 4000);
	memcpy(disk + 64 * SECTOR + 32769, "CD001", 5);
	probe();
	assert_root("/dev/vda", true);
}

/* ---- GPT ---- */

static void disk_gpt_largest_linux_is_root(void **state)
{
	(void)state;
	put_gpt_disk();
	probe();
	assert_int_equal(info.table, DISK_TABLE_GPT);
	assert_false(info.gpt_backup_used);
	assert_int_equal(info.volume_count, 3);
	assert_string_equal(info.volumes[0].type, "EFI system");
	assert_int_equal(info.volumes[2].number, 5);
	assert_root("/dev/vda5", false);
}

static void disk_gpt_type_decides(void **state)
{
	(void)state;
	put_gpt_disk();
	memcpy(gpt_entry(1), ROOT_GUID, 16);
	seal_gpt();
	probe();
	assert_true(info.volumes[1].type_root);
	assert_root("/dev/vda2", false);
	store_le64(gpt_entry(1) + 48, UINT64_C(1) << 60); /* read-only */
	seal_gpt();
	probe();
	assert_root("/dev/vda2", true);
	store_le64(gpt_entry(1) + 48, UINT64_C(1) << 63); /* not by itself */
	seal_gpt();
	probe();
	assert_root("/dev/vda5", false);
	/* An ESP is never a root, whatever is in it. */
	store_le64(gpt_entry(1) + 48, 0);
	memcpy(gpt_entry(1), ESP_GUID, 16);
	memcpy(gpt_entry(4), ESP_GUID, 16);
	seal_gpt();
	probe();
	assert_no_root();
}

static void disk_gpt_needs_its_checksums(void **state)
{
	(void)state;
	put_gpt_disk();
	/* Primary header, primary entries: the backup steps in. */
	disk[SECTOR + 40] ^= 1;
	probe();
	assert_true(info.gpt_backup_used);
	assert_root("/dev/vda5", false);
	disk[SECTOR + 40] ^= 1;
	gpt_entry(100)[0] ^= 1;
	probe();
	assert_true(info.gpt_backup_used);
	assert_root("/dev/vda5", false);
	/* Both: nothing is left. */
	disk[DISK_BYTES - SECTOR + 40] ^= 1;
	probe();
	assert_int_equal(info.table, DISK_TABLE_MBR);
	assert_no_root();
}

static void disk_gpt_needs_its_protective_mbr(void **state)
{
	(void)state;
	put_gpt_disk();
	disk[446 + 4] = 0x83;
	probe();
	assert_int_equal(info.table, DISK_TABLE_MBR);
}

static void disk_gpt_absurd_header(void **state)
{
	static const struct {
		size_t field;
		unsigned bytes;
		uint64_t value;
	} cases[] = {{12, 4, 0}, {12, 4, 91}, {12, 4, 513}, {12, 4, UINT32_MAX}, {24, 8, 2},
		{72, 8, UINT64_MAX}, {72, 8, UINT64_MAX / 512}, {72, 8, 100000}, {80, 4, 0},
		{80, 4, UINT32_MAX}, {84, 4, 0}, {84, 4, 127}, {84, 4, UINT32_MAX}, {88, 4, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *header = disk + SECTOR;

		memset(disk, 0, DISK_BYTES);
		put_gpt_disk();
		memset(disk + DISK_BYTES - SECTOR, 0, SECTOR);
		memcpy(header + cases[i].field, &cases[i].value, cases[i].bytes);
		store_le32(header + 16, 0);
		store_le32(header + 16, crc32_of(header, 92));
		probe();
		assert_int_not_equal(info.table, DISK_TABLE_GPT);
		assert_no_root();
	}
}

static void disk_gpt_beyond_end(void **state)
{
	(void)state;
	put_gpt_disk();
	put_gpt_entry(4, LINUX_GUID, 1024, UINT64_MAX);
	put_gpt_entry(5, LINUX_GUID, UINT64_MAX - 1, UINT64_MAX);
	put_gpt_entry(6, LINUX_GUID, 2000, 1999);
	seal_gpt();
	probe();
	assert_int_equal(info.volume_count, 3);
	assert_int_equal(info.volumes[2].start + info.volumes[2].size, DISK_BYTES);
	assert_root("/dev/vda5", false);
}

static void disk_gpt_of_4k_sectors_is_no_root(void **state)
{
	uint8_t *header = disk + 4096, *entries = disk + 8192;

	(void)state;
	memcpy(entries, ROOT_GUID, 16);
	store_le64(entries + 32, 16);
	store_le64(entries + 40, 500);
	put_ext4(16 * 4096, "");
	seal_header(header, 1, 2, entries);
	put_mbr_entry(0, 0, 0xee, 1, UINT32_MAX);
	probe();
	assert_int_equal(info.table, DISK_TABLE_GPT);
	assert_int_equal(info.sector_bytes, 4096);
	assert_int_equal(info.volumes[0].fs, DISK_FS_EXT4);
	assert_no_root();
}

/* ---- Any disk ---- */

static void assert_printable(const char *text)
{
	for (; *text; text++)
		assert_in_range(*text, ' ', '~');
}

static void disk_labels_are_printable(void **state)
{
	(void)state;
	put_gpt_disk();
	for (int i = 0; i < 36; i++)
		store_le16(gpt_entry(1) + 56 + i * 2, (uint16_t)(0x1b + i * 1000));
	seal_gpt();
	memcpy(disk + 128 * SECTOR + 1024 + 120, "\x1b[31m\x80\xff\x7f\tlabel", 14);
	probe();
	assert_string_equal(info.volumes[1].label, "?[31m????label");
	assert_printable(info.volumes[1].part_name);
	assert_int_equal(info.volumes[1].part_name[0], '?');
}

static void disk_truncated_everywhere(void **state)
{
	(void)state;
	put_gpt_disk();
	put_ext4(0, "whole");
	for (size_t size = 0; size < DISK_BYTES; size += 1 + (size > 20000) * 4093) {
		uint8_t *all = disk;

		disk = malloc(size + !size);
		assert_non_null(disk);
		memcpy(disk, all, size);
		probe_bytes(size);
		for (unsigned i = 0; i < info.volume_count; i++)
			assert_true(info.volumes[i].start + info.volumes[i].size <= size);
		free(disk);
		disk = all;
	}
}

static int64_t fail_to_read(void *opaque, uint64_t offset, void *buf, uint64_t len)
{
	(void)opaque, (void)offset, (void)buf, (void)len;
	return -5;
}

static void disk_unreadable_has_nothing(void **state)
{
	struct source source = {.read = fail_to_read, .size = 1 << 30};

	(void)state;
	disk_probe(&source, &info);
	assert_int_equal(info.table, DISK_TABLE_NONE);
	assert_no_root();
}

static void disk_names_count_as_linux_does(void **state)
{
	static const struct {
		unsigned index;
		const char *name;
	} cases[] = {{0, "/dev/vda"}, {1, "/dev/vdb"}, {25, "/dev/vdz"}, {26, "/dev/vdaa"},
		{27, "/dev/vdab"}, {701, "/dev/vdzz"}, {702, "/dev/vdaaa"}};
	char buf[32];
	bool ro;

	(void)state;
	put_squashfs(0);
	probe();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(disk_root_device(&info, cases[i].index, buf, sizeof(buf), &ro));
		assert_string_equal(buf, cases[i].name);
		assert_true(ro);
	}
}

/* ---- Disks made by their own tools ---- */

/* Runs a script with $f as the disk's path. Its exit status; 77: a tool is not installed. */
static int make_disk(const char *tools, const char *script)
{
	char command[1024];
	int status;

	snprintf(command, sizeof(command),
		"PATH=$PATH:/usr/sbin:/sbin; export PATH; f=%s/disk; rm -rf $f; cd %s || exit 1; "
		"for t in %s; do command -v $t >/dev/null || { echo \"$t is not installed\"; exit "
		"77; "
		"}; done; { %s; } >log 2>&1 || { cat log; exit 1; }",
		folder, folder, tools, script);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void probe_made_disk(const char *tools, const char *script)
{
	char path[64];
	struct source source;
	struct stat st;
	int fd, status = make_disk(tools, script);

	if (status == 77)
		skip();
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/disk", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	source = source_from_fd(&fd, (uint64_t)st.st_size);
	disk_probe(&source, &info);
	close(fd);
	unlink(path);
}

static void assert_made(
	const char *tools, const char *script, enum disk_fs fs, const char *label, const char *uuid)
{
	probe_made_disk(tools, script);
	assert_int_equal(info.volumes[0].fs, fs);
	assert_string_equal(info.volumes[0].label, label);
	assert_string_equal(info.volumes[0].uuid, uuid);
}

#define UUID "01234567-89ab-4cde-8f01-23456789abcd"

static void disk_made_by_mke2fs(void **state)
{
	(void)state;
	assert_made("mkfs.ext4", "truncate -s 8M $f && mkfs.ext4 -q -L made -U " UUID " $f",
		DISK_FS_EXT4, "made", UUID);
	assert_made("mkfs.ext2", "truncate -s 8M $f && mkfs.ext2 -q -U " UUID " $f", DISK_FS_EXT2,
		"", UUID);
	assert_made("mkfs.ext3", "truncate -s 8M $f && mkfs.ext3 -q -U " UUID " $f", DISK_FS_EXT3,
		"", UUID);
}

static void disk_made_by_mkfs_xfs(void **state)
{
	(void)state;
	assert_made("mkfs.xfs", "truncate -s 400M $f && mkfs.xfs -q -L made -m uuid=" UUID " $f",
		DISK_FS_XFS, "made", UUID);
	assert_root("/dev/vda", false);
}

static void disk_made_by_mkfs_btrfs(void **state)
{
	(void)state;
	assert_made("mkfs.btrfs", "truncate -s 200M $f && mkfs.btrfs -q -L made -U " UUID " $f",
		DISK_FS_BTRFS, "made", UUID);
}

static void disk_made_by_mksquashfs(void **state)
{
	(void)state;
	assert_made("mksquashfs", "mkdir -p d && mksquashfs d $f -quiet -no-progress",
		DISK_FS_SQUASHFS, "", "");
	assert_root("/dev/vda", true);
}

static void disk_made_by_genisoimage(void **state)
{
	(void)state;
	assert_made("genisoimage", "mkdir -p d && genisoimage -quiet -V MADE -o $f d",
		DISK_FS_ISO9660, "MADE", "");
}

static void disk_made_by_mkswap(void **state)
{
	(void)state;
	assert_made("mkswap", "truncate -s 1M $f && mkswap -L made -U " UUID " $f", DISK_FS_SWAP,
		"made", UUID);
	assert_no_root();
}

static void disk_made_by_sfdisk(void **state)
{
	(void)state;
	probe_made_disk("sfdisk mkfs.ext4",
		"truncate -s 20M $f && printf 'label: dos\\n1M,2M,82\\n,4M,83\\n,,E\\n,5M,83\\n' | "
		"sfdisk -q $f && truncate -s 5M p && mkfs.ext4 -q -L five p && "
		"dd if=p of=$f bs=1M seek=8 conv=notrunc status=none");
	assert_int_equal(info.table, DISK_TABLE_MBR);
	assert_int_equal(info.volume_count, 3);
	assert_int_equal(info.volumes[2].number, 5);
	assert_string_equal(info.volumes[2].label, "five");
	assert_root("/dev/vda5", false);
	probe_made_disk("sfdisk mkfs.ext4",
		"truncate -s 20M $f && printf 'label: gpt\\nsize=2M,type=U\\n"
		"size=8M,type=L,name=\"the root\"\\n' | sfdisk -q $f && truncate -s 8M p && "
		"mkfs.ext4 -q -L gpt p && "
		"dd if=p of=$f bs=1M seek=3 conv=notrunc status=none");
	assert_int_equal(info.table, DISK_TABLE_GPT);
	assert_false(info.gpt_backup_used);
	assert_string_equal(info.volumes[0].type, "EFI system");
	assert_string_equal(info.volumes[1].part_name, "the root");
	assert_root("/dev/vda2", false);
}

static int make_folder(void **state)
{
	(void)state;
	disk = malloc(DISK_BYTES);
	return disk && mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	free(disk);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

#define DISK_TEST(fn) cmocka_unit_test_setup(fn, clear_disk)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(disk_empty_has_nothing),
		DISK_TEST(disk_whole_file_system),
		DISK_TEST(disk_ext_generations),
		DISK_TEST(disk_weak_ext_magic),
		DISK_TEST(disk_other_file_systems),
		DISK_TEST(disk_mbr_largest_linux_is_root),
		DISK_TEST(disk_mbr_logical_partitions),
		DISK_TEST(disk_mbr_circular_chain),
		DISK_TEST(disk_mbr_beyond_end),
		DISK_TEST(disk_random_mbr),
		DISK_TEST(disk_stale_table_does_not_hide_the_whole),
		DISK_TEST(disk_hybrid_cd_is_one_whole),
		DISK_TEST(disk_gpt_largest_linux_is_root),
		DISK_TEST(disk_gpt_type_decides),
		DISK_TEST(disk_gpt_needs_its_checksums),
		DISK_TEST(disk_gpt_needs_its_protective_mbr),
		DISK_TEST(disk_gpt_absurd_header),
		DISK_TEST(disk_gpt_beyond_end),
		DISK_TEST(disk_gpt_of_4k_sectors_is_no_root),
		DISK_TEST(disk_labels_are_printable),
		DISK_TEST(disk_truncated_everywhere),
		DISK_TEST(disk_unreadable_has_nothing),
		DISK_TEST(disk_names_count_as_linux_does),
		DISK_TEST(disk_made_by_mke2fs),
		DISK_TEST(disk_made_by_mkfs_xfs),
		DISK_TEST(disk_made_by_mkfs_btrfs),
		DISK_TEST(disk_made_by_mksquashfs),
		DISK_TEST(disk_made_by_genisoimage),
		DISK_TEST(disk_made_by_mkswap),
		DISK_TEST(disk_made_by_sfdisk),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
