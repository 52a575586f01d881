/*
 * A block backend: where the sectors of a disk are on the host.
 *
 * A front end (the disk device that the guest sees) submits requests and gets
 * them back when they are done, in any order. The life of a batch:
 *
 *	blk_submit(blk, a); blk_submit(blk, b);   note what is to be done
 *	blk_kick(blk);                            start it: one wake-up for all of them
 *	while ((req = blk_reap(blk)))             what could be done at once is done
 *		finish(req);
 *	... the loop calls completed(), which reaps the rest: one call per batch
 *
 * Nothing is allocated per request: the request is the front end's memory and
 * belongs to the backend from submit to reap. The bytes of its iovecs are guest
 * memory and may change meanwhile; nothing but their length is relied upon.
 *
 * A flush covers every write that was reaped, or lay completed, before the flush was
 * submitted. Requests in flight together have no order among themselves.
 *
 * Threads: blk_open() and blk_close() on the thread that builds the machine.
 * submit, kick, reap, drain and abort by one thread at a time, with the lock of
 * the client held; any thread may be that one. Workers never take that lock.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

struct blk;

enum {
	BLK_SECTOR_BYTES = 512,
	BLK_ID_BYTES = 20, /* an identity that is as long as this has no terminating NUL */
	BLK_IOV_MAX = 1024
};

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,	  /* offset and len are 0 */
	BLK_DISCARD,	  /* the contents are no longer needed: a hint to the host */
	BLK_WRITE_ZEROES, /* reads as zero afterwards */
};

struct blk_request {
	enum blk_op op;
	bool unmap;   /* BLK_WRITE_ZEROES may give the space back to the host */
	bool durable; /* WRITE, DISCARD, WRITE_ZEROES: on stable storage when completed */
	/* Bytes, multiples of BLK_SECTOR_BYTES, inside the disk. READ, WRITE: len sums the iovecs. */
	uint64_t offset, len;
	const struct iovec *iov; /* READ, WRITE; borrowed, stays in place and unchanged */
	unsigned iov_count;
	int result; /* when reaped: 0 or -errno; never a part */

	struct blk_request *next; /* private to the backend */
};

struct blk_info {
	uint64_t size;	     /* bytes, a multiple of BLK_SECTOR_BYTES */
	uint32_t block_size; /* bytes: the unit that partition tables in it count in, 512 or 4096 */
	uint32_t io_size;    /* bytes: smaller or unaligned writes cost a read on the host */
	bool read_only;
	char id[BLK_ID_BYTES + 1]; /* stays the same as long as the disk is in the same place */
};

struct blk_config {
	const char *path;
	bool read_only; /* the guest can't write */
	bool ephemeral; /* what the guest writes is forgotten when the backend is closed */
};

/* The front end's side; copied by blk_attach(). */
struct blk_client {
	/* Requests have completed: reap them. On the loop's thread with `lock` held. */
	void (*completed)(void *opaque);
	void *opaque;
	pthread_mutex_t *lock; /* may be NULL */
};

/*
 * Opens and locks a raw image or a block device. Error: -errno and a sentence
 * of kind EXIT_CODE_IMAGE that names the file (missing, no permission, a directory, another
 * format, in use and by whom, …) and what to do. A disk opened for writing is
 * the only opening of its file; any number may read one together.
 *
 * A size that is no multiple of a sector is rounded up: the rest of the last sector
 * reads as zeroes, and a write to it makes the file longer. So no byte of the
 * file is hidden from the guest.
 */
int blk_open(struct blk **blk, const struct blk_config *config, struct loop *loop, struct err *err);

/* All requests are reaped or drained, the client is detached. NULL is legal. */
void blk_close(struct blk *blk);

/* Fixed while the backend is open. Any thread. */
const struct blk_info *blk_info(const struct blk *blk);

/* One client at a time. Detach on the loop's thread, when nothing is in flight. */
void blk_attach(struct blk *blk, const struct blk_client *client);
void blk_detach(struct blk *blk);

void blk_submit(struct blk *blk, struct blk_request *req);
void blk_kick(struct blk *blk);

/* The next completed request, or NULL. */
struct blk_request *blk_reap(struct blk *blk);

/*
 * Waits until everything that was submitted has completed; it can then be reaped.
 * blk_abort() starts nothing more: what waited completes with -ECANCELED, so the wait is
 * for a handful of system calls at most. No worker touches guest memory afterwards.
 */
void blk_drain(struct blk *blk);
void blk_abort(struct blk *blk);

/*
 * Reads whole, for looking into a disk before the machine runs: result `len` or -errno
 * (-EINVAL outside the disk). Offset and length need no alignment. Blocks.
 */
int64_t blk_read_sync(struct blk *blk, uint64_t offset, void *buf, uint64_t len);

/*
 * Does one request, however the backend does it, on this thread and at once: 0 or -errno.
 * For slow paths (a BIOS). Blocks; is safe beside requests that are in flight, with which it
 * has no order.
 */
int blk_execute_sync(struct blk *blk, const struct blk_request *req);
