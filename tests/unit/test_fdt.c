/*
 * fdt: the tree says what the machine is made of, to libfdt's reading half and to dtc, which has
 * nothing to complain of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/fdt.h"

enum {
	DEVICES_MAX = 64, /* MACHINE_DEVICES_MAX */
	CPUS_MAX = 255,
	CMDLINE_BYTES = 65536,
	OUTPUT_BYTES = 4096,
};

static uint8_t tree[FDT_BYTES_MAX] __attribute__((aligned(8)));
static size_t tree_bytes;
static uint32_t apic_ids[CPUS_MAX];
static struct device devices[DEVICES_MAX];
static const struct device *device_list[DEVICES_MAX];
static size_t device_count;

static const struct device_class virtio_class = {
	.name = "virtio-blk", .dt_compatible = "virtio,mmio"};
static const struct device_class serial_class = {.name = "serial", .dt_compatible = "ns16550a"};
static const struct device_class power_class = {.name = "power", .dt_compatible = "syscon"};
static const struct device_class hidden_class = {.name = "debug-exit"};

/* ---- A machine ---- */

static struct device *add_device(const struct device_class *class)
{
	struct device *device = &devices[device_count];

	assert_true(device_count < DEVICES_MAX);
	*device = (struct device){.class = class};
	device_list[device_count++] = device;
	return device;
}

static void add_res(
	struct device *device, enum device_res_kind kind, uint64_t base, uint64_t size, bool level)
{
	device->res[device->res_count++] =
		(struct device_res){.kind = kind, .base = base, .size = size, .level = level};
}

static void add_virtio(uint64_t base, unsigned gsi)
{
	struct device *device = add_device(&virtio_class);

	add_res(device, DEVICE_RES_MMIO, base, 0x200, false);
	add_res(device, DEVICE_RES_IRQ, gsi, 1, false);
}

static struct boot_machine make_machine(const char *cmdline, unsigned cpus)
{
	for (unsigned i = 0; i < CPUS_MAX; i++)
		apic_ids[i] = i;
	return (struct boot_machine){.cmdline = cmdline,
		.apic_ids = apic_ids,
		.cpu_count = cpus,
		.devices = device_list,
		.device_count = device_count,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.power_off_value = 7};
}

static const struct gmem two_regions = {
	.regions = {{.base = 0, .size = 3 * GIB}, {.base = 4 * GIB, .size = 5 * GIB}},
	.region_count = 2,
};

static int build_in(const struct boot_machine *machine, size_t room, struct err *err)
{
	memset(tree, 0xcc, sizeof(tree));
	return fdt_build(machine, &two_regions, tree, room, &tree_bytes, err);
}

static void build(const struct boot_machine *machine)
{
	struct err err = ERR_INIT;

	if (build_in(machine, sizeof(tree), &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(fdt_check_full(tree, tree_bytes), 0);
}

static int setup(void **state)
{
	(void)state;
	device_count = 0;
	return 0;
}

/* ---- What stands in it ---- */

static int find(const char *path)
{
	int node = fdt_path_offset(tree, path);

	if (node < 0)
		fail_msg("there is no %s", path);
	return node;
}

static void assert_text(const char *path, const char *property, const char *expected)
{
	const char *text = fdt_getprop(tree, find(path), property, NULL);

	assert_non_null(text);
	assert_string_equal(text, expected);
}

static void assert_cells(
	const char *path, const char *property, const uint32_t *expected, size_t count)
{
	int len;
	const uint8_t *data = fdt_getprop(tree, find(path), property, &len);

	assert_non_null(data);
	assert_int_equal(len, count * 4);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fdt32_ld((const fdt32_t *)(data + 4 * i)), expected[i]);
}

#define CELLS(...) (const uint32_t[]){__VA_ARGS__}, ARRAY_SIZE(((uint32_t[]){__VA_ARGS__}))

static void basic_machine(void **state)
{
	struct boot_machine machine = make_machine("console=hvc0 quiet", 2);

	(void)state;
	apic_ids[1] = 0x10;
	build(&machine);
	assert_text("/chosen", "bootargs", "console=hvc0 quiet");
	assert_cells("/memory@0", "reg", CELLS(0, 0, 0, 0xc0000000, 1, 0, 1, 0x40000000));
	assert_cells("/cpus/cpu@0", "reg", CELLS(0));
	assert_cells("/cpus/cpu@10", "reg", CELLS(0x10));
	assert_text("/cpus/cpu@10", "device_type", "cpu");
	assert_text("/soc/interrupt-controller@fec00000", "compatible", "intel,ce4100-ioapic");
	assert_cells("/soc/interrupt-controller@fec00000", "#interrupt-cells", CELLS(2));
	assert_cells("/", "interrupt-parent", CELLS(1));
	assert_cells("/soc/interrupt-controller@fec00000", "phandle", CELLS(1));
	assert_text("/soc/lapic@fee00000", "compatible", "intel,ce4100-lapic");
	/* Nothing is said of what is not there. */
	assert_true(fdt_path_offset(tree, "/isa@i0") < 0);
	assert_true(fdt_path_offset(tree, "/poweroff") < 0);
}

static void devices_and_their_resources(void **state)
{
	struct boot_machine machine;
	struct device *device;

	(void)state;
	add_virtio(0xd0000000, 16);
	device = add_device(&serial_class);
	add_res(device, DEVICE_RES_IRQ, 4, 1, false);
	add_res(device, DEVICE_RES_PIO, 0x3f8, 8, false);
	device = add_device(&hidden_class);
	add_res(device, DEVICE_RES_PIO, 0xf4, 4, false);
	add_virtio(UINT64_C(0x1d0001000), 17);
	devices[3].res[1].level = true;
	device = add_device(&power_class);
	add_res(device, DEVICE_RES_MMIO, 0xd0002000, 4, false);
	machine = make_machine("", 1);
	build(&machine);
	assert_text("/soc/virtio-blk@d0000000", "compatible", "virtio,mmio");
	assert_cells("/soc/virtio-blk@d0000000", "reg", CELLS(0, 0xd0000000, 0, 0x200));
	assert_cells("/soc/virtio-blk@d0000000", "interrupts", CELLS(16, 3));
	assert_cells("/soc/virtio-blk@1d0001000", "reg", CELLS(1, 0xd0001000, 0, 0x200));
	assert_cells("/soc/virtio-blk@1d0001000", "interrupts", CELLS(17, 1));
	assert_cells("/isa@i0/serial@i3f8", "reg", CELLS(1, 0x3f8, 8));
	assert_cells("/isa@i0/serial@i3f8", "interrupts", CELLS(4, 3));
	assert_cells("/isa@i0/serial@i3f8", "clock-frequency", CELLS(1843200));
	assert_cells("/soc/power@d0002000", "phandle", CELLS(2));
	assert_cells("/poweroff", "regmap", CELLS(2));
	assert_cells("/poweroff", "value", CELLS(7));
	assert_true(fdt_path_offset(tree, "/isa@i0/debug-exit@if4") < 0);
}

static void largest_machine(void **state)
{
	char *cmdline = malloc(CMDLINE_BYTES);
	struct boot_machine machine;

	(void)state;
	assert_non_null(cmdline);
	memset(cmdline, 'x', CMDLINE_BYTES - 1);
	cmdline[CMDLINE_BYTES - 1] = '\0';
	for (unsigned i = 0; i < DEVICES_MAX; i++)
		add_virtio(0xd0000000 + i * 0x1000, 16 + i % 8);
	machine = make_machine(cmdline, CPUS_MAX);
	build(&machine);
	find("/cpus/cpu@fe");
	find("/soc/virtio-blk@d003f000");
	free(cmdline);
}

static void too_small_a_room(void **state)
{
	struct boot_machine machine;
	size_t needed;

	(void)state;
	add_virtio(0xd0000000, 16);
	machine = make_machine("quiet", 1);
	build(&machine);
	needed = tree_bytes;
	for (size_t room = 0; room < needed; room += 13) {
		struct err err = ERR_INIT;

		assert_int_equal(build_in(&machine, room, &err), -ENOSPC);
		assert_int_equal(err.kind, EXIT_CODE_DEVICE);
		/* Not a byte behind its room. */
		for (size_t i = room; i < needed; i++)
			assert_int_equal(tree[i], 0xcc);
	}
}

static void hostile_names(void **state)
{
	static const struct device_class classes[] = {
		{.name = "", .dt_compatible = "a"},
		{.name = "a/b@c\n\"{};", .dt_compatible = "\"<>"},
		{.name = "9lives", .dt_compatible = ""},
		{.name = "\xff\x80", .dt_compatible = "\xff"},
		{.name = "a-name-that-is-much-longer-than-what-a-node-may-have-for-a-name",
			.dt_compatible = "x"},
	};
	static const char *const names[] = {"/soc/device@1000", "/soc/a-b-c-----@2000",
		"/soc/device@3000", "/soc/device@4000",
		"/soc/a-name-that-is-much-longer-than@5000"};
	const char *cmdline = "a=\"b\" \\ \x01\xff };";
	struct boot_machine machine;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		add_res(add_device(&classes[i]), DEVICE_RES_MMIO, 0x1000 * (i + 1), 1, false);
	machine = make_machine(cmdline, 1);
	build(&machine);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		find(names[i]);
	assert_text("/chosen", "bootargs", cmdline);
}

static void screen_and_initrd(void **state)
{
	const struct boot_screen screen = {0xc0000000, 1024, 768, 4096};
	struct boot_machine machine = make_machine("", 1);
	const fdt32_t *cells;
	int len, node;

	(void)state;
	machine.screen = &screen;
	machine.initrd = (struct boot_range){0x1234000, 0x5001};
	build(&machine);
	node = find("/soc/framebuffer@c0000000");
	assert_text("/soc/framebuffer@c0000000", "compatible", "simple-framebuffer");
	cells = fdt_getprop(tree, node, "reg", &len);
	assert_int_equal(len, 16);
	assert_int_equal(fdt32_ld(cells + 3), 4096 * 768);
	cells = fdt_getprop(tree, node, "stride", &len);
	assert_int_equal(fdt32_ld(cells), 4096);
	node = find("/chosen");
	cells = fdt_getprop(tree, node, "linux,initrd-start", &len);
	assert_int_equal(fdt32_ld(cells), 0x1234000);
	cells = fdt_getprop(tree, node, "linux,initrd-end", &len);
	assert_int_equal(fdt32_ld(cells), 0x1239001);
}

/* ---- dtc's eyes ---- */

static void dtc_has_no_complaint(void **state)
{
	char path[] = "/tmp/test-fdt-XXXXXX", command[128], output[OUTPUT_BYTES] = "";
	struct boot_machine machine;
	struct device *device;
	FILE *pipe;
	int fd;

	(void)state;
	if (system("command -v dtc >/dev/null 2>&1") != 0) {
		print_message("dtc is not installed (package device-tree-compiler)\n");
		skip();
	}
	add_virtio(0xd0000000, 16);
	add_virtio(0xd0001000, 17);
	device = add_device(&power_class);
	add_res(device, DEVICE_RES_MMIO, 0xd0002000, 4, false);
	device = add_device(&serial_class);
	add_res(device, DEVICE_RES_PIO, 0x3f8, 8, false);
	add_res(device, DEVICE_RES_IRQ, 4, 1, false);
	machine = make_machine("quiet", 4);
	machine.screen = &(struct boot_screen){0xc0000000, 800, 600, 3200};
	build(&machine);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, tree, tree_bytes), tree_bytes);
	close(fd);
	snprintf(command, sizeof(command), "dtc -I dtb -O dts -o /dev/null %s 2>&1", path);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	(void)!fread(output, 1, sizeof(output) - 1, pipe);
	assert_int_equal(pclose(pipe), 0);
	unlink(path);
	assert_string_equal(output, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(basic_machine, setup),
		cmocka_unit_test_setup(devices_and_their_resources, setup),
		cmocka_unit_test_setup(largest_machine, setup),
		cmocka_unit_test_setup(too_small_a_room, setup),
		cmocka_unit_test_setup(hostile_names, setup),
		cmocka_unit_test_setup(screen_and_initrd, setup),
		cmocka_unit_test_setup(dtc_has_no_complaint, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
