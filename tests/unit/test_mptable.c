/*
 * mptable: pointer and table are well-formed, and say of processors and interrupts what the machine
 * has, up to the largest one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "firmware/layout.h"
#include "firmware/mptable.h"
#include "vmm/base/util.h"

enum {
	CPUS_MAX = 300,
	HEADER_BYTES = 44,
	PROCESSOR_BYTES = 20,
	OTHER_BYTES = 8,
	PINS = 24,
	NO_PIN = 0xff,
};

static uint32_t apic_ids[CPUS_MAX];
static struct device devices[3];
static const struct device *const device_list[] = {&devices[0], &devices[1], &devices[2]};
static struct boot_machine machine;
static struct gmem mem;

/* What was found in the table. */
static struct {
	unsigned processors, boot_processors, buses, ioapics, locals;
	uint8_t first_id, last_id;
	uint8_t flags[PINS]; /* NO_PIN: no interrupt arrives there */
	uint8_t irq[PINS];
	uint8_t local_kind[2];
} found;

static void add_irq(struct device *device, unsigned irq, bool level)
{
	device->res[device->res_count++] =
		(struct device_res){.kind = DEVICE_RES_IRQ, .base = irq, .size = 1, .level = level};
}

static void make_machine(unsigned cpus)
{
	const struct gmem_config config = {
		.size = 4 * MIB, .hole_start = GIB, .high_base = 4 * GIB};
	struct err err = ERR_INIT;

	assert_int_equal(gmem_init(&mem, &config, &err), 0);
	memset(devices, 0, sizeof(devices));
	add_irq(&devices[0], 9, true);
	add_irq(&devices[1], 4, false);
	add_irq(&devices[2], 17, false);
	add_irq(&devices[2], 23, true);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		apic_ids[i] = i;
	machine = (struct boot_machine){.apic_ids = apic_ids,
		.cpu_count = cpus,
		.devices = device_list,
		.device_count = ARRAY_SIZE(device_list),
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.pit_gsi = 2};
}

static void take_entry(const uint8_t *p)
{
	switch (p[0]) {
	case 0:
		assert_int_equal(p[3] & 1, 1);
		found.boot_processors += p[3] >> 1 & 1;
		if (!found.processors++)
			found.first_id = p[1];
		found.last_id = p[1];
		break;
	case 1:
		found.buses++;
		assert_memory_equal(p + 2, "ISA   ", 6);
		break;
	case 2:
		found.ioapics++;
		assert_int_equal(p[3], 1);
		assert_int_equal(load_le32(p + 4), 0xfec00000);
		break;
	case 3:
		assert_true(p[1] == 0 && p[4] == 0 && p[6] == 0 && p[7] < PINS);
		assert_int_equal(found.flags[p[7]], NO_PIN);
		found.flags[p[7]] = p[2];
		found.irq[p[7]] = p[5];
		break;
	default:
		assert_int_equal(p[0], 4);
		assert_true(p[6] == 0xff && p[7] < 2);
		found.local_kind[p[7]] = p[1];
		found.locals++;
	}
}

/* As a kernel does: from the pointer on, in the order of the entries' types. */
static void build_and_read(void)
{
	const uint8_t *pointer, *table;
	unsigned length, count, at = HEADER_BYTES;
	uint8_t type = 0;

	memset(&found, 0, sizeof(found));
	memset(found.flags, NO_PIN, sizeof(found.flags));
	assert_int_equal(mptable_write(&mem, &machine), 0);
	pointer = gmem_ptr(&mem, FW_MP_POINTER, 16);
	assert_int_equal(FW_MP_POINTER % 16, 0);
	assert_memory_equal(pointer, "_MP_", 4);
	assert_true(pointer[8] == 1 && pointer[9] == 4 && pointer[11] == 0);
	assert_int_equal(util_checksum(pointer, 16), 0);
	assert_int_equal(load_le32(pointer + 4), FW_MP_BASE);
	table = gmem_ptr(&mem, FW_MP_BASE, FW_MP_BYTES);
	length = load_le16(table + 4);
	count = load_le16(table + 34);
	assert_memory_equal(table, "PCMP", 4);
	assert_int_equal(table[6], 4);
	assert_int_equal(load_le32(table + 36), 0xfee00000);
	assert_true(length <= FW_MP_BYTES);
	assert_int_equal(util_checksum(table, length), 0);
	for (; count && at < length; count--) {
		assert_true(table[at] >= type);
		type = table[at];
		take_entry(table + at);
		at += type ? OTHER_BYTES : PROCESSOR_BYTES;
	}
	assert_true(!count && at == length);
}

static void mp_has_processors_and_interrupts(void **state)
{
	(void)state;
	make_machine(2);
	build_and_read();
	assert_true(found.processors == 2 && found.boot_processors == 1);
	assert_true(found.first_id == 0 && found.last_id == 1);
	assert_true(found.buses == 1 && found.ioapics == 1 && found.locals == 2);
	/* The 8259 at LINT0, NMI at LINT1. */
	assert_true(found.local_kind[0] == 3 && found.local_kind[1] == 1);
	/* The timer is where the machine says; all else is at its own pin. */
	assert_int_equal(found.flags[0], NO_PIN);
	assert_int_equal(found.irq[2], 0);
	for (unsigned pin = 3; pin < PINS; pin++)
		if (found.flags[pin] != NO_PIN)
			assert_int_equal(found.irq[pin], pin);
	/* As on ISA, or high and level; above ISA only what is there. */
	assert_true(found.flags[4] == 0 && found.flags[15] == 0 && found.flags[9] == 0xd);
	assert_true(found.flags[16] == NO_PIN && found.flags[17] == 5 && found.flags[23] == 0xd);
	machine.pit_gsi = 0;
	build_and_read();
	assert_true(found.flags[0] == 0 && found.irq[0] == 0 && found.flags[2] == NO_PIN);
	gmem_finish(&mem);
}

static void mp_has_no_ids_of_x2apic(void **state)
{
	(void)state;
	make_machine(CPUS_MAX);
	build_and_read();
	assert_true(found.processors == 255 && found.last_id == 254 && found.boot_processors == 1);
	apic_ids[1] = 1000;
	build_and_read();
	assert_true(found.processors == 254 && found.last_id == 254);
	gmem_finish(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mp_has_processors_and_interrupts),
		cmocka_unit_test(mp_has_no_ids_of_x2apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
