/*
 * What virtio-net is made of; for the files net*.c only.
 */
#pragma once

#include <linux/virtio_net.h>

#include "devices/backend/net.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"

struct virtio_net {
	struct virtio_dev vdev;
	struct net *backend; /* borrowed */
	struct net_front front;
	bool attached;
	struct virtio_net_config config;
	uint8_t mac[NET_MAC_BYTES]; /* that it has after a reset */
	bool has_mac;

	unsigned pairs_max; /* offered */
	bool started;	    /* the driver is there, and net_start() was called */
	bool cable_is_in;
	struct virtio_net_stats stats;
};

static inline struct virtio_net *net_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_net, vdev);
}
