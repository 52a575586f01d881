/*
 * The debugger's door: gdb's remote serial protocol on a UNIX socket or a TCP port. One debugger at
 * a time; when it leaves, in whatever way, the guest runs on as if it had never been there.
 *
 * Whoever can connect has the whole guest, but nothing of the host: a TCP port of this host is open
 * to each of its users, a UNIX socket to its owner alone.
 *
 * Threads: the loop's. Nothing waits for the client; one that does not read is not read from.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"
#include "vmm/gdb_config.h"
#include "vmm/gdb_session.h"

struct gdb;

/* Listens. All is borrowed until gdb_stop(). Error: -errno and a sentence. NULL may be stopped. */
int gdb_start(struct gdb **gdb, struct loop *loop, const struct gdb_config *config,
	const struct gdb_target *target, struct err *err);
void gdb_stop(struct gdb *gdb);

/* Takes a connected socket as the client, if there is none; for tests. It is owned. */
int gdb_add_client(struct gdb *gdb, int fd);

/* The debugger's commands are for this; NULL while nobody is connected. */
struct gdb_session *gdb_session(struct gdb *gdb);

/* Something was said to the session: what it answers goes out. */
void gdb_flush(struct gdb *gdb);

/* Is there an INT3 of the debugger's? Any thread, see gdb_break.h. */
bool gdb_has_break(struct gdb *gdb, const struct page_walk_regs *walk, uint64_t linear);
