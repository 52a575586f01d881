/*
 * Clients of a character back end: more readers and writers, each on a stream socket, beside the
 * host side that the back end was opened with (whatever that is).
 *
 * Output: each client has a ring of CHR_CLIENT_BYTES, which begins with the history. A client that
 * does not keep up loses what the ring can't hold, in one piece, and finds a line in its place
 * that says how much; neither the guest nor any other reader waits for it.
 *
 * Input: read into the back end's own input ring as far as that has room, so it is merged with
 * what comes from the host side, and the guest's flow control reaches the client: its socket fills
 * up, and nothing is lost.
 *
 * Threads: adding, closing and the handlers on the loop's; chr_clients_put() on any, with
 * chr->lock held. That lock guards the list and all of a client but what is said to be the loop's.
 *
 * Threats
 *   what a client can do          limit                                 where          test
 *   read nothing                  its ring, then skipped with a notice  put            slow_client
 *   send without end              the room in the input ring            handle_input   flow_control
 *   be many                       CHR_CLIENTS_MAX                       add            too_many
 *   leave at any time             found by epoll or by the next send()  remove_gone    leaves
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/chr_impl.h"

enum {
	/* The history, and as much again. */
	CHR_CLIENT_BYTES = 2 * CHR_HISTORY_BYTES,
	CLOSE_WAIT_MS = 300,
};

struct chr_client {
	struct chr *chr;
	struct chr_client *next;
	struct loop_fd watch;
	struct ring out;
	bool is_blocked; /* the socket takes no more until EPOLLOUT */
	bool is_gone;
	uint32_t in_events; /* what epoll is to look for besides */
	uint64_t skipped;   /* bytes that did not fit; while not 0, all that follows is skipped */

	/* the loop's */
	bool input_ended;
	bool leaves; /* is let go when its input has ended and was taken */
};

/* ---- With the lock held ---- */

static void watch(struct chr_client *client)
{
	uint32_t events = client->in_events | (client->is_blocked ? EPOLLOUT : 0);

	if (client->watch.loop)
		loop_fd_set_events(&client->watch, client->is_gone ? 0 : events);
}

static void client_gone(struct chr_client *client)
{
	client->is_gone = true;
	ring_clear(&client->out);
	watch(client);
	loop_post(client->chr->loop, &client->chr->client_task);
}

static void flush_ring(struct chr_client *client)
{
	while (ring_used(&client->out) && !client->is_blocked && !client->is_gone) {
		const uint8_t *piece;
		size_t len = ring_peek(&client->out, &piece);
		ssize_t n = send(client->watch.fd, piece, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			ring_drop(&client->out, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			client->is_blocked = true;
			watch(client);
		} else if (n == 0 || errno != EINTR) {
			client_gone(client);
		}
	}
}

static void flush(struct chr_client *client)
{
	char notice[80];
	int len;

	flush_ring(client);
	if (!client->skipped || ring_used(&client->out) || client->is_gone)
		return;
	len = snprintf(notice, sizeof(notice), "\r\n[vmm: %llu bytes were not read in time]\r\n",
		(unsigned long long)client->skipped);
	client->skipped = 0;
	ring_put(&client->out, notice, (size_t)len);
	flush_ring(client);
}

static void put(struct chr_client *client, const uint8_t *data, size_t len)
{
	size_t done;

	if (client->is_gone)
		return;
	done = client->skipped ? 0 : ring_put(&client->out, data, len);
	if (done < len && !client->skipped) {
		flush(client);
		done += ring_put(&client->out, data + done, len - done);
	}
	client->skipped += len - done;
}

void chr_clients_put(struct chr *chr, const void *data, size_t len)
{
	bool now = false;

	for (struct chr_client *client = chr->clients; client; client = client->next) {
		put(client, data, len);
		now |= ring_used(&client->out) >= CHR_BATCH_BYTES;
	}
	/* Single bytes are gathered, as for the host side. */
	now |= memchr(data, '\n', len) || util_now_ns() - chr->clients_flushed_ns >= CHR_GATHER_NS;
	if (now)
		chr_clients_flush(chr);
	else if (!chr->clients_armed)
		loop_timer_arm(chr->loop, &chr->client_timer, CHR_GATHER_NS);
	chr->clients_armed |= !now;
}

void chr_clients_flush(struct chr *chr)
{
	for (struct chr_client *client = chr->clients; client; client = client->next)
		flush(client);
	chr->clients_flushed_ns = util_now_ns();
}

/* ---- The loop's ---- */

static void free_client(struct chr_client *client)
{
	loop_fd_remove(&client->watch);
	close(client->watch.fd);
	free(client->out.bytes);
	free(client);
}

/* Takes those that are gone, or all, out of the list. */
static void remove_clients(struct chr *chr, bool all)
{
	struct chr_client **link = &chr->clients, *client, *removed = NULL;

	pthread_mutex_lock(&chr->lock);
	while ((client = *link)) {
		if (!all && !client->is_gone) {
			link = &client->next;
			continue;
		}
		*link = client->next;
		client->next = removed;
		removed = client;
	}
	if (!chr->clients)
		chr->client_columns = chr->client_rows = 0;
	pthread_mutex_unlock(&chr->lock);
	if (!removed)
		return;
	while ((client = removed)) {
		removed = client->next;
		free_client(client);
	}
	if (!all)
		chr_tell_host_changed(chr);
}

static void remove_gone(void *opaque)
{
	remove_clients(opaque, false);
}

static void handle_timer(void *opaque)
{
	struct chr *chr = opaque;

	pthread_mutex_lock(&chr->lock);
	chr->clients_armed = false;
	chr_clients_flush(chr);
	pthread_mutex_unlock(&chr->lock);
}

static void let_go(struct chr_client *client)
{
	pthread_mutex_lock(&client->chr->lock);
	client_gone(client);
	pthread_mutex_unlock(&client->chr->lock);
}

/* The client's memory may be gone only after the loop's next turn: see client_gone(). */
static void handle_input(struct chr_client *client)
{
	struct chr *chr = client->chr;
	uint8_t data[4096];
	size_t room = MIN(ring_free(&chr->in), sizeof(data));
	ssize_t n;

	if (!room || client->input_ended)
		return;
	n = recv(client->watch.fd, data, room, MSG_DONTWAIT);
	/* Where nobody takes input at all it goes nowhere, as on a console without a keyboard. */
	if (n > 0 && chr->input_front)
		chr_input_put(chr, data, (size_t)n);
	else if (n == 0)
		client->input_ended = true;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		let_go(client);
}

static void handle_event(void *opaque, uint32_t events)
{
	struct chr_client *client = opaque;
	struct chr *chr = client->chr;

	if (events & EPOLLOUT) {
		pthread_mutex_lock(&chr->lock);
		client->is_blocked = false;
		flush(client);
		pthread_mutex_unlock(&chr->lock);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		handle_input(client);
	/* Both directions have ended, and all was read. */
	if (client->input_ended && events & (EPOLLHUP | EPOLLERR))
		let_go(client);
	chr_clients_watch(chr);
}

/*
 * EPOLLPRI never comes: it stands for "only the end". Where there is no room for input nothing is
 * looked for, because the end would be seen before what was sent.
 */
static uint32_t wanted_events(const struct chr_client *client)
{
	const struct chr *chr = client->chr;

	if (client->input_ended)
		return EPOLLPRI;
	if (chr->input_front && (!chr->in_started || !ring_free(&chr->in)))
		return 0;
	return EPOLLIN;
}

void chr_clients_watch(struct chr *chr)
{
	pthread_mutex_lock(&chr->lock);
	for (struct chr_client *client = chr->clients; client; client = client->next) {
		if (client->leaves && client->input_ended && !ring_used(&chr->in) &&
			!client->is_gone) {
			flush(client);
			client_gone(client);
		}
		client->in_events = wanted_events(client);
		watch(client);
	}
	pthread_mutex_unlock(&chr->lock);
}

/* ---- Coming ---- */

static struct chr_client *make_client(struct chr *chr, int fd)
{
	struct chr_client *client = calloc(1, sizeof(*client));
	uint8_t *bytes = malloc(CHR_CLIENT_BYTES);

	if (!client || !bytes) {
		free(client);
		free(bytes);
		return NULL;
	}
	client->chr = chr;
	ring_init(&client->out, bytes, CHR_CLIENT_BYTES);
	client->watch = (struct loop_fd){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
		.events = EPOLLPRI,
		.fn = handle_event,
		.opaque = client};
	return client;
}

/* Those that have closed their end without a word printed since. */
static size_t count_living(struct chr *chr)
{
	size_t count = 0;

	for (struct chr_client *client = chr->clients; client; client = client->next) {
		struct pollfd pfd = {.fd = client->watch.fd};

		if (!client->is_gone && poll(&pfd, 1, 0) > 0 && pfd.revents & (POLLHUP | POLLERR))
			let_go(client);
		count += !client->is_gone;
	}
	return count;
}

int chr_client_add(struct chr *chr, int fd, const char *greeting, bool leaves, struct err *err)
{
	struct chr_client *client;
	const uint8_t *piece;
	size_t first;
	int ret;

	if (count_living(chr) >= CHR_CLIENTS_MAX)
		return err_set(err, EXIT_CODE_DEVICE, EBUSY,
			"the console %s has %d clients already", chr->name, CHR_CLIENTS_MAX);
	client = make_client(chr, fd);
	if (!client)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a client");
	ret = client->watch.fd < 0 ? -errno : loop_fd_add(chr->loop, &client->watch);
	if (ret < 0) {
		free_client(client);
		return err_set(
			err, EXIT_CODE_INTERNAL, -ret, "can't watch a client: %s", strerror(-ret));
	}
	client->leaves = leaves;
	pthread_mutex_lock(&chr->lock);
	ring_put(&client->out, greeting, strlen(greeting));
	if (chr->history.bytes) {
		first = ring_peek(&chr->history, &piece);
		ring_put(&client->out, piece, first);
		ring_put(&client->out, chr->history.bytes, ring_used(&chr->history) - first);
	}
	client->next = chr->clients;
	chr->clients = client;
	flush(client);
	client->in_events = wanted_events(client);
	watch(client);
	pthread_mutex_unlock(&chr->lock);
	chr_tell_host_changed(chr);
	return 0;
}

void chr_client_set_size(struct chr *chr, unsigned columns, unsigned rows)
{
	if (!chr->clients)
		return;
	chr->client_columns = columns;
	chr->client_rows = rows;
	chr_tell_host_changed(chr);
}

/* ---- Life ---- */

void chr_clients_init(struct chr *chr)
{
	chr->client_task = (struct loop_task){.fn = remove_gone, .opaque = chr};
	chr->client_timer = (struct loop_timer){.fn = handle_timer, .opaque = chr};
}

/* The last lines are worth a moment. */
static void drain(struct chr_client *client)
{
	uint64_t end_ns = util_now_ns() + CLOSE_WAIT_MS * UINT64_C(1000000);
	struct pollfd pfd = {.fd = client->watch.fd, .events = POLLOUT};

	do {
		client->is_blocked = false;
		flush(client);
	} while (ring_used(&client->out) && !client->is_gone && util_now_ns() < end_ns &&
		poll(&pfd, 1, CLOSE_WAIT_MS) >= 0);
}

void chr_clients_close(struct chr *chr)
{
	pthread_mutex_lock(&chr->lock);
	for (struct chr_client *client = chr->clients; client; client = client->next)
		drain(client);
	pthread_mutex_unlock(&chr->lock);
	remove_clients(chr, true);
	loop_unpost(chr->loop, &chr->client_task);
	loop_timer_cancel(&chr->client_timer);
}
