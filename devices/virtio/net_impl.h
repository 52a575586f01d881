/*
 * What virtio-net is made of; for the files net*.c only.
 *
 *	net.c          features, link, life cycle; which queue is worked on when
 *	net_rx.c       frames to the guest
 *	net_tx.c       frames from the guest
 *	net_control.c  commands of the driver
 *	net_vhost.c    the rings in the kernel's hands
 *	net_header.c   the check of what stands before a frame
 *
 * Queues come in pairs: 2n receives, 2n + 1 transmits; the control queue is the last one, or
 * the third if the driver takes no more than one pair.
 */
#pragma once

#include <linux/virtio_net.h>

#include "devices/backend/net.h"
#include "devices/backend/vhost.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"

enum {
	NET_QUEUE_SIZE = 256,
	NET_TURN_FRAMES = 64,  /* of one queue, then others have their turn */
	NET_IOVECS_MAX = 1023, /* of one system call, and one that a back end may add */
	NET_SPILL_BYTES = NET_HEADER_BYTES + NET_FRAME_BYTES_MAX,
	NET_ETHERNET_BYTES = 14,
	NET_VLAN_BYTES = 8, /* two tags */
};

/*
 * Buffers of the driver that are ready to be read into, in the order in which they came, and
 * their memory as one array of iovecs. What a frame did not need stays for the next one.
 */
struct net_rx {
	bool readable; /* the back end may have frames */
	bool starving; /* too few buffers: the driver is asked to kick */
	struct virtq_req *reqs[NET_QUEUE_SIZE];
	unsigned first, count; /* of reqs, from first on */
	struct iovec iov[NET_IOVECS_MAX];
	unsigned iov_first, iov_count;
	uint64_t bytes;	   /* that they hold together */
	uint32_t expected; /* a frame that is not likely to be exceeded, with its header */
	/*
	 * A frame that was longer than the buffers at hand: `held_bytes` in all, the first `held_in_place`
	 * of them in the buffers, the rest in `spill`. 0: none.
	 */
	uint32_t held_bytes, held_in_place;
	uint8_t *spill; /* owned, NET_SPILL_BYTES */
};

struct net_tx {
	bool pending;	/* to be looked at in the next turn; kicks are off */
	bool blocked;	/* the back end has no room */
	unsigned looks; /* at an empty ring, that are left before kicks are asked for */
};

struct virtio_net {
	struct virtio_dev vdev;
	struct net *backend; /* borrowed */
	struct net_front front;
	struct loop *loop; /* borrowed */
	bool attached;
	struct virtio_net_config config;
	uint8_t mac[NET_MAC_BYTES]; /* that it has after a reset */
	bool has_mac;
	bool cable_is_in;

	unsigned pairs_max; /* offered */
	unsigned pairs;	    /* in use */
	uint64_t offloads;  /* to the guest, that its driver wants */
	bool mergeable;
	bool live;	       /* the driver is there */
	bool running;	       /* and the back end knows what it wants: frames may move */
	bool backend_started;  /* the rest is told by `turn`, on the loop's thread: net_start() */
	bool backend_is_stale; /* it serves a driver that is gone */
	struct loop_task turn; /* brings the back end up to date, goes on with what is left */
	struct virtio_net_stats stats;

	bool has_vhost;
	unsigned in_kernel;		     /* pairs that vhost-net works on: all in use, or 0 */
	bool backend_is_bypassed;	     /* it knows; told on the loop's thread */
	struct vhost *vhost[NET_QUEUES_MAX]; /* owned, NULL without */

	struct net_rx rx[NET_QUEUES_MAX];
	struct net_tx tx[NET_QUEUES_MAX];
	struct iovec scratch[NET_QUEUE_SIZE + 1];
};

static inline struct virtio_net *net_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_net, vdev);
}

static inline bool net_card_has_link(const struct virtio_net *card)
{
	return card->config.status & VIRTIO_NET_S_LINK_UP;
}

/* ---- net.c ---- */

/* Asks for a turn on the loop. */
void net_card_post(struct virtio_net *card);

/* ---- net_rx.c ---- */

int net_rx_init(struct net_rx *rx);
void net_rx_finish(struct net_rx *rx);

/* For a driver that starts anew. */
void net_rx_start(struct virtio_net *card, unsigned pair);

/* The driver has kicked: there are buffers. */
void net_rx_kick(struct virtio_net *card, unsigned pair);

/* Moves waiting frames to the guest, as many as one turn may have. */
void net_rx_work(struct virtio_net *card, unsigned pair);

/* Others have worked on the ring for a time. */
void net_rx_resume(struct virtio_net *card, unsigned pair);

/* Puts all buffers back: into the ring, or with `abort` nowhere. */
void net_rx_release(struct virtio_net *card, unsigned pair, bool abort);

/* ---- net_tx.c ---- */

/* Moves frames from the guest, as many as one turn may have. */
void net_tx_work(struct virtio_net *card, unsigned pair);

/* ---- net_vhost.c ---- */

/* For realize(): says so when the back end could and the host can't. */
void net_vhost_init(struct virtio_net *card);
void net_vhost_finish(struct virtio_net *card);

/* Hands the rings over if that can be now; takes them back. */
void net_vhost_start(struct virtio_net *card);
void net_vhost_stop(struct virtio_net *card);

/* On the loop's thread, some time after net_vhost_stop(): the back end learns of it. */
void net_vhost_settle(struct virtio_net *card);

/* ---- net_control.c ---- */

/* The number of the control queue, as negotiated. */
unsigned net_control_queue(const struct virtio_net *card);
void net_control_work(struct virtio_net *card);

/* The offloads to the guest among a set of features or offloads. */
uint64_t net_guest_offloads(uint64_t features);
