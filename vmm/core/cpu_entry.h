/*
 * The state in which the first processor enters a loaded kernel: written by
 * the loaders in firmware/, applied by vmm/kvm. Plain data.
 *
 * In CPU_ENTRY_LONG64 and PROT32 all segments are flat; paging is on (cr3) in the first, off
 * in the second. The GDT the descriptors describe lies in guest memory at gdt_base, because
 * kernels reload segments from it. In CPU_ENTRY_REAL16 a selector is an address divided by
 * 16, segments have 64 KiB, and the interrupt table is at 0. Interrupts are off in all three.
 *
 * Linux x86 boot protocol, "32-bit" and "64-bit boot protocol"; PVH: the Xen
 * x86/HVM direct boot ABI; Multiboot 0.6.96 and 2.0, "Machine state".
 */
#pragma once

#include <stdint.h>

enum cpu_entry_mode {
	CPU_ENTRY_PROT32, /* CR0.PE, paging off, 32-bit code segment */
	CPU_ENTRY_LONG64, /* EFER.LMA, CR0.PG, CR4.PAE, 64-bit code segment */
	CPU_ENTRY_REAL16, /* as after power-on, but not at the reset vector */
};

struct cpu_entry {
	enum cpu_entry_mode mode;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rax; /* Multiboot: the loader's magic number */
	uint64_t rbx; /* PVH: hvm_start_info; Multiboot: its information */
	uint64_t rsi; /* Linux: boot_params */
	uint64_t rdi; /* kernels that are not Linux: the device tree, or 0 */
	uint64_t cr3; /* CPU_ENTRY_LONG64 only */
	uint64_t gdt_base;
	uint16_t gdt_limit;	 /* bytes - 1 */
	uint16_t code_selector;	 /* 0x10 for Linux */
	uint16_t data_selector;	 /* 0x18 for Linux */
	uint16_t stack_selector; /* CPU_ENTRY_REAL16 only: else it is the data's */
};
