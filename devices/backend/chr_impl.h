/*
 * The inside of a character back end, for the files that implement one
 * (chr_*.c) and for no one else. Each embeds a struct chr as its first member.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/chr.h"
#include "vmm/base/ring.h"

enum {
	CHR_NAME_MAX = 128,
	CHR_INPUT_BYTES = 4096,
	/* On a terminal more is read ahead, so that Ctrl-a x works while a guest reads nothing. */
	CHR_INPUT_TERMINAL_BYTES = 65536,
	/* And of somebody who has left, so that his place is free: what his socket held at most. */
	CHR_INPUT_REST_BYTES = 4 * 1024 * 1024,
};

struct chr_ops {
	/*
	 * Moves bytes without blocking: the number (> 0), -EAGAIN, or another -errno, and
	 * for read 0 at the end of input. write() is called with the lock held by any
	 * thread, read() by the loop's thread without it. NULL read: no input.
	 */
	int64_t (*write)(struct chr *chr, const void *data, size_t len);
	int64_t (*read)(struct chr *chr, void *data, size_t len);

	/*
	 * Who was attached is gone: the end of input or an error of write(). Called on the
	 * loop's thread, after chr_host_detach(). NULL: then the end of input is final, and
	 * an error of write() is a failure.
	 */
	void (*gone)(struct chr *chr);

	/*
	 * After the end of input: true when who has attached only said that he sends no more, and
	 * still reads. NULL: never. Loop's thread.
	 */
	bool (*still_reads)(struct chr *chr);

	/* Input is wanted for the first time; may be NULL. Loop's thread. */
	void (*input_wanted)(struct chr *chr);

	/* As chr_get_size(); NULL: has no size. */
	bool (*get_size)(struct chr *chr, unsigned *columns, unsigned *rows);

	/* Closes what open made and frees the struct. The watches are removed by then. */
	void (*close)(struct chr *chr);
};

struct chr {
	const struct chr_ops *ops;
	struct loop *loop;
	char name[CHR_NAME_MAX];

	pthread_mutex_t lock; /* after a front end's lock, before the loop's; guards up to stats */
	struct ring out;
	struct ring history; /* the last output; bytes NULL: not kept */
	bool attached;	     /* somebody is there; else output goes to history alone */
	bool blocked;	     /* the host side takes no more until EPOLLOUT */
	bool failed;	     /* for good: output is dropped */
	bool room_wanted;    /* a front end was told "no room" */
	bool gather_armed;
	uint64_t last_flush_ns;
	struct loop_fd out_watch; /* fd -1 while there is none */
	struct loop_timer gather_timer;
	void (*observer)(void *opaque, const void *data, size_t len);
	void *observer_opaque;
	struct chr_stats stats;
	struct chr_client *clients; /* changed on the loop's thread */
	uint64_t clients_flushed_ns;
	bool clients_armed;

	/* The loop's thread alone, but for the atomic. */
	struct chr_front *fronts;
	struct chr_front *input_front; /* one of `fronts`, or NULL */
	struct ring in;
	struct loop_fd in_watch; /* fd -1 while there is none */
	bool in_direct;		 /* epoll can't watch it: it is always ready (a regular file) */
	bool in_paused;
	bool in_half_closed; /* who is there sends no more, but still reads */
	bool in_rest_waits;  /* there is no room to keep what he has sent: it waits in the socket */
	bool left_late;	     /* who has left is told of when his input is taken */
	bool in_started;
	_Atomic bool in_waiting; /* chr_accept_input() has something to do */
	size_t break_after;	 /* bytes of `in` before a break; SIZE_MAX: no break */
	struct chr_escape escape;
	bool has_escape;
	void (*escape_fn)(void *opaque, enum chr_escape_key key);
	void *escape_opaque;
	bool in_ended; /* for good: the front end is told when it has all of it */
	unsigned client_columns, client_rows; /* 0: no client has said */
	struct loop_timer client_timer;
	struct loop_task input_task, room_task, gone_task, client_task;
};

/*
 * Sets up the common part of a zeroed struct; chr_finish() undoes it. `input_bytes` is the
 * size of the input ring. Attached from the start, unless `waits` for somebody to come.
 */
int chr_init(struct chr *chr, const struct chr_ops *ops, struct loop *loop, size_t input_bytes,
	bool waits, struct err *err);
void chr_finish(struct chr *chr);

/* The name in messages, cut when it is too long. */
void chr_set_name(struct chr *chr, const char *name);

/* Watches these from now on (borrowed), or no longer (-1). Loop's thread or before it runs. */
void chr_set_input_fd(struct chr *chr, int fd);
void chr_set_output_fd(struct chr *chr, int fd);

/* Reads nothing from the host while paused. Loop's thread. */
void chr_pause_input(struct chr *chr, bool paused);

/* Somebody came: shows the history and goes on from there. Loop's thread. */
void chr_host_attach(struct chr *chr, int in_fd, int out_fd);

/* Nobody is there any more: forgets the fds (not closed) and what was on the way. Loop's thread. */
void chr_host_detach(struct chr *chr);

/* Calls host_changed() of the front ends. Loop's thread, without the lock. */
void chr_tell_host_changed(struct chr *chr);

/* chr_output.c: sends what is pending, or forgets it. With the lock held. */
void chr_output_init(struct chr *chr);
void chr_output_flush(struct chr *chr);
void chr_output_drop(struct chr *chr);

/* chr_input.c: watches the input fd while there is room for what it gives. Loop's thread. */
void chr_input_init(struct chr *chr);
void chr_input_watch(struct chr *chr);

/* Who has attached is gone: what he had sent is kept here. Loop's thread. */
void chr_input_keep_rest(struct chr *chr);

/* Input from elsewhere than the host side; there has to be room for it. Loop's thread. */
void chr_input_put(struct chr *chr, const void *data, size_t len);

/* chr_client.c: output for all clients, with the lock held; */
void chr_clients_put(struct chr *chr, const void *data, size_t len);
void chr_clients_flush(struct chr *chr);

/* reading on when there is room for input again; and the life. Loop's thread. */
void chr_clients_watch(struct chr *chr);
void chr_clients_init(struct chr *chr);
void chr_clients_close(struct chr *chr);

/* Round each call of a front end; chr->lock is not held then. */
void chr_front_lock(struct chr_front *front);
void chr_front_unlock(struct chr_front *front);

/* The implementations' open functions; `path` is what follows the colon. */
int chr_stdio_open(struct chr **chr, const char *path, struct loop *loop, struct err *err);
int chr_pty_open(struct chr **chr, const char *path, struct loop *loop, struct err *err);
int chr_file_open(struct chr **chr, const char *path, struct loop *loop, struct err *err);
int chr_unix_open(struct chr **chr, const char *path, struct loop *loop, struct err *err);
int chr_pipe_open(struct chr **chr, const char *path, struct loop *loop, struct err *err);
int chr_null_open(struct chr **chr, const char *path, struct loop *loop, struct err *err);

/* stdio on other descriptors (borrowed), for tests; -1 stands for a closed one. */
int chr_stdio_open_fds(struct chr **chr, int in_fd, int out_fd, struct loop *loop, struct err *err);
