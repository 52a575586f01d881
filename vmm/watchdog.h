/*
 * The watchdog: when a guest has printed nothing for a while it looks at what the processors do,
 * and says once what is wrong and what can be done about it (watch_judge.h). It also says what a
 * guest was doing that the time limit ends.
 *
 * Off, it costs nothing. On, it is one timer of the loop, which goes off when the silence is long
 * enough; then each processor looks at its own registers a few times within a third of a second
 * (vcpu_sample.h), and only once if all of them sleep. While nothing changes the looks become
 * rarer, up to WATCHDOG_BACKOFF_MAX silences apart. The loop never waits for a guest.
 *
 * Threads: the loop's, but for watchdog_hear(), which is for any.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/loop.h"
#include "vmm/watch_judge.h"

struct vm;

enum {
	WATCHDOG_DEFAULT_MS = 10000,
	WATCHDOG_BACKOFF_MAX = 8,
};

struct watchdog {
	_Atomic bool is_on; /* the guest may print before watchdog_start() */
	unsigned silence_ms;
	_Atomic uint64_t heard_ns; /* when the guest last printed */
	struct loop_timer timer;
	unsigned backoff;
	uint64_t seen_heard_ns; /* heard_ns at the last look */
	uint64_t looked_ns;
	/* While the processors are being looked at; owned. */
	struct watch_cpu *cpus;
	unsigned cpu_count, ticks;
	uint64_t first_ns;
	void (*then)(struct vm *vm); /* what to do when that is over, or NULL */
	/* What was said last. */
	enum watch_kind said;
	uint64_t said_code;
};

/* `interactive`: a person sits at the guest's console. */
void watchdog_start(struct vm *vm, bool interactive);

/* The guest has printed something. */
void watchdog_hear(struct watchdog *watchdog);

/* The guest starts afresh: its processors are about to vanish. Not after watchdog_tell(). */
void watchdog_forget(struct vm *vm);

void watchdog_finish(struct watchdog *watchdog);

/* Says within half a second what the guest is doing, whatever it is, and then calls `then`. */
void watchdog_tell(struct vm *vm, void (*then)(struct vm *vm));

/* Says where in the kernel an address lies, if its symbols are known. */
void watchdog_say_place(struct vm *vm, const char *what, uint64_t code);
