/*
 * A vCPU under a debugger: its registers, break- and watchpoints in the processor's debug
 * registers, single steps, and why it stopped. Until vcpu_debug_set() is called for the first time
 * nothing of this costs the vCPU anything.
 *
 * A stop is reported as VCPU_EVENT_DEBUG, on the vCPU's thread, which then parks. The guest's own
 * INT3 and single steps are given back to it, unseen by anybody.
 *
 * What can't be had: while a debug register is in use here, those of the guest have no effect.
 *
 * Where KVM does not carry out a debug register (see cpu_x86_find_debug()), and for more traps than
 * there are registers, the guest is stepped instead and looked at after each instruction: a hundred
 * times slower than it runs there already. A write is then noticed by its new value, an access that
 * writes none not at all; and what runs in an interrupt's handler is looked at when that returns.
 *
 * Threads: all on the owner's thread while the vCPU is parked or not yet started.
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG; AMD APM vol. 2, 13.1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/cpu_regs.h"
#include "vmm/kvm/page_walk.h"
#include "vmm/kvm/vcpu.h"

enum vcpu_trap_kind {
	VCPU_TRAP_EXECUTE = 0, /* the numbers are those of DR7 */
	VCPU_TRAP_WRITE = 1,
	VCPU_TRAP_ACCESS = 3,
};

struct vcpu_trap {
	uint64_t address; /* linear; for WRITE and ACCESS a multiple of `len` */
	uint8_t len;	  /* 1, 2, 4 or 8; 1 for EXECUTE */
	enum vcpu_trap_kind kind;
};

enum {
	VCPU_DEBUG_REGISTERS = 4,
	VCPU_TRAPS_MAX = 32
};

/* What one vCPU is to stop for. */
struct vcpu_debug {
	struct vcpu_trap traps[VCPU_TRAPS_MAX];
	unsigned trap_count;
	bool step;   /* one instruction */
	bool breaks; /* INT3 instructions were put into the guest's code: `is_break` is asked */
};

struct vcpu_debug_config {
	/*
	 * Is there an INT3 of the debugger's at this linear address? Called on vCPUs' threads while
	 * they run; what it looks at changes only while all are parked.
	 */
	bool (*is_break)(void *opaque, const struct page_walk_regs *walk, uint64_t linear);
	void *opaque;
};

enum vcpu_stop_kind {
	VCPU_STOP_NONE, /* it runs, or was parked for another reason */
	VCPU_STOP_STEP,
	VCPU_STOP_BREAK, /* at an INT3 of the debugger's, which is not executed */
	VCPU_STOP_TRAP,	 /* `trap` of the ones that were set */
};

struct vcpu_stop {
	enum vcpu_stop_kind kind;
	struct vcpu_trap trap;
};

/* -errno when KVM refuses; no sentence. `config` is copied at the first call. */
int vcpu_debug_set(
	struct vcpu *vcpu, const struct vcpu_debug *debug, const struct vcpu_debug_config *config);

/* Why it stopped; once: the next time it says NONE. */
struct vcpu_stop vcpu_debug_take_stop(struct vcpu *vcpu);

/* -errno when KVM refuses. vcpu_set_regs() writes only what differs from `old`. */
int vcpu_get_regs(struct vcpu *vcpu, struct cpu_regs *regs);
int vcpu_set_regs(struct vcpu *vcpu, const struct cpu_regs *old, const struct cpu_regs *regs);
