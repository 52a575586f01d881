/*
 * Input of a character back end: reading ahead, escape keys, and giving a front end
 * what it can take.
 *
 * Threads: the loop's, except chr_accept_input(), which may be called on any.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "devices/backend/chr_impl.h"

static bool input_is_open(const struct chr *chr)
{
	return chr->in_watch.fd >= 0 && !chr->in_paused && !chr->in_half_closed;
}

static void end_input(struct chr *chr)
{
	if (!chr->in_half_closed && chr->ops->still_reads && chr->ops->still_reads(chr)) {
		chr->in_half_closed = true;
	} else if (chr->ops->gone) {
		chr_host_detach(chr);
		chr->ops->gone(chr);
	} else {
		chr->in_ended = true;
		chr_set_input_fd(chr, -1);
	}
}

static void put_input(struct chr *chr, uint8_t *data, size_t len)
{
	while (len) {
		enum chr_escape_key key = CHR_ESCAPE_NONE;
		size_t used = len, put = len;

		if (chr->has_escape)
			used = chr_escape_feed(&chr->escape, data, len, data, &put, &key);
		ring_put(&chr->in, data, put);
		if (key == CHR_ESCAPE_BREAK)
			chr->break_after = ring_used(&chr->in);
		else if (key != CHR_ESCAPE_NONE && chr->escape_fn)
			chr->escape_fn(chr->escape_opaque, key);
		data += used;
		len -= used;
	}
}

/* One read of what fits; false when there is nothing more to read for now. */
static bool read_input(struct chr *chr)
{
	uint8_t data[4096];
	size_t room = MIN(ring_free(&chr->in), sizeof(data));
	int64_t n;

	if (!input_is_open(chr) || !room)
		return false;
	n = chr->ops->read(chr, data, room);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		end_input(chr);
		return false;
	}
	put_input(chr, data, (size_t)n);
	return true;
}

static bool grow_ring(struct ring *ring)
{
	size_t used = ring_used(ring), capacity = ring->capacity * 2;
	uint8_t *bytes = capacity <= CHR_INPUT_REST_BYTES ? malloc(capacity) : NULL;

	if (!bytes)
		return false;
	ring_get(ring, bytes, used);
	free(ring->bytes);
	ring_init(ring, bytes, capacity);
	ring->used = used;
	return true;
}

void chr_input_keep_rest(struct chr *chr)
{
	if (!chr->ops->gone)
		return;
	while (input_is_open(chr)) {
		if (!ring_free(&chr->in) && !grow_ring(&chr->in)) {
			chr->in_rest_waits = true;
			return;
		}
		if (!read_input(chr))
			return;
	}
}

static bool deliver_some(struct chr *chr, struct chr_front *front)
{
	size_t room = front->can_take(front->opaque);
	const uint8_t *piece;
	size_t len, in_one_piece;

	if (!room)
		return false;
	if (!chr->break_after) {
		chr->break_after = SIZE_MAX;
		if (front->line_break)
			front->line_break(front->opaque);
		return true;
	}
	in_one_piece = ring_peek(&chr->in, &piece);
	len = MIN(in_one_piece, room);
	len = MIN(len, chr->break_after);
	front->input(front->opaque, piece, len);
	ring_drop(&chr->in, len);
	if (chr->break_after != SIZE_MAX)
		chr->break_after -= len;
	pthread_mutex_lock(&chr->lock);
	chr->stats.input_bytes += len;
	pthread_mutex_unlock(&chr->lock);
	return true;
}

static void deliver(struct chr *chr)
{
	struct chr_front *front = chr->input_front;

	if (!front)
		return;
	chr_front_lock(front);
	/* Said before the front end is asked: whoever makes room later sees it. */
	atomic_store(&chr->in_waiting, true);
	while ((ring_used(&chr->in) || !chr->break_after) && deliver_some(chr, front))
		;
	if (!ring_used(&chr->in) && chr->in_ended) {
		chr->in_ended = false;
		if (front->input_end)
			front->input_end(front->opaque);
	}
	if (!ring_used(&chr->in) && chr->break_after && !chr->in_direct)
		atomic_store(&chr->in_waiting, false);
	chr_front_unlock(front);
	if (chr->left_late && !ring_used(&chr->in)) {
		chr->left_late = false;
		chr_tell_host_changed(chr);
	}
}

/* Even while nothing is to be read it shows that somebody leaves. */
static uint32_t events_of_leaving(const struct chr *chr)
{
	if (!chr->ops->gone || chr->in_rest_waits)
		return 0;
	return chr->in_half_closed ? EPOLLHUP : EPOLLRDHUP;
}

/* Reads on only while what was read can be kept. */
void chr_input_watch(struct chr *chr)
{
	bool wanted = input_is_open(chr) && chr->in_started && ring_free(&chr->in);

	if (chr->in_watch.loop)
		loop_fd_set_events(
			&chr->in_watch, wanted ? (uint32_t)EPOLLIN : events_of_leaving(chr));
	if (chr->clients)
		chr_clients_watch(chr);
}

void chr_input_put(struct chr *chr, const void *data, size_t len)
{
	ring_put(&chr->in, data, len);
	deliver(chr);
	chr_input_watch(chr);
}

size_t chr_feed(struct chr *chr, const void *data, size_t len)
{
	size_t fits = MIN(len, ring_free(&chr->in));

	chr_input_put(chr, data, fits);
	return fits;
}

void chr_send_break(struct chr *chr)
{
	/* One that is not given yet stands for both. */
	if (chr->break_after == SIZE_MAX)
		chr->break_after = ring_used(&chr->in);
	deliver(chr);
	chr_input_watch(chr);
}

static void handle_input_event(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	if (chr->in_half_closed)
		end_input(chr);
	else if (events & (EPOLLRDHUP | EPOLLHUP) && !ring_free(&chr->in))
		chr_input_keep_rest(chr);
	else
		read_input(chr);
	deliver(chr);
	chr_input_watch(chr);
}

static void run_input(void *opaque)
{
	struct chr *chr = opaque;

	if (!chr->in_started && chr->input_front) {
		chr->in_started = true;
		if (chr->ops->input_wanted)
			chr->ops->input_wanted(chr);
	}
	do
		deliver(chr);
	while (chr->in_direct && chr->in_started && read_input(chr));
	if (chr->in_ended)
		deliver(chr);
	chr_input_watch(chr);
}

void chr_accept_input(struct chr *chr)
{
	if (atomic_load(&chr->in_waiting))
		loop_post(chr->loop, &chr->input_task);
}

void chr_pause_input(struct chr *chr, bool paused)
{
	chr->in_paused = paused;
	chr_input_watch(chr);
}

void chr_input_init(struct chr *chr)
{
	chr->break_after = SIZE_MAX;
	chr->in_watch = (struct loop_fd){.fd = -1, .fn = handle_input_event, .opaque = chr};
	chr->input_task = (struct loop_task){.fn = run_input, .opaque = chr};
}
