/*
 * Prepares a guest before its first instruction: opens and checks the kernel
 * and the initrd, and puts them with all tables that the kernel reads (memory
 * map, command line, ACPI, page tables) into guest memory.
 *
 *   boot_open   when the command line has been read: says what is wrong with the files
 *   boot_load   before the first run and again at every reset; RAM is zero then
 *   boot_close  at the end
 *
 * The files stay open between open and close: one that is replaced meanwhile
 * (renamed over, deleted) still boots at the next reset. Nothing else of them
 * stays in the host's memory.
 *
 * One thread at a time. Failures are -errno and a sentence, of kind
 * EXIT_CODE_IMAGE where a file (or its fit with the machine) is to blame.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/core/device.h"
#include "vmm/core/gmem.h"

struct boot;

/* A binary without a format: where it goes, and in which mode it is entered. See flat.h. */
struct boot_flat {
	unsigned bits; /* 16, 32 or 64; 0: it is not one */
	uint64_t address;
};

enum {
	BOOT_MODULES_MAX = 16
};

struct boot_config {
	const char *kernel_path;	 /* may be NULL with boot_sector */
	const char *const *initrd_paths; /* one at most, but for Multiboot kernels */
	unsigned initrd_count;
	struct boot_flat flat; /* the kernel is that, whatever it looks like */
	bool boot_sector;      /* start the first drive of the BIOS, whatever is on it */
	/*
	 * Unpack a compressed kernel here and enter it directly. false: let the
	 * kernel's own decompressor do it, which also moves the kernel to a random
	 * address (KASLR).
	 */
	bool unpack;
	bool cache; /* keep what is unpacked, for the next start: see kernel_cache.h */
};

/* Guest-physical memory that is neither RAM nor a device's: [base, base + size). */
struct boot_range {
	gpa_t base;
	uint64_t size;
};

/* A linear framebuffer of 32-bit pixels, blue in the lowest byte; below 4 GiB. */
struct boot_screen {
	gpa_t base;
	uint32_t width, height; /* below 65536 */
	uint32_t stride;	/* bytes from row to row, below 65536 */
};

/* What the tables tell the kernel about the machine. All pointers are borrowed for the call. */
struct boot_machine {
	const char *cmdline; /* whole, see cmdline.h */

	const uint32_t *apic_ids; /* one per processor, the boot processor's first */
	unsigned cpu_count;

	/* Realized devices: those with an acpi_hid stand in the DSDT with their resources. */
	const struct device *const *devices;
	size_t device_count;

	gpa_t lapic_base;
	gpa_t ioapic_base; /* pins are GSI 0 to 23 */
	unsigned pit_gsi;  /* the IOAPIC pin that ISA IRQ 0 arrives at: 2 on a PC */

	/* ACPI reset register; port 0 = there is none. */
	uint16_t reset_port;
	uint8_t reset_value;

	/* A kernel that knows a device tree gets that instead of ACPI tables. */
	bool has_tree;
	uint32_t power_off_value; /* for the register of the device "power" */

	const struct boot_screen *screen; /* or NULL */
	struct boot_range initrd;	  /* for the device tree: where it lies; size 0: none */

	/* Of the device "bios-disk", for boot sectors. */
	uint16_t bios_disk_port;
	unsigned bios_drive_count;
	const uint8_t *boot_sector; /* its 512 bytes */

	/* Reserved in the memory map, e.g. the pages KVM keeps for itself and the APICs. */
	const struct boot_range *reserved;
	size_t reserved_count;
};

/* Opens, recognises and checks both files. On failure *boot is NULL. */
int boot_open(struct boot **boot, const struct boot_config *config, struct err *err);

/* boot_close(NULL) is legal. */
void boot_close(struct boot *boot);

/* Puts everything into guest memory and says how the first processor starts. */
int boot_load(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct cpu_entry *entry, struct err *err);

/* It is no Linux: words that Linux alone knows are not for it. */
bool boot_is_own(const struct boot *boot);

/* It is started by a BIOS, from the machine's first drive. Both are legal with NULL. */
bool boot_needs_bios(const struct boot *boot);

/* What the files are, for --explain. */
void boot_explain_files(const struct boot *boot);

/* How the kernel last came into memory, a word or a few: "copied", "unpacked"; NULL before. */
const char *boot_kernel_way(const struct boot *boot);

/* The kernel is Linux, as far as the file tells. */
bool boot_is_linux(const struct boot *boot);

/*
 * One phrase for people: "Linux 6.1.0-49-cloud-amd64 (bzImage, LZ4 unpacked here,
 * 64-bit entry)". Always terminated, cut when it does not fit. The text comes from the file:
 * it has no control characters.
 */
void boot_describe(const struct boot *boot, char *buf, size_t size);
