/*
 * See loop.h. One mutex guards the lists; it is never held while a callback
 * runs or while a device's lock is taken.
 */
#include "vmm/core/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	EVENTS_PER_WAIT = 16
};

struct loop {
	int epoll_fd;
	int wake_fd; /* eventfd: tasks, a nearer timer, stop */
	pthread_mutex_t mutex;
	struct loop_fd *watches;
	struct loop_timer *timers;
	struct loop_task *tasks, **tasks_end;
	bool stopped;
	int stop_value;
	void (*tap)(void *opaque, const pthread_mutex_t *lock); /* or NULL */
	void *tap_opaque;
};

/* The loop whose turn this thread is in: it looks at its lists again before it waits. */
static _Thread_local const struct loop *turning;

int loop_create(struct loop **out, struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int saved;

	if (!loop)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an event loop");
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0)
		goto fail;
	pthread_mutex_init(&loop->mutex, NULL);
	loop->tasks_end = &loop->tasks;
	*out = loop;
	return 0;
fail:
	saved = errno;
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	free(loop);
	err_set(err, EXIT_CODE_INTERNAL, saved, "can't make an event loop: %s", strerror(saved));
	err_hint(err, "look at the limit on open files: ulimit -n");
	return -saved;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->mutex);
	free(loop);
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	if (turning == loop)
		return;
	/* Fails only when the counter is full: then the loop is about to wake anyway. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void loop_stop(struct loop *loop, int value)
{
	pthread_mutex_lock(&loop->mutex);
	if (!loop->stopped) {
		loop->stopped = true;
		loop->stop_value = value;
	}
	pthread_mutex_unlock(&loop->mutex);
	wake(loop);
}

/* Tells epoll what the watch wants. Called with the mutex held. */
static int update_epoll(struct loop_fd *watch)
{
	struct epoll_event event = {.events = watch->events, .data.ptr = watch};
	int op;

	/* A watch of nothing leaves epoll, or a hung-up fd would wake the loop for ever. */
	if (!watch->events) {
		if (watch->in_epoll)
			epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		watch->in_epoll = false;
		return 0;
	}
	op = watch->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(watch->loop->epoll_fd, op, watch->fd, &event) < 0)
		return -errno;
	watch->in_epoll = true;
	return 0;
}

int loop_fd_add(struct loop *loop, struct loop_fd *watch)
{
	int ret;

	pthread_mutex_lock(&loop->mutex);
	ASSERT(!watch->loop);
	watch->loop = loop;
	watch->in_epoll = false;
	ret = update_epoll(watch);
	if (ret < 0) {
		watch->loop = NULL;
	} else {
		watch->next = loop->watches;
		loop->watches = watch;
	}
	pthread_mutex_unlock(&loop->mutex);
	return ret;
}

void loop_fd_set_events(struct loop_fd *watch, uint32_t events)
{
	struct loop *loop = watch->loop;

	ASSERT(loop);
	pthread_mutex_lock(&loop->mutex);
	if (watch->events != events) {
		watch->events = events;
		update_epoll(watch);
	}
	pthread_mutex_unlock(&loop->mutex);
}

void loop_fd_remove(struct loop_fd *watch)
{
	struct loop *loop = watch->loop;
	struct loop_fd **link;

	if (!loop)
		return;
	pthread_mutex_lock(&loop->mutex);
	for (link = &loop->watches; *link && *link != watch; link = &(*link)->next)
		;
	if (*link)
		*link = watch->next;
	if (watch->in_epoll)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->in_epoll = false;
	watch->loop = NULL;
	pthread_mutex_unlock(&loop->mutex);
}

/* Called with the mutex held. */
static void unlink_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->loop = NULL;
}

void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns)
{
	uint64_t now_ns = util_now_ns();
	struct loop_timer **link;
	bool nearest;

	pthread_mutex_lock(&loop->mutex);
	if (timer->loop)
		unlink_timer(loop, timer);
	if (util_add_overflows(now_ns, delay_ns, &timer->deadline_ns))
		timer->deadline_ns = UINT64_MAX;
	for (link = &loop->timers; *link && (*link)->deadline_ns <= timer->deadline_ns;
		link = &(*link)->next)
		;
	timer->next = *link;
	*link = timer;
	timer->loop = loop;
	nearest = loop->timers == timer;
	pthread_mutex_unlock(&loop->mutex);
	if (nearest)
		wake(loop);
}

void loop_timer_cancel(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;

	if (!loop)
		return;
	pthread_mutex_lock(&loop->mutex);
	if (timer->loop)
		unlink_timer(loop, timer);
	pthread_mutex_unlock(&loop->mutex);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	bool added = false;

	pthread_mutex_lock(&loop->mutex);
	if (!task->posted) {
		task->posted = true;
		task->next = NULL;
		*loop->tasks_end = task;
		loop->tasks_end = &task->next;
		added = true;
	}
	pthread_mutex_unlock(&loop->mutex);
	if (added)
		wake(loop);
}

bool loop_unpost(struct loop *loop, struct loop_task *task)
{
	struct loop_task **link;
	bool found = false;

	pthread_mutex_lock(&loop->mutex);
	for (link = &loop->tasks; *link; link = &(*link)->next) {
		if (*link != task)
			continue;
		*link = task->next;
		if (!*link)
			loop->tasks_end = link;
		task->posted = false;
		found = true;
		break;
	}
	pthread_mutex_unlock(&loop->mutex);
	return found;
}

static void lock_if(pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_lock(lock);
}

static void unlock_if(pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_unlock(lock);
}

/*
 * epoll's answer may name a watch that a callback before it has removed, or
 * that another thread removes now. So look it up among the living, take its
 * lock, and look again.
 */
static bool watch_is_live(struct loop *loop, const struct loop_fd *watch, uint32_t events)
{
	bool live = false;

	pthread_mutex_lock(&loop->mutex);
	for (const struct loop_fd *w = loop->watches; w && !live; w = w->next)
		live = w == watch && (w->events & events || events & (EPOLLERR | EPOLLHUP));
	pthread_mutex_unlock(&loop->mutex);
	return live;
}

static void run_watch(struct loop *loop, struct loop_fd *watch, uint32_t events)
{
	pthread_mutex_t *lock;

	if (!watch_is_live(loop, watch, events))
		return;
	lock = watch->lock;
	lock_if(lock);
	if (!lock || watch_is_live(loop, watch, events))
		watch->fn(watch->opaque, events);
	unlock_if(lock);
}

static void run_tasks(struct loop *loop)
{
	/* Tasks posted meanwhile wait for the next turn, so that fds get theirs. */
	struct loop_task *last, *task;

	pthread_mutex_lock(&loop->mutex);
	last = loop->tasks ? CONTAINER_OF(loop->tasks_end, struct loop_task, next) : NULL;
	pthread_mutex_unlock(&loop->mutex);
	for (bool more = last; more;) {
		struct loop_task copy;

		pthread_mutex_lock(&loop->mutex);
		task = loop->tasks;
		if (!task) {
			pthread_mutex_unlock(&loop->mutex);
			break;
		}
		loop->tasks = task->next;
		if (!loop->tasks)
			loop->tasks_end = &loop->tasks;
		task->posted = false;
		copy = *task;
		more = task != last;
		pthread_mutex_unlock(&loop->mutex);
		lock_if(copy.lock);
		copy.fn(copy.opaque);
		unlock_if(copy.lock);
	}
}

static void run_timer(const struct loop *loop, const struct loop_timer *timer)
{
	lock_if(timer->lock);
	if (loop->tap)
		loop->tap(loop->tap_opaque, timer->lock);
	timer->fn(timer->opaque);
	unlock_if(timer->lock);
}

void loop_set_tap(
	struct loop *loop, void (*fn)(void *opaque, const pthread_mutex_t *lock), void *opaque)
{
	loop->tap_opaque = opaque;
	loop->tap = fn;
}

bool loop_fire(struct loop *loop, const pthread_mutex_t *lock)
{
	struct loop_timer *timer, copy;

	pthread_mutex_lock(&loop->mutex);
	for (timer = loop->timers; timer && timer->lock != lock; timer = timer->next)
		;
	if (timer) {
		unlink_timer(loop, timer);
		copy = *timer;
	}
	pthread_mutex_unlock(&loop->mutex);
	if (timer)
		run_timer(loop, &copy);
	return timer;
}

static void run_timers(struct loop *loop)
{
	uint64_t now_ns = util_now_ns();

	for (;;) {
		struct loop_timer *timer, copy;

		pthread_mutex_lock(&loop->mutex);
		timer = loop->timers;
		if (!timer || timer->deadline_ns > now_ns) {
			pthread_mutex_unlock(&loop->mutex);
			return;
		}
		unlink_timer(loop, timer);
		copy = *timer;
		pthread_mutex_unlock(&loop->mutex);
		run_timer(loop, &copy);
	}
}

/* Milliseconds until the nearest deadline, rounded up; -1 for none. */
static int wait_ms(struct loop *loop, int timeout_ms)
{
	uint64_t now_ns = util_now_ns(), left_ms;

	pthread_mutex_lock(&loop->mutex);
	if (loop->stopped || loop->tasks) {
		timeout_ms = 0;
	} else if (loop->timers) {
		uint64_t deadline_ns = loop->timers->deadline_ns;

		left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns - 1) / 1000000 + 1 : 0;
		left_ms = MIN(left_ms, (uint64_t)INT32_MAX);
		if (timeout_ms < 0 || (uint64_t)timeout_ms > left_ms)
			timeout_ms = (int)left_ms;
	}
	pthread_mutex_unlock(&loop->mutex);
	return timeout_ms;
}

static bool is_stopped(struct loop *loop)
{
	bool stopped;

	pthread_mutex_lock(&loop->mutex);
	stopped = loop->stopped;
	pthread_mutex_unlock(&loop->mutex);
	return stopped;
}

bool loop_run_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(loop, timeout_ms));
	const struct loop *outer = turning;

	turning = loop;
	for (int i = 0; i < n && !is_stopped(loop); i++) {
		if (events[i].data.ptr) {
			run_watch(loop, events[i].data.ptr, events[i].events);
		} else {
			uint64_t count;

			/* Resets the counter; the tasks themselves are in the list. */
			if (read(loop->wake_fd, &count, sizeof(count)) < 0)
				continue;
		}
	}
	if (!is_stopped(loop))
		run_tasks(loop);
	if (!is_stopped(loop))
		run_timers(loop);
	turning = outer;
	return !is_stopped(loop);
}

int loop_run(struct loop *loop)
{
	int value;

	while (loop_run_once(loop, -1))
		;
	pthread_mutex_lock(&loop->mutex);
	loop->stopped = false;
	value = loop->stop_value;
	pthread_mutex_unlock(&loop->mutex);
	return value;
}
