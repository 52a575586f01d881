/*
 * What a network back end is made of; for the files net*.c only.
 *
 * A back end embeds struct net, fills in info, and gives operations. It calls the front end
 * through the functions below, which take its lock; they are legal when there is none.
 */
#pragma once

#include <stdatomic.h>

#include "devices/backend/net.h"

/* Each as the function of net.h. One that is NULL does nothing, with the result said here. */
struct net_ops {
	void (*start)(struct net *net);
	void (*stop)(struct net *net);
	bool (*link_is_up)(const struct net *net);		 /* true */
	int (*set_offloads)(struct net *net, uint64_t offloads); /* 0 */
	int (*set_queues)(struct net *net, unsigned pairs);	 /* 0 for one pair */
	void (*set_bypassed)(struct net *net, bool bypassed);
	int (*send)(struct net *net, unsigned queue, const struct iovec *iov, unsigned count);
	ssize_t (*receive)(
		struct net *net, unsigned queue, const struct iovec *iov, unsigned count);
	ssize_t (*next_bytes)(struct net *net, unsigned queue); /* -ENOTSUP */
	void (*get_stats)(struct net *net, struct net_stats *stats);
	void (*close)(struct net *net); /* frees it */
};

struct net {
	const struct net_ops *ops;
	struct net_info info;
	struct net_front *front; /* borrowed, NULL while detached */
	struct loop *loop;	 /* borrowed */
};

/* What a back end counts, on whatever thread. */
struct net_counters {
	_Atomic uint64_t sent_frames, sent_bytes, received_frames, received_bytes;
	_Atomic uint64_t dropped_to_host, dropped_to_guest;
};

void net_count(_Atomic uint64_t *counter, uint64_t n);
void net_count_sent(struct net_counters *counters, size_t frame_bytes);
void net_count_received(struct net_counters *counters, size_t frame_bytes);
void net_counters_get(struct net_counters *counters, struct net_stats *stats);

/* Bytes in all of the buffers. */
size_t net_iov_bytes(const struct iovec *iov, unsigned count);

/* A header of zeros, then the frame, into buffers that have room for both. */
void net_scatter(const struct iovec *iov, unsigned count, const uint8_t *frame, size_t len);

/* On the loop's thread, not inside one of the operations. */
void net_tell_readable(struct net *net, unsigned queue);
void net_tell_writable(struct net *net, unsigned queue);
void net_tell_link(struct net *net, bool up);

/* The implementations' open functions, as net_open(). */
int net_user_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err);
int net_socket_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err);
int net_tap_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err);
int net_null_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err);
