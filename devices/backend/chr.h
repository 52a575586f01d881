/*
 * A character back end: where the bytes of a serial port or another console
 * go on the host, and where its input comes from.
 *
 * Output: chr_write() takes bytes at once or not at all and never blocks. What
 * is taken is kept in a ring of CHR_OUTPUT_BYTES until the host side has it.
 * Single bytes are gathered, because a guest prints byte by byte and a system
 * call for each would double its cost: bytes go out with the end of a line,
 * with every CHR_BATCH_BYTES, and otherwise at most CHR_GATHER_NS later. The
 * first byte after a silence goes out at once, so that a typed key echoes
 * without delay.
 *
 * When the host side does not keep up the ring fills and chr_write() takes less;
 * the front end is told by room() when it may go on. Where nobody is attached
 * (pty, unix) output does not wait for anyone: the last CHR_HISTORY_BYTES are kept
 * and shown to who attaches. When the host side fails for good (disk full, reader
 * gone) one line on stderr says so, and later output is counted and dropped.
 *
 * Input: the front end says how many bytes it can take; the back end reads no
 * more from the host than it has room for. Input is never lost.
 *
 * Several front ends may write to one back end; one of them may have its input.
 *
 * Clients (chr_client_add) are more readers and writers beside the host side.
 *
 * Threads: chr_write(), chr_room() and chr_accept_input() from any thread, with or
 * without the front end's lock. All else on the loop's thread or while the loop
 * does not run. Callbacks come on the loop's thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/backend/chr_escape.h"
#include "vmm/base/err.h"
#include "vmm/core/loop.h"

struct chr;

enum {
	CHR_OUTPUT_BYTES = 65536,
	CHR_HISTORY_BYTES = 65536,
	CHR_BATCH_BYTES = 256,
	CHR_CLIENTS_MAX = 8,
};

#define CHR_GATHER_NS UINT64_C(1000000)

/* The device's side. The struct is the device's memory and stays in place while attached. */
struct chr_front {
	/* Input wanted now, in bytes. NULL: this front end has no input. */
	size_t (*can_take)(void *opaque);
	/* `len` is at most what can_take() has just said. NULL with can_take only. */
	void (*input)(void *opaque, const uint8_t *data, size_t len);
	/* A break condition (Ctrl-a b), at its place in the input. May be NULL. */
	void (*line_break)(void *opaque);
	/* There is room for output again, after a chr_write() that took less. May be NULL. */
	void (*room)(void *opaque);
	/* The host side's input has ended for good, and all of it was given. May be NULL. */
	void (*input_end)(void *opaque);
	/* Somebody came to the host side or left it, or its size is another. May be NULL. */
	void (*host_changed)(void *opaque);
	void *opaque;
	pthread_mutex_t *lock;	/* taken round each of the above; may be NULL */
	struct chr_front *next; /* private to chr.c */
};

struct chr_stats {
	uint64_t output_bytes; /* taken from the front ends */
	uint64_t lost_bytes;   /* of these, dropped after the host side had failed */
	uint64_t input_bytes;  /* given to the front end */
};

/*
 * Opens what `spec` names:
 *   stdio       standard input and output, a terminal or anything else
 *   pty         a new pseudo-terminal; its name is printed
 *   file:PATH   output to a file, emptied first (a device or FIFO works as well); no input
 *   unix:PATH   a listening socket, mode 0600, for one client at a time
 *   pipe:PATH   FIFOs PATH.in and PATH.out, or the FIFO PATH for output alone
 *   null        output vanishes, no input
 *   none        no back end: *chr becomes NULL and the result is 0
 * Error: -errno and a sentence, of kind EXIT_CODE_USAGE when `spec` is not one of
 * these, else EXIT_CODE_DEVICE. `loop` is borrowed and outlives the back end.
 */
int chr_open(struct chr **chr, const char *spec, struct loop *loop, struct err *err);

/* The accepted forms of `spec`, for --help: "stdio|pty|file:PATH|...". */
const char *chr_spec_help(void);

/*
 * Waits until pending output has gone out, up to a second without progress, says
 * how much could not, and frees everything. All front ends are detached.
 * chr_close(NULL) is legal.
 */
void chr_close(struct chr *chr);

/* The host side in words: "stdio", "/dev/pts/3". Valid until chr_close(). */
const char *chr_name(const struct chr *chr);

/* True when a person types into it and Ctrl-a is the escape key. */
bool chr_is_terminal(const struct chr *chr);

/* True while somebody is there to read: always, but for a pty or a unix socket without clients. */
bool chr_is_attached(struct chr *chr);

/* Its size in characters; false when it has none or does not say. Loop's thread. */
bool chr_get_size(struct chr *chr, unsigned *columns, unsigned *rows);

/*
 * For a channel of data, which is no console: who attaches is not shown what was sent to
 * others before. Before the loop runs.
 */
void chr_drop_history(struct chr *chr);

void chr_get_stats(struct chr *chr, struct chr_stats *stats);

/*
 * Lets a client join: a connected stream socket (its duplicate is kept, `fd` stays the caller's)
 * that is sent `greeting`, then the last CHR_HISTORY_BYTES, then all output as it comes; what it
 * sends is input as if it had been typed, as fast as the guest takes it. It holds up nobody: what
 * it does not read in time it is not shown, and it is told so. It ends by closing; with `leaves`
 * also when it has shut its sending side and the guest has taken everything. Error: -errno and a
 * sentence. Loop's thread, as are the next two.
 */
int chr_client_add(struct chr *chr, int fd, const char *greeting, bool leaves, struct err *err);

/* The console's size from now on, until the last client has left. */
void chr_client_set_size(struct chr *chr, unsigned columns, unsigned rows);

/* Input as if the host side had sent it; returns how much of it there was room for. Loop's thread. */
size_t chr_feed(struct chr *chr, const void *data, size_t len);

/* A break condition behind the input so far, as Ctrl-a b makes one. */
void chr_send_break(struct chr *chr);

/* -EBUSY and a sentence when both this and an earlier front end want the input. */
int chr_attach(struct chr *chr, struct chr_front *front, struct err *err);
void chr_detach(struct chr *chr, struct chr_front *front); /* legal when not attached */

/* Takes up to `len` bytes; the result says how many. */
size_t chr_write(struct chr *chr, const void *data, size_t len);

/* How many bytes chr_write() would take now. */
size_t chr_room(struct chr *chr);

/* The front end can take input again: it will be called soon, if there is any. */
void chr_accept_input(struct chr *chr);

/*
 * Shows `fn` all output as it is taken, one call at a time, on the thread that
 * writes. It must not call back into the back end. NULL ends it.
 */
void chr_set_observer(
	struct chr *chr, void (*fn)(void *opaque, const void *data, size_t len), void *opaque);

/* Who is told of CHR_ESCAPE_QUIT and CHR_ESCAPE_HELP (see chr_escape.h). */
void chr_set_escape(
	struct chr *chr, void (*fn)(void *opaque, enum chr_escape_key key), void *opaque);
