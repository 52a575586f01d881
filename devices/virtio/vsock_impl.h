/*
 * What the two halves of virtio-vsock share: vsock.c has the queues and packets, vsock_stream.c
 * the connections. Everything with the device's lock held.
 */
#pragma once

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "devices/backend/vsock.h"
#include "devices/virtio/virtio.h"

enum {
	VSOCK_HOST_CID = 2,
	VSOCK_STREAMS_MAX = 1024,
	VSOCK_BUFFER_BYTES = 256 * 1024, /* of each stream, for a host side that is slow to read */
	VSOCK_PIECES = 18,		 /* Linux: a header and 64 KiB in pages */
	VSOCK_RESETS_MAX = 256,
	VSOCK_BUCKETS = 256,
};

/* What a stream has to send. Credit goes along with everything, so it is the last. */
enum {
	VSOCK_TODO_REQUEST = 1 << 0,
	VSOCK_TODO_RESPONSE = 1 << 1,
	VSOCK_TODO_DATA = 1 << 2, /* the host's socket may have some */
	VSOCK_TODO_SHUTDOWN = 1 << 3,
	VSOCK_TODO_ASK_CREDIT = 1 << 4,
	VSOCK_TODO_CREDIT = 1 << 5,
};

enum vsock_state {
	VSOCK_ASKED,	 /* a host program waits for the guest's answer */
	VSOCK_OPEN,	 /* until both sides have ended both ways */
	VSOCK_LINGERING, /* the guest is through with it, the host has not read all; not in a bucket */
};

struct vsock_stream {
	struct virtio_vsock *vsock;
	struct vsock_sock *sock; /* NULL: the host's side is closed, the guest is to answer */
	enum vsock_state state;
	uint32_t guest_port, host_port;
	unsigned todo;
	bool queued; /* in vsock->busy */
	LIST_ENTRY(vsock_stream) in_all, in_bucket;
	TAILQ_ENTRY(vsock_stream) in_busy;

	/* From the guest: counters without end, as in the packets; received - forwarded is here. */
	uint8_t *buffer; /* a ring, made when first needed */
	uint32_t buffer_start, buffer_used;
	uint32_t forwarded, forwarded_told;
	bool guest_ended, guest_deaf; /* it will not send, will not receive */

	/* To the guest. */
	uint32_t sent, guest_forwarded, guest_alloc;
	bool starved;	   /* it has no room */
	uint32_t shutdown; /* VIRTIO_VSOCK_SHUTDOWN_…: what the host's side will not do any more */
};

LIST_HEAD(vsock_stream_list, vsock_stream);

struct vsock_ports {
	uint32_t guest, host;
};

struct virtio_vsock {
	struct virtio_dev vdev;
	struct vsock_host *host; /* borrowed */
	bool attached;
	struct virtio_vsock_config config;

	struct vsock_stream_list all, buckets[VSOCK_BUCKETS];
	unsigned stream_count;
	TAILQ_HEAD(, vsock_stream) busy;	     /* in turn */
	struct vsock_ports resets[VSOCK_RESETS_MAX]; /* a ring of answers to who is nobody */
	unsigned resets_start, resets_used;
	uint32_t next_host_port;
	struct loop_task pump_task;
	bool tell_reset; /* a transport reset event is due */
};

/* ---- Streams ---- */

struct vsock_stream *vsock_stream_find(
	struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port);

/* A packet for this stream, whose header has been checked; may be its end. */
void vsock_stream_take(struct vsock_stream *stream, const struct virtio_vsock_hdr *header,
	const struct virtq_req *req);

/* The guest wants a connection. */
void vsock_stream_request(struct virtio_vsock *vsock, const struct virtio_vsock_hdr *header);

/* For the back end: see struct vsock_client. */
bool vsock_stream_asked(void *opaque, struct vsock_sock *sock, uint32_t port);
void vsock_stream_ready(struct vsock_stream *stream, uint32_t events);

/*
 * Makes the next packet: fills the header, and payload behind it in `req`. False: it has
 * nothing to send for now.
 */
bool vsock_stream_emit(
	struct vsock_stream *stream, struct virtio_vsock_hdr *header, const struct virtq_req *req);
void vsock_stream_queue(struct vsock_stream *stream); /* if it has anything to send */

void vsock_stream_destroy(struct vsock_stream *stream);

/* Answers packets of no stream. Bounded: beyond that the guest hears nothing. */
void vsock_reset_peer(struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port);

/* Sends what is due as far as there are buffers. */
void vsock_pump(struct virtio_vsock *vsock);

/* Up to `max` pieces of [skip, skip + len) of the `count` in `from`; returns how many. */
unsigned vsock_pieces(const struct iovec *from, unsigned count, uint64_t skip, uint64_t len,
	struct iovec *to, unsigned max);
