/*
 * A network back end in memory, for tests and fuzzers: frames are put in for the guest, and
 * those that the guest has sent are taken out. It can be full, refuse, and lose its carrier.
 *
 * It asserts what a front end promises: headers that are sane, buffers that are not empty,
 * calls while it is started only.
 *
 * Threads: the one that runs the loop.
 */
#pragma once

#include <linux/virtio_net.h>

#include "devices/backend/net_impl.h"

enum {
	FAKE_NET_FRAMES_MAX = 4096 /* waiting, in each direction of each queue */
};

struct fake_net_frame {
	struct fake_net_frame *next;
	size_t len; /* with its header */
	uint8_t bytes[];
};

struct fake_net_list {
	struct fake_net_frame *first, **end;
	unsigned count;
};

struct fake_net {
	struct net net; /* .info may be changed before a device is made */
	struct fake_net_list to_guest[NET_QUEUES_MAX], sent[NET_QUEUES_MAX];

	/* As set by a test. */
	unsigned room;	    /* frames that net_send() takes before it says -EAGAIN */
	int send_error;	    /* net_send() says -EINVAL or the like, while not 0 */
	int receive_error;  /* net_receive() fails with it, while not 0 */
	int settings_error; /* net_set_offloads() and net_set_queues() fail with it, while not 0 */
	bool carrier;

	/* As told by the front end. */
	bool started;
	unsigned starts, stops;
	uint64_t offloads;
	unsigned pairs;
	unsigned sends, receives; /* calls */
	unsigned truncated;	  /* frames that were longer than the buffers */
};

/* Carrier, one pair, endless room, MTU 1500, no offloads. Aborts without memory. */
struct fake_net *fake_net_create(struct loop *loop);

/* A frame of `len` bytes behind `header` (NULL: zeros) for the guest; tells nobody yet. */
void fake_net_put(struct fake_net *fake, unsigned queue, const struct virtio_net_hdr_v1 *header,
	const void *frame, size_t len);

/* The next frame that was sent, header included: its length, at most `size`; 0: none. */
size_t fake_net_take(struct fake_net *fake, unsigned queue, void *bytes, size_t size);

/* The oldest frame for the guest is lost. */
void fake_net_drop(struct fake_net *fake, unsigned queue);

/* Calls the front end. */
void fake_net_tell_readable(struct fake_net *fake, unsigned queue);
void fake_net_make_room(struct fake_net *fake, unsigned queue, unsigned frames);
void fake_net_set_carrier(struct fake_net *fake, bool up);
