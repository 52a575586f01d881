/*
 * A network back end: where a network card's frames go on the host.
 *
 * Both directions are calls by the front end (a device), straight from and into its own
 * buffers: net_send() takes one frame at once or not at all, net_receive() fills one frame in.
 * Neither blocks. When there is nothing to receive, or no room to send, the front end is
 * called back once things have changed.
 *
 * Each frame, in both directions, begins with a struct virtio_net_hdr_v1 of NET_HEADER_BYTES
 * (VIRTIO 1.2, 5.1.6), little-endian; an Ethernet frame without its checksum sequence follows.
 * A back end without the offloads of `struct net_info` sends a header of zeros (num_buffers
 * is the front end's to set) and is given one with flags and gso_type of zero.
 *
 * The guest's content is hostile: a back end checks what it uses of a header or frame.
 *
 * Threads: all functions on the loop's thread or while the loop does not run, with or without
 * the front end's lock; net_get_stats() on any. Callbacks come on the loop's thread.
 */
#pragma once

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

/* VIRTIO 1.2, 5.1.3 and 5.1.6: younger than the kernel headers that are common. */
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct net;

enum {
	NET_HEADER_BYTES = 12,
	NET_MAC_BYTES = 6,
	NET_MTU_DEFAULT = 1500,
	NET_MTU_MIN = 68,
	NET_MTU_MAX = 65521,
	/* The longest frame: 64 KiB of IP packet put together by TSO, Ethernet and VLAN headers. */
	NET_FRAME_BYTES_MAX = 65536 + 18,
	NET_FORWARDS_MAX = 64,
	NET_QUEUES_MAX = 8,
};

/* A port of the host that is passed on to the guest. */
struct net_forward {
	bool udp;
	char host_address[46]; /* numeric, IPv4 or IPv6 without brackets; empty: 127.0.0.1 */
	uint16_t host_port, guest_port;
};

enum net_kind {
	NET_USER,   /* libslirp: no root, no set-up */
	NET_TAP,    /* a TAP interface: by name, or a descriptor passed in */
	NET_SOCKET, /* frames over a UNIX stream socket, each behind its length in 32 bits,
		       big-endian: another VM, or passt */
	NET_NULL,   /* nobody: for machines on paper */
};

struct net_config {
	enum net_kind kind;
	const char *path; /* socket: its path. tap: the interface's name, or NULL with fd */
	int fd;		  /* tap: a descriptor passed in, taken over; else -1 */
	unsigned queues;  /* tap: pairs of queues, 1 to NET_QUEUES_MAX; others have one */
	unsigned mtu;	  /* bytes of IP packet; 0: tap: the interface's, others: the default */
	bool restricted; /* user: nothing gets out but to forwarded ports and the resolver's refusal */
	bool needed; /* user: without its library fail here, not when the guest's driver is ready */
	uint8_t mac[NET_MAC_BYTES]; /* user: the card's; ports forwarded over IPv6 lead to it */
	bool no_offloads;	    /* tap: without checksum and segmentation offloads */
	bool no_vhost;		    /* tap: info.vhost_fds stays NULL */
	const struct net_forward *forwards; /* user */
	unsigned forward_count;
};

/* What a back end can do; constant from net_open() on. */
struct net_info {
	const char *name; /* for people: "user", "tap0", "/run/x.sock" */
	unsigned queues;  /* pairs */
	unsigned mtu;
	/*
	 * Offloads as bits VIRTIO_NET_F_…: those from the guest (CSUM, HOST_TSO4, HOST_TSO6,
	 * HOST_ECN, HOST_UFO …) and to it (GUEST_CSUM, GUEST_TSO4 …).
	 */
	uint64_t offloads;
	/*
	 * tap: the descriptor of each pair, for the kernel's vhost-net to take over the data
	 * path; NULL where that can't be done.
	 */
	const int *vhost_fds;
};

/* The device's side. The struct is the device's memory and stays in place while attached. */
struct net_front {
	/* Frames may be waiting for this pair of queues: net_receive() until -EAGAIN. */
	void (*readable)(void *opaque, unsigned queue);
	/* There is room again after a net_send() that said -EAGAIN. */
	void (*writable)(void *opaque, unsigned queue);
	/* The carrier came or went (peer gone, interface down). */
	void (*link)(void *opaque, bool up);
	void *opaque;
	pthread_mutex_t *lock; /* taken round each of the above; may be NULL */
};

struct net_stats {
	uint64_t sent_frames, sent_bytes;	  /* guest to host, without headers */
	uint64_t received_frames, received_bytes; /* host to guest */
	uint64_t dropped_to_host;  /* link down, or the host side refused the frame */
	uint64_t dropped_to_guest; /* the guest took too long, or the frame was too long */
};

/*
 * Opens what `config` asks for. Error: -errno and a sentence of kind EXIT_CODE_DEVICE: the
 * host lacks it, forbids it, or a port is taken. `loop` is borrowed and outlives the back end.
 */
int net_open(struct net **net, const struct net_config *config, struct loop *loop, struct err *err);

/* Detached first. net_close(NULL) is legal. */
void net_close(struct net *net);

const struct net_info *net_info(const struct net *net);
void net_get_stats(struct net *net, struct net_stats *stats);

/*
 * One front end; NULL detaches. While none is attached, or the one attached does not
 * net_start(), frames to the guest are dropped by the host side as a cable unplugged would.
 */
void net_attach(struct net *net, struct net_front *front);

/*
 * The guest's driver is ready (or gone again): a back end that is costly to set up (libslirp)
 * does that now. It fails by link(false) and a line on stderr.
 */
void net_start(struct net *net);
void net_stop(struct net *net);

/* What the carrier is now; tells nothing before net_start(). */
bool net_link_is_up(const struct net *net);

/*
 * The offloads to the guest that its driver wants now, a part of info.offloads (the control
 * queue changes them at run time). 0 or -errno.
 */
int net_set_offloads(struct net *net, uint64_t offloads);

/* tap with several queues: how many pairs the driver uses from now on. 0 or -errno. */
int net_set_queues(struct net *net, unsigned pairs);

/*
 * tap: from now on (or no longer) the kernel moves the frames through vhost_fds: the back end
 * looks at none and calls neither readable() nor writable(). Until net_stop().
 */
void net_set_bypassed(struct net *net, bool bypassed);

/*
 * Sends one frame: header and Ethernet frame, spread as the caller likes. 0: taken, or dropped
 * and counted; -EAGAIN: no room, writable() tells when; -EINVAL: no frame the back end can send.
 */
int net_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);

/*
 * Receives one frame into the buffers: bytes written, header included. -EAGAIN: none is waiting,
 * readable() tells when. A frame longer than the buffers is dropped and counted, and the next
 * one taken. Room for NET_HEADER_BYTES + NET_FRAME_BYTES_MAX is always enough.
 */
ssize_t net_receive(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);

/*
 * Of the frame that net_receive() would give next: bytes with its header, 0 when there is
 * none. -ENOTSUP where the host does not tell before reading (tap).
 */
ssize_t net_next_bytes(struct net *net, unsigned queue);
