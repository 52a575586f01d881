/*
 * The registers as gdb is told of them: their order, names and widths in the three kinds of code,
 * and the target descriptions that say so. All from one table. Knows no KVM and no sockets.
 *
 * The program counter is the linear address of the instruction, base of CS and all, whatever the
 * mode: so breakpoints, listings and memory mean the same place also in real mode. "pc_offset" is
 * what the processor itself has in (E)IP.
 *
 * Threads: none of its own, no state.
 * Source: Debugging with GDB, appendix "Target Descriptions", i386 features.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/core/cpu_regs.h"

enum {
	GDB_REG_BYTES_MAX = 16,
	GDB_REGS_BYTES_MAX = 1024, /* of a whole "g" */
	GDB_XML_MAX = 16384,
};

/* In which mode a processor is: what its next instruction is decoded as. */
enum cpu_mode gdb_regs_mode(const struct cpu_regs *regs);

/* "16-bit real mode", "64-bit, paging": for people. */
const char *gdb_regs_mode_name(const struct cpu_regs *regs);

/* The address of the next instruction; and of a stack pointer. */
uint64_t gdb_regs_linear_pc(const struct cpu_regs *regs);

/* How many registers a description has, and the bytes of all. */
unsigned gdb_regs_count(enum cpu_mode mode);
size_t gdb_regs_bytes(enum cpu_mode mode);

/* Bytes of register `nth`, of which there are gdb_regs_count(). */
size_t gdb_reg_bytes(enum cpu_mode mode, unsigned nth);

void gdb_reg_get(enum cpu_mode mode, unsigned nth, const struct cpu_regs *regs, void *bytes);

/*
 * A new selector in real mode takes its base along; in protected mode it is the base that counts
 * (cs_base, ...).
 */
void gdb_reg_set(enum cpu_mode mode, unsigned nth, struct cpu_regs *regs, const void *bytes);

/* The low 64 bits of a register by gdb's name of it, or of "pc"; false when there is none. */
bool gdb_reg_find(
	enum cpu_mode mode, const char *name, const struct cpu_regs *regs, uint64_t *value);

/* The target description; returns its length, cut to `size` - 1. */
size_t gdb_regs_describe(enum cpu_mode mode, char *xml, size_t size);
