/*
 * A power switch for machines without ACPI: one 32-bit register in memory. POWER_OFF_VALUE written
 * to it powers the machine off; it reads as zero, so that who changes bits of it writes them in any
 * case. The device tree tells the kernel of it as "syscon" and "syscon-poweroff" (Linux
 * Documentation/devicetree/bindings/power/reset/syscon-poweroff.yaml). There is no button: the
 * register has no way to ask the guest for anything.
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                         where   test
 *   other values                     ignored, logged in limits     write   other_values
 *   other widths, odd offsets        ignored, logged in limits     write   other_widths
 *   power-off without end            the first of several counts   platform  -
 */
#include "devices/legacy/power.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/core/device.h"

enum {
	REGISTER_BYTES = 4
};

struct power {
	struct device dev;
	uint64_t base;
};

extern const struct device_class power_class;

static uint64_t read_register(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void write_register(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct power *power = opaque;

	if (offset == 0 && size == REGISTER_BYTES && value == POWER_OFF_VALUE)
		device_request(&power->dev, MACHINE_POWEROFF, 0);
	else
		device_guest_error(&power->dev,
			"the guest wrote 0x%llx (%u bytes at %llu), which means nothing",
			(unsigned long long)value, size, (unsigned long long)offset);
}

static const struct bus_ops ops = {.read = read_register, .write = write_register};

static int power_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct power *power = calloc(1, sizeof(*power));

	if (!power)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&power->dev, &power_class, args);
	*device = &power->dev;
	return 0;
}

static int power_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct power *power = CONTAINER_OF(device, struct power, dev);

	(void)platform;
	return device_claim_mmio(device, &power->base, REGISTER_BYTES, &ops, power, err);
}

static void power_destroy(struct device *device)
{
	device_finish(device);
	free(CONTAINER_OF(device, struct power, dev));
}

const struct device_class power_class = {
	.name = "power",
	.description = "power-off register, for machines without ACPI",
	.dt_compatible = "syscon",
	.create = power_create,
	.realize = power_realize,
	.destroy = power_destroy,
};
