/*
 * How a kernel is entered: the tables of the processor (GDT, page tables), and
 * the block of parameters that each boot protocol hands over.
 *
 * Sources: Linux Documentation/arch/x86/boot.rst ("32-bit boot protocol", "64-bit
 * boot protocol") and zero-page.rst; the Xen x86/HVM direct boot ABI
 * (docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h).
 */
#pragma once

#include <asm/bootparam.h>
#include <stdint.h>

#include "firmware/e820.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/core/gmem.h"

/* What the kernel is told. All borrowed. */
struct entry_params {
	const struct e820_map *map;
	const char *cmdline;
	gpa_t initrd; /* 0 with initrd_bytes 0: none */
	uint64_t initrd_bytes;
	gpa_t rsdp;			   /* 0: no ACPI */
	gpa_t setup_data;		   /* list of the Linux entries; 0: nothing in it */
	const struct setup_header *header; /* of a bzImage, or NULL */
	gpa_t load_address;		   /* of a bzImage's code */
	const struct boot_screen *screen;  /* or NULL; PVH can't say it */
};

/*
 * Each writes what its protocol needs to the places of layout.h and fills `entry`.
 * -EFAULT when guest memory ends below them, -E2BIG when the command line is too long
 * for its place.
 */
int entry_linux64(
	struct gmem *mem, const struct entry_params *params, gpa_t rip, struct cpu_entry *entry);
int entry_linux32(
	struct gmem *mem, const struct entry_params *params, gpa_t rip, struct cpu_entry *entry);
/* Nothing is handed over, for `mode` PROT32 or LONG64: registers are zero but for the stack's. */
int entry_plain(struct gmem *mem, enum cpu_entry_mode mode, gpa_t rip, struct cpu_entry *entry);
int entry_pvh(
	struct gmem *mem, const struct entry_params *params, uint32_t rip, struct cpu_entry *entry);
