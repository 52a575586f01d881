/*
 * See net_ring.h.
 *
 * A frame is a word with its length, the bytes, and up to three more so that the next word is
 * aligned. One that would not fit in front of the end of the ring begins at its start instead;
 * the word GAP tells the other side to go there. A word always fits, for all sizes are
 * multiples of four.
 *
 * Threads: one that puts and one that takes. `tail` is released by the first and acquired by
 * the second, `head` the other way round; each reads its own one relaxed.
 */
#include "devices/backend/net_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/util.h"

enum {
	WORD_BYTES = 4
};

#define GAP UINT32_MAX

int net_ring_init(struct net_ring *ring, size_t size)
{
	ASSERT(util_is_power_of_two(size) && size >= 64);
	*ring = (struct net_ring){.bytes = malloc(size), .size = size};
	return ring->bytes ? 0 : -ENOMEM;
}

void net_ring_finish(struct net_ring *ring)
{
	free(ring->bytes);
	ring->bytes = NULL;
}

static size_t record_bytes(size_t len)
{
	return WORD_BYTES + util_align_up(len, WORD_BYTES);
}

/* Where a record of that size goes, with the gap in front of it; false: no room. */
static bool place(struct net_ring *ring, size_t record, size_t *gap)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	size_t to_end = ring->size - (tail & (ring->size - 1));

	*gap = record > to_end ? to_end : 0;
	return record <= ring->size && *gap + record <= ring->size - (tail - head);
}

uint8_t *net_ring_room(struct net_ring *ring, size_t len)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), gap;

	if (!place(ring, record_bytes(len), &gap))
		return NULL;
	return ring->bytes + ((tail + gap) & (ring->size - 1)) + WORD_BYTES;
}

void net_ring_put(struct net_ring *ring, size_t len)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), gap;
	bool fits = place(ring, record_bytes(len), &gap);

	ASSERT(fits && len < GAP);
	if (gap) {
		store_le32(ring->bytes + (tail & (ring->size - 1)), GAP);
		tail += gap;
	}
	store_le32(ring->bytes + (tail & (ring->size - 1)), (uint32_t)len);
	atomic_store_explicit(&ring->tail, tail + record_bytes(len), memory_order_release);
}

const uint8_t *net_ring_peek(struct net_ring *ring, size_t *len)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	size_t at = head & (ring->size - 1);
	uint32_t word;

	if (head == tail)
		return NULL;
	word = load_le32(ring->bytes + at);
	if (word == GAP) {
		atomic_store_explicit(&ring->head, head + ring->size - at, memory_order_release);
		at = 0;
		word = load_le32(ring->bytes);
	}
	*len = word;
	return ring->bytes + at + WORD_BYTES;
}

void net_ring_take(struct net_ring *ring)
{
	size_t len, head;
	const uint8_t *frame = net_ring_peek(ring, &len);

	ASSERT(frame);
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	atomic_store_explicit(&ring->head, head + record_bytes(len), memory_order_release);
}

size_t net_ring_used(struct net_ring *ring)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

	return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}

/*
 * Both exchange the same word, so one comes first. If it is wait()'s, the other side finds the
 * word; if it is wakes()'s, its change is seen by the look that follows wait().
 */
void net_ring_wait(_Atomic bool *waits)
{
	atomic_exchange_explicit(waits, true, memory_order_acq_rel);
}

bool net_ring_wakes(_Atomic bool *waits)
{
	return atomic_exchange_explicit(waits, false, memory_order_acq_rel);
}
