/*
 * A console in memory: keeps what the guest prints and feeds what it is to read.
 * For tests and fuzzers of devices; the host side can be made to stall.
 *
 * Threads: as chr.h, but for one test thread the functions below are enough.
 */
#pragma once

#include "devices/backend/chr.h"

enum {
	CHR_MEMORY_BYTES = 65536
};

int chr_memory_open(struct chr **chr, struct loop *loop, struct err *err);

/* What the host side got so far (the first CHR_MEMORY_BYTES); ended by a zero byte. */
const char *chr_memory_output(struct chr *chr, size_t *len);
void chr_memory_clear_output(struct chr *chr);

/* While stalled the host side takes nothing. Ending it wakes the front ends (by the loop). */
void chr_memory_stall(struct chr *chr, bool stalled);

/* Makes the next write fail with this errno. */
void chr_memory_fail(struct chr *chr, int errnum);

/* Puts bytes where the loop reads them as input; returns how many fit. */
size_t chr_memory_feed(struct chr *chr, const void *data, size_t len);

/* A break condition after what was fed so far. */
void chr_memory_break(struct chr *chr);

/* How many writes the host side has seen: each stands for a system call. */
unsigned chr_memory_write_count(struct chr *chr);
