/*
 * System control port A (0x92) of the PS/2: bit 0 is a fast reset, bit 1 the gate of
 * address line 20. The gate is remembered and has no effect: A20 is always open.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "System Control Port A".
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                          where        test
 *   any value                        two bits are kept              write_port   port92_*
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/core/device.h"

enum {
	PORT = 0x92,
	FAST_RESET = 1 << 0,
	A20_GATE = 1 << 1,
};

struct port92 {
	struct device dev;
	uint8_t value;
};

extern const struct device_class port92_class;

static uint64_t read_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	return ((struct port92 *)opaque)->value;
}

static void write_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct port92 *port = opaque;

	(void)offset;
	(void)size;
	port->value = value & A20_GATE;
	if (value & FAST_RESET)
		device_request(&port->dev, MACHINE_RESET, 0);
}

static const struct bus_ops ops = {.read = read_port, .write = write_port};

static void port92_reset(struct device *device)
{
	CONTAINER_OF(device, struct port92, dev)->value = A20_GATE;
}

static int port92_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct port92 *port = calloc(1, sizeof(*port));

	if (!port)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&port->dev, &port92_class, args);
	port92_reset(&port->dev);
	*device = &port->dev;
	return 0;
}

static int port92_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device_claim_pio(
		device, PORT, 1, &ops, CONTAINER_OF(device, struct port92, dev), err);
}

static void port92_destroy(struct device *device)
{
	device_finish(device);
	free(CONTAINER_OF(device, struct port92, dev));
}

const struct device_class port92_class = {
	.name = "port92",
	.description = "system control port A: fast reset, A20",
	.create = port92_create,
	.realize = port92_realize,
	.reset = port92_reset,
	.destroy = port92_destroy,
};
