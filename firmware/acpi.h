/*
 * The ACPI tables of the machine: RSDP, XSDT, FADT, FACS, MADT and a DSDT with
 * the devices, written from what the devices declare about themselves.
 *
 * Source: the ACPI specification, 6.4 (chapter 5 for the tables, 4.8 for the
 * fixed hardware, 6 for device objects, 20 for AML).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "firmware/boot.h"
#include "vmm/base/err.h"
#include "vmm/core/gmem.h"

/*
 * The value of SLP_TYP with which the guest asks for power-off (\_S5), for whoever
 * implements PM1 control.
 */
#define ACPI_S5_SLEEP_TYPE 5

/*
 * Writes all tables to `buf`, which the guest sees at `base` (a multiple of 64); the
 * RSDP comes first. *used is what was needed of `room`. Error: -ENOSPC and a sentence
 * of kind EXIT_CODE_DEVICE when the devices are too many.
 *
 * The device of class "acpi-pm" gives the fixed hardware: its port ranges are,
 * in this order, PM1a event, PM1a control and the PM timer; its interrupt is the SCI.
 * Without such a device the machine is declared hardware-reduced.
 */
int acpi_build(const struct boot_machine *machine, gpa_t base, uint8_t *buf, size_t room,
	size_t *used, struct err *err);
