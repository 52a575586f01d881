/*
 * Flat binaries: the bytes of a file at an address of the person's choice, entered at the first of
 * them. The file says nothing about itself, so all there is to check is where it goes.
 *
 *	mode	state
 *	16	real mode, CS:IP is 0:ADDR below 64 KiB and ADDR/16:ADDR%16 above; DS = ES = CS;
 *		the stack ends at 9000:fc00
 *	32	protected mode, flat segments of 4 GiB, no paging; the stack ends at 0x9000
 *	64	long mode, the first 4 GiB mapped one to one; the stack ends at 0x9000
 *
 * RDI (EDI) is the address of the device tree in each; the other registers are zero, interrupts
 * are off and there is no table for them.
 */
#pragma once

#include <stdint.h>

#include "firmware/boot.h"
#include "vmm/base/err.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/core/gmem.h"

/* `bytes` at flat->address have to be in memory that is free; `name` is for the sentence. */
int flat_check(const struct boot_flat *flat, uint64_t bytes, const char *name, struct err *err);

/* The processor's tables, and the registers but for the tree. -EFAULT without a first MiB. */
int flat_enter(struct gmem *mem, const struct boot_flat *flat, struct cpu_entry *entry);
