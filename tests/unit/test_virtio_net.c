/*
 * virtio-net, what is not about receiving: the features, frames sent, the link, its life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_card.h"
#include "vmm/base/util.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define ALL_FEATURES (~UINT64_C(0))
#define TO_HOST                                                                                    \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |      \
		BIT(VIRTIO_NET_F_HOST_ECN))
#define TO_GUEST                                                                                   \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))

enum {
	PAIRS = 2,
	FRAME = 1514,
	TURN_FRAMES = 64,
};

static int setup(void **state)
{
	*state = fake_card_create(1, 0);
	return 0;
}

static int setup_offloads(void **state)
{
	*state = fake_card_create(PAIRS, TO_HOST | TO_GUEST);
	return 0;
}

static int teardown(void **state)
{
	fake_card_destroy(*state);
	return 0;
}

static uint64_t config_field(struct fake_card *card, size_t offset, unsigned size)
{
	return fake_machine_mmio_read(
		card->fm, card->driver.base + VIRTIO_MMIO_CONFIG + offset, size);
}

#define CONFIG(card, field)                                                                        \
	config_field(card, offsetof(struct virtio_net_config, field),                              \
		sizeof(((struct virtio_net_config *)0)->field))

static struct virtio_net_stats stats_of(struct fake_card *card)
{
	struct virtio_net_stats stats;

	virtio_net_get_stats(card->device, &stats);
	return stats;
}

/* The next frame that the back end was given. */
static uint32_t take_sent(struct fake_card *card, unsigned pair)
{
	size_t len = fake_net_take(card->net, pair, card->got, sizeof(card->got));

	return len ? (uint32_t)len - NET_HEADER_BYTES : 0;
}

/* ---- What the driver finds ---- */

static void test_plain_card_describes_itself(void **state)
{
	static const uint8_t mac[] = {0x52, 0x54, 0, 1, 2, 3};
	struct fake_card *card = *state;
	uint64_t offered;

	fake_card_bring_up(card, ALL_FEATURES);
	offered = fake_driver_offered(&card->driver);
	assert_int_equal(fake_driver_read(&card->driver, VIRTIO_MMIO_DEVICE_ID), 1);
	for (unsigned i = 0; i < sizeof(mac); i++)
		assert_int_equal(config_field(card, i, 1), mac[i]);
	assert_int_equal(CONFIG(card, mtu), 1500);
	assert_int_equal(CONFIG(card, status), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(CONFIG(card, max_virtqueue_pairs), 1);
	assert_true(offered & BIT(VIRTIO_NET_F_MAC));
	assert_true(offered & BIT(VIRTIO_NET_F_MTU));
	assert_true(offered & BIT(VIRTIO_NET_F_STATUS));
	assert_true(offered & BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_true(offered & BIT(VIRTIO_NET_F_CTRL_VQ));
	assert_false(offered & (TO_HOST | TO_GUEST | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)));
	assert_false(offered & BIT(VIRTIO_NET_F_MQ));
}

static void test_offloads_and_queues_are_the_back_ends(void **state)
{
	struct fake_card *card = *state;
	uint64_t offered;

	fake_card_bring_up(card, ALL_FEATURES);
	offered = fake_driver_offered(&card->driver);
	assert_int_equal(offered & (TO_HOST | TO_GUEST), TO_HOST | TO_GUEST);
	assert_true(offered & BIT(VIRTIO_NET_F_MQ));
	assert_true(offered & BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
	assert_false(offered & BIT(VIRTIO_NET_F_HOST_UFO));
	assert_int_equal(CONFIG(card, max_virtqueue_pairs), PAIRS);
	/* What the driver took of those to the guest is the back end's to do. */
	assert_int_equal(card->net->offloads, TO_GUEST);
	fake_card_bring_up(card, ~BIT(VIRTIO_NET_F_GUEST_TSO6));
	assert_int_equal(card->net->offloads, TO_GUEST & ~BIT(VIRTIO_NET_F_GUEST_TSO6));
	/* Nothing else makes sense without the checksum. */
	fake_card_bring_up(card, ~BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(card->net->offloads, 0);
}

static void test_configuration_can_not_be_written(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_machine_mmio_write(card->fm, card->driver.base + VIRTIO_MMIO_CONFIG, 1, 0xff);
	assert_int_equal(config_field(card, 0, 1), 0x52);
	assert_int_equal(fake_card_guest_errors(card), 1);
}

/* ---- Sending ---- */

static void test_frame_is_sent(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, NULL, FRAME);
	assert_int_equal(take_sent(card, 0), FRAME);
	assert_true(fake_card_is_filled(card->got + NET_HEADER_BYTES, 1, FRAME));
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 1);
	assert_int_equal(fake_driver_ack(&card->driver), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(fake_card_guest_errors(card), 0);
	assert_int_equal(stats_of(card).sent_frames, 1);
	assert_int_equal(stats_of(card).sent_bytes, FRAME);
}

static void test_frame_in_odd_pieces(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	/* The header spread, header and frame in one buffer, header alone in one. */
	for (uint32_t piece = 5; piece <= 35; piece += 6) {
		fake_card_add_frame(card, 0, NULL, 60, piece);
		fake_driver_kick(&card->driver, 1);
		fake_card_run(card);
		assert_int_equal(take_sent(card, 0), 60);
		assert_true(fake_card_is_filled(card->got + NET_HEADER_BYTES, 1, 60));
	}
	fake_card_add_frame(card, 0, NULL, 60, NET_HEADER_BYTES);
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_int_equal(take_sent(card, 0), 60);
}

static void test_longest_frame_is_sent(void **state)
{
	const struct virtio_net_hdr_v1 header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 54,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16};
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, &header, NET_FRAME_BYTES_MAX);
	assert_int_equal(take_sent(card, 0), NET_FRAME_BYTES_MAX);
	assert_memory_equal(card->got, &header, sizeof(header));
	assert_int_equal(fake_card_guest_errors(card), 0);
}

static void test_many_frames_one_interrupt(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ~BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned i = 0; i < 30; i++)
		fake_card_add_frame(card, 0, NULL, 60, 100);
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_int_equal(card->net->sent[0].count, 30);
	assert_int_equal(fake_machine_irq_count(card->fm, card->driver.gsi), 1);
}

/* Under load the driver need not kick: the device looks again by itself. */
static void test_load_needs_no_kicks(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ~BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned i = 0; i < 10; i++)
		fake_card_add_frame(card, 0, NULL, 60, 100);
	fake_driver_kick(&card->driver, 1);
	loop_run_once(card->fm->loop, 0);
	for (unsigned round = 0; round < 5; round++) {
		assert_false(fake_vq_needs_kick(&card->driver, 1));
		for (unsigned i = 0; i < 5; i++)
			fake_card_add_frame(card, 0, NULL, 60, 100);
		loop_run_once(card->fm->loop, 0);
	}
	fake_card_run(card);
	assert_int_equal(card->net->sent[0].count, 35);
	/* Idle again: a kick is needed, and works. */
	assert_true(fake_vq_needs_kick(&card->driver, 1));
	fake_card_send(card, 0, NULL, 60);
	assert_int_equal(card->net->sent[0].count, 36);
	assert_int_equal(stats_of(card).kicks, 2);
}

/* A driver that never stops sending gets a turn like everybody else. */
static void test_turns_end(void **state)
{
	struct fake_card *card = *state;
	struct fake_vq *vq;

	fake_card_bring_up(card, ALL_FEATURES);
	vq = &card->driver.queues[1];
	for (unsigned i = 0; i < FAKE_CARD_RING; i++)
		fake_card_add_frame(card, 0, NULL, 60, 100);
	fake_driver_kick(&card->driver, 1);
	loop_run_once(card->fm->loop, 0);
	assert_in_range(card->net->sent[0].count, 1, 2 * TURN_FRAMES);
	/* Its ring is refilled before each turn. */
	for (unsigned round = 1; round < 10; round++) {
		unsigned head, before = card->net->sent[0].count;
		uint32_t len;

		while (fake_vq_take(&card->driver, 1, &head, &len))
			;
		while (vq->free_count)
			fake_card_add_frame(card, 0, NULL, 60, 100);
		loop_run_once(card->fm->loop, 0);
		assert_in_range(card->net->sent[0].count - before, 1, TURN_FRAMES);
	}
}

static void test_no_room_waits_without_kicks(void **state)
{
	struct fake_card *card = *state;
	unsigned sends;

	fake_card_bring_up(card, ~BIT(VIRTIO_RING_F_EVENT_IDX));
	card->net->room = 3;
	for (unsigned i = 0; i < 10; i++)
		fake_card_add_frame(card, 0, NULL, 60 + i, 100);
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_int_equal(card->net->sent[0].count, 3);
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 3);
	/* It does not try again and again, and wants no kicks. */
	sends = card->net->sends;
	fake_card_run(card);
	assert_int_equal(card->net->sends, sends);
	assert_false(fake_vq_needs_kick(&card->driver, 1));
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_int_equal(card->net->sends, sends);
	/* The rest follows in order, when there is room. */
	fake_net_make_room(card->net, 0, 100);
	fake_card_run(card);
	assert_int_equal(card->net->sent[0].count, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(take_sent(card, 0), 60 + i);
	assert_true(fake_vq_needs_kick(&card->driver, 1));
	assert_int_equal(stats_of(card).dropped_to_host, 0);
}

static void test_refused_frames_are_counted(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	card->net->send_error = EINVAL;
	fake_card_send(card, 0, NULL, 60);
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 1);
	assert_int_equal(stats_of(card).dropped_to_host, 1);
	assert_int_equal(stats_of(card).sent_frames, 0);
}

/* ---- Wrong frames ---- */

static void test_transmit_buffers_that_are_none(void **state)
{
	struct fake_card *card = *state;
	struct fake_buffer buffer = {.writable = true, .len = 100};

	fake_card_bring_up(card, ALL_FEATURES);
	buffer.gpa = card->tx;
	fake_vq_add(&card->driver, 1, &buffer, 1, 0);
	buffer.writable = false;
	for (uint32_t len = 0; len < NET_HEADER_BYTES + 14; len += 5) {
		buffer.len = len;
		fake_vq_add(&card->driver, 1, &buffer, 1, 0);
	}
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 7);
	assert_int_equal(fake_card_guest_errors(card), 7);
	assert_int_equal(stats_of(card).dropped_to_host, 7);
	assert_int_equal(card->net->sends, 0);
	fake_card_send(card, 0, NULL, 14);
	assert_int_equal(take_sent(card, 0), 14);
}

static void test_frames_too_long(void **state)
{
	struct fake_card *card = *state;
	struct fake_buffer buffers[40];

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, NULL, NET_FRAME_BYTES_MAX + 1);
	assert_int_equal(card->net->sends, 0);
	/* 40 MiB, all the same memory. */
	for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++)
		buffers[i] = (struct fake_buffer){16 * MIB, MIB, false};
	fake_vq_add(&card->driver, 1, buffers, ARRAY_SIZE(buffers), 0);
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_int_equal(card->net->sends, 0);
	assert_int_equal(stats_of(card).dropped_to_host, 2);
	assert_int_equal(fake_card_guest_errors(card), 2);
}

static void test_wrong_headers(void **state)
{
	struct fake_card *card = *state;
	struct virtio_net_hdr_v1 header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};

	/* Good with its feature, wrong without. */
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, &header, 100);
	assert_int_equal(take_sent(card, 0), 100);
	header.csum_start = 99;
	fake_card_send(card, 0, &header, 100);
	header.csum_start = 34;
	header.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	header.gso_size = 1400;
	fake_card_send(card, 0, &header, 100);
	assert_int_equal(take_sent(card, 0), 0);
	assert_int_equal(fake_card_guest_errors(card), 2);
	fake_card_bring_up(card, ~BIT(VIRTIO_NET_F_CSUM));
	header.gso_type = 0;
	fake_card_send(card, 0, &header, 100);
	assert_int_equal(take_sent(card, 0), 0);
	assert_int_equal(fake_card_guest_errors(card), 3);
	assert_int_equal(stats_of(card).dropped_to_host, 3);
}

static void test_broken_ring_asks_for_reset(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_vq_publish(&card->driver.queues[1], 0xffff);
	fake_driver_kick(&card->driver, 1);
	fake_card_run(card);
	assert_true(
		fake_driver_read(&card->driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	fake_card_put(card, 0, 1, 60);
	fake_card_arrive(card, 0);
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, NULL, 60);
	assert_int_equal(take_sent(card, 0), 60);
}

/* ---- Several queues ---- */

static void set_pairs(struct fake_card *card, uint16_t pairs)
{
	assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_MQ,
				 VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, sizeof(pairs)),
		VIRTIO_NET_OK);
}

static void test_second_pair_works_when_asked_for(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(card->net->pairs, 1);
	fake_card_send(card, 1, NULL, 60);
	assert_int_equal(card->net->sends, 0);
	set_pairs(card, 2);
	assert_int_equal(card->net->pairs, 2);
	/* What was waiting goes out. */
	assert_int_equal(take_sent(card, 1), 60);
	fake_card_send(card, 1, NULL, 70);
	assert_int_equal(take_sent(card, 1), 70);
	fake_card_post_buffers(card, 1, 4, 2048);
	fake_card_put(card, 1, 5, 300);
	fake_card_arrive(card, 1);
	assert_int_equal(fake_card_take(card, 1), 300);
	assert_true(fake_card_is_filled(card->got + NET_HEADER_BYTES, 5, 300));
	/* A new driver starts with one. */
	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(card->net->pairs, 1);
	assert_int_equal(fake_card_guest_errors(card), 0);
}

static void test_a_full_pair_does_not_stop_the_other(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	set_pairs(card, 2);
	card->net->room = 0;
	fake_card_send(card, 0, NULL, 60);
	card->net->room = 10;
	fake_card_send(card, 1, NULL, 61);
	assert_int_equal(take_sent(card, 1), 61);
	assert_int_equal(take_sent(card, 0), 0);
	fake_net_make_room(card->net, 0, 10);
	assert_int_equal(take_sent(card, 0), 60);
}

/* ---- Link ---- */

static void test_pulled_cable(void **state)
{
	struct fake_card *card = *state;
	uint64_t irqs;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_post_buffers(card, 0, 4, 2048);
	fake_driver_ack(&card->driver);
	irqs = fake_machine_irq_count(card->fm, card->driver.gsi);
	virtio_net_set_link(card->device, false);
	assert_false(virtio_net_link_is_up(card->device));
	assert_int_equal(CONFIG(card, status), 0);
	assert_int_equal(fake_machine_irq_count(card->fm, card->driver.gsi), irqs + 1);
	assert_int_equal(fake_driver_ack(&card->driver), VIRTIO_MMIO_INT_CONFIG);
	/* Pulled twice is pulled once. */
	virtio_net_set_link(card->device, false);
	assert_int_equal(fake_machine_irq_count(card->fm, card->driver.gsi), irqs + 1);
	/* Frames vanish, both ways, and are counted. */
	fake_card_send(card, 0, NULL, 60);
	fake_card_put(card, 0, 1, 60);
	fake_card_arrive(card, 0);
	assert_int_equal(card->net->sends, 0);
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 1);
	assert_int_equal(fake_card_take(card, 0), 0);
	assert_int_equal(stats_of(card).dropped_to_host, 1);
	assert_int_equal(stats_of(card).dropped_to_guest, 1);
	/* Back in. */
	virtio_net_set_link(card->device, true);
	assert_int_equal(CONFIG(card, status), VIRTIO_NET_S_LINK_UP);
	fake_card_send(card, 0, NULL, 61);
	assert_int_equal(take_sent(card, 0), 61);
	fake_card_put(card, 0, 2, 62);
	fake_card_arrive(card, 0);
	assert_int_equal(fake_card_take(card, 0), 62);
}

static void test_lost_carrier(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_net_set_carrier(card->net, false);
	assert_int_equal(CONFIG(card, status), 0);
	assert_int_equal(fake_driver_ack(&card->driver), VIRTIO_MMIO_INT_CONFIG);
	/* The cable alone does not bring it back. */
	virtio_net_set_link(card->device, false);
	virtio_net_set_link(card->device, true);
	assert_int_equal(CONFIG(card, status), 0);
	fake_net_set_carrier(card->net, true);
	assert_int_equal(CONFIG(card, status), VIRTIO_NET_S_LINK_UP);
}

static void test_no_carrier_from_the_start(void **state)
{
	struct fake_card *card = *state;

	card->net->carrier = false;
	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(CONFIG(card, status), 0);
}

/* Frames that wait for room are not kept for a cable that may never come back. */
static void test_cable_pulled_while_blocked(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	card->net->room = 0;
	fake_card_send(card, 0, NULL, 60);
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 0);
	virtio_net_set_link(card->device, false);
	fake_card_run(card);
	assert_int_equal(fake_vq_used_count(&card->driver.queues[1]), 1);
	assert_int_equal(stats_of(card).dropped_to_host, 1);
}

/* ---- Life ---- */

static void test_back_end_starts_with_the_driver(void **state)
{
	struct fake_card *card = *state;

	fake_card_run(card);
	assert_false(card->net->started);
	fake_card_bring_up(card, ALL_FEATURES);
	assert_true(card->net->started);
	fake_driver_write(&card->driver, VIRTIO_MMIO_STATUS, 0);
	fake_card_run(card);
	assert_false(card->net->started);
	/* Reset and start before the loop has a turn: it is stopped in between all the same. */
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_bring_up(card, ALL_FEATURES);
	assert_true(card->net->started);
	assert_int_equal(card->net->starts, 3);
	assert_int_equal(card->net->stops, 2);
	device_reset(card->device);
	fake_card_run(card);
	assert_false(card->net->started);
}

/* What a new driver wants is known to the back end before it moves a frame. */
static void test_no_frame_before_the_back_end_knows(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	fake_driver_init(&card->driver, card->fm, card->device, 4096, 16 * MIB);
	fake_driver_bring_up(&card->driver, 0, 3, 16);
	fake_card_put(card, 0, 1, 60);
	fake_net_tell_readable(card->net, 0);
	fake_net_make_room(card->net, 0, 1);
	assert_int_equal(card->net->to_guest[0].count, 1);
	fake_card_run(card);
	assert_int_equal(card->net->offloads, 0);
}

static void test_reset_while_blocked_and_destroy(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	card->net->room = 0;
	fake_card_send(card, 0, NULL, 60);
	fake_driver_write(&card->driver, VIRTIO_MMIO_STATUS, 0);
	fake_net_make_room(card->net, 0, 10);
	assert_int_equal(take_sent(card, 0), 0);
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, NULL, 61);
	assert_int_equal(take_sent(card, 0), 61);
	card->net->room = 0;
	fake_card_send(card, 0, NULL, 62);
	/* teardown() destroys it so, with the back end started */
}

static void test_queue_stopped_while_blocked(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	card->net->room = 0;
	fake_card_send(card, 0, NULL, 60);
	fake_driver_write(&card->driver, VIRTIO_MMIO_QUEUE_SEL, 1);
	fake_driver_write(&card->driver, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_driver_read(&card->driver, VIRTIO_MMIO_QUEUE_READY), 0);
	fake_net_make_room(card->net, 0, 10);
	fake_card_run(card);
	assert_int_equal(take_sent(card, 0), 0);
}

static void test_refusing_back_end_is_no_end(void **state)
{
	struct fake_card *card = *state;

	card->net->settings_error = EPERM;
	fake_card_bring_up(card, ALL_FEATURES);
	fake_card_send(card, 0, NULL, 60);
	assert_int_equal(take_sent(card, 0), 60);
}

#define TEST(name)	    cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
#define TEST_OFFLOADS(name) cmocka_unit_test_setup_teardown(test_##name, setup_offloads, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_card_describes_itself),
		TEST_OFFLOADS(offloads_and_queues_are_the_back_ends),
		TEST(configuration_can_not_be_written),
		TEST(frame_is_sent),
		TEST(frame_in_odd_pieces),
		TEST_OFFLOADS(longest_frame_is_sent),
		TEST(many_frames_one_interrupt),
		TEST(load_needs_no_kicks),
		TEST(turns_end),
		TEST(no_room_waits_without_kicks),
		TEST(refused_frames_are_counted),
		TEST(transmit_buffers_that_are_none),
		TEST(frames_too_long),
		TEST_OFFLOADS(wrong_headers),
		TEST(broken_ring_asks_for_reset),
		TEST_OFFLOADS(second_pair_works_when_asked_for),
		TEST_OFFLOADS(a_full_pair_does_not_stop_the_other),
		TEST(pulled_cable),
		TEST(lost_carrier),
		TEST(no_carrier_from_the_start),
		TEST(cable_pulled_while_blocked),
		TEST(back_end_starts_with_the_driver),
		TEST_OFFLOADS(no_frame_before_the_back_end_knows),
		TEST(reset_while_blocked_and_destroy),
		TEST(queue_stopped_while_blocked),
		TEST_OFFLOADS(refusing_back_end_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
