/*
 * The common part of all character back ends: gathering, rings, flow control,
 * history, and the calls into front ends. It knows no kind of host side; those
 * are in chr_stdio.c, chr_pty.c and so on, behind struct chr_ops.
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

static void handle_input_event(void *opaque, uint32_t events);
static void handle_output_event(void *opaque, uint32_t events);
static void handle_gather_timer(void *opaque);
static void run_input(void *opaque);
static void run_room(void *opaque);
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
	bool has_history, struct err *err)
{
	chr->ops = ops;
	chr->loop = loop;
	chr->attached = !has_history;
	chr->break_after = SIZE_MAX;
	chr->in_watch = (struct loop_fd){.fd = -1, .fn = handle_input_event, .opaque = chr};
	chr->out_watch = (struct loop_fd){.fd = -1, .fn = handle_output_event, .opaque = chr};
	chr->gather_timer = (struct loop_timer){.fn = handle_gather_timer, .opaque = chr};
	chr->input_task = (struct loop_task){.fn = run_input, .opaque = chr};
	chr->room_task = (struct loop_task){.fn = run_room, .opaque = chr};
	chr->gone_task = (struct loop_task){.fn = run_gone, .opaque = chr};
	pthread_mutex_init(&chr->lock, NULL);
	if (init_ring(&chr->out, CHR_OUTPUT_BYTES) < 0 || init_ring(&chr->in, input_bytes) < 0 ||
		(has_history && init_ring(&chr->history, CHR_HISTORY_BYTES) < 0)) {
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

static void lock_front(struct chr_front *front)
{
	if (front->lock)
		pthread_mutex_lock(front->lock);
}

static void unlock_front(struct chr_front *front)
{
	if (front->lock)
		pthread_mutex_unlock(front->lock);
}

/* ---- Output. All static functions of this part are called with the lock held. ---- */

static void wake_waiting_fronts(struct chr *chr)
{
	if (!chr->room_wanted || ring_free(&chr->out) < CHR_OUTPUT_BYTES / 2)
		return;
	chr->room_wanted = false;
	loop_post(chr->loop, &chr->room_task);
}

static void watch_output(struct chr *chr, bool wanted)
{
	if (chr->out_watch.loop)
		loop_fd_set_events(&chr->out_watch, wanted ? EPOLLOUT : 0);
}

static void drop_output(struct chr *chr)
{
	ring_clear(&chr->out);
	chr->blocked = false;
	watch_output(chr, false);
	wake_waiting_fronts(chr);
}

static void output_failed(struct chr *chr, int errnum)
{
	size_t lost = ring_used(&chr->out);

	if (chr->ops->gone) {
		chr->attached = false;
		drop_output(chr);
		loop_post(chr->loop, &chr->gone_task);
		return;
	}
	chr->failed = true;
	chr->stats.lost_bytes += lost;
	drop_output(chr);
	log_error("can't write the guest's output to %s: %s; it is dropped from here on", chr->name,
		strerror(errnum));
}

static void flush(struct chr *chr)
{
	while (ring_used(&chr->out) && chr->attached && !chr->blocked) {
		const uint8_t *piece;
		size_t len = ring_peek(&chr->out, &piece);
		int64_t n = chr->ops->write(chr, piece, len);

		if (n > 0) {
			ring_drop(&chr->out, MIN((size_t)n, len));
		} else if (n == -EAGAIN || n == 0) {
			chr->blocked = true;
			watch_output(chr, true);
		} else {
			output_failed(chr, (int)-n);
		}
	}
	chr->last_flush_ns = util_now_ns();
	wake_waiting_fronts(chr);
}

static void flush_or_gather(struct chr *chr, const void *data, size_t len)
{
	if (chr->blocked)
		return;
	if (ring_used(&chr->out) >= CHR_BATCH_BYTES || memchr(data, '\n', len) ||
		util_now_ns() - chr->last_flush_ns >= CHR_GATHER_NS) {
		flush(chr);
	} else if (!chr->gather_armed) {
		chr->gather_armed = true;
		loop_timer_arm(chr->loop, &chr->gather_timer, CHR_GATHER_NS);
	}
}

/* History keeps the newest bytes. */
static void remember(struct chr *chr, const void *data, size_t len)
{
	size_t skip = len > CHR_HISTORY_BYTES ? len - CHR_HISTORY_BYTES : 0;

	if (!chr->history.bytes)
		return;
	len -= skip;
	if (len > ring_free(&chr->history))
		ring_drop(&chr->history, len - ring_free(&chr->history));
	ring_put(&chr->history, (const uint8_t *)data + skip, len);
}

static size_t take(struct chr *chr, const void *data, size_t len)
{
	size_t taken = len;

	if (chr->failed)
		chr->stats.lost_bytes += len;
	else if (chr->attached)
		taken = ring_put(&chr->out, data, len);
	if (!taken)
		return 0;
	chr->stats.output_bytes += taken;
	remember(chr, data, taken);
	if (chr->observer)
		chr->observer(chr->observer_opaque, data, taken);
	return taken;
}

size_t chr_write(struct chr *chr, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t done = 0;

	pthread_mutex_lock(&chr->lock);
	while (done < len) {
		size_t taken = take(chr, bytes + done, len - done);

		if (!taken) {
			chr->room_wanted = true;
			break;
		}
		if (ring_used(&chr->out))
			flush_or_gather(chr, bytes + done, taken);
		done += taken;
	}
	pthread_mutex_unlock(&chr->lock);
	return done;
}

size_t chr_room(struct chr *chr)
{
	size_t room;

	pthread_mutex_lock(&chr->lock);
	room = chr->attached && !chr->failed ? ring_free(&chr->out) : CHR_OUTPUT_BYTES;
	pthread_mutex_unlock(&chr->lock);
	return room;
}

static void handle_gather_timer(void *opaque)
{
	struct chr *chr = opaque;

	pthread_mutex_lock(&chr->lock);
	chr->gather_armed = false;
	if (!chr->blocked)
		flush(chr);
	pthread_mutex_unlock(&chr->lock);
}

static void handle_output_event(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	(void)events;
	pthread_mutex_lock(&chr->lock);
	chr->blocked = false;
	flush(chr);
	if (!chr->blocked)
		watch_output(chr, false);
	pthread_mutex_unlock(&chr->lock);
}

static void run_room(void *opaque)
{
	struct chr *chr = opaque;

	for (struct chr_front *front = chr->fronts; front; front = front->next) {
		if (!front->room)
			continue;
		lock_front(front);
		front->room(front->opaque);
		unlock_front(front);
	}
}

/* ---- Input, on the loop's thread ---- */

static bool input_is_open(const struct chr *chr)
{
	return chr->in_watch.fd >= 0 && !chr->in_paused;
}

static void end_input(struct chr *chr)
{
	if (chr->ops->gone) {
		chr_host_detach(chr);
		chr->ops->gone(chr);
	} else {
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
	lock_front(front);
	/* Said before the front end is asked: whoever makes room later sees it. */
	atomic_store(&chr->in_waiting, true);
	while ((ring_used(&chr->in) || !chr->break_after) && deliver_some(chr, front))
		;
	if (!ring_used(&chr->in) && chr->break_after && !chr->in_direct)
		atomic_store(&chr->in_waiting, false);
	unlock_front(front);
}

/* Reads on only while what was read can be kept. */
static void watch_input(struct chr *chr)
{
	bool wanted = input_is_open(chr) && chr->in_started && ring_free(&chr->in);

	if (chr->in_watch.loop)
		loop_fd_set_events(&chr->in_watch, wanted ? EPOLLIN : 0);
}

static void handle_input_event(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	(void)events;
	read_input(chr);
	deliver(chr);
	watch_input(chr);
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
	watch_input(chr);
}

void chr_accept_input(struct chr *chr)
{
	if (atomic_load(&chr->in_waiting))
		loop_post(chr->loop, &chr->input_task);
}

void chr_pause_input(struct chr *chr, bool paused)
{
	chr->in_paused = paused;
	watch_input(chr);
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
	watch_input(chr);
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

	pthread_mutex_lock(&chr->lock);
	set_output_fd_locked(chr, out_fd);
	chr->attached = true;
	chr->blocked = false;
	ring_clear(&chr->out);
	first = ring_peek(&chr->history, &piece);
	ring_put(&chr->out, piece, first);
	ring_put(&chr->out, chr->history.bytes, ring_used(&chr->history) - first);
	flush(chr);
	pthread_mutex_unlock(&chr->lock);
	chr_set_input_fd(chr, in_fd);
}

void chr_host_detach(struct chr *chr)
{
	pthread_mutex_lock(&chr->lock);
	chr->attached = false;
	drop_output(chr);
	set_output_fd_locked(chr, -1);
	pthread_mutex_unlock(&chr->lock);
	chr_set_input_fd(chr, -1);
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
		flush(chr);
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
	chr_set_input_fd(chr, -1);
	chr_set_output_fd(chr, -1);
	chr->ops->close(chr);
}
