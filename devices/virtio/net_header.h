/*
 * The header in front of each frame that a network card's driver sends (VIRTIO 1.2, 5.1.6.2):
 * is it one that a host may work on? Pure functions; any thread.
 */
#pragma once

#include <linux/virtio_net.h>
#include <stdint.h>

enum {
	NET_HEADER_SEGMENT_BYTES_MIN = 8, /* of TCP and of IP fragments, as Linux has it */
	NET_HEADER_DATAGRAMS_MAX = 128,	  /* that one UDP frame is cut into */
};

/*
 * Checks the copy of a header, of which `frame_bytes` of Ethernet frame follow. `features` are
 * those that were negotiated. NULL: good, and what it says without meaning is zero now, so that
 * nobody behind has to wonder. Otherwise what is wrong with it.
 */
const char *net_header_check(
	struct virtio_net_hdr_v1 *header, uint64_t frame_bytes, uint64_t features);
