/*
 * Moves bytes from one file descriptor to another through a small buffer, never blocking.
 */
#ifndef NESTED_PUMP_H
#define NESTED_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_BYTES 65536

struct pump {
	int from;	  /* -1: closed, nothing more to read */
	int to;		  /* -1: closed, what is read is dropped */
	bool to_socket;	  /* never waited for, however it was opened */
	size_t write_max; /* at most so many bytes per write */
	size_t start;
	size_t fill;
	uint64_t bytes_read;
	uint64_t bytes_limit; /* stop reading after so many; UINT64_MAX: no limit */
	char bytes[PUMP_BYTES];
};

/* An idle pump between two descriptors, which stay the caller's until pump_close_*. */
void pump_init(struct pump *p, int from, int to);

/* What to poll for: an entry whose fd is -1 is ignored by poll(). */
void pump_want(const struct pump *p, struct pollfd *from, struct pollfd *to);

/*
 * Moves what can be moved now. `from_ready` and `to_ready` say what poll() found.
 * Closes `from` at end of file and `to` when its reader has gone.
 */
void pump_run(struct pump *p, bool from_ready, bool to_ready);

/* True when nothing is buffered and nothing more can come. */
bool pump_is_done(const struct pump *p);

void pump_close_from(struct pump *p);
void pump_close_to(struct pump *p);

/* Whole or error: 0, or -errno. Waits when the descriptor does not take more at once. */
int write_all(int fd, const void *bytes, size_t count);

#endif
