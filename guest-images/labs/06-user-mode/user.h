/* What this lab is about. The README says what each function has to do. */
#pragma once

#include "interrupts.h"

#define PAGE_BYTES 4096u

/* ---- Where a program lies (memory.c) ---- */

/* A page of code, a hole, a page of stack. Nothing else is in the programs' reach. */
#define USER_START     0x8000000000
#define USER_CODE      USER_START
#define USER_STACK     (USER_START + 2 * PAGE_BYTES)
#define USER_STACK_TOP (USER_STACK + PAGE_BYTES)

/*
 * The entry that leads to `virtual` (in one of the two pages): of the PML4 (level 4), the
 * page-directory-pointer table (3), the page directory (2) or the page table (1). All of them are
 * there, present and writable, and for the kernel alone.
 */
uint64_t *memory_entry(uint64_t virtual, unsigned level);

/* ---- Segments ---- */

/* Their order is what `syscall` and `sysretq` want. */
enum {
	SELECTOR_KERNEL_CODE = 0x10,
	SELECTOR_KERNEL_DATA = 0x18,
	SELECTOR_USER_DATA = 0x20 | 3,
	SELECTOR_USER_CODE = 0x28 | 3,
	SELECTOR_TSS = 0x30,
};

/* Loads a descriptor table with these segments, and the task register. */
void segments_init(void);

/* ---- Programs ---- */

/* Ring 3 may read and execute the page of code, and read and write that of the stack. */
void user_pages_init(void);

/*
 * Runs what lies in the page of code, from its first byte, in ring 3 with interrupts on. Returns what
 * the program gave to the system call `exit`, or PROGRAM_FAILED where an exception has ended it.
 */
int user_run(void);

#define PROGRAM_FAILED (-1)

/* The handler of all exceptions. */
struct frame *user_exception(struct frame *frame);

/* ---- System calls ---- */

/* The number is in RAX, the arguments are in RDI and RSI, the result comes in RAX. */
enum {
	SYSCALL_EXIT = 0, /* (status): the program is over */
	SYSCALL_WRITE =
		1, /* (text, bytes): prints it; bytes, or -1 if the program may not read it */
};

/* From now on `syscall` comes into the kernel. */
void syscalls_init(void);
