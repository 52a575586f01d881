/*
 * virtio-console: hvc0 and ports with names (VIRTIO 1.2, 5.3). This file has its configuration
 * space and its life, and gives each queue to whom it belongs: console_port.c or console_control.c.
 * It knows nothing of sockets or terminals.
 *
 * A port with a name is /dev/vportXpN in a Linux guest, and by udev /dev/virtio-ports/NAME. A
 * driver without MULTIPORT has hvc0 alone.
 *
 * Threads: the loop's, with the device's lock; configuration accesses come from vCPUs.
 *
 * Threats
 *   what the guest can send         limit                        where             test
 *   messages cut, unknown, for no   counted, ignored             handle_message    hostile_messages
 *     port, in any order
 *   messages without end            one bit for each answer      say               many_messages
 *   control buffers too small       given back, message waits    put_message       small_control_…
 *   input buffers without room      given back, in turns         next_room         buffers_without_…
 *   output of gigabytes at once     TURN_BYTES, then others      run_output        huge_output
 *   output faster than the host     stays in the ring; hvc0's    send              stopped_reader_…
 *                                   is dropped after a second
 *   no input buffers at all         input stays with the host    can_take          no_input_buffers
 *   queues of no port               given back                   handle_queue      queues_of_no_port
 *   reset, stop in flight           nothing is kept              drain             reset_in_flight
 *   emergency writes without end    one byte each, or dropped    config_write      emergency_write
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "devices/virtio/console_impl.h"
#include "devices/virtio/mmio.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_console_class;

/* ---- Queues ---- */

/* The port that a data queue belongs to, or NULL. */
static struct console_port *find_port(struct virtio_console *console, unsigned queue)
{
	unsigned id = queue < CONSOLE_CONTROL_IN ? 0 : queue / 2 - 1;

	if (id >= console->port_count || !console->ports[id].chr)
		return NULL;
	return id == 0 || console_has_ports(console) ? &console->ports[id] : NULL;
}

static void give_back(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	device_guest_error(&vdev->dev, "a buffer in queue %u, which is no port's", index);
	virtio_push(vdev, index, req, 0);
}

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	struct virtio_console *console = console_of(vdev);
	bool is_control = index == CONSOLE_CONTROL_IN || index == CONSOLE_CONTROL_OUT;
	struct console_port *port = is_control ? NULL : find_port(console, index);

	if (is_control && console_has_ports(console)) {
		if (index == CONSOLE_CONTROL_IN)
			console_control_run_in(console);
		else
			console_control_run_out(console);
	} else if (!port) {
		virtio_take_requests(vdev, index, give_back);
		virtio_notify(vdev);
	} else if (index == console_input_queue(port)) {
		console_port_run_input(port);
	} else {
		console_port_run_output(port);
	}
}

static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_console *console = console_of(vdev);

	for (unsigned i = 0; i < console->port_count; i++)
		if (console->ports[i].chr)
			console_port_drain(&console->ports[i], abort);
}

/* 5.3.4: the emergency write works at any time, even before the driver has begun. */
static void config_write(struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value)
{
	struct virtio_console *console = console_of(vdev);
	uint8_t byte = (uint8_t)value;

	(void)size;
	if (offset != offsetof(struct virtio_console_config, emerg_wr))
		device_guest_error(&vdev->dev, "write of its configuration at 0x%x", offset);
	else if (console->ports[0].chr)
		chr_write(console->ports[0].chr, &byte, 1);
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_CONSOLE,
	.queue_size = CONSOLE_QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.handle_queue = handle_queue,
	.prompt_queues = 1 << 1, /* what hvc0 prints: Linux spins until it comes back */
	.drain = drain,
	.config_write = config_write,
};

/* ---- Life cycle ---- */

/* hvc0 has the first place, and leaves it empty when it is not there. */
static void init_ports(struct virtio_console *console, const struct device_args *args)
{
	unsigned id = args->port_count && !args->ports[0].name ? 0 : 1;

	for (unsigned i = 0; i < CONSOLE_PORTS_MAX; i++) {
		console->ports[i].console = console;
		console->ports[i].id = i;
	}
	for (unsigned i = 0; i < args->port_count; i++)
		console_port_init(&console->ports[id++], &args->ports[i]);
	console->port_count = id;
	console->config.max_nr_ports = id;
}

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_console *console = calloc(1, sizeof(*console));
	uint64_t features = 0;
	int ret;

	if (!console)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	init_ports(console, args);
	/* Without messages to wait for, a kernel has its console when the driver returns. */
	if (!args->is_plain || console->port_count > 1)
		features |= VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT);
	if (console->ports[0].chr)
		features |= VIRTIO_FEATURE(VIRTIO_CONSOLE_F_SIZE) |
			VIRTIO_FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE);
	ret = virtio_init(&console->vdev, &virtio_console_class, args,
		&(struct virtio_config){.class = &class,
			.features = features,
			.queue_count = 2 * (console->port_count + 1),
			.config = &console->config,
			.config_size = sizeof(console->config)},
		err);
	if (ret < 0) {
		free(console);
		return ret;
	}
	*device = &console->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_console *console = console_of(virtio_of(device));
	int ret = virtio_realize(&console->vdev, err);

	(void)platform;
	for (unsigned i = 0; ret >= 0 && i < console->port_count; i++)
		if (console->ports[i].chr)
			ret = console_port_attach(&console->ports[i], err);
	if (ret < 0)
		return ret;
	/* The size of the terminal is there before the driver is. */
	console_control_host_changed(&console->ports[0]);
	return virtio_mmio_connect(&console->vdev, err);
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_console *console = console_of(virtio_of(device));

	virtio_finish(&console->vdev);
	for (unsigned i = 0; i < console->port_count; i++)
		console_port_detach(&console->ports[i]);
	free(console);
}

const struct device_class virtio_console_class = {
	.name = "virtio-console",
	.description = "virtio console: hvc0 and named ports",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
