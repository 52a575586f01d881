/*
 * The port of the device that reads and writes disks for a BIOS: see bios_disk.c.
 */
#pragma once

/* Above what a PC has there; a double word. */
#define BIOS_DISK_PORT 0x5c0
