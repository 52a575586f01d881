/*
 * A disk in memory, for tests and fuzzers: it can hold requests back, finish them in
 * any order, and fail them.
 */
#pragma once

#include "devices/backend/blk.h"

enum blk_memory_mode {
	BLK_MEMORY_NOW,	 /* done inside blk_kick(): reaped by who submitted */
	BLK_MEMORY_LOOP, /* done by a task on the loop: completed() tells */
	BLK_MEMORY_HOLD, /* done when blk_memory_release() says so */
};

/*
 * `size` in bytes, a multiple of BLK_SECTOR_BYTES; zeroes. Without memory: NULL. The
 * fields of blk_info() may be changed through blk_memory_info() before a client uses it.
 */
struct blk *blk_memory_create(uint64_t size, struct loop *loop);
struct blk_info *blk_memory_info(struct blk *blk);
uint8_t *blk_memory_bytes(struct blk *blk);

/* For requests kicked from now on. */
void blk_memory_set_mode(struct blk *blk, enum blk_memory_mode mode);

/* Requests of that kind fail with -errnum until it is 0; nothing is transferred. */
void blk_memory_set_error(struct blk *blk, enum blk_op op, int errnum);

/* What is held now, and how many of a kind were executed so far. */
unsigned blk_memory_held(const struct blk *blk);
unsigned blk_memory_executed(const struct blk *blk, enum blk_op op);

/* The last executed request was to be durable. */
bool blk_memory_was_durable(const struct blk *blk);

/* Finishes one held request: the `nth` oldest, from 0. The client is told on the loop. */
void blk_memory_release(struct blk *blk, unsigned nth);
