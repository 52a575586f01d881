/*
 * The kernel's vhost-net: a thread of the kernel moves frames between a TAP interface and the
 * guest's rings, without us. One struct vhost serves one pair of queues.
 *
 * Threads: any, one at a time; broken() comes on the loop's.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/gmem.h"
#include "vmm/core/loop.h"

struct vhost;

/* Somebody's ring, as it is when the kernel begins with it. */
struct vhost_ring {
	unsigned size;
	const void *desc, *avail, *used; /* host addresses, in guest memory */
	uint16_t next; /* of the available ring, to be taken; nothing is in flight */
	int kick_fd;   /* borrowed, as the next one: eventfds */
	int interrupt_fd;
};

enum {
	VHOST_RINGS = 2 /* to the guest, from the guest */
};

struct vhost_client {
	void (*broken)(void *opaque); /* the kernel found a ring that breaks the rules */
	void *opaque;
	pthread_mutex_t *lock; /* taken round it */
};

/*
 * 0 or -errno: ENOENT without the driver, EACCES without permission. `mem` and `loop` are
 * borrowed and outlive it. vhost_net_close(NULL) is legal.
 */
int vhost_net_open(struct vhost **vhost, const struct gmem *mem, struct loop *loop,
	const struct vhost_client *client);
void vhost_net_close(struct vhost *vhost);

/* Of the features of VIRTIO that concern rings and headers, those that the kernel knows. */
uint64_t vhost_net_features(const struct vhost *vhost);

/* The kernel begins. `tap_fd` is borrowed. 0, or -errno and nothing has changed. */
int vhost_net_start(struct vhost *vhost, uint64_t features,
	const struct vhost_ring rings[VHOST_RINGS], int tap_fd);

/*
 * The kernel ends, with nothing in flight: next[] says where in each ring. Waits for what it is at,
 * never for the guest or the network.
 */
void vhost_net_stop(struct vhost *vhost, uint16_t next[VHOST_RINGS]);
