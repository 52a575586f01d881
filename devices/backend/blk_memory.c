/*
 * See blk_memory.h. No threads: everything happens on the caller's or the loop's.
 */
#include "devices/backend/blk_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/backend/blk_impl.h"
#include "vmm/base/util.h"

enum {
	OPS = BLK_WRITE_ZEROES + 1
};

struct blk_memory {
	struct blk blk;
	uint8_t *bytes;
	enum blk_memory_mode mode;
	int errors[OPS];
	unsigned executed[OPS];
	bool was_durable;
	struct blk_request *batch; /* submitted, not kicked; newest first */
	struct blk_request *held;  /* oldest first */
	struct loop_task later;
};

static struct blk_memory *memory_of(const struct blk *blk)
{
	return CONTAINER_OF(blk, struct blk_memory, blk);
}

static void copy(struct blk_memory *memory, const struct blk_request *req)
{
	uint64_t at = req->offset;

	for (unsigned i = 0; i < req->iov_count; i++) {
		ASSERT(util_range_inside(at, req->iov[i].iov_len, memory->blk.info.size));
		if (req->op == BLK_READ)
			memcpy(req->iov[i].iov_base, memory->bytes + at, req->iov[i].iov_len);
		else
			memcpy(memory->bytes + at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	ASSERT(at == req->offset + req->len);
}

static int execute(struct blk *blk, const struct blk_request *req)
{
	struct blk_memory *memory = memory_of(blk);

	/* What a front end owes its backend. */
	ASSERT(util_range_inside(req->offset, req->len, blk->info.size));
	ASSERT(!(req->offset % BLK_SECTOR_BYTES) && !(req->len % BLK_SECTOR_BYTES));
	ASSERT(!blk->info.read_only || req->op == BLK_READ || req->op == BLK_FLUSH);
	memory->executed[req->op]++;
	memory->was_durable = req->durable;
	if (memory->errors[req->op])
		return -memory->errors[req->op];
	if (req->op == BLK_READ || req->op == BLK_WRITE)
		copy(memory, req);
	else if (req->op == BLK_WRITE_ZEROES || req->op == BLK_DISCARD)
		memset(memory->bytes + req->offset, req->op == BLK_DISCARD ? 0xdd : 0, req->len);
	return 0;
}

static void submit(struct blk *blk, struct blk_request *req)
{
	struct blk_memory *memory = memory_of(blk);

	req->next = memory->batch;
	memory->batch = req;
}

static void hold(struct blk_memory *memory, struct blk_request *req)
{
	struct blk_request **link = &memory->held;

	while (*link)
		link = &(*link)->next;
	req->next = NULL;
	*link = req;
}

static struct blk_request *take(struct blk_memory *memory, unsigned nth)
{
	struct blk_request **link = &memory->held, *req;

	while (*link && nth--)
		link = &(*link)->next;
	req = *link;
	if (req)
		*link = req->next;
	return req;
}

static void kick(struct blk *blk)
{
	struct blk_memory *memory = memory_of(blk);
	struct blk_request *oldest_first = NULL, *req;

	while ((req = memory->batch)) {
		memory->batch = req->next;
		req->next = oldest_first;
		oldest_first = req;
	}
	while ((req = oldest_first)) {
		oldest_first = req->next;
		if (memory->mode == BLK_MEMORY_NOW)
			blk_complete_now(blk, req, execute(blk, req));
		else
			hold(memory, req);
	}
	if (memory->held && memory->mode == BLK_MEMORY_LOOP)
		loop_post(blk->loop, &memory->later);
}

static void finish_held(void *opaque)
{
	struct blk_memory *memory = opaque;

	while (memory->held)
		blk_memory_release(&memory->blk, 0);
}

static void drain(struct blk *blk, bool abort)
{
	struct blk_memory *memory = memory_of(blk);
	struct blk_request *req;

	kick(blk);
	while ((req = take(memory, 0)))
		blk_complete_now(blk, req, abort ? -ECANCELED : execute(blk, req));
}

static void close_memory(struct blk *blk)
{
	struct blk_memory *memory = memory_of(blk);

	loop_unpost(blk->loop, &memory->later);
	blk_finish(blk);
	free(memory->bytes);
	free(memory);
}

static const struct blk_ops ops = {
	.submit = submit,
	.kick = kick,
	.drain = drain,
	.execute = execute,
	.close = close_memory,
};

struct blk *blk_memory_create(uint64_t size, struct loop *loop)
{
	struct blk_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	memory->bytes = calloc(1, size);
	if (!memory->bytes) {
		free(memory);
		return NULL;
	}
	blk_init(&memory->blk, &ops, loop);
	memory->later = (struct loop_task){.fn = finish_held, .opaque = memory};
	memory->blk.info = (struct blk_info){
		.size = size, .block_size = BLK_SECTOR_BYTES, .io_size = 4096, .id = "memory"};
	return &memory->blk;
}

struct blk_info *blk_memory_info(struct blk *blk)
{
	return &blk->info;
}

uint8_t *blk_memory_bytes(struct blk *blk)
{
	return memory_of(blk)->bytes;
}

void blk_memory_set_mode(struct blk *blk, enum blk_memory_mode mode)
{
	memory_of(blk)->mode = mode;
}

void blk_memory_set_error(struct blk *blk, enum blk_op op, int errnum)
{
	memory_of(blk)->errors[op] = errnum;
}

unsigned blk_memory_held(const struct blk *blk)
{
	unsigned count = 0;

	for (const struct blk_request *req = memory_of(blk)->held; req; req = req->next)
		count++;
	return count;
}

unsigned blk_memory_executed(const struct blk *blk, enum blk_op op)
{
	return memory_of(blk)->executed[op];
}

bool blk_memory_was_durable(const struct blk *blk)
{
	return memory_of(blk)->was_durable;
}

void blk_memory_release(struct blk *blk, unsigned nth)
{
	struct blk_memory *memory = memory_of(blk);
	struct blk_request *req = take(memory, nth);

	ASSERT(req);
	blk_complete(blk, req, execute(blk, req));
}
