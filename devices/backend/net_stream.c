/*
 * See net_stream.h. The framing is that of passt and of QEMU's -netdev stream.
 *
 * What the other side can send      limit                         enforced in         test
 * a length of 4 GiB, or of nothing  ETH_HLEN, NET_FRAME_BYTES_MAX net_stream_peek()   stream_refuses_lengths
 * half a frame and no more          it stays in the buffer        net_stream_peek()   stream_takes_any_pieces
 * more than is taken                the buffer's size             net_stream_room()   stream_is_bounded
 */
#include "devices/backend/net_stream.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "devices/backend/net.h"
#include "vmm/base/util.h"

_Static_assert(NET_STREAM_BYTES / 2 > NET_STREAM_LENGTH_BYTES + NET_FRAME_BYTES_MAX,
	"a half-full buffer has at least one whole frame");

int net_stream_init(struct net_stream *stream)
{
	*stream = (struct net_stream){.bytes = malloc(NET_STREAM_BYTES)};
	return stream->bytes ? 0 : -ENOMEM;
}

void net_stream_finish(struct net_stream *stream)
{
	free(stream->bytes);
	stream->bytes = NULL;
}

void net_stream_clear(struct net_stream *stream)
{
	stream->start = stream->end = 0;
	stream->is_broken = false;
}

uint8_t *net_stream_room(struct net_stream *stream, size_t *len)
{
	size_t used = stream->end - stream->start;

	/* Moved to the front when it is short of room there: little, as frames are taken at once. */
	if (!used || NET_STREAM_BYTES - stream->end < NET_STREAM_BYTES / 4) {
		memmove(stream->bytes, stream->bytes + stream->start, used);
		stream->start = 0;
		stream->end = used;
	}
	*len = NET_STREAM_BYTES - stream->end;
	return stream->bytes + stream->end;
}

void net_stream_fill(struct net_stream *stream, size_t len)
{
	ASSERT(len <= NET_STREAM_BYTES - stream->end);
	stream->end += len;
}

const uint8_t *net_stream_peek(struct net_stream *stream, size_t *len)
{
	const uint8_t *bytes = stream->bytes + stream->start;
	size_t used = stream->end - stream->start;
	uint32_t length;

	if (stream->is_broken || used < NET_STREAM_LENGTH_BYTES)
		return NULL;
	length = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
		bytes[3];
	if (length < ETH_HLEN || length > NET_FRAME_BYTES_MAX) {
		stream->is_broken = true;
		return NULL;
	}
	if (used - NET_STREAM_LENGTH_BYTES < length)
		return NULL;
	*len = length;
	return bytes + NET_STREAM_LENGTH_BYTES;
}

void net_stream_drop(struct net_stream *stream)
{
	size_t len;
	const uint8_t *frame = net_stream_peek(stream, &len);

	ASSERT(frame);
	stream->start += NET_STREAM_LENGTH_BYTES + len;
}

bool net_stream_is_full(const struct net_stream *stream)
{
	return stream->end - stream->start >= NET_STREAM_BYTES / 2;
}
