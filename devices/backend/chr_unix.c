/*
 * The console on a listening Unix socket: clients come and go, one at a time; each
 * sees the last 64 KiB of output first. Nobody need be there: output then does
 * not wait. A client that is there and does not read does hold the guest's output. One that has
 * left makes room for the next at once, and what he had sent still reaches the guest; one that has
 * only shut his sending side goes on reading.
 *
 * Whoever can connect has the guest's console: unix_listen.h says who can.
 *
 * Threads: see chr.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/chr_impl.h"
#include "devices/backend/unix_listen.h"
#include "vmm/base/log.h"

enum {
	BACKLOG = 4,
};

/* How long no client is taken after the host had no descriptor left for one. */
#define ACCEPT_PAUSE_NS UINT64_C(1000000000)

struct chr_unix {
	struct chr chr;
	struct unix_listen socket;
	struct loop_fd listener;
	struct loop_timer accept_timer;
	int client, client_out; /* one socket twice: input and output are watched apart; -1: none */
};

static int64_t unix_write(struct chr *chr, const void *data, size_t len)
{
	ssize_t n =
		send(((struct chr_unix *)chr)->client_out, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

static int64_t unix_read(struct chr *chr, void *data, size_t len)
{
	ssize_t n = recv(((struct chr_unix *)chr)->client, data, len, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static void close_client(struct chr_unix *self)
{
	if (self->client >= 0)
		close(self->client);
	if (self->client_out >= 0)
		close(self->client_out);
	self->client = self->client_out = -1;
}

static void unix_gone(struct chr *chr)
{
	close_client((struct chr_unix *)chr);
}

static bool unix_still_reads(struct chr *chr)
{
	struct pollfd pfd = {.fd = ((struct chr_unix *)chr)->client};

	return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & (POLLHUP | POLLERR));
}

static void refuse(int fd)
{
	static const char text[] = "vmm: somebody else is on this console\r\n";

	send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void handle_connection(void *opaque, uint32_t events)
{
	struct chr_unix *self = opaque;
	int fd = accept4(self->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		/* Who waits stays in the queue: without a pause this would be called for ever. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(&self->listener, 0);
			loop_timer_arm(self->chr.loop, &self->accept_timer, ACCEPT_PAUSE_NS);
		}
		return;
	}
	if (self->client >= 0) {
		refuse(fd);
		return;
	}
	self->client = fd;
	self->client_out = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (self->client_out < 0) {
		close_client(self);
		return;
	}
	chr_host_attach(&self->chr, self->client, self->client_out);
}

static void accept_again(void *opaque)
{
	struct chr_unix *self = opaque;

	loop_fd_set_events(&self->listener, EPOLLIN);
}

static void unix_close(struct chr *chr)
{
	struct chr_unix *self = (struct chr_unix *)chr;

	loop_timer_cancel(&self->accept_timer);
	loop_fd_remove(&self->listener);
	unix_listen_close(&self->socket);
	close_client(self);
	chr_finish(chr);
	free(self);
}

static const struct chr_ops unix_ops = {
	.write = unix_write,
	.read = unix_read,
	.gone = unix_gone,
	.still_reads = unix_still_reads,
	.close = unix_close,
};

static int open_listener(struct chr_unix *self, struct err *err)
{
	int ret = unix_listen_open(&self->socket, BACKLOG, err);

	if (ret < 0)
		return ret;
	self->listener = (struct loop_fd){
		.fd = self->socket.fd, .events = EPOLLIN, .fn = handle_connection, .opaque = self};
	ret = loop_fd_add(self->chr.loop, &self->listener);
	if (ret < 0)
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch %s: %s",
			self->socket.address.sun_path, strerror(-ret));
	return 0;
}

int chr_unix_open(struct chr **out, const char *path, struct loop *loop, struct err *err)
{
	struct chr_unix *self = calloc(1, sizeof(*self));
	int ret;

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	self->client = self->client_out = -1;
	self->accept_timer = (struct loop_timer){.fn = accept_again, .opaque = self};
	ret = unix_listen_init(&self->socket, "console socket", path, 0, err);
	if (ret >= 0)
		ret = chr_init(&self->chr, &unix_ops, loop, CHR_INPUT_BYTES, true, err);
	if (ret < 0) {
		free(self);
		return ret;
	}
	chr_set_name(&self->chr, path);
	ret = open_listener(self, err);
	if (ret < 0) {
		unix_close(&self->chr);
		return ret;
	}
	*out = &self->chr;
	return 0;
}
