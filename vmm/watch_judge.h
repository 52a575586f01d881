/*
 * Why a guest that prints nothing prints nothing: a decision from facts alone, and the sentences
 * for it. Knows nothing of KVM, files or time; watchdog.c gathers the facts.
 *
 * What counts as progress, so that no healthy guest is called hung:
 *   a processor that sleeps with interrupts on (a shell at its prompt, a tickless kernel);
 *   one that runs programs (privilege level 3), whatever they do;
 *   one whose code or registers move on: code further apart than WATCH_LOOP_BYTES, or a loop that
 *   changes more than one register (a copy, a computation). With interrupts off it is no progress
 *   to move within WATCH_LOOP_OFF_BYTES, and for Linux neither to change registers there;
 *   one that asks a device over and over (it waits for a key, say).
 *
 * No state; any thread. What comes from the guest is shown with '?' for what is not printable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/guest_driver.h"
#include "vmm/kvm/vcpu_sample.h"

enum {
	/* Code within so many bytes is one loop: with interrupts on, and with interrupts off. */
	WATCH_LOOP_BYTES = 64,
	WATCH_LOOP_OFF_BYTES = 1024,
	WATCH_SAMPLES_MIN = 6, /* fewer are no proof of a loop */
	WATCH_STORM_PER_S = 500,
	WATCH_POLLS_PER_S = 100,
	WATCH_CONSOLES_MAX = 4,
	WATCH_TEXT_MAX = 400,
};

/* What the samples of one processor had in common. A zeroed struct is ready. */
struct watch_cpu {
	unsigned answers; /* all samples */
	unsigned samples; /* those of a processor that was started */
	unsigned halted, interrupts_on, in_user;
	struct vcpu_sample first, last;
	uint64_t code_low, code_high; /* of those that were not halted */
	unsigned regs_changed;	      /* one bit for each register; halted ones do not count */
	bool access_differs;	      /* not all had the same last access */
};

struct watch_console {
	const char *name;      /* as console= names it: "ttyS0" */
	const char *host_side; /* "stdio", "null", … */
	bool is_shown;	       /* a person can see it */
	bool is_screen;	       /* a picture, of which nobody counts bytes */
	uint64_t bytes;	       /* that the guest has written there */
	enum guest_driver driver;
};

struct watch_facts {
	const struct watch_cpu *cpus;
	unsigned cpu_count;
	uint64_t window_ns; /* from the first sample to the last */

	bool is_linux;
	bool is_interpreted; /* this host's KVM interprets instructions */
	const char *cmdline;
	const char *panic_reason; /* or NULL */
	const char *last_line;	  /* on the console, "" = none */

	struct watch_console consoles[WATCH_CONSOLES_MAX];
	unsigned console_count;
	unsigned disk_count;
	const enum guest_driver *disk_drivers;
	bool has_initrd;
};

enum watch_kind {
	/* all is well */
	WATCH_UNKNOWN, /* no processor has answered yet */
	WATCH_IDLE,
	WATCH_BUSY,
	WATCH_POLLS, /* asks a device again and again */
	/* these are worth a word */
	WATCH_PANIC,
	WATCH_HALTED, /* for good: all with interrupts off */
	WATCH_STORM,  /* accesses without end where no device is */
	WATCH_INTERPRETED,
	WATCH_SPINS,
	WATCH_WAITS_FOR_ROOT,
	WATCH_CONSOLE_ELSEWHERE, /* it prints, but to a console that is not shown */
	WATCH_CONSOLE_UNKNOWN,	 /* console= names none that is shown */
	WATCH_CONSOLE_DRIVER,	 /* it names the right one, which has no driver */
};

struct watch_verdict {
	enum watch_kind kind;
	unsigned cpu;	/* whom it is about; no one for the kinds of consoles */
	uint64_t code;	/* where it is, linear */
	bool has_place; /* the two above say something */
	unsigned console;
	int disk; /* WAITS_FOR_ROOT: the root's number, or -1 */
};

void watch_cpu_add(struct watch_cpu *cpu, const struct vcpu_sample *sample);

/* True when all that could be learnt from more samples is known: every processor sleeps. */
bool watch_is_asleep(const struct watch_cpu *cpus, unsigned count);

/* The number of the disk /dev/vdX that root= names, or -1. */
int watch_root_disk(const char *cmdline);

/* A line of Linux, or of a distribution's initrd, that waits for a root file system. */
bool watch_says_waiting(const char *line);

void watch_judge(const struct watch_facts *facts, struct watch_verdict *verdict);

/* Something is wrong, as far as can be told; and the guest will get no further by itself. */
bool watch_is_trouble(enum watch_kind kind);
bool watch_is_hung(enum watch_kind kind);

/*
 * Two sentences without full stop: what is and why, and what to do ("" for nothing). `place` says
 * where the processor is ("RIP 0x… (symbol)"), `device` whose register is read; either may be NULL.
 */
void watch_explain(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, const char *device, char text[WATCH_TEXT_MAX],
	char hint[WATCH_TEXT_MAX]);
