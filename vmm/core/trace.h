/*
 * --trace: every exit of the guest, interrupt and kick, with its time, into a file. The format is
 * trace_format.h's.
 *
 * Each processor's thread has a ring of its own, without a lock; all other threads share one. A
 * thread of the trace's own writes the rings out. Memory: TRACE_RING_BYTES for each processor and
 * once more. A thread that finds its ring full waits for the writer, TRACE_WAIT_MS at most; after
 * that its records are counted instead, until there is room again, and their number is in the file.
 * When the file can't be written any more, one line says so and the machine runs on.
 *
 * Where a machine has no trace the pointer is NULL, and whoever would note something looks at that.
 * With none nothing is opened, allocated or started.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/util.h"
#include "vmm/core/trace_format.h"

struct trace;
struct device;
struct irq_line;

enum {
	TRACE_WAIT_MS = 100
};

struct trace_config {
	const char *path;
	unsigned cpus;
	bool records; /* what vmm replay needs as well: see trace_tape.h */
};

/*
 * Opens the file; a file that is there is emptied if it is a trace or empty, else left alone. A
 * FIFO needs a reader. Error: -errno and a sentence.
 */
int trace_open(struct trace **trace, const struct trace_config *config, struct err *err);

/* Before trace_start(): what a reader may want to know of the machine, and its devices. */
void trace_add_fact(struct trace *trace, const char *key, const char *value);
void trace_add_device(struct trace *trace, const struct device *device);

/* Starts the writer. Error: -errno and a sentence. */
int trace_start(struct trace *trace, struct err *err);

/*
 * Writes out what is in the rings, ends the writer, closes the file and frees everything. Nobody
 * notes anything any more. trace_close(NULL) is legal, and so it is before trace_start().
 */
void trace_close(struct trace *trace);

/* ---- Any thread, from trace_start() on ---- */

/* The calling thread is processor `cpu`'s from now on. */
void trace_attach(struct trace *trace, unsigned cpu);

/* Nanoseconds of the trace's time. */
uint64_t trace_now_ns(const struct trace *trace);

/* All but `record` is filled in by the caller. */
void trace_note_exit(struct trace *trace, struct trace_exit *exit);
void trace_note_kick(
	struct trace *trace, const struct device *device, unsigned queue, uint64_t began_ns);
void trace_note_reset(struct trace *trace);

/* For trace_tape.c: the next place in the order of the recording, and a record in that place. */
uint64_t trace_next_seq(struct trace *trace);
void trace_note_tape(struct trace *trace, struct trace_tape *tape, const void *bytes, size_t count);

/*
 * Puts a line in front of `line` that notes what `device` does with it. On the thread that builds
 * the machine; the line is good until trace_close(). Error: -ENOMEM and a sentence.
 */
int trace_tap_irq(
	struct trace *trace, const struct device *device, struct irq_line *line, struct err *err);
