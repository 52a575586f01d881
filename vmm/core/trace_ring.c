/*
 * See trace_ring.h. `head` and `tail` only grow; a place in the ring is what is left of them
 * divided by its length. Each has one writer. A store of one with release pairs with the other
 * side's load with acquire: the bytes are there before they are seen, and read before their place
 * is used again.
 */
#include "vmm/core/trace_ring.h"

#include <stdlib.h>

#include "vmm/base/util.h"

bool trace_ring_init(struct trace_ring *ring)
{
	*ring = (struct trace_ring){.bytes = malloc(TRACE_RING_BYTES)};
	return ring->bytes;
}

void trace_ring_finish(struct trace_ring *ring)
{
	free(ring->bytes);
	ring->bytes = NULL;
}

static size_t used(uint64_t head, uint64_t tail)
{
	ASSERT(head - tail <= TRACE_RING_BYTES);
	return (size_t)(head - tail);
}

size_t trace_ring_room(const struct trace_ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	return TRACE_RING_BYTES - used(head, tail);
}

static void copy_in(struct trace_ring *ring, uint64_t at, const void *data, size_t bytes)
{
	size_t place = at % TRACE_RING_BYTES, piece = MIN(bytes, TRACE_RING_BYTES - place);

	if (!bytes)
		return;
	memcpy(ring->bytes + place, data, piece);
	memcpy(ring->bytes, (const uint8_t *)data + piece, bytes - piece);
}

bool trace_ring_put(struct trace_ring *ring, const void *first, size_t first_bytes,
	const void *second, size_t second_bytes, bool *is_half)
{
	static const uint8_t zeroes[8];
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t bytes = first_bytes + second_bytes, whole = util_align_up(bytes, sizeof(zeroes));
	size_t room = trace_ring_room(ring);

	*is_half = false;
	if (whole > room)
		return false;
	copy_in(ring, head, first, first_bytes);
	copy_in(ring, head + first_bytes, second, second_bytes);
	copy_in(ring, head + bytes, zeroes, whole - bytes);
	*is_half = room > TRACE_RING_BYTES / 2 && room - whole <= TRACE_RING_BYTES / 2;
	atomic_store_explicit(&ring->head, head + whole, memory_order_release);
	return true;
}

size_t trace_ring_used(const struct trace_ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	return used(atomic_load_explicit(&ring->head, memory_order_acquire), tail);
}

size_t trace_ring_peek(const struct trace_ring *ring, const uint8_t **piece)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	size_t place = tail % TRACE_RING_BYTES;

	*piece = ring->bytes + place;
	return MIN(used(head, tail), TRACE_RING_BYTES - place);
}

void trace_ring_drop(struct trace_ring *ring, size_t bytes)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	atomic_store_explicit(&ring->tail, tail + bytes, memory_order_release);
}
