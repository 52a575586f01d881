/* What this lab is about. The README says what each function has to do. */
#pragma once

#include "interrupts.h"

#define PAGE_BYTES 4096u

/* ---- Physical memory (main.c) ---- */

/* All of it: the machine has so much. */
#define MEMORY_BYTES (32u << 20)

/* A page of physical memory full of zeros. It lies below MEMORY_BYTES. */
uint64_t page_alloc(void);

/* ---- The tables ---- */

enum {
	PAGE_WRITABLE = 1 << 0,
	PAGE_EXECUTABLE = 1 << 1,
};

#define NOT_MAPPED UINT64_MAX

/*
 * Builds page tables that map [PAGE_BYTES, MEMORY_BYTES) to itself, writable and executable, and
 * nothing else, and loads them. From then on read-only pages bind the kernel too, and pages may be
 * not executable.
 */
void paging_init(void);

/* Maps the page at `virtual` to `physical` (both multiples of PAGE_BYTES), as `flags` say. */
void paging_map(uint64_t virtual, uint64_t physical, unsigned flags);

/* From now on nothing is at `virtual`. */
void paging_unmap(uint64_t virtual);

/* The physical address of any virtual one, or NOT_MAPPED. */
uint64_t paging_translate(uint64_t virtual);

/* ---- Page faults ---- */

/* Here a page comes into being when it is touched first. */
#define LAZY_START 0xffff900000000000
#define LAZY_END   0xffff900040000000

/* The handler of vector 14. */
struct frame *paging_fault(struct frame *frame);
