/*
 * The MADT: processors, the IOAPIC, and the interrupts that are not as ISA has
 * them (ACPI 6.4, 5.2.12). Called at start and at reset.
 */
#include "firmware/acpi_tables.h"

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic;
	uint32_t flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length;
	uint8_t uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length;
	uint8_t id, reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length;
	uint8_t bus, source;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_lapic_nmi {
	uint8_t type, length;
	uint8_t uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

struct madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t uid;
} __attribute__((packed));

struct madt_x2apic_nmi {
	uint8_t type, length;
	uint16_t flags;
	uint32_t uid;
	uint8_t lint;
	uint8_t reserved[3];
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_madt) == 44, "ACPI 6.4, 5.2.12");

enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
	MADT_PCAT_COMPAT = 1,
	MADT_ENABLED = 1,
	MADT_ALL_PROCESSORS = 0xff,
	INTI_ACTIVE_HIGH_LEVEL = 0x000d,
	INTI_CONFORMS = 0,
	NMI_LINT = 1,
	APIC_IDS_XAPIC = 255,

	ISA_IRQS = 16,
};

static void add_processors(struct acpi_build *b)
{
	bool any_x2apic = false;

	for (unsigned i = 0; i < b->machine->cpu_count; i++) {
		uint32_t apic_id = b->machine->apic_ids[i];

		if (apic_id < APIC_IDS_XAPIC && i < MADT_ALL_PROCESSORS) {
			struct madt_lapic entry = {.type = MADT_LAPIC,
				.length = sizeof(entry),
				.uid = (uint8_t)i,
				.apic_id = (uint8_t)apic_id,
				.flags = MADT_ENABLED};

			acpi_append(b, &entry, sizeof(entry));
		} else {
			struct madt_x2apic entry = {.type = MADT_X2APIC,
				.length = sizeof(entry),
				.apic_id = apic_id,
				.flags = MADT_ENABLED,
				.uid = i};

			acpi_append(b, &entry, sizeof(entry));
			any_x2apic = true;
		}
	}
	acpi_append(b,
		&(struct madt_lapic_nmi){.type = MADT_LAPIC_NMI,
			.length = sizeof(struct madt_lapic_nmi),
			.uid = MADT_ALL_PROCESSORS,
			.flags = INTI_CONFORMS,
			.lint = NMI_LINT},
		sizeof(struct madt_lapic_nmi));
	if (any_x2apic)
		acpi_append(b,
			&(struct madt_x2apic_nmi){.type = MADT_X2APIC_NMI,
				.length = sizeof(struct madt_x2apic_nmi),
				.uid = UINT32_MAX,
				.flags = INTI_CONFORMS,
				.lint = NMI_LINT},
			sizeof(struct madt_x2apic_nmi));
}

static void add_override(struct acpi_build *b, unsigned irq, unsigned gsi, uint16_t flags)
{
	struct madt_override entry = {.type = MADT_OVERRIDE,
		.length = sizeof(entry),
		.source = (uint8_t)irq,
		.gsi = gsi,
		.flags = flags};

	acpi_append(b, &entry, sizeof(entry));
}

/* ISA interrupts are edge-triggered unless something is said here: the SCI is level. */
static void add_overrides(struct acpi_build *b)
{
	uint32_t done = 0;

	if (b->machine->pit_gsi != 0)
		add_override(b, 0, b->machine->pit_gsi, INTI_CONFORMS);
	for (size_t i = 0; i < b->machine->device_count; i++) {
		const struct device *device = b->machine->devices[i];

		for (unsigned j = 0; j < device->res_count; j++) {
			const struct device_res *res = &device->res[j];

			if (res->kind != DEVICE_RES_IRQ || !res->level || res->base >= ISA_IRQS ||
				done & 1u << res->base)
				continue;
			done |= 1u << res->base;
			add_override(b, (unsigned)res->base, (unsigned)res->base,
				INTI_ACTIVE_HIGH_LEVEL);
		}
	}
}

size_t acpi_add_madt(struct acpi_build *b)
{
	const uint8_t revision = 5;
	size_t start = util_align_up(b->used, ACPI_TABLES_ALIGN);
	struct acpi_madt *madt = acpi_take(b, sizeof(*madt), ACPI_TABLES_ALIGN);
	struct madt_ioapic ioapic = {.type = MADT_IOAPIC,
		.length = sizeof(ioapic),
		.address = (uint32_t)b->machine->ioapic_base};

	if (!madt)
		return start;
	acpi_fill_header(&madt->header, "APIC", revision);
	madt->lapic = (uint32_t)b->machine->lapic_base;
	madt->flags = MADT_PCAT_COMPAT;
	add_processors(b);
	acpi_append(b, &ioapic, sizeof(ioapic));
	add_overrides(b);
	acpi_seal(b, start);
	return start;
}
