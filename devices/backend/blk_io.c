/*
 * See blk_io.h. Knows nothing of disks.
 *
 * The kernel moves iovecs whole nearly always; only after a short transfer are
 * they copied, to leave out what is done.
 */
#include "devices/backend/blk_io.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "devices/backend/blk.h"
#include "vmm/base/util.h"

enum {
	ZEROES_BYTES = 65536,
	ZEROES_PIECES = 16
};

unsigned blk_io_slice(
	const struct iovec *iov, unsigned count, uint64_t skip, uint64_t len, struct iovec *out)
{
	unsigned used = 0;

	for (unsigned i = 0; i < count && len; i++) {
		uint64_t piece;

		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		ASSERT(used < BLK_IOV_MAX);
		piece = MIN(iov[i].iov_len - skip, len);
		out[used++] = (struct iovec){(uint8_t *)iov[i].iov_base + skip, piece};
		len -= piece;
		skip = 0;
	}
	ASSERT(!len);
	return used;
}

void blk_io_clear(const struct iovec *iov, unsigned count, uint64_t skip, uint64_t len)
{
	for (unsigned i = 0; i < count && len; i++) {
		uint64_t piece;

		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		piece = MIN(iov[i].iov_len - skip, len);
		memset((uint8_t *)iov[i].iov_base + skip, 0, piece);
		len -= piece;
		skip = 0;
	}
}

/* Moves until all is moved or the kernel moves nothing. Result: bytes moved or -errno. */
static int64_t transfer(int fd, bool write, const struct iovec *iov, unsigned count,
	uint64_t offset, uint64_t len, int flags)
{
	struct iovec rest[BLK_IOV_MAX];
	const struct iovec *from = iov;
	unsigned from_count = count;
	uint64_t done = 0;

	while (done < len) {
		off_t at = (off_t)(offset + done);
		ssize_t n = write ? pwritev2(fd, from, (int)from_count, at, flags)
				  : preadv2(fd, from, (int)from_count, at, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (uint64_t)n;
		if (flags & RWF_NOWAIT)
			break;
		if (done < len) {
			from_count = blk_io_slice(iov, count, done, len - done, rest);
			from = rest;
		}
	}
	return (int64_t)done;
}

int blk_io_read(int fd, const struct iovec *iov, unsigned count, uint64_t offset, uint64_t len,
	uint64_t end, int flags)
{
	int64_t done = transfer(fd, false, iov, count, offset, len, flags);

	if (done < 0)
		return (int)done;
	if ((uint64_t)done == len)
		return 0;
	if (flags & RWF_NOWAIT)
		return -EAGAIN;
	if (offset + (uint64_t)done < end)
		return -EIO;
	blk_io_clear(iov, count, (uint64_t)done, len - (uint64_t)done);
	return 0;
}

int blk_io_write(
	int fd, const struct iovec *iov, unsigned count, uint64_t offset, uint64_t len, int flags)
{
	int64_t done = transfer(fd, true, iov, count, offset, len, flags);

	if (done < 0)
		return (int)done;
	return (uint64_t)done == len ? 0 : -EIO;
}

int blk_io_write_zeroes(int fd, uint64_t offset, uint64_t len)
{
	/* Never written, and not const: zeroes that the program's file need not hold. */
	static uint8_t zeroes[ZEROES_BYTES];
	struct iovec all[ZEROES_PIECES], some[BLK_IOV_MAX];

	for (unsigned i = 0; i < ZEROES_PIECES; i++)
		all[i] = (struct iovec){zeroes, sizeof(zeroes)};
	for (uint64_t done = 0, piece; done < len; done += piece) {
		unsigned count;
		int ret;

		piece = MIN(len - done, (uint64_t)ZEROES_BYTES * ZEROES_PIECES);
		count = blk_io_slice(all, ZEROES_PIECES, 0, piece, some);
		ret = blk_io_write(fd, some, count, offset + done, piece, 0);
		if (ret < 0)
			return ret;
	}
	return 0;
}
