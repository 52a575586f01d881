/*
 * See fdt.h. Written front to back with libfdt's sequential functions, in one pass. Knows the
 * devices only by what core/device.h says of each: its class's names and its resources. Called at
 * start and at reset.
 *
 * What the caller can say              limit                            where       test
 * more than fits                       -ENOSPC                          fdt_build   too_small_a_room
 * a class name that no node may have   other characters become '-'      node_name   hostile_names
 * any bytes on the command line        a property's value, not parsed   fdt_build   hostile_names
 */
#include "firmware/fdt.h"

#include <ctype.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

enum {
	IOAPIC_PHANDLE = 1,
	POWER_PHANDLE = 2,

	/* Trigger types of intel,ce4100-ioapic: indices of of_ioapic_type[] in Linux. */
	TRIGGER_LEVEL_HIGH = 1,
	TRIGGER_EDGE_RISING = 3,

	ISA_IS_IO = 1, /* the first cell of an address on an ISA bus */
	ISA_PORTS = 0x10000,
	APIC_BYTES = 0x1000,

	UART_CLOCK_HZ = 1843200,

	/* Devicetree Specification, 2.2.1: a node's name without its address. */
	NAME_MAX_CHARS = 31,
	NODE_NAME_BYTES = 64,
};

/* After the first failure all else is left out: the room is known to be too small. */
struct tree {
	const struct boot_machine *machine;
	void *fdt;
	int status; /* libfdt's */
};

/* ---- Pieces ---- */

static void open_node(struct tree *tree, const char *name)
{
	if (!tree->status)
		tree->status = fdt_begin_node(tree->fdt, name);
}

static void close_node(struct tree *tree)
{
	if (!tree->status)
		tree->status = fdt_end_node(tree->fdt);
}

static void add_text(struct tree *tree, const char *name, const char *text)
{
	if (!tree->status)
		tree->status = fdt_property_string(tree->fdt, name, text);
}

static void add_flag(struct tree *tree, const char *name)
{
	if (!tree->status)
		tree->status = fdt_property(tree->fdt, name, NULL, 0);
}

static void add_cell(struct tree *tree, const char *name, uint32_t value)
{
	if (!tree->status)
		tree->status = fdt_property_u32(tree->fdt, name, value);
}

static void add_cells(struct tree *tree, const char *name, const uint32_t *cells, size_t count)
{
	void *place;

	if (tree->status)
		return;
	tree->status =
		fdt_property_placeholder(tree->fdt, name, (int)(count * sizeof(*cells)), &place);
	for (size_t i = 0; !tree->status && i < count; i++)
		fdt32_st((uint8_t *)place + i * sizeof(*cells), cells[i]);
}

/* An address and a size of two cells each. */
static void add_reg(struct tree *tree, uint64_t base, uint64_t size)
{
	const uint32_t cells[] = {
		(uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32), (uint32_t)size};

	add_cells(tree, "reg", cells, ARRAY_SIZE(cells));
}

static void add_bus_cells(struct tree *tree, uint32_t address_cells, uint32_t size_cells)
{
	add_cell(tree, "#address-cells", address_cells);
	add_cell(tree, "#size-cells", size_cells);
}

static void node_name(char name[static NODE_NAME_BYTES], const char *text, const char *address)
{
	size_t len = strnlen(text, NAME_MAX_CHARS);

	snprintf(name, NODE_NAME_BYTES, "%.*s@%s", (int)len, text, address);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(",._+-", name[i]))
			name[i] = '-';
	/* A name starts with a letter. */
	if (!len || !isalpha((unsigned char)name[0]))
		snprintf(name, NODE_NAME_BYTES, "device@%s", address);
}

/* ---- What every machine has ---- */

static void describe_memory(struct tree *tree, const struct gmem *mem)
{
	uint32_t cells[GMEM_REGIONS_MAX * 4];
	size_t count = 0;

	for (unsigned i = 0; i < mem->region_count; i++) {
		const struct gmem_region *region = &mem->regions[i];

		cells[count++] = (uint32_t)(region->base >> 32);
		cells[count++] = (uint32_t)region->base;
		cells[count++] = (uint32_t)(region->size >> 32);
		cells[count++] = (uint32_t)region->size;
	}
	open_node(tree, "memory@0");
	add_text(tree, "device_type", "memory");
	add_cells(tree, "reg", cells, count);
	close_node(tree);
}

static void describe_cpus(struct tree *tree)
{
	char name[NODE_NAME_BYTES];

	open_node(tree, "cpus");
	add_bus_cells(tree, 1, 0);
	for (unsigned i = 0; i < tree->machine->cpu_count; i++) {
		uint32_t id = tree->machine->apic_ids[i];

		snprintf(name, sizeof(name), "cpu@%x", id);
		open_node(tree, name);
		add_text(tree, "device_type", "cpu");
		add_cell(tree, "reg", id);
		close_node(tree);
	}
	close_node(tree);
}

/* What Linux takes any IOAPIC and any local APIC for; these names are the only ones it knows. */
static void describe_apics(struct tree *tree)
{
	char name[NODE_NAME_BYTES];

	snprintf(name, sizeof(name), "interrupt-controller@%llx",
		(unsigned long long)tree->machine->ioapic_base);
	open_node(tree, name);
	add_text(tree, "compatible", "intel,ce4100-ioapic");
	add_reg(tree, tree->machine->ioapic_base, APIC_BYTES);
	add_flag(tree, "interrupt-controller");
	add_cell(tree, "#interrupt-cells", 2);
	add_cell(tree, "#address-cells", 0);
	add_cell(tree, "phandle", IOAPIC_PHANDLE);
	close_node(tree);

	snprintf(name, sizeof(name), "lapic@%llx", (unsigned long long)tree->machine->lapic_base);
	open_node(tree, name);
	add_text(tree, "compatible", "intel,ce4100-lapic");
	add_reg(tree, tree->machine->lapic_base, APIC_BYTES);
	close_node(tree);
}

/* ---- Devices ---- */

static void add_interrupts(struct tree *tree, const struct device *device)
{
	uint32_t cells[2 * DEVICE_RES_MAX];
	size_t count = 0;

	for (unsigned i = 0; i < device->res_count; i++) {
		const struct device_res *res = &device->res[i];

		if (res->kind != DEVICE_RES_IRQ)
			continue;
		cells[count++] = (uint32_t)res->base;
		cells[count++] = res->level ? TRIGGER_LEVEL_HIGH : TRIGGER_EDGE_RISING;
	}
	if (count)
		add_cells(tree, "interrupts", cells, count);
}

static const char power_class[] = "power";

static void describe_mmio_device(struct tree *tree, const struct device *device)
{
	const struct device_res *res = device_find_res(device, DEVICE_RES_MMIO, 0);
	char address[20], name[NODE_NAME_BYTES];

	snprintf(address, sizeof(address), "%llx", (unsigned long long)res->base);
	node_name(name, device->class->name, address);
	open_node(tree, name);
	add_text(tree, "compatible", device->class->dt_compatible);
	add_reg(tree, res->base, res->size);
	add_interrupts(tree, device);
	if (!strcmp(device->class->name, power_class))
		add_cell(tree, "phandle", POWER_PHANDLE);
	close_node(tree);
}

static void describe_port_device(struct tree *tree, const struct device *device)
{
	const struct device_res *res = device_find_res(device, DEVICE_RES_PIO, 0);
	const uint32_t reg[] = {ISA_IS_IO, (uint32_t)res->base, (uint32_t)res->size};
	char address[20], name[NODE_NAME_BYTES];

	snprintf(address, sizeof(address), "i%x", (unsigned)res->base);
	node_name(name, device->class->name, address);
	open_node(tree, name);
	add_text(tree, "compatible", device->class->dt_compatible);
	add_cells(tree, "reg", reg, ARRAY_SIZE(reg));
	add_interrupts(tree, device);
	if (!strncmp(device->class->dt_compatible, "ns16550", strlen("ns16550")))
		add_cell(tree, "clock-frequency", UART_CLOCK_HZ);
	close_node(tree);
}

/* Documentation/devicetree/bindings/display/simple-framebuffer.yaml of Linux. */
static void describe_screen(struct tree *tree)
{
	const struct boot_screen *screen = tree->machine->screen;
	char name[NODE_NAME_BYTES];

	if (!screen)
		return;
	snprintf(name, sizeof(name), "framebuffer@%llx", (unsigned long long)screen->base);
	open_node(tree, name);
	add_text(tree, "compatible", "simple-framebuffer");
	add_reg(tree, screen->base, (uint64_t)screen->stride * screen->height);
	add_cell(tree, "width", screen->width);
	add_cell(tree, "height", screen->height);
	add_cell(tree, "stride", screen->stride);
	add_text(tree, "format", "x8r8g8b8");
	close_node(tree);
}

static bool is_described(const struct device *device, enum device_res_kind kind)
{
	return device->class->dt_compatible && device_find_res(device, kind, 0);
}

static void describe_soc(struct tree *tree)
{
	const struct boot_machine *machine = tree->machine;

	open_node(tree, "soc");
	add_text(tree, "compatible", "simple-bus");
	add_bus_cells(tree, 2, 2);
	add_flag(tree, "ranges");
	describe_apics(tree);
	for (size_t i = 0; i < machine->device_count; i++)
		if (is_described(machine->devices[i], DEVICE_RES_MMIO))
			describe_mmio_device(tree, machine->devices[i]);
	describe_screen(tree);
	close_node(tree);
}

static void describe_isa(struct tree *tree)
{
	/* Ports stand for themselves: they are no place in memory. */
	const uint32_t ranges[] = {ISA_IS_IO, 0, 0, 0, ISA_PORTS};
	const struct boot_machine *machine = tree->machine;
	bool is_open = false;

	for (size_t i = 0; i < machine->device_count; i++) {
		if (!is_described(machine->devices[i], DEVICE_RES_PIO))
			continue;
		if (!is_open) {
			open_node(tree, "isa@i0");
			add_text(tree, "compatible", "isa");
			add_bus_cells(tree, 2, 1);
			add_cells(tree, "ranges", ranges, ARRAY_SIZE(ranges));
		}
		is_open = true;
		describe_port_device(tree, machine->devices[i]);
	}
	if (is_open)
		close_node(tree);
}

static void describe_power_off(struct tree *tree)
{
	const struct boot_machine *machine = tree->machine;

	for (size_t i = 0; i < machine->device_count; i++) {
		if (strcmp(machine->devices[i]->class->name, power_class) != 0)
			continue;
		open_node(tree, "poweroff");
		add_text(tree, "compatible", "syscon-poweroff");
		add_cell(tree, "regmap", POWER_PHANDLE);
		add_cell(tree, "offset", 0);
		add_cell(tree, "value", machine->power_off_value);
		close_node(tree);
		return;
	}
}

/* Where it ends is behind its last byte. */
static void add_initrd(struct tree *tree)
{
	const struct boot_range *initrd = &tree->machine->initrd;

	if (!initrd->size)
		return;
	add_cell(tree, "linux,initrd-start", (uint32_t)initrd->base);
	add_cell(tree, "linux,initrd-end", (uint32_t)(initrd->base + initrd->size));
}

int fdt_build(const struct boot_machine *machine, const struct gmem *mem, uint8_t *buf, size_t room,
	size_t *used, struct err *err)
{
	struct tree tree = {.machine = machine, .fdt = buf};

	/* Looking for each name among those that are there takes longer than all the rest. */
	tree.status = fdt_create_with_flags(buf, (int)room, FDT_CREATE_FLAG_NO_NAME_DEDUP);
	if (!tree.status)
		tree.status = fdt_finish_reservemap(buf);
	open_node(&tree, "");
	add_text(&tree, "model", "vmm");
	add_text(&tree, "compatible", "vmm,machine");
	add_bus_cells(&tree, 2, 2);
	add_cell(&tree, "interrupt-parent", IOAPIC_PHANDLE);
	open_node(&tree, "chosen");
	add_text(&tree, "bootargs", machine->cmdline);
	add_initrd(&tree);
	close_node(&tree);
	describe_memory(&tree, mem);
	describe_cpus(&tree);
	describe_soc(&tree);
	describe_isa(&tree);
	describe_power_off(&tree);
	close_node(&tree);
	if (!tree.status)
		tree.status = fdt_finish(buf);
	if (tree.status)
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC,
			"the device tree of %zu devices and %u processors does not fit into %zu "
			"bytes (%s)",
			machine->device_count, machine->cpu_count, room, fdt_strerror(tree.status));
	*used = fdt_totalsize(buf);
	return 0;
}
