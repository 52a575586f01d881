/*
 * Dice for the guest. This device can be made and destroyed; it has no port yet.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/core/device.h"

struct dice {
	struct device dev;
};

extern const struct device_class dice_class;

static struct dice *dice_of(struct device *device)
{
	return CONTAINER_OF(device, struct dice, dev);
}

static int dice_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct dice *dice = calloc(1, sizeof(*dice));

	if (!dice)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&dice->dev, &dice_class, args);
	*device = &dice->dev;
	return 0;
}

/* Steps 2 and 5: claim the ports and the interrupt. */
static int dice_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)device;
	(void)platform;
	(void)err;
	return 0;
}

/* Step 6 */
static void dice_reset(struct device *device)
{
	(void)device;
}

static void dice_destroy(struct device *device)
{
	device_finish(device);
	free(dice_of(device));
}

const struct device_class dice_class = {
	.name = "dice",
	.description = "dice for the guest",
	.create = dice_create,
	.realize = dice_realize,
	.reset = dice_reset,
	.destroy = dice_destroy,
};
