/*
 * The parts of `relay`, the outer side of a nested run.
 */
#ifndef NESTED_RELAY_H
#define NESTED_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "msg.h"

#define EXIT_OWN_FAILURE 125 /* these two numbers are those of timeout(1) */
#define EXIT_TIME_LIMIT	 124

/* What the command line asked for. */
struct request {
	char **qemu; /* QEMU's own command line, ended by NULL */
	char **command;
	char **writable; /* ended by NULL */
	const char *modules;
	const char *log_path; /* NULL: the log stays in memory */
	uint32_t uid, gid, kvm_gid;
	uint64_t limit_ms;    /* of the whole run; 0: none */
	uint64_t up_limit_ms; /* for the nested host to come up */
	bool deterministic;   /* no heartbeat, no real time */
	bool never_tty;
};

/* Takes the command line apart; ends the process on one that scripts/with-kvm does not write. */
void request_parse(struct request *request, int argc, char **argv);

/* A running QEMU. */
struct host {
	pid_t pid;
	int ports[PORT_STDERR + 1]; /* our ends; -1 before the start */
	int log;		    /* its console and its own messages */
};

/* Starts QEMU, which dies with us whatever happens. 0 or -errno; waits about 50 ms. */
int host_start(struct host *host, const struct request *request);

/* Kills and reaps it, closes the ports. Keeps the log. Harmless when it is not running. */
void host_stop(struct host *host);

/* Prints the last lines of the log to standard error. */
void host_print_log(const struct host *host);

/*
 * The payload of MSG_START: command, environment, directory and the rest. The caller frees it.
 * NULL with errno set.
 */
char *host_make_orders(const struct request *request, uint32_t flags, size_t *bytes);

/* The terminal on standard input: size, raw mode, and back. Nothing happens without one. */
bool tty_wanted(const struct request *request);
struct msg_window tty_window(void);
void tty_set_raw(void);
void tty_restore(void);

/* True when reading standard input would stop us, as it does for a job in the background. */
bool tty_is_in_background(void);

/* One line on standard error, begun with "with-kvm: ". */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
