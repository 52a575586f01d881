/*
 * Files like those of --trace, made record by record in memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/core/trace_format.h"

enum {
	FAKE_TRACE_BYTES_MAX = 1 << 20
};

struct fake_trace {
	uint8_t bytes[FAKE_TRACE_BYTES_MAX];
	size_t count;
};

/* The header of a machine with so many processors. */
void fake_trace_begin(struct fake_trace *trace, uint32_t cpus);

/* A record of `bytes` with a head of that type and source; the rest is copied from `record`. */
void fake_trace_add(
	struct fake_trace *trace, uint8_t type, uint16_t source, const void *record, size_t bytes);

void fake_trace_add_fact(struct fake_trace *trace, const char *text);
void fake_trace_add_device(
	struct fake_trace *trace, uint16_t number, const char *name, const char *class_name);
void fake_trace_add_exit(struct fake_trace *trace, uint16_t cpu, uint64_t time_ns,
	enum trace_reason reason, uint16_t device, uint32_t took_ns);
void fake_trace_add_moment(struct fake_trace *trace, uint8_t type, uint64_t time_ns);
