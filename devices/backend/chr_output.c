/*
 * Output of a character back end: gathering, the ring, back-pressure, history.
 *
 * Threads: chr_write() and chr_room() any; the handlers the loop's.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "devices/backend/chr_impl.h"
#include "vmm/base/log.h"

/* ---- Called with the lock held ---- */

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

void chr_output_drop(struct chr *chr)
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
		chr_output_drop(chr);
		loop_post(chr->loop, &chr->gone_task);
		return;
	}
	chr->failed = true;
	chr->stats.lost_bytes += lost;
	chr_output_drop(chr);
	log_error("can't write the guest's output to %s: %s; it is dropped from here on", chr->name,
		strerror(errnum));
}

void chr_output_flush(struct chr *chr)
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
		chr_output_flush(chr);
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
	if (chr->clients)
		chr_clients_put(chr, data, taken);
	if (chr->observer)
		chr->observer(chr->observer_opaque, data, taken);
	return taken;
}

/* ---- Public, and the loop's ---- */

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
		chr_output_flush(chr);
	pthread_mutex_unlock(&chr->lock);
}

static void handle_output_event(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	(void)events;
	pthread_mutex_lock(&chr->lock);
	chr->blocked = false;
	chr_output_flush(chr);
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
		chr_front_lock(front);
		front->room(front->opaque);
		chr_front_unlock(front);
	}
}

void chr_output_init(struct chr *chr)
{
	chr->out_watch = (struct loop_fd){.fd = -1, .fn = handle_output_event, .opaque = chr};
	chr->gather_timer = (struct loop_timer){.fn = handle_gather_timer, .opaque = chr};
	chr->room_task = (struct loop_task){.fn = run_room, .opaque = chr};
}
