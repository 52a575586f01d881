/*
 * vmm console: joins this process's standard input and output to a console of a running machine,
 * over its control socket.
 *
 * The near side is the same back end that a machine has on a terminal (chr_stdio.c), so raw mode,
 * escape keys, pipes and slow readers behave alike; this file is its front end, and the socket
 * stands for the device. Both directions have flow control: the socket is read when standard
 * output has room, and standard input when the socket has.
 *
 * One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "devices/backend/chr.h"
#include "vmm/base/log.h"
#include "vmm/base/ring.h"
#include "vmm/control_client.h"
#include "vmm/running.h"

enum {
	SIDE_PATIENCE_MS = 500, /* for what is asked beside the connection */
	TO_GUEST_BYTES = 65536,
};

struct console_options {
	const char *console;
	bool send;
};

struct session {
	struct console_options options;
	struct loop *loop;
	struct chr *chr;
	struct chr_front front;
	struct control_link link;
	struct control_answer answer;
	struct loop_fd watch;
	struct ring to_guest;
	uint8_t to_guest_bytes[TO_GUEST_BYTES];
	bool input_ended;
	bool has_shut; /* and the machine was told */
};

/* ---- The socket ---- */

static void end(struct session *session)
{
	loop_fd_set_events(&session->watch, 0);
	loop_stop(session->loop, 0);
}

static void watch(struct session *session)
{
	uint32_t events = 0;

	if (chr_room(session->chr))
		events |= EPOLLIN;
	if (ring_used(&session->to_guest))
		events |= EPOLLOUT;
	loop_fd_set_events(&session->watch, events);
}

static void send_input(struct session *session)
{
	while (ring_used(&session->to_guest)) {
		const uint8_t *piece;
		size_t len = ring_peek(&session->to_guest, &piece);
		ssize_t n = send(session->link.fd, piece, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0) {
			/* When the machine has ended, what it said last may still be there to read. */
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				ring_clear(&session->to_guest);
			break;
		}
		ring_drop(&session->to_guest, (size_t)n);
	}
	if (session->input_ended && !ring_used(&session->to_guest) && !session->has_shut) {
		session->has_shut = true;
		shutdown(session->link.fd, SHUT_WR);
	}
}

static void receive_output(struct session *session)
{
	uint8_t data[16384];
	size_t room = MIN(chr_room(session->chr), sizeof(data));
	ssize_t n;

	if (!room)
		return;
	n = recv(session->link.fd, data, room, MSG_DONTWAIT);
	if (n > 0)
		chr_write(session->chr, data, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		end(session);
}

static void handle_socket(void *opaque, uint32_t events)
{
	struct session *session = opaque;

	(void)events;
	send_input(session);
	chr_accept_input(session->chr);
	watch(session);
	receive_output(session);
}

/* ---- Standard input and output ---- */

static size_t can_take(void *opaque)
{
	return ring_free(&((struct session *)opaque)->to_guest);
}

static void take_input(void *opaque, const uint8_t *data, size_t len)
{
	struct session *session = opaque;

	ring_put(&session->to_guest, data, len);
	send_input(session);
	watch(session);
}

static void input_end(void *opaque)
{
	struct session *session = opaque;

	session->input_ended = true;
	send_input(session);
}

static void output_room(void *opaque)
{
	watch(opaque);
}

/* What is no byte of the console's goes over a connection of its own. */
static void ask_beside(struct session *session, const char *request)
{
	struct err silence = ERR_INIT;
	struct control_link link;

	if (control_open(&link, session->link.name, &silence) == 0)
		control_ask(&link, request, SIDE_PATIENCE_MS, &session->answer, &silence);
	control_close(&link);
}

static void send_break(void *opaque)
{
	struct session *session = opaque;
	char request[CONTROL_LINE_MAX];

	snprintf(request, sizeof(request), "break %s", session->options.console);
	ask_beside(session, request);
}

static void tell_size(void *opaque)
{
	struct session *session = opaque;
	char request[CONTROL_LINE_MAX];
	unsigned columns, rows;

	if (!chr_get_size(session->chr, &columns, &rows))
		return;
	snprintf(request, sizeof(request), "resize %s %u %u", session->options.console, columns,
		rows);
	ask_beside(session, request);
}

static void handle_key(void *opaque, enum chr_escape_key key)
{
	struct session *session = opaque;

	switch (key) {
	case CHR_ESCAPE_QUIT:
	case CHR_ESCAPE_DETACH:
		log_info("left %s; it runs on", session->link.name);
		end(session);
		break;
	case CHR_ESCAPE_HELP:
		log_info("Ctrl-a d  leave, the machine runs on  Ctrl-a Ctrl-a  send a Ctrl-a");
		log_info("Ctrl-a b  send a break                Ctrl-a h       this help");
		break;
	default:
		break;
	}
}

/* ---- The session ---- */

static int open_near_side(struct session *session, struct err *err)
{
	int ret = loop_create(&session->loop, err);

	if (ret == 0)
		ret = chr_open(&session->chr, "stdio", session->loop, err);
	if (ret < 0)
		return ret;
	ring_init(&session->to_guest, session->to_guest_bytes, TO_GUEST_BYTES);
	session->front = (struct chr_front){.can_take = can_take,
		.input = take_input,
		.line_break = send_break,
		.room = output_room,
		.input_end = input_end,
		.host_changed = tell_size,
		.opaque = session};
	chr_set_escape(session->chr, handle_key, session);
	return 0;
}

static int join(struct session *session, const char *name, struct err *err)
{
	char request[CONTROL_LINE_MAX * 2];
	int ret = control_open(&session->link, name, err);

	snprintf(request, sizeof(request), "console %s%s", session->options.console,
		session->options.send ? " send" : "");
	if (ret == 0)
		ret = control_ask(
			&session->link, request, CONTROL_PATIENCE_MS, &session->answer, err);
	if (ret == 0 && session->answer.len)
		ret = err_set(err, EXIT_CODE_NAME, EPROTO,
			"the machine %s gives no answer that this vmm understands", name);
	if (ret < 0)
		return ret;
	session->watch = (struct loop_fd){
		.fd = session->link.fd, .events = EPOLLIN, .fn = handle_socket, .opaque = session};
	ret = loop_fd_add(session->loop, &session->watch);
	if (ret < 0)
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch the connection: %s",
			strerror(-ret));
	return chr_attach(session->chr, &session->front, err);
}

static void close_session(struct session *session)
{
	loop_fd_remove(&session->watch);
	if (session->chr)
		chr_detach(session->chr, &session->front);
	chr_close(session->chr);
	control_close(&session->link);
	loop_destroy(session->loop);
	free(session);
}

static const struct opt console_options[] = {
	{.name = "console",
		.letter = 'c',
		.type = OPT_TEXT,
		.offset = offsetof(struct console_options, console),
		.value = "CONSOLE",
		.help = "Which console."},
	{.name = "send",
		.type = OPT_FLAG,
		.offset = offsetof(struct console_options, send),
		.help = "Leave when the guest has taken all of standard input."},
	OPT_END,
};

/* A word of the request: it must not become two, or none. */
static int check_console(const char *name, struct err *err)
{
	if (*name && strlen(name) < CONTROL_LINE_MAX / 2 && !strpbrk(name, " \n"))
		return 0;
	return err_set(
		err, EXIT_CODE_USAGE, EINVAL, "console: '%.60s' is no name of a console", name);
}

int run_console(int argc, char *const *argv, struct err *err)
{
	struct console_options options = {.console = "-"};
	struct running_words words;
	struct session *session;
	int ret = running_parse(
		"console", console_options, argc, argv, &options, &words, 1, 1, "a NAME", err);

	if (ret == 0)
		ret = check_console(options.console, err);
	if (ret < 0)
		return (int)err->kind;
	session = calloc(1, sizeof(*session));
	if (!session) {
		err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a connection");
		return EXIT_CODE_INTERNAL;
	}
	session->options = options;
	session->link.fd = session->link.pidfd = -1;
	session->watch.fd = -1;
	ret = open_near_side(session, err);
	if (ret == 0)
		ret = join(session, words.at[0], err);
	if (ret == 0) {
		if (chr_is_terminal(session->chr))
			log_info("on the console of %s; Ctrl-a d leaves, Ctrl-a h helps",
				session->link.name);
		tell_size(session);
		loop_run(session->loop);
	}
	close_session(session);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}
