/*
 * virtio-net, frames to the guest (VIRTIO 1.2, 5.1.6.3 and 5.1.6.4). The back end writes
 * straight into the guest's buffers: one system call a frame, no copy.
 *
 * How long a frame is shows only when it has been read (a TAP does not tell), and with
 * segmentation offload it may have 64 KiB. To gather as many buffers each time would cost more
 * than a small frame does, so what is offered to the back end is as long as the recent frames
 * were, with a spill buffer behind it. A frame that runs over is completed
 * by gathering more buffers and copying the rest; from then on more is offered.
 *
 * When there are no buffers frames stay in the back end, and the driver is asked to kick. When
 * there are some but too few for a frame already read, it is held until there are more.
 *
 * Threads: the loop's, and vCPUs for net_rx_release(), with the device's lock.
 *
 * Threats
 *   what the guest can send      limit                          test
 *   readable buffers             given back, counted            receive_buffers_that_are_none
 *   no room for a header         given back, counted            receive_buffers_that_are_none
 *   many tiny buffers            NET_IOVECS_MAX at a time       tiny_buffers
 *   a ring too short for a frame dropped when the ring is full  frame_longer_than_the_ring
 *   no buffers                   frames wait in the back end    no_buffers
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/virtio/net_impl.h"
#include "vmm/base/util.h"

enum {
	/* So much is told of at once, so that the guest begins while more is coming. */
	NOTIFY_FRAMES = 16,
	NOTIFY_BYTES = 65536,
	EXPECTED_DECAY = 16,
};

int net_rx_init(struct net_rx *rx)
{
	rx->spill = malloc(NET_SPILL_BYTES);
	return rx->spill ? 0 : -ENOMEM;
}

void net_rx_finish(struct net_rx *rx)
{
	free(rx->spill);
	rx->spill = NULL;
}

static uint32_t least_expected(const struct virtio_net *card)
{
	return NET_HEADER_BYTES + NET_ETHERNET_BYTES + NET_VLAN_BYTES + card->config.mtu;
}

void net_rx_start(struct virtio_net *card, unsigned pair)
{
	struct net_rx *rx = &card->rx[pair];

	ASSERT(!rx->count);
	rx->readable = true;
	rx->starving = false;
	rx->held_bytes = 0;
	rx->expected = least_expected(card);
}

void net_rx_resume(struct virtio_net *card, unsigned pair)
{
	card->rx[pair].readable = true;
	card->rx[pair].starving = false;
	if (virtio_can_work(&card->vdev, 2 * pair))
		virtio_disable_kicks(&card->vdev, 2 * pair);
}

/* ---- Buffers ---- */

/* Moves what is there to the front of its array. */
static void close_gap(struct net_rx *rx)
{
	memmove(rx->iov, rx->iov + rx->iov_first, rx->iov_count * sizeof(*rx->iov));
	rx->iov_first = 0;
	memmove(rx->reqs, rx->reqs + rx->first, rx->count * sizeof(struct virtq_req *));
	rx->first = 0;
}

/* A chain has at most NET_QUEUE_SIZE iovecs, and one is for the spill buffer. */
static bool has_room(const struct net_rx *rx)
{
	return rx->first + rx->count < NET_QUEUE_SIZE &&
		rx->iov_first + rx->iov_count + NET_QUEUE_SIZE < NET_IOVECS_MAX;
}

static void add_buffer(struct virtio_net *card, unsigned pair, struct virtq_req *req)
{
	struct net_rx *rx = &card->rx[pair];

	if (req->readable_count || req->writable_bytes < NET_HEADER_BYTES) {
		device_guest_error(&card->vdev.dev,
			"a buffer for frames that can't be written or has no room for a header");
		virtio_push(&card->vdev, 2 * pair, req, 0);
		return;
	}
	memcpy(rx->iov + rx->iov_first + rx->iov_count, req->writable,
		req->writable_count * sizeof(*rx->iov));
	rx->iov_count += req->writable_count;
	rx->bytes += req->writable_bytes;
	rx->reqs[rx->first + rx->count++] = req;
}

/* The driver's next buffer; false when there is none: then it kicks when there is. */
static bool take_buffer(struct virtio_net *card, unsigned pair, struct virtq_req **req)
{
	struct net_rx *rx = &card->rx[pair];

	for (;;) {
		if (virtio_take(&card->vdev, 2 * pair, req)) {
			if (rx->starving)
				virtio_disable_kicks(&card->vdev, 2 * pair);
			rx->starving = false;
			return true;
		}
		if (rx->starving || !virtio_can_work(&card->vdev, 2 * pair))
			return false;
		rx->starving = true;
		if (!virtio_enable_kicks(&card->vdev, 2 * pair))
			return false;
	}
}

/* Gathers buffers for `bytes`; false when there are not as many. */
static bool gather(struct virtio_net *card, unsigned pair, uint64_t bytes)
{
	struct net_rx *rx = &card->rx[pair];
	struct virtq_req *req;

	/* Bounded by the ring: what is refused goes back, and comes again only by the driver. */
	for (unsigned taken = 0; rx->bytes < bytes && taken < NET_QUEUE_SIZE; taken++) {
		if (!has_room(rx)) {
			close_gap(rx);
			if (!has_room(rx))
				return false;
		}
		if (!take_buffer(card, pair, &req))
			return false;
		add_buffer(card, pair, req);
	}
	return rx->bytes >= bytes;
}

static struct virtq_req *oldest(const struct net_rx *rx)
{
	return rx->reqs[rx->first];
}

/* Takes the oldest buffer out. */
static struct virtq_req *remove_oldest(struct net_rx *rx)
{
	struct virtq_req *req = oldest(rx);

	rx->first++;
	rx->count--;
	rx->iov_first += req->writable_count;
	rx->iov_count -= req->writable_count;
	rx->bytes -= req->writable_bytes;
	if (!rx->count)
		rx->first = rx->iov_first = 0;
	return req;
}

void net_rx_release(struct virtio_net *card, unsigned pair, bool abort)
{
	struct net_rx *rx = &card->rx[pair];

	if (rx->held_bytes)
		card->stats.dropped_to_guest++;
	rx->held_bytes = 0;
	while (rx->count) {
		struct virtq_req *req = rx->reqs[rx->first + --rx->count];

		if (abort)
			virtio_forget(&card->vdev, 2 * pair, req);
		else
			virtio_untake(&card->vdev, 2 * pair, req);
	}
	rx->first = rx->iov_first = rx->iov_count = 0;
	rx->bytes = 0;
}

/* ---- Frames ---- */

static unsigned buffers_for(const struct net_rx *rx, uint64_t bytes)
{
	unsigned count = 0;

	for (uint64_t held = 0; held < bytes; count++)
		held += rx->reqs[rx->first + count]->writable_bytes;
	return count;
}

/* The frame lies in the buffers: they are the driver's, all at once. */
static void deliver(struct virtio_net *card, unsigned pair, uint64_t bytes)
{
	struct net_rx *rx = &card->rx[pair];
	uint16_t count = card->mergeable ? (uint16_t)buffers_for(rx, bytes) : 1;
	uint64_t left = bytes;

	virtq_copy_to(
		oldest(rx), offsetof(struct virtio_net_hdr_v1, num_buffers), &count, sizeof(count));
	for (unsigned i = 0; i < count; i++) {
		struct virtq_req *req = remove_oldest(rx);
		uint64_t piece = MIN(left, req->writable_bytes);

		virtio_fill(&card->vdev, 2 * pair, req, (uint32_t)piece);
		left -= piece;
	}
	virtio_publish(&card->vdev, 2 * pair);
	card->stats.received_frames++;
	card->stats.received_bytes += bytes - NET_HEADER_BYTES;
}

static void copy_behind(const struct net_rx *rx, uint64_t offset, const uint8_t *from, uint64_t len)
{
	const struct iovec *iov = rx->iov + rx->iov_first;

	for (; len; iov++) {
		uint64_t piece;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		piece = MIN(iov->iov_len - offset, len);
		memcpy((uint8_t *)iov->iov_base + offset, from, piece);
		from += piece;
		len -= piece;
		offset = 0;
	}
}

/* No more buffers can come: all that the ring has room for are here. */
static bool has_whole_ring(const struct virtio_net *card, unsigned pair)
{
	const struct virtq *ring = &card->vdev.queues[2 * pair].ring;

	return ring->in_flight == ring->size || !has_room(&card->rx[pair]);
}

/* False while there are too few buffers for the frame that is held. */
static bool deliver_held(struct virtio_net *card, unsigned pair)
{
	struct net_rx *rx = &card->rx[pair];

	if (gather(card, pair, rx->held_bytes)) {
		copy_behind(rx, rx->held_in_place, rx->spill, rx->held_bytes - rx->held_in_place);
		deliver(card, pair, rx->held_bytes);
	} else if (has_whole_ring(card, pair)) {
		device_guest_error(&card->vdev.dev,
			"a frame of %u bytes is longer than all receive buffers together",
			rx->held_bytes);
		card->stats.dropped_to_guest++;
	} else {
		return false;
	}
	rx->held_bytes = 0;
	return true;
}

/*
 * 5.1.4.1: a driver that knows the MTU is not given a longer packet, unless it is one that was
 * put together of several. The first buffer has the header, which the back end has just written.
 */
static bool is_too_long(const struct virtio_net *card, unsigned pair, uint64_t bytes)
{
	const struct virtq_req *first = oldest(&card->rx[pair]);
	uint8_t gso_type = 0;

	if (bytes <= least_expected(card) || !virtio_has_feature(&card->vdev, VIRTIO_NET_F_MTU))
		return false;
	virtq_copy_out(first, offsetof(struct virtio_net_hdr_v1, gso_type), &gso_type, 1);
	return !(gso_type & ~VIRTIO_NET_HDR_GSO_ECN);
}

/* What is offered to the back end next time follows the frames, upwards at once. */
static void learn_length(struct virtio_net *card, unsigned pair, uint32_t bytes)
{
	struct net_rx *rx = &card->rx[pair];

	if (bytes > rx->expected)
		rx->expected = MIN(bytes, (uint32_t)NET_SPILL_BYTES);
	else
		rx->expected = MAX(rx->expected - (rx->expected - bytes) / EXPECTED_DECAY,
			least_expected(card));
}

/* Reads one frame into buffers for `expected` bytes and the spill buffer behind them. */
static ssize_t read_frame(struct virtio_net *card, unsigned pair, uint64_t *in_place)
{
	struct net_rx *rx = &card->rx[pair];
	struct iovec *iov = rx->iov + rx->iov_first, saved;
	unsigned count = 0;
	ssize_t got;

	*in_place = 0;
	while (count < rx->iov_count && *in_place < rx->expected)
		*in_place += iov[count++].iov_len;
	/* has_room() left a place behind the last one. */
	saved = iov[count];
	iov[count] = (struct iovec){rx->spill, NET_SPILL_BYTES};
	got = net_receive(card->backend, pair, iov, count + 1);
	iov[count] = saved;
	return got;
}

/* One frame into several buffers. 0, or -EAGAIN when there is nothing more to do now. */
static int receive_merged(struct virtio_net *card, unsigned pair)
{
	struct net_rx *rx = &card->rx[pair];
	uint64_t in_place;
	ssize_t got;

	gather(card, pair, rx->expected);
	if (!rx->count)
		return -EAGAIN;
	got = read_frame(card, pair, &in_place);
	if (got < 0) {
		rx->readable = false;
		return -EAGAIN;
	}
	ASSERT(got >= NET_HEADER_BYTES && (uint64_t)got <= in_place + NET_SPILL_BYTES);
	if (is_too_long(card, pair, (uint64_t)got)) {
		card->stats.dropped_to_guest++;
		return 0;
	}
	learn_length(card, pair, (uint32_t)got);
	if ((uint64_t)got <= in_place) {
		deliver(card, pair, (uint64_t)got);
		return 0;
	}
	rx->held_bytes = (uint32_t)got;
	rx->held_in_place = (uint32_t)in_place;
	return deliver_held(card, pair) ? 0 : -EAGAIN;
}

/* One frame into one chain; a longer one the back end drops. */
static int receive_single(struct virtio_net *card, unsigned pair)
{
	struct net_rx *rx = &card->rx[pair];
	ssize_t got;

	gather(card, pair, 1);
	if (!rx->count)
		return -EAGAIN;
	got = net_receive(card->backend, pair, rx->iov + rx->iov_first, oldest(rx)->writable_count);
	if (got < 0) {
		rx->readable = false;
		return -EAGAIN;
	}
	ASSERT(got >= NET_HEADER_BYTES && (uint64_t)got <= oldest(rx)->writable_bytes);
	if (is_too_long(card, pair, (uint64_t)got))
		card->stats.dropped_to_guest++;
	else
		deliver(card, pair, (uint64_t)got);
	return 0;
}

/* Without a link what comes is dropped, as a pulled cable does. */
static int discard(struct virtio_net *card, unsigned pair)
{
	struct net_rx *rx = &card->rx[pair];
	const struct iovec iov = {rx->spill, NET_SPILL_BYTES};

	if (!rx->held_bytes && net_receive(card->backend, pair, &iov, 1) < 0) {
		rx->readable = false;
		return -EAGAIN;
	}
	rx->held_bytes = 0;
	card->stats.dropped_to_guest++;
	return 0;
}

static int receive_one(struct virtio_net *card, unsigned pair)
{
	if (!net_card_has_link(card))
		return discard(card, pair);
	if (!virtio_can_work(&card->vdev, 2 * pair))
		return -EAGAIN;
	if (card->rx[pair].held_bytes)
		return deliver_held(card, pair) ? 0 : -EAGAIN;
	return card->mergeable ? receive_merged(card, pair) : receive_single(card, pair);
}

void net_rx_kick(struct virtio_net *card, unsigned pair)
{
	card->rx[pair].starving = false;
	virtio_disable_kicks(&card->vdev, 2 * pair);
	net_rx_work(card, pair);
}

void net_rx_work(struct virtio_net *card, unsigned pair)
{
	struct net_rx *rx = &card->rx[pair];
	uint64_t told_bytes = card->stats.received_bytes;

	for (unsigned frames = 0; rx->readable && receive_one(card, pair) == 0;) {
		if (++frames % NOTIFY_FRAMES == 0 ||
			card->stats.received_bytes - told_bytes >= NOTIFY_BYTES) {
			virtio_notify(&card->vdev);
			told_bytes = card->stats.received_bytes;
		}
		if (frames == NET_TURN_FRAMES) {
			net_card_post(card);
			break;
		}
	}
	virtio_notify(&card->vdev);
}
