/*
 * Whole transfers between iovecs and a file: they go on after EINTR and short
 * transfers, and are complete or an error. No state; any thread.
 */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

/*
 * Describes bytes [skip, skip + len) of the iovecs in `out` (room for BLK_IOV_MAX). The
 * bytes are there. Returns the number of iovecs.
 */
unsigned blk_io_slice(
	const struct iovec *iov, unsigned count, uint64_t skip, uint64_t len, struct iovec *out);

/*
 * Reads `len` bytes, the sum of the iovecs. Bytes from `end` on, where the file ends by
 * right, read as zero; a file that ends before that was cut meanwhile: -EIO. `flags`
 * are preadv2()'s; with RWF_NOWAIT a part is -EAGAIN. Result 0 or -errno.
 */
int blk_io_read(int fd, const struct iovec *iov, unsigned count, uint64_t offset, uint64_t len,
	uint64_t end, int flags);

/* Writes `len` bytes, the sum of the iovecs. `flags` are pwritev2()'s. Result 0 or -errno. */
int blk_io_write(
	int fd, const struct iovec *iov, unsigned count, uint64_t offset, uint64_t len, int flags);

/* Writes `len` zero bytes, for hosts that have no faster way. Result 0 or -errno. */
int blk_io_write_zeroes(int fd, uint64_t offset, uint64_t len);

/* Fills the iovecs' bytes [skip, skip + len) with zeroes. */
void blk_io_clear(const struct iovec *iov, unsigned count, uint64_t skip, uint64_t len);
