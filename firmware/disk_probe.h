/*
 * Looks into a disk image: partitions, file systems, and which of them is the
 * root file system, so that root= need not be said.
 *
 * Reads a few dozen KiB. Anything may stand in the image: every number is
 * checked against its size. Nothing found is not an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/source.h"
#include "vmm/base/err.h"

enum disk_table {
	DISK_TABLE_NONE, /* the whole disk is one file system, or nothing known */
	DISK_TABLE_MBR,
	DISK_TABLE_GPT,
};

enum disk_fs {
	DISK_FS_NONE,
	DISK_FS_EXT2,
	DISK_FS_EXT3,
	DISK_FS_EXT4,
	DISK_FS_XFS,
	DISK_FS_BTRFS,
	DISK_FS_SQUASHFS,
	DISK_FS_ISO9660,
	DISK_FS_EROFS,
	DISK_FS_F2FS,
	/* recognised, never a root: */
	DISK_FS_VFAT,
	DISK_FS_EXFAT,
	DISK_FS_NTFS,
	DISK_FS_SWAP,
	DISK_FS_LUKS,
	DISK_FS_LVM,
	DISK_FS_RAID,
};

struct disk_volume {
	unsigned number;     /* of the partition as Linux counts, 0 = the whole disk */
	uint64_t start;	     /* bytes from the start of the disk */
	uint64_t size;	     /* bytes */
	char type[48];	     /* of the partition, for people: "Linux root (x86-64)" */
	char part_name[37];  /* GPT name, printable ASCII, may be empty */
	bool type_root;	     /* the partition's type says: root file system for x86-64 */
	bool type_never;     /* ESP, swap, BIOS boot: never a root */
	bool type_read_only; /* GPT attribute */
	enum disk_fs fs;
	char label[65]; /* printable, may be empty */
	char uuid[37];	/* may be empty */
};

enum {
	DISK_VOLUMES_MAX = 130
};

struct disk_info {
	uint64_t size;
	enum disk_table table;
	unsigned sector_bytes; /* of the partition table: 512, or 4096 (no guest sees that one) */
	bool gpt_backup_used; /* the primary GPT is damaged: Linux needs the word "gpt" to try this */
	unsigned volume_count;
	struct disk_volume volumes[DISK_VOLUMES_MAX]; /* partitions, and a file system on it all */
	int root;				      /* index in volumes[], -1 = none found */
};

/* Fills `info`. Never fails: what can't be read or understood is left out. */
void disk_probe(const struct source *source, struct disk_info *info);

/* "ext4": as the kernel and blkid call it; "" for DISK_FS_NONE. */
const char *disk_fs_name(enum disk_fs fs);

/* True for file systems that can only be mounted read-only. */
bool disk_fs_is_read_only(enum disk_fs fs);

/*
 * The root's name in the guest, for the disk of that index (0 = vda): "/dev/vda1".
 * False when there is none. *read_only: the file system or partition is.
 */
bool disk_root_device(
	const struct disk_info *info, unsigned disk_index, char *buf, size_t size, bool *read_only);
