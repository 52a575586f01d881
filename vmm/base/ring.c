/*
 * See ring.h.
 */
#include "vmm/base/ring.h"

#include "vmm/base/util.h"

void ring_init(struct ring *ring, void *bytes, size_t capacity)
{
	ASSERT(capacity > 0);
	*ring = (struct ring){.bytes = bytes, .capacity = capacity};
}

void ring_clear(struct ring *ring)
{
	ring->head = 0;
	ring->used = 0;
}

size_t ring_used(const struct ring *ring)
{
	return ring->used;
}

size_t ring_free(const struct ring *ring)
{
	return ring->capacity - ring->used;
}

size_t ring_put(struct ring *ring, const void *data, size_t len)
{
	size_t tail = (ring->head + ring->used) % ring->capacity;
	size_t total = MIN(len, ring_free(ring));
	size_t first = MIN(total, ring->capacity - tail);

	if (!total)
		return 0;
	memcpy(ring->bytes + tail, data, first);
	memcpy(ring->bytes, (const uint8_t *)data + first, total - first);
	ring->used += total;
	return total;
}

size_t ring_peek(const struct ring *ring, const uint8_t **data)
{
	*data = ring->bytes + ring->head;
	return MIN(ring->used, ring->capacity - ring->head);
}

void ring_drop(struct ring *ring, size_t len)
{
	ASSERT(len <= ring->used);
	ring->head = (ring->head + len) % ring->capacity;
	ring->used -= len;
}

size_t ring_get(struct ring *ring, void *data, size_t len)
{
	size_t done = 0;

	while (done < len && ring->used) {
		const uint8_t *piece;
		size_t n = MIN(ring_peek(ring, &piece), len - done);

		memcpy((uint8_t *)data + done, piece, n);
		ring_drop(ring, n);
		done += n;
	}
	return done;
}
