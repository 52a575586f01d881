/*
 * A ring of frames between two threads: one puts, one takes, neither locks. Each frame lies in
 * one piece. Nothing is allocated after net_ring_init().
 *
 * It does not wake anyone; net_ring_wait() lets each side leave word for the other that it
 * waits, so that a signal is sent only when somebody does.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct net_ring {
	uint8_t *bytes; /* owned */
	size_t size;	/* a power of two */

	/* Counts of bytes ever put and taken; the difference is what lies in between. */
	_Alignas(64) _Atomic size_t head; /* written by who takes */
	_Atomic bool taker_waits;
	_Alignas(64) _Atomic size_t tail; /* written by who puts */
	_Atomic bool putter_waits;
};

/* `size` is a power of two; the longest frame takes up to a quarter of it. 0 or -ENOMEM. */
int net_ring_init(struct net_ring *ring, size_t size);
void net_ring_finish(struct net_ring *ring); /* legal on a zeroed one */

/* Who puts: room for a frame of that many bytes, in one piece, or NULL. Then puts it. */
uint8_t *net_ring_room(struct net_ring *ring, size_t len);
void net_ring_put(struct net_ring *ring, size_t len);

/* Who takes: the oldest frame, in place, or NULL. Then frees its place. */
const uint8_t *net_ring_peek(struct net_ring *ring, size_t *len);
void net_ring_take(struct net_ring *ring);

/* Bytes used, headers and gaps included; for either side, who may find it grown or shrunk at once. */
size_t net_ring_used(struct net_ring *ring);

/*
 * "I wait": set before looking at the ring for the last time, so that either that look finds
 * what was waited for or the other side finds the word. net_ring_wakes() takes the word back
 * and says whether there was one; the other side calls it after each change that matters.
 */
void net_ring_wait(_Atomic bool *waits);
bool net_ring_wakes(_Atomic bool *waits);
