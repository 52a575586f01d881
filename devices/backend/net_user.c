/*
 * The user network: a TCP/IP stack in this process (net_slirp.h) that turns the guest's
 * connections into sockets of ours. No root, no set-up.
 *
 * The stack has a thread of its own. It walks all its sockets before each wait, and copies and
 * checksums each byte: on the device's loop that would stand in the way of disks and consoles. Two
 * rings of frames (net_ring.h) and an eventfd for each direction join the two threads; a signal is
 * sent only when the other side has nothing left to do, so under load there are next to none.
 *
 *	guest -> net_send() -> to_host  -> thread: the stack -> sockets
 *	guest <- net_receive() <- to_guest <- thread: the stack <- sockets
 *
 * Back-pressure: net_send() says -EAGAIN while to_host is full. The stack can't be refused a
 * frame, so while to_guest is more than half full nothing is taken from the guest or from
 * sockets; what it sends all the same (a window for each of many connections) is dropped when
 * the ring is full, and TCP sends it again.
 *
 * Nothing of this exists before the guest's driver is ready, but when ports are forwarded (a
 * taken one is an error before boot) or the network was asked for by name (so is a missing
 * library). Once made, the stack outlives resets of the guest.
 *
 * What the guest can do          limit                         enforced in       test
 * send faster than the stack     the ring's size, -EAGAIN      user_send()       user_pushes_back
 * take nothing                   half the ring, then no reads  take_turn()       user_keeps_room
 * frames too short or too long   dropped, counted              user_send()       user_takes_any_frame
 *
 * Threads: net.h's, and the stack's own: run() and what it calls. They share the rings and
 * the atomics.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/if_ether.h>

#include "devices/backend/net_impl.h"
#include "devices/backend/net_ring.h"
#include "devices/backend/net_slirp.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	TO_HOST_BYTES = 256 * 1024,
	TO_GUEST_BYTES = 1024 * 1024,
	LONG_FRAMES = 16,      /* of the longest there is room for so many at least */
	FRAMES_PER_TURN = 64,  /* before sockets are looked at again */
	LINK_HEADER_BYTES = 18 /* Ethernet with a VLAN tag */
};

struct net_user {
	struct net net;
	struct net_config config; /* with forwards of our own */
	struct net_forward *forwards;

	struct net_ring to_host, to_guest;
	int thread_wake;	  /* eventfd: frames in to_host, room in to_guest, stopping */
	struct loop_fd loop_wake; /* eventfd: frames in to_guest, room in to_host, failed */
	_Atomic bool room_due;	  /* loop_wake was written because of room */
	_Atomic bool failure_due;

	struct net_slirp *slirp; /* NULL before it is needed; the thread's once that runs */
	pthread_t thread;
	bool thread_runs;
	_Atomic bool started;  /* the guest's driver takes frames */
	_Atomic bool stopping; /* the thread shall end */
	_Atomic bool failed;   /* no carrier, for good */

	struct net_counters counters;
};

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is at its end, so it can be read. Nothing else can happen. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void clear_fd(int fd)
{
	uint64_t number;

	if (read(fd, &number, sizeof(number)) < 0)
		return;
}

/* ---- The stack's thread ---- */

static void deliver(void *opaque, const uint8_t *frame, size_t len)
{
	struct net_user *self = opaque;
	uint8_t *room = NULL;

	if (atomic_load_explicit(&self->started, memory_order_acquire))
		room = net_ring_room(&self->to_guest, len);
	if (!room) {
		net_count(&self->counters.dropped_to_guest, 1);
		return;
	}
	memcpy(room, frame, len);
	net_ring_put(&self->to_guest, len);
	if (net_ring_wakes(&self->to_guest.taker_waits))
		signal_fd(self->loop_wake.fd);
}

static bool is_half_empty(struct net_ring *ring)
{
	return net_ring_used(ring) <= ring->size / 2;
}

/* Room for what the stack may send in one turn; if there is none, word is left for user_receive(). */
static bool has_room(struct net_user *self)
{
	if (is_half_empty(&self->to_guest))
		return true;
	net_ring_wait(&self->to_guest.putter_waits);
	return is_half_empty(&self->to_guest);
}

/* Gives the stack frames of the guest; false when there are no more, and word is left. */
static bool take_frames(struct net_user *self)
{
	const uint8_t *frame;
	size_t len;

	for (int i = 0; i < FRAMES_PER_TURN; i++) {
		frame = net_ring_peek(&self->to_host, &len);
		if (!frame) {
			net_ring_wait(&self->to_host.taker_waits);
			frame = net_ring_peek(&self->to_host, &len);
		}
		if (!frame)
			return false;
		if (!net_slirp_input(self->slirp, frame, len))
			net_count(&self->counters.dropped_to_host, 1);
		net_ring_take(&self->to_host);
	}
	return true;
}

static void take_turn(struct net_user *self)
{
	bool has_more = false, room = has_room(self);

	if (room) {
		has_more = take_frames(self);
		if (is_half_empty(&self->to_host) && net_ring_wakes(&self->to_host.putter_waits)) {
			atomic_store_explicit(&self->room_due, true, memory_order_release);
			signal_fd(self->loop_wake.fd);
		}
	}
	if (net_slirp_wait(self->slirp, self->thread_wake, room, has_more))
		clear_fd(self->thread_wake);
}

static void *run(void *opaque)
{
	struct net_user *self = opaque;
	struct err err = ERR_INIT;

	pthread_setname_np(pthread_self(), "net-user");
	if (!self->slirp &&
		net_slirp_create(&self->slirp, &self->config, deliver, self, &err) < 0) {
		log_warn("%s; %s", err.text, err.hint);
		atomic_store(&self->failed, true);
		atomic_store(&self->failure_due, true);
		signal_fd(self->loop_wake.fd);
		return NULL;
	}
	while (!atomic_load_explicit(&self->stopping, memory_order_acquire))
		take_turn(self);
	return NULL;
}

/* ---- The loop's thread ---- */

static void handle_wake(void *opaque, uint32_t events)
{
	struct net_user *self = opaque;

	(void)events;
	clear_fd(self->loop_wake.fd);
	if (atomic_exchange(&self->failure_due, false))
		net_tell_link(&self->net, false);
	if (atomic_exchange_explicit(&self->room_due, false, memory_order_acq_rel))
		net_tell_writable(&self->net, 0);
	/*
	 * The frame may be taken already, by a net_receive() that came between it and its signal.
	 * Then the word that this signal used up is left again, or no later frame would be told of.
	 */
	if (!net_ring_used(&self->to_guest))
		net_ring_wait(&self->to_guest.taker_waits);
	if (net_ring_used(&self->to_guest))
		net_tell_readable(&self->net, 0);
}

/* Frames for a driver that is no more. */
static void drop_frames(struct net_user *self)
{
	size_t len;

	while (net_ring_peek(&self->to_guest, &len)) {
		net_ring_take(&self->to_guest);
		net_count(&self->counters.dropped_to_guest, 1);
	}
	net_ring_wait(&self->to_guest.taker_waits);
	if (net_ring_wakes(&self->to_guest.putter_waits))
		signal_fd(self->thread_wake);
}

static void user_start(struct net *net)
{
	struct net_user *self = (struct net_user *)net;
	int ret;

	drop_frames(self);
	atomic_store_explicit(&self->started, true, memory_order_release);
	if (self->thread_runs)
		return;
	ret = pthread_create(&self->thread, NULL, run, self);
	self->thread_runs = !ret;
	if (ret) {
		log_warn("the user network has no thread to run in: %s", strerror(ret));
		atomic_store(&self->failed, true);
	}
}

static void user_stop(struct net *net)
{
	struct net_user *self = (struct net_user *)net;

	atomic_store_explicit(&self->started, false, memory_order_release);
	drop_frames(self);
}

static bool user_link_is_up(const struct net *net)
{
	return !atomic_load(&((const struct net_user *)net)->failed);
}

/* Copies out of the buffers, from `skip` on. */
static void gather(uint8_t *to, const struct iovec *iov, unsigned iov_count, size_t skip)
{
	for (unsigned i = 0; i < iov_count; i++) {
		size_t from = MIN(skip, iov[i].iov_len), len = iov[i].iov_len - from;

		if (len)
			memcpy(to, (const uint8_t *)iov[i].iov_base + from, len);
		to += len;
		skip -= from;
	}
}

static int user_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct net_user *self = (struct net_user *)net;
	size_t len = net_iov_bytes(iov, iov_count);
	uint8_t *room;

	(void)queue;
	if (len < NET_HEADER_BYTES + ETH_HLEN)
		return -EINVAL;
	len -= NET_HEADER_BYTES;
	if (atomic_load(&self->failed) || len > self->config.mtu + LINK_HEADER_BYTES) {
		net_count(&self->counters.dropped_to_host, 1);
		return 0;
	}
	room = net_ring_room(&self->to_host, len);
	if (!room) {
		net_ring_wait(&self->to_host.putter_waits);
		room = net_ring_room(&self->to_host, len);
	}
	if (!room)
		return -EAGAIN;
	gather(room, iov, iov_count, NET_HEADER_BYTES);
	net_ring_put(&self->to_host, len);
	net_count_sent(&self->counters, len);
	if (net_ring_wakes(&self->to_host.taker_waits))
		signal_fd(self->thread_wake);
	return 0;
}

/* The next frame, or NULL, and then word is left that the loop waits for one. */
static const uint8_t *next_frame(struct net_user *self, size_t *len)
{
	const uint8_t *frame = net_ring_peek(&self->to_guest, len);

	if (frame)
		return frame;
	net_ring_wait(&self->to_guest.taker_waits);
	return net_ring_peek(&self->to_guest, len);
}

static void take_frame(struct net_user *self)
{
	net_ring_take(&self->to_guest);
	if (is_half_empty(&self->to_guest) && net_ring_wakes(&self->to_guest.putter_waits))
		signal_fd(self->thread_wake);
}

static ssize_t user_receive(
	struct net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct net_user *self = (struct net_user *)net;
	size_t room = net_iov_bytes(iov, iov_count), len;
	const uint8_t *frame;

	(void)queue;
	while ((frame = next_frame(self, &len))) {
		if (len + NET_HEADER_BYTES <= room) {
			net_scatter(iov, iov_count, frame, len);
			take_frame(self);
			net_count_received(&self->counters, len);
			return (ssize_t)(len + NET_HEADER_BYTES);
		}
		take_frame(self);
		net_count(&self->counters.dropped_to_guest, 1);
	}
	return -EAGAIN;
}

static ssize_t user_next_bytes(struct net *net, unsigned queue)
{
	size_t len;

	(void)queue;
	return next_frame((struct net_user *)net, &len) ? (ssize_t)(len + NET_HEADER_BYTES) : 0;
}

static void user_get_stats(struct net *net, struct net_stats *stats)
{
	net_counters_get(&((struct net_user *)net)->counters, stats);
}

static void user_close(struct net *net)
{
	struct net_user *self = (struct net_user *)net;

	if (self->thread_runs) {
		atomic_store_explicit(&self->stopping, true, memory_order_release);
		signal_fd(self->thread_wake);
		pthread_join(self->thread, NULL);
	}
	loop_fd_remove(&self->loop_wake);
	net_slirp_destroy(self->slirp);
	if (self->loop_wake.fd >= 0)
		close(self->loop_wake.fd);
	if (self->thread_wake >= 0)
		close(self->thread_wake);
	net_ring_finish(&self->to_host);
	net_ring_finish(&self->to_guest);
	free(self->forwards);
	free(self);
}

static const struct net_ops user_ops = {
	.start = user_start,
	.stop = user_stop,
	.link_is_up = user_link_is_up,
	.send = user_send,
	.receive = user_receive,
	.next_bytes = user_next_bytes,
	.get_stats = user_get_stats,
	.close = user_close,
};

/* ---- Opening ---- */

static size_t ring_bytes(unsigned mtu, size_t least)
{
	while (least < (size_t)LONG_FRAMES * mtu)
		least *= 2;
	return least;
}

static int copy_config(struct net_user *self, const struct net_config *config)
{
	self->config = *config;
	self->config.mtu = self->net.info.mtu;
	self->config.forwards = self->forwards =
		calloc(MAX(config->forward_count, 1u), sizeof(*self->forwards));
	if (!self->forwards)
		return -ENOMEM;
	for (unsigned i = 0; i < config->forward_count; i++)
		self->forwards[i] = config->forwards[i];
	return 0;
}

static int open_parts(struct net_user *self, const struct net_config *config, struct err *err)
{
	int ret = copy_config(self, config);

	if (ret >= 0)
		ret = net_ring_init(&self->to_host, ring_bytes(self->config.mtu, TO_HOST_BYTES));
	if (ret >= 0)
		ret = net_ring_init(&self->to_guest, ring_bytes(self->config.mtu, TO_GUEST_BYTES));
	if (ret < 0)
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "no memory for a network");
	self->to_guest.taker_waits = true;
	self->thread_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->loop_wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self->thread_wake < 0 || self->loop_wake.fd < 0)
		return err_set(
			err, EXIT_CODE_DEVICE, errno, "can't make an eventfd: %s", strerror(errno));
	ret = loop_fd_add(self->net.loop, &self->loop_wake);
	if (ret < 0)
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch an eventfd: %s",
			strerror(-ret));
	if (config->forward_count || config->needed)
		return net_slirp_create(&self->slirp, &self->config, deliver, self, err);
	return 0;
}

int net_user_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err)
{
	struct net_user *self = calloc(1, sizeof(*self));
	int ret;

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a network");
	self->net = (struct net){
		.ops = &user_ops,
		.info = {.name = "user",
			.queues = 1,
			.mtu = config->mtu ? config->mtu : NET_MTU_DEFAULT},
		.loop = loop,
	};
	self->thread_wake = -1;
	self->loop_wake =
		(struct loop_fd){.fd = -1, .events = EPOLLIN, .fn = handle_wake, .opaque = self};
	ret = open_parts(self, config, err);
	if (ret < 0) {
		user_close(&self->net);
		return ret;
	}
	*net = &self->net;
	return 0;
}
