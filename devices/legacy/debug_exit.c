/*
 * A port with which a guest ends the program and chooses its exit status: a write
 * of value V, one to four bytes wide, to port 0xf4 ends with status V & 0xff.
 *
 * For test kernels and graders. Other monitors have a port of this kind at this place
 * that turns V into 2V + 1; here the status is the value.
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                          where         test
 *   any value                        its low byte is the status     write_port    exit_status_is_low_byte
 *   writes beside the first port     ignored, logged in limits      write_port    only_first_port_exits
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/core/device.h"

enum {
	PORT = 0xf4,
	PORTS = 4
};

extern const struct device_class debug_exit_class;

static uint64_t read_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void write_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct device *device = opaque;

	(void)size;
	if (offset)
		device_guest_error(device, "a write beside the port: only 0x%x ends", PORT);
	else
		device_request(device, MACHINE_EXIT, (int)(value & 0xff));
}

static const struct bus_ops ops = {.read = read_port, .write = write_port};

static int debug_exit_create(
	struct device **device, const struct device_args *args, struct err *err)
{
	struct device *self = calloc(1, sizeof(*self));

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(self, &debug_exit_class, args);
	*device = self;
	return 0;
}

static int debug_exit_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device_claim_pio(device, PORT, PORTS, &ops, device, err);
}

static void debug_exit_destroy(struct device *device)
{
	device_finish(device);
	free(device);
}

const struct device_class debug_exit_class = {
	.name = "debug-exit",
	.description = "port 0xf4: ends vmm with a status chosen by the guest",
	.dt_compatible = "vmm,debug-exit",
	.create = debug_exit_create,
	.realize = debug_exit_realize,
	.destroy = debug_exit_destroy,
};
