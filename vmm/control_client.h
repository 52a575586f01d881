/*
 * The other side of control.h: finds a running machine by its name, asks it, and waits for the
 * answer, but no longer than told. What answers need not be a vmm in good health: it may be
 * stopped, ending, or a program that lies.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "vmm/base/err.h"
#include "vmm/control.h"
#include "vmm/runtime_dir.h"

enum {
	CONTROL_PATIENCE_MS = 3000,
};

struct control_link {
	char name[RUNTIME_NAME_MAX + 1];
	int fd;	   /* the connection, non-blocking */
	pid_t pid; /* of who listens */
	int pidfd; /* the same process and no later one of that number; -1: not to be had */
};

struct control_answer {
	size_t len;
	char text[CONTROL_TEXT_MAX + 1]; /* ended by a zero byte */
};

/*
 * Connects to the machine NAME. Error: -errno and a sentence; kind EXIT_CODE_NAME when no machine
 * of that name runs, with the nearest name as hint.
 */
int control_open(struct control_link *link, const char *name, struct err *err);

/* The same in a folder that is open; -ENOENT or -ECONNREFUSED without a sentence when it is gone. */
int control_open_in(struct control_link *link, const struct runtime_dir *dir, const char *name);

/* For tests: a link over a connected socket (owned), with whoever is there. */
void control_open_fd(struct control_link *link, const char *name, int fd);

void control_close(struct control_link *link);

/*
 * Sends `request` (without a line feed) and reads the answer. Error: -errno and a sentence of kind
 * EXIT_CODE_NAME. -EREMOTEIO: the machine refused, and the sentence is its own; -ETIMEDOUT: no
 * whole answer in time; -EPROTO: no answer of the protocol; -EPIPE: it ended meanwhile.
 */
int control_ask(struct control_link *link, const char *request, unsigned patience_ms,
	struct control_answer *answer, struct err *err);

/*
 * The same for a command that sends an open file along: *fd is the caller's to close, or -1 when
 * none came. Error: *fd is -1.
 */
int control_ask_file(struct control_link *link, const char *request, unsigned patience_ms,
	struct control_answer *answer, int *fd, struct err *err);

/* Waits for the end of the machine's process: 0, or -ETIMEDOUT. */
int control_wait_end(struct control_link *link, unsigned timeout_ms);

/* The value of KEY in a text of lines KEY=VALUE: its length, and where it is; NULL: none. */
const char *control_find_value(const char *text, const char *key, size_t *len);
