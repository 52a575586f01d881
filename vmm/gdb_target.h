/*
 * What the debugger's stub needs of a machine: a small interface, so that all of the protocol runs
 * in tests and fuzzers without KVM.
 *
 * All on one thread. Registers, memory and debug registers are touched only while the processors
 * stand still: between stop() and run().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/core/cpu_regs.h"
#include "vmm/core/gmem.h"
#include "vmm/kvm/exit_ring.h"
#include "vmm/kvm/page_walk.h"
#include "vmm/kvm/vcpu_debug.h"

enum {
	GDB_CPUS_MAX = 255
};

struct gdb_target_ops {
	unsigned (*cpu_count)(void *opaque);

	/* All processors stand still when it returns; legal when they do. */
	void (*stop)(void *opaque);
	/* Those with runs[cpu] go on. Others may hold the machine still all the same. */
	void (*run)(void *opaque, const bool *runs);

	/* -errno when the processor refuses. */
	int (*get_regs)(void *opaque, unsigned cpu, struct cpu_regs *regs);
	int (*set_regs)(void *opaque, unsigned cpu, const struct cpu_regs *old,
		const struct cpu_regs *regs);

	/* What it is to stop for from its next run on. */
	int (*set_debug)(void *opaque, unsigned cpu, const struct vcpu_debug *debug);
	/* Why it stopped, once: afterwards NONE. */
	struct vcpu_stop (*take_stop)(void *opaque, unsigned cpu);

	/*
	 * The page tables that a Linux kernel was entered with, or 0. While they are in force the
	 * kernel's own addresses mean what they will mean, see gdb_translate().
	 */
	uint64_t (*linux_cr3)(void *opaque);

	/* Memory of a device (a framebuffer) that the guest sees as RAM; or NULL. */
	void *(*device_memory)(void *opaque, gpa_t gpa, uint64_t len);

	/* Text for people. */
	void (*explain)(void *opaque, unsigned cpu, FILE *out);
	const struct exit_ring *(*exits)(void *opaque, unsigned cpu);

	/* Starts the machine afresh; it stands still at its first instruction afterwards. */
	void (*reset)(void *opaque);
	void (*kill)(void *opaque);
};

struct gdb_target {
	const struct gdb_target_ops *ops;
	void *opaque;
	struct gmem *mem;
	/* An INT3 in the guest's code stops it; not so where KVM interprets the guest. */
	bool has_int3;
	/*
	 * Break- and watchpoints that take no INT3, at most GDB_TRAPS_MAX: as many as there are debug
	 * registers, or more where INT3 can't be had and stepping has to do.
	 */
	unsigned trap_max;
};

/* The page tables that are in force. */
static inline struct page_walk_regs gdb_walk_regs(const struct cpu_regs *regs)
{
	return (struct page_walk_regs){regs->cr0, regs->cr3, regs->cr4, regs->efer};
}
