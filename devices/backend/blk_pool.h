/*
 * Threads that do the blocking work of one block backend. The first is made with
 * the first request that needs it, more while requests wait and none is idle.
 *
 * The path of one request costs the submitter at most one futex wake for each batch:
 * blk_pool_kick() wakes one worker, and a worker that takes a request and
 * sees another wakes the next. A read that is answered from the host's page cache never
 * comes here at all: it is done at once in blk_pool_submit().
 *
 * Threads: submit, kick and drain as in blk.h.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "devices/backend/blk_impl.h"
#include "vmm/base/log.h"

enum {
	/* As many system calls of one disk run at once; an abort waits for no more than these. */
	BLK_POOL_THREADS_MAX = 8,
	/* A longer read goes to a worker, so that copying it holds nothing else up. */
	BLK_POOL_NOW_BYTES = 65536,
};

struct blk_pool {
	struct blk *blk; /* borrowed */

	/* Guarded by the client's lock: submitted and not yet kicked, and see try_now(). */
	struct blk_request *batch, **batch_end;
	bool now_never;
	unsigned now_skip, now_backoff;
	struct log_limit warnings; /* the guest says how often it asks */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work;  /* the queue is not empty, or stopping */
	pthread_cond_t quiet; /* nothing queued or running */
	struct blk_request *queue, **queue_end;
	unsigned running, idle, thread_count;
	bool stopping;
	pthread_t threads[BLK_POOL_THREADS_MAX];
};

void blk_pool_init(struct blk_pool *pool, struct blk *blk);

/* Finishes what is queued and ends the threads. */
void blk_pool_finish(struct blk_pool *pool);

void blk_pool_submit(struct blk_pool *pool, struct blk_request *req);
void blk_pool_kick(struct blk_pool *pool);
void blk_pool_drain(struct blk_pool *pool, bool abort);
