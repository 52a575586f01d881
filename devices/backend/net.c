/*
 * What all network back ends share: the choice of one, and the way to its operations and to
 * the front end. Knows nothing of files, sockets or the guest.
 *
 * Threads: as net.h says.
 */
#include "devices/backend/net.h"

#include <errno.h>
#include <string.h>

#include "devices/backend/net_impl.h"
#include "vmm/base/util.h"

int net_open(struct net **net, const struct net_config *config, struct loop *loop, struct err *err)
{
	switch (config->kind) {
	case NET_USER:
		return net_user_open(net, config, loop, err);
	case NET_SOCKET:
		return net_socket_open(net, config, loop, err);
	case NET_TAP:
		return net_tap_open(net, config, loop, err);
	case NET_NULL:
		return net_null_open(net, config, loop, err);
	}
	ASSERT(!"a kind of network that there is not");
	return -EINVAL;
}

void net_close(struct net *net)
{
	if (net)
		net->ops->close(net);
}

const struct net_info *net_info(const struct net *net)
{
	return &net->info;
}

void net_get_stats(struct net *net, struct net_stats *stats)
{
	net->ops->get_stats(net, stats);
}

void net_attach(struct net *net, struct net_front *front)
{
	ASSERT(!front || !net->front);
	net->front = front;
}

void net_start(struct net *net)
{
	if (net->ops->start)
		net->ops->start(net);
}

void net_stop(struct net *net)
{
	if (net->ops->stop)
		net->ops->stop(net);
}

bool net_link_is_up(const struct net *net)
{
	return net->ops->link_is_up ? net->ops->link_is_up(net) : true;
}

int net_set_offloads(struct net *net, uint64_t offloads)
{
	ASSERT(!(offloads & ~net->info.offloads));
	return net->ops->set_offloads ? net->ops->set_offloads(net, offloads) : 0;
}

int net_set_queues(struct net *net, unsigned pairs)
{
	ASSERT(pairs && pairs <= net->info.queues);
	return net->ops->set_queues ? net->ops->set_queues(net, pairs) : 0;
}

void net_set_bypassed(struct net *net, bool bypassed)
{
	if (net->ops->set_bypassed)
		net->ops->set_bypassed(net, bypassed);
}

int net_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
	return net->ops->send(net, queue, iov, count);
}

ssize_t net_receive(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
	return net->ops->receive(net, queue, iov, count);
}

ssize_t net_next_bytes(struct net *net, unsigned queue)
{
	return net->ops->next_bytes ? net->ops->next_bytes(net, queue) : -ENOTSUP;
}

/* ---- To the front end ---- */

static void lock_if(pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_lock(lock);
}

static void unlock_if(pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_unlock(lock);
}

void net_tell_readable(struct net *net, unsigned queue)
{
	const struct net_front *front = net->front;

	if (!front)
		return;
	lock_if(front->lock);
	front->readable(front->opaque, queue);
	unlock_if(front->lock);
}

void net_tell_writable(struct net *net, unsigned queue)
{
	const struct net_front *front = net->front;

	if (!front)
		return;
	lock_if(front->lock);
	front->writable(front->opaque, queue);
	unlock_if(front->lock);
}

void net_tell_link(struct net *net, bool up)
{
	const struct net_front *front = net->front;

	if (!front)
		return;
	lock_if(front->lock);
	front->link(front->opaque, up);
	unlock_if(front->lock);
}

/* ---- For the back ends ---- */

void net_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void net_count_sent(struct net_counters *counters, size_t frame_bytes)
{
	net_count(&counters->sent_frames, 1);
	net_count(&counters->sent_bytes, frame_bytes);
}

void net_count_received(struct net_counters *counters, size_t frame_bytes)
{
	net_count(&counters->received_frames, 1);
	net_count(&counters->received_bytes, frame_bytes);
}

void net_counters_get(struct net_counters *counters, struct net_stats *stats)
{
	*stats = (struct net_stats){
		.sent_frames = atomic_load(&counters->sent_frames),
		.sent_bytes = atomic_load(&counters->sent_bytes),
		.received_frames = atomic_load(&counters->received_frames),
		.received_bytes = atomic_load(&counters->received_bytes),
		.dropped_to_host = atomic_load(&counters->dropped_to_host),
		.dropped_to_guest = atomic_load(&counters->dropped_to_guest),
	};
}

size_t net_iov_bytes(const struct iovec *iov, unsigned count)
{
	size_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += iov[i].iov_len;
	return sum;
}

void net_scatter(const struct iovec *iov, unsigned count, const uint8_t *frame, size_t len)
{
	size_t zeros = NET_HEADER_BYTES;

	for (unsigned i = 0; i < count && zeros + len; i++) {
		uint8_t *to = iov[i].iov_base;
		size_t room = iov[i].iov_len, part = MIN(zeros, room);

		memset(to, 0, part);
		zeros -= part;
		to += part;
		part = MIN(len, room - part);
		memcpy(to, frame, part);
		frame += part;
		len -= part;
	}
}
