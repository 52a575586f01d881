/*
 * The device tree of the machine: what acpi.h says in tables, for kernels and machines without
 * ACPI, and for people who want to see what a machine is made of. Written from what the devices
 * declare about themselves: those whose class has a dt_compatible stand in it.
 *
 *	/chosen     bootargs: the kernel's command line; where the initrd is, for own kernels
 *	/memory     RAM
 *	/cpus       a node per processor, reg = APIC id
 *	/soc        IOAPIC, local APIC, all devices with registers in memory, the framebuffer
 *	/isa        devices at ports; not there when there is none
 *	/poweroff   when there is a device of class "power": how to use its register
 *
 * Sources: Devicetree Specification 0.4; Linux arch/x86/kernel/devicetree.c for what an x86 kernel
 * makes of it, and Documentation/devicetree/bindings (virtio/mmio, power/reset/syscon-poweroff).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "firmware/boot.h"
#include "vmm/base/err.h"
#include "vmm/core/gmem.h"

enum {
	/* For 255 processors, 64 devices and the longest command line. */
	FDT_BYTES_MAX = 128 * 1024,
};

/*
 * Writes the tree to `buf` (a multiple of 8). *used is its size. Error: -ENOSPC and a sentence of
 * kind EXIT_CODE_DEVICE when it does not fit into `room`.
 */
int fdt_build(const struct boot_machine *machine, const struct gmem *mem, uint8_t *buf, size_t room,
	size_t *used, struct err *err);
