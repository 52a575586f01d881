/*
 * What CPUID tells the guest: what KVM supports, adapted to one processor of
 * this machine. Pure: tables in, tables out, so it is tested without KVM.
 *
 * All processors are cores of one socket with one thread each; APIC id = index.
 * Nested virtualization is hidden (vmx, svm): it is a large attack surface in the
 * host's kernel that a guest seldom needs.
 *
 * Source: AMD APM vol. 3, appendix E; Intel SDM vol. 2A, CPUID; Linux
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpuid_leaf {
	uint32_t function, index;
	bool has_index; /* the index is significant */
	uint32_t eax, ebx, ecx, edx;
};

enum {
	CPUID_LEAVES_MAX = 256
};

struct cpuid_table {
	struct cpuid_leaf leaves[CPUID_LEAVES_MAX];
	unsigned count;
};

struct cpuid_config {
	unsigned id;	    /* of this processor, < cpu_count */
	unsigned cpu_count; /* 1 to 255 */
	uint32_t tsc_khz;   /* 0 = not known */
	bool tsc_deadline;  /* KVM's local APIC has the TSC deadline timer */
	bool tell_rates;    /* there is no timer chip to measure clocks with: leaf 0x40000010 */
	char brand[48];	    /* the processor's name if KVM's table has none; may be "" */
};

/*
 * Adapts what KVM supports for one processor, in place. Returns 0, or -ENOSPC when
 * the table is full (KVM would have to offer more than 230 leaves).
 */
int cpuid_adapt(struct cpuid_table *table, const struct cpuid_config *config);

/* The leaf, or NULL. `index` counts only for leaves that have one. */
struct cpuid_leaf *cpuid_find(struct cpuid_table *table, uint32_t function, uint32_t index);
