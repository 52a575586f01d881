/*
 * Sends and receives the messages of protocol.h over a byte stream. Knows their frame, not their
 * meaning. Used on both sides of the nested host. One thread.
 */
#include "msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pump.h"

void msg_reader_init(struct msg_reader *r, int fd)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
}

/* Reads towards `goal` bytes of the frame into `into`, which holds the part after `skip`. */
static int read_towards(struct msg_reader *r, size_t goal, char *into, size_t skip)
{
	while (r->have < goal) {
		ssize_t got = read(r->fd, into + (r->have - skip), goal - r->have);

		if (got == 0)
			return -EPIPE;
		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			r->have += (size_t)got;
	}
	return 1;
}

int msg_receive(struct msg_reader *r)
{
	size_t head_bytes = sizeof(r->head);
	int result;

	if (r->payload && r->have == head_bytes + r->head.bytes) {
		free(r->payload);
		r->payload = NULL;
		r->have = 0;
	}
	result = read_towards(r, head_bytes, (char *)&r->head, 0);
	if (result != 1)
		return result;
	if (!r->payload) {
		if (r->head.bytes > MSG_BYTES_MAX)
			return -EPROTO;
		r->payload = calloc(1, (size_t)r->head.bytes + 1);
		if (!r->payload)
			return -ENOMEM;
	}
	return read_towards(r, head_bytes + r->head.bytes, r->payload, head_bytes);
}

int msg_send(int fd, enum msg_type type, const void *payload, size_t bytes)
{
	struct msg_head head = {.type = type, .bytes = (uint32_t)bytes};
	int result = write_all(fd, &head, sizeof(head));

	if (result == 0 && bytes > 0)
		result = write_all(fd, payload, bytes);
	return result;
}
