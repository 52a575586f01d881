/*
 * When the steps of a machine's start happened: --boot-timer. The parts note their steps where
 * they take them; without the option they are given NULL, and nothing is done.
 *
 * Time zero is the program's start as far as it can be known from inside: the processor time that
 * the kernel has charged to the process when the clock is set, before the first note. So exec, the
 * dynamic loader and its page faults count; what the process waited for until then does not.
 * Beside the time that passed stands the processor time that was used, for a host may make the
 * first much longer than the second: KVM waits for all its processors when a machine is made.
 *
 * Any thread may note; only the first time of each step counts, so a guest's reset changes nothing.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* In the order of a usual start; the key stands in the JSON. */
#define BOOT_STEP_TABLE(X)                                                                         \
	X(BOOT_STEP_MAIN, "main", "program loaded")                                                \
	X(BOOT_STEP_OPTIONS, "options", "options read")                                            \
	X(BOOT_STEP_KERNEL_FOUND, "kernel_found", "kernel file recognised")                        \
	X(BOOT_STEP_FILES, "files", "disks, networks, consoles opened")                            \
	X(BOOT_STEP_KVM, "kvm", "/dev/kvm opened")                                                 \
	X(BOOT_STEP_MEMORY, "memory", "guest memory made")                                         \
	X(BOOT_STEP_DEVICES, "devices", "devices made")                                            \
	X(BOOT_STEP_KERNEL_LOADED, "kernel_loaded", "kernel loaded")                               \
	X(BOOT_STEP_VM, "vm", "VM, interrupt chip and slots made")                                 \
	X(BOOT_STEP_VCPUS, "vcpus", "processors made")                                             \
	X(BOOT_STEP_RUN, "run", "first KVM_RUN")                                                   \
	X(BOOT_STEP_EXIT, "exit", "first exit from the guest")                                     \
	X(BOOT_STEP_CONSOLE, "console", "first byte on a console")                                 \
	X(BOOT_STEP_ENDED, "ended", "machine ended")                                               \
	X(BOOT_STEP_CLOSED, "closed", "everything closed")

#define BOOT_STEP_ENUM(name, key, text) name,
enum boot_step {
	BOOT_STEP_TABLE(BOOT_STEP_ENUM) BOOT_STEP_COUNT
};
#undef BOOT_STEP_ENUM

enum {
	BOOT_MARKS_MAX = 64, /* of the guest; more are counted only */
};

struct boot_mark {
	uint64_t at_ns;
	uint8_t number;
};

struct boot_timer {
	uint64_t zero_ns;			 /* CLOCK_MONOTONIC */
	_Atomic uint64_t at_ns[BOOT_STEP_COUNT]; /* since zero; 0 = has not happened */
	uint64_t cpu_ns[BOOT_STEP_COUNT];	 /* of all threads, the guest's code included */
	const char *kernel_source;		 /* how the kernel came into memory, or NULL */
	struct boot_mark marks[BOOT_MARKS_MAX];	 /* written under the mark port's lock */
	_Atomic unsigned mark_count;		 /* all that came */
};

/* Sets the clock. `main_ns` is util_now_ns() at the begin of main(). */
void boot_timer_init(struct boot_timer *timer, uint64_t main_ns);

/* The step has been taken. `timer` may be NULL. */
void boot_timer_note(struct boot_timer *timer, enum boot_step step);

/* The guest wrote `number` to the mark port. One at a time. */
void boot_timer_mark(struct boot_timer *timer, uint8_t number);

/* All of it as a table for people or as one JSON object, in the order of time. */
void boot_timer_print(const struct boot_timer *timer, bool as_json, FILE *out);
