/*
 * Moves bytes from one file descriptor to another through a small buffer, never blocking.
 * Used on both sides of the nested host; knows nothing of either. One thread.
 */
#include "pump.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void pump_init(struct pump *p, int from, int to)
{
	struct stat status;

	p->from = from;
	p->to = to;
	p->write_max = PUMP_BYTES;
	p->to_socket = to >= 0 && fstat(to, &status) == 0 && S_ISSOCK(status.st_mode);
	p->start = 0;
	p->fill = 0;
	p->bytes_read = 0;
	p->bytes_limit = UINT64_MAX;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void pump_close_from(struct pump *p)
{
	close_fd(&p->from);
}

void pump_close_to(struct pump *p)
{
	close_fd(&p->to);
	p->fill = 0;
}

bool pump_is_done(const struct pump *p)
{
	return p->fill == 0 && (p->from < 0 || p->bytes_read >= p->bytes_limit);
}

void pump_want(const struct pump *p, struct pollfd *from, struct pollfd *to)
{
	bool wants_bytes = p->fill == 0 && p->bytes_read < p->bytes_limit;

	*from = (struct pollfd){.fd = wants_bytes ? p->from : -1, .events = POLLIN};
	*to = (struct pollfd){.fd = p->fill ? p->to : -1, .events = POLLOUT};
}

static void pump_read(struct pump *p)
{
	uint64_t left = p->bytes_limit - p->bytes_read;
	ssize_t got = read(p->from, p->bytes, left < PUMP_BYTES ? left : PUMP_BYTES);

	if (got > 0) {
		p->start = 0;
		p->fill = (size_t)got;
		p->bytes_read += (uint64_t)got;
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		/* A pseudo-terminal whose last user has gone says EIO: the same as an end. */
		pump_close_from(p);
	}
	if (p->to < 0)
		p->fill = 0;
}

static void pump_write(struct pump *p)
{
	size_t count = p->fill < p->write_max ? p->fill : p->write_max;
	const char *next = p->bytes + p->start;
	ssize_t put = p->to_socket ? send(p->to, next, count, MSG_DONTWAIT | MSG_NOSIGNAL)
				   : write(p->to, next, count);

	if (put >= 0) {
		p->start += (size_t)put;
		p->fill -= (size_t)put;
	} else if (errno != EAGAIN && errno != EINTR) {
		pump_close_to(p);
	}
}

void pump_run(struct pump *p, bool from_ready, bool to_ready)
{
	if (to_ready && p->fill && p->to >= 0)
		pump_write(p);
	if (from_ready && p->fill == 0 && p->from >= 0 && p->bytes_read < p->bytes_limit)
		pump_read(p);
}

int write_all(int fd, const void *bytes, size_t count)
{
	const char *next = bytes;

	while (count > 0) {
		ssize_t put = write(fd, next, count);

		if (put < 0 && errno == EAGAIN) {
			struct pollfd room = {.fd = fd, .events = POLLOUT};

			poll(&room, 1, -1);
		} else if (put < 0 && errno != EINTR) {
			return -errno;
		} else if (put > 0) {
			next += put;
			count -= (size_t)put;
		}
	}
	return 0;
}
