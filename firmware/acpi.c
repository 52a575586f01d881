/*
 * See acpi.h. The roots, the FADT and the FACS; acpi_dsdt.c and acpi_madt.c have
 * the rest. Knows the devices only by what core/device.h says of each: its class's
 * hardware id and its resources. Called at start and at reset.
 *
 * How much room: 255 processors take 16 bytes each in the MADT at most, and a
 * device with three resources about 80 bytes in the DSDT. The bus has 256 places for
 * devices. 4 KiB + 20 KiB: a fifth of what layout.h keeps.
 */
#include "firmware/acpi.h"

#include <errno.h>
#include <string.h>

#include "firmware/acpi_tables.h"

enum {
	SPACE_PORT = 1,
	ACCESS_BYTE = 1,
	ACCESS_WORD = 2,
	ACCESS_DWORD = 3,

	/* FADT flags, 5.2.9 table 5.10 */
	FADT_WBINVD = 1 << 0,
	FADT_C1_SUPPORTED = 1 << 2,
	FADT_NO_SLEEP_BUTTON = 1 << 5, /* as fixed hardware; the power button is (bit 4 clear) */
	FADT_RTC_NOT_FIXED = 1 << 6,
	FADT_RESET_REGISTER = 1 << 10,
	FADT_HARDWARE_REDUCED = 1 << 20,

	/* IA-PC boot architecture flags, 5.2.9.3 */
	BOOT_LEGACY_DEVICES = 1 << 0,
	BOOT_8042 = 1 << 1,
	BOOT_NO_VGA = 1 << 2,
	BOOT_NO_CMOS_RTC = 1 << 5,

	RTC_CENTURY_INDEX = 0x32,
	/* Above these the C2 and C3 states do not exist. */
	NO_C2_LATENCY = 101,
	NO_C3_LATENCY = 1001,
};

#define HID_I8042 "PNP0303"
#define HID_CMOS  "PNP0B00"

/* ---- Pieces ---- */

/* The place for `bytes` at the next free address, zeroed; NULL when there is no room. */
void *acpi_take(struct acpi_build *b, size_t bytes, size_t align)
{
	size_t at = util_align_up(b->used, align);

	b->used = at + bytes;
	if (b->used > b->room)
		return NULL;
	return memset(b->buf + at, 0, bytes);
}

void acpi_append(struct acpi_build *b, const void *data, size_t bytes)
{
	void *place = acpi_take(b, bytes, 1);

	if (place)
		memcpy(place, data, bytes);
}

static gpa_t address_of(const struct acpi_build *b, size_t offset)
{
	return b->base + offset;
}

void acpi_fill_header(struct acpi_header *header, const char *signature, uint8_t revision)
{
	memcpy(header->signature, signature, sizeof(header->signature));
	header->revision = revision;
	memcpy(header->oem_id, "VMM   ", sizeof(header->oem_id));
	memcpy(header->oem_table_id, "VMM     ", sizeof(header->oem_table_id));
	header->oem_revision = 1;
	memcpy(header->creator_id, "VMM ", sizeof(header->creator_id));
	header->creator_revision = 1;
}

/* All of the table, from `start` to what is used, is there: closes it. */
void acpi_seal(struct acpi_build *b, size_t start)
{
	struct acpi_header *header = (void *)(b->buf + start);

	if (b->used > b->room)
		return;
	header->length = (uint32_t)(b->used - start);
	header->checksum = 0;
	header->checksum = util_checksum(header, header->length);
}

static const struct device *find_class(const struct boot_machine *machine, const char *name)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (!strcmp(machine->devices[i]->class->name, name))
			return machine->devices[i];
	return NULL;
}

static bool has_hid(const struct boot_machine *machine, const char *hid)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		const char *have = machine->devices[i]->class->acpi_hid;

		if (have && !strcmp(have, hid))
			return true;
	}
	return false;
}

/* ---- FADT and FACS ---- */

static size_t add_facs(struct acpi_build *b)
{
	size_t start = util_align_up(b->used, ACPI_TABLES_ALIGN);
	struct acpi_facs *facs = acpi_take(b, sizeof(*facs), ACPI_TABLES_ALIGN);

	if (facs) {
		memcpy(facs->signature, "FACS", sizeof(facs->signature));
		facs->length = sizeof(*facs);
		facs->version = 2;
	}
	return start;
}

static struct acpi_gas port_register(const struct device_res *res, uint8_t access)
{
	return (struct acpi_gas){.space = SPACE_PORT,
		.bits = (uint8_t)(res->size * 8),
		.access = access,
		.address = res->base};
}

static void describe_fixed_hardware(struct acpi_fadt *fadt, const struct device *pm)
{
	const struct device_res *event = device_find_res(pm, DEVICE_RES_PIO, 0);
	const struct device_res *control = device_find_res(pm, DEVICE_RES_PIO, 1);
	const struct device_res *timer = device_find_res(pm, DEVICE_RES_PIO, 2);
	const struct device_res *sci = device_find_res(pm, DEVICE_RES_IRQ, 0);

	ASSERT(event && control && timer && sci);
	fadt->sci_irq = (uint16_t)sci->base;
	fadt->pm1a_event = (uint32_t)event->base;
	fadt->pm1a_control = (uint32_t)control->base;
	fadt->pm_timer = (uint32_t)timer->base;
	fadt->pm1_event_len = (uint8_t)event->size;
	fadt->pm1_control_len = (uint8_t)control->size;
	fadt->pm_timer_len = (uint8_t)timer->size;
	fadt->x_pm1a_event = port_register(event, ACCESS_WORD);
	fadt->x_pm1a_control = port_register(control, ACCESS_WORD);
	fadt->x_pm_timer = port_register(timer, ACCESS_DWORD);
	fadt->flags |= FADT_NO_SLEEP_BUTTON | FADT_RTC_NOT_FIXED;
}

static uint16_t boot_architecture(const struct boot_machine *machine)
{
	uint16_t flags = BOOT_LEGACY_DEVICES | BOOT_NO_VGA;

	/* A kernel that is told there is no 8042 does not spend time on looking for it. */
	if (has_hid(machine, HID_I8042) || find_class(machine, "i8042"))
		flags |= BOOT_8042;
	if (!has_hid(machine, HID_CMOS))
		flags |= BOOT_NO_CMOS_RTC;
	return flags;
}

static size_t add_fadt(struct acpi_build *b, size_t facs, size_t dsdt)
{
	const uint8_t revision = 6, minor_revision = 3;
	size_t start = util_align_up(b->used, ACPI_TABLES_ALIGN);
	struct acpi_fadt *fadt = acpi_take(b, sizeof(*fadt), ACPI_TABLES_ALIGN);
	const struct boot_machine *machine = b->machine;
	const struct device *pm = find_class(machine, "acpi-pm");

	if (!fadt)
		return start;
	acpi_fill_header(&fadt->header, "FACP", revision);
	fadt->minor_revision = minor_revision;
	fadt->flags = FADT_WBINVD | FADT_C1_SUPPORTED;
	/* One address of the FACS only: a kernel would take two for two tables. */
	fadt->facs = (uint32_t)address_of(b, facs);
	fadt->dsdt = (uint32_t)address_of(b, dsdt);
	fadt->x_dsdt = address_of(b, dsdt);
	fadt->c2_latency = NO_C2_LATENCY;
	fadt->c3_latency = NO_C3_LATENCY;
	fadt->boot_arch = boot_architecture(machine);
	if (has_hid(machine, HID_CMOS))
		fadt->century = RTC_CENTURY_INDEX;
	/* No SMI command port: the machine is in ACPI mode from the start. */
	if (pm)
		describe_fixed_hardware(fadt, pm);
	else
		fadt->flags |= FADT_HARDWARE_REDUCED;
	if (machine->reset_port) {
		fadt->flags |= FADT_RESET_REGISTER;
		fadt->reset_register = (struct acpi_gas){.space = SPACE_PORT,
			.bits = 8,
			.access = ACCESS_BYTE,
			.address = machine->reset_port};
		fadt->reset_value = machine->reset_value;
	}
	acpi_seal(b, start);
	return start;
}

/* ---- The roots ---- */

static size_t add_xsdt(struct acpi_build *b, size_t fadt, size_t madt)
{
	const uint64_t tables[] = {address_of(b, fadt), address_of(b, madt)};
	size_t start = util_align_up(b->used, ACPI_TABLES_ALIGN);
	struct acpi_header *header = acpi_take(b, sizeof(*header), ACPI_TABLES_ALIGN);

	if (!header)
		return start;
	acpi_fill_header(header, "XSDT", 1);
	acpi_append(b, tables, sizeof(tables));
	acpi_seal(b, start);
	return start;
}

static void fill_rsdp(struct acpi_build *b, size_t xsdt)
{
	struct acpi_rsdp *rsdp = (void *)b->buf;

	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, "VMM   ", sizeof(rsdp->oem_id));
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = address_of(b, xsdt);
	rsdp->checksum = util_checksum(rsdp, offsetof(struct acpi_rsdp, length));
	rsdp->extended_checksum = util_checksum(rsdp, sizeof(*rsdp));
}

int acpi_build(const struct boot_machine *machine, gpa_t base, uint8_t *buf, size_t room,
	size_t *used, struct err *err)
{
	struct acpi_build b = {.machine = machine, .base = base, .buf = buf, .room = room};
	size_t facs, dsdt, fadt, madt, xsdt;

	ASSERT(!(base & (ACPI_TABLES_ALIGN - 1)) && room >= sizeof(struct acpi_rsdp));
	ASSERT(machine->lapic_base <= UINT32_MAX && machine->ioapic_base <= UINT32_MAX);
	(void)acpi_take(&b, sizeof(struct acpi_rsdp), 1);
	facs = add_facs(&b);
	dsdt = acpi_add_dsdt(&b);
	fadt = add_fadt(&b, facs, dsdt);
	madt = acpi_add_madt(&b);
	xsdt = add_xsdt(&b, fadt, madt);
	*used = b.used;
	if (b.used > b.room)
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC,
			"the ACPI tables for %zu devices and %u processors need %zu bytes; there "
			"is room for %zu",
			machine->device_count, machine->cpu_count, b.used, room);
	fill_rsdp(&b, xsdt);
	return 0;
}
