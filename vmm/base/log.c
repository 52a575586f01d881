/*
 * See log.h. The level is set before threads start; the raw flag and the
 * limits are atomics, so every function may be called from any thread.
 */
#include "vmm/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
	LINE_BYTES = 1400
};

static enum log_level shown_level = LOG_INFO;
static _Atomic bool raw_terminal;

void log_set_level(enum log_level level)
{
	shown_level = level;
}

bool log_is_enabled(enum log_level level)
{
	return level <= shown_level;
}

void log_set_raw_terminal(bool raw)
{
	atomic_store_explicit(&raw_terminal, raw, memory_order_relaxed);
}

/* One write(2) per line; a guest's or a file's control characters never reach the terminal. */
static int finish_line(int fd, char *line, size_t len)
{
	util_clean_controls(line, len, '\t');
	if (fd == STDERR_FILENO && atomic_load_explicit(&raw_terminal, memory_order_relaxed))
		line[len++] = '\r';
	line[len++] = '\n';
	return write(fd, line, len) < 0 ? -errno : 0;
}

int log_raw(int fd, const char *text, size_t len)
{
	char line[LINE_BYTES];

	len = MIN(len, sizeof(line) - 3);
	memcpy(line, text, len);
	return finish_line(fd, line, len);
}

PRINTF_LIKE(2, 0)
static void write_line(const char *source, const char *format, va_list args)
{
	char line[LINE_BYTES];
	size_t len;
	int n;

	n = snprintf(line, sizeof(line), "vmm: %s%s", source ? source : "", source ? ": " : "");
	len = (size_t)n;
	n = vsnprintf(line + len, sizeof(line) - len - 2, format, args);
	if (n < 0)
		return;
	/* Nothing can be done, or said, when stderr is gone. */
	(void)finish_line(STDERR_FILENO, line, MIN(len + (size_t)n, sizeof(line) - 3));
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	if (!log_is_enabled(level))
		return;
	va_start(args, format);
	write_line(NULL, format, args);
	va_end(args);
}

void log_guest(struct log_limit *limit, const char *source, const char *format, ...)
{
	const uint64_t window_ns = UINT64_C(10000000000);
	uint64_t now_ns = util_now_ns();
	uint64_t start_ns = atomic_load_explicit(&limit->window_start_ns, memory_order_relaxed);
	va_list args;
	uint32_t nth;

	atomic_fetch_add_explicit(&limit->total, 1, memory_order_relaxed);
	/* Two threads may both open a window: a few lines too many, no harm. */
	if (!start_ns || now_ns - start_ns > window_ns) {
		atomic_store_explicit(&limit->window_start_ns, now_ns, memory_order_relaxed);
		atomic_store_explicit(&limit->in_window, 0, memory_order_relaxed);
	}
	nth = atomic_fetch_add_explicit(&limit->in_window, 1, memory_order_relaxed) + 1;
	if (nth > LOG_GUEST_BURST || !log_is_enabled(LOG_WARN))
		return;
	va_start(args, format);
	write_line(source, format, args);
	va_end(args);
	if (nth == LOG_GUEST_BURST)
		log_warn("%s: more such lines are not shown for ten seconds", source);
}
