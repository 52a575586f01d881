/*
 * The registers of one processor as plain data, for who looks at a machine that stands still:
 * read and written by vmm/kvm, shown by the debugger's stub. Values in the host's byte order.
 *
 * AMD APM vol. 2, 3 (system registers), 4.7 (descriptors); vol. 1, 6 (x87).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The general registers, by their numbers in instructions. */
enum {
	CPU_RAX,
	CPU_RCX,
	CPU_RDX,
	CPU_RBX,
	CPU_RSP,
	CPU_RBP,
	CPU_RSI,
	CPU_RDI,
	CPU_GPR_COUNT = 16
};

enum {
	CPU_CS,
	CPU_SS,
	CPU_DS,
	CPU_ES,
	CPU_FS,
	CPU_GS,
	CPU_TR,
	CPU_LDT,
	CPU_SEGMENT_COUNT
};

/* Bits of cpu_segment.access: those of a descriptor's third to fourth word, and "unusable". */
#define CPU_ACCESS_TYPE	    0xfu
#define CPU_ACCESS_CODE	    (1u << 4) /* code or data; clear: a system segment */
#define CPU_ACCESS_DPL	    5	      /* a shift, two bits */
#define CPU_ACCESS_PRESENT  (1u << 7)
#define CPU_ACCESS_AVL	    (1u << 12)
#define CPU_ACCESS_LONG	    (1u << 13)
#define CPU_ACCESS_BIG	    (1u << 14)
#define CPU_ACCESS_GRANULAR (1u << 15)
#define CPU_ACCESS_UNUSABLE (1u << 16)

struct cpu_segment {
	uint64_t base;
	uint32_t limit;
	uint32_t access;
	uint16_t selector;
};

struct cpu_table {
	uint64_t base;
	uint16_t limit;
};

enum {
	CPU_MSR_KERNEL_GS_BASE,
	CPU_MSR_STAR,
	CPU_MSR_LSTAR,
	CPU_MSR_CSTAR,
	CPU_MSR_SFMASK,
	CPU_MSR_SYSENTER_CS,
	CPU_MSR_SYSENTER_ESP,
	CPU_MSR_SYSENTER_EIP,
	CPU_MSR_PAT,
	CPU_MSR_TSC_AUX,
	CPU_MSR_COUNT
};

enum cpu_activity {
	CPU_RUNS,
	CPU_HALTED,	    /* HLT; an interrupt wakes it */
	CPU_WAITS_FOR_INIT, /* no other processor has started it */
	CPU_WAITS_FOR_SIPI,
};

struct cpu_regs {
	uint64_t gpr[CPU_GPR_COUNT];
	uint64_t rip; /* relative to CS, as the processor has it */
	uint64_t rflags;
	struct cpu_segment segments[CPU_SEGMENT_COUNT];
	struct cpu_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
	uint64_t dr[4], dr6, dr7; /* the guest's own */
	uint64_t msr[CPU_MSR_COUNT];
	uint8_t st[8][16]; /* of each the first 10 bytes count */
	uint16_t fcw, fsw, fop;
	uint8_t ftw; /* a bit for each register that is in use, as FXSAVE has it */
	uint64_t fip, fdp;
	uint8_t xmm[16][16];
	uint32_t mxcsr;
	enum cpu_activity activity;
};

/* The width of the code that runs. */
enum cpu_mode {
	CPU_MODE_16,
	CPU_MODE_32,
	CPU_MODE_64,
};
