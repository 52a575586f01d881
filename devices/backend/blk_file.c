/*
 * Raw images and block devices, through the host's page cache.
 *
 * Durability: a write is done when it is in the page cache. It is on stable storage after
 * the next flush (fdatasync covers all that was written before, through whatever
 * descriptor), or at once if the request says `durable`.
 * Once fdatasync has failed the kernel may have dropped the pages and reports success the next
 * time; so from then on every flush fails, and the guest's file system stops
 * instead of relying on data that is gone.
 *
 * Knows nothing of the guest. Threads: execute() on the pool's workers; the flags about
 * what the file system can't do are atomics, set once.
 */
#include "devices/backend/blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/backend/blk_io.h"
#include "devices/backend/blk_pool.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

struct blk_file {
	struct blk blk;
	struct blk_pool pool;
	int fd;
	uint64_t end;
	bool is_device;
	char name[64]; /* last part of the path, for messages */

	_Atomic bool flush_failed;
	_Atomic bool no_discard, no_punch, no_zero_range; /* the host refused once */
	struct log_limit errors;
};

static struct blk_file *file_of(struct blk *blk)
{
	return CONTAINER_OF(blk, struct blk_file, blk);
}

static bool is_unsupported(int errnum)
{
	return errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == ENOTTY;
}

static int sync_data(struct blk_file *file)
{
	if (atomic_load(&file->flush_failed))
		return -EIO;
	while (fdatasync(file->fd) < 0) {
		int saved = errno;

		if (saved == EINTR)
			continue;
		atomic_store(&file->flush_failed, true);
		log_error("%s: the host could not store what the guest wrote (%s); all flushes of "
			  "this disk fail from now on",
			file->name, strerror(saved));
		return -saved;
	}
	return 0;
}

/* ---- Discard and zeroes ---- */

/* fallocate() works on block devices too, where holes and zeroes become their commands. */
static int allocate(struct blk_file *file, int mode, const struct blk_request *req)
{
	int ret;

	do
		ret = fallocate(
			file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)req->offset, (off_t)req->len);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int discard_device(struct blk_file *file, const struct blk_request *req)
{
	uint64_t range[2] = {req->offset, req->len};

	return ioctl(file->fd, BLKDISCARD, range) < 0 ? -errno : 0;
}

static int discard(struct blk_file *file, const struct blk_request *req)
{
	int ret;

	if (atomic_load(&file->no_discard))
		return 0;
	ret = file->is_device ? discard_device(file, req)
			      : allocate(file, FALLOC_FL_PUNCH_HOLE, req);
	if (ret < 0 && is_unsupported(-ret)) {
		atomic_store(&file->no_discard, true);
		return 0;
	}
	/* A device may want larger units than the guest's: then the space just stays used. */
	return ret == -EINVAL ? 0 : ret;
}

/* One fast way: -EAGAIN when it is none for this request. */
static int try_zero(
	struct blk_file *file, int mode, _Atomic bool *unsupported, const struct blk_request *req)
{
	int ret;

	if (atomic_load(unsupported))
		return -EAGAIN;
	ret = allocate(file, mode, req);
	if (ret < 0 && is_unsupported(-ret))
		atomic_store(unsupported, true);
	return ret < 0 && (is_unsupported(-ret) || ret == -EINVAL) ? -EAGAIN : ret;
}

static int write_zeroes(struct blk_file *file, const struct blk_request *req)
{
	int ret = -EAGAIN;

	if (req->unmap)
		ret = try_zero(file, FALLOC_FL_PUNCH_HOLE, &file->no_punch, req);
	if (ret == -EAGAIN)
		ret = try_zero(file, FALLOC_FL_ZERO_RANGE, &file->no_zero_range, req);
	if (ret == -EAGAIN)
		ret = blk_io_write_zeroes(file->fd, req->offset, req->len);
	return ret;
}

/* ---- Requests ---- */

static int execute_op(struct blk_file *file, const struct blk_request *req)
{
	switch (req->op) {
	case BLK_READ:
		return blk_io_read(
			file->fd, req->iov, req->iov_count, req->offset, req->len, file->end, 0);
	case BLK_WRITE:
		return blk_io_write(file->fd, req->iov, req->iov_count, req->offset, req->len,
			req->durable ? RWF_DSYNC : 0);
	case BLK_FLUSH:
		return file->blk.info.read_only ? 0 : sync_data(file);
	case BLK_DISCARD:
		return discard(file, req);
	case BLK_WRITE_ZEROES:
		return write_zeroes(file, req);
	}
	return -EOPNOTSUPP;
}

static void report(struct blk_file *file, const struct blk_request *req, int ret)
{
	const char *what = req->op == BLK_READ ? "read" : "write";

	if (ret == -ENOSPC || ret == -EDQUOT)
		log_guest(&file->errors, file->name,
			"no space is left on the host (%s); the guest sees write errors",
			strerror(-ret));
	else
		log_guest(&file->errors, file->name, "%s at byte %llu failed on the host: %s", what,
			(unsigned long long)req->offset, strerror(-ret));
}

static int execute(struct blk *blk, const struct blk_request *req)
{
	struct blk_file *file = file_of(blk);
	int ret;

	/* virtio-blk refuses it before; a second door does no harm. */
	if (blk->info.read_only && req->op != BLK_READ && req->op != BLK_FLUSH)
		return -EROFS;
	ret = execute_op(file, req);
	if (ret == 0 && req->durable && (req->op == BLK_DISCARD || req->op == BLK_WRITE_ZEROES))
		ret = sync_data(file);
	/* The kernel tells of a lost page once, to whom it may concern: see above. */
	if (ret == -EIO && req->durable && req->op != BLK_READ)
		atomic_store(&file->flush_failed, true);
	if (ret < 0 && req->op != BLK_FLUSH)
		report(file, req, ret);
	return ret;
}

static int execute_now(struct blk *blk, const struct blk_request *req)
{
	struct blk_file *file = file_of(blk);

	return blk_io_read(
		file->fd, req->iov, req->iov_count, req->offset, req->len, file->end, RWF_NOWAIT);
}

static void submit(struct blk *blk, struct blk_request *req)
{
	blk_pool_submit(&file_of(blk)->pool, req);
}

static void kick(struct blk *blk)
{
	blk_pool_kick(&file_of(blk)->pool);
}

static void drain(struct blk *blk, bool abort)
{
	blk_pool_drain(&file_of(blk)->pool, abort);
}

static void close_file(struct blk *blk)
{
	struct blk_file *file = file_of(blk);

	blk_pool_drain(&file->pool, true);
	blk_pool_finish(&file->pool);
	close(file->fd);
	blk_finish(blk);
	free(file);
}

static const struct blk_ops ops = {
	.submit = submit,
	.kick = kick,
	.drain = drain,
	.execute = execute,
	.execute_now = execute_now,
	.close = close_file,
};

int blk_file_create(
	struct blk **blk, const struct blk_image *image, struct loop *loop, struct err *err)
{
	struct blk_file *file = calloc(1, sizeof(*file));
	const char *slash = strrchr(image->path, '/');

	if (!file) {
		close(image->fd);
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for disk image %s",
			image->path);
	}
	blk_init(&file->blk, &ops, loop);
	blk_pool_init(&file->pool, &file->blk);
	file->blk.info = image->info;
	file->fd = image->fd;
	file->end = image->end;
	file->is_device = image->is_device;
	snprintf(file->name, sizeof(file->name), "disk %s", slash ? slash + 1 : image->path);
	*blk = &file->blk;
	return 0;
}
