/*
 * Where something listens for programs: a UNIX socket or a TCP port. From text, and onto the host.
 *
 * An address in numbers only: no name service is asked. Functions without a state, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

enum {
	LISTEN_PATH_MAX = 107,
	LISTEN_HOST_MAX = 45, /* an IPv6 address in its longest form */
};

struct listen_address {
	char path[LISTEN_PATH_MAX + 1]; /* of a UNIX socket; or "": */
	char host[LISTEN_HOST_MAX + 1]; /* an address in numbers */
	uint16_t port;
};

/*
 * Reads "unix:PATH", "PORT", "ADDRESS:PORT" or "[IPV6]:PORT"; PORT alone is on 127.0.0.1, and
 * ADDRESS may be "localhost". `name` opens the sentences. Error: -errno and a sentence of kind
 * EXIT_CODE_USAGE.
 */
int listen_address_parse(
	struct listen_address *address, const char *name, const char *text, struct err *err);

/* Can others than this host's own programs connect? */
bool listen_address_is_public(const struct listen_address *address);

/*
 * Listens on a TCP port, for an address without a path (else see unix_listen.h). `what` ("VNC")
 * opens the sentence. Result: a non-blocking descriptor, the caller's; or -errno and a sentence.
 */
int listen_address_open_port(
	const struct listen_address *address, const char *what, int backlog, struct err *err);

/*
 * For a connection that was accepted: many small packets, each of which is waited for, and an end
 * that vanishes without a word is found out within two minutes or so. Without effect on a UNIX
 * socket.
 */
void listen_address_tune(int fd);
