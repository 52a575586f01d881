/*
 * A ring of records between the thread that makes them and the one that writes them out: one of
 * each, no lock. Knows no kind of record. Its memory is bounded and fixed when it is made.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TRACE_RING_BYTES = 1 << 20
};

struct trace_ring {
	_Atomic uint64_t head; /* bytes put since the start */
	_Atomic uint64_t tail; /* bytes taken */
	uint8_t *bytes;	       /* owned; the host gives a page when it is first used */
};

/* False when there is no memory. trace_ring_finish() is legal on a zeroed struct. */
bool trace_ring_init(struct trace_ring *ring);
void trace_ring_finish(struct trace_ring *ring);

/* Bytes that can be put now. The producer's. */
size_t trace_ring_room(const struct trace_ring *ring);

/*
 * Puts two pieces behind each other, filled up to a multiple of 8 bytes, as one: the other side
 * sees all of it or nothing. False when there is no room. True in *is_half when with this the ring
 * has become half full.
 */
bool trace_ring_put(struct trace_ring *ring, const void *first, size_t first_bytes,
	const void *second, size_t second_bytes, bool *is_half);

/* Bytes that can be taken now: whole records. The consumer's. */
size_t trace_ring_used(const struct trace_ring *ring);

/* The oldest bytes in one piece, 0 when there are none; and drops them. The consumer's. */
size_t trace_ring_peek(const struct trace_ring *ring, const uint8_t **piece);
void trace_ring_drop(struct trace_ring *ring, size_t bytes);
