/*
 * The connections of a virtio-vsock device (VIRTIO 1.2, 5.10.6). Each joins a port of the guest
 * with a UNIX socket of the host, and ends each way by itself.
 *
 *	to the host    written at once; what the socket does not take waits in a buffer of
 *	               VSOCK_BUFFER_BYTES, which is also the credit that the guest has
 *	to the guest   read from the socket into the guest's buffer, as far as its credit goes
 *
 * So neither side can make the other's data pile up: a program that stops reading fills its
 * socket, then the buffer, and then the guest has no credit left. Only a guest that sends in
 * spite of that is cut off.
 *
 * A guest that closes is answered at once, so that its port is free again; what it has
 * sent is still written (VSOCK_LINGERING). Threads: see vsock.c.
 */
#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "devices/virtio/vsock_impl.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	PAYLOAD_MAX = 64 * 1024,
	TELL_BYTES = VSOCK_BUFFER_BYTES / 4, /* so much new room is worth a packet */
	SHUTDOWN_BOTH = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND,
};

/* ---- Finding, making, ending ---- */

static struct vsock_stream_list *bucket_of(
	struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
	/* Consecutive ports on either side spread. */
	return &vsock->buckets[(guest_port + host_port * 31) % VSOCK_BUCKETS];
}

struct vsock_stream *vsock_stream_find(
	struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_stream *stream;

	LIST_FOREACH(stream, bucket_of(vsock, guest_port, host_port), in_bucket)
	if (stream->guest_port == guest_port && stream->host_port == host_port)
		return stream;
	return NULL;
}

static struct vsock_stream *make_stream(struct virtio_vsock *vsock, struct vsock_sock *sock,
	uint32_t guest_port, uint32_t host_port)
{
	struct vsock_stream *stream = NULL;

	if (vsock->stream_count < VSOCK_STREAMS_MAX)
		stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->vsock = vsock;
	stream->sock = sock;
	stream->guest_port = guest_port;
	stream->host_port = host_port;
	sock->owner = stream;
	vsock->stream_count++;
	LIST_INSERT_HEAD(&vsock->all, stream, in_all);
	LIST_INSERT_HEAD(bucket_of(vsock, guest_port, host_port), stream, in_bucket);
	return stream;
}

void vsock_stream_destroy(struct vsock_stream *stream)
{
	struct virtio_vsock *vsock = stream->vsock;

	if (stream->sock)
		vsock_sock_close(stream->sock);
	if (stream->queued)
		TAILQ_REMOVE(&vsock->busy, stream, in_busy);
	if (stream->state != VSOCK_LINGERING)
		LIST_REMOVE(stream, in_bucket);
	LIST_REMOVE(stream, in_all);
	vsock->stream_count--;
	free(stream->buffer);
	free(stream);
}

/* The guest hears of it; the host's program sees its connection closed. */
static void reset(struct vsock_stream *stream)
{
	vsock_reset_peer(stream->vsock, stream->guest_port, stream->host_port);
	vsock_stream_destroy(stream);
}

/* ---- What to wait for, what to send ---- */

void vsock_stream_queue(struct vsock_stream *stream)
{
	if (!stream->todo || stream->queued)
		return;
	TAILQ_INSERT_TAIL(&stream->vsock->busy, stream, in_busy);
	stream->queued = true;
}

static void want(struct vsock_stream *stream, unsigned todo)
{
	if (stream->state == VSOCK_LINGERING)
		return;
	stream->todo |= todo;
	vsock_stream_queue(stream);
}

static bool host_has_ended(const struct vsock_stream *stream)
{
	return stream->shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND;
}

static bool host_is_deaf(const struct vsock_stream *stream)
{
	return stream->shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV;
}

/* Data still goes to the guest. Without a socket the host has ended both ways. */
static bool reads_host(const struct vsock_stream *stream)
{
	return stream->sock && !host_has_ended(stream) && !stream->guest_deaf;
}

static void watch(struct vsock_stream *stream)
{
	bool reads = reads_host(stream);
	uint32_t events = stream->buffer_used ? EPOLLOUT : 0;

	if (!stream->sock)
		return;
	if (stream->state == VSOCK_ASKED)
		/* A program may have said all it has to say, but not left. */
		events |= EPOLLET;
	else if (stream->state == VSOCK_OPEN && reads && !(stream->todo & VSOCK_TODO_DATA) &&
		!stream->starved)
		events |= EPOLLIN;
	else if (stream->state == VSOCK_OPEN && !reads)
		/* Only to hear when the program goes away; once, for half an end stays. */
		events |= EPOLLRDHUP | EPOLLET;
	vsock_sock_watch(stream->sock, events);
}

/* The host's side stops something for good; with both, its socket is of no more use. */
static void host_stops(struct vsock_stream *stream, uint32_t flags)
{
	if ((stream->shutdown | flags) != stream->shutdown) {
		stream->shutdown |= flags;
		want(stream, VSOCK_TODO_SHUTDOWN);
	}
	if (stream->shutdown == SHUTDOWN_BOTH && stream->sock) {
		vsock_sock_close(stream->sock);
		stream->sock = NULL;
		stream->todo &= ~(unsigned)VSOCK_TODO_DATA;
	}
}

/* ---- From the guest to the host ---- */

static void count_forwarded(struct vsock_stream *stream, uint32_t bytes)
{
	stream->forwarded += bytes;
	if (stream->forwarded - stream->forwarded_told >= TELL_BYTES)
		want(stream, VSOCK_TODO_CREDIT);
}

/* Nobody reads any more: what the guest still sends goes nowhere. */
static void host_goes_deaf(struct vsock_stream *stream)
{
	count_forwarded(stream, stream->buffer_used);
	stream->buffer_used = 0;
	host_stops(stream, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* How many bytes went out; less than all: the socket is full or nobody reads. */
static uint32_t send_now(struct vsock_stream *stream, struct iovec *pieces, unsigned count)
{
	int64_t n = vsock_sock_send(stream->sock, pieces, count);

	if (n >= 0) {
		count_forwarded(stream, (uint32_t)n);
		return (uint32_t)n;
	}
	if (n != -EAGAIN && n != -ENOBUFS && n != -ENOMEM)
		host_goes_deaf(stream);
	return 0;
}

/* After all of the buffer has gone out: what had to wait for that. */
static void end_output(struct vsock_stream *stream)
{
	if (stream->guest_ended && stream->sock && !host_is_deaf(stream))
		vsock_sock_shutdown(stream->sock, SHUT_WR);
	/* Nothing more to come from either side. */
	if (stream->guest_ended && host_has_ended(stream))
		host_stops(stream, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

static void flush(struct vsock_stream *stream)
{
	while (stream->buffer_used) {
		uint32_t to_end = VSOCK_BUFFER_BYTES - stream->buffer_start;
		uint32_t first = MIN(stream->buffer_used, to_end), sent;
		struct iovec pieces[] = {{stream->buffer + stream->buffer_start, first},
			{stream->buffer, stream->buffer_used - first}};

		sent = send_now(stream, pieces, 2);
		/* It may have been emptied instead. */
		sent = MIN(sent, stream->buffer_used);
		stream->buffer_start = (stream->buffer_start + sent) % VSOCK_BUFFER_BYTES;
		stream->buffer_used -= sent;
		if (!sent)
			break;
	}
	if (!stream->buffer_used)
		end_output(stream);
}

static bool keep(
	struct vsock_stream *stream, const struct virtq_req *req, uint64_t at, uint32_t len)
{
	uint32_t end, first;

	if (!stream->buffer)
		stream->buffer = malloc(VSOCK_BUFFER_BYTES);
	if (!stream->buffer)
		return false;
	end = (stream->buffer_start + stream->buffer_used) % VSOCK_BUFFER_BYTES;
	first = MIN(len, VSOCK_BUFFER_BYTES - end);
	virtq_copy_from(req, at, stream->buffer + end, first);
	virtq_copy_from(req, at + first, stream->buffer, len - first);
	stream->buffer_used += len;
	return true;
}

/* False: the stream is cut off. */
static bool take_data(struct vsock_stream *stream, const struct virtq_req *req, uint32_t len)
{
	uint64_t at = sizeof(struct virtio_vsock_hdr);
	struct device *device = &stream->vsock->vdev.dev;
	struct iovec pieces[VSOCK_PIECES];
	uint32_t sent = 0;

	if (len > VSOCK_BUFFER_BYTES - stream->buffer_used || stream->guest_ended) {
		device_guest_error(
			device, "port %u sends what it may not: it is cut off", stream->guest_port);
		return false;
	}
	if (len && !stream->buffer_used && !host_is_deaf(stream))
		sent = send_now(stream, pieces,
			vsock_pieces(
				req->readable, req->readable_count, at, len, pieces, VSOCK_PIECES));
	if (host_is_deaf(stream)) {
		count_forwarded(stream, len - sent);
		return true;
	}
	if (sent < len && !keep(stream, req, at + sent, len - sent)) {
		log_warn("%s: no memory to keep what port %u sends: it is cut off", device->name,
			stream->guest_port);
		return false;
	}
	return true;
}

/* ---- From the host to the guest ---- */

static uint32_t credit_of(const struct vsock_stream *stream)
{
	uint32_t in_flight = stream->sent - stream->guest_forwarded;

	return in_flight < stream->guest_alloc ? stream->guest_alloc - in_flight : 0;
}

static void take_credit(struct vsock_stream *stream, const struct virtio_vsock_hdr *header)
{
	stream->guest_alloc = header->buf_alloc;
	stream->guest_forwarded = header->fwd_cnt;
	if (!stream->starved || !credit_of(stream))
		return;
	stream->starved = false;
	/* The credit may come when there is nothing left to spend it on. */
	if (reads_host(stream))
		want(stream, VSOCK_TODO_DATA);
}

/* The length of the payload, 0 when there is none for now. */
static uint32_t emit_data(struct vsock_stream *stream, const struct virtq_req *req)
{
	uint64_t skip = sizeof(struct virtio_vsock_hdr);
	uint64_t room = MIN(req->writable_bytes - skip, (uint64_t)PAYLOAD_MAX);
	uint32_t credit = credit_of(stream);
	struct iovec pieces[VSOCK_PIECES];
	int64_t n;

	if (!credit) {
		stream->todo &= ~(unsigned)VSOCK_TODO_DATA;
		stream->todo |= VSOCK_TODO_ASK_CREDIT;
		stream->starved = true;
		return 0;
	}
	n = vsock_sock_receive(stream->sock, pieces,
		vsock_pieces(req->writable, req->writable_count, skip, MIN(room, (uint64_t)credit),
			pieces, VSOCK_PIECES));
	if (n > 0) {
		stream->sent += (uint32_t)n;
		return (uint32_t)n;
	}
	stream->todo &= ~(unsigned)VSOCK_TODO_DATA;
	if (n == -EAGAIN || n == -ENOBUFS || n == -ENOMEM)
		return 0;
	/* A program that is gone, and not only silent, shows by a hang-up: see ready. */
	host_stops(stream, VIRTIO_VSOCK_SHUTDOWN_SEND);
	if (n < 0)
		host_goes_deaf(stream);
	else if (!stream->buffer_used)
		end_output(stream);
	return 0;
}

static unsigned next_op(struct vsock_stream *stream, const struct virtq_req *req, uint32_t *len)
{
	static const struct {
		unsigned todo, op;
	} in_order[] = {
		{VSOCK_TODO_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
		{VSOCK_TODO_ASK_CREDIT, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
		{VSOCK_TODO_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
	};

	if (stream->todo & VSOCK_TODO_REQUEST) {
		stream->todo = 0;
		return VIRTIO_VSOCK_OP_REQUEST;
	}
	if (stream->todo & VSOCK_TODO_RESPONSE) {
		stream->todo &= ~(unsigned)VSOCK_TODO_RESPONSE;
		return VIRTIO_VSOCK_OP_RESPONSE;
	}
	if (stream->todo & VSOCK_TODO_DATA && (*len = emit_data(stream, req)))
		return VIRTIO_VSOCK_OP_RW;
	for (size_t i = 0; i < ARRAY_SIZE(in_order); i++) {
		if (!(stream->todo & in_order[i].todo))
			continue;
		stream->todo &= ~in_order[i].todo;
		return in_order[i].op;
	}
	return VIRTIO_VSOCK_OP_INVALID;
}

bool vsock_stream_emit(
	struct vsock_stream *stream, struct virtio_vsock_hdr *header, const struct virtq_req *req)
{
	uint32_t len = 0;
	unsigned op = next_op(stream, req, &len);

	watch(stream);
	if (op == VIRTIO_VSOCK_OP_INVALID)
		return false;
	*header = (struct virtio_vsock_hdr){.op = (uint16_t)op,
		.src_port = stream->host_port,
		.dst_port = stream->guest_port,
		.len = len,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? stream->shutdown : 0,
		.buf_alloc = VSOCK_BUFFER_BYTES,
		.fwd_cnt = stream->forwarded};
	stream->forwarded_told = stream->forwarded;
	stream->todo &= ~(unsigned)VSOCK_TODO_CREDIT;
	return true;
}

/* ---- What happens ---- */

/* False: the stream is gone. */
static bool take_shutdown(struct vsock_stream *stream, uint32_t flags)
{
	stream->guest_ended |= flags & VIRTIO_VSOCK_SHUTDOWN_SEND;
	stream->guest_deaf |= flags & VIRTIO_VSOCK_SHUTDOWN_RCV;
	if (stream->guest_ended && stream->guest_deaf) {
		if (!stream->buffer_used || !stream->sock) {
			reset(stream);
			return false;
		}
		vsock_reset_peer(stream->vsock, stream->guest_port, stream->host_port);
		LIST_REMOVE(stream, in_bucket);
		stream->state = VSOCK_LINGERING;
		stream->todo = 0;
	}
	if (stream->guest_deaf && stream->sock)
		vsock_sock_shutdown(stream->sock, SHUT_RD);
	if (stream->guest_deaf)
		stream->todo &= ~(unsigned)VSOCK_TODO_DATA;
	if (!stream->buffer_used)
		end_output(stream);
	return true;
}

/* False: the stream is gone, or has to go. */
static bool take_open(struct vsock_stream *stream, const struct virtio_vsock_hdr *header,
	const struct virtq_req *req)
{
	switch (header->op) {
	case VIRTIO_VSOCK_OP_RW:
		return take_data(stream, req, header->len);
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		want(stream, VSOCK_TODO_CREDIT);
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return true;
	default:
		device_guest_error(&stream->vsock->vdev.dev,
			"operation %u on a connection that stands", header->op);
		return false;
	}
}

void vsock_stream_take(struct vsock_stream *stream, const struct virtio_vsock_hdr *header,
	const struct virtq_req *req)
{
	if (header->op == VIRTIO_VSOCK_OP_RST) {
		vsock_stream_destroy(stream);
		return;
	}
	take_credit(stream, header);
	if (stream->state == VSOCK_ASKED) {
		if (header->op != VIRTIO_VSOCK_OP_RESPONSE) {
			reset(stream);
			return;
		}
		stream->state = VSOCK_OPEN;
		vsock_sock_accept(stream->sock, stream->host_port);
	} else if (header->op == VIRTIO_VSOCK_OP_SHUTDOWN) {
		if (!take_shutdown(stream, header->flags))
			return;
	} else if (!take_open(stream, header, req)) {
		reset(stream);
		return;
	}
	watch(stream);
}

void vsock_stream_request(struct virtio_vsock *vsock, const struct virtio_vsock_hdr *header)
{
	struct vsock_sock *sock = NULL;
	struct vsock_stream *stream = NULL;

	if (vsock->stream_count < VSOCK_STREAMS_MAX)
		sock = vsock_connect(vsock->host, header->dst_port);
	if (sock)
		stream = make_stream(vsock, sock, header->src_port, header->dst_port);
	if (!stream) {
		if (sock)
			vsock_sock_close(sock);
		vsock_reset_peer(vsock, header->src_port, header->dst_port);
		return;
	}
	stream->state = VSOCK_OPEN;
	take_credit(stream, header);
	want(stream, VSOCK_TODO_RESPONSE);
	watch(stream);
}

bool vsock_stream_asked(void *opaque, struct vsock_sock *sock, uint32_t port)
{
	struct virtio_vsock *vsock = opaque;
	struct vsock_stream *stream;
	uint32_t host_port;

	/* There are fewer streams than ports. */
	do {
		host_port = vsock->next_host_port++;
		vsock->next_host_port |= 1U << 30;
	} while (vsock_stream_find(vsock, port, host_port));
	stream = make_stream(vsock, sock, port, host_port);
	if (!stream)
		return false;
	stream->state = VSOCK_ASKED;
	want(stream, VSOCK_TODO_REQUEST);
	watch(stream);
	return true;
}

void vsock_stream_ready(struct vsock_stream *stream, uint32_t events)
{
	bool hung_up = events & (EPOLLHUP | EPOLLERR);

	if (stream->state == VSOCK_ASKED) {
		if (hung_up)
			reset(stream);
		return;
	}
	if (stream->buffer_used && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flush(stream);
	if (stream->state == VSOCK_LINGERING) {
		if (!stream->buffer_used || hung_up) {
			vsock_stream_destroy(stream);
			return;
		}
	} else if (reads_host(stream)) {
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			want(stream, VSOCK_TODO_DATA);
	} else if (stream->sock && hung_up) {
		host_stops(stream, VIRTIO_VSOCK_SHUTDOWN_SEND);
		host_goes_deaf(stream);
	}
	watch(stream);
}
