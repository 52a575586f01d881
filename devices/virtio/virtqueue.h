/*
 * A split virtqueue, the device's side (VIRTIO 1.2, 2.7): takes chains of
 * descriptors out of guest memory, checks them, and gives them back.
 *
 * Everything in the rings is the guest's and may be wrong or change at any time. Each
 * descriptor is copied once and the copy is checked; a request that virtq_pop() has
 * given out holds host addresses that lie inside guest RAM, whatever the guest writes
 * afterwards. A ring that breaks the rules is broken from then on: nothing
 * more is taken from it until virtq_disable().
 *
 * Nothing is allocated per request: there is one slot for each descriptor
 * that can be the head of a chain, made when the queue is first enabled.
 *
 * Knows nothing of devices and transports. Threads: one at a time, under the device's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/core/gmem.h"

enum {
	VIRTQ_SIZE_MAX = 1024 /* as many iovecs as one system call takes */
};

/*
 * One request. A device embeds it as the first member of a struct of its own, of which each
 * slot of the queue has one (request_bytes of virtq_init()). The iovecs are the
 * device's to change until it gives the request back.
 */
struct virtq_req {
	/* What the driver sends, then what it wants to have: host addresses in guest RAM. */
	struct iovec *readable, *writable;
	unsigned readable_count, writable_count;
	uint64_t readable_bytes, writable_bytes;

	uint16_t head;	   /* private to virtqueue.c */
	uint16_t position; /* in the available ring, counted without end */
	bool busy;
};

/* What the driver chose. */
struct virtq_config {
	unsigned size;
	gpa_t desc, avail, used;
};

struct virtq {
	const struct gmem *mem; /* borrowed */
	unsigned max_size;
	size_t request_bytes;

	bool ready;
	const char *broken; /* why, or NULL */
	unsigned size;
	bool indirect, event_idx;
	/* Host addresses, valid while ready. */
	const uint8_t *desc;
	uint16_t *avail, *used;

	uint16_t last_avail; /* the next entry of the available ring to take */
	uint16_t next_used;  /* the next entry of the used ring to fill */
	uint16_t
		signalled_used; /* next_used when the driver was last considered for an interrupt */
	bool signalled_valid;
	unsigned in_flight;

	uint8_t *slots;	      /* owned: max_size of request_bytes each, NULL before the first use */
	struct iovec *iovecs; /* owned: max_size for each slot */
};

/*
 * `max_size` is a power of two up to VIRTQ_SIZE_MAX: the longest ring and the longest chain.
 * `request_bytes` is at least sizeof(struct virtq_req).
 */
void virtq_init(
	struct virtq *queue, const struct gmem *mem, unsigned max_size, size_t request_bytes);
void virtq_finish(struct virtq *queue);

/*
 * Starts with empty rings at the addresses of `config`. `features` are those negotiated.
 * NULL, or the reason why it can't be: the size, an address that is not aligned or
 * not in RAM, no memory on the host.
 */
const char *virtq_enable(struct virtq *queue, const struct virtq_config *config, uint64_t features);

/* Somebody else has worked on the rings, up to this entry of the available ring. */
void virtq_resume(struct virtq *queue, uint16_t next);

/* Nothing may be in flight. Legal when not enabled. */
void virtq_disable(struct virtq *queue);

/*
 * Takes the next request. 1: there was one; 0: the ring is empty; -EPROTO: the ring is broken,
 * queue->broken says why. Stays the caller's until virtq_push().
 */
int virtq_pop(struct virtq *queue, struct virtq_req **req);

/*
 * Takes a request back into the ring, as if it had not been popped: the one that was popped last
 * of those not taken back yet. What the driver has there by then is looked at anew.
 */
void virtq_unpop(struct virtq *queue, struct virtq_req *req);

/* False when one that was popped later has been pushed: then this has to be pushed as well. */
bool virtq_can_unpop(const struct virtq *queue, const struct virtq_req *req);

/*
 * Gives a request back. `written` counts the bytes that were surely written from the
 * first writable one on. The driver sees it at once, but is not interrupted.
 */
void virtq_push(struct virtq *queue, struct virtq_req *req, uint32_t written);

/*
 * The same in two steps, for requests that the driver must see together: what has been
 * filled in is the driver's with virtq_publish().
 */
void virtq_fill(struct virtq *queue, struct virtq_req *req, uint32_t written);
void virtq_publish(struct virtq *queue);

/* Ends a request without a trace in the rings, which are about to be disabled. */
void virtq_forget(struct virtq *queue, struct virtq_req *req);

/* After pushes: true when the driver wants an interrupt for them. */
bool virtq_should_notify(struct virtq *queue);

/*
 * Tells the driver that kicks are not needed while its requests are being taken, and that
 * they are needed again. virtq_enable_kicks() is true when a request has come meanwhile, for
 * which there may be no kick: look again.
 */
void virtq_disable_kicks(struct virtq *queue);
bool virtq_enable_kicks(struct virtq *queue);

/*
 * Copies between a buffer and the readable or writable bytes from `offset` on. Returns how
 * many there were to copy, at most `len`.
 */
uint64_t virtq_copy_from(const struct virtq_req *req, uint64_t offset, void *buf, uint64_t len);
uint64_t virtq_copy_to(const struct virtq_req *req, uint64_t offset, const void *buf, uint64_t len);

/* Copies what now is in the writable bytes: ours, or the guest's again. */
uint64_t virtq_copy_out(const struct virtq_req *req, uint64_t offset, void *buf, uint64_t len);

/* Leaves the first readable, or the last writable, `bytes` out of the request. */
void virtq_skip_readable(struct virtq_req *req, uint64_t bytes);
void virtq_cut_writable(struct virtq_req *req, uint64_t bytes);
