/*
 * The reset register 0xcf9, which shares its ports with the PCI configuration
 * address register 0xcf8: four bytes written to 0xcf8 are an address, one byte written to
 * 0xcf9 is a reset request. There is no PCI bus here, so addresses are ignored and
 * everything else reads as all ones, as on a machine without one.
 *
 * PCI Local Bus 3.0, 3.2.2.3.2 (configuration mechanism #1); the reset register is that of
 * Intel's chipsets (ICH9, "RST_CNT"); ACPI 6.4, 4.8.3.6.
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                          where         test
 *   a wide write over 0xcf9          no reset                       write_ports   wide_write_is_no_reset
 *   resets without end               the first of several counts    platform      -
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/legacy/acpi_pm.h"
#include "vmm/core/device.h"

enum {
	FIRST_PORT = 0xcf8,
	PORTS = 8, /* the address and the data register */
	RESET_OFFSET = ACPI_PM_RESET_PORT - FIRST_PORT,
	/* Bits of the register: a reset of the system (not only the processor), and its trigger. */
	RST_SYSTEM = 1 << 1,
	RST_NOW = 1 << 2,
	RST_FULL = 1 << 3,
};

struct reset_port {
	struct device dev;
	uint8_t value;
};

extern const struct device_class reset_port_class;

static uint64_t read_ports(void *opaque, uint64_t offset, unsigned size)
{
	struct reset_port *port = opaque;

	return offset == RESET_OFFSET && size == 1 ? port->value : UINT64_MAX;
}

static void write_ports(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct reset_port *port = opaque;

	if (offset != RESET_OFFSET || size != 1)
		return;
	port->value = value & (RST_SYSTEM | RST_FULL);
	if (value & RST_NOW)
		device_request(&port->dev, MACHINE_RESET, 0);
}

static const struct bus_ops ops = {.read = read_ports, .write = write_ports};

static int reset_port_create(
	struct device **device, const struct device_args *args, struct err *err)
{
	struct reset_port *port = calloc(1, sizeof(*port));

	if (!port)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&port->dev, &reset_port_class, args);
	*device = &port->dev;
	return 0;
}

static int reset_port_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device_claim_pio(
		device, FIRST_PORT, PORTS, &ops, CONTAINER_OF(device, struct reset_port, dev), err);
}

static void reset_port_reset(struct device *device)
{
	CONTAINER_OF(device, struct reset_port, dev)->value = 0;
}

static void reset_port_destroy(struct device *device)
{
	device_finish(device);
	free(CONTAINER_OF(device, struct reset_port, dev));
}

const struct device_class reset_port_class = {
	.name = "reset-port",
	.description = "reset register 0xcf9",
	.create = reset_port_create,
	.realize = reset_port_realize,
	.reset = reset_port_reset,
	.destroy = reset_port_destroy,
};
