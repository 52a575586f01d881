/*
 * See net_header.h. VIRTIO 1.2, 5.1.6.2.1 and 5.1.6.2.2. Knows no packet formats: the host's
 * network stack looks at the packet itself.
 *
 * Threats (all in test_virtio_net_header.c)
 *   what the guest can send                limit
 *   offloads that were not negotiated      refused
 *   a checksum outside of the frame        refused
 *   segmentation without a checksum        refused: each segment needs one
 *   headers longer than the frame          refused
 *   segments of no or very few bytes       NET_HEADER_SEGMENT_BYTES_MIN, …_DATAGRAMS_MAX
 *   unknown flags and types                flags are cleared, types refused
 */
#include "devices/virtio/net_header.h"

#include <stdbool.h>

#include "devices/backend/net.h"
#include "vmm/base/util.h"

enum {
	UDP_HEADER_BYTES = 8
};

static bool has(uint64_t features, unsigned bit)
{
	return features >> bit & 1;
}

static const char *check_checksum(
	const struct virtio_net_hdr_v1 *header, uint64_t frame_bytes, uint64_t features)
{
	uint32_t end = (uint32_t)header->csum_start + header->csum_offset + sizeof(uint16_t);

	if (!has(features, VIRTIO_NET_F_CSUM))
		return "a checksum to be filled in, which was not negotiated";
	if (end > frame_bytes)
		return "a checksum outside of the frame";
	return NULL;
}

/* The feature that allows a type, or -1 for one that does not exist. */
static int feature_of(uint8_t gso_type)
{
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_HOST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_HOST_USO;
	default:
		return -1;
	}
}

/* Thousands of segments from one frame would be the host's work, not the guest's. */
static bool segments_are_too_many(const struct virtio_net_hdr_v1 *header, uint64_t frame_bytes)
{
	uint64_t before = (uint64_t)header->csum_start + UDP_HEADER_BYTES, payload;

	if ((header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_UDP_L4)
		return header->gso_size < NET_HEADER_SEGMENT_BYTES_MIN;
	payload = frame_bytes > before ? frame_bytes - before : 0;
	return !header->gso_size || payload > (uint64_t)header->gso_size * NET_HEADER_DATAGRAMS_MAX;
}

static const char *check_segmentation(
	const struct virtio_net_hdr_v1 *header, uint64_t frame_bytes, uint64_t features)
{
	uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	bool ecn = header->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	int feature = feature_of(type);

	if (feature < 0)
		return "a kind of segmentation that does not exist";
	if (!has(features, (unsigned)feature))
		return "a kind of segmentation that was not negotiated";
	if (ecn &&
		(!has(features, VIRTIO_NET_F_HOST_ECN) || type == VIRTIO_NET_HDR_GSO_UDP ||
			type == VIRTIO_NET_HDR_GSO_UDP_L4))
		return "segmentation with ECN, which was not negotiated or is not for TCP";
	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return "segmentation without a checksum";
	if (header->hdr_len > frame_bytes)
		return "headers longer than the frame";
	if (segments_are_too_many(header, frame_bytes))
		return "segments too short";
	return NULL;
}

const char *net_header_check(
	struct virtio_net_hdr_v1 *header, uint64_t frame_bytes, uint64_t features)
{
	const char *wrong;

	/* The other flags are for frames to the guest; 5.1.6.2.2 has the device ignore them. */
	header->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->num_buffers = 0;
	if (header->flags) {
		wrong = check_checksum(header, frame_bytes, features);
		if (wrong)
			return wrong;
	} else {
		header->csum_start = 0;
		header->csum_offset = 0;
	}
	if (header->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return check_segmentation(header, frame_bytes, features);
	header->hdr_len = 0;
	header->gso_size = 0;
	return NULL;
}
