/*
 * What --trace (vmm/core/trace.h, trace_tape.h) is told of the machine. For machine.c; the loop's
 * thread.
 */
#pragma once

#include "vmm/base/err.h"

struct machine;

/* Opens the file if one is wanted. Error: -errno and a sentence. */
int machine_trace_open(struct machine *machine, struct err *err);

/* When all devices are there and the buses are not frozen. Error: -errno and a sentence. */
int machine_trace_tap(struct machine *machine, struct err *err);

/* Writes down the machine as it was made, and starts. Before a guest runs. */
int machine_trace_start(struct machine *machine, struct err *err);

/* Before devices are reset. */
void machine_trace_reset(struct machine *machine);
