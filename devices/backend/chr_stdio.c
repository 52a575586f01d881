/*
 * The console on standard input and output, whatever they are: a terminal, pipes,
 * files, sockets, /dev/null, or closed. On a terminal Ctrl-a is the escape key, and
 * the terminal goes raw (term.h) when the loop first runs with a front end that
 * wants input; nothing is read from it while it is not raw, because then it
 * belongs to the shell.
 *
 * The end of standard input ends the input and nothing else. There is one standard
 * input, so there is one such back end per process.
 *
 * Threads: see chr.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/backend/chr_fd.h"
#include "devices/backend/chr_impl.h"
#include "devices/backend/term.h"

struct chr_stdio {
	struct chr chr;
	struct chr_fd in, out;
	bool owns_terminal;
	bool saw_return; /* the guest sends carriage returns of its own */
};

static int64_t stdio_write(struct chr *chr, const void *data, size_t len)
{
	struct chr_stdio *stdio = (struct chr_stdio *)chr;

	if (stdio->out.fd < 0)
		return (int64_t)len;
	if (stdio->owns_terminal && !stdio->saw_return && memchr(data, '\r', len)) {
		stdio->saw_return = true;
		term_set_verbatim();
	}
	return chr_fd_write(&stdio->out, data, len);
}

static int64_t stdio_read(struct chr *chr, void *data, size_t len)
{
	struct chr_stdio *stdio = (struct chr_stdio *)chr;
	int64_t n = chr_fd_read(&stdio->in, data, len);

	/* Sent to the background between the event and the read. */
	if (n == -EIO && stdio->owns_terminal && !term_is_raw())
		return -EAGAIN;
	return n;
}

static void stdio_input_wanted(struct chr *chr)
{
	if (((struct chr_stdio *)chr)->owns_terminal)
		term_start();
}

static void handle_raw(void *opaque, bool raw)
{
	chr_pause_input(opaque, !raw);
}

static bool stdio_get_size(struct chr *chr, unsigned *columns, unsigned *rows)
{
	return ((struct chr_stdio *)chr)->owns_terminal && term_get_size(columns, rows);
}

static void handle_size(void *opaque, unsigned columns, unsigned rows)
{
	(void)columns;
	(void)rows;
	chr_tell_host_changed(opaque);
}

static void stdio_close(struct chr *chr)
{
	struct chr_stdio *stdio = (struct chr_stdio *)chr;

	if (stdio->owns_terminal)
		term_close();
	chr_fd_finish(&stdio->in);
	chr_fd_finish(&stdio->out);
	chr_finish(chr);
	free(stdio);
}

static const struct chr_ops stdio_ops = {
	.write = stdio_write,
	.read = stdio_read,
	.input_wanted = stdio_input_wanted,
	.get_size = stdio_get_size,
	.close = stdio_close,
};

int chr_stdio_open_fds(struct chr **out, int in_fd, int out_fd, struct loop *loop, struct err *err)
{
	struct chr_stdio *stdio = calloc(1, sizeof(*stdio));
	bool is_terminal = isatty(in_fd);
	struct chr *chr;
	int ret;

	if (!stdio)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	chr = &stdio->chr;
	ret = chr_init(chr, &stdio_ops, loop,
		is_terminal ? CHR_INPUT_TERMINAL_BYTES : CHR_INPUT_BYTES, false, err);
	if (ret < 0)
		goto fail_init;
	chr_set_name(chr, "stdio");
	/* A descriptor that is closed is no error: a daemon may have none. */
	chr_fd_init(&stdio->in, in_fd, false);
	chr_fd_init(&stdio->out, out_fd, true);
	if (is_terminal) {
		ret = term_open(loop, in_fd, err);
		if (ret < 0)
			goto fail_term;
		term_set_raw_fn(handle_raw, chr);
		term_set_size_fn(handle_size, chr);
		stdio->owns_terminal = true;
		chr->has_escape = true;
		chr->in_paused = true;
	}
	chr_set_input_fd(chr, stdio->in.fd);
	chr_set_output_fd(chr, stdio->out.fd);
	*out = chr;
	return 0;

fail_term:
	chr_fd_finish(&stdio->in);
	chr_fd_finish(&stdio->out);
	chr_finish(chr);
fail_init:
	free(stdio);
	return ret;
}

/* Only one may read standard input, or keys would go now here, now there. */
static struct chr *the_stdio;

static void shared_close(struct chr *chr)
{
	the_stdio = NULL;
	stdio_close(chr);
}

static const struct chr_ops shared_ops = {
	.write = stdio_write,
	.read = stdio_read,
	.input_wanted = stdio_input_wanted,
	.get_size = stdio_get_size,
	.close = shared_close,
};

int chr_stdio_open(struct chr **chr, const char *path, struct loop *loop, struct err *err)
{
	int ret;

	(void)path;
	if (the_stdio) {
		err_set(err, EXIT_CODE_DEVICE, EBUSY,
			"standard input and output are already the console of another device");
		err_hint(err, "give one of the devices another console, such as pty or file:PATH");
		return -EBUSY;
	}
	ret = chr_stdio_open_fds(chr, STDIN_FILENO, STDOUT_FILENO, loop, err);
	if (ret < 0)
		return ret;
	the_stdio = *chr;
	the_stdio->ops = &shared_ops;
	return 0;
}
