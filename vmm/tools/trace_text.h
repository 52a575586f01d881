/*
 * vmm trace's tables and lists for people.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "vmm/tools/trace_view.h"

/* All of it: what the trace is, histogram, timeline, marks, the `slowest` slowest exits. */
int trace_text_print(const struct trace_view *view, size_t slowest, FILE *out);

/* One line for each event. */
void trace_text_list(const struct trace_view *view, FILE *out);

/* One event in words, without its time: "port write 0x3f8, 1 byte, 0x41 serial0". Cut to fit. */
void trace_text_event(
	const struct trace_file *file, const struct trace_record *event, char *text, size_t size);
