/*
 * A bounded byte queue (FIFO) that wraps. Not locked: the owner's lock guards it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *bytes;	 /* owned by the ring's owner */
	size_t capacity; /* > 0 */
	size_t head;	 /* index of the oldest byte */
	size_t used;
};

/* `bytes` (borrowed, `capacity` long) must outlive the ring. */
void ring_init(struct ring *ring, void *bytes, size_t capacity);
void ring_clear(struct ring *ring);

size_t ring_used(const struct ring *ring);
size_t ring_free(const struct ring *ring);

/* Moves up to `len` bytes; the result says how many. */
size_t ring_put(struct ring *ring, const void *data, size_t len);
size_t ring_get(struct ring *ring, void *data, size_t len);

/* The oldest bytes that lie in one piece, without taking them; then ring_drop() takes some. */
size_t ring_peek(const struct ring *ring, const uint8_t **data);
void ring_drop(struct ring *ring, size_t len);
