/*
 * Multiboot kernels, versions 1 and 2: finds and checks the header, and hands over what the kernel
 * is told. ELF of 32 or 64 bits, or anything whose header says itself where it goes.
 *
 * The kernel is entered in protected mode without paging, with the loader's magic number in EAX,
 * the information in EBX and, beyond the specification, the device tree in EDI. When a file has
 * headers of both versions the second counts, unless it asks for what can't be had.
 *
 * Sources: Multiboot Specification 0.6.96; Multiboot2 Specification 2.0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/e820.h"
#include "firmware/elf.h"
#include "firmware/source.h"
#include "vmm/base/err.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/core/gmem.h"

/* A header lies within so many bytes of the file. */
#define MULTIBOOT_SEARCH_BYTES 32768

struct multiboot {
	unsigned version; /* 1 or 2 */
	uint32_t entry;
	bool needs_screen;	/* a linear framebuffer */
	struct elf_image image; /* what goes where; of no ELF file: one segment */
};

/* What a kernel is told. All borrowed. */
struct multiboot_module {
	gpa_t base;
	uint64_t size;
	const char *words;
};

struct multiboot_params {
	const struct e820_map *map;
	const char *cmdline;
	const struct multiboot_module *modules;
	unsigned module_count;
	gpa_t rsdp;			  /* 0: no ACPI */
	const struct boot_screen *screen; /* or NULL */
};

/* True when the first bytes of a file hold a header of either version. */
bool multiboot_is(const uint8_t *head, size_t len);
bool multiboot_is_in(const struct source *source);

/*
 * Reads and checks. `name` is for the sentence (kind EXIT_CODE_IMAGE): numbers that can't be, or
 * something that the kernel requires and this machine has not.
 */
int multiboot_parse(const struct source *source, const char *name, struct multiboot *multiboot,
	struct err *err);

/*
 * Writes the information, which has FW_MULTIBOOT_BYTES, and the processor's tables, and fills
 * `entry`. -E2BIG when words and modules are too many, -EFAULT without a first MiB.
 */
int multiboot_enter(struct gmem *mem, const struct multiboot *multiboot,
	const struct multiboot_params *params, struct cpu_entry *entry);
