/*
 * One human sentence about a failure of the host or of the configuration,
 * written where the facts are known and printed once by main.c.
 *
 * The kind is the exit status of the program (see the table in exit_codes.h).
 * A struct err belongs to one thread and is filled at most once per failure:
 * the first, deepest sentence wins.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/exit_codes.h"
#include "vmm/base/util.h"

struct err {
	enum exit_code kind; /* EXIT_CODE_OK while nothing failed */
	int errnum;	     /* positive errno, 0 when none applies */
	char text[600];	     /* what failed and why */
	char hint[600];	     /* what to do, may be empty */
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.kind = EXIT_CODE_OK                                                               \
	}

/*
 * Records the sentence (no trailing full stop or newline; the printer adds
 * them) and returns -errnum, or -EINVAL when errnum is 0, so that a caller can
 * `return err_set(...)`. `err` may be NULL. `errnum` is positive. Keeps an earlier
 * sentence. The sentence does not contain strerror(errnum) unless the caller
 * puts it there. Control characters in the text (a file name may hold them)
 * are shown as '?'.
 */
int err_set(struct err *err, enum exit_code kind, int errnum, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* Adds what the person can do about it. Keeps an earlier hint. */
void err_hint(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* True when a sentence was recorded. */
bool err_is_set(const struct err *err);

/* Forgets everything, for a caller that goes on in another way. */
void err_clear(struct err *err);
