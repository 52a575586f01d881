/*
 * See chr_memory.h. Input goes through an eventfd, so that the loop sees it as it
 * sees any other descriptor.
 */
#include "devices/backend/chr_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/backend/chr_impl.h"

struct chr_memory {
	struct chr chr;
	char output[CHR_MEMORY_BYTES + 1];
	size_t output_len;
	struct ring feed;
	uint8_t feed_bytes[CHR_MEMORY_BYTES];
	int event_fd; /* readable while there is input */
	bool is_stalled;
	int fail_errno;
	unsigned write_count;
};

static int64_t memory_write(struct chr *chr, const void *data, size_t len)
{
	struct chr_memory *self = (struct chr_memory *)chr;
	size_t kept = MIN(len, CHR_MEMORY_BYTES - self->output_len);

	if (self->fail_errno)
		return -self->fail_errno;
	if (self->is_stalled)
		return -EAGAIN;
	self->write_count++;
	memcpy(self->output + self->output_len, data, kept);
	self->output_len += kept;
	self->output[self->output_len] = 0;
	return (int64_t)len;
}

static int64_t memory_read(struct chr *chr, void *data, size_t len)
{
	struct chr_memory *self = (struct chr_memory *)chr;
	size_t n = ring_get(&self->feed, data, len);
	uint64_t count;

	if (!ring_used(&self->feed) && read(self->event_fd, &count, sizeof(count)) < 0)
		return n ? (int64_t)n : -EAGAIN;
	return n ? (int64_t)n : -EAGAIN;
}

static void memory_close(struct chr *chr)
{
	struct chr_memory *self = (struct chr_memory *)chr;

	close(self->event_fd);
	chr_finish(chr);
	free(self);
}

static const struct chr_ops memory_ops = {
	.write = memory_write, .read = memory_read, .close = memory_close};

int chr_memory_open(struct chr **out, struct loop *loop, struct err *err)
{
	struct chr_memory *self = calloc(1, sizeof(*self));
	int ret;

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	ring_init(&self->feed, self->feed_bytes, sizeof(self->feed_bytes));
	ret = chr_init(&self->chr, &memory_ops, loop, CHR_INPUT_BYTES, false, err);
	if (ret < 0)
		goto fail_init;
	self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self->event_fd < 0) {
		ret = err_set(err, EXIT_CODE_INTERNAL, errno, "no descriptor for a console");
		goto fail_event;
	}
	chr_set_name(&self->chr, "memory");
	chr_set_input_fd(&self->chr, self->event_fd);
	*out = &self->chr;
	return 0;

fail_event:
	chr_finish(&self->chr);
fail_init:
	free(self);
	return ret;
}

const char *chr_memory_output(struct chr *chr, size_t *len)
{
	struct chr_memory *self = (struct chr_memory *)chr;

	if (len)
		*len = self->output_len;
	return self->output;
}

void chr_memory_clear_output(struct chr *chr)
{
	struct chr_memory *self = (struct chr_memory *)chr;

	self->output_len = 0;
	self->output[0] = 0;
	self->write_count = 0;
}

void chr_memory_stall(struct chr *chr, bool stalled)
{
	struct chr_memory *self = (struct chr_memory *)chr;

	self->is_stalled = stalled;
	/* There is no descriptor that would tell of room; so go the way of the timer. */
	if (!stalled) {
		pthread_mutex_lock(&chr->lock);
		chr->blocked = false;
		loop_timer_arm(chr->loop, &chr->gather_timer, 0);
		pthread_mutex_unlock(&chr->lock);
	}
}

void chr_memory_fail(struct chr *chr, int errnum)
{
	((struct chr_memory *)chr)->fail_errno = errnum;
}

size_t chr_memory_feed(struct chr *chr, const void *data, size_t len)
{
	struct chr_memory *self = (struct chr_memory *)chr;
	size_t n = ring_put(&self->feed, data, len);
	uint64_t one = 1;

	if (n && write(self->event_fd, &one, sizeof(one)) < 0)
		return 0;
	return n;
}

void chr_memory_break(struct chr *chr)
{
	chr->break_after = ring_used(&chr->in) + ring_used(&((struct chr_memory *)chr)->feed);
	atomic_store(&chr->in_waiting, true);
	chr_accept_input(chr);
}

unsigned chr_memory_write_count(struct chr *chr)
{
	return ((struct chr_memory *)chr)->write_count;
}
