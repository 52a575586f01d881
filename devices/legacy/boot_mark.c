/*
 * The mark port: a guest tells --boot-timer or --trace how far it is, by a byte written to port
 * 0xe8, whose value it chooses. Without these options nobody is at the port and a write goes
 * nowhere. A trace notes it as it does any other access.
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send     limit                        where               test
 *   any number of marks         BOOT_MARKS_MAX, then counted boot_timer_mark()   boot_timer_keeps_so_many_marks
 *   wider writes                their low byte               write_port()        mark_port_takes_low_byte
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/base/util.h"
#include "vmm/core/boot_timer.h"
#include "vmm/core/device.h"

enum {
	PORT = 0xe8,
	PORTS = 1
};

struct boot_mark_device {
	struct device device;
	struct boot_timer *timer; /* borrowed, or NULL */
};

extern const struct device_class boot_mark_class;

/* All ones, as where there is nothing: a guest can't tell by reading. */
static uint64_t read_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return UINT64_MAX;
}

static void write_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct boot_mark_device *self = opaque;

	(void)offset, (void)size;
	if (self->timer)
		boot_timer_mark(self->timer, value & 0xff);
}

static const struct bus_ops ops = {.read = read_port, .write = write_port};

static int boot_mark_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct boot_mark_device *self = calloc(1, sizeof(*self));

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&self->device, &boot_mark_class, args);
	self->timer = args->boot_timer;
	*device = &self->device;
	return 0;
}

static int boot_mark_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device_claim_pio(device, PORT, PORTS, &ops, (struct boot_mark_device *)device, err);
}

static void boot_mark_destroy(struct device *device)
{
	device_finish(device);
	free(device);
}

const struct device_class boot_mark_class = {
	.name = "boot-mark",
	.dt_compatible = "vmm,boot-mark",
	.description = "port 0xe8: how far the guest is, for --boot-timer and --trace",
	.create = boot_mark_create,
	.realize = boot_mark_realize,
	.destroy = boot_mark_destroy,
};
