/*
 * A BIOS for boot sectors: the small real-mode firmware of bios_rom.S, put into guest memory with what
 * it is told about the machine. firmware/README.md lists the calls that it serves.
 *
 * The first sector lies at 0:7c00 before the processor runs, so that a debugger's breakpoints in it
 * stay. The processor enters the firmware, which sets up the interrupt controllers and the timer
 * and jumps there; it reads disks through the device "bios-disk".
 *
 * Other kernels may go back to real mode and find it as it would be behind a boot loader: the
 * interrupt table leads there, and the BIOS data area says what there is.
 */
#pragma once

#include <stdint.h>

#include "firmware/bios_layout.h"
#include "firmware/e820.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/core/gmem.h"

/* As bios_layout.h says; lies at FW_BIOS_DATA. */
struct bios_data {
	uint16_t disk_port; /* of the device "bios-disk" */
	uint16_t drive_count;
	uint16_t low_kib;	 /* INT 12h */
	uint16_t kib_to_16m;	 /* from 1 MiB on: INT 15h E801h */
	uint16_t blocks_above;	 /* of 64 KiB, from 16 MiB on: the same */
	uint16_t kib_above_1m;	 /* INT 15h 88h */
	uint32_t tree;		 /* of devices, for EDI */
	uint16_t map_count, pad; /* of entries that follow */
	struct boot_e820_entry map[E820_MAX_ENTRIES_ZEROPAGE];
} __attribute__((packed));

struct bios_params {
	const struct e820_map *map; /* borrowed */
	gpa_t tree;
	uint16_t disk_port;
	unsigned drive_count;
};

/* The firmware, the interrupt table and the BIOS data area. -EFAULT without a first MiB. */
int bios_install(struct gmem *mem, const struct bios_params *params);

/* The same with a boot sector, 512 bytes, or none; and the processor enters the firmware. */
int bios_load(struct gmem *mem, const struct bios_params *params, const uint8_t *sector,
	struct cpu_entry *entry);
