/*
 * Which events of a trace are looked at, and what they come to: for all forms of vmm trace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/tools/trace_file.h"

enum {
	TRACE_ALL = -1
};

struct trace_view {
	const struct trace_file *file;
	int cpu;		 /* or TRACE_ALL; host events then are left out */
	int device;		 /* or TRACE_ALL */
	uint64_t from_ns, to_ns; /* [from, to) */
};

/* Everything. */
void trace_view_init(struct trace_view *view, const struct trace_file *file);

/* The first event from `at` on that is looked at; file->event_count when there is none. */
size_t trace_view_next(const struct trace_view *view, size_t at);

#define TRACE_VIEW_EACH(view, i)                                                                   \
	for (size_t i = trace_view_next(view, 0); i < (view)->file->event_count;                   \
		i = trace_view_next(view, i + 1))

/* The times that are looked at: `to_ns` no later than the trace's end. */
uint64_t trace_view_span_ns(const struct trace_view *view);

/* What happened how often, of one kind. */
struct trace_tally {
	uint8_t reason;
	unsigned device;
	uint64_t exits;
	uint64_t took_ns;
	uint32_t longest_ns;
};

struct trace_sums {
	struct trace_tally *tallies; /* owned; the most time first */
	size_t tally_count;
	uint64_t exits, took_ns, unclaimed, irqs, kicks, lost, resets, marks;
	uint64_t cpu_exits[TRACE_CPUS_MAX], cpu_took_ns[TRACE_CPUS_MAX];
};

/* Error: -ENOMEM. trace_sums_free(NULL) is legal. */
int trace_sums_make(struct trace_sums **sums, const struct trace_view *view);
void trace_sums_free(struct trace_sums *sums);

/* The exits that took longest, the longest first. Returns how many there are, at most `max`. */
size_t trace_view_slowest(
	const struct trace_view *view, const struct trace_exit **slowest, size_t max);
