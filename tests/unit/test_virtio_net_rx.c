/*
 * virtio-net, receiving: frames come straight into the driver's buffers, whatever these are like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_card.h"
#include "vmm/base/util.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define ALL_FEATURES (~UINT64_C(0))
#define TO_GUEST     (BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4))
#define UNMERGED     (~BIT(VIRTIO_NET_F_MRG_RXBUF))

enum {
	FRAME = 1514,
	BUFFER = 1536,
	TURN_FRAMES = 64,
};

static int setup(void **state)
{
	*state = fake_card_create(1, TO_GUEST);
	return 0;
}

static int teardown(void **state)
{
	fake_card_destroy(*state);
	return 0;
}

static struct virtio_net_stats stats_of(struct fake_card *card)
{
	struct virtio_net_stats stats;

	virtio_net_get_stats(card->device, &stats);
	return stats;
}

static unsigned used_count(const struct fake_card *card)
{
	return fake_vq_used_count(&card->driver.queues[0]);
}

static struct virtio_net_hdr_v1 header_of(const struct fake_card *card)
{
	struct virtio_net_hdr_v1 header;

	memcpy(&header, card->got, sizeof(header));
	return header;
}

/* The next frame is the one with number `seed` and `len` bytes. */
static void expect(struct fake_card *card, unsigned seed, uint32_t len)
{
	assert_int_equal(fake_card_take(card, 0), len);
	assert_true(fake_card_is_filled(card->got + NET_HEADER_BYTES, seed, len));
}

static void put_and_expect(struct fake_card *card, unsigned seed, uint32_t len)
{
	fake_card_put(card, 0, seed, len);
	fake_card_arrive(card, 0);
	expect(card, seed, len);
}

/* ---- Frames ---- */

static void test_frame_arrives(void **state)
{
	const struct virtio_net_hdr_v1 header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	struct fake_card *card = *state;
	uint8_t frame[100];

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 8, BUFFER);
	fake_card_fill(frame, 1, sizeof(frame));
	fake_net_put(card->net, 0, &header, frame, sizeof(frame));
	fake_card_arrive(card, 0);
	expect(card, 1, sizeof(frame));
	assert_int_equal(header_of(card).flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(header_of(card).csum_start, 34);
	assert_int_equal(header_of(card).num_buffers, 1);
	assert_int_equal(fake_driver_ack(&card->driver), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(stats_of(card).received_frames, 1);
	assert_int_equal(stats_of(card).received_bytes, sizeof(frame));
	assert_int_equal(fake_card_guest_errors(card), 0);
}

static void test_frame_that_waited_for_the_driver_arrives(void **state)
{
	struct fake_card *card = *state;

	fake_card_put(card, 0, 1, FRAME);
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 8, BUFFER);
	expect(card, 1, FRAME);
}

static void test_without_merging_one_buffer_each(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, UNMERGED);
	fake_card_post_buffers(card, 0, 8, BUFFER);
	put_and_expect(card, 1, FRAME);
	assert_int_equal(header_of(card).num_buffers, 1);
	/* One that is too long is lost, and costs no buffer; the next one comes. */
	fake_card_put(card, 0, 2, BUFFER);
	put_and_expect(card, 3, 60);
	assert_int_equal(card->net->truncated, 1);
	assert_int_equal(used_count(card), 0);
}

static void test_without_merging_a_chain_holds_a_long_frame(void **state)
{
	struct fake_card *card = *state;
	struct fake_buffer buffers[18];
	unsigned head;
	uint32_t len;

	fake_card_bring_up(card, UNMERGED);
	for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++)
		buffers[i] = (struct fake_buffer){card->rx[0] + i * 4096, 4096, true};
	fake_vq_add(&card->driver, 0, buffers, ARRAY_SIZE(buffers), 0);
	fake_driver_kick(&card->driver, 0);
	fake_card_put(card, 0, 1, NET_FRAME_BYTES_MAX);
	fake_card_arrive(card, 0);
	assert_true(fake_vq_take(&card->driver, 0, &head, &len));
	assert_int_equal(len, NET_HEADER_BYTES + NET_FRAME_BYTES_MAX);
	assert_true(
		fake_card_is_filled(fake_driver_host(&card->driver, card->rx[0] + NET_HEADER_BYTES,
					    NET_FRAME_BYTES_MAX),
			1, NET_FRAME_BYTES_MAX));
}

/* Lengths up and down, over the edges of the buffers: all whole, none lost. */
static void test_merged_lengths(void **state)
{
	static const uint32_t lens[] = {60, 14, BUFFER - 12, BUFFER - 11, 2 * BUFFER - 12,
		2 * BUFFER - 11, 60, 9000, 60, 60, 60, 60000, 30000, 1, NET_FRAME_BYTES_MAX, 60};
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, FAKE_CARD_RING, BUFFER);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		unsigned buffers = (lens[i] + NET_HEADER_BYTES - 1) / BUFFER + 1;

		fake_card_put(card, 0, i, lens[i]);
		fake_card_arrive(card, 0);
		assert_int_equal(used_count(card), buffers);
		expect(card, i, lens[i]);
		assert_int_equal(header_of(card).num_buffers, buffers);
		fake_card_post_buffers(card, 0, buffers, BUFFER);
	}
	assert_int_equal(stats_of(card).dropped_to_guest, 0);
	assert_int_equal(fake_card_guest_errors(card), 0);
}

static void test_buffers_of_all_sizes(void **state)
{
	static const uint32_t sizes[] = {12, 13, 4096, 100, 65000, 16, 2000, 1000};
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
			fake_card_post_buffers(card, 0, 1, sizes[i]);
		fake_card_put(card, 0, round, 3000 + round * 200);
		fake_card_arrive(card, 0);
		while (used_count(card))
			expect(card, round, 3000 + round * 200);
	}
	assert_int_equal(stats_of(card).received_frames, 8);
}

/* What the driver was told of the MTU holds, but for what was put together. */
static void test_frames_longer_than_the_mtu(void **state)
{
	static const uint8_t frame[3000];
	struct fake_card *card = *state;
	const uint64_t features[] = {ALL_FEATURES, UNMERGED, ~BIT(VIRTIO_NET_F_MTU)};

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		fake_card_bring_up(card, features[i]);
		fake_card_post_buffers(card, 0, 8, 4096);
		fake_net_put(card->net, 0, NULL, frame, 1522);
		fake_net_put(card->net, 0, NULL, frame, 1523);
		fake_net_put(card->net, 0, NULL, frame, sizeof(frame));
		fake_card_arrive(card, 0);
		assert_int_equal(used_count(card), i < 2 ? 1 : 3);
		assert_int_equal(stats_of(card).dropped_to_guest, i < 2 ? 2 * (i + 1) : 4);
	}
}

static void test_header_in_pieces(void **state)
{
	struct fake_card *card = *state;
	const struct fake_buffer buffers[] = {
		{0, 0, true}, {5, 5, true}, {10, 1, true}, {11, 1, true}, {12, 100, true}};
	struct fake_buffer moved[ARRAY_SIZE(buffers)];
	unsigned head;
	uint32_t len;

	fake_card_bring_up(card, ALL_FEATURES);
	memcpy(moved, buffers, sizeof(moved));
	for (unsigned i = 0; i < ARRAY_SIZE(moved); i++)
		moved[i].gpa += card->rx[0];
	moved[0].len = 5;
	fake_vq_add(&card->driver, 0, moved, ARRAY_SIZE(moved), 0);
	fake_driver_kick(&card->driver, 0);
	fake_card_put(card, 0, 7, 60);
	fake_card_arrive(card, 0);
	assert_true(fake_vq_take(&card->driver, 0, &head, &len));
	assert_int_equal(len, 72);
	memcpy(card->got, fake_driver_host(&card->driver, card->rx[0], 72), 72);
	assert_int_equal(header_of(card).num_buffers, 1);
	assert_true(fake_card_is_filled(card->got + NET_HEADER_BYTES, 7, 60));
}

static void test_many_frames_few_interrupts_and_calls(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 41, BUFFER);
	card->net->receives = 0;
	for (unsigned i = 0; i < 40; i++)
		fake_card_put(card, 0, i, 60 + i);
	fake_card_arrive(card, 0);
	for (unsigned i = 0; i < 40; i++)
		expect(card, i, 60 + i);
	/* The driver did not ask for another one after the first. */
	assert_int_equal(fake_machine_irq_count(card->fm, card->driver.gsi), 1);
	assert_int_equal(card->net->receives, 41);
}

/* A network that never stops sending gets a turn like everybody else. */
static void test_turns_end(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	for (unsigned i = 0; i < 40 * TURN_FRAMES; i++)
		fake_card_put(card, 0, 1, 60);
	virtio_net_set_link(card->device, false);
	fake_net_tell_readable(card->net, 0);
	for (unsigned turn = 1; turn <= 40; turn++) {
		assert_int_equal(card->net->to_guest[0].count, (40 - turn) * TURN_FRAMES);
		loop_run_once(card->fm->loop, 0);
	}
	assert_int_equal(stats_of(card).dropped_to_guest, 40 * TURN_FRAMES);
}

/* ---- Buffers ---- */

static void test_no_buffers(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ~BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned i = 0; i < 10; i++)
		fake_card_put(card, 0, i, 60 + i);
	fake_card_arrive(card, 0);
	assert_int_equal(card->net->to_guest[0].count, 10);
	assert_int_equal(card->net->receives, 0);
	/* The driver is asked to kick for the first buffer, and they come as there is room. */
	assert_true(fake_vq_needs_kick(&card->driver, 0));
	fake_card_post_buffers(card, 0, 4, BUFFER);
	for (unsigned i = 0; i < 4; i++)
		expect(card, i, 60 + i);
	assert_int_equal(used_count(card), 0);
	assert_true(fake_vq_needs_kick(&card->driver, 0));
	fake_card_post_buffers(card, 0, 40, BUFFER);
	for (unsigned i = 4; i < 10; i++)
		expect(card, i, 60 + i);
	/* Now there are enough: no kicks. */
	assert_false(fake_vq_needs_kick(&card->driver, 0));
	assert_int_equal(stats_of(card).dropped_to_guest, 0);
}

/* A frame that was read and has no room is kept until it has. */
static void test_frame_waits_for_more_buffers(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 3, BUFFER);
	fake_card_put(card, 0, 1, 9000);
	fake_card_put(card, 0, 2, 60);
	fake_card_arrive(card, 0);
	assert_int_equal(used_count(card), 0);
	fake_card_post_buffers(card, 0, 2, BUFFER);
	assert_int_equal(used_count(card), 0);
	fake_card_post_buffers(card, 0, 20, BUFFER);
	expect(card, 1, 9000);
	expect(card, 2, 60);
	assert_int_equal(stats_of(card).dropped_to_guest, 0);
}

static void test_frame_longer_than_the_ring(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, FAKE_CARD_RING, 200);
	fake_card_put(card, 0, 1, 20000);
	fake_card_put(card, 0, 2, 1000);
	fake_card_arrive(card, 0);
	expect(card, 2, 1000);
	assert_int_equal(header_of(card).num_buffers, 6);
	assert_int_equal(stats_of(card).dropped_to_guest, 1);
	assert_int_equal(fake_card_guest_errors(card), 1);
}

static void test_receive_buffers_that_are_none(void **state)
{
	struct fake_card *card = *state;
	struct fake_buffer bad[] = {{0, 11, true}, {0, 0, true}, {0, 2000, false}};
	const unsigned heads = ARRAY_SIZE(bad) + 1;
	unsigned head;
	uint32_t len;

	fake_card_bring_up(card, ALL_FEATURES);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		bad[i].gpa = card->rx[0];
		fake_vq_add(&card->driver, 0, &bad[i], 1, 0);
	}
	/* Readable and writable in one chain. */
	bad[1] = bad[2];
	bad[2] = (struct fake_buffer){card->rx[0], 2000, true};
	fake_vq_add(&card->driver, 0, bad + 1, 2, 0);
	fake_driver_kick(&card->driver, 0);
	fake_card_run(card);
	for (unsigned i = 0; i < heads; i++) {
		assert_true(fake_vq_take(&card->driver, 0, &head, &len));
		assert_int_equal(len, 0);
	}
	assert_int_equal(fake_card_guest_errors(card), heads);
	fake_card_post_buffers(card, 0, 4, BUFFER);
	put_and_expect(card, 1, FRAME);
}

/* Chains of tiny pieces: as many as one system call takes, and the rest stays in the ring. */
static void test_tiny_buffers(void **state)
{
	struct fake_card *card = *state;
	struct fake_buffer buffers[200];
	unsigned head;
	uint32_t len, total = 0;

	fake_card_bring_up(card, ALL_FEATURES);
	for (unsigned chain = 0; chain < 20; chain++) {
		gpa_t table = fake_driver_alloc(
			&card->driver, ARRAY_SIZE(buffers) * sizeof(struct vring_desc), 16);

		for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++)
			buffers[i] = (struct fake_buffer){card->rx[0] + chain * 4096 + i, 1, true};
		fake_vq_add(&card->driver, 0, buffers, ARRAY_SIZE(buffers), table);
	}
	fake_driver_kick(&card->driver, 0);
	fake_card_run(card);
	fake_card_put(card, 0, 1, 500);
	fake_card_put(card, 0, 2, 20000);
	fake_card_put(card, 0, 3, 188);
	fake_card_arrive(card, 0);
	assert_int_equal(stats_of(card).received_frames, 2);
	assert_int_equal(stats_of(card).dropped_to_guest, 1);
	while (fake_vq_take(&card->driver, 0, &head, &len))
		total += len;
	assert_int_equal(total, 500 + 188 + 2 * NET_HEADER_BYTES);
}

/* ---- Life ---- */

static void test_reset_gives_buffers_up(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 20, BUFFER);
	put_and_expect(card, 1, 9000);
	/* Some are gathered for the next frame by now, and none may be used after a reset. */
	fake_card_put(card, 0, 2, 60);
	fake_driver_write(&card->driver, VIRTIO_MMIO_STATUS, 0);
	fake_card_arrive(card, 0);
	assert_int_equal(used_count(card), 0);
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 20, BUFFER);
	expect(card, 2, 60);
	put_and_expect(card, 3, 9000);
}

static void test_reset_with_a_held_frame(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 2, BUFFER);
	fake_card_put(card, 0, 1, 9000);
	fake_card_arrive(card, 0);
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 20, BUFFER);
	put_and_expect(card, 2, 60);
	assert_int_equal(stats_of(card).dropped_to_guest, 1);
}

/* Stopping the queue leaves its ring as if the buffers had never been looked at. */
static void test_stopped_queue_has_its_buffers_back(void **state)
{
	struct fake_card *card = *state;
	const struct virtq *ring = &virtio_of(card->device)->queues[0].ring;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 20, BUFFER);
	put_and_expect(card, 1, 9000);
	put_and_expect(card, 2, 60);
	assert_true(ring->in_flight > 0);
	fake_driver_write(&card->driver, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_driver_write(&card->driver, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_driver_read(&card->driver, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(ring->in_flight, 0);
	assert_int_equal(ring->last_avail, ring->next_used);
	fake_card_put(card, 0, 3, 60);
	fake_card_arrive(card, 0);
	assert_int_equal(used_count(card), 0);
}

/* Buffers wait for a longer frame, and one behind them has been refused meanwhile. */
static void test_stopped_queue_with_a_refused_buffer(void **state)
{
	struct fake_card *card = *state;
	const struct virtq *ring = &virtio_of(card->device)->queues[0].ring;
	const struct fake_buffer small = {card->rx[0], 100, true};
	const struct fake_buffer refused = {card->rx[0], 2000, false};

	fake_card_bring_up(card, ALL_FEATURES);
	fake_vq_add(&card->driver, 0, &small, 1, 0);
	fake_vq_add(&card->driver, 0, &small, 1, 0);
	fake_vq_add(&card->driver, 0, &refused, 1, 0);
	fake_driver_kick(&card->driver, 0);
	fake_card_run(card);
	assert_int_equal(ring->in_flight, 2);
	fake_driver_write(&card->driver, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_driver_write(&card->driver, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(ring->in_flight, 0);
	assert_int_equal(used_count(card), 3);
}

static void test_failing_back_end_is_asked_again_when_it_says_so(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 4, BUFFER);
	card->net->receive_error = EIO;
	fake_card_put(card, 0, 1, 60);
	fake_card_arrive(card, 0);
	card->net->receive_error = 0;
	fake_card_run(card);
	assert_int_equal(used_count(card), 0);
	fake_card_arrive(card, 0);
	expect(card, 1, 60);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frame_arrives),
		TEST(frame_that_waited_for_the_driver_arrives),
		TEST(without_merging_one_buffer_each),
		TEST(without_merging_a_chain_holds_a_long_frame),
		TEST(merged_lengths),
		TEST(buffers_of_all_sizes),
		TEST(frames_longer_than_the_mtu),
		TEST(header_in_pieces),
		TEST(many_frames_few_interrupts_and_calls),
		TEST(turns_end),
		TEST(no_buffers),
		TEST(frame_waits_for_more_buffers),
		TEST(frame_longer_than_the_ring),
		TEST(receive_buffers_that_are_none),
		TEST(tiny_buffers),
		TEST(reset_gives_buffers_up),
		TEST(reset_with_a_held_frame),
		TEST(stopped_queue_has_its_buffers_back),
		TEST(stopped_queue_with_a_refused_buffer),
		TEST(failing_back_end_is_asked_again_when_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
