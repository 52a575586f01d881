/*
 * A console of one port, 0xe9: a byte written there is printed. It reads as 0xe9,
 * by which a guest finds out that it is there. It has no input and no way to say
 * "not now": when the host side does not keep up, output is lost, and said to be.
 *
 * The port and its answer are those of the Bochs emulator.
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                             where        test
 *   a flood of bytes                 the ring of the back end; beyond  write_port   debug_console_flood
 *                                    it bytes are lost and counted
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/backend/chr.h"
#include "vmm/core/device.h"

enum {
	PORT = 0xe9
};

struct debug_console {
	struct device dev;
	struct chr *chr; /* borrowed, may be NULL */
	struct chr_front front;
};

extern const struct device_class debug_console_class;

static uint64_t read_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return PORT;
}

static void write_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct debug_console *console = opaque;
	uint8_t byte = (uint8_t)value;

	(void)offset;
	(void)size;
	if (console->chr && !chr_write(console->chr, &byte, 1))
		device_guest_error(&console->dev,
			"output is lost: %s does not keep up with the guest",
			chr_name(console->chr));
}

static const struct bus_ops ops = {.read = read_port, .write = write_port};

static int debug_console_create(
	struct device **device, const struct device_args *args, struct err *err)
{
	struct debug_console *console = calloc(1, sizeof(*console));

	if (!console)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&console->dev, &debug_console_class, args);
	console->chr = args->chr;
	*device = &console->dev;
	return 0;
}

static int debug_console_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct debug_console *console = CONTAINER_OF(device, struct debug_console, dev);
	int ret = device_claim_pio(device, PORT, 1, &ops, console, err);

	(void)platform;
	if (ret >= 0 && console->chr)
		ret = chr_attach(console->chr, &console->front, err);
	return ret;
}

static void debug_console_destroy(struct device *device)
{
	struct debug_console *console = CONTAINER_OF(device, struct debug_console, dev);

	if (console->chr)
		chr_detach(console->chr, &console->front);
	device_finish(device);
	free(console);
}

const struct device_class debug_console_class = {
	.name = "debug-console",
	.description = "port 0xe9: prints every byte written to it",
	.dt_compatible = "vmm,debug-console",
	.create = debug_console_create,
	.realize = debug_console_realize,
	.destroy = debug_console_destroy,
};
