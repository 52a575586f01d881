/*
 * Break- and watchpoints of the debugger: which INT3 lie in the guest's memory, what was there
 * before, and what the four debug registers of each processor hold.
 *
 * A breakpoint (Z0) becomes an INT3. Where that can't be, at an address that no page table leads
 * to yet (a kernel's, before it has made its own) or under a KVM that interprets its guests, it
 * takes a debug register, as a hardware breakpoint (Z1) does. The debugger sees no INT3 of ours
 * when it reads memory, and what it writes there comes under it.
 *
 * Threads: one; gdb_breaks_has() on vCPUs' threads too, while nothing changes.
 */
#pragma once

#include "vmm/gdb_target.h"

enum {
	GDB_SOFT_MAX = 256,
	GDB_TRAPS_MAX = VCPU_TRAPS_MAX,
};

/* As the protocol numbers them. */
enum gdb_break_kind {
	GDB_BREAK_SOFT,
	GDB_BREAK_HARD,
	GDB_WATCH_WRITE,
	GDB_WATCH_READ, /* the processor has none: it stops for writes as well */
	GDB_WATCH_ACCESS,
	GDB_BREAK_KINDS
};

struct gdb_soft_break {
	uint64_t address; /* linear */
	gpa_t gpa;
	uint8_t saved; /* what the guest has there */
};

/* A debug register, and for which request of the debugger. */
struct gdb_trap {
	struct vcpu_trap trap;
	enum gdb_break_kind kind;
	uint64_t address, len;
};

struct gdb_breaks {
	unsigned soft_count, trap_count;
	unsigned generation; /* counts changes */
	struct gdb_soft_break soft[GDB_SOFT_MAX];
	struct gdb_trap traps[GDB_TRAPS_MAX];
};

/*
 * The guest-physical address of a linear one. A Linux kernel's addresses from 0xffffffff80000000 on
 * lead to its memory from 0 on, also before it has made the page tables that say so: a breakpoint
 * can be set in it before its first instruction. Source: Linux Documentation/arch/x86/x86_64/mm.rst.
 */
bool gdb_translate(const struct gdb_target *target, const struct page_walk_regs *walk,
	uint64_t address, gpa_t *gpa);

/*
 * `walk` are the page tables to find `address` by. Setting twice and removing what is not there are
 * no errors. -ENOSPC: no debug register is left; -EINVAL: the range is none a register can watch.
 */
int gdb_break_set(struct gdb_breaks *breaks, const struct gdb_target *target,
	const struct page_walk_regs *walk, enum gdb_break_kind kind, uint64_t address,
	uint64_t len);
void gdb_break_remove(struct gdb_breaks *breaks, const struct gdb_target *target,
	enum gdb_break_kind kind, uint64_t address, uint64_t len);

/* Removes all: the guest's memory is as if there had been none. */
void gdb_breaks_clear(struct gdb_breaks *breaks, const struct gdb_target *target);

/* Memory was emptied: nothing is to be put back. */
void gdb_breaks_forget(struct gdb_breaks *breaks);

/* Is there an INT3 of ours at this linear address? */
bool gdb_breaks_has(const struct gdb_breaks *breaks, const struct gdb_target *target,
	const struct page_walk_regs *walk, uint64_t linear);

/* The request that a debug register stands for; NULL when it was removed. */
const struct gdb_trap *gdb_breaks_find_trap(
	const struct gdb_breaks *breaks, const struct vcpu_trap *trap);

/* Whole or -EFAULT. RAM and memory of devices; as the guest would see it without breakpoints. */
int gdb_breaks_read(const struct gdb_breaks *breaks, const struct gdb_target *target, gpa_t gpa,
	void *buf, size_t len);
int gdb_breaks_write(struct gdb_breaks *breaks, const struct gdb_target *target, gpa_t gpa,
	const void *buf, size_t len);
