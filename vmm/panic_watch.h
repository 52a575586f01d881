/*
 * Notices a Linux panic in what the guest prints, so that the reset which
 * follows (panic=-1 on the command line) is told from an ordinary reboot, and
 * so that the person is told the likely cause.
 *
 * It only reads: a guest that prints the words without panicking gains nothing
 * but a wrong exit status for its next reset, and only if that comes within
 * PANIC_WATCH_LINES lines. One thread at a time (the console's lock).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vmm/guest_driver.h"

enum {
	/* A back trace with all that looks like an address on 16 KiB of stack, and the registers. */
	PANIC_WATCH_LINES = 300,
	PANIC_WATCH_LINE_MAX = 200
};

struct panic_watch {
	char line[PANIC_WATCH_LINE_MAX]; /* the line being printed, cut when too long */
	size_t line_len;
	char before[PANIC_WATCH_LINE_MAX]; /* the last whole line that was not empty */
	char reason[PANIC_WATCH_LINE_MAX]; /* after "not syncing: ", "" = no panic seen */
	unsigned lines_since;		   /* whole lines after that one */
};

/* A zeroed struct is ready. Takes console output as it comes. */
void panic_watch_feed(struct panic_watch *watch, const void *data, size_t len);

/* Forgets everything: the guest was reset. */
void panic_watch_reset(struct panic_watch *watch);

/* The reason of a panic printed within the last PANIC_WATCH_LINES lines, else NULL. */
const char *panic_watch_reason(const struct panic_watch *watch);

/* The line being printed if it has begun, else the last whole one; "" at first. */
const char *panic_watch_last_line(struct panic_watch *watch);

/*
 * What a person can do about that reason: a sentence without full stop; "" and false when nothing
 * is known. `has_disk`, `has_initrd`: what the machine was given; `driver`: of the disk with the
 * root file system.
 */
bool panic_watch_hint(const char *reason, bool has_disk, bool has_initrd, enum guest_driver driver,
	char *hint, size_t size);
