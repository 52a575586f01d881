/*
 * Gathers what watch_judge.h wants to know of a machine, and names what is found. Threads: the
 * loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/watch_judge.h"

struct vm;

enum {
	WATCH_SYMBOL_MAX = 120
};

struct watch_report {
	struct watch_verdict verdict;
	char text[WATCH_TEXT_MAX], hint[WATCH_TEXT_MAX]; /* see watch_explain() */
};

/* From the samples in vm->watchdog. */
void watch_report_make(struct vm *vm, struct watch_report *report);

/*
 * "start_kernel+0x12": by --symbols, or the kernel itself, or a System.map or vmlinux that lies
 * where distributions and Linux's own build put it. False: not known.
 */
bool watch_find_symbol(const struct vm *vm, uint64_t code, char *text, size_t size);

/* How far the driver of the disk is that root= names, or else of the first; READY: there is none. */
enum guest_driver watch_root_driver(const struct vm *vm);
