/*
 * The inside of the virtio console: shared by console.c (configuration, life), console_control.c
 * (the control queues) and console_port.c (the data queues of a port), and by no one else.
 *
 * Threads: everything with the device's lock held; all but the emergency write on the loop's.
 */
#pragma once

#include <linux/virtio_console.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/chr.h"
#include "devices/virtio/virtio.h"

enum {
	CONSOLE_PORTS_MAX = 16, /* hvc0 and fifteen with names */
	CONSOLE_QUEUE_SIZE = 64,
};

/* Messages that wait for a buffer of the driver's, in the order in which they go out. */
enum console_say {
	CONSOLE_SAY_ADD = 1,
	CONSOLE_SAY_CONSOLE = 2,
	CONSOLE_SAY_SIZE = 4,
	CONSOLE_SAY_NAME = 8,
	CONSOLE_SAY_CLOSED = 16,
	CONSOLE_SAY_OPEN = 32,
};

struct virtio_console;

struct console_port {
	struct virtio_console *console;
	unsigned id;
	const char *name; /* borrowed; NULL: hvc0 */
	struct chr *chr;  /* borrowed; NULL: there is no such port */
	struct chr_front front;
	bool is_attached; /* to chr */

	/* Since the last reset. */
	bool is_ready;		/* the driver has taken the port */
	bool is_open;		/* somebody in the guest has it open */
	unsigned say;		/* CONSOLE_SAY_… */
	bool told_open;		/* what the driver knows, or will, of our side */
	struct virtq_req *room; /* taken from the input queue and not filled yet, or NULL */
	struct virtq_req *tx;	/* being sent, or NULL */
	uint64_t tx_done;	/* bytes of it that are sent */

	/* hvc0 alone: its driver waits for each request with the processor's interrupts off. */
	struct loop_timer notify_timer;
	bool notify_armed;
	struct loop_timer hold_timer;
	unsigned idle_holds; /* how often it found that the host side has taken nothing */
	unsigned holds;	     /* and how often at all for this request */
	bool is_dropping;    /* the host side has stopped: what does not fit is lost */
	uint64_t lost_bytes; /* since then */
};

struct virtio_console {
	struct virtio_dev vdev;
	struct virtio_console_config config;
	struct console_port ports[CONSOLE_PORTS_MAX];
	unsigned port_count; /* [0] may be an empty place */
};

static inline struct virtio_console *console_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_console, vdev);
}

/* ---- Queues: two for each port, with those of control behind the first port's ---- */

enum {
	CONSOLE_CONTROL_IN = 2, /* to the driver */
	CONSOLE_CONTROL_OUT = 3,
};

static inline unsigned console_input_queue(const struct console_port *port)
{
	return port->id ? 2 * port->id + 2 : 0;
}

static inline unsigned console_output_queue(const struct console_port *port)
{
	return console_input_queue(port) + 1;
}

static inline bool console_has_ports(const struct virtio_console *console)
{
	return virtio_has_feature(&console->vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* ---- console_port.c ---- */

/* `port` describes a place that exists; no effect on the host. */
void console_port_init(struct console_port *port, const struct device_port *args);

/* Joins the back end, and leaves it. Leaving is legal at any time. */
int console_port_attach(struct console_port *port, struct err *err);
void console_port_detach(struct console_port *port);

/* The driver kicked the port's queue, or there may be more to do for other reasons. */
void console_port_run_input(struct console_port *port);
void console_port_run_output(struct console_port *port);

/* Ends what is in flight, and with `abort` forgets all that the driver has said. */
void console_port_drain(struct console_port *port, bool abort);

/* ---- console_control.c ---- */

/* The driver's messages, and ours to it. */
void console_control_run_out(struct virtio_console *console);
void console_control_run_in(struct virtio_console *console);

/* The size of the host side is another, or who is there. */
void console_control_host_changed(struct console_port *port);
