/*
 * The folder in which running machines are found by their names:
 *   $XDG_RUNTIME_DIR/vmm      where that variable names a folder of ours, else
 *   /run/user/UID/vmm         where /run/user/UID is ours, else
 *   /tmp/vmm-UID
 * It has mode 0700. A machine NAME has two files there, both of mode 0600: NAME.lock,
 * locked as long as its process lives, and the socket NAME.sock.
 *
 * The lock tells who is alive, not the file: the kernel drops it with the process, however that
 * ends, so a left-over is known without asking anybody, and who takes a name has it alone.
 *
 * It knows files and names, not what is said over the socket (control.h).
 * One thread. fcntl_locking(2) "Open file description locks", unix(7).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#include "vmm/base/err.h"

enum {
	RUNTIME_NAME_MAX = 63,
	RUNTIME_PATH_MAX = 4096,
};

struct runtime_dir {
	int fd; /* -1: not open */
	char path[RUNTIME_PATH_MAX];
};

/* A name that is taken, with the socket that listens on it. */
struct runtime_name {
	struct runtime_dir dir;
	char name[RUNTIME_NAME_MAX + 1];
	int lock_fd;
	int listen_fd; /* non-blocking, listening; -1: none */
};

/* Letters, digits, '.', '_' and '-', not beginning with '.' or '-', at most RUNTIME_NAME_MAX. */
bool runtime_name_is_legal(const char *name);

/*
 * Opens the folder; makes it if there is none and `make` is true. Error: -errno and a sentence; a
 * folder that another user owns or can enter, or that is a symbolic link, is one. -ENOENT comes
 * without a sentence.
 */
int runtime_dir_open(struct runtime_dir *dir, bool make, struct err *err);
void runtime_dir_close(struct runtime_dir *dir);

/*
 * Takes the name `wanted`, or with NULL the first free one of vmm, vmm2, vmm3, ..., and listens
 * on its socket; left-overs of who had it before are removed. -EADDRINUSE and a sentence that
 * names the process when `wanted` is running. Any other error means that there is no folder to
 * use: -errno and a sentence. runtime_name_release() is legal after each, and twice.
 */
int runtime_name_claim(struct runtime_name *claim, const char *wanted, struct err *err);
void runtime_name_release(struct runtime_name *claim);

/*
 * The names of the running machines, sorted, ended by NULL; left-overs of dead ones are removed on
 * the way. free() takes it all. NULL: no memory.
 */
char **runtime_dir_list(struct runtime_dir *dir, size_t *count);

/* Removes what a machine of that name has left if no process has it. */
void runtime_dir_remove_stale(struct runtime_dir *dir, const char *name);

/*
 * Connects to a machine's socket: the descriptor (close-on-exec, non-blocking), and in *pid the
 * process that listens. -ENOENT or -ECONNREFUSED: nobody does; -EAGAIN: it takes no more.
 */
int runtime_dir_connect(const struct runtime_dir *dir, const char *name, pid_t *pid);
