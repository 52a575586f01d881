/*
 * The console on FIFOs: PATH.in to the guest and PATH.out from it, or one FIFO
 * PATH for output alone (with one FIFO for both the guest would read its own
 * output).
 *
 * A FIFO is a pipe: nothing is lost, so a FIFO that nobody reads stops the guest's
 * output once the pipe and our ring are full. Who wants a console that may be
 * left alone uses unix:PATH. FIFOs are opened for reading and writing, so that
 * opening waits for nobody and a reader may come and go. fifo(7).
 *
 * Threads: see chr.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/backend/chr_fd.h"
#include "devices/backend/chr_impl.h"
#include "vmm/base/log.h"

enum {
	CLOSE_CHECK_MS = 10,
	CLOSE_CHECKS = 100,
};

struct chr_pipe {
	struct chr chr;
	struct chr_fd in, out;
};

static int64_t pipe_write(struct chr *chr, const void *data, size_t len)
{
	return chr_fd_write(&((struct chr_pipe *)chr)->out, data, len);
}

static int64_t pipe_read(struct chr *chr, void *data, size_t len)
{
	return chr_fd_read(&((struct chr_pipe *)chr)->in, data, len);
}

/* What is still in a FIFO when its last user closes it is gone: give a reader its time. */
static void wait_for_reader(const struct chr *chr, int fd)
{
	const struct timespec pause = {.tv_nsec = CLOSE_CHECK_MS * 1000000};
	int left = 0;

	for (int i = 0; i < CLOSE_CHECKS; i++) {
		if (ioctl(fd, FIONREAD, &left) < 0 || !left)
			return;
		nanosleep(&pause, NULL);
	}
	log_warn("%s: nobody has read the last %d bytes of the guest's output", chr->name, left);
}

static void pipe_close(struct chr *chr)
{
	struct chr_pipe *self = (struct chr_pipe *)chr;

	wait_for_reader(chr, self->out.fd);
	chr_fd_finish(&self->in);
	chr_fd_finish(&self->out);
	chr_finish(chr);
	free(self);
}

static const struct chr_ops pipe_ops = {
	.write = pipe_write, .read = pipe_read, .close = pipe_close};

/* -ENOENT without a sentence, or -errno with one. */
static int open_fifo(struct chr_fd *file, const char *path, bool for_output, struct err *err)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_set(err, EXIT_CODE_DEVICE, errno, "can't use %.400s as a console: %s",
			path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
		close(fd);
		err_set(err, EXIT_CODE_DEVICE, EINVAL,
			"can't use %.400s as a console: it is not a FIFO", path);
		err_hint(err, "make one with mkfifo, or use file:PATH");
		return -EINVAL;
	}
	return chr_fd_init_owned(file, fd, for_output);
}

static int open_out_of_pair(struct chr_pipe *self, const char *path, struct err *err)
{
	char name[PATH_MAX];
	int ret;

	snprintf(name, sizeof(name), "%s.out", path);
	ret = open_fifo(&self->out, name, true, err);
	if (ret == -ENOENT) {
		err_set(err, EXIT_CODE_DEVICE, ENOENT,
			"can't use %s as a console: there is %s.in, but no %s.out", path, path,
			path);
		err_hint(err, "make it with: mkfifo %s.out", path);
	}
	return ret;
}

static int open_fifos(struct chr_pipe *self, const char *path, struct err *err)
{
	char name[PATH_MAX];
	int ret;

	if (strlen(path) + sizeof(".out") > sizeof(name))
		return err_set(err, EXIT_CODE_DEVICE, ENAMETOOLONG,
			"can't use a FIFO as a console: its name is longer than %d bytes",
			PATH_MAX);
	snprintf(name, sizeof(name), "%s.in", path);
	ret = open_fifo(&self->in, name, false, err);
	if (ret >= 0)
		return open_out_of_pair(self, path, err);
	if (ret != -ENOENT)
		return ret;
	ret = open_fifo(&self->out, path, true, err);
	if (ret == -ENOENT) {
		err_set(err, EXIT_CODE_DEVICE, ENOENT,
			"can't use %s as a console: there is neither %s.in nor %s", path, path,
			path);
		err_hint(err, "make the FIFOs with: mkfifo %s.in %s.out", path, path);
	}
	return ret;
}

int chr_pipe_open(struct chr **out, const char *path, struct loop *loop, struct err *err)
{
	struct chr_pipe *self = calloc(1, sizeof(*self));
	int ret;

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	self->in.fd = self->out.fd = -1;
	ret = chr_init(&self->chr, &pipe_ops, loop, CHR_INPUT_BYTES, false, err);
	if (ret < 0)
		goto fail_init;
	chr_set_name(&self->chr, path);
	ret = open_fifos(self, path, err);
	if (ret < 0)
		goto fail_open;
	chr_set_input_fd(&self->chr, self->in.fd);
	chr_set_output_fd(&self->chr, self->out.fd);
	*out = &self->chr;
	return 0;

fail_open:
	chr_fd_finish(&self->in);
	chr_fd_finish(&self->out);
	chr_finish(&self->chr);
fail_init:
	free(self);
	return ret;
}
