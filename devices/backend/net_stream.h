/*
 * Frames in a stream of bytes, each behind its length in 32 bits, big-endian: taking them apart.
 * Knows no sockets. Who sends is not trusted.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NET_STREAM_LENGTH_BYTES = 4,
	NET_STREAM_BYTES = 256 * 1024,
};

struct net_stream {
	uint8_t *bytes; /* owned, NET_STREAM_BYTES */
	size_t start, end;
	bool is_broken; /* a length that no frame has: nothing after it can be understood */
};

int net_stream_init(struct net_stream *stream); /* 0 or -ENOMEM */
void net_stream_finish(struct net_stream *stream);
void net_stream_clear(struct net_stream *stream);

/* Where bytes can be read to and how many; then how many were. */
uint8_t *net_stream_room(struct net_stream *stream, size_t *len);
void net_stream_fill(struct net_stream *stream, size_t len);

/* The next whole frame, in place until the next call of room(), or NULL. drop() takes it off. */
const uint8_t *net_stream_peek(struct net_stream *stream, size_t *len);
void net_stream_drop(struct net_stream *stream);

/* Half full: whoever reads from the other side had better wait. */
bool net_stream_is_full(const struct net_stream *stream);
