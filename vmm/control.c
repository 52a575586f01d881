/*
 * See control.h: the server's side of the protocol. It knows no command but "help", and nothing
 * of machines.
 *
 * Threads: the loop's.
 */
#include "vmm/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/log.h"

/* How long no client is taken after the host had no descriptor left for one. */
#define ACCEPT_PAUSE_NS UINT64_C(1000000000)

enum {
	HEADER_MAX = 32,
};

struct control_client {
	struct control *control;
	struct loop_fd watch; /* fd -1: the place is free */
	uint64_t heard_at;    /* control->clock when it last said something */
	size_t in_len;
	char in[CONTROL_LINE_MAX];
	bool ends; /* is cut off when the answer is out */
	size_t out_len, out_sent;
	char *out;  /* of HEADER_MAX + CONTROL_TEXT_MAX bytes */
	int out_fd; /* owned: goes with its first byte; -1: none */
};

struct control {
	struct loop *loop;
	struct loop_fd listener;
	struct loop_timer accept_timer;
	const struct control_command *table;
	void *opaque;
	uint64_t clock; /* counts what clients say */
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void cut_off(struct control_client *client)
{
	close_fd(&client->out_fd);
	loop_fd_remove(&client->watch);
	close(client->watch.fd);
	client->watch.fd = -1;
	free(client->out);
	client->out = NULL;
}

/* ---- Answers ---- */

PRINTF_LIKE(2, 0)
static void print_list(struct control_call *call, const char *format, va_list list)
{
	size_t room = CONTROL_TEXT_MAX - call->text_len;
	int n = vsnprintf(call->text + call->text_len, room, format, list);

	if (n > 0)
		call->text_len += MIN((size_t)n, room - 1);
}

void control_print(struct control_call *call, const char *format, ...)
{
	va_list list;

	if (call->failed)
		return;
	va_start(list, format);
	print_list(call, format, list);
	va_end(list);
}

void control_fail(struct control_call *call, const char *format, ...)
{
	va_list list;

	if (call->failed)
		return;
	call->failed = true;
	call->text_len = 0;
	va_start(list, format);
	print_list(call, format, list);
	va_end(list);
}

void control_attach(struct control_call *call, int fd)
{
	close_fd(&call->fd);
	call->fd = fd;
}

int control_socket(struct control_call *call)
{
	if (call->client->in_len) {
		control_fail(
			call, "nothing may follow '%s' before its answer", call->command->name);
		return -1;
	}
	return call->client->watch.fd;
}

void control_take(struct control_call *call)
{
	call->taken = true;
}

/* As send(), with the file that goes along if there is one. */
static ssize_t send_some(struct control_client *client)
{
	struct iovec iov = {client->out + client->out_sent, client->out_len - client->out_sent};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (client->out_fd >= 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &client->out_fd, sizeof(int));
	}
	n = sendmsg(client->watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		close_fd(&client->out_fd);
	return n;
}

/* Sends what is pending; false when the client is gone. */
static bool flush(struct control_client *client)
{
	while (client->out_sent < client->out_len) {
		ssize_t n = send_some(client);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0)
			return false;
		client->out_sent += (size_t)n;
	}
	client->out_len = client->out_sent = 0;
	return true;
}

/* The header is known last and comes first: the text was made HEADER_MAX bytes from the start. */
static void queue_answer(struct control_client *client, const struct control_call *call)
{
	char header[HEADER_MAX];
	int len = snprintf(
		header, sizeof(header), "%s %zu\n", call->failed ? "error" : "ok", call->text_len);

	memmove(client->out + len, client->out + HEADER_MAX, call->text_len);
	memcpy(client->out, header, (size_t)len);
	client->out_len = (size_t)len + call->text_len;
	client->out_sent = 0;
	client->out_fd = call->failed ? -1 : call->fd;
}

/* ---- Requests ---- */

static void print_commands(struct control_call *call, const struct control_command *table)
{
	control_print(call, "help\n");
	for (const struct control_command *command = table; command->name; command++)
		control_print(call, "%s%s%s\n", command->name, *command->words ? " " : "",
			command->words);
}

static bool split_words(struct control_call *call, char *line, const char **name)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);

	*name = word ? word : "";
	while ((word = strtok_r(NULL, " ", &save))) {
		if (call->word_count == CONTROL_WORDS_MAX)
			return false;
		call->words[call->word_count++] = word;
	}
	return true;
}

static void run_command(struct control *control, struct control_call *call, const char *name)
{
	const struct control_command *command = control->table;

	if (!strcmp(name, "help")) {
		print_commands(call, control->table);
		return;
	}
	while (command->name && strcmp(command->name, name) != 0)
		command++;
	if (!command->name) {
		control_fail(call, "there is no command '%.60s'", name);
		return;
	}
	if (call->word_count < command->words_min || call->word_count > command->words_max) {
		control_fail(call, "%s takes the words: %s", name,
			*command->words ? command->words : "none");
		return;
	}
	call->command = command;
	command->fn(call, control->opaque);
}

static void handle_line(struct control_client *client, char *line)
{
	struct control_call call = {.client = client, .fd = -1, .text = client->out + HEADER_MAX};
	const char *name;

	if (!split_words(&call, line, &name))
		control_fail(&call, "a request has at most %d words", 1 + CONTROL_WORDS_MAX);
	else
		run_command(client->control, &call, name);
	if (call.failed || call.taken)
		close_fd(&call.fd);
	if (call.taken)
		cut_off(client);
	else
		queue_answer(client, &call);
}

static void refuse_line(struct control_client *client, const char *why)
{
	struct control_call call = {.client = client, .fd = -1, .text = client->out + HEADER_MAX};

	control_fail(&call, "%s", why);
	queue_answer(client, &call);
	client->ends = true;
	client->in_len = 0;
}

static bool is_text(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] < 0x20 || bytes[i] > 0x7e)
			return false;
	return true;
}

/* Answers the first whole line of what was read; false when there is none. */
static bool take_line(struct control_client *client)
{
	char line[CONTROL_LINE_MAX];
	const char *end = memchr(client->in, '\n', client->in_len);
	size_t len = end ? (size_t)(end - client->in) : client->in_len;

	if (!is_text(client->in, len)) {
		refuse_line(client, "a request is a line of printable ASCII");
		return true;
	}
	if (!end && client->in_len < sizeof(client->in))
		return false;
	if (!end) {
		refuse_line(client, "the request is too long");
		return true;
	}
	memcpy(line, client->in, len);
	line[len] = 0;
	client->in_len -= len + 1;
	memmove(client->in, end + 1, client->in_len);
	handle_line(client, line);
	return true;
}

/* ---- Clients ---- */

static void watch_client(struct control_client *client)
{
	/* No request is read before the last answer is out. */
	loop_fd_set_events(&client->watch, client->out_len ? EPOLLOUT : EPOLLIN);
}

/* Answers what is there, until it has to wait for the client or the client is no more ours. */
static void serve(struct control_client *client)
{
	for (;;) {
		if (!flush(client) || (client->ends && !client->out_len)) {
			cut_off(client);
			return;
		}
		if (client->out_len || !take_line(client))
			break;
		if (client->watch.fd < 0)
			return;
	}
	watch_client(client);
}

static void handle_client(void *opaque, uint32_t events)
{
	struct control_client *client = opaque;
	ssize_t n;

	(void)events;
	client->heard_at = ++client->control->clock;
	if (!client->out_len) {
		n = recv(client->watch.fd, client->in + client->in_len,
			sizeof(client->in) - client->in_len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			cut_off(client);
			return;
		}
		client->in_len += n > 0 ? (size_t)n : 0;
	}
	serve(client);
}

/* A free place; if there is none, that of the client which has been silent longest. */
static struct control_client *find_place(struct control *control)
{
	struct control_client *oldest = &control->clients[0];

	for (size_t i = 0; i < ARRAY_SIZE(control->clients); i++) {
		struct control_client *client = &control->clients[i];

		if (client->watch.fd < 0)
			return client;
		if (client->heard_at < oldest->heard_at)
			oldest = client;
	}
	cut_off(oldest);
	return oldest;
}

int control_add_client(struct control *control, int fd)
{
	struct control_client *client = find_place(control);
	int ret;

	*client = (struct control_client){.control = control,
		.heard_at = ++control->clock,
		.out_fd = -1,
		.out = malloc(HEADER_MAX + CONTROL_TEXT_MAX)};
	client->watch = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .fn = handle_client, .opaque = client};
	ret = client->out ? loop_fd_add(control->loop, &client->watch) : -ENOMEM;
	if (ret < 0)
		cut_off(client);
	return ret;
}

static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
		(peer.uid == geteuid() || peer.uid == 0);
}

static void accept_one(void *opaque, uint32_t events)
{
	struct control *control = opaque;
	int fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		/* Who waits stays in the queue: without a pause this would be called for ever. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(&control->listener, 0);
			loop_timer_arm(control->loop, &control->accept_timer, ACCEPT_PAUSE_NS);
		}
		return;
	}
	if (is_trusted(fd))
		control_add_client(control, fd);
	else
		close(fd);
}

static void accept_again(void *opaque)
{
	struct control *control = opaque;

	loop_fd_set_events(&control->listener, EPOLLIN);
}

/* ---- Life ---- */

int control_start(struct control **out, int listen_fd, struct loop *loop,
	const struct control_command *table, void *opaque, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int ret;

	if (!control)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the control socket");
	control->loop = loop;
	control->table = table;
	control->opaque = opaque;
	for (size_t i = 0; i < ARRAY_SIZE(control->clients); i++)
		control->clients[i].watch.fd = -1;
	control->accept_timer = (struct loop_timer){.fn = accept_again, .opaque = control};
	control->listener = (struct loop_fd){
		.fd = listen_fd, .events = EPOLLIN, .fn = accept_one, .opaque = control};
	/* Tests bring clients of their own. */
	ret = listen_fd >= 0 ? loop_fd_add(loop, &control->listener) : 0;
	if (ret < 0) {
		free(control);
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch the control socket: %s",
			strerror(-ret));
	}
	*out = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	loop_timer_cancel(&control->accept_timer);
	loop_fd_remove(&control->listener);
	for (size_t i = 0; i < ARRAY_SIZE(control->clients); i++) {
		if (control->clients[i].watch.fd < 0)
			continue;
		flush(&control->clients[i]);
		cut_off(&control->clients[i]);
	}
	free(control);
}
