/* What this lab is about. The README says what each function has to do. */
#pragma once

#include "lab.h"

enum {
	CPUS_MAX = 8, /* ids are below */
	CPU_STACK_BYTES = 4096,
};

/* ---- The machine (machine.c) ---- */

/* Waits for so many microseconds, or a little longer. For one processor at a time. */
void delay(unsigned microseconds);

/* The ids of the local APICs of all processors, from the ACPI tables; returns how many there are. */
unsigned cpus_list(unsigned ids[CPUS_MAX]);

/* ---- Processors ---- */

/* Memory for the first instructions of a processor: a page below 1 MiB that nobody else uses. */
#define TRAMPOLINE 0x40000u

/* The id of the processor that asks: that of its local APIC. */
unsigned cpu_id(void);

/* What a processor does; when it returns, the processor halts for ever. */
typedef void cpu_fn(void);

/*
 * Starts that processor: it calls `fn` in 64-bit mode with the page tables of the caller, its caches
 * on, on a stack of its own (CPU_STACK_BYTES). Returns true as soon as it runs and needs the
 * trampoline no more, or false when half a second has passed: nobody has that id.
 */
bool cpu_start(unsigned id, cpu_fn *fn);

/* ---- What several of them share ---- */

/* Full of zeros, it is free. */
struct lock {
	volatile uint32_t is_held;
};

/* Waits until the lock is free, and takes it. */
void lock_acquire(struct lock *lock);
void lock_release(struct lock *lock);

/* Full of zeros at first. Can be used again and again. */
struct barrier {
	struct lock lock;
	volatile unsigned arrived, round;
};

/* Waits until so many processors have come here. */
void barrier_wait(struct barrier *barrier, unsigned cpus);
