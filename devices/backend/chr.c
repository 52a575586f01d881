/*
 * The common part of all character back ends: their life, their front ends, and
 * the coming and going of the host side. Output is in chr_output.c, input in
 * chr_input.c. It knows no kind of host side; those are in chr_stdio.c, chr_pty.c
 * and so on, behind struct chr_ops.
 *
 * Locks: a front end calls in with its device's lock held and then chr->lock is
 * taken; so chr->lock is never held while a front end is called. Input is handled on
 * the loop's thread alone.
 */
#include "devices/backend/chr.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "devices/backend/chr_impl.h"
#include "vmm/base/log.h"

/* How long chr_close() waits for a host side that takes nothing, and in all. */
#define CLOSE_IDLE_NS  UINT64_C(1000000000)
#define CLOSE_TOTAL_NS UINT64_C(5000000000)

static void run_gone(void *opaque);

/* ---- Life ---- */

static int init_ring(struct ring *ring, size_t capacity)
{
	uint8_t *bytes = malloc(capacity);

	if (!bytes)
		return -ENOMEM;
	ring_init(ring, bytes, capacity);
	return 0;
}

int chr_init(struct chr *chr, const struct chr_ops *ops, struct loop *loop, size_t input_bytes,
	bool waits, struct err *err)
{
	chr->ops = ops;
	chr->loop = loop;
	chr->attached = !waits;
	chr_input_init(chr);
	chr_output_init(chr);
	chr_clients_init(chr);
	chr->gone_task = (struct loop_task){.fn = run_gone, .opaque = chr};
	pthread_mutex_init(&chr->lock, NULL);
	if (init_ring(&chr->out, CHR_OUTPUT_BYTES) < 0 || init_ring(&chr->in, input_bytes) < 0 ||
		init_ring(&chr->history, CHR_HISTORY_BYTES) < 0) {
		chr_finish(chr);
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	}
	return 0;
}

void chr_finish(struct chr *chr)
{
	loop_fd_remove(&chr->in_watch);
	loop_fd_remove(&chr->out_watch);
	loop_timer_cancel(&chr->gather_timer);
	loop_unpost(chr->loop, &chr->input_task);
	loop_unpost(chr->loop, &chr->room_task);
	loop_unpost(chr->loop, &chr->gone_task);
	free(chr->out.bytes);
	free(chr->in.bytes);
	free(chr->history.bytes);
	chr->out.bytes = chr->in.bytes = chr->history.bytes = NULL;
	pthread_mutex_destroy(&chr->lock);
}

void chr_set_name(struct chr *chr, const char *name)
{
	snprintf(chr->name, sizeof(chr->name), "%s", name);
}

const char *chr_name(const struct chr *chr)
{
	return chr->name;
}

bool chr_is_terminal(const struct chr *chr)
{
	return chr->has_escape;
}

bool chr_is_attached(struct chr *chr)
{
	bool attached;

	pthread_mutex_lock(&chr->lock);
	attached = chr->attached || chr->clients;
	pthread_mutex_unlock(&chr->lock);
	return attached;
}

bool chr_get_size(struct chr *chr, unsigned *columns, unsigned *rows)
{
	if (chr->client_columns) {
		*columns = chr->client_columns;
		*rows = chr->client_rows;
		return true;
	}
	return chr->ops->get_size && chr->ops->get_size(chr, columns, rows);
}

void chr_drop_history(struct chr *chr)
{
	pthread_mutex_lock(&chr->lock);
	free(chr->history.bytes);
	chr->history = (struct ring){0};
	pthread_mutex_unlock(&chr->lock);
}

void chr_get_stats(struct chr *chr, struct chr_stats *stats)
{
	pthread_mutex_lock(&chr->lock);
	*stats = chr->stats;
	pthread_mutex_unlock(&chr->lock);
}

void chr_set_observer(
	struct chr *chr, void (*fn)(void *opaque, const void *data, size_t len), void *opaque)
{
	pthread_mutex_lock(&chr->lock);
	chr->observer = fn;
	chr->observer_opaque = opaque;
	pthread_mutex_unlock(&chr->lock);
}

void chr_set_escape(
	struct chr *chr, void (*fn)(void *opaque, enum chr_escape_key key), void *opaque)
{
	chr->escape_fn = fn;
	chr->escape_opaque = opaque;
}

/* ---- Front ends ---- */

int chr_attach(struct chr *chr, struct chr_front *front, struct err *err)
{
	if (front->can_take && chr->input_front) {
		err_set(err, EXIT_CODE_DEVICE, EBUSY,
			"two devices want the input of the console \"%s\"", chr->name);
		err_hint(err, "give one of them another console");
		return -EBUSY;
	}
	front->next = chr->fronts;
	chr->fronts = front;
	if (front->can_take) {
		chr->input_front = front;
		atomic_store(&chr->in_waiting, true);
		chr_accept_input(chr);
	}
	return 0;
}

void chr_detach(struct chr *chr, struct chr_front *front)
{
	struct chr_front **link = &chr->fronts;

	while (*link && *link != front)
		link = &(*link)->next;
	if (*link)
		*link = front->next;
	if (chr->input_front == front)
		chr->input_front = NULL;
}

void chr_front_lock(struct chr_front *front)
{
	if (front->lock)
		pthread_mutex_lock(front->lock);
}

void chr_front_unlock(struct chr_front *front)
{
	if (front->lock)
		pthread_mutex_unlock(front->lock);
}

void chr_tell_host_changed(struct chr *chr)
{
	for (struct chr_front *front = chr->fronts; front; front = front->next) {
		if (!front->host_changed)
			continue;
		chr_front_lock(front);
		front->host_changed(front->opaque);
		chr_front_unlock(front);
	}
}

/* ---- The host side comes and goes ---- */

void chr_set_input_fd(struct chr *chr, int fd)
{
	loop_fd_remove(&chr->in_watch);
	chr->in_direct = false;
	chr->in_watch.fd = fd;
	chr->in_watch.events = 0;
	if (fd < 0)
		return;
	/* Whether epoll takes it shows only when something is asked for. */
	chr->in_watch.events = EPOLLIN;
	chr->in_direct = loop_fd_add(chr->loop, &chr->in_watch) < 0;
	chr_input_watch(chr);
	if (chr->in_direct && chr->in_started)
		loop_post(chr->loop, &chr->input_task);
}

static void set_output_fd_locked(struct chr *chr, int fd)
{
	loop_fd_remove(&chr->out_watch);
	chr->out_watch.fd = fd;
	chr->out_watch.events = 0;
	/* A regular file is never waited for, so no watch is no loss. */
	if (fd >= 0)
		loop_fd_add(chr->loop, &chr->out_watch);
}

void chr_set_output_fd(struct chr *chr, int fd)
{
	pthread_mutex_lock(&chr->lock);
	set_output_fd_locked(chr, fd);
	pthread_mutex_unlock(&chr->lock);
}

void chr_host_attach(struct chr *chr, int in_fd, int out_fd)
{
	const uint8_t *piece;
	size_t first;

	/* Who was here before has left, which is told before somebody new is. */
	if (chr->left_late)
		chr_tell_host_changed(chr);
	chr->left_late = chr->in_half_closed = chr->in_rest_waits = false;
	pthread_mutex_lock(&chr->lock);
	set_output_fd_locked(chr, out_fd);
	chr->attached = true;
	chr->blocked = false;
	ring_clear(&chr->out);
	if (chr->history.bytes) {
		first = ring_peek(&chr->history, &piece);
		ring_put(&chr->out, piece, first);
		ring_put(&chr->out, chr->history.bytes, ring_used(&chr->history) - first);
	}
	chr_output_flush(chr);
	pthread_mutex_unlock(&chr->lock);
	chr_set_input_fd(chr, in_fd);
	chr_tell_host_changed(chr);
}

void chr_host_detach(struct chr *chr)
{
	pthread_mutex_lock(&chr->lock);
	chr->attached = false;
	chr_output_drop(chr);
	set_output_fd_locked(chr, -1);
	pthread_mutex_unlock(&chr->lock);
	chr_set_input_fd(chr, -1);
	/* To the guest a channel is open until all that came through it is taken. */
	chr->left_late = ring_used(&chr->in);
	if (!chr->left_late)
		chr_tell_host_changed(chr);
}

static void run_gone(void *opaque)
{
	struct chr *chr = opaque;
	bool is_stale;

	/* The end of input may have been seen first, and somebody else have come since. */
	pthread_mutex_lock(&chr->lock);
	is_stale = chr->attached || chr->out_watch.fd < 0;
	pthread_mutex_unlock(&chr->lock);
	if (is_stale)
		return;
	chr_input_keep_rest(chr);
	/* Its end may have been found in there. */
	if (chr->out_watch.fd < 0)
		return;
	chr_host_detach(chr);
	chr->ops->gone(chr);
}

/* ---- The end ---- */

/* Waits for a slow reader, so that the last lines of a guest are not lost. */
static void drain(struct chr *chr)
{
	uint64_t start_ns = util_now_ns(), moved_ns = start_ns;

	pthread_mutex_lock(&chr->lock);
	for (;;) {
		size_t before = ring_used(&chr->out);
		struct pollfd pfd = {.fd = chr->out_watch.fd, .events = POLLOUT};
		uint64_t now_ns;

		chr->blocked = false;
		chr_output_flush(chr);
		now_ns = util_now_ns();
		if (ring_used(&chr->out) < before)
			moved_ns = now_ns;
		if (!ring_used(&chr->out) || !chr->attached || now_ns - moved_ns >= CLOSE_IDLE_NS ||
			now_ns - start_ns >= CLOSE_TOTAL_NS)
			break;
		poll(&pfd, 1, (int)((CLOSE_IDLE_NS - (now_ns - moved_ns)) / 1000000 + 1));
	}
	if (ring_used(&chr->out))
		log_warn("%s: the last %zu bytes of the guest's output were not read and are lost",
			chr->name, ring_used(&chr->out));
	if (chr->stats.lost_bytes)
		log_warn("%s: %llu bytes of the guest's output were lost", chr->name,
			(unsigned long long)chr->stats.lost_bytes);
	pthread_mutex_unlock(&chr->lock);
}

void chr_close(struct chr *chr)
{
	if (!chr)
		return;
	drain(chr);
	chr_clients_close(chr);
	chr_set_input_fd(chr, -1);
	chr_set_output_fd(chr, -1);
	chr->ops->close(chr);
}
