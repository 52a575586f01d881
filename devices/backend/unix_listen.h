/*
 * A UNIX stream socket that listens under a name in the file system, for consoles, vsock, networks
 * and VNC. unix(7).
 *
 * The file has mode 0600: whoever can connect has what is behind it. A socket file that nobody
 * listens on is a left-over and is replaced; anything else of that name is left alone. At the end
 * the file goes away if it still is ours.
 *
 * Threads: none of its own; a struct belongs to its caller.
 */
#pragma once

#include <sys/stat.h>
#include <sys/un.h>

#include "vmm/base/err.h"

struct unix_listen {
	int fd;		  /* non-blocking; -1: does not listen */
	const char *what; /* in sentences, "console socket"; borrowed */
	struct sockaddr_un address;
	/* private to unix_listen.c: the socket file, to remove no other */
	dev_t device;
	ino_t inode;
};

/*
 * Takes the name, which has at most `path_max` bytes, or (0) as many as a socket's may have.
 * -ENAMETOOLONG and a sentence; unix_listen_close() is legal afterwards.
 */
int unix_listen_init(struct unix_listen *self, const char *what, const char *path, size_t path_max,
	struct err *err);

/* Listens, and replaces a left-over. -errno and a sentence. */
int unix_listen_open(struct unix_listen *self, int backlog, struct err *err);

/* Stops and removes the file. Legal when it does not listen. */
void unix_listen_close(struct unix_listen *self);

/* ---- Steps of unix_listen_open(), for who looks by himself whether somebody listens ---- */

/* Listens if the name is free: -EADDRINUSE, or another -errno. No sentence. */
int unix_listen_bind(struct unix_listen *self, int backlog);

/* A connection to the name, non-blocking; or -errno. No sentence. */
int unix_listen_connect(const struct sockaddr_un *address);

/* Nobody listens there: removes the file if it is a socket. -EEXIST, -errno and a sentence. */
int unix_listen_remove(const struct unix_listen *self, struct err *err);
