/*
 * See blk_overlay.h. A sector is in the overlay when its bit is set, at the same
 * offset as in the base. The bitmap is anonymous memory that the host fills in where it
 * is touched: a terabyte costs nothing until it is written.
 *
 * Nothing here outlives the process, so a flush has nothing to do.
 *
 * Threads: execute() on the pool's workers. A writer stores the data, then sets the
 * bits (release); a reader loads the bits (acquire), so a set bit means the data is
 * there. Requests for the same sector at the same time have no order, as on any disk,
 * and two for neighbouring sectors never touch each other's: bits are set atomically.
 */
#include "devices/backend/blk_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/backend/blk_io.h"
#include "devices/backend/blk_pool.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	BITS = 64
};

struct blk_overlay {
	struct blk blk;
	struct blk_pool pool;
	struct blk *base; /* owned */
	int fd;
	uint64_t *bitmap; /* one bit per sector */
	uint64_t bitmap_bytes;
	struct log_limit errors;
};

static struct blk_overlay *overlay_of(struct blk *blk)
{
	return CONTAINER_OF(blk, struct blk_overlay, blk);
}

/* ---- The bitmap ---- */

/* The bits of the word that holds `sector` which belong to [sector, end). */
static uint64_t word_mask(uint64_t sector, uint64_t end)
{
	unsigned from = (unsigned)(sector % BITS);
	uint64_t count = MIN(end - sector, (uint64_t)(BITS - from));
	uint64_t ones = count == BITS ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;

	return ones << from;
}

/* Pairs with the acquire in find_run(): the data of these sectors is in the file. */
static void set_bits(struct blk_overlay *overlay, uint64_t sector, uint64_t end)
{
	for (; sector < end; sector = (sector / BITS + 1) * BITS)
		__atomic_fetch_or(
			&overlay->bitmap[sector / BITS], word_mask(sector, end), __ATOMIC_RELEASE);
}

/* The end of the sectors from `sector` on that are all in the overlay, or all not. */
static uint64_t find_run(
	struct blk_overlay *overlay, uint64_t sector, uint64_t end, bool *in_overlay)
{
	uint64_t word = __atomic_load_n(&overlay->bitmap[sector / BITS], __ATOMIC_ACQUIRE);

	*in_overlay = word >> sector % BITS & 1;
	for (;;) {
		/* Bits that differ from the first. */
		uint64_t other = (*in_overlay ? ~word : word) & word_mask(sector, end);

		if (other)
			return sector / BITS * BITS + (unsigned)__builtin_ctzll(other);
		sector = (sector / BITS + 1) * BITS;
		if (sector >= end)
			return end;
		word = __atomic_load_n(&overlay->bitmap[sector / BITS], __ATOMIC_ACQUIRE);
	}
}

/* ---- Requests ---- */

/* The part of a read that lies wholly in the base or in the overlay. */
static int read_part(struct blk_overlay *overlay, const struct blk_request *part, bool in_overlay,
	bool may_block)
{
	const struct blk_ops *base = overlay->base->ops;

	if (in_overlay)
		return blk_io_read(overlay->fd, part->iov, part->iov_count, part->offset, part->len,
			overlay->blk.info.size, may_block ? 0 : RWF_NOWAIT);
	if (may_block)
		return base->execute(overlay->base, part);
	return base->execute_now ? base->execute_now(overlay->base, part) : -EOPNOTSUPP;
}

static int read_sectors(struct blk_overlay *overlay, const struct blk_request *req)
{
	uint64_t sector = req->offset / BLK_SECTOR_BYTES;
	uint64_t end = sector + req->len / BLK_SECTOR_BYTES, next;
	struct iovec iov[BLK_IOV_MAX];
	struct blk_request part = *req;
	bool in_overlay;
	int ret = 0;

	for (; ret == 0 && sector < end; sector = next) {
		next = find_run(overlay, sector, end, &in_overlay);
		part.offset = sector * BLK_SECTOR_BYTES;
		part.len = (next - sector) * BLK_SECTOR_BYTES;
		if (part.len < req->len) {
			part.iov_count = blk_io_slice(
				req->iov, req->iov_count, part.offset - req->offset, part.len, iov);
			part.iov = iov;
		}
		ret = read_part(overlay, &part, in_overlay, true);
	}
	return ret;
}

static int zero_sectors(struct blk_overlay *overlay, const struct blk_request *req)
{
	int ret = fallocate(overlay->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)req->offset, (off_t)req->len);

	return ret < 0 ? blk_io_write_zeroes(overlay->fd, req->offset, req->len) : 0;
}

static int execute_op(struct blk_overlay *overlay, const struct blk_request *req)
{
	int ret = 0;

	switch (req->op) {
	case BLK_READ:
		return read_sectors(overlay, req);
	case BLK_WRITE:
		ret = blk_io_write(overlay->fd, req->iov, req->iov_count, req->offset, req->len, 0);
		break;
	case BLK_DISCARD: /* gives back room that earlier writes took */
	case BLK_WRITE_ZEROES:
		ret = zero_sectors(overlay, req);
		break;
	case BLK_FLUSH:
		return 0;
	}
	if (ret == 0)
		set_bits(overlay, req->offset / BLK_SECTOR_BYTES,
			(req->offset + req->len) / BLK_SECTOR_BYTES);
	return ret;
}

static int execute(struct blk *blk, const struct blk_request *req)
{
	struct blk_overlay *overlay = overlay_of(blk);
	int ret = execute_op(overlay, req);

	/* The base reports its own. */
	if (ret < 0 && req->op != BLK_READ)
		log_guest(&overlay->errors, "ephemeral disk",
			"a write failed in the temporary file: %s; TMPDIR names another place for "
			"it",
			strerror(-ret));
	return ret;
}

static int execute_now(struct blk *blk, const struct blk_request *req)
{
	struct blk_overlay *overlay = overlay_of(blk);
	uint64_t sector = req->offset / BLK_SECTOR_BYTES;
	uint64_t end = sector + req->len / BLK_SECTOR_BYTES;
	bool in_overlay;

	if (sector == end)
		return 0;
	if (find_run(overlay, sector, end, &in_overlay) != end)
		return -EAGAIN;
	return read_part(overlay, req, in_overlay, false);
}

static void submit(struct blk *blk, struct blk_request *req)
{
	blk_pool_submit(&overlay_of(blk)->pool, req);
}

static void kick(struct blk *blk)
{
	blk_pool_kick(&overlay_of(blk)->pool);
}

static void drain(struct blk *blk, bool abort)
{
	blk_pool_drain(&overlay_of(blk)->pool, abort);
}

static void close_overlay(struct blk *blk)
{
	struct blk_overlay *overlay = overlay_of(blk);

	blk_pool_drain(&overlay->pool, true);
	blk_pool_finish(&overlay->pool);
	munmap(overlay->bitmap, overlay->bitmap_bytes);
	close(overlay->fd);
	blk_close(overlay->base);
	blk_finish(blk);
	free(overlay);
}

static const struct blk_ops ops = {
	.submit = submit,
	.kick = kick,
	.drain = drain,
	.execute = execute,
	.execute_now = execute_now,
	.close = close_overlay,
};

/* ---- Making it ---- */

/* For file systems without O_TMPFILE: a name that is gone at once. */
static int open_unlinked(const char *dir)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/vmm-overlay-XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int open_temporary(uint64_t size, struct err *err)
{
	const char *dir = getenv("TMPDIR");
	int fd, ret = 0;

	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = open_unlinked(dir);
	if (fd < 0)
		ret = fd;
	else if (ftruncate(fd, (off_t)size) < 0)
		ret = -errno;
	if (ret < 0) {
		err_set(err, EXIT_CODE_IMAGE, -ret,
			"can't make a temporary file in %s for the writes of an ephemeral disk: %s",
			dir, strerror(-ret));
		err_hint(err, "name a folder with room in the environment variable TMPDIR");
		if (fd >= 0)
			close(fd);
		return ret;
	}
	return fd;
}

static int map_bitmap(struct blk_overlay *overlay, struct err *err)
{
	uint64_t sectors = overlay->blk.info.size / BLK_SECTOR_BYTES;
	void *map;

	overlay->bitmap_bytes = (sectors / BITS + 1) * sizeof(uint64_t);
	map = mmap(NULL, overlay->bitmap_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return err_set(err, EXIT_CODE_INTERNAL, errno,
			"no memory for the map of an ephemeral disk of %llu MiB",
			(unsigned long long)(overlay->blk.info.size / MIB));
	overlay->bitmap = map;
	return 0;
}

int blk_overlay_create(struct blk **blk, struct blk *base, struct loop *loop, struct err *err)
{
	struct blk_overlay *overlay = calloc(1, sizeof(*overlay));
	int ret;

	*blk = NULL;
	if (!overlay)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an ephemeral disk");
	overlay->blk.info = *blk_info(base);
	overlay->blk.info.read_only = false;
	ret = open_temporary(overlay->blk.info.size, err);
	if (ret < 0)
		goto fail_file;
	overlay->fd = ret;
	ret = map_bitmap(overlay, err);
	if (ret < 0)
		goto fail_map;
	overlay->base = base;
	blk_init(&overlay->blk, &ops, loop);
	blk_pool_init(&overlay->pool, &overlay->blk);
	*blk = &overlay->blk;
	return 0;
fail_map:
	close(overlay->fd);
fail_file:
	free(overlay);
	return ret;
}
