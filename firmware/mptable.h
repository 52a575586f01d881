/*
 * The MP tables of the machine: its processors, the ISA bus, the IOAPIC and which interrupt arrives
 * where, for kernels that know no ACPI (or were told acpi=off). Says what the MADT says (acpi.h).
 *
 * Linux looks for them even where it has ACPI, 16 bytes of memory at a time, and has them at once
 * when they begin where it looks early: without them it looks at 4,200 places.
 *
 * Source: Intel MultiProcessor Specification 1.4, chapter 4.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "firmware/boot.h"
#include "vmm/core/gmem.h"

/*
 * Writes the floating pointer to FW_MP_POINTER and the configuration table to FW_MP_BASE (layout.h).
 * Processors with an APIC id of 255 and above have no place in it: who knows x2APIC knows ACPI. The
 * result is 0, or -EFAULT when there is no memory there.
 */
int mptable_write(struct gmem *mem, const struct boot_machine *machine);
