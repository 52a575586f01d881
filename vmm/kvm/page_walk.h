/*
 * Walks the guest's page tables as its processor would, reading through gmem
 * only, and keeps each step for people to read. The tables are the guest's: they
 * may lie, loop or point outside RAM; the walk has at most five steps and copies
 * each entry once. Knows nothing of KVM. No state, any thread.
 *
 * Source: AMD64 Architecture Programmer's Manual vol. 2, 5.2–5.4; Intel SDM vol. 3A, 4.3–4.5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/core/gmem.h"

enum page_walk_mode {
	PAGE_WALK_NONE, /* paging is off: virtual = physical */
	PAGE_WALK_32BIT,
	PAGE_WALK_PAE,
	PAGE_WALK_4LEVEL,
	PAGE_WALK_5LEVEL,
};

enum page_walk_result {
	PAGE_WALK_MAPPED,
	PAGE_WALK_NOT_CANONICAL, /* the address itself is illegal */
	PAGE_WALK_NOT_PRESENT,	 /* an entry has its present bit clear */
	PAGE_WALK_RESERVED,	 /* an entry has bits set that must be zero */
	PAGE_WALK_OUTSIDE_RAM,	 /* a table does not lie in guest RAM */
};

enum {
	PAGE_WALK_STEPS_MAX = 5
};

struct page_walk_regs {
	uint64_t cr0, cr3, cr4, efer;
};

struct page_walk_step {
	const char *name; /* "PML4", "PDPT", "PD", "PT" */
	gpa_t entry_gpa;
	uint64_t entry; /* 0 when it could not be read */
};

struct page_walk {
	enum page_walk_mode mode;
	enum page_walk_result result; /* of the last step */
	uint64_t address;	      /* the virtual address asked for */
	struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
	unsigned step_count;
	gpa_t gpa;	    /* when mapped; need not lie in RAM */
	uint64_t page_size; /* bytes, when mapped; 0 without paging */
	bool writable, user, executable;
};

void page_walk(struct page_walk *walk, const struct gmem *mem, const struct page_walk_regs *regs,
	uint64_t address);

/*
 * Copies up to `len` bytes at a virtual address, page by page. Returns how many could be
 * read before the first byte that is not mapped to RAM.
 */
size_t page_walk_read(const struct gmem *mem, const struct page_walk_regs *regs, uint64_t address,
	void *buf, size_t len);

/* Where the walk ended, in words: "stops at the PDPT entry (not present)". */
void page_walk_describe(const struct page_walk *walk, char *text, size_t size);

/* Everything, a line for each step with its entry and flags. At most 8 lines of 100. */
void page_walk_print(const struct page_walk *walk, char *text, size_t size);
