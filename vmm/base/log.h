/*
 * Lines on stderr: "vmm: text". One line per call, written with one write()
 * so that lines of several threads do not mix. While a terminal is in raw mode
 * the line ends in CR LF (log_set_raw_terminal).
 *
 * What a guest provokes goes through log_guest(): at most LOG_GUEST_BURST lines
 * per source and ten seconds, the rest counted and summed up later.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/util.h"

enum log_level {
	LOG_ERROR, /* always shown */
	LOG_WARN,  /* always shown */
	LOG_INFO,  /* hidden by --quiet */
	LOG_DEBUG, /* shown by --verbose */
};

enum {
	LOG_GUEST_BURST = 5
};

/* One per device or other source of guest-provoked lines; zero-initialised. */
struct log_limit {
	_Atomic uint64_t window_start_ns;
	_Atomic uint32_t in_window;
	_Atomic uint64_t total; /* all calls, shown or not: the device's error counter */
};

/* Set once by main.c before threads start. Default LOG_INFO. */
void log_set_level(enum log_level level);
bool log_is_enabled(enum log_level level);

/* True while stderr is a terminal that was put in raw mode. Any thread. */
void log_set_raw_terminal(bool raw);

void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

/* A line without "vmm: " to any file; cut at a few hundred characters. 0 or -errno. */
int log_raw(int fd, const char *text, size_t len);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* A warning caused by what the guest did; `source` is the device's name. Any thread. */
void log_guest(struct log_limit *limit, const char *source, const char *format, ...)
	PRINTF_LIKE(3, 4);
