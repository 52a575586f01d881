/*
 * See gdb.h: sockets on one side, a session on the other.
 */
#include "vmm/gdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/listen_address.h"
#include "devices/backend/unix_listen.h"
#include "vmm/base/log.h"

/* How long nobody is let in after the host had no descriptor left. */
#define ACCEPT_PAUSE_NS UINT64_C(1000000000)

enum {
	BACKLOG = 4,
	READ_BYTES = 4096,
};

struct gdb {
	struct loop *loop;
	struct unix_listen socket; /* fd -1: it is not one */
	int port_fd;		   /* -1 */
	struct loop_fd listener;
	struct loop_timer accept_timer;
	struct loop_fd client; /* fd -1: nobody */
	bool is_serving;       /* the client's function is at work */
	size_t in_len, in_used;
	uint8_t in[READ_BYTES];
	struct gdb_session session;
};

/* ---- The client ---- */

static void hang_up(struct gdb *gdb)
{
	loop_fd_remove(&gdb->client);
	close(gdb->client.fd);
	gdb->client.fd = -1;
	gdb_session_end(&gdb->session);
	if (!gdb->session.has_killed)
		log_info("gdb has left; the guest goes on");
}

/* Sends what is there; false when the client is gone. */
static bool send_out(struct gdb *gdb)
{
	struct gdb_out *out = &gdb->session.out;

	while (out->sent < out->len) {
		ssize_t n = send(gdb->client.fd, out->bytes + out->sent, out->len - out->sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0)
			return false;
		out->sent += (size_t)n;
	}
	out->len = out->sent = 0;
	return true;
}

/* Answers what was read, until it has to wait for the client or the client has left. */
static void serve(struct gdb *gdb)
{
	struct gdb_session *session = &gdb->session;

	for (;;) {
		bool is_there = send_out(gdb);

		if (!is_there || session->is_over) {
			hang_up(gdb);
			return;
		}
		if (session->out.len || gdb->in_used == gdb->in_len)
			break;
		gdb->in_used += gdb_session_feed(
			session, gdb->in + gdb->in_used, gdb->in_len - gdb->in_used);
	}
	/* No packet is read before the last answer is out. */
	loop_fd_set_events(&gdb->client, session->out.len ? EPOLLOUT : EPOLLIN);
}

static void handle_client(void *opaque, uint32_t events)
{
	struct gdb *gdb = opaque;
	ssize_t n;

	(void)events;
	gdb->is_serving = true;
	if (!gdb->session.out.len && gdb->in_used == gdb->in_len) {
		n = recv(gdb->client.fd, gdb->in, sizeof(gdb->in), MSG_DONTWAIT);
		gdb->in_used = 0;
		gdb->in_len = n > 0 ? (size_t)n : 0;
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			gdb->session.is_over = true;
	}
	serve(gdb);
	gdb->is_serving = false;
}

void gdb_flush(struct gdb *gdb)
{
	/* What serves the client sends when it is done. */
	if (gdb->client.fd >= 0 && !gdb->is_serving)
		serve(gdb);
}

int gdb_add_client(struct gdb *gdb, int fd)
{
	int ret;

	if (gdb->client.fd >= 0) {
		log_info("a second debugger is turned away: one is connected");
		close(fd);
		return -EBUSY;
	}
	gdb->in_len = gdb->in_used = 0;
	gdb->client =
		(struct loop_fd){.fd = fd, .events = EPOLLIN, .fn = handle_client, .opaque = gdb};
	ret = loop_fd_add(gdb->loop, &gdb->client);
	if (ret < 0) {
		close(fd);
		gdb->client.fd = -1;
		return ret;
	}
	gdb_session_begin(&gdb->session);
	log_info("gdb is connected; the guest stands still");
	return 0;
}

static void accept_one(void *opaque, uint32_t events)
{
	struct gdb *gdb = opaque;
	int fd = accept4(gdb->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		/* Who waits stays in the queue: without a pause this would be called for ever. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(&gdb->listener, 0);
			loop_timer_arm(gdb->loop, &gdb->accept_timer, ACCEPT_PAUSE_NS);
		}
		return;
	}
	listen_address_tune(fd);
	gdb_add_client(gdb, fd);
}

static void accept_again(void *opaque)
{
	struct gdb *gdb = opaque;

	loop_fd_set_events(&gdb->listener, EPOLLIN);
}

/* ---- Life ---- */

static int start_listening(struct gdb *gdb, const struct listen_address *address, struct err *err)
{
	int ret = unix_listen_init(&gdb->socket, "gdb socket", address->path, 0, err);

	if (ret >= 0 && address->path[0])
		ret = unix_listen_open(&gdb->socket, BACKLOG, err);
	else if (ret >= 0)
		ret = gdb->port_fd = listen_address_open_port(address, "--gdb", BACKLOG, err);
	if (ret < 0)
		return ret;
	gdb->listener = (struct loop_fd){
		.fd = address->path[0] ? gdb->socket.fd : gdb->port_fd,
		.events = EPOLLIN,
		.fn = accept_one,
		.opaque = gdb,
	};
	ret = loop_fd_add(gdb->loop, &gdb->listener);
	return ret < 0 ? err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch gdb's socket: %s",
				 strerror(-ret))
		       : 0;
}

int gdb_start(struct gdb **out, struct loop *loop, const struct gdb_config *config,
	const struct gdb_target *target, struct err *err)
{
	struct gdb *gdb = calloc(1, sizeof(*gdb));
	int ret;

	*out = NULL;
	if (!gdb)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the debugger");
	gdb->loop = loop;
	gdb->port_fd = gdb->client.fd = gdb->socket.fd = -1;
	gdb->session.target = target;
	gdb->session.has_fixed_mode = config->has_fixed_mode;
	gdb->session.fixed_mode = config->fixed_mode;
	gdb->accept_timer = (struct loop_timer){.fn = accept_again, .opaque = gdb};
	ret = start_listening(gdb, &config->address, err);
	if (ret < 0) {
		gdb_stop(gdb);
		return ret;
	}
	*out = gdb;
	return 0;
}

void gdb_stop(struct gdb *gdb)
{
	if (!gdb)
		return;
	loop_timer_cancel(&gdb->accept_timer);
	loop_fd_remove(&gdb->listener);
	unix_listen_close(&gdb->socket);
	if (gdb->port_fd >= 0)
		close(gdb->port_fd);
	if (gdb->client.fd >= 0) {
		send_out(gdb);
		loop_fd_remove(&gdb->client);
		close(gdb->client.fd);
	}
	free(gdb);
}

struct gdb_session *gdb_session(struct gdb *gdb)
{
	return gdb && gdb->client.fd >= 0 ? &gdb->session : NULL;
}

bool gdb_has_break(struct gdb *gdb, const struct page_walk_regs *walk, uint64_t linear)
{
	return gdb_breaks_has(&gdb->session.breaks, gdb->session.target, walk, linear);
}
