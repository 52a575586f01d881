/*
 * Sends and receives the messages of protocol.h over a byte stream.
 */
#ifndef NESTED_MSG_H
#define NESTED_MSG_H

#include <stddef.h>

#include "protocol.h"

struct msg_reader {
	int fd; /* non-blocking; borrowed */
	struct msg_head head;
	size_t have; /* bytes of head and payload that have come */
	char *payload;
};

void msg_reader_init(struct msg_reader *r, int fd);

/*
 * Reads what has come. 1: r->head and r->payload hold a whole message, valid until the next call;
 * the payload is followed by a NUL. 0: not all there. -EPIPE: the stream ended; or another -errno.
 */
int msg_receive(struct msg_reader *r);

/* Sends one message whole; waits for room. 0 or -errno. */
int msg_send(int fd, enum msg_type type, const void *payload, size_t bytes);

#endif
