/*
 * acpi: the tables are well-formed to our own eyes and to those of iasl, ACPICA's
 * compiler and disassembler, whose parser is the one that Linux has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/acpi.h"
#include "firmware/acpi_tables.h"
#include "firmware/aml.h"
#include "firmware/layout.h"

enum {
	CPUS_MAX = 300,
	DEVICES_MAX = 256,
	COMMAND_BYTES = 512,
	OUTPUT_BYTES = 256 * 1024,
};

static uint8_t tables[FW_ACPI_BYTES];
static size_t tables_used;
static uint32_t apic_ids[CPUS_MAX];
static struct device devices[DEVICES_MAX];
static const struct device *device_list[DEVICES_MAX];

/* ---- A machine ---- */

static const struct device_class pm_class = {.name = "acpi-pm"};
static const struct device_class serial_class = {.name = "serial", .acpi_hid = "PNP0501"};
static const struct device_class cmos_class = {.name = "cmos", .acpi_hid = "PNP0B00"};
static const struct device_class i8042_class = {.name = "i8042", .acpi_hid = "PNP0303"};
static const struct device_class virtio_class = {.name = "virtio-mmio", .acpi_hid = "LNRO0005"};
static const struct device_class hidden_class = {.name = "debug-exit"};

static const struct device_class *const some_classes[] = {
	&pm_class, &serial_class, &cmos_class, &i8042_class, &hidden_class};

static void add_res(struct device *device, enum device_res_kind kind, uint64_t base, uint64_t size,
	bool level, bool shared)
{
	device->res[device->res_count++] = (struct device_res){
		.kind = kind, .base = base, .size = size, .level = level, .shared = shared};
}

static void describe_some_devices(void)
{
	memset(devices, 0, sizeof(devices));
	for (size_t i = 0; i < ARRAY_SIZE(some_classes); i++)
		devices[i].class = some_classes[i];
	add_res(&devices[0], DEVICE_RES_IRQ, 9, 1, true, false);
	add_res(&devices[0], DEVICE_RES_PIO, 0x600, 4, false, false);
	add_res(&devices[0], DEVICE_RES_PIO, 0x604, 2, false, false);
	add_res(&devices[0], DEVICE_RES_PIO, 0x608, 4, false, false);
	add_res(&devices[1], DEVICE_RES_IRQ, 4, 1, false, false);
	add_res(&devices[1], DEVICE_RES_PIO, 0x3f8, 8, false, false);
	add_res(&devices[2], DEVICE_RES_PIO, 0x70, 2, false, false);
	add_res(&devices[2], DEVICE_RES_IRQ, 8, 1, false, false);
	add_res(&devices[3], DEVICE_RES_PIO, 0x60, 1, false, false);
	add_res(&devices[3], DEVICE_RES_PIO, 0x64, 1, false, false);
	add_res(&devices[3], DEVICE_RES_IRQ, 1, 1, false, false);
	add_res(&devices[3], DEVICE_RES_IRQ, 12, 1, false, false);
	devices[3].res[3].acpi_hid = "PNP0F13";
	add_res(&devices[4], DEVICE_RES_PIO, 0xf4, 4, false, false);
}

static struct boot_machine make_machine(unsigned cpus, size_t virtio_devices)
{
	size_t fixed = ARRAY_SIZE(some_classes);

	describe_some_devices();
	assert_true(fixed + virtio_devices <= DEVICES_MAX && cpus <= CPUS_MAX);
	for (size_t i = 0; i < virtio_devices; i++) {
		devices[fixed + i].class = &virtio_class;
		add_res(&devices[fixed + i], DEVICE_RES_MMIO, 0xd0000000 + i * 4096, 512, false,
			false);
		add_res(&devices[fixed + i], DEVICE_RES_IRQ, 16 + i % 8, 1, false, true);
	}
	for (size_t i = 0; i < DEVICES_MAX; i++)
		device_list[i] = &devices[i];
	for (unsigned i = 0; i < CPUS_MAX; i++)
		apic_ids[i] = i;
	return (struct boot_machine){.cmdline = "",
		.apic_ids = apic_ids,
		.cpu_count = cpus,
		.devices = device_list,
		.device_count = fixed + virtio_devices,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.pit_gsi = 2,
		.reset_port = 0xcf9,
		.reset_value = 6};
}

static void build(const struct boot_machine *machine)
{
	struct err err = ERR_INIT;

	memset(tables, 0xcc, sizeof(tables));
	assert_int_equal(
		acpi_build(machine, FW_ACPI_BASE, tables, sizeof(tables), &tables_used, &err), 0);
	assert_true(tables_used <= sizeof(tables));
}

static uint8_t sum(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint8_t total = 0;

	for (size_t i = 0; i < bytes; i++)
		total = (uint8_t)(total + p[i]);
	return total;
}

static const void *at(uint64_t address)
{
	assert_in_range(address, FW_ACPI_BASE, FW_ACPI_BASE + tables_used - 1);
	return tables + (address - FW_ACPI_BASE);
}

/* The table of that signature, its length and checksum verified. */
static const struct acpi_header *find_table(const char *signature)
{
	const struct acpi_rsdp *rsdp = at(FW_ACPI_BASE);
	const struct acpi_header *xsdt = at(rsdp->xsdt);
	const uint8_t *entries = (const uint8_t *)(xsdt + 1);

	if (!strcmp(signature, "XSDT"))
		return xsdt;
	if (!strcmp(signature, "DSDT"))
		return at(((const struct acpi_fadt *)find_table("FACP"))->x_dsdt);
	for (size_t i = 0; i < (xsdt->length - sizeof(*xsdt)) / 8; i++) {
		const struct acpi_header *table = at(load_le64(entries + i * 8));

		if (!memcmp(table->signature, signature, 4))
			return table;
	}
	fail_msg("no table %s", signature);
	return NULL;
}

/* ---- Our own eyes ---- */

static void acpi_sums_and_lengths_are_right(void **state)
{
	static const char *const signatures[] = {"XSDT", "FACP", "APIC", "DSDT"};
	struct boot_machine machine = make_machine(4, 3);
	const struct acpi_rsdp *rsdp;

	(void)state;
	build(&machine);
	rsdp = at(FW_ACPI_BASE);
	assert_memory_equal(rsdp->signature, "RSD PTR ", 8);
	assert_int_equal(rsdp->revision, 2);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, sizeof(*rsdp)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct acpi_header *table = find_table(signatures[i]);

		assert_memory_equal(table->signature, signatures[i], 4);
		assert_true((const uint8_t *)table + table->length <= tables + tables_used);
		assert_int_equal(sum(table, table->length), 0);
	}
}

static void acpi_fadt_has_the_fixed_hardware(void **state)
{
	struct boot_machine machine = make_machine(1, 0);
	const struct acpi_fadt *fadt;
	const struct acpi_facs *facs;

	(void)state;
	build(&machine);
	fadt = (const void *)find_table("FACP");
	assert_int_equal(fadt->header.length, 276);
	assert_int_equal(fadt->sci_irq, 9);
	assert_int_equal(fadt->pm1a_event, 0x600);
	assert_int_equal(fadt->pm1_event_len, 4);
	assert_int_equal(fadt->pm1a_control, 0x604);
	assert_int_equal(fadt->pm1_control_len, 2);
	assert_int_equal(fadt->pm_timer, 0x608);
	assert_int_equal(fadt->pm_timer_len, 4);
	assert_int_equal(fadt->x_pm1a_event.address, 0x600);
	assert_int_equal(fadt->x_pm1a_event.bits, 32);
	assert_int_equal(fadt->x_pm1a_control.bits, 16);
	assert_int_equal(fadt->smi_command, 0);
	assert_int_equal(fadt->reset_register.address, 0xcf9);
	assert_int_equal(fadt->reset_value, 6);
	assert_true(fadt->flags & 1 << 10);
	assert_false(fadt->flags & 1 << 4);  /* the power button is fixed hardware */
	assert_false(fadt->flags & 1 << 20); /* not hardware-reduced */
	assert_int_equal(fadt->century, 0x32);
	assert_int_equal(fadt->boot_arch, 0x07); /* legacy, 8042, no VGA */
	facs = at(fadt->facs);
	assert_memory_equal(facs->signature, "FACS", 4);
	assert_int_equal(fadt->facs % 64, 0);
	assert_int_equal(fadt->x_facs, 0);
}

static void acpi_tells_what_is_missing(void **state)
{
	struct boot_machine machine = make_machine(1, 0);
	const struct acpi_fadt *fadt;

	(void)state;
	machine.devices = &device_list[1]; /* the serial port alone */
	machine.device_count = 1;
	machine.reset_port = 0;
	build(&machine);
	fadt = (const void *)find_table("FACP");
	assert_true(fadt->flags & 1 << 20);
	assert_false(fadt->flags & 1 << 10);
	assert_int_equal(fadt->boot_arch, 0x25); /* legacy, no VGA, no RTC */
	assert_int_equal(fadt->century, 0);
}

/* The nth entry of that type in the MADT, or NULL. */
static const uint8_t *find_entry(unsigned type, unsigned nth)
{
	const struct acpi_header *madt = find_table("APIC");
	const uint8_t *p = (const uint8_t *)madt + 44, *end = (const uint8_t *)madt + madt->length;

	while (p < end) {
		assert_true(p[1] >= 2 && p + p[1] <= end);
		if (p[0] == type && nth-- == 0)
			return p;
		p += p[1];
	}
	return NULL;
}

static void acpi_madt_has_processors_and_overrides(void **state)
{
	struct boot_machine machine = make_machine(4, 2);
	const uint8_t *entry;

	(void)state;
	apic_ids[3] = 6; /* a gap, as three cores to a package make */
	build(&machine);
	entry = find_entry(0, 3);
	assert_non_null(entry);
	assert_int_equal(entry[2], 3);
	assert_int_equal(entry[3], 6);
	assert_int_equal(load_le32(entry + 4), 1);
	assert_null(find_entry(0, 4));
	assert_null(find_entry(9, 0));
	entry = find_entry(1, 0);
	assert_int_equal(load_le32(entry + 4), 0xfec00000);
	assert_int_equal(load_le32(entry + 8), 0);
	entry = find_entry(2, 0); /* ISA 0 arrives at pin 2 */
	assert_int_equal(entry[3], 0);
	assert_int_equal(load_le32(entry + 4), 2);
	assert_int_equal(load_le16(entry + 8), 0);
	entry = find_entry(2, 1); /* the SCI is level, active high */
	assert_int_equal(entry[3], 9);
	assert_int_equal(load_le32(entry + 4), 9);
	assert_int_equal(load_le16(entry + 8), 0xd);
	assert_null(find_entry(2, 2));
}

static void acpi_madt_has_255_processors_and_big_ids(void **state)
{
	struct boot_machine machine = make_machine(255, 0);

	(void)state;
	build(&machine);
	assert_non_null(find_entry(0, 254));
	assert_null(find_entry(9, 0));
	apic_ids[254] = 255; /* this one means "all" in an xAPIC */
	apic_ids[253] = 300;
	build(&machine);
	assert_null(find_entry(0, 253));
	assert_int_equal(load_le32(find_entry(9, 0) + 4), 300);
	assert_int_equal(load_le32(find_entry(9, 0) + 12), 253);
	assert_int_equal(load_le32(find_entry(9, 1) + 4), 255);
	assert_non_null(find_entry(10, 0));
}

static void acpi_fits_the_largest_machine(void **state)
{
	struct boot_machine machine =
		make_machine(CPUS_MAX, DEVICES_MAX - ARRAY_SIZE(some_classes));

	(void)state;
	build(&machine);
	assert_true(tables_used < FW_ACPI_BYTES / 4);
}

static void acpi_says_when_there_is_no_room(void **state)
{
	struct boot_machine machine = make_machine(64, 64);
	uint8_t *exact;

	(void)state;
	build(&machine);
	/* Every size that is too small, in memory of exactly that size. */
	for (size_t room = sizeof(struct acpi_rsdp); room < tables_used; room += 7) {
		struct err err = ERR_INIT;
		size_t used;

		exact = malloc(room);
		assert_non_null(exact);
		assert_int_equal(
			acpi_build(&machine, FW_ACPI_BASE, exact, room, &used, &err), -ENOSPC);
		assert_int_equal(err.kind, EXIT_CODE_DEVICE);
		free(exact);
	}
}

static void aml_lengths_of_all_sizes(void **state)
{
	static const struct {
		size_t content, prefix;
	} cases[] = {{0, 1}, {62, 1}, {63, 2}, {4093, 2}, {4094, 3}, {70000, 3}};
	uint8_t *buf = malloc(80000);

	(void)state;
	assert_non_null(buf);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct aml aml = {.buf = buf, .room = 80000, .used = cases[i].content};
		size_t length;

		memset(buf, 0xee, 80000);
		aml_close(&aml, 0);
		assert_int_equal(aml.used, cases[i].content + cases[i].prefix);
		assert_int_equal(buf[0] >> 6, cases[i].prefix - 1);
		length = cases[i].prefix == 1 ? buf[0] : buf[0] & 0xfu;
		for (size_t n = 1; n < cases[i].prefix; n++)
			length |= (size_t)buf[n] << (8 * n - 4);
		assert_int_equal(length, aml.used);
	}
	free(buf);
}

/* ---- iasl's eyes ---- */

static char folder[] = "/tmp/test-acpi-XXXXXX";
static char output[OUTPUT_BYTES];

static void save(const char *name, const struct acpi_header *table)
{
	char path[64];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s.dat", folder, name);
	out = fopen(path, "we");
	assert_non_null(out);
	assert_int_equal(fwrite(table, 1, table->length, out), table->length);
	assert_int_equal(fclose(out), 0);
}

/* Runs a command in that folder; what it says goes into `output`. Its exit status. */
static int run(const char *text)
{
	char command[COMMAND_BYTES];
	size_t used;
	FILE *pipe;

	snprintf(command, sizeof(command), "cd %s && LC_ALL=C %s 2>&1", folder, text);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	used = fread(output, 1, sizeof(output) - 1, pipe);
	output[used] = '\0';
	return pclose(pipe);
}

static bool has_iasl(void)
{
	if (system("command -v iasl >/dev/null 2>&1") == 0)
		return true;
	print_message("iasl is not installed (package acpica-tools)\n");
	return false;
}

static void assert_no_word(const char *text, const char *word)
{
	if (strcasestr(text, word))
		fail_msg("iasl says \"%s\" in: %s", word, text);
}

static void assert_has(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("no \"%s\" in: %s", words, text);
}

static void read_back(const char *name)
{
	char command[64];

	snprintf(command, sizeof(command), "cat %s", name);
	assert_int_equal(run(command), 0);
}

/* iasl prints a count only where there is something to count, or in its last line. */
static void disassemble_and_compile(const struct boot_machine *machine)
{
	build(machine);
	save("dsdt", find_table("DSDT"));
	save("facp", find_table("FACP"));
	save("apic", find_table("APIC"));
	save("xsdt", find_table("XSDT"));
	assert_int_equal(run("iasl -d dsdt.dat facp.dat apic.dat xsdt.dat"), 0);
	assert_no_word(output, "error");
	assert_no_word(output, "warning");
	assert_no_word(output, "invalid");
	assert_no_word(output, "incorrect checksum");
	assert_int_equal(run("iasl -we -p again dsdt.dsl"), 0);
	assert_has(output, "0 Errors, 0 Warnings");
	/* What was compiled again is byte by byte what we wrote, but for compiler and checksum. */
	assert_int_equal(run("cmp -i 36 dsdt.dat again.aml"), 0);
}

static void acpi_iasl_accepts_the_tables(void **state)
{
	struct boot_machine machine = make_machine(4, 3);

	(void)state;
	if (!has_iasl())
		skip();
	disassemble_and_compile(&machine);
	read_back("dsdt.dsl");
	assert_has(output, "Name (_S5");
	assert_has(output, "EisaId (\"PNP0501\")");
	assert_has(output, "IRQNoFlags ()\n                    {4}");
	assert_has(output, "0x03F8,             // Range Minimum");
	/* A resource that is a device of its own */
	assert_has(output, "EisaId (\"PNP0F13\")");
	assert_has(output, "IRQNoFlags ()\n                    {12}");
	assert_has(output, "Name (_HID, \"LNRO0005\")");
	assert_has(output, "Name (_UID, 0x02)");
	assert_has(output, "Memory32Fixed (ReadWrite,\n                    0xD0001000");
	assert_has(output, "Interrupt (ResourceConsumer, Edge, ActiveHigh, Shared");
	assert_has(output, "0x00000012,");
	assert_no_word(output, "0x00F4");
	read_back("facp.dsl");
	assert_has(output, "SCI Interrupt : 0009");
	assert_has(output, "Reset Register Supported (V2) : 1");
	assert_has(output, "Control Method Power Button (V1) : 0");
	assert_has(output, "Hardware Reduced (V5) : 0");
	read_back("apic.dsl");
	assert_has(output, "Interrupt : 00000002");
}

static void acpi_iasl_accepts_a_large_machine(void **state)
{
	struct boot_machine machine = make_machine(255, 200);

	(void)state;
	if (!has_iasl())
		skip();
	apic_ids[254] = 1000;
	disassemble_and_compile(&machine);
}

static void acpi_iasl_accepts_memory_beyond_4_gib(void **state)
{
	struct boot_machine machine = make_machine(1, 1);

	(void)state;
	if (!has_iasl())
		skip();
	devices[ARRAY_SIZE(some_classes)].res[0].base = 0x1234567000;
	devices[ARRAY_SIZE(some_classes)].res[0].size = 4096;
	disassemble_and_compile(&machine);
	read_back("dsdt.dsl");
	assert_has(output, "0x0000001234567000, // Range Minimum");
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[COMMAND_BYTES];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acpi_sums_and_lengths_are_right),
		cmocka_unit_test(acpi_fadt_has_the_fixed_hardware),
		cmocka_unit_test(acpi_tells_what_is_missing),
		cmocka_unit_test(acpi_madt_has_processors_and_overrides),
		cmocka_unit_test(acpi_madt_has_255_processors_and_big_ids),
		cmocka_unit_test(acpi_fits_the_largest_machine),
		cmocka_unit_test(acpi_says_when_there_is_no_room),
		cmocka_unit_test(aml_lengths_of_all_sizes),
		cmocka_unit_test(acpi_iasl_accepts_the_tables),
		cmocka_unit_test(acpi_iasl_accepts_a_large_machine),
		cmocka_unit_test(acpi_iasl_accepts_memory_beyond_4_gib),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
