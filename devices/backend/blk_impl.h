/*
 * What a block backend is made of; for the files blk*.c only.
 *
 * A backend embeds struct blk, fills in info, and gives operations. One whose work
 * blocks hands submit, kick and drain to a blk_pool, which runs execute() on threads of
 * its own; one with an asynchronous engine does without.
 */
#pragma once

#include "devices/backend/blk.h"

struct blk_ops {
	/* See blk.h. Completed requests go to blk_complete() or blk_complete_now(). */
	void (*submit)(struct blk *blk, struct blk_request *req);
	void (*kick)(struct blk *blk);
	void (*drain)(struct blk *blk, bool abort);

	/* Does the whole request and blocks. Result 0 or -errno. Any thread, several at once. */
	int (*execute)(struct blk *blk, const struct blk_request *req);

	/*
	 * Does a whole read without blocking: 0. Otherwise -errno, -EOPNOTSUPP when it never
	 * can, and the pool uses execute(). On the submitter's thread. May be NULL.
	 */
	int (*execute_now)(struct blk *blk, const struct blk_request *req);

	/* Frees the backend. */
	void (*close)(struct blk *blk);
};

struct blk {
	const struct blk_ops *ops;
	struct blk_info info;
	struct loop *loop; /* borrowed */
	struct blk_client client;
	struct loop_task task; /* tells the client */

	/* Taken from `done`, to be reaped. Guarded by the client's lock. */
	struct blk_request *ready, **ready_end;

	pthread_mutex_t done_lock;
	struct blk_request *done, **done_end;
};

void blk_init(struct blk *blk, const struct blk_ops *ops, struct loop *loop);
void blk_finish(struct blk *blk);

/* From any thread: the client is woken, once for all that complete until it reaps. */
void blk_complete(struct blk *blk, struct blk_request *req, int result);

/* Inside submit, kick or drain, on their thread: the client reaps anyway and is not woken. */
void blk_complete_now(struct blk *blk, struct blk_request *req, int result);
