/*
 * The DSDT: one object for each device that has a hardware id, with the
 * resources it declared (those with an id of their own are objects beside it), and the sleep type of power-off. Called at start and at reset.
 *
 * There are no processor objects: the MADT names the processors, and objects
 * would only bring C-states and frequencies, which a guest has none of.
 */
#include <stdio.h>

#include "firmware/acpi.h"
#include "firmware/acpi_tables.h"
#include "firmware/aml.h"

static void describe_resource(struct aml *aml, const struct device_res *res)
{
	switch (res->kind) {
	case DEVICE_RES_PIO:
		ASSERT(res->base <= UINT16_MAX && res->size <= UINT8_MAX);
		aml_crs_io(aml, (uint16_t)res->base, (uint8_t)res->size);
		break;
	case DEVICE_RES_MMIO:
		if (res->base + res->size <= UINT32_MAX)
			aml_crs_memory32(aml, (uint32_t)res->base, (uint32_t)res->size);
		else
			aml_crs_memory64(aml, res->base, res->size);
		break;
	case DEVICE_RES_IRQ:
		aml_crs_irq(aml, (uint32_t)res->base, res->level, res->shared);
		break;
	}
}

static void describe_resources(struct aml *aml, const struct device *device)
{
	size_t opened = aml_crs_begin(aml);

	for (unsigned i = 0; i < device->res_count; i++)
		if (!device->res[i].acpi_hid)
			describe_resource(aml, &device->res[i]);
	aml_crs_end(aml, opened);
}

/* A number among those with the same hardware id: together they name a device for good. */
static unsigned unique_id(const struct boot_machine *machine, size_t index)
{
	const char *hid = machine->devices[index]->class->acpi_hid;
	unsigned uid = 0;

	for (size_t i = 0; i < index; i++) {
		const char *other = machine->devices[i]->class->acpi_hid;

		if (other && !strcmp(other, hid))
			uid++;
	}
	return uid;
}

static void describe_device(struct aml *aml, const struct boot_machine *machine, size_t index)
{
	const struct device *device = machine->devices[index];
	char name[5];
	size_t opened;

	snprintf(name, sizeof(name), "D%03X", (unsigned)(index & 0xfff));
	opened = aml_device(aml, name);
	aml_name_hid(aml, device->class->acpi_hid);
	aml_name_integer(aml, "_UID", unique_id(machine, index));
	describe_resources(aml, device);
	aml_close(aml, opened);
}

/* A resource that is a device to ACPI: there is one of its kind. */
static void describe_part(
	struct aml *aml, const struct device_res *res, size_t index, unsigned part)
{
	char name[5];
	size_t opened, resources;

	snprintf(name, sizeof(name), "P%02X%X", (unsigned)(index & 0xff), part & 0xf);
	opened = aml_device(aml, name);
	aml_name_hid(aml, res->acpi_hid);
	resources = aml_crs_begin(aml);
	describe_resource(aml, res);
	aml_crs_end(aml, resources);
	aml_close(aml, opened);
}

static void describe_parts(struct aml *aml, const struct device *device, size_t index)
{
	for (unsigned i = 0; i < device->res_count; i++)
		if (device->res[i].acpi_hid)
			describe_part(aml, &device->res[i], index, i);
}

size_t acpi_add_dsdt(struct acpi_build *b)
{
	/* Revision 2: integers have 64 bits. */
	const uint8_t revision = 2;
	const uint8_t s5[] = {ACPI_S5_SLEEP_TYPE, 0, 0, 0};
	size_t start = util_align_up(b->used, ACPI_TABLES_ALIGN), scope;
	struct acpi_header *header = acpi_take(b, sizeof(*header), ACPI_TABLES_ALIGN);
	struct aml aml;

	if (!header)
		return start;
	acpi_fill_header(header, "DSDT", revision);
	aml = (struct aml){.buf = b->buf + b->used, .room = b->room - b->used};
	aml_name_package(&aml, "_S5_", s5, ARRAY_SIZE(s5));
	scope = aml_scope(&aml, "_SB_");
	for (size_t i = 0; i < b->machine->device_count; i++)
		if (b->machine->devices[i]->class->acpi_hid) {
			describe_device(&aml, b->machine, i);
			describe_parts(&aml, b->machine->devices[i], i);
		}
	aml_close(&aml, scope);
	b->used += aml.used;
	acpi_seal(b, start);
	return start;
}
