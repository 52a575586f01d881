/*
 * The part of a trace that vmm replay needs: what devices were told by the guest and by the host,
 * and what they answered. Only with --trace FILE,record.
 *
 * Each device is recorded with its lock held, so that its records are in the order in which it saw
 * things; one number over all of them puts those of all threads in one order.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/core/bus.h"
#include "vmm/core/device.h"
#include "vmm/core/trace.h"

struct trace_tape_recorder;

/*
 * Before devices are made: they are given the recorder's tape. Error: -ENOMEM and a sentence.
 * trace_tape_destroy() when no device is left; NULL is legal.
 */
int trace_tape_create(struct trace_tape_recorder **recorder, struct trace *trace, struct err *err);
void trace_tape_destroy(struct trace_tape_recorder *recorder);
struct tape *trace_tape_of(struct trace_tape_recorder *recorder);

/*
 * When all ranges are there, before the bus is frozen: puts ranges of its own in their places, so
 * that no access costs anything in a machine that records nothing. -ENOMEM and a sentence.
 */
int trace_tape_bus(
	struct trace_tape_recorder *recorder, struct bus *bus, bool is_pio, struct err *err);

/* Timers of devices, by their locks. */
void trace_tape_loop(struct trace_tape_recorder *recorder, struct loop *loop,
	struct device *const *devices, const size_t *count);

/* What is of no device. */
void trace_tape_note(struct trace_tape_recorder *recorder, enum trace_tape_kind kind, uint64_t addr,
	uint64_t value);
