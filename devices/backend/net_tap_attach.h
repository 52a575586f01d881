/*
 * Getting hold of a TAP interface: by its name, which may make it, or as a descriptor that was
 * passed in; and a sentence for each way in which that can fail. For net_tap.c only.
 *
 * Threads: one at a time.
 */
#pragma once

#include <net/if.h>

#include "devices/backend/net.h"
#include "vmm/base/err.h"

struct net_tap_interface {
	char name[IFNAMSIZ];
	int fds[NET_QUEUES_MAX]; /* one for each pair of queues; -1: none. Owned by net_tap.c */
	int control;		 /* a socket for ioctls; the same */
};

/* An ioctl about the interface, on `fd`; the name is filled in. 0 or -errno. */
int net_tap_ask(
	const struct net_tap_interface *self, int fd, unsigned long request, struct ifreq *ifr);

/*
 * Fills in the name and `queues` descriptors, also some of them when it fails. An interface that is
 * made here is set up. -errno and a sentence of kind EXIT_CODE_DEVICE.
 */
int net_tap_attach(
	struct net_tap_interface *self, const char *name, unsigned queues, struct err *err);

/* The same for a descriptor, which is taken over if that succeeds. */
int net_tap_adopt(struct net_tap_interface *self, int fd, struct err *err);
