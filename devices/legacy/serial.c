/*
 * A serial port: the 16550A UART at the places COM1 (0x3f8, irq 4) and COM2 (0x2f8,
 * irq 3), with a character back end as its line. It knows nothing of terminals.
 *
 * The line has no speed: what is written is sent at once as long as the back end has
 * room, and four character times (the receiver's time-out) pass at once. When the
 * back end has no room the transmitter stays full (THRE clear) until it has: nobody
 * waits in here, and a guest that looks at THRE loses nothing.
 *
 * When characters arrive is for the line to say, so they arrive when the guest can see
 * them, and not while it sets up its driver: while receive interrupts are on, or when
 * the guest polls LSR again and again and does nothing else but print. Characters that
 * the guest discards unread, by clearing the receive FIFO, arrive once more a little
 * later. So what is typed or piped in early is not lost.
 *
 * A kernel that prints looks at LSR before each character. When it has done so for a while its writes
 * of THR may arrive later than they are made (platform_ops.pio_coalesce), as long as nothing is to
 * happen at once: transmitter interrupts and loopback end that. LSR does not wait for them: they are
 * in a transmitter that is as large as needed, and full when the back end has no room for those that
 * did arrive.
 *
 * OUT2 gates the interrupt, as on the boards of PCs, but only for a guest that has
 * ever set it: many small kernels, written on emulators without the gate, do not.
 *
 * National Semiconductor PC16550D, section 8 "Registers"; names of bits from
 * <linux/serial_reg.h>. Word length, parity and speed are kept and have no effect.
 *
 * Threads: vCPUs and the loop, under the device's lock.
 *
 * Threats
 *   what the guest can send           limit                           where           test
 *   output faster than the host       16 bytes kept, then counted     tx_room         stalled_output_*
 *                                     as lost; of late ones 512                       stalled_run_*
 *   a flood of register accesses      no allocation, no waiting       -               fuzz_legacy
 *   loopback floods                   FIFO of 16, then overrun        uart_rx_put     loopback_overrun
 *   wide or odd accesses              bytes of neighbour registers    byte_ports      wide_access
 */
#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>

#include "devices/backend/chr.h"
#include "devices/legacy/byte_ports.h"
#include "devices/legacy/uart_rx.h"
#include "vmm/base/ring.h"
#include "vmm/core/device.h"

enum {
	REGISTERS = 8,
	FIFO_BYTES = UART_RX_BYTES,
	IER_MASK = UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI,
	MCR_MASK = UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP,
	IIR_FIFO_ON = 0xc0,
	/* UART_LSR_FIFOE of newer headers: some character in the FIFO has an error. */
	LSR_FIFO_ERROR = 0x80,
	DIVISOR_9600 = 12,
	/* So many LSR reads that found nothing are somebody waiting for input, and not a driver. */
	POLLS_FOR_INPUT = 16,
	/* So many characters, each after a look at LSR, are a kernel that prints: and again so many. */
	POLLED_TO_COALESCE = 256,
	/* What is late may come all at once, behind what is already there. */
	TX_BYTES = 2 * PIO_COALESCED_MAX,
};

/* Four characters of ten bits at 115200 baud are 350 us; the loop counts in milliseconds. */
#define RECEIVE_TIMEOUT_NS UINT64_C(1000000)

static const struct {
	uint16_t port;
	uint8_t irq;
} places[] = {{0x3f8, 4}, {0x2f8, 3}};

struct serial {
	struct device dev;
	struct irq_line irq;
	bool irq_level;
	struct chr *chr; /* borrowed, may be NULL: then the line is open-ended */
	struct chr_front front;

	uint8_t ier, fcr, lcr, mcr, scratch;
	uint16_t divisor;
	uint8_t overrun;   /* UART_LSR_OE, until LSR is read */
	uint8_t msr_delta; /* the low four bits of MSR, until MSR is read */
	bool out2_used;	   /* the guest knows of the gate */

	struct uart_rx rx;
	bool rx_timeout; /* characters lie in the FIFO below its trigger level */
	unsigned polls;	 /* LSR reads that found no data, since anything but printing was done */
	struct loop_timer rx_timer;
	bool rx_timer_armed;

	struct ring tx; /* empty unless the back end has no room */
	uint8_t tx_bytes[TX_BYTES];
	bool thre_pending; /* the THRE interrupt is not yet taken */
	bool thre_burst;   /* THR was written since the guest last looked at LSR or IIR */
	bool lsr_was_read; /* since the last character */
	unsigned polled;   /* characters written after a look at LSR */
	bool coalesces;	   /* asked the platform for that */
};

extern const struct device_class serial_class;

/* ---- What the registers say ---- */

static bool fifo_is_on(const struct serial *serial)
{
	return serial->fcr & UART_FCR_ENABLE_FIFO;
}

static bool is_loopback(const struct serial *serial)
{
	return serial->mcr & UART_MCR_LOOP;
}

static size_t fifo_size(const struct serial *serial)
{
	return fifo_is_on(serial) ? FIFO_BYTES : 1;
}

static size_t trigger_level(const struct serial *serial)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return fifo_is_on(serial) ? levels[serial->fcr >> 6] : 1;
}

static uint8_t line_status(const struct serial *serial)
{
	uint8_t lsr = serial->overrun;

	if (uart_rx_used(&serial->rx))
		lsr |= UART_LSR_DR;
	if (uart_rx_break_is_next(&serial->rx))
		lsr |= UART_LSR_BI;
	if (uart_rx_has_break(&serial->rx) && fifo_is_on(serial))
		lsr |= LSR_FIFO_ERROR;
	if (!ring_used(&serial->tx))
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	return lsr;
}

/* The inputs of the modem: in loopback the outputs, else a line that is always there. */
static uint8_t modem_inputs(const struct serial *serial)
{
	uint8_t msr = 0;

	if (!is_loopback(serial))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (serial->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (serial->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (serial->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (serial->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

/* The pending interrupt of highest priority (table III of the data sheet). */
static uint8_t interrupt_id(const struct serial *serial)
{
	uint8_t ier = serial->ier;

	/* A guest that polls, at each access. */
	if (!ier)
		return UART_IIR_NO_INT;
	if ((ier & UART_IER_RLSI) && (serial->overrun || uart_rx_break_is_next(&serial->rx)))
		return UART_IIR_RLSI;
	if ((ier & UART_IER_RDI) && uart_rx_used(&serial->rx) >= trigger_level(serial))
		return UART_IIR_RDI;
	if ((ier & UART_IER_RDI) && serial->rx_timeout)
		return UART_IIR_RX_TIMEOUT;
	if ((ier & UART_IER_THRI) && serial->thre_pending)
		return UART_IIR_THRI;
	if ((ier & UART_IER_MSI) && serial->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

/* Whether the interrupt gets out of the chip and over the gate on the board. */
static bool gate_is_open(const struct serial *serial)
{
	if (is_loopback(serial))
		return false;
	return (serial->mcr & UART_MCR_OUT2) || !serial->out2_used;
}

static void set_irq(struct serial *serial, bool level)
{
	if (level == serial->irq_level)
		return;
	serial->irq_level = level;
	irq_set(&serial->irq, level);
}

static void update_irq(struct serial *serial)
{
	set_irq(serial, interrupt_id(serial) != UART_IIR_NO_INT && gate_is_open(serial));
}

/* ---- Receiver ---- */

/* The guest would notice a character now. */
static bool is_listening(const struct serial *serial)
{
	return !is_loopback(serial) &&
		((serial->ier & UART_IER_RDI) || serial->polls >= POLLS_FOR_INPUT);
}

static void receive(struct serial *serial, uint8_t byte, bool is_break)
{
	if (!uart_rx_put(&serial->rx, byte, is_break, fifo_size(serial)))
		serial->overrun = UART_LSR_OE;
	/* The time-out belongs to the FIFO; without it one character is at the trigger level. */
	serial->rx_timeout = fifo_is_on(serial);
}

/* Lets arrive what had been discarded, and asks for what waits behind it. */
static void listen(struct serial *serial)
{
	if (!is_listening(serial))
		return;
	if (uart_rx_release(&serial->rx, fifo_size(serial)))
		serial->rx_timeout = fifo_is_on(serial);
	if (serial->chr && uart_rx_room(&serial->rx, fifo_size(serial)))
		chr_accept_input(serial->chr);
}

static void arm_rx_timer(struct serial *serial)
{
	if (serial->rx_timer_armed)
		return;
	serial->rx_timer_armed = true;
	loop_timer_arm(serial->dev.platform->loop, &serial->rx_timer, RECEIVE_TIMEOUT_NS);
}

static void clear_receiver(struct serial *serial)
{
	/* In loopback they are the guest's own. */
	if (is_loopback(serial))
		uart_rx_discard(&serial->rx);
	else
		uart_rx_hold(&serial->rx);
	serial->rx_timeout = false;
	if (uart_rx_held(&serial->rx))
		arm_rx_timer(serial);
}

static uint8_t read_rbr(struct serial *serial)
{
	uint8_t byte = 0;

	if (!uart_rx_get(&serial->rx, &byte))
		return 0;
	serial->rx_timeout = false;
	/* A guest that takes one character for each interrupt gets another interrupt later. */
	if (fifo_is_on(serial) && uart_rx_used(&serial->rx) && (serial->ier & UART_IER_RDI))
		arm_rx_timer(serial);
	if (!uart_rx_used(&serial->rx))
		listen(serial);
	return byte;
}

static void handle_rx_timer(void *opaque)
{
	struct serial *serial = opaque;

	serial->rx_timer_armed = false;
	serial->rx_timeout = fifo_is_on(serial) && uart_rx_used(&serial->rx);
	listen(serial);
	update_irq(serial);
}

/* ---- The back end's calls ---- */

static size_t can_take(void *opaque)
{
	struct serial *serial = opaque;

	/* What is held came first. */
	if (!is_listening(serial) || uart_rx_held(&serial->rx))
		return 0;
	return uart_rx_room(&serial->rx, fifo_size(serial));
}

static void handle_input(void *opaque, const uint8_t *data, size_t len)
{
	struct serial *serial = opaque;

	device_note(&serial->dev, TRACE_TAPE_BYTES, 0, data, len);
	for (size_t i = 0; i < len; i++)
		receive(serial, data[i], false);
	update_irq(serial);
}

/* A break is a zero character with a mark (data sheet, LSR bit 4). */
static void handle_break(void *opaque)
{
	struct serial *serial = opaque;

	device_note(&serial->dev, TRACE_TAPE_BREAK, 0, NULL, 0);
	receive(serial, 0, true);
	update_irq(serial);
}

/* ---- Transmitter ---- */

static void send(struct serial *serial)
{
	while (ring_used(&serial->tx)) {
		const uint8_t *piece;
		size_t len = ring_peek(&serial->tx, &piece);
		size_t sent = serial->chr ? chr_write(serial->chr, piece, len) : len;

		ring_drop(&serial->tx, sent);
		if (sent < len)
			return;
	}
	serial->thre_pending = true;
}

static void handle_room(void *opaque)
{
	struct serial *serial = opaque;

	if (!ring_used(&serial->tx))
		return;
	device_note(&serial->dev, TRACE_TAPE_ROOM, 0, NULL, 0);
	send(serial);
	update_irq(serial);
}

static void coalesce(struct serial *serial, bool on)
{
	const struct platform *platform = serial->dev.platform;

	serial->polled = 0;
	if ((!on && !serial->coalesces) || !platform->ops->pio_coalesce)
		return;
	serial->coalesces = on;
	platform->ops->pio_coalesce(platform->opaque, places[serial->dev.index].port,
		places[serial->dev.index].port + UART_LSR, on);
}

static void count_polled(struct serial *serial)
{
	if (serial->lsr_was_read && !(serial->ier & UART_IER_THRI) && !is_loopback(serial) &&
		++serial->polled >= POLLED_TO_COALESCE)
		coalesce(serial, true);
	serial->lsr_was_read = false;
}

static size_t tx_room(const struct serial *serial)
{
	size_t size = serial->coalesces ? TX_BYTES : fifo_size(serial);

	return size - MIN(size, ring_used(&serial->tx));
}

/* Out of loopback. */
static void transmit(struct serial *serial, const uint8_t *bytes, size_t count)
{
	do {
		size_t put = ring_put(&serial->tx, bytes, MIN(count, tx_room(serial)));

		if (!put) {
			device_guest_error(&serial->dev,
				"output is lost: the guest writes on while %s "
				"does not keep up",
				serial->chr ? chr_name(serial->chr) : "the line");
			return;
		}
		send(serial);
		bytes += put;
		count -= put;
	} while (count);
}

static void put_thr(struct serial *serial, const uint8_t *bytes, size_t count)
{
	count_polled(serial);
	/*
	 * An edge for each burst: the first character after the guest has looked lowers the
	 * interrupt, and the empty transmitter raises it again.
	 */
	if (serial->thre_pending && !serial->thre_burst) {
		serial->thre_pending = false;
		update_irq(serial);
	}
	serial->thre_burst = true;
	serial->thre_pending = false;
	if (!is_loopback(serial)) {
		transmit(serial, bytes, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		receive(serial, bytes[i], false);
	serial->thre_pending = true;
}

/* ---- Registers ---- */

static void set_ier(struct serial *serial, uint8_t value)
{
	uint8_t switched_on = (uint8_t)(value & ~serial->ier);

	serial->ier = value & IER_MASK;
	if (serial->ier & UART_IER_THRI)
		coalesce(serial, false);
	if ((switched_on & UART_IER_THRI) && !ring_used(&serial->tx))
		serial->thre_pending = true;
	listen(serial);
}

static void set_fcr(struct serial *serial, uint8_t value)
{
	bool switched = (value ^ serial->fcr) & UART_FCR_ENABLE_FIFO;

	/* The other bits count only together with the enable bit. */
	if (!(value & UART_FCR_ENABLE_FIFO))
		value = 0;
	if (switched || (value & UART_FCR_CLEAR_RCVR))
		clear_receiver(serial);
	if (switched || (value & UART_FCR_CLEAR_XMIT)) {
		if (ring_used(&serial->tx))
			serial->thre_pending = true;
		ring_clear(&serial->tx);
	}
	serial->fcr = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
}

static void set_mcr(struct serial *serial, uint8_t value)
{
	uint8_t before = modem_inputs(serial), after;

	serial->mcr = value & MCR_MASK;
	if (is_loopback(serial))
		coalesce(serial, false);
	if (value & UART_MCR_OUT2)
		serial->out2_used = true;
	after = modem_inputs(serial);
	/* The delta bits lie four below their inputs; for RI only the trailing edge counts. */
	serial->msr_delta |= (uint8_t)(((before ^ after) & ~UART_MSR_RI) >> 4);
	if (before & ~after & UART_MSR_RI)
		serial->msr_delta |= UART_MSR_TERI;
	listen(serial);
}

static uint8_t read_iir(struct serial *serial)
{
	uint8_t id = interrupt_id(serial);

	if (id == UART_IIR_THRI)
		serial->thre_pending = false;
	serial->thre_burst = false;
	return id | (fifo_is_on(serial) ? IIR_FIFO_ON : 0);
}

static uint8_t read_lsr(struct serial *serial)
{
	uint8_t lsr;

	if (!uart_rx_used(&serial->rx)) {
		serial->polls = MIN(serial->polls + 1, (unsigned)POLLS_FOR_INPUT);
		if (serial->polls == POLLS_FOR_INPUT)
			listen(serial);
	}
	lsr = line_status(serial);
	serial->overrun = 0;
	uart_rx_unmark_next(&serial->rx);
	serial->thre_burst = false;
	serial->lsr_was_read = true;
	return lsr;
}

static uint8_t read_msr(struct serial *serial)
{
	uint8_t msr = modem_inputs(serial) | serial->msr_delta;

	serial->msr_delta = 0;
	return msr;
}

static uint8_t read_one(struct serial *serial, unsigned number)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	switch (number) {
	case UART_RX:
		return dlab ? (uint8_t)serial->divisor : read_rbr(serial);
	case UART_IER:
		return dlab ? (uint8_t)(serial->divisor >> 8) : serial->ier;
	case UART_IIR:
		return read_iir(serial);
	case UART_LCR:
		return serial->lcr;
	case UART_MCR:
		return serial->mcr;
	case UART_LSR:
		return read_lsr(serial);
	case UART_MSR:
		return read_msr(serial);
	default:
		return serial->scratch;
	}
}

static void write_one(struct serial *serial, unsigned number, uint8_t value)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	switch (number) {
	case UART_TX:
		if (dlab)
			serial->divisor = (uint16_t)((serial->divisor & 0xff00) | value);
		else
			put_thr(serial, &value, 1);
		break;
	case UART_IER:
		if (dlab)
			serial->divisor = (uint16_t)((serial->divisor & 0xff) | value << 8);
		else
			set_ier(serial, value);
		break;
	case UART_FCR:
		set_fcr(serial, value);
		break;
	case UART_LCR:
		serial->lcr = value;
		break;
	case UART_MCR:
		set_mcr(serial, value);
		break;
	case UART_SCR:
		serial->scratch = value;
		break;
	default:
		/* LSR and MSR are for reading; writing them is for factory tests. */
		break;
	}
}

static uint8_t read_register(void *opaque, unsigned number)
{
	struct serial *serial = opaque;
	bool is_rbr = number == UART_RX && !(serial->lcr & UART_LCR_DLAB);
	bool got_data = is_rbr && uart_rx_used(&serial->rx);
	uint8_t value = read_one(serial, number);

	if (number != UART_LSR)
		serial->polls = got_data ? POLLS_FOR_INPUT : 0;
	update_irq(serial);
	return value;
}

static void write_register(void *opaque, unsigned number, uint8_t value)
{
	struct serial *serial = opaque;

	if (number != UART_TX)
		serial->polls = 0;
	write_one(serial, number, value);
	update_irq(serial);
}

static uint64_t read_ports(void *opaque, uint64_t offset, unsigned size)
{
	return byte_ports_read(opaque, offset, size, read_register);
}

static void write_ports(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	byte_ports_write(opaque, offset, size, value, write_register);
}

static void write_run(void *opaque, uint64_t offset, const uint8_t *bytes, size_t count)
{
	struct serial *serial = opaque;

	if (offset == UART_TX && !(serial->lcr & UART_LCR_DLAB)) {
		put_thr(serial, bytes, count);
		update_irq(serial);
		return;
	}
	for (size_t i = 0; i < count; i++)
		write_register(serial, (unsigned)offset, bytes[i]);
}

static const struct bus_ops ops = {
	.read = read_ports, .write = write_ports, .write_run = write_run};

/* ---- Life ---- */

static int serial_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct serial *serial;

	if (args->index >= ARRAY_SIZE(places))
		return err_set(err, EXIT_CODE_DEVICE, EINVAL,
			"%s: there are places for %zu serial ports", args->name,
			ARRAY_SIZE(places));
	serial = calloc(1, sizeof(*serial));
	if (!serial)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&serial->dev, &serial_class, args);
	serial->chr = args->chr;
	serial->front = (struct chr_front){
		.can_take = args->no_input ? NULL : can_take,
		.input = handle_input,
		.line_break = handle_break,
		.room = handle_room,
		.opaque = serial,
		.lock = &serial->dev.lock,
	};
	serial->rx_timer = (struct loop_timer){
		.fn = handle_rx_timer, .opaque = serial, .lock = &serial->dev.lock};
	uart_rx_init(&serial->rx);
	ring_init(&serial->tx, serial->tx_bytes, sizeof(serial->tx_bytes));
	serial->divisor = DIVISOR_9600;
	*device = &serial->dev;
	return 0;
}

static int serial_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct serial *serial = CONTAINER_OF(device, struct serial, dev);
	int ret = device_claim_irq(device, places[device->index].irq, false, &serial->irq, err);

	(void)platform;
	if (ret >= 0)
		ret = device_claim_pio(
			device, places[device->index].port, REGISTERS, &ops, serial, err);
	if (ret >= 0 && serial->chr)
		ret = chr_attach(serial->chr, &serial->front, err);
	return ret;
}

/* Table II of the data sheet. What is in the transmitter still goes out. */
static void serial_reset(struct device *device)
{
	struct serial *serial = CONTAINER_OF(device, struct serial, dev);

	serial->ier = serial->fcr = serial->lcr = serial->mcr = serial->scratch = 0;
	serial->divisor = DIVISOR_9600;
	serial->overrun = serial->msr_delta = 0;
	serial->out2_used = false;
	uart_rx_reset(&serial->rx);
	serial->rx_timeout = false;
	serial->polls = 0;
	serial->thre_pending = serial->thre_burst = false;
	/* The machine that was asked is gone. */
	serial->polled = 0;
	serial->coalesces = false;
	loop_timer_cancel(&serial->rx_timer);
	serial->rx_timer_armed = false;
	update_irq(serial);
}

static void serial_destroy(struct device *device)
{
	struct serial *serial = CONTAINER_OF(device, struct serial, dev);

	loop_timer_cancel(&serial->rx_timer);
	if (serial->chr)
		chr_detach(serial->chr, &serial->front);
	device_finish(device);
	free(serial);
}

const struct device_class serial_class = {
	.name = "serial",
	.description = "16550A serial port: COM1, COM2",
	.acpi_hid = "PNP0501",
	.dt_compatible = "ns16550a",
	.create = serial_create,
	.realize = serial_realize,
	.reset = serial_reset,
	.destroy = serial_destroy,
};
