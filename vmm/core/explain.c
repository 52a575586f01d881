/*
 * See explain.h. Lines to stderr go through log.h, so that they end as a raw terminal needs it.
 */
#include "vmm/core/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/base/log.h"

enum {
	LINE_BYTES = 1200,
	SIZE_TEXTS = 4,
};

int explain_fd = -1;
static bool is_held, has_begun;
static int failure; /* the first, -errno */

int explain_start(const char *path, int std_fd, struct err *err)
{
	int fd = std_fd;

	if (strcmp(path, "-") != 0)
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_set(err, EXIT_CODE_USAGE, errno, "--explain: can't write to %.200s: %s",
			path, strerror(errno));
	explain_fd = fd;
	is_held = has_begun = false;
	failure = 0;
	return 0;
}

int explain_stop(void)
{
	int ret = failure;

	if (explain_fd > STDERR_FILENO && close(explain_fd) < 0 && ret == 0)
		ret = -errno;
	explain_fd = -1;
	failure = 0;
	return ret;
}

void explain_hold(bool held)
{
	is_held = held;
}

static void write_line(const char *line, size_t len)
{
	int ret = log_raw(explain_fd, line, len);

	if (ret < 0 && failure == 0)
		failure = ret;
}

void explain_write(unsigned indent, const char *format, ...)
{
	char line[LINE_BYTES];
	size_t len;
	va_list args;

	if (is_held)
		return;
	if (!indent && has_begun)
		write_line("", 0);
	has_begun = true;
	len = (size_t)snprintf(line, sizeof(line), "%*s", (int)indent, "");
	va_start(args, format);
	len += (size_t)vsnprintf(line + len, sizeof(line) - len, format, args);
	va_end(args);
	write_line(line, MIN(len, sizeof(line) - 1));
}

const char *explain_size(uint64_t bytes)
{
	static char texts[SIZE_TEXTS][16];
	static unsigned next;
	char *text = texts[next++ % SIZE_TEXTS];

	util_format_size(bytes, text, sizeof(texts[0]));
	return text;
}
