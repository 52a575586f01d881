/*
 * See chr_fd.h. A FIFO or terminal is opened once more through /proc, which gives a
 * file description of our own where O_NONBLOCK harms no one. Where that can't be
 * had (another user's terminal, no /proc) poll() is asked first.
 *
 * Linux: proc(5) /proc/PID/fd, pipe(7), ioctl_tty(2). Any thread; no state.
 */
#include "devices/backend/chr_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/util.h"

/* Opening /dev/ptmx once more would make another pseudo-terminal. */
static bool is_pty_master(int fd)
{
	unsigned number;

	return ioctl(fd, TIOCGPTN, &number) == 0;
}

static int reopen(int fd, bool for_output)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (for_output ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void choose_for_stream(struct chr_fd *file, bool is_terminal, bool for_output)
{
	int own;

	if (fcntl(file->fd, F_GETFL) & O_NONBLOCK) {
		file->kind = CHR_FD_NONBLOCK;
		return;
	}
	own = is_terminal && is_pty_master(file->fd) ? -1 : reopen(file->fd, for_output);
	if (own >= 0) {
		if (file->is_owned)
			close(file->fd);
		file->fd = own;
		file->is_owned = true;
		file->kind = CHR_FD_NONBLOCK;
		return;
	}
	file->kind = CHR_FD_POLLED;
	/* A ready pipe takes a page; a ready terminal promises one byte only. */
	file->chunk = is_terminal && for_output ? 1 : PIPE_BUF;
}

static int init(struct chr_fd *file, int fd, bool for_output, bool is_owned)
{
	struct stat st;
	bool is_terminal;

	*file = (struct chr_fd){.fd = -1};
	if (fstat(fd, &st) < 0)
		return -errno;
	file->fd = fd;
	file->is_owned = is_owned;
	is_terminal = S_ISCHR(st.st_mode) && isatty(fd);
	if (S_ISSOCK(st.st_mode)) {
		file->kind = CHR_FD_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || is_terminal) {
		choose_for_stream(file, is_terminal, for_output);
	} else if (S_ISCHR(st.st_mode)) {
		file->kind = CHR_FD_POLLED;
		file->chunk = PIPE_BUF;
	} else {
		file->kind = CHR_FD_FILE;
	}
	return 0;
}

int chr_fd_init(struct chr_fd *file, int fd, bool for_output)
{
	return init(file, fd, for_output, false);
}

int chr_fd_init_owned(struct chr_fd *file, int fd, bool for_output)
{
	return init(file, fd, for_output, true);
}

void chr_fd_finish(struct chr_fd *file)
{
	if (file->is_owned)
		close(file->fd);
	*file = (struct chr_fd){.fd = -1};
}

static bool is_ready(const struct chr_fd *file, short events)
{
	struct pollfd pfd = {.fd = file->fd, .events = events};

	return poll(&pfd, 1, 0) > 0;
}

int64_t chr_fd_read(const struct chr_fd *file, void *data, size_t len)
{
	ssize_t n;

	if (file->kind == CHR_FD_POLLED) {
		if (!is_ready(file, POLLIN))
			return -EAGAIN;
		len = MIN(len, file->chunk);
	}
	do
		n = file->kind == CHR_FD_SOCKET ? recv(file->fd, data, len, MSG_DONTWAIT)
						: read(file->fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int64_t chr_fd_write(const struct chr_fd *file, const void *data, size_t len)
{
	ssize_t n;

	if (file->kind == CHR_FD_POLLED) {
		if (!is_ready(file, POLLOUT))
			return -EAGAIN;
		len = MIN(len, file->chunk);
	}
	do
		n = file->kind == CHR_FD_SOCKET
			? send(file->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			: write(file->fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n == 0 && file->kind == CHR_FD_FILE)
		return -EIO;
	return n < 0 ? -errno : n;
}
