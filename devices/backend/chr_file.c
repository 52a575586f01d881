/*
 * The console into a file, which is emptied first: a log of this run. Devices and
 * FIFOs with a reader work as well. No input.
 *
 * A full disk ends the log with one line on stderr and never stops the guest.
 * Threads: see chr.h. A write to a slow disk holds the thread that prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/chr_fd.h"
#include "devices/backend/chr_impl.h"

struct chr_file {
	struct chr chr;
	struct chr_fd out;
};

static int64_t file_write(struct chr *chr, const void *data, size_t len)
{
	return chr_fd_write(&((struct chr_file *)chr)->out, data, len);
}

static void file_close(struct chr *chr)
{
	struct chr_file *file = (struct chr_file *)chr;

	chr_fd_finish(&file->out);
	chr_finish(chr);
	free(file);
}

static const struct chr_ops file_ops = {.write = file_write, .close = file_close};

/*
 * The lock that disk images are held by. A console that is put, by a slip of the hand,
 * into an image that a machine uses must not empty it.
 */
static int claim(int fd, const char *path, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	/* A file system without locks is no reason to refuse a log. */
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES)) {
		err_set(err, EXIT_CODE_DEVICE, EBUSY,
			"can't write the console to %.400s: a running machine uses that file",
			path);
		err_hint(err, "give each console a file of its own");
		return -EBUSY;
	}
	if (ftruncate(fd, 0) < 0)
		return err_set(err, EXIT_CODE_DEVICE, errno, "can't empty %.400s: %s", path,
			strerror(errno));
	return 0;
}

static int open_output(const char *path, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO without a reader must not wait for one. */
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	int ret;

	if (fd >= 0) {
		ret = claim(fd, path, err);
		if (ret < 0)
			close(fd);
		return ret < 0 ? ret : fd;
	}
	if (errno == ENXIO) {
		err_set(err, EXIT_CODE_DEVICE, ENXIO,
			"can't write the console to %.400s: it is a FIFO that nobody reads, or a "
			"socket",
			path);
		err_hint(err, "use pipe:%s or unix:%s", path, path);
		return -ENXIO;
	}
	return err_set(err, EXIT_CODE_DEVICE, errno, "can't write the console to %.400s: %s", path,
		strerror(errno));
}

int chr_file_open(struct chr **out, const char *path, struct loop *loop, struct err *err)
{
	struct chr_file *file = calloc(1, sizeof(*file));
	int ret, fd;

	if (!file)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	ret = chr_init(&file->chr, &file_ops, loop, CHR_INPUT_BYTES, false, err);
	if (ret < 0)
		goto fail_init;
	chr_set_name(&file->chr, path);
	fd = open_output(path, err);
	if (fd < 0) {
		ret = fd;
		goto fail_open;
	}
	chr_fd_init_owned(&file->out, fd, true);
	chr_set_output_fd(&file->chr, fd);
	*out = &file->chr;
	return 0;

fail_open:
	chr_finish(&file->chr);
fail_init:
	free(file);
	return ret;
}
