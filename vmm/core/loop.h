/*
 * An event loop on epoll: file descriptors, timers, and tasks posted from other
 * threads. One thread runs it. The structs are the caller's memory and must
 * stay in place until removed; adding and posting allocate nothing.
 *
 * A callback runs on the loop's thread with `lock` (a device's mutex, may be
 * NULL) held. It may add, change or remove any watch, itself included.
 *
 * Threads: loop_post() and loop_stop() from any thread. Watches and timers are added,
 * changed and removed by any thread as well, except that after loop_fd_remove()
 * on another thread than the loop's a callback already chosen may still run: hold
 * the watch's lock while removing, and the loop will not call it afterwards.
 * A timer or task taken back by another thread may likewise run once more: its
 * callback looks at its device's state. Their memory is freed on the loop's thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct loop;

struct loop_fd {
	int fd;		 /* borrowed */
	uint32_t events; /* EPOLLIN, EPOLLOUT, also EPOLLET; 0 = watch nothing for now */
	void (*fn)(void *opaque, uint32_t events);
	void *opaque;
	pthread_mutex_t *lock;
	/* private to loop.c */
	struct loop *loop; /* NULL while not added */
	struct loop_fd *next;
	bool in_epoll;
};

struct loop_timer {
	void (*fn)(void *opaque);
	void *opaque;
	pthread_mutex_t *lock;
	/* private to loop.c */
	struct loop *loop;	 /* NULL while not armed */
	uint64_t deadline_ns;	 /* CLOCK_MONOTONIC */
	struct loop_timer *next; /* by deadline */
};

struct loop_task {
	void (*fn)(void *opaque);
	void *opaque;
	pthread_mutex_t *lock;
	/* private to loop.c */
	struct loop_task *next;
	bool posted;
};

/* Error: -errno and a sentence. loop_destroy(NULL) is legal. */
int loop_create(struct loop **loop, struct err *err);
void loop_destroy(struct loop *loop);

/* Runs callbacks until loop_stop(); returns its value. May be called again afterwards. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int value);

/*
 * `fn` is called before each timer fires, with the timer's lock held: for a recording. Before the
 * loop runs. NULL ends it.
 */
void loop_set_tap(
	struct loop *loop, void (*fn)(void *opaque, const pthread_mutex_t *lock), void *opaque);

/* For a replay: fires the next timer with that lock, whatever the time; false when there is none. */
bool loop_fire(struct loop *loop, const pthread_mutex_t *lock);

/*
 * Runs what is ready, waiting at most `timeout_ms` (-1: without end) for the
 * first event. For tests and for draining. Returns false after loop_stop().
 */
bool loop_run_once(struct loop *loop, int timeout_ms);

/*
 * Watches an fd. -EPERM when epoll can't (a regular file, which is always
 * ready); otherwise -errno. No sentence: the caller knows what the fd is.
 */
int loop_fd_add(struct loop *loop, struct loop_fd *watch);
void loop_fd_set_events(struct loop_fd *watch, uint32_t events);
void loop_fd_remove(struct loop_fd *watch); /* legal when not added */

/* (Re)arms to fire once after `delay_ns`. */
void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns);
void loop_timer_cancel(struct loop_timer *timer); /* legal when not armed */

/* Queues a task to run once on the loop's thread; a task already queued stays queued once. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Takes a task back that has not run; false when it was not queued. */
bool loop_unpost(struct loop *loop, struct loop_task *task);
