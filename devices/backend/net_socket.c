/*
 * A cable made of a UNIX stream socket: frames, each behind its length (net_stream.h). Joins two
 * machines on one host without root; passt listens on such a socket as well.
 *
 * Who finds nobody listening at the path listens there; who finds somebody connects. When the
 * other side goes the carrier goes down: the listener waits for the next one, and who had
 * connected tries again once a second. A listener has one peer; others are hung up on.
 *
 * Who may connect, and what happens to a left-over socket file: unix_listen.h. Two machines that
 * start at once take turns by a lock on the folder, so that neither removes the other's socket.
 *
 * A peer that does not read: PENDING bytes are kept for it; then the guest is asked to wait, up
 * to STALL_NS, and after that its frames are dropped and counted until the peer reads again.
 *
 * What the other side can send      limit                       enforced in        test
 * impossible lengths                it is cut off               lose_peer()         socket_cuts_off_a_liar
 * frames without end                half a buffer, then no      update_watch()     socket_keeps_what_is_sent
 *                                   more is read
 *
 * Threads: net.h's.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/backend/net_impl.h"
#include "devices/backend/net_stream.h"
#include "devices/backend/unix_listen.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	PENDING_BYTES = 256 * 1024,
	PARTS_MAX = 64, /* of a frame that is sent without a copy */
	OPEN_TRIES = 20,
	BACKLOG = 4,
};

#define RETRY_NS      UINT64_C(1000000000)
#define STALL_NS      UINT64_C(1000000000)
#define OPEN_PAUSE_US 50000

struct net_socket {
	struct net net;
	struct unix_listen socket;
	bool listens;
	struct loop_fd listener;
	struct loop_fd peer;	 /* fd -1: no carrier */
	struct loop_timer timer; /* to connect, or to accept, again */
	struct loop_timer stall_timer;
	struct loop_task gone_task; /* the peer was found gone inside an operation */
	bool started;

	struct net_stream in;
	uint8_t *pending; /* for the peer; sent from `pending_start` on */
	size_t pending_start, pending_end;
	uint64_t full_since_ns; /* 0: not full */
	bool wants_room;	/* the front end was told -EAGAIN */
	struct log_limit complaints;

	struct net_counters counters;
};

/* ---- The peer ---- */

static void update_watch(struct net_socket *self)
{
	bool sends = self->pending_end > self->pending_start;

	if (self->peer.fd >= 0)
		loop_fd_set_events(&self->peer,
			(net_stream_is_full(&self->in) ? 0 : EPOLLIN) | (sends ? EPOLLOUT : 0));
}

static void close_peer(struct net_socket *self)
{
	if (self->peer.fd < 0)
		return;
	loop_fd_remove(&self->peer);
	close(self->peer.fd);
	self->peer.fd = -1;
	net_stream_clear(&self->in);
	self->pending_start = self->pending_end = 0;
	self->full_since_ns = 0;
	loop_timer_cancel(&self->stall_timer);
	loop_unpost(self->net.loop, &self->gone_task);
}

static void tell_room(struct net_socket *self)
{
	if (!self->wants_room)
		return;
	self->wants_room = false;
	net_tell_writable(&self->net, 0);
}

static void lose_peer(void *opaque)
{
	struct net_socket *self = opaque;

	if (self->peer.fd < 0)
		return;
	if (self->in.is_broken)
		log_guest(&self->complaints, "net",
			"what is at the other end of %s sends lengths that no frame has; hanging "
			"up",
			self->socket.address.sun_path);
	else
		log_info("net %s: the other side is gone", self->socket.address.sun_path);
	close_peer(self);
	if (!self->listens)
		loop_timer_arm(self->net.loop, &self->timer, RETRY_NS);
	net_tell_link(&self->net, false);
	tell_room(self);
}

/* Inside an operation no callback may be made: soon. */
static void lose_peer_soon(struct net_socket *self)
{
	loop_post(self->net.loop, &self->gone_task);
}

static void handle_peer(void *opaque, uint32_t events);

/* Takes the descriptor over. */
static int join_peer(struct net_socket *self, int fd)
{
	int ret;

	self->peer =
		(struct loop_fd){.fd = fd, .events = EPOLLIN, .fn = handle_peer, .opaque = self};
	ret = loop_fd_add(self->net.loop, &self->peer);
	if (ret < 0) {
		close(fd);
		self->peer.fd = -1;
	}
	return ret;
}

/* ---- Sending ---- */

/* 0: more can be tried; -EAGAIN: the socket is full; -EPIPE: it is gone. */
static int send_pending(struct net_socket *self)
{
	while (self->pending_end > self->pending_start) {
		ssize_t n = send(self->peer.fd, self->pending + self->pending_start,
			self->pending_end - self->pending_start, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
		self->pending_start += (size_t)n;
		self->full_since_ns = 0;
	}
	self->pending_start = self->pending_end = 0;
	return 0;
}

/* Keeps what is left of the frame behind its first `skip` bytes. There is room. */
static void keep(struct net_socket *self, const struct iovec *iov, unsigned parts, size_t skip)
{
	for (unsigned i = 0; i < parts; i++) {
		size_t from = MIN(skip, iov[i].iov_len), len = iov[i].iov_len - from;

		if (len)
			memcpy(self->pending + self->pending_end,
				(const uint8_t *)iov[i].iov_base + from, len);
		self->pending_end += len;
		skip -= from;
	}
}

static bool has_room(struct net_socket *self, size_t len)
{
	size_t used = self->pending_end - self->pending_start;

	if (PENDING_BYTES - self->pending_end < len && PENDING_BYTES - used >= len) {
		memmove(self->pending, self->pending + self->pending_start, used);
		self->pending_start = 0;
		self->pending_end = used;
	}
	return PENDING_BYTES - self->pending_end >= len;
}

/* The peer does not read. It gets a while; then it is as if its cable were cut. */
static int wait_or_drop(struct net_socket *self)
{
	uint64_t now_ns = util_now_ns();

	if (!self->full_since_ns)
		self->full_since_ns = now_ns;
	if (now_ns - self->full_since_ns >= STALL_NS) {
		net_count(&self->counters.dropped_to_host, 1);
		return 0;
	}
	self->wants_room = true;
	loop_timer_arm(self->net.loop, &self->stall_timer, self->full_since_ns + STALL_NS - now_ns);
	return -EAGAIN;
}

static void handle_stall(void *opaque)
{
	tell_room(opaque);
}

/* The length, then the frame without its virtio header. Returns the number of parts. */
static unsigned make_parts(struct iovec *parts, uint8_t *length, size_t len,
	const struct iovec *iov, unsigned iov_count)
{
	size_t skip = NET_HEADER_BYTES;
	unsigned n = 1;

	length[0] = (uint8_t)(len >> 24);
	length[1] = (uint8_t)(len >> 16);
	length[2] = (uint8_t)(len >> 8);
	length[3] = (uint8_t)len;
	parts[0] = (struct iovec){length, NET_STREAM_LENGTH_BYTES};
	for (unsigned i = 0; i < iov_count; i++) {
		size_t from = MIN(skip, iov[i].iov_len);

		skip -= from;
		if (iov[i].iov_len > from)
			parts[n++] = (struct iovec){
				(uint8_t *)iov[i].iov_base + from, iov[i].iov_len - from};
	}
	return n;
}

/* With nothing pending: straight from the guest's memory. */
static int send_parts(struct net_socket *self, struct iovec *parts, unsigned n)
{
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = n};
	ssize_t sent = sendmsg(self->peer.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		lose_peer_soon(self);
		return -EPIPE;
	}
	keep(self, parts, n, sent > 0 ? (size_t)sent : 0);
	return 0;
}

static int socket_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct net_socket *self = (struct net_socket *)net;
	struct iovec parts[PARTS_MAX + 1];
	uint8_t length[NET_STREAM_LENGTH_BYTES];
	size_t len = net_iov_bytes(iov, iov_count);
	unsigned n;

	(void)queue;
	if (len < NET_HEADER_BYTES + ETH_HLEN || iov_count > PARTS_MAX)
		return -EINVAL;
	len -= NET_HEADER_BYTES;
	if (self->peer.fd < 0 || len > NET_FRAME_BYTES_MAX) {
		net_count(&self->counters.dropped_to_host, 1);
		return 0;
	}
	if (!has_room(self, len + NET_STREAM_LENGTH_BYTES))
		return wait_or_drop(self);
	n = make_parts(parts, length, len, iov, iov_count);
	if (self->pending_end > self->pending_start)
		keep(self, parts, n, 0);
	else if (send_parts(self, parts, n) < 0) {
		net_count(&self->counters.dropped_to_host, 1);
		return 0;
	}
	update_watch(self);
	net_count_sent(&self->counters, len);
	return 0;
}

/* ---- Receiving ---- */

/* Reads what fits: > 0, 0 when there is nothing now, -EPIPE when the peer is gone. */
static int read_some(struct net_socket *self)
{
	size_t room;
	uint8_t *to = net_stream_room(&self->in, &room);
	ssize_t n = room ? recv(self->peer.fd, to, room, MSG_DONTWAIT) : -1;

	if (!room || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return 0;
	if (n <= 0)
		return -EPIPE;
	net_stream_fill(&self->in, (size_t)n);
	return 1;
}

/* The next frame, or NULL; reads more if need be. Sets *gone instead of telling. */
static const uint8_t *next_frame(struct net_socket *self, size_t *len, bool *gone)
{
	const uint8_t *frame = net_stream_peek(&self->in, len);

	*gone = false;
	while (!frame && self->peer.fd >= 0 && !self->in.is_broken) {
		int ret = read_some(self);

		if (ret <= 0) {
			*gone = ret < 0;
			return NULL;
		}
		frame = net_stream_peek(&self->in, len);
	}
	if (self->in.is_broken)
		*gone = true;
	return frame;
}

static void drop_frame(struct net_socket *self)
{
	net_stream_drop(&self->in);
	net_count(&self->counters.dropped_to_guest, 1);
}

static ssize_t socket_next_bytes(struct net *net, unsigned queue)
{
	struct net_socket *self = (struct net_socket *)net;
	size_t len;
	bool gone;
	const uint8_t *frame = next_frame(self, &len, &gone);

	(void)queue;
	if (gone)
		lose_peer_soon(self);
	return frame ? (ssize_t)(len + NET_HEADER_BYTES) : 0;
}

static ssize_t socket_receive(
	struct net *net, unsigned queue, const struct iovec *iov, unsigned iov_count)
{
	struct net_socket *self = (struct net_socket *)net;
	size_t room = net_iov_bytes(iov, iov_count), len;
	const uint8_t *frame;
	bool gone;

	(void)queue;
	while ((frame = next_frame(self, &len, &gone)) && len + NET_HEADER_BYTES > room)
		drop_frame(self);
	if (gone)
		lose_peer_soon(self);
	if (frame) {
		net_scatter(iov, iov_count, frame, len);
		net_stream_drop(&self->in);
		net_count_received(&self->counters, len);
	}
	update_watch(self);
	return frame ? (ssize_t)(len + NET_HEADER_BYTES) : -EAGAIN;
}

static void handle_peer(void *opaque, uint32_t events)
{
	struct net_socket *self = opaque;
	size_t len;
	bool gone = events & (EPOLLHUP | EPOLLERR), end;

	if (events & EPOLLOUT) {
		gone |= send_pending(self) == -EPIPE;
		if (!self->full_since_ns)
			tell_room(self);
	}
	/* Read even if there are frames: the end of the stream must be seen, or it is told for ever. */
	if (events & EPOLLIN)
		gone |= read_some(self) < 0;
	while (!self->started && net_stream_peek(&self->in, &len))
		drop_frame(self);
	if (self->started && next_frame(self, &len, &end))
		net_tell_readable(&self->net, 0);
	if (gone || self->in.is_broken)
		lose_peer(self);
	else
		update_watch(self);
}

/* ---- Finding a peer ---- */

static void try_again(void *opaque)
{
	struct net_socket *self = opaque;
	int fd;

	if (self->listens) {
		loop_fd_set_events(&self->listener, EPOLLIN);
		return;
	}
	fd = unix_listen_connect(&self->socket.address);
	if (fd < 0 || join_peer(self, fd) < 0) {
		loop_timer_arm(self->net.loop, &self->timer, RETRY_NS);
		return;
	}
	log_info("net %s: connected again", self->socket.address.sun_path);
	net_tell_link(&self->net, true);
}

static void handle_connection(void *opaque, uint32_t events)
{
	struct net_socket *self = opaque;
	int fd = accept4(self->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		/* Who waits stays in the queue: without a pause this would be called for ever. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(&self->listener, 0);
			loop_timer_arm(self->net.loop, &self->timer, RETRY_NS);
		}
	} else if (self->peer.fd >= 0) {
		close(fd);
	} else if (join_peer(self, fd) == 0) {
		net_tell_link(&self->net, true);
	}
}

static int refuse_path(struct net_socket *self, int errnum, struct err *err)
{
	return err_set(err, EXIT_CODE_DEVICE, errnum, "can't use the network socket %s: %s",
		self->socket.address.sun_path,
		errnum == EPROTOTYPE ? "it is a socket of another kind" : strerror(errnum));
}

/* 0, or -EADDRINUSE when somebody was faster, or -errno with a sentence. */
static int listen_there(struct net_socket *self, struct err *err)
{
	int ret = unix_listen_bind(&self->socket, BACKLOG);

	if (ret < 0)
		return ret == -EADDRINUSE ? ret : refuse_path(self, -ret, err);
	self->listener.fd = self->socket.fd;
	self->listens = true;
	ret = loop_fd_add(self->net.loop, &self->listener);
	return ret < 0 ? refuse_path(self, -ret, err) : 0;
}

/* The folder, locked; -1 when it can't be: then there is no turn-taking. */
static int lock_folder(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < OPEN_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		usleep(OPEN_PAUSE_US);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static int connect_or_listen(struct net_socket *self, struct err *err)
{
	int fd = unix_listen_connect(&self->socket.address), ret;

	if (fd >= 0) {
		ret = join_peer(self, fd);
		return ret < 0 ? refuse_path(self, -ret, err) : 0;
	}
	/* Somebody listens, and many wait already. */
	if (fd == -EAGAIN) {
		loop_timer_arm(self->net.loop, &self->timer, RETRY_NS);
		return 0;
	}
	if (fd != -ENOENT && fd != -ECONNREFUSED)
		return refuse_path(self, -fd, err);
	ret = unix_listen_remove(&self->socket, err);
	return ret < 0 ? ret : listen_there(self, err);
}

static int find_peer(struct net_socket *self, struct err *err)
{
	int lock = lock_folder(self->socket.address.sun_path), ret = -EADDRINUSE;

	for (int i = 0; ret == -EADDRINUSE && i < OPEN_TRIES; i++)
		ret = connect_or_listen(self, err);
	if (ret == -EADDRINUSE)
		refuse_path(self, EADDRINUSE, err);
	if (lock >= 0)
		close(lock);
	return ret;
}

/* ---- Life ---- */

static void socket_start(struct net *net)
{
	((struct net_socket *)net)->started = true;
}

static void socket_stop(struct net *net)
{
	struct net_socket *self = (struct net_socket *)net;
	size_t len;

	self->started = self->wants_room = false;
	while (net_stream_peek(&self->in, &len))
		drop_frame(self);
	update_watch(self);
}

static bool socket_link_is_up(const struct net *net)
{
	return ((const struct net_socket *)net)->peer.fd >= 0;
}

static void socket_get_stats(struct net *net, struct net_stats *stats)
{
	net_counters_get(&((struct net_socket *)net)->counters, stats);
}

static void socket_close(struct net *net)
{
	struct net_socket *self = (struct net_socket *)net;

	/* What the guest sent last, as far as it goes at once. */
	if (self->peer.fd >= 0)
		(void)send_pending(self);
	close_peer(self);
	loop_timer_cancel(&self->timer);
	loop_unpost(self->net.loop, &self->gone_task);
	loop_fd_remove(&self->listener);
	unix_listen_close(&self->socket);
	net_stream_finish(&self->in);
	free(self->pending);
	free(self);
}

static const struct net_ops socket_ops = {
	.start = socket_start,
	.stop = socket_stop,
	.link_is_up = socket_link_is_up,
	.send = socket_send,
	.receive = socket_receive,
	.next_bytes = socket_next_bytes,
	.get_stats = socket_get_stats,
	.close = socket_close,
};

int net_socket_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err)
{
	struct net_socket *self;
	int ret;

	self = calloc(1, sizeof(*self));
	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a network");
	ret = unix_listen_init(&self->socket, "network socket", config->path, 0, err);
	if (ret < 0) {
		free(self);
		return ret;
	}
	self->net = (struct net){
		.ops = &socket_ops,
		.info = {.name = self->socket.address.sun_path,
			.queues = 1,
			.mtu = config->mtu ? config->mtu : NET_MTU_DEFAULT},
		.loop = loop,
	};
	self->peer.fd = -1;
	self->listener = (struct loop_fd){
		.fd = -1, .events = EPOLLIN, .fn = handle_connection, .opaque = self};
	self->timer = (struct loop_timer){.fn = try_again, .opaque = self};
	self->stall_timer = (struct loop_timer){.fn = handle_stall, .opaque = self};
	self->gone_task = (struct loop_task){.fn = lose_peer, .opaque = self};
	self->pending = malloc(PENDING_BYTES);
	ret = net_stream_init(&self->in);
	if (ret < 0 || !self->pending)
		ret = err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a network");
	else
		ret = find_peer(self, err);
	if (ret < 0) {
		socket_close(&self->net);
		return ret;
	}
	*net = &self->net;
	return 0;
}
