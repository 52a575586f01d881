/*
 * blk_open(): looks at what the path names, refuses what can't be a raw disk with
 * a sentence of its own for each case, locks it, and makes the backend.
 *
 * The first bytes are looked at for formats whose file is not the disk itself.
 * Everything else is raw: a guest that writes such a header to its own disk can make
 * us refuse that disk the next time, and nothing more.
 *
 * One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/blk_file.h"
#include "devices/backend/blk_lock.h"
#include "devices/backend/blk_overlay.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	HEAD_BYTES = 512,
	FILE_IO_BYTES = 4096, /* the page cache's unit */
	BLOCK_BYTES_MAX = 4096
};

/* ---- Other formats ---- */

struct magic {
	const char *name;
	bool is_disk; /* a disk in another format: refused; else only worth a line */
	unsigned offset, len;
	const char *bytes;
};

static const struct magic magics[] = {
	{"qcow2", true, 0, 4, "QFI\xfb"},
	{"QED", true, 0, 4, "QED\0"},
	{"VMDK", true, 0, 4, "KDMV"},
	{"VMDK", true, 0, 4, "COWD"},
	{"VMDK", true, 0, 20, "# Disk DescriptorFil"},
	{"VHDX", true, 0, 8, "vhdxfile"},
	{"VHD", true, 0, 8, "conectix"},
	{"VDI", true, 64, 4, "\x7f\x10\xda\xbe"},
	{"gzip", false, 0, 3, "\x1f\x8b\x08"},
	{"xz", false, 0, 6,
		"\xfd"
		"7zXZ\0"},
	{"zstd", false, 0, 4, "\x28\xb5\x2f\xfd"},
	{"bzip2", false, 0, 3, "BZh"},
	{"zip", false, 0, 4, "PK\x03\x04"},
};

static int check_format(const struct blk_image *image, struct err *err)
{
	uint8_t head[HEAD_BYTES] = {0};
	int64_t got = util_pread_full(image->fd, head, sizeof(head), 0);

	if (got < 0) {
		err_set(err, EXIT_CODE_IMAGE, (int)-got, "can't read disk image %s: %s",
			image->path, strerror((int)-got));
		return (int)got;
	}
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *magic = &magics[i];

		if (memcmp(head + magic->offset, magic->bytes, magic->len) != 0)
			continue;
		if (!magic->is_disk) {
			log_warn("disk image %s is a %s file; the guest will see its compressed "
				 "bytes",
				image->path, magic->name);
			return 0;
		}
		err_set(err, EXIT_CODE_IMAGE, EINVAL,
			"disk image %s is in the format %s, and only raw images can be used",
			image->path, magic->name);
		err_hint(err, "convert it: qemu-img convert -O raw %s %s.raw", image->path,
			image->path);
		return -EINVAL;
	}
	return 0;
}

/* ---- Kinds of files ---- */

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe (FIFO)";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
		return "a character device";
	default:
		return "no regular file";
	}
}

static int check_kind(const char *path, const struct stat *st, struct err *err)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	err_set(err, EXIT_CODE_IMAGE, EINVAL, "disk image %s is %s", path, kind_of(st->st_mode));
	err_hint(err, "name a file with a raw disk in it, or a block device");
	return -EINVAL;
}

/* ---- Opening, and why it fails ---- */

static void hint_permission(
	const char *path, const struct stat *st, bool for_writing, struct err *err)
{
	const struct group *group = S_ISBLK(st->st_mode) ? getgrgid(st->st_gid) : NULL;

	if (group && st->st_mode & S_IRGRP && st->st_gid)
		err_hint(err,
			"become a member of its group: sudo usermod -aG %s $USER, then log in "
			"again",
			group->gr_name);
	else if (for_writing && access(path, R_OK) == 0)
		err_hint(err,
			"it may be read: add ,ro (the guest can't write) or ,ephemeral (what it "
			"writes is thrown away), or change its mode: chmod u+w %s",
			path);
	else
		err_hint(err, "look at its owner and mode: ls -l %s", path);
}

/*
 * A device that is claimed: by a mount, or by somebody who has our lock on it too and can
 * be named. True when there is such a sentence.
 */
static bool explain_claim(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool named;

	if (fd < 0)
		return false;
	named = blk_lock_file(fd, path, false, err) < 0;
	close(fd);
	return named;
}

static int explain_open(
	int errnum, const char *path, const struct stat *st, bool for_writing, struct err *err)
{
	const char *how = for_writing ? "reading and writing" : "reading";

	switch (errnum) {
	case EACCES:
	case EPERM:
		err_set(err, EXIT_CODE_IMAGE, errnum, "no permission to open disk image %s for %s",
			path, how);
		hint_permission(path, st, for_writing, err);
		break;
	case EROFS:
		err_set(err, EXIT_CODE_IMAGE, errnum,
			"disk image %s can't be written: it lies on a read-only file system or "
			"device",
			path);
		err_hint(err, "add ,ro or ,ephemeral to --disk");
		break;
	case EBUSY:
		if (explain_claim(path, err))
			break;
		err_set(err, EXIT_CODE_IMAGE, errnum,
			"block device %s is mounted or otherwise in use by the host", path);
		err_hint(err, "unmount it first (findmnt %s says where), or add ,ephemeral", path);
		break;
	default:
		err_set(err, EXIT_CODE_IMAGE, errnum, "can't open disk image %s for %s: %s", path,
			how, strerror(errnum));
	}
	return -errnum;
}

static int explain_stat(int errnum, const char *path, struct err *err)
{
	if (errnum == ENOENT || errnum == ENOTDIR) {
		err_set(err, EXIT_CODE_IMAGE, errnum, "there is no disk image %s", path);
		err_hint(err, "check the path; truncate -s 1G FILE makes an empty disk");
	} else if (errnum == EACCES) {
		err_set(err, EXIT_CODE_IMAGE, errnum,
			"no permission to enter a folder on the way to disk image %s", path);
		err_hint(err, "look at the folders: namei -l %s", path);
	} else {
		err_set(err, EXIT_CODE_IMAGE, errnum, "can't look at disk image %s: %s", path,
			strerror(errnum));
	}
	return -errnum;
}

/*
 * Result: the fd. The kind is checked before and after opening: opening a FIFO or a
 * tape has effects, and the path may be changed in between.
 */
static int open_path(const char *path, bool for_writing, struct stat *st, struct err *err)
{
	int flags = (for_writing ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd, ret;

	if (stat(path, st) < 0)
		return explain_stat(errno, path, err);
	ret = check_kind(path, st, err);
	if (ret < 0)
		return ret;
	/* Claims the device, which fails while one of its file systems is mounted. */
	if (for_writing && S_ISBLK(st->st_mode))
		flags |= O_EXCL;
	fd = open(path, flags);
	if (fd < 0)
		return explain_open(errno, path, st, for_writing, err);
	/* O_NONBLOCK was for the opening only. */
	ret = fstat(fd, st) < 0 || fcntl(fd, F_SETFL, 0) < 0 ? -errno : 0;
	if (ret < 0)
		err_set(err, EXIT_CODE_IMAGE, -ret, "can't look at disk image %s: %s", path,
			strerror(-ret));
	else
		ret = check_kind(path, st, err);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

/* ---- Sizes ---- */

static int measure_device(struct blk_image *image, bool for_writing, struct err *err)
{
	int block_size = BLK_SECTOR_BYTES, is_read_only = 0;
	unsigned io_size = 0;

	image->is_device = true;
	if (ioctl(image->fd, BLKGETSIZE64, &image->end) < 0)
		return err_set(err, EXIT_CODE_IMAGE, errno,
			"can't learn the size of block device %s: %s", image->path,
			strerror(errno));
	/* Such a device opens for writing, and fails each write. */
	if (for_writing && ioctl(image->fd, BLKROGET, &is_read_only) == 0 && is_read_only)
		return explain_open(EROFS, image->path, NULL, true, err);
	(void)ioctl(image->fd, BLKSSZGET, &block_size);
	(void)ioctl(image->fd, BLKPBSZGET, &io_size);
	/* The page cache lets us read and write any sector, whatever the device's own unit. */
	image->info.block_size = block_size >= BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : BLK_SECTOR_BYTES;
	image->info.io_size = FILE_IO_BYTES;
	if (io_size > FILE_IO_BYTES && util_is_power_of_two(io_size))
		image->info.io_size = io_size;
	return 0;
}

static int measure(
	struct blk_image *image, const struct stat *st, bool for_writing, struct err *err)
{
	int ret = 0;

	if (S_ISBLK(st->st_mode)) {
		ret = measure_device(image, for_writing, err);
	} else {
		image->end = (uint64_t)st->st_size;
		image->info.block_size = BLK_SECTOR_BYTES;
		image->info.io_size = FILE_IO_BYTES;
	}
	if (ret < 0)
		return ret;
	if (!image->end) {
		err_set(err, EXIT_CODE_IMAGE, EINVAL, "disk image %s is empty", image->path);
		err_hint(err, "give it a size: truncate -s 1G %s", image->path);
		return -EINVAL;
	}
	image->info.size = util_align_up(image->end, BLK_SECTOR_BYTES);
	if (image->info.size != image->end)
		log_info("disk image %s is no multiple of 512 bytes long; the guest sees zeroes "
			 "in the rest of the last sector",
			image->path);
	return 0;
}

/*
 * The identity is made from the path, not from the inode or the contents, which
 * change when an image is restored from a copy.
 */
static void make_id(struct blk_image *image)
{
	char *real = realpath(image->path, NULL);
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (const char *c = real ? real : image->path; *c; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	free(real);
	snprintf(image->info.id, sizeof(image->info.id), "vmm-%016llx", (unsigned long long)hash);
}

/* ---- The whole ---- */

static int open_image(struct blk_image *image, bool for_writing, struct err *err)
{
	struct stat st;
	int ret = open_path(image->path, for_writing, &st, err);

	if (ret < 0)
		return ret;
	image->fd = ret;
	ret = measure(image, &st, for_writing, err);
	if (ret >= 0)
		ret = check_format(image, err);
	if (ret >= 0)
		ret = blk_lock_file(image->fd, image->path, for_writing, err);
	if (ret < 0) {
		close(image->fd);
		return ret;
	}
	image->info.read_only = !for_writing;
	make_id(image);
	return 0;
}

int blk_open(struct blk **blk, const struct blk_config *config, struct loop *loop, struct err *err)
{
	struct blk_image image = {.fd = -1, .path = config->path};
	bool overlay = config->ephemeral && !config->read_only;
	struct blk *base;
	int ret = open_image(&image, !config->read_only && !overlay, err);

	*blk = NULL;
	if (ret < 0)
		return ret;
	ret = blk_file_create(&base, &image, loop, err);
	if (ret < 0)
		return ret;
	if (overlay) {
		ret = blk_overlay_create(blk, base, loop, err);
		if (ret < 0)
			blk_close(base);
		return ret;
	}
	*blk = base;
	return 0;
}
