/*
 * Framing of a stream: any bytes in any pieces give the same frames as in one piece, each of a
 * length that a frame can have, and after a bad length none.
 */
#include <stdlib.h>

#include "devices/backend/net.h"
#include "devices/backend/net_stream.h"
#include "tests/fuzz/fuzz_input.h"

struct result {
	uint64_t frames, bytes, sum;
	bool is_broken;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_all(struct net_stream *stream, struct result *result)
{
	const uint8_t *frame;
	size_t len;

	while ((frame = net_stream_peek(stream, &len))) {
		ASSERT(len >= 14 && len <= NET_FRAME_BYTES_MAX);
		for (size_t i = 0; i < len; i++)
			result->sum = result->sum * 31 + frame[i];
		result->frames++;
		result->bytes += len;
		net_stream_drop(stream);
	}
}

static struct result run(const uint8_t *data, size_t size, size_t piece)
{
	struct result result = {0};
	struct net_stream stream;

	ASSERT(!net_stream_init(&stream));
	while (size) {
		size_t len;
		uint8_t *room = net_stream_room(&stream, &len);

		len = MIN(len, piece);
		len = MIN(len, size);
		ASSERT(len > 0 || stream.is_broken);
		if (stream.is_broken)
			break;
		memcpy(room, data, len);
		net_stream_fill(&stream, len);
		data += len;
		size -= len;
		take_all(&stream, &result);
	}
	result.is_broken = stream.is_broken;
	net_stream_finish(&stream);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .left = size};
	size_t piece = fuzz_take(&input, 2) + 1;
	struct result whole = run(input.data, input.left, SIZE_MAX);
	struct result pieces = run(input.data, input.left, piece);

	ASSERT(whole.frames == pieces.frames && whole.bytes == pieces.bytes);
	ASSERT(whole.sum == pieces.sum && whole.is_broken == pieces.is_broken);
	return 0;
}
