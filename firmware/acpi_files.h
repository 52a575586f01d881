/*
 * The ACPI tables of a machine one by one, as files that iasl -d reads: dsdt.aml, facp.dat, ...
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "firmware/boot.h"
#include "vmm/base/err.h"

/* Takes one table. A result other than 0 ends it. */
typedef int acpi_file_fn(void *opaque, const char *name, const uint8_t *table, size_t len);

/* Builds all tables and gives out each. Error: -errno and a sentence, or what `write` returned. */
int acpi_write_files(
	const struct boot_machine *machine, acpi_file_fn *write, void *opaque, struct err *err);
