/*
 * See blk_pool.h. Knows nothing of files: execute() and execute_now() are the backend's.
 *
 * Locks: pool->lock is never held while a request is executed or completed. Workers take
 * no lock of a device, so a thread that holds one may wait for them.
 */
#include "devices/backend/blk_pool.h"

#include <errno.h>
#include <signal.h>

#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	WORKER_STACK_BYTES = 512 * 1024,
	NOW_BACKOFF_MAX = 64
};

static void append(struct blk_request ***end, struct blk_request *req)
{
	req->next = NULL;
	**end = req;
	*end = &req->next;
}

static void *work(void *opaque);

/* All signals stay with the threads that expect them. Called with the lock held. */
static int add_thread(struct blk_pool *pool)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&pool->threads[pool->thread_count], &attr, work, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (ret == 0)
		pool->thread_count++;
	return -ret;
}

/* Sees to it that somebody takes the next request. False: there is nobody. Lock held. */
static bool call_worker(struct blk_pool *pool)
{
	if (pool->idle)
		pthread_cond_signal(&pool->work);
	else if (pool->thread_count < BLK_POOL_THREADS_MAX)
		add_thread(pool);
	return pool->thread_count;
}

/* Takes the first request and runs it. Called with the lock held, drops it meanwhile. */
static void run_first(struct blk_pool *pool)
{
	struct blk_request *req = pool->queue;
	int result;

	pool->queue = req->next;
	if (!pool->queue)
		pool->queue_end = &pool->queue;
	else
		call_worker(pool);
	pool->running++;
	pthread_mutex_unlock(&pool->lock);
	result = pool->blk->ops->execute(pool->blk, req);
	blk_complete(pool->blk, req, result);
	pthread_mutex_lock(&pool->lock);
	pool->running--;
	if (!pool->running && !pool->queue)
		pthread_cond_broadcast(&pool->quiet);
}

static void *work(void *opaque)
{
	struct blk_pool *pool = opaque;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->queue && !pool->stopping) {
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->idle--;
		}
		if (!pool->queue)
			break;
		run_first(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void blk_pool_init(struct blk_pool *pool, struct blk *blk)
{
	*pool = (struct blk_pool){.blk = blk};
	pool->batch_end = &pool->batch;
	pool->queue_end = &pool->queue;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->quiet, NULL);
}

void blk_pool_finish(struct blk_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	/* A worker may still add one while it runs; the queue was drained by now, so none does. */
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->quiet);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
}

/*
 * Tries a short read without a worker: two thread switches and an eventfd less when
 * the bytes are in the page cache. While they are not the attempt costs a system
 * call for nothing, so after a miss the next reads skip it, twice as many each time.
 */
static bool try_now(struct blk_pool *pool, struct blk_request *req)
{
	int ret;

	if (req->op != BLK_READ || req->len > BLK_POOL_NOW_BYTES || pool->now_never)
		return false;
	if (pool->now_skip) {
		pool->now_skip--;
		return false;
	}
	ret = pool->blk->ops->execute_now(pool->blk, req);
	if (ret == 0) {
		pool->now_backoff = 0;
		blk_complete_now(pool->blk, req, 0);
		return true;
	}
	/* A real error is found again, and reported, by the worker. */
	pool->now_never = ret == -EOPNOTSUPP;
	pool->now_backoff = MIN(pool->now_backoff * 2 + 1, (unsigned)NOW_BACKOFF_MAX);
	pool->now_skip = pool->now_backoff;
	return false;
}

void blk_pool_submit(struct blk_pool *pool, struct blk_request *req)
{
	if (!pool->blk->ops->execute_now || !try_now(pool, req))
		append(&pool->batch_end, req);
}

void blk_pool_kick(struct blk_pool *pool)
{
	if (!pool->batch)
		return;
	pthread_mutex_lock(&pool->lock);
	*pool->queue_end = pool->batch;
	pool->queue_end = pool->batch_end;
	pool->batch = NULL;
	pool->batch_end = &pool->batch;
	/* A host without room for a thread: slow is better than lost. */
	if (!call_worker(pool)) {
		log_guest(&pool->warnings, "disk",
			"no thread can be made for I/O; the machine will be slow");
		while (pool->queue)
			run_first(pool);
	}
	pthread_mutex_unlock(&pool->lock);
}

/* Takes back what no worker has begun. Called with the lock held. */
static struct blk_request *take_queue(struct blk_pool *pool)
{
	struct blk_request *first = pool->queue;

	pool->queue = NULL;
	pool->queue_end = &pool->queue;
	return first;
}

void blk_pool_drain(struct blk_pool *pool, bool abort)
{
	struct blk_request *cancelled = NULL, *next;

	blk_pool_kick(pool);
	pthread_mutex_lock(&pool->lock);
	if (abort)
		cancelled = take_queue(pool);
	while (pool->running || pool->queue)
		pthread_cond_wait(&pool->quiet, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	for (; cancelled; cancelled = next) {
		next = cancelled->next;
		blk_complete_now(pool->blk, cancelled, -ECANCELED);
	}
}
