/*
 * See acpi_files.h. Walks the tables that acpi_build() has just made, so none of them is hostile.
 */
#include "firmware/acpi_files.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "firmware/acpi.h"
#include "firmware/acpi_tables.h"
#include "firmware/layout.h"

struct tables {
	const uint8_t *bytes; /* what the guest would see from FW_ACPI_BASE on */
	size_t size;
	acpi_file_fn *write;
	void *opaque;
};

static const void *at(const struct tables *tables, uint64_t address, size_t len)
{
	uint64_t offset = address - FW_ACPI_BASE;

	ASSERT(util_range_inside(offset, len, tables->size));
	return tables->bytes + offset;
}

/* The signature in small letters; what is code is .aml. */
static int write_table(const struct tables *tables, uint64_t address)
{
	const struct acpi_header *header = at(tables, address, sizeof(uint64_t));
	char name[16];

	snprintf(name, sizeof(name), "%.4s.%s", header->signature,
		memcmp(header->signature, "DSDT", 4) ? "dat" : "aml");
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return tables->write(
		tables->opaque, name, at(tables, address, header->length), header->length);
}

static int write_all(const struct tables *tables)
{
	const struct acpi_rsdp *rsdp = at(tables, FW_ACPI_BASE, sizeof(*rsdp));
	const struct acpi_header *xsdt = at(tables, rsdp->xsdt, sizeof(*xsdt));
	const uint8_t *entries =
		at(tables, rsdp->xsdt + sizeof(*xsdt), xsdt->length - sizeof(*xsdt));
	int ret = write_table(tables, rsdp->xsdt);

	for (size_t i = 0; ret == 0 && (i + 1) * 8 <= xsdt->length - sizeof(*xsdt); i++) {
		uint64_t table = load_le64(entries + i * 8);
		const struct acpi_fadt *fadt = at(tables, table, sizeof(struct acpi_header));

		ret = write_table(tables, table);
		if (ret != 0 || memcmp(fadt->header.signature, "FACP", 4) != 0)
			continue;
		ret = write_table(tables, fadt->x_dsdt);
		if (ret == 0)
			ret = write_table(tables, fadt->facs);
	}
	return ret;
}

int acpi_write_files(
	const struct boot_machine *machine, acpi_file_fn *write, void *opaque, struct err *err)
{
	uint8_t *buf = malloc(FW_ACPI_BYTES);
	struct tables tables = {.bytes = buf, .write = write, .opaque = opaque};
	int ret;

	if (!buf)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the ACPI tables");
	ret = acpi_build(machine, FW_ACPI_BASE, buf, FW_ACPI_BYTES, &tables.size, err);
	if (ret == 0)
		ret = write_all(&tables);
	free(buf);
	return ret;
}
