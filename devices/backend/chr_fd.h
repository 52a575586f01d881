/*
 * Non-blocking reads and writes on a descriptor that others may share: the
 * shell's terminal, a pipe, a file. O_NONBLOCK is never set on a shared file
 * description, because it would stay set for whoever shares it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chr_fd_kind {
	CHR_FD_NONBLOCK, /* O_NONBLOCK is set, on a file description of our own or before us */
	CHR_FD_SOCKET,	 /* MSG_DONTWAIT */
	CHR_FD_FILE,	 /* a regular file or block device: never waits */
	CHR_FD_POLLED,	 /* asked by poll() before each small transfer */
};

struct chr_fd {
	int fd; /* -1: none */
	bool is_owned;
	enum chr_fd_kind kind;
	size_t chunk; /* CHR_FD_POLLED: bytes that a ready descriptor takes for certain */
};

/* Looks at `fd` and finds its way. -errno when it is not open. chr_fd_finish() undoes it. */
int chr_fd_init(struct chr_fd *file, int fd, bool for_output);

/* The same for a descriptor that is ours; it is closed by chr_fd_finish(). */
int chr_fd_init_owned(struct chr_fd *file, int fd, bool for_output);

void chr_fd_finish(struct chr_fd *file);

/* Bytes moved, 0 at the end of input, -EAGAIN, or another -errno. */
int64_t chr_fd_read(const struct chr_fd *file, void *data, size_t len);
int64_t chr_fd_write(const struct chr_fd *file, const void *data, size_t len);
