/*
 * --explain: the start of a machine told in lines, in the order in which it happens. Who takes a
 * step says so where it takes it; without the option nobody listens, and a step costs one
 * predictable branch and no text.
 *
 *   KVM                                                    explain_head
 *     KVM_CREATE_VM = 5: a machine without memory ...      explain
 *         a detail of it                                   explain_detail
 *
 * On the thread that makes the machine, before its processors run; explain_stop() then ends it.
 * Text from files is printable already, and control characters in it are shown as '?'.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/util.h"

/* Private to explain.c: the open file, or -1 for nobody. */
extern int explain_fd;

static inline bool explain_is_on(void)
{
	return __builtin_expect(explain_fd >= 0, 0);
}

/*
 * Tells it to the file `path` from now on, or with "-" to `std_fd`, stdout or stderr. Error: -errno
 * and a sentence.
 */
int explain_start(const char *path, int std_fd, struct err *err);

/* Nobody listens any more. -errno, without a sentence, when a line could not be written. */
int explain_stop(void);

/* Holds the lines back while `held`, for steps that are the same as those before. */
void explain_hold(bool held);

void explain_write(unsigned indent, const char *format, ...) PRINTF_LIKE(2, 3);

#define explain_at(indent, ...)                                                                    \
	do {                                                                                       \
		if (explain_is_on())                                                               \
			explain_write(indent, __VA_ARGS__);                                        \
	} while (0)
#define explain_head(...)   explain_at(0, __VA_ARGS__)
#define explain(...)	    explain_at(2, __VA_ARGS__)
#define explain_detail(...) explain_at(6, __VA_ARGS__)

/* "1.5 GiB" in one of a few buffers that are used in turn: for one line. */
const char *explain_size(uint64_t bytes);
