/* The clock, and the table of processors (see smp.h). */
#include "smp.h"

/* ---- The 8254, channel 0, counting down once (Intel's data sheet 231164) ---- */

enum {
	PIT_CHANNEL0 = 0x40,
	PIT_COMMAND = 0x43,
	ONE_SHOT = 0x30,	 /* channel 0, two bytes, mode 0 */
	READ_BACK_STATUS = 0xe2, /* of channel 0 */
	STATUS_DONE = 0x80,
	SHOT_US = 50000, /* 16 bits are enough for that */
};

#define PIT_HZ 1193182u

void delay(unsigned microseconds)
{
	while (microseconds) {
		unsigned us = microseconds < SHOT_US ? microseconds : SHOT_US;
		unsigned count = us * (PIT_HZ / 1000) / 1000 + 1;

		outb(PIT_COMMAND, ONE_SHOT);
		outb(PIT_CHANNEL0, (uint8_t)count);
		outb(PIT_CHANNEL0, (uint8_t)(count >> 8));
		do
			outb(PIT_COMMAND, READ_BACK_STATUS);
		while (!(inb(PIT_CHANNEL0) & STATUS_DONE));
		microseconds -= us;
	}
}

/* ---- ACPI 6.4: 5.2.5 (RSDP), 5.2.8 (XSDT), 5.2.12 (MADT) ---- */

enum {
	BIOS_START = 0xe0000,
	BIOS_END = 0x100000,
	RSDP_XSDT = 24,
	TABLE_BYTES = 4,
	TABLE_HEADER = 36,
	MADT_ENTRIES = 44,
	MADT_LOCAL_APIC = 0,
	LOCAL_APIC_ID = 3,
	LOCAL_APIC_FLAGS = 4,
	LOCAL_APIC_ENABLED = 1,
};

static bool starts_with(const uint8_t *bytes, const char *text)
{
	while (*text)
		if (*bytes++ != (uint8_t)*text++)
			return false;
	return true;
}

static uint64_t read_number(const uint8_t *bytes, unsigned count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | bytes[count];
	return value;
}

static const uint8_t *find_madt(void)
{
	const uint8_t *rsdp = (const uint8_t *)BIOS_START, *xsdt;

	while (!starts_with(rsdp, "RSD PTR ")) {
		rsdp += 16;
		if (rsdp == (const uint8_t *)BIOS_END)
			return NULL;
	}
	xsdt = (const uint8_t *)read_number(rsdp + RSDP_XSDT, 8);
	for (uint64_t at = TABLE_HEADER; at < read_number(xsdt + TABLE_BYTES, 4); at += 8) {
		const uint8_t *table = (const uint8_t *)read_number(xsdt + at, 8);

		if (starts_with(table, "APIC"))
			return table;
	}
	return NULL;
}

unsigned cpus_list(unsigned ids[CPUS_MAX])
{
	const uint8_t *madt = find_madt(), *entry, *end;
	unsigned count = 0;

	if (!madt) {
		print("no ACPI table tells of the processors\n");
		exit_vm(16);
	}
	end = madt + read_number(madt + TABLE_BYTES, 4);
	for (entry = madt + MADT_ENTRIES; entry < end && entry[1]; entry += entry[1])
		if (entry[0] == MADT_LOCAL_APIC && entry[LOCAL_APIC_FLAGS] & LOCAL_APIC_ENABLED &&
			entry[LOCAL_APIC_ID] < CPUS_MAX && count < CPUS_MAX)
			ids[count++] = entry[LOCAL_APIC_ID];
	return count;
}
