/* What this lab is about. The README says what each function has to do. */
#pragma once

#include "interrupts.h"

/* ---- The timer ---- */

/* From now on IRQ 0 comes `hz` times a second (19 to 1000). Called with interrupts off. */
void timer_start(unsigned hz);

/* How many times it has come. */
unsigned timer_ticks(void);

/* ---- Tasks ---- */

/* A task's code; it never returns. */
typedef void task_fn(void);

enum {
	TASKS = 2,
	TASK_STACK_BYTES = 8192,
};

/*
 * Makes a task of each function, and lets them take turns: at each tick the other one goes on. Where
 * neither can, the processor halts. Never returns. The timer has been started.
 */
_Noreturn void tasks_run(task_fn *first, task_fn *second);

/* Called by a task: it goes on when so many ticks (1 or more) have come. */
void tasks_sleep(unsigned ticks);

/* ---- Giving the processor away (yield.S) ---- */

/*
 * Calls `fn` with a frame of its caller, as if that had been interrupted just behind the call, and goes
 * on with the frame that `fn` returns. Interrupts are off meanwhile.
 */
void yield(handler_fn *fn);
