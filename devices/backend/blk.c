/*
 * What all block backends share: the list of completed requests and the client's
 * wake-up. Knows nothing of files, threads or the guest.
 *
 * Threads: blk_complete() on any; the rest as blk.h says.
 */
#include "devices/backend/blk.h"

#include <errno.h>

#include "devices/backend/blk_impl.h"
#include "vmm/base/util.h"

static void append(struct blk_request ***end, struct blk_request *req)
{
	req->next = NULL;
	**end = req;
	*end = &req->next;
}

/* Moves the whole list `from` behind `to`. */
static void move_all(
	struct blk_request ***to_end, struct blk_request **from, struct blk_request ***from_end)
{
	if (!*from)
		return;
	**to_end = *from;
	*to_end = *from_end;
	*from = NULL;
	*from_end = from;
}

static void tell_client(void *opaque)
{
	struct blk *blk = opaque;

	if (blk->client.completed)
		blk->client.completed(blk->client.opaque);
}

void blk_init(struct blk *blk, const struct blk_ops *ops, struct loop *loop)
{
	blk->ops = ops;
	blk->loop = loop;
	blk->ready_end = &blk->ready;
	blk->done_end = &blk->done;
	pthread_mutex_init(&blk->done_lock, NULL);
}

void blk_finish(struct blk *blk)
{
	blk_detach(blk);
	pthread_mutex_destroy(&blk->done_lock);
}

void blk_complete(struct blk *blk, struct blk_request *req, int result)
{
	bool first;

	req->result = result;
	pthread_mutex_lock(&blk->done_lock);
	first = !blk->done;
	append(&blk->done_end, req);
	pthread_mutex_unlock(&blk->done_lock);
	/* Who comes second finds the wake-up under way: one for each batch. */
	if (first && blk->client.completed)
		loop_post(blk->loop, &blk->task);
}

void blk_complete_now(struct blk *blk, struct blk_request *req, int result)
{
	req->result = result;
	append(&blk->ready_end, req);
}

void blk_attach(struct blk *blk, const struct blk_client *client)
{
	ASSERT(!blk->client.completed);
	blk->client = *client;
	blk->task = (struct loop_task){.fn = tell_client, .opaque = blk, .lock = client->lock};
}

void blk_detach(struct blk *blk)
{
	if (!blk->client.completed)
		return;
	loop_unpost(blk->loop, &blk->task);
	blk->client = (struct blk_client){.completed = NULL};
}

void blk_submit(struct blk *blk, struct blk_request *req)
{
	blk->ops->submit(blk, req);
}

void blk_kick(struct blk *blk)
{
	blk->ops->kick(blk);
}

struct blk_request *blk_reap(struct blk *blk)
{
	struct blk_request *req;

	if (!blk->ready) {
		pthread_mutex_lock(&blk->done_lock);
		move_all(&blk->ready_end, &blk->done, &blk->done_end);
		pthread_mutex_unlock(&blk->done_lock);
	}
	req = blk->ready;
	if (!req)
		return NULL;
	blk->ready = req->next;
	if (!blk->ready)
		blk->ready_end = &blk->ready;
	return req;
}

void blk_drain(struct blk *blk)
{
	blk->ops->drain(blk, false);
}

void blk_abort(struct blk *blk)
{
	blk->ops->drain(blk, true);
}

void blk_close(struct blk *blk)
{
	if (blk)
		blk->ops->close(blk);
}

const struct blk_info *blk_info(const struct blk *blk)
{
	return &blk->info;
}

/* Reads the sectors round a range into a buffer of sectors and copies the wanted bytes out. */
static int read_piece(struct blk *blk, uint64_t offset, uint8_t *buf, uint64_t len)
{
	uint8_t sectors[8 * BLK_SECTOR_BYTES];
	uint64_t start = util_align_down(offset, BLK_SECTOR_BYTES);
	struct iovec iov = {.iov_base = sectors,
		.iov_len = util_align_up(offset - start + len, BLK_SECTOR_BYTES)};
	struct blk_request req = {
		.op = BLK_READ, .offset = start, .len = iov.iov_len, .iov = &iov, .iov_count = 1};
	int ret = blk->ops->execute(blk, &req);

	if (ret == 0)
		memcpy(buf, sectors + (offset - start), len);
	return ret;
}

int64_t blk_read_sync(struct blk *blk, uint64_t offset, void *buf, uint64_t len)
{
	if (!util_range_inside(offset, len, blk->info.size) || len > INT64_MAX)
		return -EINVAL;
	for (uint64_t done = 0, piece; done < len; done += piece) {
		int ret;

		piece = MIN(len - done, (uint64_t)7 * BLK_SECTOR_BYTES);
		ret = read_piece(blk, offset + done, (uint8_t *)buf + done, piece);
		if (ret < 0)
			return ret;
	}
	return (int64_t)len;
}

int blk_execute_sync(struct blk *blk, const struct blk_request *req)
{
	return blk->ops->execute(blk, req);
}
