/*
 * The state in which the first processor enters a loaded kernel: written by
 * the loaders in firmware/, applied by vmm/kvm. Plain data.
 *
 * All segments are flat. In CPU_ENTRY_LONG64 paging is on (cr3), in PROT32 it is
 * off. Interrupts are off in both. The GDT the descriptors describe lies in guest
 * memory at gdt_base, because kernels reload segments from it.
 *
 * Linux x86 boot protocol, "32-bit" and "64-bit boot protocol"; PVH: the Xen
 * x86/HVM direct boot ABI.
 */
#pragma once

#include <stdint.h>

enum cpu_entry_mode {
	CPU_ENTRY_PROT32, /* CR0.PE, paging off, 32-bit code segment */
	CPU_ENTRY_LONG64, /* EFER.LMA, CR0.PG, CR4.PAE, 64-bit code segment */
};

struct cpu_entry {
	enum cpu_entry_mode mode;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rsi; /* Linux: boot_params */
	uint64_t rbx; /* PVH: hvm_start_info */
	uint64_t cr3; /* CPU_ENTRY_LONG64 only */
	uint64_t gdt_base;
	uint16_t gdt_limit;	/* bytes - 1 */
	uint16_t code_selector; /* 0x10 for Linux */
	uint16_t data_selector; /* 0x18 for Linux */
};
