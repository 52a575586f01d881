/*
 * What one processor has done so far. Owner's thread; nobody is waited for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/kvm/vcpu.h"

/* Counters that KVM keeps itself, by its own names (api.rst, KVM_GET_STATS_FD). */
#define VCPU_KVM_STAT_TABLE(X)                                                                     \
	X(exits, "exits")                                                                          \
	X(halts, "halt_exits")                                                                     \
	X(irqs, "irq_injections")                                                                  \
	X(hypercalls, "hypercalls")

struct vcpu_stats {
	uint64_t run_ns;    /* processor time of its thread, the guest's included */
	uint64_t wait_ns;   /* how long it wanted to run and the host had no processor for it */
	bool has_kvm;	    /* the last are known: not with kernels before 5.14 */
	bool kvm_is_coming; /* they will be, in a moment: this was the first question */
#define VCPU_KVM_STAT_FIELD(field, name) uint64_t field;
	VCPU_KVM_STAT_TABLE(VCPU_KVM_STAT_FIELD)
#undef VCPU_KVM_STAT_FIELD
};

/* What can't be had is zero. */
void vcpu_get_stats(struct vcpu *vcpu, struct vcpu_stats *stats);
