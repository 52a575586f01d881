/*
 * virtio-net, frames from the guest (VIRTIO 1.2, 5.1.6.2). The back end takes each
 * straight out of the guest's buffers; the header goes to it as a copy that was checked.
 *
 * A kick costs an exit of the guest, so under load there are none: after a turn that moved
 * several frames the ring is looked at again before kicks are asked for. While the back end has no room kicks are off as well; it tells when to go on.
 *
 * Threads: the loop's, with the device's lock.
 *
 * Threats
 *   what the guest can send          limit                           test
 *   writable buffers                 given back, counted             transmit_buffers_that_are_none
 *   no header, no Ethernet header    given back, counted             transmit_buffers_that_are_none
 *   frames longer than any           given back, counted             frames_too_long
 *   wrong headers                    net_header_check(), dropped     wrong_headers
 *   headers changed after the check  the copy is sent                net_header.h
 *   frames without end               NET_TURN_FRAMES a turn          turns_end
 */
#include <errno.h>

#include "devices/virtio/net_header.h"
#include "devices/virtio/net_impl.h"
#include "vmm/base/util.h"

enum {
	LOAD_FRAMES = 4, /* so many in a turn are called load */
	LOOKS = 2, /* at an empty ring after load: one in this turn of the loop, one in the next */
};

static const char *check_chain(const struct virtq_req *req)
{
	if (req->writable_count)
		return "a frame to be sent in buffers to be written";
	if (req->readable_bytes < NET_HEADER_BYTES + NET_ETHERNET_BYTES)
		return "a frame without its headers";
	if (req->readable_bytes - NET_HEADER_BYTES > NET_FRAME_BYTES_MAX)
		return "a frame longer than the device takes";
	return NULL;
}

/* 0: the request is done, frame sent or not; -EAGAIN: no room. */
static int send_frame(struct virtio_net *card, unsigned pair, struct virtq_req *req)
{
	struct virtio_net_hdr_v1 header;
	const char *wrong = check_chain(req);
	uint64_t bytes = req->readable_bytes - NET_HEADER_BYTES;
	int ret;

	if (!wrong) {
		virtq_copy_from(req, 0, &header, sizeof(header));
		wrong = net_header_check(&header, bytes, card->vdev.accepted);
	}
	if (wrong)
		goto refused;
	if (!net_card_has_link(card)) {
		card->stats.dropped_to_host++;
		return 0;
	}
	virtq_skip_readable(req, sizeof(header));
	card->scratch[0] = (struct iovec){&header, sizeof(header)};
	memcpy(card->scratch + 1, req->readable, req->readable_count * sizeof(*card->scratch));
	ret = net_send(card->backend, pair, card->scratch, 1 + req->readable_count);
	if (ret == -EAGAIN)
		return ret;
	wrong = "the host can't send it";
	if (ret < 0)
		goto refused;
	card->stats.sent_frames++;
	card->stats.sent_bytes += bytes;
	return 0;
refused:
	device_guest_error(&card->vdev.dev, "frame dropped: %s", wrong);
	card->stats.dropped_to_host++;
	return 0;
}

/* Sends up to a turn's worth; the result says how many. */
static unsigned send_some(struct virtio_net *card, unsigned pair)
{
	unsigned queue = 2 * pair + 1, frames = 0;
	struct virtq_req *req;

	while (frames < NET_TURN_FRAMES && virtio_take(&card->vdev, queue, &req)) {
		if (send_frame(card, pair, req) == -EAGAIN) {
			virtio_untake(&card->vdev, queue, req);
			card->tx[pair].blocked = true;
			break;
		}
		virtio_push(&card->vdev, queue, req, 0);
		frames++;
	}
	virtio_notify(&card->vdev);
	return frames;
}

void net_tx_work(struct virtio_net *card, unsigned pair)
{
	struct net_tx *tx = &card->tx[pair];
	unsigned queue = 2 * pair + 1, frames;

	tx->pending = false;
	if (tx->blocked || !virtio_can_work(&card->vdev, queue))
		return;
	virtio_disable_kicks(&card->vdev, queue);
	frames = send_some(card, pair);
	if (tx->blocked || !virtio_can_work(&card->vdev, queue))
		return;
	if (frames >= LOAD_FRAMES)
		tx->looks = LOOKS;
	else if (frames == 0 && tx->looks)
		tx->looks--;
	if (tx->looks || virtio_enable_kicks(&card->vdev, queue)) {
		tx->pending = true;
		net_card_post(card);
	}
}
