/*
 * The parts of process 1 of the nested host.
 */
#ifndef NESTED_INIT_H
#define NESTED_INIT_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"

/* What relay asked for. All strings point into the message, which is kept. */
struct orders {
	struct msg_start start;
	const char *directory;
	const char *modules; /* folder with modules for modprobe; "" if none */
	char **arguments;    /* ended by NULL */
	char **environment;  /* ended by NULL */
	char **writable;     /* rwc folders */
};

/* Takes the message apart; false when it does not hold what it says. */
bool orders_parse(struct orders *orders, char *payload, size_t bytes);

/* Loads the modules and makes this machine's file system, with a throw-away layer, the root. */
void root_assemble(void);

/* What needs the orders: writable folders, devices' owners, clock. NULL, or what failed (errno). */
const char *root_finish(const struct orders *orders);

/* Writes the writable folders' last bytes out and lets go of them. */
void root_release(const struct orders *orders);

/* Prints to the nested host's console and powers it off. */
void die(const char *what) __attribute__((noreturn));

#endif
