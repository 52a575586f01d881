/*
 * What the loader (bios.c) and the real-mode firmware (bios_rom.S) agree on. Numbers only: both the
 * compiler and the assembler read this.
 *
 *   0xd0000  the firmware's code and its own variables (segment 0xd000)
 *   0xd8000  what it is told: struct bios_data in bios.h, the memory map last
 */
#pragma once

#define FW_BIOS_SEGMENT 0xd000
#define FW_BIOS_BASE	0xd0000
#define FW_BIOS_BYTES	0x8000
#define FW_BIOS_DATA	0xd8000

/* Offsets in struct bios_data. */
#define BIOS_DATA_DISK_PORT    0
#define BIOS_DATA_DRIVES       2
#define BIOS_DATA_LOW_KIB      4
#define BIOS_DATA_KIB_TO_16M   6
#define BIOS_DATA_64K_ABOVE    8
#define BIOS_DATA_KIB_ABOVE_1M 10
#define BIOS_DATA_TREE	       12
#define BIOS_DATA_MAP_COUNT    16
#define BIOS_DATA_MAP	       20
#define BIOS_MAP_ENTRY_BYTES   20

/* What a boot sector finds in DL. */
#define BIOS_BOOT_DRIVE 0x80

/* Exit statuses by which the firmware ends the machine. */
#define BIOS_STATUS_NO_BOOT 24 /* INT 18h */
#define BIOS_STATUS_FAULT   33 /* EXIT_CODE_CRASH */
