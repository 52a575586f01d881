/*
 * The pvpanic port: a guest kernel that panics says so here, before it stops or
 * resets. Reading gives the events that are understood, writing tells of one.
 *
 * Linux finds it by its ACPI name QEMU0001; bits in <misc/pvpanic.h>; specification:
 * QEMU docs/specs/pvpanic.
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                          where        test
 *   unknown events                   ignored, logged in limits      write_port   unknown_event_is_ignored
 *   a panic that is none             the guest ends itself          -            panic_is_told
 */
#include <errno.h>
#include <misc/pvpanic.h>
#include <stdlib.h>

#include "vmm/core/device.h"

enum {
	PORT = 0x505,
	EVENTS = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED,
};

extern const struct device_class pvpanic_class;

static uint64_t read_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return EVENTS;
}

static void write_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct device *device = opaque;

	(void)offset;
	(void)size;
	if (value & PVPANIC_PANICKED)
		device_request(device, MACHINE_PANIC, 0);
	/* With a crash kernel loaded the guest deals with it, and goes on. */
	else if (value & PVPANIC_CRASH_LOADED)
		log_guest(&device->guest_errors, device->name,
			"the guest's kernel panicked; its crash kernel takes over");
	else
		device_guest_error(device, "unknown event 0x%x", (unsigned)value);
}

static const struct bus_ops ops = {.read = read_port, .write = write_port};

static int pvpanic_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct device *self = calloc(1, sizeof(*self));

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(self, &pvpanic_class, args);
	*device = self;
	return 0;
}

static int pvpanic_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device_claim_pio(device, PORT, 1, &ops, device, err);
}

static void pvpanic_destroy(struct device *device)
{
	device_finish(device);
	free(device);
}

const struct device_class pvpanic_class = {
	.name = "pvpanic",
	.description = "tells of a panic of the guest's kernel",
	.acpi_hid = "QEMU0001",
	.create = pvpanic_create,
	.realize = pvpanic_realize,
	.destroy = pvpanic_destroy,
};
