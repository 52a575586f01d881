/*
 * A machine for the debugger's stub without KVM: real guest memory, page tables that map the first
 * 2 MiB twice, and processors that are only registers. It runs nothing: a test says what stops.
 *
 *   0x1000 ...  page tables: linear 0 and 0xffff800000000000 both lead to 0
 */
#pragma once

#include "vmm/gdb_session.h"

enum {
	FAKE_CPUS_MAX = 4,
	FAKE_RAM_BYTES = 4 << 20,
	FAKE_DEVICE_BYTES = 4096,
};

#define FAKE_CR3    UINT64_C(0x1000)
#define FAKE_HIGH   UINT64_C(0xffff800000000000)
#define FAKE_DEVICE UINT64_C(0xd0000000) /* device memory, by physical address */

struct fake_debugged {
	struct gdb_target target;
	struct gmem mem;
	uint8_t device[FAKE_DEVICE_BYTES];
	unsigned cpu_count;
	struct cpu_regs regs[FAKE_CPUS_MAX];
	struct vcpu_debug debug[FAKE_CPUS_MAX];
	struct vcpu_stop stops[FAKE_CPUS_MAX]; /* what the next take_stop() gives */
	struct exit_ring exits;
	bool runs, runs_cpu[FAKE_CPUS_MAX];
	unsigned resets, kills;
	int set_regs_result;
	uint64_t linux_cr3;
};

/* 64-bit code at 0x10000 on each processor. */
void fake_debugged_init(struct fake_debugged *fake, unsigned cpu_count);
void fake_debugged_finish(struct fake_debugged *fake);

/* A processor in real mode, as after power-on. */
void fake_debugged_real_mode(struct fake_debugged *fake, unsigned cpu);
