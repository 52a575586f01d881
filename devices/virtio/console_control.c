/*
 * The control queues of the virtio console (VIRTIO 1.2, 5.3.6.2): which ports there are, what they
 * are called, and who has them open.
 *
 *	driver                          device
 *	DEVICE_READY            ->
 *	                        <-      PORT_ADD for each port
 *	PORT_READY of a port    ->
 *	                        <-      CONSOLE_PORT and RESIZE of hvc0, PORT_NAME of another;
 *	                                PORT_OPEN if somebody is there on the host
 *	PORT_OPEN 1 or 0        ->      as somebody in the guest opens or closes it
 *	                        <-      PORT_OPEN 1 or 0, RESIZE, as the host side changes
 *
 * Ours are no queue but one bit for each kind, made into a message when the driver has given a
 * buffer for it: whatever the driver does, there is nothing to pile up. A driver that wakes from
 * hibernation starts with PORT_READY, so nothing is asked in which order the driver speaks. No port
 * goes away while the machine runs, so PORT_REMOVE is never sent.
 *
 * Knows nothing of bytes on their way. Threats: see console.c.
 */
#include <errno.h>

#include "devices/virtio/console_impl.h"
#include "vmm/base/util.h"

enum {
	NAME_MAX_BYTES = 64
};

/*
 * 5.3.6.2. Linux read these the other way round until 2025, when the fix also went to its stable
 * branches: a guest with an older kernel sees rows for columns.
 */
struct resize {
	uint16_t columns, rows;
};

struct message {
	struct virtio_console_control control;
	union {
		struct resize size;
		char name[NAME_MAX_BYTES];
	} u;
	unsigned len;
};

/* ---- To the driver ---- */

static void make_message(struct console_port *port, enum console_say what, struct message *message)
{
	const struct virtio_console_config *config = &port->console->config;

	*message = (struct message){.control.id = port->id, .len = sizeof(message->control)};
	message->control.value = 1;
	switch (what) {
	case CONSOLE_SAY_ADD:
		message->control.event = VIRTIO_CONSOLE_PORT_ADD;
		break;
	case CONSOLE_SAY_CONSOLE:
		message->control.event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case CONSOLE_SAY_SIZE:
		message->control.event = VIRTIO_CONSOLE_RESIZE;
		message->u.size = (struct resize){config->cols, config->rows};
		message->len += sizeof(message->u.size);
		break;
	case CONSOLE_SAY_NAME:
		message->control.event = VIRTIO_CONSOLE_PORT_NAME;
		message->len += (unsigned)MIN(strlen(port->name), sizeof(message->u.name));
		memcpy(message->u.name, port->name, message->len - sizeof(message->control));
		break;
	case CONSOLE_SAY_CLOSED:
		message->control.value = 0;
		message->control.event = VIRTIO_CONSOLE_PORT_OPEN;
		break;
	case CONSOLE_SAY_OPEN:
		message->control.event = VIRTIO_CONSOLE_PORT_OPEN;
		break;
	}
}

/* False when the buffer can't hold it; it is given back empty. */
static bool put_message(
	struct virtio_console *console, struct virtq_req *req, const struct message *message)
{
	const size_t head = sizeof(message->control);
	uint64_t len = 0;

	if (req->writable_bytes >= message->len) {
		len = virtq_copy_to(req, 0, &message->control, head);
		len += virtq_copy_to(req, head, &message->u, message->len - head);
	} else {
		device_guest_error(&console->vdev.dev, "a control buffer of %llu bytes",
			(unsigned long long)req->writable_bytes);
	}
	virtio_push(&console->vdev, CONSOLE_CONTROL_IN, req, (uint32_t)len);
	return len;
}

static struct console_port *find_speaker(struct virtio_console *console)
{
	for (unsigned i = 0; i < console->port_count; i++)
		if (console->ports[i].say)
			return &console->ports[i];
	return NULL;
}

/* False when nobody has anything to say, or the driver has given no buffer. */
static bool say_next(struct virtio_console *console)
{
	struct console_port *port = find_speaker(console);
	struct virtq_req *req = port ? virtio_pop(&console->vdev, CONSOLE_CONTROL_IN) : NULL;
	struct message message;
	unsigned what;

	if (!req)
		return false;
	what = port->say & -port->say; /* the lowest bit */
	make_message(port, (enum console_say)what, &message);
	if (put_message(console, req, &message))
		port->say &= ~what;
	return true;
}

void console_control_run_in(struct virtio_console *console)
{
	unsigned budget = CONSOLE_QUEUE_SIZE;

	while (budget && say_next(console))
		budget--;
	virtio_notify(&console->vdev);
	/* A driver that gives useless buffers without end does not keep the loop. */
	if (!budget)
		virtio_kick_self(&console->vdev, CONSOLE_CONTROL_IN);
}

/* What comes and goes within one turn is told as well: the guest then knows of somebody new. */
static void tell_host_state(struct console_port *port)
{
	bool is_there = port->id == 0 || chr_is_attached(port->chr);

	if (is_there == port->told_open)
		return;
	port->told_open = is_there;
	if (is_there)
		port->say |= CONSOLE_SAY_OPEN;
	else
		port->say = (port->say & ~(unsigned)CONSOLE_SAY_OPEN) | CONSOLE_SAY_CLOSED;
}

static void update_size(struct virtio_console *console)
{
	unsigned columns = 0, rows = 0;

	if (console->ports[0].chr)
		chr_get_size(console->ports[0].chr, &columns, &rows);
	console->config.cols = (uint16_t)MIN(columns, (unsigned)UINT16_MAX);
	console->config.rows = (uint16_t)MIN(rows, (unsigned)UINT16_MAX);
}

void console_control_host_changed(struct console_port *port)
{
	struct virtio_console *console = port->console;
	struct virtio_console_config before = console->config;

	if (port->id == 0) {
		update_size(console);
		if (before.cols != console->config.cols || before.rows != console->config.rows) {
			if (!console_has_ports(console))
				virtio_config_changed(&console->vdev);
			else if (port->is_ready && console->config.cols)
				port->say |= CONSOLE_SAY_SIZE;
		}
	}
	if (!console_has_ports(console))
		return;
	if (port->is_ready)
		tell_host_state(port);
	console_control_run_in(console);
}

/* ---- From the driver ---- */

static void add_ports(struct virtio_console *console, bool is_good)
{
	/* It could not start, and says so before it gives up. */
	if (!is_good)
		return;
	for (unsigned i = 0; i < console->port_count; i++)
		if (console->ports[i].chr)
			console->ports[i].say |= CONSOLE_SAY_ADD;
}

static void set_ready(struct console_port *port, bool is_good)
{
	port->is_ready = is_good;
	if (!is_good) {
		port->say = 0;
		return;
	}
	if (port->name)
		port->say |= CONSOLE_SAY_NAME;
	else
		port->say |= CONSOLE_SAY_CONSOLE;
	if (!port->name && port->console->config.cols)
		port->say |= CONSOLE_SAY_SIZE;
	/* After hibernation the driver no longer knows. */
	port->told_open = false;
	tell_host_state(port);
}

static void set_open(struct console_port *port, bool is_open)
{
	port->is_open = is_open;
	console_port_run_input(port);
}

static void handle_message(
	struct virtio_console *console, const struct virtio_console_control *control)
{
	struct console_port *port = NULL;

	if (control->event == VIRTIO_CONSOLE_DEVICE_READY) {
		add_ports(console, control->value);
		return;
	}
	if (control->id < console->port_count && console->ports[control->id].chr)
		port = &console->ports[control->id];
	if (!port)
		device_guest_error(&console->vdev.dev, "control message %u for port %u",
			control->event, control->id);
	else if (control->event == VIRTIO_CONSOLE_PORT_READY)
		set_ready(port, control->value);
	else if (control->event == VIRTIO_CONSOLE_PORT_OPEN)
		set_open(port, control->value);
	else
		device_guest_error(
			&console->vdev.dev, "unknown control message %u", control->event);
}

static void take_message(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtio_console_control control;

	if (virtq_copy_from(req, 0, &control, sizeof(control)) == sizeof(control))
		handle_message(console_of(vdev), &control);
	else
		device_guest_error(&vdev->dev, "a control message of %llu bytes",
			(unsigned long long)req->readable_bytes);
	virtio_push(vdev, index, req, 0);
}

void console_control_run_out(struct virtio_console *console)
{
	virtio_take_requests(&console->vdev, CONSOLE_CONTROL_OUT, take_message);
	virtio_notify(&console->vdev);
	console_control_run_in(console);
}
