/*
 * A TAP interface of the host: the guest's card and the host's interface are the two ends of one
 * cable. Frames go straight between the guest's memory
 * and the kernel, with the virtio header in front (IFF_VNET_HDR), so that checksums and
 * segmentation can be left to whoever is able to.
 *
 * An interface that is there is used as it is; one that is not is made and set up, where that is
 * allowed, and vanishes with us. While the guest's driver is not ready the host sees no carrier;
 * when the host's interface is set down the guest sees none.
 *
 * Sources: the kernel's Documentation/networking/tuntap.rst, VIRTIO 1.2, 5.1.6.
 *
 * What the guest can send         limit                          enforced in
 * headers that make no sense      EINVAL                         the kernel's tun driver
 * frames while the interface is   dropped, counted               tap_send()
 * down, or faster than the host
 *
 * Threads: net.h's.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/net_impl.h"
#include "devices/backend/net_tap_attach.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	PARTS_MAX = 1023,
	STALE_FRAMES_MAX = 1024, /* more than an interface's queue has */
	MESSAGES_MAX = 64,	 /* of netlink, in one go */
};

/* Told once of each frame: a guest that has no buffers for it costs nothing. */
#define RECEIVE_EVENTS (EPOLLIN | EPOLLET)

#define BIT(feature) (UINT64_C(1) << (feature))

struct tap_queue {
	struct net_tap *tap;
	unsigned index;
	struct loop_fd watch;
};

struct net_tap {
	struct net net;
	struct net_tap_interface tap;
	struct tap_queue queues[NET_QUEUES_MAX];
	unsigned pairs; /* in use; net.info.queues there are */
	bool started;
	bool is_bypassed; /* by vhost-net: nothing is watched */
	bool is_up;	  /* the interface */
	bool is_gone;	  /* it was removed; and that was said */
	bool is_told_gone;
	bool is_foreign; /* in another network namespace, where it can't be watched */
	struct loop_fd link_watch;

	struct net_counters counters;
};

/* ---- The interface, as the host sees it ---- */

/* The interface may have been renamed. */
static void refresh_name(struct net_tap *self)
{
	struct ifreq ifr = {.ifr_flags = 0};

	if (ioctl(self->tap.fds[0], TUNGETIFF, &ifr) == 0)
		memcpy(self->tap.name, ifr.ifr_name, sizeof(self->tap.name));
	else if (errno == EBADFD)
		self->is_gone = true;
}

static bool read_is_up(struct net_tap *self)
{
	struct ifreq ifr = {.ifr_flags = 0};

	refresh_name(self);
	if (self->is_gone || self->is_foreign)
		return !self->is_gone;
	return net_tap_ask(&self->tap, self->tap.control, SIOCGIFFLAGS, &ifr) == 0 &&
		ifr.ifr_flags & IFF_UP;
}

/* A descriptor can belong to an interface of another namespace; there may be one of its name here. */
static bool find_out_foreign(struct net_tap *self)
{
	struct ifreq there = {.ifr_flags = 0}, here = {.ifr_flags = 0};

	return net_tap_ask(&self->tap, self->tap.fds[0], SIOCGIFHWADDR, &there) < 0 ||
		net_tap_ask(&self->tap, self->tap.control, SIOCGIFHWADDR, &here) < 0 ||
		memcmp(there.ifr_hwaddr.sa_data, here.ifr_hwaddr.sa_data, NET_MAC_BYTES) != 0;
}

static void check_link(struct net_tap *self)
{
	bool is_up = read_is_up(self);

	if (self->is_gone && !self->is_told_gone) {
		self->is_told_gone = true;
		log_warn("net %s: the interface was removed; the guest has no carrier any more",
			self->tap.name);
	}
	if (is_up == self->is_up)
		return;
	self->is_up = is_up;
	net_tell_link(&self->net, is_up);
}

/* The kernel tells of some interface; whose and what does not matter. */
static void handle_link(void *opaque, uint32_t events)
{
	struct net_tap *self = opaque;
	char message[8192];

	(void)events;
	for (int i = 0; i < MESSAGES_MAX; i++)
		if (recv(self->link_watch.fd, message, sizeof(message), MSG_DONTWAIT) < 0 &&
			errno != ENOBUFS)
			break;
	check_link(self);
}

/* What the host sees as the cable; only kernels before 5.0 can't be told. */
static void set_carrier(const struct net_tap *self, int on)
{
	if (ioctl(self->tap.fds[0], TUNSETCARRIER, &on) < 0)
		log_debug("net %s: TUNSETCARRIER: %s", self->tap.name, strerror(errno));
}

/* ---- Frames ---- */

static void handle_queue(void *opaque, uint32_t events)
{
	struct tap_queue *queue = opaque;
	struct net_tap *self = queue->tap;

	if (events & EPOLLOUT) {
		loop_fd_set_events(&queue->watch, RECEIVE_EVENTS);
		net_tell_writable(&self->net, queue->index);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		net_tell_readable(&self->net, queue->index);
	/* Found while reading, which must not call back. */
	if (self->is_gone)
		check_link(self);
}

/* Watches the queues in use, or none. */
static void update_watches(struct net_tap *self)
{
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		struct loop_fd *watch = &self->queues[i].watch;
		bool wanted = self->started && !self->is_bypassed && i < self->pairs;
		int ret = 0;

		if (!wanted) {
			loop_fd_remove(watch);
		} else if (!watch->loop) {
			watch->events = RECEIVE_EVENTS;
			ret = loop_fd_add(self->net.loop, watch);
		}
		if (ret < 0)
			log_warn("net %s: can't watch it: %s", self->tap.name, strerror(-ret));
	}
}

static int tap_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct net_tap *self = (struct net_tap *)net;
	ssize_t n = writev(self->tap.fds[queue], iov, (int)iov_count);

	if (n >= 0) {
		net_count_sent(&self->counters, (size_t)n - NET_HEADER_BYTES);
		return 0;
	}
	switch (errno) {
	case EAGAIN:
		if (self->started)
			loop_fd_set_events(&self->queues[queue].watch, RECEIVE_EVENTS | EPOLLOUT);
		return -EAGAIN;
	case EINVAL:
	case EFAULT:
		return -EINVAL;
	case EBADFD:
		self->is_gone = true;
		break;
	}
	/* EIO: the interface is down. */
	net_count(&self->counters.dropped_to_host, 1);
	return 0;
}

/* One frame, or -errno; its length is more than `room` when it was cut. */
static ssize_t read_frame(
	const struct net_tap *self, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct iovec parts[PARTS_MAX + 1];
	uint8_t overflow;
	ssize_t n;

	/* One byte more than the caller has room for tells a frame that fits from one that is cut. */
	memcpy(parts, iov, iov_count * sizeof(*iov));
	parts[iov_count] = (struct iovec){&overflow, 1};
	n = readv(self->tap.fds[queue], parts, (int)iov_count + 1);
	return n < 0 ? -errno : n;
}

static ssize_t tap_receive(
	struct net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct net_tap *self = (struct net_tap *)net;
	size_t room = net_iov_bytes(iov, iov_count);
	ssize_t n;

	if (iov_count > PARTS_MAX)
		return -EAGAIN;
	while ((n = read_frame(self, queue, iov, iov_count)) > (ssize_t)room)
		net_count(&self->counters.dropped_to_guest, 1);
	if (n == -EBADFD)
		self->is_gone = true;
	if (n < NET_HEADER_BYTES)
		return -EAGAIN;
	net_count_received(&self->counters, (size_t)n - NET_HEADER_BYTES);
	return n;
}

static void drop_stale(struct net_tap *self)
{
	uint8_t byte;
	struct iovec iov = {&byte, 0};

	for (unsigned q = 0; q < self->pairs; q++)
		for (int i = 0; i < STALE_FRAMES_MAX && read_frame(self, q, &iov, 1) >= 0; i++)
			net_count(&self->counters.dropped_to_guest, 1);
}

/* ---- What the guest's driver asks for ---- */

static void tap_start(struct net *net)
{
	struct net_tap *self = (struct net_tap *)net;

	drop_stale(self);
	self->started = true;
	self->is_bypassed = false;
	update_watches(self);
	set_carrier(self, 1);
}

static void tap_stop(struct net *net)
{
	struct net_tap *self = (struct net_tap *)net;

	set_carrier(self, 0);
	self->started = false;
	update_watches(self);
}

static void tap_set_bypassed(struct net *net, bool bypassed)
{
	struct net_tap *self = (struct net_tap *)net;

	self->is_bypassed = bypassed;
	update_watches(self);
}

static bool tap_link_is_up(const struct net *net)
{
	return ((const struct net_tap *)net)->is_up;
}

static int set_offloads(int fd, uint64_t offloads)
{
	unsigned long flags = 0;

	if (offloads & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		flags = TUN_F_CSUM;
		flags |= offloads & BIT(VIRTIO_NET_F_GUEST_TSO4) ? TUN_F_TSO4 : 0;
		flags |= offloads & BIT(VIRTIO_NET_F_GUEST_TSO6) ? TUN_F_TSO6 : 0;
		/* The kernel takes ECN only together with TSO. */
		if (flags & (TUN_F_TSO4 | TUN_F_TSO6) && offloads & BIT(VIRTIO_NET_F_GUEST_ECN))
			flags |= TUN_F_TSO_ECN;
	}
	return ioctl(fd, TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

static int tap_set_offloads(struct net *net, uint64_t offloads)
{
	return set_offloads(((struct net_tap *)net)->tap.fds[0], offloads);
}

/* The host spreads its frames over the queues that are attached. */
static int attach_queue(const struct net_tap *self, unsigned queue, bool attach)
{
	struct ifreq ifr = {.ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	return net_tap_ask(&self->tap, self->tap.fds[queue], TUNSETQUEUE, &ifr);
}

static int tap_set_queues(struct net *net, unsigned pairs)
{
	struct net_tap *self = (struct net_tap *)net;
	int ret = 0;

	while (ret >= 0 && self->pairs != pairs) {
		bool more = self->pairs < pairs;
		unsigned queue = more ? self->pairs : self->pairs - 1;

		ret = attach_queue(self, queue, more);
		if (ret >= 0)
			self->pairs = more ? queue + 1 : queue;
	}
	update_watches(self);
	return ret;
}

static void tap_get_stats(struct net *net, struct net_stats *stats)
{
	net_counters_get(&((struct net_tap *)net)->counters, stats);
}

static void tap_close(struct net *net)
{
	struct net_tap *self = (struct net_tap *)net;

	loop_fd_remove(&self->link_watch);
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		loop_fd_remove(&self->queues[i].watch);
		if (self->tap.fds[i] >= 0)
			close(self->tap.fds[i]);
	}
	if (self->link_watch.fd >= 0)
		close(self->link_watch.fd);
	if (self->tap.control >= 0)
		close(self->tap.control);
	free(self);
}

static const struct net_ops tap_ops = {
	.start = tap_start,
	.stop = tap_stop,
	.link_is_up = tap_link_is_up,
	.set_offloads = tap_set_offloads,
	.set_queues = tap_set_queues,
	.set_bypassed = tap_set_bypassed,
	.send = tap_send,
	.receive = tap_receive,
	.get_stats = tap_get_stats,
	.close = tap_close,
};

/* ---- Opening ---- */

static int set_header(const struct net_tap *self, struct err *err)
{
	const int bytes = NET_HEADER_BYTES;

	for (unsigned i = 0; i < self->net.info.queues; i++)
		if (ioctl(self->tap.fds[i], TUNSETVNETHDRSZ, &bytes) < 0)
			return err_set(err, EXIT_CODE_DEVICE, errno,
				"the TAP interface %s can't have virtio headers: %s",
				self->tap.name, strerror(errno));
	return 0;
}

static uint64_t find_offloads(const struct net_tap *self, const struct net_config *config)
{
	const uint64_t to_guest = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
		BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN);
	const uint64_t from_guest = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
		BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN);
	bool can = !config->no_offloads && set_offloads(self->tap.fds[0], to_guest) == 0;

	/* None until the driver wants them. */
	if (set_offloads(self->tap.fds[0], 0) < 0)
		log_debug("net %s: TUNSETOFFLOAD: %s", self->tap.name, strerror(errno));
	return can ? to_guest | from_guest : 0;
}

static unsigned find_mtu(const struct net_tap *self, const struct net_config *config)
{
	struct ifreq ifr = {.ifr_flags = 0};

	if (config->mtu)
		return config->mtu;
	if (!self->is_foreign &&
		net_tap_ask(&self->tap, self->tap.control, SIOCGIFMTU, &ifr) == 0 &&
		ifr.ifr_mtu >= NET_MTU_MIN && ifr.ifr_mtu <= NET_MTU_MAX)
		return (unsigned)ifr.ifr_mtu;
	return NET_MTU_DEFAULT;
}

static int watch_link(struct net_tap *self, struct err *err)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE), ret;

	self->link_watch.fd = fd;
	ret = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0
		? -errno
		: loop_fd_add(self->net.loop, &self->link_watch);
	return ret < 0
		? err_set(err, EXIT_CODE_DEVICE, -ret, "can't watch the TAP interface %s: %s",
			  self->tap.name, strerror(-ret))
		: 0;
}

/* One pair is in use until the driver asks for more. */
static int detach_others(struct net_tap *self, struct err *err)
{
	int ret = 0;

	self->pairs = self->net.info.queues;
	if (self->pairs > 1)
		ret = tap_set_queues(&self->net, 1);
	return ret < 0 ? err_set(err, EXIT_CODE_DEVICE, -ret,
				 "can't set queues of the TAP interface %s: %s", self->tap.name,
				 strerror(-ret))
		       : 0;
}

static int open_parts(struct net_tap *self, const struct net_config *config, struct err *err)
{
	int ret;

	self->tap.control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (self->tap.control < 0)
		return err_set(
			err, EXIT_CODE_DEVICE, errno, "can't make a socket: %s", strerror(errno));
	ret = config->path ? net_tap_attach(&self->tap, config->path, config->queues, err)
			   : net_tap_adopt(&self->tap, config->fd, err);
	for (unsigned i = 0; ret >= 0 && i < self->net.info.queues; i++)
		self->queues[i].watch.fd = self->tap.fds[i];
	if (ret >= 0)
		ret = set_header(self, err);
	if (ret >= 0)
		ret = detach_others(self, err);
	if (ret < 0)
		return ret;
	self->is_foreign = find_out_foreign(self);
	self->net.info.mtu = find_mtu(self, config);
	self->net.info.offloads = find_offloads(self, config);
	self->net.info.vhost_fds = config->no_vhost ? NULL : self->tap.fds;
	set_carrier(self, 0);
	ret = self->is_foreign ? 0 : watch_link(self, err);
	self->is_up = read_is_up(self);
	if (!self->is_up)
		log_warn("the TAP interface %s is down, so the guest has no carrier; as root: "
			 "ip link set %s up",
			self->tap.name, self->tap.name);
	return ret;
}

int net_tap_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err)
{
	struct net_tap *self = calloc(1, sizeof(*self));
	int ret;

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a network");
	self->net = (struct net){
		.ops = &tap_ops,
		.info = {.name = self->tap.name, .queues = config->queues},
		.loop = loop,
	};
	self->tap.control = -1;
	self->link_watch =
		(struct loop_fd){.fd = -1, .events = EPOLLIN, .fn = handle_link, .opaque = self};
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		self->tap.fds[i] = -1;
		self->queues[i] = (struct tap_queue){.tap = self, .index = i};
		self->queues[i].watch =
			(struct loop_fd){.fd = -1, .fn = handle_queue, .opaque = &self->queues[i]};
	}
	ret = open_parts(self, config, err);
	if (ret < 0) {
		tap_close(&self->net);
		return ret;
	}
	*net = &self->net;
	return 0;
}
