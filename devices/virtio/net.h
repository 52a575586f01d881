/*
 * virtio-net, for those who act on a network card from outside: its cable and its counters.
 *
 * Each function takes the device's lock. Threads: any, but the cable is moved on the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/device.h"

/* Since the device was made. Frames and bytes are Ethernet's, without the virtio header. */
struct virtio_net_stats {
	uint64_t sent_frames, sent_bytes;	  /* guest to host */
	uint64_t received_frames, received_bytes; /* host to guest */
	uint64_t dropped_to_host;  /* wrong headers, no link, refused by the back end */
	uint64_t dropped_to_guest; /* no link, or the guest's buffers can't hold the frame */
	uint64_t controls;	   /* commands of the control queue */
	uint64_t kicks, interrupts;
};

/* Plugs the cable in or pulls it. The link is up when the back end's carrier is as well. */
void virtio_net_set_link(struct device *device, bool up);

/* What the guest is told of the link. */
bool virtio_net_link_is_up(struct device *device);

void virtio_net_get_stats(struct device *device, struct virtio_net_stats *stats);
