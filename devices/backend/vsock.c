/*
 * See vsock.h. unix(7).
 *
 * A host program that connects and then says nothing holds one of a few places; when all are
 * taken the one that has waited longest is put out, so that nobody can shut others out.
 */
#include "devices/backend/vsock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/unix_listen.h"
#include "vmm/base/log.h"
#include "vmm/base/opts.h"

enum {
	BACKLOG = 64,
	LINE_MAX_BYTES = 32, /* "CONNECT 4294967295\n" has 19 */
	ACCEPT_PAUSE_NS = 100000000,
};

struct vsock_host {
	struct loop *loop;
	struct vsock_client client;
	bool attached;
	struct unix_listen socket;
	struct loop_fd listener;
	struct loop_timer accept_timer;
	unsigned count, count_max;
	struct vsock_sock *all, *unused; /* all there ever were are kept in one of these */
	struct vsock_sock *handshakes[VSOCK_HANDSHAKES_MAX]; /* the oldest first */
	unsigned handshake_count;
};

/* ---- Connections ---- */

static void handle_ready(void *opaque, uint32_t events);

/* What the loop may still read of a connection that was closed never changes. */
static struct vsock_sock *new_sock(struct vsock_host *host)
{
	struct vsock_sock *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return NULL;
	sock->host = host;
	sock->watch = (struct loop_fd){
		.fd = -1, .fn = handle_ready, .opaque = sock, .lock = host->client.lock};
	return sock;
}

static struct vsock_sock *make_sock(struct vsock_host *host, int fd)
{
	struct vsock_sock *sock = NULL;

	if (host->count < host->count_max)
		sock = host->unused ? host->unused : new_sock(host);
	if (!sock)
		return NULL;
	host->unused = sock->next;
	sock->next = host->all;
	sock->owner = NULL;
	sock->watch.fd = fd;
	sock->watch.events = 0;
	if (loop_fd_add(host->loop, &sock->watch) < 0) {
		sock->next = host->unused;
		host->unused = sock;
		return NULL;
	}
	host->all = sock;
	host->count++;
	return sock;
}

static void forget_handshake(struct vsock_sock *sock)
{
	struct vsock_host *host = sock->host;
	unsigned i = 0;

	while (i < host->handshake_count && host->handshakes[i] != sock)
		i++;
	ASSERT(i < host->handshake_count);
	host->handshake_count--;
	memmove(&host->handshakes[i], &host->handshakes[i + 1],
		(host->handshake_count - i) * sizeof(struct vsock_sock *));
	sock->handshaking = false;
}

void vsock_sock_close(struct vsock_sock *sock)
{
	struct vsock_host *host = sock->host;
	struct vsock_sock **link = &host->all;

	if (sock->handshaking)
		forget_handshake(sock);
	loop_fd_remove(&sock->watch);
	close(sock->watch.fd);
	sock->watch.fd = -1;
	while (*link != sock)
		link = &(*link)->next;
	*link = sock->next;
	host->count--;
	sock->next = host->unused;
	host->unused = sock;
}

void vsock_sock_watch(struct vsock_sock *sock, uint32_t events)
{
	loop_fd_set_events(&sock->watch, events);
}

int64_t vsock_sock_send(struct vsock_sock *sock, struct iovec *iov, unsigned count)
{
	const struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n;

	do
		n = sendmsg(sock->watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int64_t vsock_sock_receive(struct vsock_sock *sock, struct iovec *iov, unsigned count)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n;

	/* No control data: descriptors that are passed along are closed by the kernel. */
	do
		n = recvmsg(sock->watch.fd, &message, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void vsock_sock_shutdown(struct vsock_sock *sock, int how)
{
	(void)shutdown(sock->watch.fd, how);
}

struct vsock_sock *vsock_connect(struct vsock_host *host, uint32_t port)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct vsock_sock *sock;
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "%.*s_%u", VSOCK_PATH_MAX,
		host->socket.address.sun_path, port);
	/* A UNIX socket connects at once or not at all. */
	fd = unix_listen_connect(&address);
	if (fd < 0)
		return NULL;
	sock = make_sock(host, fd);
	if (!sock)
		close(fd);
	return sock;
}

/* ---- Handshakes ---- */

void vsock_sock_accept(struct vsock_sock *sock, uint32_t host_port)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "OK %u\n", host_port);

	/* It is the first that goes this way, so there is room; or nobody is there any more. */
	(void)send(sock->watch.fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* "CONNECT 1234" */
static bool parse_line(char *line, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	size_t len = strlen(line);
	uint64_t value;

	if (len && line[len - 1] == '\r')
		line[len - 1] = '\0';
	if (strncmp(line, word, sizeof(word) - 1) != 0 ||
		opts_parse_number("", line + sizeof(word) - 1, 0, UINT32_MAX, &value, NULL) < 0)
		return false;
	*port = (uint32_t)value;
	return true;
}

/* Takes the line and nothing of what follows it. */
static void go_on_with_handshake(struct vsock_sock *sock, uint32_t events)
{
	const struct vsock_client *client = &sock->host->client;
	char line[LINE_MAX_BYTES + 1];
	ssize_t n = recv(sock->watch.fd, line, LINE_MAX_BYTES, MSG_PEEK | MSG_DONTWAIT);
	char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	uint32_t port;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (!end && (n == LINE_MAX_BYTES || events & EPOLLHUP))) {
		vsock_sock_close(sock);
		return;
	}
	if (!end) {
		/* What is there is seen again with each call: take it up when more has come. */
		vsock_sock_watch(sock, EPOLLIN | EPOLLET);
		return;
	}
	(void)recv(sock->watch.fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT);
	*end = '\0';
	forget_handshake(sock);
	vsock_sock_watch(sock, 0);
	if (!parse_line(line, &port) || !client->asked(client->opaque, sock, port))
		vsock_sock_close(sock);
}

/*
 * A hang-up ends things, so it must be this connection's: the loop may still have had one of a
 * connection that was closed a moment ago, and whose memory this one has got.
 */
static uint32_t confirm(const struct vsock_sock *sock, uint32_t events)
{
	struct pollfd pfd = {.fd = sock->watch.fd, .events = POLLIN | POLLOUT};

	if (!(events & (EPOLLHUP | EPOLLERR)))
		return events;
	if (poll(&pfd, 1, 0) < 0)
		return 0;
	return (events & ~(uint32_t)(EPOLLHUP | EPOLLERR)) |
		((uint32_t)pfd.revents & (EPOLLHUP | EPOLLERR));
}

static void handle_ready(void *opaque, uint32_t events)
{
	struct vsock_sock *sock = opaque;
	const struct vsock_client *client = &sock->host->client;

	events = confirm(sock, events);
	if (!events)
		return;
	if (sock->handshaking)
		go_on_with_handshake(sock, events);
	else
		client->ready(client->opaque, sock, events);
}

static void handle_connection(void *opaque, uint32_t events)
{
	struct vsock_host *host = opaque;
	int fd = accept4(host->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vsock_sock *sock;

	(void)events;
	if (fd < 0) {
		/* Who waits stays in the queue: without a pause this would be called for ever. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(&host->listener, 0);
			loop_timer_arm(host->loop, &host->accept_timer, ACCEPT_PAUSE_NS);
		}
		return;
	}
	if (host->handshake_count == VSOCK_HANDSHAKES_MAX)
		vsock_sock_close(host->handshakes[0]);
	sock = make_sock(host, fd);
	if (!sock) {
		close(fd);
		return;
	}
	sock->handshaking = true;
	host->handshakes[host->handshake_count++] = sock;
	vsock_sock_watch(sock, EPOLLIN);
}

static void accept_again(void *opaque)
{
	struct vsock_host *host = opaque;

	if (host->attached)
		loop_fd_set_events(&host->listener, EPOLLIN);
}

/* ---- Life cycle ---- */

int vsock_attach(struct vsock_host *host, const struct vsock_client *client, struct err *err)
{
	int ret;

	host->client = *client;
	host->listener.lock = host->accept_timer.lock = client->lock;
	ret = loop_fd_add(host->loop, &host->listener);
	if (ret < 0)
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch %s: %s",
			host->socket.address.sun_path, strerror(-ret));
	host->attached = true;
	return 0;
}

void vsock_detach(struct vsock_host *host)
{
	if (!host->attached)
		return;
	host->attached = false;
	loop_timer_cancel(&host->accept_timer);
	loop_fd_remove(&host->listener);
	while (host->all)
		vsock_sock_close(host->all);
}

/* So that neither guest nor programs use up what disks, consoles and networks need. */
static unsigned share_of_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return VSOCK_CONNECTIONS_MAX;
	return (unsigned)MIN(limit.rlim_cur / 4, (rlim_t)VSOCK_CONNECTIONS_MAX);
}

int vsock_open(struct vsock_host **out, const char *path, struct loop *loop, struct err *err)
{
	struct vsock_host *host;
	int ret;

	host = calloc(1, sizeof(*host));
	if (!host)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the vsock sockets");
	host->loop = loop;
	host->count_max = share_of_descriptors();
	host->accept_timer = (struct loop_timer){.fn = accept_again, .opaque = host};
	ret = unix_listen_init(&host->socket, "vsock socket", path, VSOCK_PATH_MAX, err);
	if (ret >= 0)
		ret = unix_listen_open(&host->socket, BACKLOG, err);
	if (ret < 0) {
		vsock_close(host);
		return ret;
	}
	host->listener = (struct loop_fd){
		.fd = host->socket.fd, .events = EPOLLIN, .fn = handle_connection, .opaque = host};
	*out = host;
	return 0;
}

void vsock_close(struct vsock_host *host)
{
	struct vsock_sock *next;

	if (!host)
		return;
	vsock_detach(host);
	unix_listen_close(&host->socket);
	for (struct vsock_sock *sock = host->unused; sock; sock = next) {
		next = sock->next;
		free(sock);
	}
	free(host);
}
