/*
 * See unix_listen.h.
 */
#include "devices/backend/unix_listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/util.h"

int unix_listen_init(struct unix_listen *self, const char *what, const char *path, size_t path_max,
	struct err *err)
{
	*self = (struct unix_listen){.fd = -1, .what = what, .address.sun_family = AF_UNIX};
	if (!path_max)
		path_max = sizeof(self->address.sun_path) - 1;
	if (strlen(path) > path_max)
		return err_set(err, EXIT_CODE_DEVICE, ENAMETOOLONG,
			"a %s's name has at most %zu bytes, not %zu: %.100s...", what, path_max,
			strlen(path), path);
	snprintf(self->address.sun_path, sizeof(self->address.sun_path), "%s", path);
	return 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int unix_listen_connect(const struct sockaddr_un *address)
{
	int fd = new_socket(), ret;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int unix_listen_bind(struct unix_listen *self, int backlog)
{
	struct stat st;
	int fd = new_socket(), ret;

	if (fd < 0)
		return fd;
	/* The file gets its mode from the socket's, so it is never open to others. */
	if (fchmod(fd, 0600) < 0 ||
		bind(fd, (struct sockaddr *)&self->address, sizeof(self->address)) < 0 ||
		listen(fd, backlog) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	self->fd = fd;
	if (lstat(self->address.sun_path, &st) == 0) {
		self->device = st.st_dev;
		self->inode = st.st_ino;
	}
	return 0;
}

static int refuse(const struct unix_listen *self, int errnum, struct err *err)
{
	return err_set(err, EXIT_CODE_DEVICE, errnum, "can't make the %s %s: %s", self->what,
		self->address.sun_path, strerror(errnum));
}

/* The name is taken: by something else than a socket? */
static int check_kind(const struct unix_listen *self, struct err *err)
{
	struct stat st;

	if (lstat(self->address.sun_path, &st) < 0 || S_ISSOCK(st.st_mode))
		return 0;
	err_hint(err, "choose another name, or remove the file");
	return err_set(err, EXIT_CODE_DEVICE, EEXIST,
		"can't make the %s %s: there is a file of that name, and it is not a socket",
		self->what, self->address.sun_path);
}

int unix_listen_remove(const struct unix_listen *self, struct err *err)
{
	int ret = check_kind(self, err);

	if (ret < 0)
		return ret;
	if (unlink(self->address.sun_path) < 0 && errno != ENOENT)
		return err_set(err, EXIT_CODE_DEVICE, errno,
			"can't remove the left-over socket %s: %s", self->address.sun_path,
			strerror(errno));
	return 0;
}

/* By somebody who listens, by something else, or by a left-over. */
static int remove_stale(const struct unix_listen *self, struct err *err)
{
	int ret = check_kind(self, err), fd;

	if (ret < 0)
		return ret;
	fd = unix_listen_connect(&self->address);
	if (fd >= 0)
		close(fd);
	if (fd == -ENOENT)
		return 0;
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
		return refuse(self, -fd, err);
	if (fd != -ECONNREFUSED) {
		err_hint(err, "end that program, or choose another name");
		return err_set(err, EXIT_CODE_DEVICE, EADDRINUSE,
			"can't make the %s %s: another program listens on it", self->what,
			self->address.sun_path);
	}
	return unix_listen_remove(self, err);
}

int unix_listen_open(struct unix_listen *self, int backlog, struct err *err)
{
	int ret = unix_listen_bind(self, backlog);

	if (ret == -EADDRINUSE) {
		ret = remove_stale(self, err);
		if (ret < 0)
			return ret;
		ret = unix_listen_bind(self, backlog);
	}
	return ret < 0 ? refuse(self, -ret, err) : 0;
}

void unix_listen_close(struct unix_listen *self)
{
	struct stat st;

	if (self->fd < 0)
		return;
	if (self->inode && lstat(self->address.sun_path, &st) == 0 && st.st_dev == self->device &&
		st.st_ino == self->inode)
		unlink(self->address.sun_path);
	close(self->fd);
	self->fd = -1;
}
