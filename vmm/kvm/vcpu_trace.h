/*
 * What a vCPU tells the trace of its exits (vmm/core/trace.h). On the vCPU's thread.
 */
#pragma once

#include <stdint.h>

struct vcpu;

/*
 * Notes the exit that was handled from `began_ns` (of the trace's time) until now. `records` is
 * exits.total before: an exit that left no record in the exit ring was an interruption.
 */
void vcpu_trace_exit(struct vcpu *vcpu, uint64_t began_ns, uint64_t records);
