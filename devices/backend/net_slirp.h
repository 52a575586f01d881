/*
 * A TCP/IP stack in user space (libslirp) as a thing that is given frames, gives frames, and
 * waits for what comes next. For net_user.c only.
 *
 * Threads: one for each net_slirp; several of them in a process take turns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/backend/net.h"
#include "vmm/base/err.h"

struct net_slirp;

/* Debian's name of what net_slirp_load() looks for, for sentences. */
#define NET_SLIRP_PACKAGE "libslirp0"

/* Loads the library, once for the process; later calls cost next to nothing. False: not here. */
bool net_slirp_load(void);

/*
 * Uses mtu, restricted, forwards and mac of `config`; opens the forwarded ports. `deliver` is given
 * each frame for the guest, inside the two functions below. Error: -errno and a sentence of
 * kind EXIT_CODE_DEVICE.
 */
int net_slirp_create(struct net_slirp **slirp, const struct net_config *config,
	void (*deliver)(void *opaque, const uint8_t *frame, size_t len), void *opaque,
	struct err *err);
void net_slirp_destroy(struct net_slirp *slirp); /* NULL is legal */

/*
 * A frame from the guest, of any content. False: it would open a connection, and the guest has as
 * many as it may; it was not looked at.
 */
bool net_slirp_input(struct net_slirp *slirp, const uint8_t *frame, size_t len);

/*
 * Waits until `wake_fd` can be read, a socket has something, or a timer is due; at once
 * with `poll_only`. Then does what is due. Without `sockets` it waits for `wake_fd` alone. True when
 * `wake_fd` can be read.
 */
bool net_slirp_wait(struct net_slirp *slirp, int wake_fd, bool sockets, bool poll_only);
