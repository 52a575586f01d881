/*
 * The console on a new pseudo-terminal, whose name is printed: for a terminal
 * program that is started later.
 *
 * Nobody need be attached: output then does not wait, and the last 64 KiB are
 * shown to who attaches. The kernel does not announce that a pseudo-terminal was
 * opened, so while nobody is there it is looked at four times a second. pty(7).
 *
 * Threads: see chr.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "devices/backend/chr_impl.h"
#include "vmm/base/log.h"

#define ATTACH_CHECK_NS UINT64_C(250000000)

enum {
	CLOSE_CHECK_MS = 10,
	CLOSE_CHECKS = 100,
};

struct chr_pty {
	struct chr chr;
	int master;
	int master_out; /* the same once more: input and output are watched apart */
	struct loop_timer attach_timer;
};

static int64_t pty_write(struct chr *chr, const void *data, size_t len)
{
	ssize_t n = write(((struct chr_pty *)chr)->master_out, data, len);

	return n < 0 ? -errno : n;
}

static int64_t pty_read(struct chr *chr, void *data, size_t len)
{
	ssize_t n = read(((struct chr_pty *)chr)->master, data, len);

	return n < 0 ? -errno : n;
}

/*
 * Makes the other end ready for who comes next. Raw, or the guest would read its own
 * output as an echo; without what the last one left unread, because the history is shown
 * instead; and, opened and closed once, it counts as hung up until somebody comes.
 */
static int prepare_slave(const char *name)
{
	int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), ret = 0;
	struct termios settings;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &settings) < 0) {
		ret = -errno;
	} else {
		cfmakeraw(&settings);
		if (tcsetattr(fd, TCSANOW, &settings) < 0 || tcflush(fd, TCIFLUSH) < 0)
			ret = -errno;
	}
	close(fd);
	return ret;
}

static bool is_attached(int master)
{
	struct pollfd pfd = {.fd = master};

	return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP);
}

static void check_attached(void *opaque)
{
	struct chr_pty *pty = opaque;

	if (is_attached(pty->master))
		chr_host_attach(&pty->chr, pty->master, pty->master_out);
	else
		loop_timer_arm(pty->chr.loop, &pty->attach_timer, ATTACH_CHECK_NS);
}

static void pty_gone(struct chr *chr)
{
	struct chr_pty *pty = (struct chr_pty *)chr;

	/* Nothing worse than old bytes can come of a failure. */
	prepare_slave(chr->name);
	loop_timer_arm(chr->loop, &pty->attach_timer, ATTACH_CHECK_NS);
}

/* Closing our end throws away what the other end has not read: give it its time. */
static void wait_for_reader(const struct chr_pty *pty)
{
	const struct timespec pause = {.tv_nsec = CLOSE_CHECK_MS * 1000000};
	int slave, left = 0, empty = 0;

	if (!is_attached(pty->master))
		return;
	slave = open(pty->chr.name, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (slave < 0)
		return;
	/* Twice empty: between the two the kernel may still move bytes towards the reader. */
	for (int i = 0; i < CLOSE_CHECKS && empty < 2; i++) {
		if (ioctl(slave, FIONREAD, &left) < 0)
			break;
		empty = left ? 0 : empty + 1;
		nanosleep(&pause, NULL);
	}
	close(slave);
}

static void pty_close(struct chr *chr)
{
	struct chr_pty *pty = (struct chr_pty *)chr;

	loop_timer_cancel(&pty->attach_timer);
	wait_for_reader(pty);
	close(pty->master);
	close(pty->master_out);
	chr_finish(chr);
	free(pty);
}

/* As whoever attached has set it. Changes after that are not told to this end. */
static bool pty_get_size(struct chr *chr, unsigned *columns, unsigned *rows)
{
	struct winsize size;

	if (ioctl(((struct chr_pty *)chr)->master, TIOCGWINSZ, &size) < 0 || !size.ws_col ||
		!size.ws_row)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return true;
}

static const struct chr_ops pty_ops = {
	.write = pty_write,
	.read = pty_read,
	.gone = pty_gone,
	.get_size = pty_get_size,
	.close = pty_close,
};

static int open_master(struct chr_pty *pty)
{
	char name[CHR_NAME_MAX];

	pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (pty->master < 0 || grantpt(pty->master) < 0 || unlockpt(pty->master) < 0)
		return -errno;
	if (ptsname_r(pty->master, name, sizeof(name)) != 0)
		return -errno;
	chr_set_name(&pty->chr, name);
	pty->master_out = fcntl(pty->master, F_DUPFD_CLOEXEC, 0);
	if (pty->master_out < 0)
		return -errno;
	return prepare_slave(name);
}

int chr_pty_open(struct chr **out, const char *path, struct loop *loop, struct err *err)
{
	struct chr_pty *pty = calloc(1, sizeof(*pty));
	int ret;

	(void)path;
	if (!pty)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	pty->master = pty->master_out = -1;
	pty->attach_timer = (struct loop_timer){.fn = check_attached, .opaque = pty};
	ret = chr_init(&pty->chr, &pty_ops, loop, CHR_INPUT_BYTES, true, err);
	if (ret < 0)
		goto fail_init;
	ret = open_master(pty);
	if (ret < 0) {
		err_set(err, EXIT_CODE_DEVICE, -ret, "can't make a pseudo-terminal: %s",
			strerror(-ret));
		err_hint(err, "is /dev/pts mounted?");
		goto fail_open;
	}
	loop_timer_arm(loop, &pty->attach_timer, ATTACH_CHECK_NS);
	/* Not a warning, but who asked for it must learn the name even with --quiet. */
	log_warn("the console is on %s", pty->chr.name);
	*out = &pty->chr;
	return 0;

fail_open:
	if (pty->master >= 0)
		close(pty->master);
	if (pty->master_out >= 0)
		close(pty->master_out);
	chr_finish(&pty->chr);
fail_init:
	free(pty);
	return ret;
}
