/*
 * See disk_probe.h. Puts tables and file systems together and chooses the root.
 * Knows nothing of backends: it reads through a struct source. No state, any thread.
 * What a disk can say: see disk_fs.c, disk_mbr.c, disk_gpt.c.
 */
#include "firmware/disk_probe.h"

#include <stdio.h>

#include "firmware/disk_fs.h"
#include "firmware/disk_tables.h"
#include "vmm/base/util.h"

enum {
	GUEST_SECTOR_BYTES = 512,
	LETTERS = 26,
};

struct disk_volume *disk_add_volume(
	struct disk_info *info, unsigned number, uint64_t start, uint64_t size)
{
	struct disk_volume *volume;

	if (info->volume_count == DISK_VOLUMES_MAX)
		return NULL;
	volume = &info->volumes[info->volume_count++];
	*volume = (struct disk_volume){.number = number, .start = start, .size = size};
	return volume;
}

static bool can_be_root(const struct disk_volume *volume)
{
	return volume->fs != DISK_FS_NONE && volume->fs < DISK_FS_VFAT && !volume->type_never;
}

/*
 * A partition whose type says so; else the largest partition with a file system
 * of Linux; else the disk as a whole. CDs come last among partitions: a hybrid one
 * has a table that shows its own contents as partitions.
 */
static int rank(const struct disk_volume *volume)
{
	if (volume->type_root)
		return 3;
	if (volume->number && volume->fs != DISK_FS_ISO9660)
		return 2;
	return volume->number ? 0 : 1;
}

static int choose_root(const struct disk_info *info)
{
	const struct disk_volume *best = NULL;

	/* A table of 4 KiB sectors is not one for a guest, which sees sectors of 512 bytes. */
	if (info->table != DISK_TABLE_NONE && info->sector_bytes != GUEST_SECTOR_BYTES)
		return -1;
	for (unsigned i = 0; i < info->volume_count; i++) {
		const struct disk_volume *volume = &info->volumes[i];

		if (!can_be_root(volume))
			continue;
		if (!best || rank(volume) > rank(best) ||
			(rank(volume) == rank(best) && rank(volume) < 3 &&
				volume->size > best->size))
			best = volume;
	}
	return best ? (int)(best - info->volumes) : -1;
}

void disk_probe(const struct source *source, struct disk_info *info)
{
	struct disk_volume whole = {.size = source->size};
	struct disk_volume *volume;

	*info = (struct disk_info){
		.size = source->size, .table = DISK_TABLE_NONE, .sector_bytes = GUEST_SECTOR_BYTES};
	disk_fs_probe(source, &whole);
	/* The boot sector of a FAT or NTFS disk has the mark of an MBR and no table. */
	if (whole.fs != DISK_FS_VFAT && whole.fs != DISK_FS_EXFAT && whole.fs != DISK_FS_NTFS &&
		!disk_read_gpt(source, info))
		disk_read_mbr(source, info);
	for (unsigned i = 0; i < info->volume_count; i++)
		disk_fs_probe(source, &info->volumes[i]);
	if (whole.fs != DISK_FS_NONE || info->table == DISK_TABLE_NONE) {
		volume = disk_add_volume(info, 0, 0, source->size);
		if (volume)
			*volume = whole;
	}
	info->root = choose_root(info);
}

/* vda … vdz, vdaa …: as the kernel's virtio_blk counts. */
static void disk_name(unsigned index, char *buf, size_t size)
{
	char letters[8];
	size_t at = sizeof(letters);

	letters[--at] = '\0';
	do {
		letters[--at] = (char)('a' + index % LETTERS);
		index = index / LETTERS;
	} while (index-- > 0 && at > 0);
	snprintf(buf, size, "vd%s", letters + at);
}

bool disk_root_device(
	const struct disk_info *info, unsigned disk_index, char *buf, size_t size, bool *read_only)
{
	const struct disk_volume *volume;
	char disk[12];

	if (info->root < 0)
		return false;
	volume = &info->volumes[info->root];
	disk_name(disk_index, disk, sizeof(disk));
	if (volume->number)
		snprintf(buf, size, "/dev/%s%u", disk, volume->number);
	else
		snprintf(buf, size, "/dev/%s", disk);
	*read_only = disk_fs_is_read_only(volume->fs) || volume->type_read_only;
	return true;
}
