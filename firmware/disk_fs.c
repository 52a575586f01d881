/*
 * See disk_fs.h. Recognises file systems by their superblocks. Knows nothing of
 * partitions. No state, any thread.
 *
 * Sources: the kernel's on-disk format descriptions (Documentation/filesystems,
 * fs/xfs/libxfs/xfs_format.h, <linux/btrfs_tree.h>), ECMA-119 for ISO 9660, Microsoft's FAT
 * specification, LUKS on-disk formats 1 and 2, LVM2's label format.
 *
 * What the disk can say        limit                        enforced in        test
 * superblock past the end      read as absent               at()               disk_truncated_everywhere
 * labels with control bytes    printable ASCII only         disk_copy_text()   disk_labels_are_printable
 * a 16-bit magic by accident   two more fields must fit     probe_ext()        disk_weak_ext_magic
 * anything else                is not looked at             -                  fuzz_disk_probe
 */
#include "firmware/disk_fs.h"

#include <stdio.h>

#include "vmm/base/util.h"

enum {
	EXT_OFFSET = 1024,
	EXT_MAGIC = 0xef53,
	EXT_LOG_BLOCK_MAX = 6, /* 64 KiB */
	EXT_COMPAT_JOURNAL = 0x4,
	EXT_INCOMPAT_JOURNAL_DEVICE = 0x8,
	/* What ext3 knows: filetype, recover, meta_bg; sparse_super, large_file, btree_dir. */
	EXT3_INCOMPAT = 0x2 | 0x4 | 0x10,
	EXT3_RO_COMPAT = 0x1 | 0x2 | 0x4,
	SWAP_PAGE_BYTES = 4096,
	SUPERBLOCK_BYTES = 1024,
};

static const struct {
	const char *name;
	bool read_only;
} names[] = {
	[DISK_FS_NONE] = {"", false},
	[DISK_FS_EXT2] = {"ext2", false},
	[DISK_FS_EXT3] = {"ext3", false},
	[DISK_FS_EXT4] = {"ext4", false},
	[DISK_FS_XFS] = {"xfs", false},
	[DISK_FS_BTRFS] = {"btrfs", false},
	[DISK_FS_SQUASHFS] = {"squashfs", true},
	[DISK_FS_ISO9660] = {"iso9660", true},
	[DISK_FS_EROFS] = {"erofs", true},
	[DISK_FS_F2FS] = {"f2fs", false},
	[DISK_FS_VFAT] = {"vfat", false},
	[DISK_FS_EXFAT] = {"exfat", false},
	[DISK_FS_NTFS] = {"ntfs", false},
	[DISK_FS_SWAP] = {"swap", false},
	[DISK_FS_LUKS] = {"crypto_LUKS", false},
	[DISK_FS_LVM] = {"LVM2_member", false},
	[DISK_FS_RAID] = {"linux_raid_member", false},
};

const char *disk_fs_name(enum disk_fs fs)
{
	return names[fs].name;
}

bool disk_fs_is_read_only(enum disk_fs fs)
{
	return names[fs].read_only;
}

void disk_uuid_text(const uint8_t uuid[16], char text[37])
{
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		uuid[0], uuid[1], uuid[2], uuid[3], uuid[4], uuid[5], uuid[6], uuid[7], uuid[8],
		uuid[9], uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]);
}

void disk_copy_text(char *to, size_t to_size, const uint8_t *from, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len && from[i] && used < to_size - 1; i++)
		to[used++] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
	while (used && to[used - 1] == ' ')
		used--;
	to[used] = '\0';
}

struct probe {
	const struct source *source;
	struct disk_volume *volume;
	uint8_t buf[SUPERBLOCK_BYTES];
};

/* The first bytes of a superblock at that offset of the volume, in p->buf; false: not there. */
static bool at(struct probe *p, uint64_t offset)
{
	uint64_t start;

	return util_range_inside(offset, sizeof(p->buf), p->volume->size) &&
		!util_add_overflows(p->volume->start, offset, &start) &&
		source_read(p->source, start, p->buf, sizeof(p->buf));
}

static bool has(const struct probe *p, size_t offset, const char *magic, size_t len)
{
	return !memcmp(p->buf + offset, magic, len);
}

static bool found(struct probe *p, enum disk_fs fs, size_t label, size_t label_len, size_t uuid)
{
	p->volume->fs = fs;
	if (label_len)
		disk_copy_text(
			p->volume->label, sizeof(p->volume->label), p->buf + label, label_len);
	if (uuid)
		disk_uuid_text(p->buf + uuid, p->volume->uuid);
	return true;
}

static bool probe_ext(struct probe *p)
{
	uint32_t compat, incompat, ro_compat;
	enum disk_fs fs = DISK_FS_EXT2;

	if (load_le16(p->buf + 56) != EXT_MAGIC || load_le32(p->buf + 24) > EXT_LOG_BLOCK_MAX ||
		!load_le32(p->buf) || !load_le32(p->buf + 4))
		return false;
	compat = load_le32(p->buf + 92);
	incompat = load_le32(p->buf + 96);
	ro_compat = load_le32(p->buf + 100);
	if (incompat & EXT_INCOMPAT_JOURNAL_DEVICE)
		return false;
	if (incompat & ~(uint32_t)EXT3_INCOMPAT || ro_compat & ~(uint32_t)EXT3_RO_COMPAT)
		fs = DISK_FS_EXT4;
	else if (compat & EXT_COMPAT_JOURNAL)
		fs = DISK_FS_EXT3;
	return found(p, fs, 120, 16, 104);
}

/* Superblocks that lie at 1024. */
static bool probe_at_1024(struct probe *p)
{
	const uint32_t erofs_magic = 0xe0f5e1e2, f2fs_magic = 0xf2f52010;

	if (!at(p, EXT_OFFSET))
		return false;
	if (load_le32(p->buf) == erofs_magic)
		return found(p, DISK_FS_EROFS, 64, 16, 48);
	if (load_le32(p->buf) == f2fs_magic)
		return found(p, DISK_FS_F2FS, 0, 0, 108);
	return probe_ext(p);
}

static bool probe_fat(struct probe *p)
{
	size_t extended;

	if (load_le16(p->buf + 510) != 0xaa55)
		return false;
	if (has(p, 3, "NTFS    ", 8))
		return found(p, DISK_FS_NTFS, 0, 0, 0);
	if (has(p, 3, "EXFAT   ", 8))
		return found(p, DISK_FS_EXFAT, 0, 0, 0);
	if (has(p, 82, "FAT32   ", 8))
		extended = 66;
	else if (has(p, 54, "FAT12   ", 8) || has(p, 54, "FAT16   ", 8) ||
		has(p, 54, "FAT     ", 8))
		extended = 38;
	else
		return false;
	snprintf(p->volume->uuid, sizeof(p->volume->uuid), "%02X%02X-%02X%02X",
		p->buf[extended + 4], p->buf[extended + 3], p->buf[extended + 2],
		p->buf[extended + 1]);
	return found(p, DISK_FS_VFAT, extended + 5, 11, 0);
}

/* Superblocks that lie at the very beginning. */
static bool probe_at_0(struct probe *p)
{
	const uint32_t raid_magic = 0xa92b4efc;

	if (!at(p, 0))
		return false;
	if (has(p, 0, "XFSB", 4))
		return found(p, DISK_FS_XFS, 108, 12, 32);
	if (has(p, 0, "hsqs", 4) && load_le16(p->buf + 28) == 4)
		return found(p, DISK_FS_SQUASHFS, 0, 0, 0);
	if (has(p, 0, "LUKS\xba\xbe", 6)) {
		disk_copy_text(p->volume->uuid, sizeof(p->volume->uuid), p->buf + 168, 36);
		return found(p, DISK_FS_LUKS, 0, 0, 0);
	}
	if (has(p, 512, "LABELONE", 8) && has(p, 536, "LVM2 001", 8))
		return found(p, DISK_FS_LVM, 0, 0, 0);
	if (load_le32(p->buf) == raid_magic)
		return found(p, DISK_FS_RAID, 0, 0, 0);
	return probe_fat(p);
}

/* ECMA-119: a volume descriptor in sector 16. */
static bool probe_iso9660(struct probe *p)
{
	return at(p, 16 * 2048) && has(p, 1, "CD001", 5) && found(p, DISK_FS_ISO9660, 40, 32, 0);
}

static bool probe_btrfs(struct probe *p)
{
	return at(p, 64 * KIB) && has(p, 64, "_BHRfS_M", 8) &&
		found(p, DISK_FS_BTRFS, 299, 256, 32);
}

static bool probe_raid_1_2(struct probe *p)
{
	const uint32_t raid_magic = 0xa92b4efc;

	return at(p, 4096) && load_le32(p->buf) == raid_magic && found(p, DISK_FS_RAID, 0, 0, 0);
}

/* The mark ends the first page; label and UUID stand at its byte 1024. */
static bool probe_swap(struct probe *p)
{
	if (!at(p, SWAP_PAGE_BYTES - SUPERBLOCK_BYTES) ||
		!has(p, SUPERBLOCK_BYTES - 10, "SWAPSPACE2", 10))
		return false;
	return at(p, 1024) && found(p, DISK_FS_SWAP, 28, 16, 12);
}

void disk_fs_probe(const struct source *source, struct disk_volume *volume)
{
	/* Strong marks first: an ext superblock is the one that old data could fake. */
	static bool (*const probes[])(struct probe *) = {
		probe_btrfs, probe_iso9660, probe_at_0, probe_swap, probe_raid_1_2, probe_at_1024};
	struct probe p = {.source = source, .volume = volume};

	volume->fs = DISK_FS_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		if (probes[i](&p))
			return;
}
