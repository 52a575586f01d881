/*
 * The one owner of the terminal's settings. Raw mode (every key goes to the guest)
 * holds only between term_start() and term_restore() and only while this process is
 * in the foreground; the settings found at term_open() come back on every way out:
 * term_restore(), exit(), a fatal signal, a stop (SIGTSTP). After SIGCONT, or when a
 * shell brings the process to the foreground, raw mode comes back by itself.
 *
 * One terminal per process, because there is one set of signal handlers: that is
 * why this file keeps its state in a static struct. When no terminal was
 * opened every function is legal and does nothing.
 *
 * Signals: handlers are installed for the signals that end a process by default,
 * where nobody else has one, and for SIGTSTP, SIGCONT and SIGWINCH. They call only
 * what signal-safety(7) allows.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

/*
 * Takes charge of the terminal behind `fd` (borrowed). Nothing changes yet. Error:
 * -ENOTTY without a sentence when it is not a terminal; else -errno and a sentence.
 */
int term_open(struct loop *loop, int fd, struct err *err);

/* Restores and forgets the terminal. */
void term_close(void);

/* Goes raw now, or as soon as this process is in the foreground. Loop's thread. */
void term_start(void);

/* Ends raw mode until the next term_start(). Any thread; may be called in a signal handler. */
void term_restore(void);

bool term_is_raw(void);

/*
 * Until this is called a line feed also returns the carriage, for guests that print a bare
 * line feed (they were written on emulators that do the same). Called when a guest has sent a
 * carriage return of its own: from then on its output goes through unchanged. Any thread.
 */
void term_set_verbatim(void);

/* Told of each change of term_is_raw(), on the loop's thread. */
void term_set_raw_fn(void (*fn)(void *opaque, bool raw), void *opaque);

/* The size in characters; false when there is no terminal or it does not say. */
bool term_get_size(unsigned *columns, unsigned *rows);

/* Told of each change of the size, on the loop's thread. */
void term_set_size_fn(void (*fn)(void *opaque, unsigned columns, unsigned rows), void *opaque);
