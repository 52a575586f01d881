/*
 * The two data queues of a port of the virtio console: bytes between the guest and a character back
 * end (VIRTIO 1.2, 5.3.6).
 *
 * To the host: a request that the back end has no room for stays where it is until there is room,
 * so that a host side which does not read stops who writes, and no processor. A port with a name
 * also waits while nobody is there to read. hvc0 is different, because Linux prints to it with
 * interrupts off and spins until the request comes back: its requests are held while the host side
 * goes on taking something, but not for longer than HOLDS_MAX times HOLD_NS, which is far from
 * where Linux would call it a lockup. When that is over, or the host side has taken nothing for
 * IDLE_HOLDS_MAX times, what does not fit is dropped, counted, and told to who reads again. So a
 * slow reader loses nothing, and a stopped one does not stop the guest.
 *
 * To the guest: the back end is asked for no more than fits into the buffers that the driver has
 * given, and for nothing while nobody in the guest has the port open. Until then input stays with
 * the host: in 4 KiB of the back end (64 KiB on a terminal) and in the socket, FIFO or terminal,
 * whose writer waits. None is lost.
 *
 * Knows no control messages. Threats: see console.c.
 */
#include <errno.h>
#include <stdio.h>

#include "devices/virtio/console_impl.h"
#include "vmm/base/util.h"

enum {
	/* Of output in one turn of the loop: a request may be as large as the guest's memory. */
	TURN_BYTES = 256 * 1024,
	PIECE_BYTES = 4096,
	IDLE_HOLDS_MAX = 10,
	HOLDS_MAX = 50,
};

#define HOLD_NS	  UINT64_C(100000000)
#define NOTIFY_NS UINT64_C(1000000)

static bool is_hvc0(const struct console_port *port)
{
	return port->id == 0;
}

/* ---- To the guest ---- */

static bool is_open(const struct console_port *port)
{
	return console_has_ports(port->console) ? port->is_open : is_hvc0(port);
}

/* The next buffer with room in it; those without are given back. */
static struct virtq_req *next_room(struct console_port *port)
{
	struct virtio_dev *vdev = &port->console->vdev;
	unsigned queue = console_input_queue(port);
	struct virtq_req *req = NULL;

	for (unsigned i = 0; i < CONSOLE_QUEUE_SIZE; i++) {
		req = virtio_pop(vdev, queue);
		if (!req || req->writable_bytes)
			return req;
		device_guest_error(&vdev->dev, "port %u: an input buffer without room", port->id);
		virtio_push(vdev, queue, req, 0);
		virtio_notify(vdev);
	}
	/* It goes on with the next kick, which comes from here: others have their turn first. */
	virtio_kick_self(vdev, queue);
	return NULL;
}

static size_t can_take(void *opaque)
{
	struct console_port *port = opaque;

	if (!is_open(port))
		return 0;
	if (!port->room)
		port->room = next_room(port);
	return port->room ? port->room->writable_bytes : 0;
}

static void handle_input(void *opaque, const uint8_t *data, size_t len)
{
	struct console_port *port = opaque;
	struct virtio_dev *vdev = &port->console->vdev;
	uint64_t written = virtq_copy_to(port->room, 0, data, len);

	virtio_push(vdev, console_input_queue(port), port->room, (uint32_t)written);
	port->room = NULL;
	virtio_notify(vdev);
}

void console_port_run_input(struct console_port *port)
{
	if (port->front.can_take)
		chr_accept_input(port->chr);
}

/* ---- To the host ---- */

/* What was lost is told where it is missing, to who reads now. */
static void tell_lost(struct console_port *port)
{
	unsigned long long lost = port->lost_bytes;
	char text[80];
	int len;

	port->lost_bytes = 0;
	if (!lost)
		return;
	len = snprintf(
		text, sizeof(text), "\r\n[vmm: %llu bytes of output were not read]\r\n", lost);
	chr_write(port->chr, text, (size_t)len);
	log_warn("hvc0: %llu bytes of the guest's output are lost, because %s stood still", lost,
		chr_name(port->chr));
}

static void drop_rest(struct console_port *port)
{
	port->lost_bytes += port->tx->readable_bytes - port->tx_done;
	port->tx_done = port->tx->readable_bytes;
}

/*
 * Sends of the current request what the host side takes, up to *budget bytes. True when that was
 * all of it.
 */
static bool send(struct console_port *port, uint64_t *budget)
{
	struct virtq_req *tx = port->tx;
	uint8_t piece[PIECE_BYTES];

	if (!is_hvc0(port) && !chr_is_attached(port->chr))
		return false;
	while (port->tx_done < tx->readable_bytes && *budget) {
		uint64_t len = MIN(*budget, (uint64_t)sizeof(piece));
		size_t sent;

		len = virtq_copy_from(tx, port->tx_done, piece, len);
		sent = chr_write(port->chr, piece, len);
		port->tx_done += sent;
		*budget -= sent;
		if (sent)
			port->idle_holds = 0;
		if (sent < len && !port->is_dropping)
			return false;
		if (sent < len)
			drop_rest(port);
	}
	return port->tx_done == tx->readable_bytes;
}

/* The current request or the next; false when there is none, or it has to wait. */
static bool send_next(struct console_port *port, uint64_t *budget)
{
	struct virtio_dev *vdev = &port->console->vdev;
	unsigned queue = console_output_queue(port);

	if (!port->tx) {
		port->tx = virtio_pop(vdev, queue);
		port->tx_done = 0;
		port->holds = 0;
	}
	if (!port->tx || !send(port, budget))
		return false;
	virtio_push(vdev, queue, port->tx, 0);
	port->tx = NULL;
	return true;
}

/*
 * Linux takes a request of hvc0 back before it does anything else, and then wants no interrupt for
 * it. So look a little later: an interrupt would cost five times what the request costs.
 */
static void notify_output(struct console_port *port)
{
	struct virtio_dev *vdev = &port->console->vdev;

	if (!is_hvc0(port)) {
		virtio_notify(vdev);
	} else if (!port->notify_armed) {
		port->notify_armed = true;
		loop_timer_arm(vdev->dev.platform->loop, &port->notify_timer, NOTIFY_NS);
	}
}

static void handle_notify_timer(void *opaque)
{
	struct console_port *port = opaque;

	port->notify_armed = false;
	virtio_notify(&port->console->vdev);
}

void console_port_run_output(struct console_port *port)
{
	struct virtio_dev *vdev = &port->console->vdev;
	unsigned requests = CONSOLE_QUEUE_SIZE;
	uint64_t bytes = TURN_BYTES;

	while (requests && bytes && send_next(port, &bytes))
		requests--;
	notify_output(port);
	if (!requests || !bytes)
		virtio_kick_self(vdev, console_output_queue(port));
	else if (port->tx && is_hvc0(port))
		loop_timer_arm(vdev->dev.platform->loop, &port->hold_timer, HOLD_NS);
}

/* A request of hvc0 is being held: has the host side taken anything since? */
static void handle_hold_timer(void *opaque)
{
	struct console_port *port = opaque;

	if (!port->tx)
		return;
	port->holds++;
	port->idle_holds++;
	if (port->idle_holds >= IDLE_HOLDS_MAX || port->holds >= HOLDS_MAX)
		port->is_dropping = true;
	console_port_run_output(port);
}

static void handle_room(void *opaque)
{
	struct console_port *port = opaque;

	port->idle_holds = 0;
	port->is_dropping = false;
	tell_lost(port);
	console_port_run_output(port);
}

/* ---- The host side comes and goes ---- */

static void handle_host_changed(void *opaque)
{
	struct console_port *port = opaque;

	console_control_host_changed(port);
	/* Who has come reads what waited for him. */
	console_port_run_output(port);
}

/* ---- Life ---- */

void console_port_drain(struct console_port *port, bool abort)
{
	struct virtio_dev *vdev = &port->console->vdev;
	struct virtq_req *room = port->room, *tx = port->tx;

	port->room = port->tx = NULL;
	loop_timer_cancel(&port->hold_timer);
	loop_timer_cancel(&port->notify_timer);
	port->notify_armed = false;
	if (!abort) {
		if (room)
			virtio_push(vdev, console_input_queue(port), room, 0);
		if (tx)
			virtio_push(vdev, console_output_queue(port), tx, 0);
		virtio_notify(vdev);
		return;
	}
	if (room)
		virtio_forget(vdev, console_input_queue(port), room);
	if (tx)
		virtio_forget(vdev, console_output_queue(port), tx);
	port->is_ready = port->is_open = port->told_open = false;
	port->say = 0;
	port->idle_holds = 0;
}

void console_port_init(struct console_port *port, const struct device_port *args)
{
	pthread_mutex_t *lock = &port->console->vdev.dev.lock;

	port->name = args->name;
	port->chr = args->chr;
	port->front = (struct chr_front){
		.can_take = args->no_input ? NULL : can_take,
		.input = handle_input,
		.room = handle_room,
		.host_changed = handle_host_changed,
		.opaque = port,
		.lock = lock,
	};
	port->hold_timer =
		(struct loop_timer){.fn = handle_hold_timer, .opaque = port, .lock = lock};
	port->notify_timer =
		(struct loop_timer){.fn = handle_notify_timer, .opaque = port, .lock = lock};
}

int console_port_attach(struct console_port *port, struct err *err)
{
	int ret = chr_attach(port->chr, &port->front, err);

	if (ret < 0)
		return ret;
	port->is_attached = true;
	if (port->name)
		chr_drop_history(port->chr);
	return 0;
}

void console_port_detach(struct console_port *port)
{
	loop_timer_cancel(&port->hold_timer);
	loop_timer_cancel(&port->notify_timer);
	if (port->is_attached)
		chr_detach(port->chr, &port->front);
	port->is_attached = false;
}
