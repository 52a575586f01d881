/*
 * The state of an x86 processor as KVM takes it: CPUID, MSRs, local APIC, and the
 * registers with which a loaded kernel is entered. Knows nothing of threads.
 * On the thread that makes the vCPU; the vCPU does not run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/kvm/kvm.h"

/*
 * Power-on state of processor `id`: CPUID, the MSRs that firmware would set, the local
 * interrupt pins of processor 0. Error: -errno and a sentence.
 */
int cpu_x86_init(
	const struct kvm *kvm, int vcpu_fd, unsigned id, unsigned cpu_count, struct err *err);

/* The registers of `entry`. Error: -errno and a sentence. */
int cpu_x86_enter(int vcpu_fd, const struct cpu_entry *entry, struct err *err);

/* One MSR; `fd` is a vCPU's or, for what KVM offers, /dev/kvm's. False when KVM refuses it. */
bool cpu_x86_get_msr(int fd, uint32_t index, uint64_t *value);
bool cpu_x86_set_msr(int fd, uint32_t index, uint64_t value);

/*
 * What of debugging this host's KVM carries out: INT3 stops the guest, debug registers stop it at
 * an instruction, and at an access to memory. One that interprets the guest knows the second alone;
 * a host whose processor is itself emulated by QEMU's TCG none: it lets a guest's INT3 through, and
 * ignores debug registers that are loaded by VMRUN.
 */
struct cpu_x86_debug {
	bool int3, trap_execute, trap_access;
};
struct cpu_x86_debug cpu_x86_find_debug(void);

/*
 * True when this host's processor shows VT-x or AMD-V. Where it does not and /dev/kvm is
 * there all the same, KVM may interpret guest kernel code and know only part of it.
 */
bool cpu_x86_has_virtualization(void);
