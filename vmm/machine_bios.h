/*
 * The disks that a boot sector finds through the BIOS, and which of them is started.
 *
 *	--kernel FILE                 the file is drive 0x80, the disks are 0x81 and on
 *	--kernel FILE of one sector,
 *	  and disks                   the file is started, the disks are 0x80 and on
 *	--boot-sector, no --kernel    the disks are 0x80 and on; the first is started
 *
 * What is written to the file of --kernel is thrown away at the end. For machine.c.
 */
#pragma once

#include "devices/backend/blk.h"
#include "vmm/base/err.h"
#include "vmm/core/device.h"
#include "vmm/machine.h"

/*
 * When the kernel and the disks are open; does nothing when there is no boot sector to start.
 * Error: -errno and a sentence: no boot sector on it, a machine without a BIOS.
 */
int machine_bios_open(struct machine *machine, struct err *err);
/* The first sector of what is started, as it is now. Error as above. */
int machine_bios_read(
	const struct machine *machine, uint8_t sector[static BLK_SECTOR_BYTES], struct err *err);

void machine_bios_close(struct machine *machine);

/* False when `class` is another device's. */
bool machine_bios_args(const struct machine *machine, const struct device_class *class,
	struct device_args *args, unsigned *count);
