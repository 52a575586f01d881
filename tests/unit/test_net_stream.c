/*
 * Taking frames out of a stream: in any pieces, none of an impossible length, no more than fits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/backend/net.h"
#include "devices/backend/net_stream.h"
#include "vmm/base/util.h"

static struct net_stream stream;

static int setup(void **state)
{
	(void)state;
	return net_stream_init(&stream);
}

static int teardown(void **state)
{
	(void)state;
	net_stream_finish(&stream);
	return 0;
}

static void feed(const void *bytes, size_t len)
{
	size_t room;
	uint8_t *to = net_stream_room(&stream, &room);

	assert_true(room >= len);
	memcpy(to, bytes, len);
	net_stream_fill(&stream, len);
}

static void feed_length(uint32_t length)
{
	const uint8_t bytes[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
		(uint8_t)(length >> 8), (uint8_t)length};

	feed(bytes, sizeof(bytes));
}

static void test_stream_takes_any_pieces(void **state)
{
	static const uint8_t frames[] = {0, 0, 0, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
		0, 0, 0, 15, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
	size_t len;

	(void)state;
	for (size_t piece = 1; piece <= sizeof(frames); piece++) {
		unsigned found = 0;

		for (size_t at = 0; at < sizeof(frames); at += piece) {
			const uint8_t *frame;

			feed(frames + at, MIN(piece, sizeof(frames) - at));
			while ((frame = net_stream_peek(&stream, &len))) {
				assert_int_equal(len, 14 + found);
				assert_memory_equal(frame, frames + (found ? 22 : 4), len);
				net_stream_drop(&stream);
				found++;
			}
		}
		assert_int_equal(found, 2);
	}
}

static void test_stream_refuses_lengths(void **state)
{
	static const uint32_t bad[] = {
		0, 1, 13, NET_FRAME_BYTES_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff};
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		net_stream_clear(&stream);
		feed_length(bad[i]);
		assert_null(net_stream_peek(&stream, &len));
		assert_true(stream.is_broken);
	}
	net_stream_clear(&stream);
	feed_length(NET_FRAME_BYTES_MAX);
	assert_null(net_stream_peek(&stream, &len));
	assert_false(stream.is_broken);
}

static void test_stream_is_bounded(void **state)
{
	uint8_t bytes[1000] = {0};
	size_t room, fed = 0, len;

	(void)state;
	for (;;) {
		uint8_t *to = net_stream_room(&stream, &room);

		if (room < sizeof(bytes) + 4)
			break;
		(void)to;
		feed_length(sizeof(bytes));
		feed(bytes, sizeof(bytes));
		fed++;
	}
	assert_true(net_stream_is_full(&stream));
	assert_true(fed * 1004 <= NET_STREAM_BYTES);
	for (; fed; fed--) {
		assert_non_null(net_stream_peek(&stream, &len));
		net_stream_drop(&stream);
	}
	assert_null(net_stream_peek(&stream, &len));
	net_stream_room(&stream, &room);
	assert_int_equal(room, NET_STREAM_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stream_takes_any_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_refuses_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests_name("net_stream", tests, NULL, NULL);
}
