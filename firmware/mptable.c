/*
 * See mptable.h. Knows the devices only by the resources that they declare. Called at start and at
 * reset.
 *
 * How much room: 255 processors of 20 bytes and 50 other entries of 8 at most, in 8 KiB.
 */
#include "firmware/mptable.h"

#include <string.h>

#include "firmware/layout.h"
#include "vmm/base/util.h"
#include "vmm/core/device.h"

struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t revision;
	uint8_t checksum;
	uint8_t features[5]; /* all 0: there is a table; interrupts go through the local APIC */
} __attribute__((packed));

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[8];
	char product_id[12];
	uint32_t oem_table;
	uint16_t oem_table_bytes;
	uint16_t entry_count;
	uint32_t lapic;
	uint16_t extended_bytes;
	uint8_t extended_checksum;
	uint8_t reserved;
} __attribute__((packed));

struct mp_processor {
	uint8_t type;
	uint8_t apic_id, apic_version;
	uint8_t flags;
	uint32_t signature; /* of the processor, and its features: CPUID has both */
	uint32_t features;
	uint32_t reserved[2];
} __attribute__((packed));

struct mp_bus {
	uint8_t type;
	uint8_t id;
	char name[6];
} __attribute__((packed));

struct mp_ioapic {
	uint8_t type;
	uint8_t id, version;
	uint8_t flags;
	uint32_t address;
} __attribute__((packed));

/* For the pin of an IOAPIC, and for one of all local APICs. */
struct mp_interrupt {
	uint8_t type;
	uint8_t kind;
	uint16_t flags;
	uint8_t bus, irq;
	uint8_t apic, pin;
} __attribute__((packed));

_Static_assert(sizeof(struct mp_pointer) == 16, "MP 1.4, 4.1");
_Static_assert(sizeof(struct mp_header) == 44, "MP 1.4, 4.2");
_Static_assert(sizeof(struct mp_processor) == 20, "MP 1.4, 4.3.1");

enum {
	SPEC_REVISION = 4, /* 1.4 */

	MP_PROCESSOR = 0,
	MP_BUS = 1,
	MP_IOAPIC = 2,
	MP_IO_INTERRUPT = 3,
	MP_LOCAL_INTERRUPT = 4,

	MP_ENABLED = 1 << 0,
	MP_BOOT_PROCESSOR = 1 << 1,

	KIND_VECTORED = 0,
	KIND_NMI = 1,
	KIND_EXTERNAL = 3, /* the vector comes from the 8259 */

	FLAGS_AS_BUS = 0, /* of ISA: active high, edge */
	FLAGS_HIGH_EDGE = 0x5,
	FLAGS_HIGH_LEVEL = 0xd,

	/* What KVM's have in their version registers. */
	LAPIC_VERSION = 0x14,
	IOAPIC_VERSION = 0x11,
	IOAPIC_ID = 0, /* as in the MADT, and in its own register */
	IOAPIC_PINS = 24,
	ISA_BUS = 0,
	ISA_IRQS = 16,
	CASCADE_IRQ = 2,
	APIC_IDS_XAPIC = 255,
	ALL_PROCESSORS = 0xff,
	PROCESSORS_MAX = 255,
	OTHER_ENTRIES_MAX = 2 + IOAPIC_PINS + 2,
};

struct mp_build {
	const struct boot_machine *machine;
	uint8_t bytes[FW_MP_BYTES];
	size_t used;
	uint16_t entry_count;
};

_Static_assert(sizeof(struct mp_header) + PROCESSORS_MAX * sizeof(struct mp_processor) +
			OTHER_ENTRIES_MAX * sizeof(struct mp_interrupt) <=
		FW_MP_BYTES,
	"the largest machine's table has its place");

static void add(struct mp_build *b, const void *entry, size_t bytes)
{
	ASSERT(bytes <= sizeof(b->bytes) - b->used);
	memcpy(b->bytes + b->used, entry, bytes);
	b->used += bytes;
	b->entry_count++;
}

static void add_interrupt(struct mp_build *b, uint8_t type, uint8_t kind, unsigned flags,
	unsigned irq, uint8_t apic, unsigned pin)
{
	struct mp_interrupt entry = {.type = type,
		.kind = kind,
		.flags = (uint16_t)flags,
		.bus = ISA_BUS,
		.irq = (uint8_t)irq,
		.apic = apic,
		.pin = (uint8_t)pin};

	add(b, &entry, sizeof(entry));
}

static void add_processors(struct mp_build *b)
{
	unsigned count = 0;

	for (unsigned i = 0; i < b->machine->cpu_count && count < PROCESSORS_MAX; i++) {
		struct mp_processor entry = {.type = MP_PROCESSOR,
			.apic_id = (uint8_t)b->machine->apic_ids[i],
			.apic_version = LAPIC_VERSION,
			.flags = MP_ENABLED | (i == 0 ? MP_BOOT_PROCESSOR : 0)};

		if (b->machine->apic_ids[i] >= APIC_IDS_XAPIC)
			continue;
		add(b, &entry, sizeof(entry));
		count++;
	}
}

/* How the devices drive the IOAPIC's pins; FLAGS_AS_BUS where there is no device. */
static void collect_flags(const struct boot_machine *machine, uint8_t *flags)
{
	memset(flags, FLAGS_AS_BUS, IOAPIC_PINS);
	for (size_t i = 0; i < machine->device_count; i++) {
		const struct device *device = machine->devices[i];

		for (unsigned j = 0; j < device->res_count; j++) {
			const struct device_res *res = &device->res[j];

			if (res->kind == DEVICE_RES_IRQ && res->base < IOAPIC_PINS)
				flags[res->base] = res->level ? FLAGS_HIGH_LEVEL : FLAGS_HIGH_EDGE;
		}
	}
}

/*
 * All of the ISA bus, and of the pins above those that devices have: as of the same bus, for there
 * is no other, and kernels complain of a bus that they do not know.
 */
static void add_io_interrupts(struct mp_build *b)
{
	uint8_t flags[IOAPIC_PINS];

	collect_flags(b->machine, flags);
	for (unsigned irq = 0; irq < IOAPIC_PINS; irq++) {
		bool is_level = flags[irq] == FLAGS_HIGH_LEVEL;

		/* No pin of its own: the second 8259 arrives there, or the timer at pin 2. */
		if (irq == CASCADE_IRQ || (irq >= ISA_IRQS && flags[irq] == FLAGS_AS_BUS))
			continue;
		add_interrupt(b, MP_IO_INTERRUPT, KIND_VECTORED,
			irq < ISA_IRQS && !is_level ? FLAGS_AS_BUS : flags[irq], irq, IOAPIC_ID,
			irq == 0 ? b->machine->pit_gsi : irq);
	}
}

static void add_entries(struct mp_build *b)
{
	const struct mp_bus isa = {.type = MP_BUS, .id = ISA_BUS, .name = "ISA   "};
	const struct mp_ioapic ioapic = {.type = MP_IOAPIC,
		.id = IOAPIC_ID,
		.version = IOAPIC_VERSION,
		.flags = MP_ENABLED,
		.address = (uint32_t)b->machine->ioapic_base};

	add_processors(b);
	add(b, &isa, sizeof(isa));
	add(b, &ioapic, sizeof(ioapic));
	add_io_interrupts(b);
	add_interrupt(b, MP_LOCAL_INTERRUPT, KIND_EXTERNAL, FLAGS_AS_BUS, 0, ALL_PROCESSORS, 0);
	add_interrupt(b, MP_LOCAL_INTERRUPT, KIND_NMI, FLAGS_AS_BUS, 0, ALL_PROCESSORS, 1);
}

int mptable_write(struct gmem *mem, const struct boot_machine *machine)
{
	struct mp_build b = {.machine = machine, .used = sizeof(struct mp_header)};
	struct mp_pointer pointer = {
		.table = FW_MP_BASE, .length = sizeof(pointer) / 16, .revision = SPEC_REVISION};
	struct mp_header header = {.revision = SPEC_REVISION};
	int ret;

	add_entries(&b);
	memcpy(header.signature, "PCMP", sizeof(header.signature));
	memcpy(header.oem_id, "VMM     ", sizeof(header.oem_id));
	memcpy(header.product_id, "VMM         ", sizeof(header.product_id));
	header.length = (uint16_t)b.used;
	header.entry_count = b.entry_count;
	header.lapic = (uint32_t)machine->lapic_base;
	memcpy(b.bytes, &header, sizeof(header));
	header.checksum = util_checksum(b.bytes, b.used);
	memcpy(b.bytes, &header, sizeof(header));
	memcpy(pointer.signature, "_MP_", sizeof(pointer.signature));
	pointer.checksum = util_checksum(&pointer, sizeof(pointer));
	ret = gmem_write(mem, FW_MP_BASE, b.bytes, b.used);
	return ret < 0 ? ret : gmem_write(mem, FW_MP_POINTER, &pointer, sizeof(pointer));
}
