/*
 * virtio-net, the control queue (VIRTIO 1.2, 5.1.6.5): a class and a command, its data, and a
 * byte for the answer.
 *
 * Filters of addresses are accepted and not applied: 5.1.6.5.1 and 5.1.6.5.2 leave it to
 * the device to let unwanted frames through, and the guest's network stack drops them. Filters of
 * VLANs are not offered, for the same reason.
 *
 * Threads: the loop's, with the device's lock.
 *
 * Threats (test: wrong_commands)
 *   what the guest can send         limit
 *   no room for the answer          given back, counted
 *   no class or command, unknown    ERR, counted
 *   commands not negotiated         ERR, counted
 *   data of another length          ERR, counted; a table's length is computed, never trusted
 *   no pairs, or too many           ERR, counted
 *   offloads not negotiated         ERR, counted
 */
#include "devices/virtio/net_impl.h"
#include "vmm/base/util.h"

unsigned net_control_queue(const struct virtio_net *card)
{
	return virtio_has_feature(&card->vdev, VIRTIO_NET_F_MQ) ? 2 * card->pairs_max : 2;
}

uint64_t net_guest_offloads(uint64_t features)
{
	return features &
		(VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
			VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO6) |
			VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ECN) |
			VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_UFO) |
			VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_USO4) |
			VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_USO6));
}

/* Copies the data of a command that has to be `len` bytes long. */
static bool take_data(const struct virtq_req *req, void *data, uint64_t len)
{
	return req->readable_bytes == len && virtq_copy_from(req, 0, data, len) == len;
}

/* ---- Commands: NULL, or why not ---- */

static const char *set_receive_mode(
	const struct virtio_net *card, uint8_t command, const struct virtq_req *req)
{
	unsigned feature = command <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX
								  : VIRTIO_NET_F_CTRL_RX_EXTRA;
	uint8_t on;

	if (command > VIRTIO_NET_CTRL_RX_NOBCAST || !virtio_has_feature(&card->vdev, feature))
		return "a receive mode that does not exist or was not negotiated";
	if (!take_data(req, &on, sizeof(on)))
		return "a receive mode of a wrong length";
	return NULL;
}

/* Two tables, each a number of addresses and the addresses. */
static const char *set_address_table(const struct virtio_net *card, const struct virtq_req *req)
{
	uint64_t offset = 0;
	uint32_t entries;

	if (!virtio_has_feature(&card->vdev, VIRTIO_NET_F_CTRL_RX))
		return "a table of addresses, which was not negotiated";
	for (unsigned table = 0; table < 2; table++) {
		if (virtq_copy_from(req, offset, &entries, sizeof(entries)) != sizeof(entries))
			return "a table of addresses that is cut";
		offset += sizeof(entries) + (uint64_t)entries * NET_MAC_BYTES;
	}
	return offset == req->readable_bytes ? NULL : "a table of addresses of a wrong length";
}

static const char *set_address(struct virtio_net *card, const struct virtq_req *req)
{
	uint8_t mac[NET_MAC_BYTES];

	if (!virtio_has_feature(&card->vdev, VIRTIO_NET_F_CTRL_MAC_ADDR))
		return "an address, which was not negotiated";
	if (!take_data(req, mac, sizeof(mac)))
		return "an address of a wrong length";
	if (mac[0] & 1)
		return "an address of a group";
	memcpy(card->config.mac, mac, sizeof(mac));
	return NULL;
}

static const char *set_pairs(struct virtio_net *card, const struct virtq_req *req)
{
	unsigned before = card->pairs;
	uint16_t pairs;

	if (!virtio_has_feature(&card->vdev, VIRTIO_NET_F_MQ))
		return "a number of queues, which was not negotiated";
	if (!take_data(req, &pairs, sizeof(pairs)))
		return "a number of queues of a wrong length";
	if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > card->pairs_max)
		return "a number of queues that there are not";
	net_vhost_stop(card);
	if (net_set_queues(card->backend, pairs) < 0)
		return "a number of queues that the host refuses";
	card->pairs = pairs;
	/* Frames may wait in those that are new. */
	for (unsigned i = before; i < pairs; i++)
		card->rx[i].readable = card->tx[i].pending = true;
	net_card_post(card);
	return NULL;
}

static const char *set_offloads(struct virtio_net *card, const struct virtq_req *req)
{
	uint64_t offloads;

	if (!virtio_has_feature(&card->vdev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))
		return "offloads, which were not negotiated";
	if (!take_data(req, &offloads, sizeof(offloads)))
		return "offloads of a wrong length";
	if (offloads & ~net_guest_offloads(card->vdev.accepted))
		return "offloads that were not negotiated";
	if (net_set_offloads(card->backend, offloads) < 0)
		return "offloads that the host refuses";
	card->offloads = offloads;
	return NULL;
}

static const char *run_command(struct virtio_net *card, const struct virtio_net_ctrl_hdr *header,
	const struct virtq_req *req)
{
	switch (header->class << 8 | header->cmd) {
	case VIRTIO_NET_CTRL_MAC << 8 | VIRTIO_NET_CTRL_MAC_TABLE_SET:
		return set_address_table(card, req);
	case VIRTIO_NET_CTRL_MAC << 8 | VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return set_address(card, req);
	case VIRTIO_NET_CTRL_MQ << 8 | VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
		return set_pairs(card, req);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS << 8 | VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET:
		return set_offloads(card, req);
	default:
		if (header->class == VIRTIO_NET_CTRL_RX)
			return set_receive_mode(card, header->cmd, req);
		return "a command that does not exist";
	}
}

/* ---- The queue ---- */

static void handle_command(struct virtio_dev *vdev, unsigned queue, struct virtq_req *req)
{
	struct virtio_net *card = net_of(vdev);
	struct virtio_net_ctrl_hdr header;
	virtio_net_ctrl_ack ack = VIRTIO_NET_OK;
	const char *wrong = NULL;

	card->stats.controls++;
	if (!req->writable_bytes) {
		device_guest_error(&vdev->dev, "command without room for an answer");
		virtio_push(vdev, queue, req, 0);
		return;
	}
	if (virtq_copy_from(req, 0, &header, sizeof(header)) != sizeof(header)) {
		wrong = "it is cut";
	} else {
		virtq_skip_readable(req, sizeof(header));
		wrong = run_command(card, &header, req);
	}
	if (wrong) {
		device_guest_error(&vdev->dev, "command refused: %s", wrong);
		ack = VIRTIO_NET_ERR;
	}
	virtio_push(vdev, queue, req, (uint32_t)virtq_copy_to(req, 0, &ack, sizeof(ack)));
}

void net_control_work(struct virtio_net *card)
{
	unsigned queue = net_control_queue(card);

	if (!virtio_has_feature(&card->vdev, VIRTIO_NET_F_CTRL_VQ) ||
		!virtio_can_work(&card->vdev, queue))
		return;
	virtio_take_requests(&card->vdev, queue, handle_command);
	virtio_notify(&card->vdev);
}
