/* After a reset the interrupt stays, though nothing waits. */
#include <errno.h>
#include <stdlib.h>

#include "devices/legacy/byte_ports.h"
#include "vmm/core/device.h"

enum {
	PORT = 0x5d0,
	PORTS = 4,
	IRQ = 5,

	REGISTER_ID = 0, /* written: throw */
	REGISTER_SIDES = 1,
	REGISTER_RESULT = 2, /* written: seed */
	REGISTER_COUNT = 3,

	ID = 0xd1,
	SIDES_MIN = 2,
	SIDES_MAX = 100,
	SIDES_AT_RESET = 6,
	RESULTS_MAX = 8,
};

struct dice {
	struct device dev;
	struct irq_line irq;
	uint16_t state; /* of the generator */
	uint8_t sides;
	uint8_t results[RESULTS_MAX]; /* the oldest first */
	unsigned count;
};

extern const struct device_class dice_class;

static struct dice *dice_of(struct device *device)
{
	return CONTAINER_OF(device, struct dice, dev);
}

static void throw_dice(struct dice *dice)
{
	if (dice->count == RESULTS_MAX) {
		device_guest_error(&dice->dev, "throw without reading results");
		return;
	}
	dice->state = (uint16_t)(dice->state * 141 + 3);
	dice->results[dice->count++] = (uint8_t)(1 + (dice->state >> 8) * dice->sides / 256);
	irq_set(&dice->irq, true);
}

static uint8_t take_result(struct dice *dice)
{
	uint8_t result = dice->results[0];

	if (!dice->count)
		return 0;
	dice->count--;
	for (unsigned i = 0; i < dice->count; i++)
		dice->results[i] = dice->results[i + 1];
	if (!dice->count)
		irq_set(&dice->irq, false);
	return result;
}

static void set_sides(struct dice *dice, uint8_t sides)
{
	if (sides < SIDES_MIN || sides > SIDES_MAX)
		device_guest_error(&dice->dev, "dice with %u sides", sides);
	else
		dice->sides = sides;
}

static uint8_t read_byte(void *opaque, unsigned port)
{
	struct dice *dice = opaque;

	switch (port) {
	case REGISTER_ID:
		return ID;
	case REGISTER_SIDES:
		return dice->sides;
	case REGISTER_RESULT:
		return take_result(dice);
	default:
		return (uint8_t)dice->count;
	}
}

static void write_byte(void *opaque, unsigned port, uint8_t value)
{
	struct dice *dice = opaque;

	switch (port) {
	case REGISTER_ID:
		throw_dice(dice);
		break;
	case REGISTER_SIDES:
		set_sides(dice, value);
		break;
	case REGISTER_RESULT:
		dice->state = value;
		break;
	default:
		device_guest_error(&dice->dev, "write to the count of results");
	}
}

static uint64_t read_ports(void *opaque, uint64_t offset, unsigned size)
{
	return byte_ports_read(opaque, offset, size, read_byte);
}

static void write_ports(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	byte_ports_write(opaque, offset, size, value, write_byte);
}

static const struct bus_ops ops = {.read = read_ports, .write = write_ports};

/* ---- Life cycle ---- */

static void set_defaults(struct dice *dice)
{
	dice->state = 0;
	dice->sides = SIDES_AT_RESET;
	dice->count = 0;
}

static int dice_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct dice *dice = calloc(1, sizeof(*dice));

	if (!dice)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&dice->dev, &dice_class, args);
	set_defaults(dice);
	*device = &dice->dev;
	return 0;
}

static int dice_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct dice *dice = dice_of(device);
	int ret = device_claim_pio(device, PORT, PORTS, &ops, dice, err);

	(void)platform;
	return ret < 0 ? ret : device_claim_irq(device, IRQ, false, &dice->irq, err);
}

static void dice_reset(struct device *device)
{
	struct dice *dice = dice_of(device);

	set_defaults(dice);
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
