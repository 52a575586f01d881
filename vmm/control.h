/*
 * The control socket of a running machine: takes requests of one line and answers them, on the
 * loop's thread, without ever waiting for a client.
 *
 * The protocol. A request is a line of printable ASCII: a command and its words, with one space
 * between, at most CONTROL_LINE_MAX bytes with the line feed. The answer is a line and a text:
 *
 *     ok LENGTH\n      or      error LENGTH\n      then LENGTH bytes
 *
 * The text of an error is one sentence; that of a success is for the command to say, most often
 * lines KEY=VALUE. With its first byte may come an open file (unix(7), SCM_RIGHTS), as the command
 * says. Then the next request may come. A command may take the connection over (the console does):
 * after "ok 0\n" it carries the console's bytes in both directions.
 *
 * A new command is one entry of a table of struct control_command (vm_commands.c) and its
 * function; one that makes a verb has an entry in verbs.h and a function in running_verbs.c too.
 *
 * Who may connect: the file is its owner's alone (0600); besides, every client's uid must be ours
 * or root's.
 *
 * Threats
 *   what a client can send or do    limit                                   where       test
 *   bytes without a line feed       CONTROL_LINE_MAX, then cut off          take_line   endless_line
 *   bytes that are no text          cut off after one error                 take_line   garbage
 *   requests, no answer read        one answer is kept; no more is read     watch       never_reads
 *   many connections                CONTROL_CLIENTS_MAX; whoever has been   accept_one  many_clients
 *                                   silent longest is cut off for a new one
 *   an answer of any length         CONTROL_TEXT_MAX, cut                   print       long_answer
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

enum {
	CONTROL_CLIENTS_MAX = 16,
	CONTROL_LINE_MAX = 256,
	CONTROL_WORDS_MAX = 8, /* behind the command */
	CONTROL_TEXT_MAX = 32768,
};

struct control;
struct control_call;

struct control_command {
	const char *name;
	const char *words; /* for people: "NAME [up|down]"; "" for none */
	unsigned words_min, words_max;
	/* `opaque` is that of control_start(). */
	void (*fn)(struct control_call *call, void *opaque);
};

/* One request, valid while its function runs. */
struct control_call {
	const struct control_command *command;
	unsigned word_count;
	const char *words[CONTROL_WORDS_MAX];
	/* private to control.c */
	struct control_client *client;
	bool failed;
	bool taken;
	int fd; /* to be sent along, or -1 */
	size_t text_len;
	char *text;
};

/* Adds to the answer's text. */
void control_print(struct control_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes the answer an error with this sentence (no full stop at its end). The first one counts. */
void control_fail(struct control_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

/* Sends an open file along with the answer; it is owned from now on. One; none with an error. */
void control_attach(struct control_call *call, int fd);

/*
 * For a command that takes the connection over: the socket, with nothing left to read. It is
 * the server's; after control_take() the server sends no answer and closes it, so a duplicate has
 * to be made. -1 and a failed call when the client has said more already.
 */
int control_socket(struct control_call *call);
void control_take(struct control_call *call);

/*
 * Serves `listen_fd` (borrowed) with the commands of `table`, ended by a zero entry. "help" is
 * answered from the table. Error: -errno and a sentence. control_stop(NULL) is legal; it sends
 * what can be sent at once.
 */
int control_start(struct control **control, int listen_fd, struct loop *loop,
	const struct control_command *table, void *opaque, struct err *err);
void control_stop(struct control *control);

/* Takes a connected socket as a client of its own, whoever is there; for tests. It is owned. */
int control_add_client(struct control *control, int fd);
