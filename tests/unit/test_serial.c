/*
 * The serial port as a guest sees it, with a console in memory as its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/serial_reg.h>
#include <sched.h>
#include <stdlib.h>

#include "devices/backend/chr_memory.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class serial_class;

enum {
	COM1 = 0x3f8,
	COM2 = 0x2f8,
	IRQ = 4,
	FIFO = 16,
};

struct fixture {
	struct fake_machine *fm;
	struct chr *chr;
	struct device *dev;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_args args = {.name = "serial0"};

	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(chr_memory_open(&f->chr, f->fm->loop, NULL), 0);
	args.chr = f->chr;
	assert_int_equal(device_create(&f->dev, &serial_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->dev, &f->fm->platform, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->dev);
	chr_memory_stall(f->chr, false);
	chr_close(f->chr);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static uint8_t in(struct fixture *f, unsigned number)
{
	return (uint8_t)fake_machine_in(f->fm, (uint16_t)(COM1 + number), 1);
}

static void out(struct fixture *f, unsigned number, uint8_t value)
{
	fake_machine_out(f->fm, (uint16_t)(COM1 + number), 1, value);
}

static void run(struct fixture *f)
{
	fake_machine_run_loop(f->fm);
}

static void feed(struct fixture *f, const char *text)
{
	assert_int_equal(chr_memory_feed(f->chr, text, strlen(text)), strlen(text));
	run(f);
}

/* As a driver does before it waits for interrupts. */
static void open_port(struct fixture *f, uint8_t ier)
{
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out(f, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	out(f, UART_IER, ier);
}

static size_t read_all(struct fixture *f, char *text, size_t size)
{
	size_t len = 0;

	while (len < size - 1 && (in(f, UART_LSR) & UART_LSR_DR))
		text[len++] = (char)in(f, UART_RX);
	text[len] = 0;
	return len;
}

static bool level(struct fixture *f)
{
	return fake_machine_irq_level(f->fm, IRQ);
}

/* The timers of a millisecond, without a sleep of a fixed time. */
static bool irq_is_up(void *opaque)
{
	return level(opaque);
}

/* ---- Registers ---- */

static void test_power_on_registers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, UART_IER), 0);
	assert_int_equal(in(f, UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(in(f, UART_LCR), 0);
	assert_int_equal(in(f, UART_MCR), 0);
	assert_int_equal(in(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(in(f, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	assert_int_equal(in(f, UART_RX), 0);
}

static void test_scratch_and_masks(void **state)
{
	struct fixture *f = *state;

	out(f, UART_SCR, 0xa5);
	out(f, UART_IER, 0xff);
	out(f, UART_MCR, 0xff);
	out(f, UART_LSR, 0xff);
	out(f, UART_MSR, 0xff);
	assert_int_equal(in(f, UART_SCR), 0xa5);
	assert_int_equal(in(f, UART_IER), 0x0f);
	assert_int_equal(in(f, UART_MCR), 0x1f);
	assert_int_equal(in(f, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
}

static void test_divisor_behind_dlab(void **state)
{
	struct fixture *f = *state;

	out(f, UART_IER, UART_IER_MSI);
	out(f, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_DLL), 12);
	out(f, UART_DLL, 0x34);
	out(f, UART_DLM, 0x12);
	assert_int_equal(in(f, UART_DLL), 0x34);
	assert_int_equal(in(f, UART_DLM), 0x12);
	out(f, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_IER), UART_IER_MSI);
	assert_int_equal(in(f, UART_LCR), UART_LCR_WLEN8);
	run(f);
	assert_string_equal(chr_memory_output(f->chr, NULL), "");
}

static void test_iir_shows_fifo(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	/* Without the enable bit the others do not count. */
	out(f, UART_FCR, UART_FCR_TRIGGER_14);
	assert_int_equal(in(f, UART_IIR), UART_IIR_NO_INT);
}

static void test_wide_access(void **state)
{
	struct fixture *f = *state;

	/* LCR and MCR by one access of two bytes */
	fake_machine_out(f->fm, COM1 + UART_LCR, 2, UART_LCR_WLEN8 | UART_MCR_DTR << 8);
	assert_int_equal(in(f, UART_LCR), UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_MCR), UART_MCR_DTR);
	assert_int_equal(
		fake_machine_in(f->fm, COM1 + UART_LCR, 2), UART_LCR_WLEN8 | UART_MCR_DTR << 8);
	/* Four bytes that leave the port: what lies beyond reads as ones. */
	assert_int_equal(fake_machine_in(f->fm, COM1 + UART_SCR, 4), 0xffffff00);
}

static void test_second_port_has_its_own_place(void **state)
{
	struct fixture *f = *state;
	struct device_args args = {.name = "serial1", .index = 1};
	struct device *second;

	assert_int_equal(device_create(&second, &serial_class, &args, NULL), 0);
	assert_int_equal(device_realize(second, &f->fm->platform, NULL), 0);
	assert_int_equal(device_find_res(second, DEVICE_RES_IRQ, 0)->base, 3);
	fake_machine_out(f->fm, COM2 + UART_SCR, 1, 0x77);
	assert_int_equal(fake_machine_in(f->fm, COM2 + UART_SCR, 1), 0x77);
	assert_int_equal(in(f, UART_SCR), 0);
	/* Without a back end output has room without end. */
	for (int i = 0; i < 100; i++)
		fake_machine_out(f->fm, COM2 + UART_TX, 1, 'x');
	assert_true(fake_machine_in(f->fm, COM2 + UART_LSR, 1) & UART_LSR_THRE);
	device_destroy(second);
}

static void test_third_port_is_refused(void **state)
{
	struct device_args args = {.name = "serial2", .index = 2};
	struct device *dev;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(device_create(&dev, &serial_class, &args, &err), -EINVAL);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, "serial2"));
}

/* ---- Output ---- */

static void test_output_arrives_in_order(void **state)
{
	struct fixture *f = *state;
	const char *text = "Linux version 6.1\r\nsecond line without an end";

	for (const char *p = text; *p; p++) {
		assert_true(in(f, UART_LSR) & UART_LSR_THRE);
		out(f, UART_TX, (uint8_t)*p);
	}
	while (strlen(chr_memory_output(f->chr, NULL)) < strlen(text))
		assert_true(loop_run_once(f->fm->loop, 1000));
	assert_string_equal(chr_memory_output(f->chr, NULL), text);
}

static void test_a_line_is_few_writes(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 100; i++)
		out(f, UART_TX, i == 99 ? '\n' : 'x');
	assert_int_equal(strlen(chr_memory_output(f->chr, NULL)), 100);
	/* The first byte at once, the rest with the end of the line or after a millisecond. */
	assert_in_range(chr_memory_write_count(f->chr), 1, 20);
}

static void print_polled(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_true(in(f, UART_LSR) & UART_LSR_THRE);
		out(f, UART_TX, 'x');
	}
}

static bool has_run(void *opaque)
{
	struct fixture *f = opaque;

	return !strcmp(chr_memory_output(f->chr, NULL), "run");
}

static void test_run_of_writes(void **state)
{
	static const uint8_t run[] = {'r', 'u', 'n'};
	struct fixture *f = *state;

	assert_true(bus_write_run(&f->fm->pio, COM1, run, sizeof(run)));
	assert_true(bus_write_run(&f->fm->pio, COM1 + UART_SCR, run, sizeof(run)));
	assert_int_equal(in(f, UART_SCR), 'n');
	assert_true(fake_machine_run_until(f->fm, has_run, f));
	/* Behind DLAB it is the divisor, and in loopback input. */
	out(f, UART_LCR, UART_LCR_DLAB);
	bus_write_run(&f->fm->pio, COM1, run, sizeof(run));
	assert_int_equal(in(f, UART_DLL), 'n');
	out(f, UART_LCR, 0);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_MCR, UART_MCR_LOOP);
	bus_write_run(&f->fm->pio, COM1, run, sizeof(run));
	for (size_t i = 0; i < sizeof(run); i++)
		assert_int_equal(in(f, UART_RX), run[i]);
	assert_string_equal(chr_memory_output(f->chr, NULL), "run");
}

static void test_stalled_output_stops_thre(void **state)
{
	struct fixture *f = *state;
	size_t sent = 0;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	chr_memory_stall(f->chr, true);
	while (in(f, UART_LSR) & UART_LSR_THRE) {
		out(f, UART_TX, (uint8_t)('a' + sent % 26));
		assert_in_range(++sent, 1, CHR_OUTPUT_BYTES + FIFO);
	}
	assert_int_equal(sent, CHR_OUTPUT_BYTES + 1);
	assert_false(in(f, UART_LSR) & UART_LSR_TEMT);
	/* The FIFO has room for a driver that sends 16 for each THRE. */
	while (sent < CHR_OUTPUT_BYTES + FIFO)
		out(f, UART_TX, (uint8_t)('a' + sent++ % 26));
	assert_int_equal(f->dev->guest_errors.total, 0);

	chr_memory_stall(f->chr, false);
	while (!(in(f, UART_LSR) & UART_LSR_THRE))
		assert_true(loop_run_once(f->fm->loop, 1000));
	for (size_t i = 0; i < CHR_MEMORY_BYTES; i++)
		assert_int_equal(chr_memory_output(f->chr, NULL)[i], 'a' + i % 26);
}

static void test_stalled_output_beyond_the_fifo_is_counted(void **state)
{
	struct fixture *f = *state;

	chr_memory_stall(f->chr, true);
	/* One byte fits into the port when its FIFO is off. */
	for (int i = 0; i < CHR_OUTPUT_BYTES + 1 + 3; i++)
		out(f, UART_TX, 'x');
	assert_int_equal(f->dev->guest_errors.total, 3);
}

/* As many as may come late come at once, behind what is there: a guest that looks loses none. */
static void test_stalled_run_is_kept(void **state)
{
	struct fixture *f = *state;
	uint8_t run[PIO_COALESCED_MAX] = {0};
	struct chr_stats stats;
	unsigned runs = 0;

	print_polled(f, 256);
	chr_memory_stall(f->chr, true);
	while (in(f, UART_LSR) & UART_LSR_THRE) {
		assert_true(bus_write_run(&f->fm->pio, COM1, run, sizeof(run)));
		assert_in_range(++runs, 1, CHR_OUTPUT_BYTES / sizeof(run) + 1);
	}
	chr_memory_stall(f->chr, false);
	while (!(in(f, UART_LSR) & UART_LSR_THRE))
		assert_true(loop_run_once(f->fm->loop, 1000));
	assert_int_equal(f->dev->guest_errors.total, 0);
	chr_get_stats(f->chr, &stats);
	assert_int_equal(stats.output_bytes, 256 + runs * sizeof(run));
	assert_int_equal(stats.lost_bytes, 0);
}

/* What a guest writes that does not look is lost, and said to be. */
static void test_stalled_run_has_a_limit(void **state)
{
	struct fixture *f = *state;
	uint8_t run[PIO_COALESCED_MAX] = {0};

	print_polled(f, 256);
	chr_memory_stall(f->chr, true);
	for (int i = 0; i < CHR_OUTPUT_BYTES / PIO_COALESCED_MAX + 4; i++)
		bus_write_run(&f->fm->pio, COM1, run, sizeof(run));
	assert_true(f->dev->guest_errors.total > 0);
}

static void test_stalled_output_interrupts_when_there_is_room(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_THRI);
	chr_memory_stall(f->chr, true);
	for (int i = 0; i < CHR_OUTPUT_BYTES + FIFO; i++)
		out(f, UART_TX, 'x');
	in(f, UART_IIR);
	assert_false(level(f));
	chr_memory_stall(f->chr, false);
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_THRI);
}

static void test_failed_line_does_not_stop_the_guest(void **state)
{
	struct fixture *f = *state;
	struct chr_stats stats;

	chr_memory_fail(f->chr, ENOSPC);
	for (int i = 0; i < CHR_OUTPUT_BYTES * 2; i++) {
		assert_true(in(f, UART_LSR) & UART_LSR_THRE);
		out(f, UART_TX, 'x');
	}
	chr_get_stats(f->chr, &stats);
	assert_int_equal(stats.lost_bytes, CHR_OUTPUT_BYTES * 2);
}

/* ---- The THRE interrupt ---- */

static void test_thre_interrupt_on_enable(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_THRI);
	assert_true(level(f));
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_THRI);
	/* Reading IIR takes it. */
	assert_false(level(f));
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	/* It comes again with the next enable. */
	out(f, UART_IER, 0);
	out(f, UART_IER, UART_IER_THRI);
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_THRI);
}

static void test_thre_interrupt_after_a_burst(void **state)
{
	struct fixture *f = *state;
	uint64_t count;

	open_port(f, UART_IER_THRI);
	in(f, UART_IIR);
	count = fake_machine_irq_count(f->fm, IRQ);
	for (int i = 0; i < FIFO; i++)
		out(f, UART_TX, 'x');
	/* One edge for the burst of a driver, not sixteen. */
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), count + 1);
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_THRI);
}

static void test_thre_edge_for_a_handler_that_never_reads_iir(void **state)
{
	struct fixture *f = *state;
	uint64_t count;

	open_port(f, UART_IER_THRI);
	count = fake_machine_irq_count(f->fm, IRQ);
	for (int i = 0; i < 3; i++) {
		assert_true(in(f, UART_LSR) & UART_LSR_THRE);
		out(f, UART_TX, 'x');
	}
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), count + 3);
}

static void test_out2_gates_the_interrupt(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_THRI);
	assert_true(level(f));
	out(f, UART_MCR, 0);
	assert_false(level(f));
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_THRI);
}

static void test_guest_that_never_used_out2_gets_interrupts(void **state)
{
	struct fixture *f = *state;

	out(f, UART_MCR, 0);
	out(f, UART_IER, UART_IER_RDI);
	feed(f, "x");
	assert_true(level(f));
	assert_int_equal(in(f, UART_RX), 'x');
	assert_false(level(f));
}

/* ---- Input ---- */

static void test_input_below_trigger_is_a_timeout(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_RDI);
	feed(f, "abc");
	assert_true(level(f));
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT);
	assert_int_equal(in(f, UART_RX), 'a');
	/* Reading ends the time-out; the rest times out again. */
	assert_false(level(f));
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	assert_int_equal(in(f, UART_RX), 'b');
	assert_int_equal(in(f, UART_RX), 'c');
	assert_false(in(f, UART_LSR) & UART_LSR_DR);
}

static void test_input_at_trigger_is_data(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_RDI);
	feed(f, "12345678");
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_RDI);
	assert_int_equal(in(f, UART_RX), '1');
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_NO_INT);
}

static void test_without_fifo_each_character_interrupts(void **state)
{
	struct fixture *f = *state;
	char text[3] = "";

	out(f, UART_MCR, UART_MCR_OUT2);
	out(f, UART_IER, UART_IER_RDI);
	feed(f, "xyz");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(in(f, UART_IIR), UART_IIR_RDI);
		text[i] = (char)in(f, UART_RX);
		assert_false(level(f));
		run(f);
	}
	assert_memory_equal(text, "xyz", 3);
}

static void test_flood_of_input_is_not_lost(void **state)
{
	struct fixture *f = *state;
	enum {
		LEN = 50000
	};
	char *sent = malloc(LEN), *got = malloc(LEN);
	size_t len = 0;

	for (int i = 0; i < LEN; i++)
		sent[i] = (char)(i * 7 + i / 256);
	open_port(f, UART_IER_RDI);
	assert_int_equal(chr_memory_feed(f->chr, sent, LEN), LEN);
	while (len < LEN) {
		assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
		/* A slow guest: at times one character, at times all there is. */
		do
			got[len++] = (char)in(f, UART_RX);
		while (len % 5 && (in(f, UART_LSR) & UART_LSR_DR));
	}
	assert_int_equal(len, LEN);
	assert_memory_equal(got, sent, LEN);
	free(sent);
	free(got);
}

static void test_input_waits_for_a_guest_that_listens(void **state)
{
	struct fixture *f = *state;
	char text[32];

	feed(f, "early");
	/* Stray reads of a driver that sets up: nothing there. */
	in(f, UART_LSR);
	assert_int_equal(in(f, UART_RX), 0);
	in(f, UART_IIR);
	in(f, UART_LSR);
	assert_int_equal(in(f, UART_RX), 0);
	run(f);
	open_port(f, UART_IER_RDI);
	run(f);
	read_all(f, text, sizeof(text));
	assert_string_equal(text, "early");
}

static void test_polling_guest_gets_input(void **state)
{
	struct fixture *f = *state;
	char text[32] = "";
	size_t len = 0;

	feed(f, "polled");
	for (int i = 0; i < 1000 && len < 6; i++) {
		run(f);
		if (in(f, UART_LSR) & UART_LSR_DR)
			text[len++] = (char)in(f, UART_RX);
	}
	assert_string_equal(text, "polled");
	assert_false(level(f));
}

static void test_guest_that_prints_and_polls_gets_input(void **state)
{
	struct fixture *f = *state;
	char text[32] = "";
	size_t len = 0;

	feed(f, "keys");
	for (int i = 0; i < 1000 && len < 4; i++) {
		if (in(f, UART_LSR) & UART_LSR_DR)
			text[len++] = (char)in(f, UART_RX);
		if (in(f, UART_LSR) & UART_LSR_THRE)
			out(f, UART_TX, '.');
		run(f);
	}
	assert_string_equal(text, "keys");
}

static bool is_readable(void *opaque)
{
	return in(opaque, UART_LSR) & UART_LSR_DR;
}

static void test_cleared_input_arrives_again(void **state)
{
	struct fixture *f = *state;
	char text[32];

	open_port(f, UART_IER_RDI);
	feed(f, "abcdefgh");
	assert_int_equal(in(f, UART_RX), 'a');
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_false(in(f, UART_LSR) & UART_LSR_DR);
	assert_false(level(f));
	/* Once more, in between, in the order it came. */
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	out(f, UART_FCR, 0);
	assert_false(in(f, UART_LSR) & UART_LSR_DR);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	feed(f, "ij");
	assert_true(fake_machine_run_until(f->fm, is_readable, f));
	run(f);
	read_all(f, text, sizeof(text));
	run(f);
	read_all(f, text + strlen(text), sizeof(text) - strlen(text));
	assert_string_equal(text, "bcdefghij");
}

/* What Linux's 8250 driver does from probe to open, with input from the first moment. */
static void test_linux_setup_loses_no_input(void **state)
{
	struct fixture *f = *state;
	char text[64];
	size_t len;

	feed(f, "uname -a\npoweroff\n");
	/* autoconfig: is there a port? */
	out(f, UART_IER, 0);
	out(f, UART_IER, 0x0f);
	run(f);
	assert_int_equal(in(f, UART_IER), 0x0f);
	out(f, UART_IER, 0);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(in(f, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	out(f, UART_MCR, 0);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(f, UART_IIR) >> 6, 3);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(f, UART_FCR, 0);
	in(f, UART_RX);
	run(f);
	/* startup */
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(f, UART_FCR, 0);
	for (int i = 0; i < 2; i++) {
		in(f, UART_LSR);
		in(f, UART_RX);
		in(f, UART_IIR);
		in(f, UART_MSR);
		run(f);
		/* A floating bus? Then: is the transmitter empty? */
		in(f, UART_LSR);
		in(f, UART_LSR);
		out(f, UART_IER, UART_IER_THRI);
		run(f);
		in(f, UART_LSR);
		assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_THRI);
		out(f, UART_IER, 0);
		out(f, UART_MCR, UART_MCR_OUT2);
	}
	/* set_termios: interrupts first, then the FIFO */
	out(f, UART_IER, UART_IER_RDI | UART_IER_RLSI);
	run(f);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	for (len = 0; len < 18;) {
		assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
		len += read_all(f, text + len, sizeof(text) - len);
	}
	assert_string_equal(text, "uname -a\npoweroff\n");
}

static void test_break_is_marked_at_its_place(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_RDI | UART_IER_RLSI);
	assert_int_equal(chr_memory_feed(f->chr, "ab", 2), 2);
	chr_memory_break(f->chr);
	run(f);
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_RX_TIMEOUT);
	assert_int_equal(in(f, UART_LSR) & 0x9f, UART_LSR_DR | 0x80);
	assert_int_equal(in(f, UART_RX), 'a');
	assert_int_equal(in(f, UART_RX), 'b');
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_RLSI);
	assert_int_equal(in(f, UART_LSR) & 0x9f, UART_LSR_DR | UART_LSR_BI | 0x80);
	/* Reading LSR takes the mark, not the character. */
	assert_int_equal(in(f, UART_LSR) & 0x9f, UART_LSR_DR);
	assert_int_equal(in(f, UART_RX), 0);
	feed(f, "h");
	assert_int_equal(in(f, UART_RX), 'h');
}

/* ---- Threads: a guest that echoes, while the loop feeds it ---- */

enum {
	ECHO_LEN = 20000
};

static void *echo_guest(void *opaque)
{
	struct fixture *f = opaque;

	for (int done = 0; done < ECHO_LEN;) {
		uint8_t byte;

		if (!(in(f, UART_LSR) & UART_LSR_DR)) {
			sched_yield();
			continue;
		}
		byte = in(f, UART_RX);
		while (!(in(f, UART_LSR) & UART_LSR_THRE))
			sched_yield();
		out(f, UART_TX, byte);
		done++;
	}
	return NULL;
}

static void test_echo_on_another_thread(void **state)
{
	struct fixture *f = *state;
	char *sent = malloc(ECHO_LEN);
	pthread_t guest;
	size_t len = 0;

	for (int i = 0; i < ECHO_LEN; i++)
		sent[i] = (char)('a' + i * 7 % 26);
	assert_int_equal(chr_memory_feed(f->chr, sent, ECHO_LEN), ECHO_LEN);
	open_port(f, UART_IER_RDI | UART_IER_THRI);
	assert_int_equal(pthread_create(&guest, NULL, echo_guest, f), 0);
	for (uint64_t written = 0; written < ECHO_LEN;) {
		struct chr_stats stats;

		assert_true(loop_run_once(f->fm->loop, 10));
		chr_get_stats(f->chr, &stats);
		written = stats.output_bytes;
	}
	pthread_join(guest, NULL);
	while (len < ECHO_LEN) {
		chr_memory_output(f->chr, &len);
		assert_true(loop_run_once(f->fm->loop, 1));
	}
	assert_memory_equal(chr_memory_output(f->chr, NULL), sent, ECHO_LEN);
	free(sent);
}

/* ---- Loopback, modem lines ---- */

static void test_loopback_data(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_MCR, UART_MCR_LOOP);
	out(f, UART_TX, 'L');
	assert_int_equal(in(f, UART_LSR), UART_LSR_DR | UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(in(f, UART_RX), 'L');
	run(f);
	assert_string_equal(chr_memory_output(f->chr, NULL), "");
	/* Input of the line waits meanwhile. */
	out(f, UART_IER, UART_IER_RDI);
	feed(f, "later");
	assert_false(in(f, UART_LSR) & UART_LSR_DR);
	out(f, UART_MCR, UART_MCR_OUT2);
	run(f);
	assert_int_equal(in(f, UART_RX), 'l');
}

static void test_loopback_overrun(void **state)
{
	struct fixture *f = *state;
	char text[32];

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_MCR, UART_MCR_LOOP);
	out(f, UART_IER, UART_IER_RLSI);
	for (int i = 0; i < FIFO + 2; i++)
		out(f, UART_TX, (uint8_t)('a' + i));
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_RLSI);
	assert_true(in(f, UART_LSR) & UART_LSR_OE);
	assert_false(in(f, UART_LSR) & UART_LSR_OE);
	assert_int_equal(read_all(f, text, sizeof(text)), FIFO);
	assert_string_equal(text, "abcdefghijklmnop");
	/* Without the FIFO the new character takes the place of the old. */
	out(f, UART_FCR, 0);
	out(f, UART_TX, '1');
	out(f, UART_TX, '2');
	assert_true(in(f, UART_LSR) & UART_LSR_OE);
	assert_int_equal(in(f, UART_RX), '2');
}

static void test_loopback_modem_lines(void **state)
{
	struct fixture *f = *state;

	out(f, UART_MCR, UART_MCR_LOOP);
	in(f, UART_MSR);
	out(f, UART_IER, UART_IER_MSI);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT1);
	assert_int_equal(in(f, UART_IIR), UART_IIR_MSI);
	/* RI going on is no event, going off is. */
	assert_int_equal(in(f, UART_MSR), UART_MSR_CTS | UART_MSR_RI | UART_MSR_DCTS);
	assert_int_equal(in(f, UART_IIR), UART_IIR_NO_INT);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_DTR | UART_MCR_OUT2);
	assert_int_equal(in(f, UART_MSR),
		UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD | UART_MSR_DDSR | UART_MSR_DDCD |
			UART_MSR_TERI);
	assert_int_equal(in(f, UART_MSR) & 0x0f, 0);
}

static void test_loopback_keeps_the_wire_quiet(void **state)
{
	struct fixture *f = *state;

	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	out(f, UART_IER, UART_IER_RDI | UART_IER_THRI);
	out(f, UART_TX, 'x');
	assert_int_equal(in(f, UART_IIR), UART_IIR_RDI);
	assert_false(level(f));
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), 0);
}

static void test_interrupt_priorities(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_MCR, UART_MCR_LOOP);
	out(f, UART_IER, 0x0f);
	for (int i = 0; i < FIFO + 1; i++)
		out(f, UART_TX, 'x');
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_RLSI);
	in(f, UART_LSR);
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_RDI);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_THRI);
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_MSI);
	in(f, UART_MSR);
	assert_int_equal(in(f, UART_IIR) & 0x0f, UART_IIR_NO_INT);
}

static void test_fifo_clear_bits_count_in_fcr_only(void **state)
{
	struct fixture *f = *state;

	open_port(f, UART_IER_RDI);
	feed(f, "keep");
	out(f, UART_LCR, UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(f, UART_SCR, UART_FCR_CLEAR_RCVR | UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(f, UART_RX), 'k');
}

/* ---- Reset ---- */

static void test_reset_is_power_on(void **state)
{
	struct fixture *f = *state;

	open_port(f, 0x0f);
	out(f, UART_SCR, 0x55);
	out(f, UART_LCR, UART_LCR_DLAB);
	feed(f, "abc");
	assert_true(level(f));
	device_reset(f->dev);
	assert_false(level(f));
	test_power_on_registers(state);
	assert_int_equal(in(f, UART_SCR), 0);
	run(f);
	/* Input of the next life arrives. */
	open_port(f, UART_IER_RDI);
	feed(f, "n");
	assert_int_equal(in(f, UART_RX), 'n');
}

static void test_polled_output_may_come_late(void **state)
{
	struct fixture *f = *state;

	print_polled(f, 255);
	/* Characters without a look at LSR, as a driver sends by interrupts, do not count. */
	for (int i = 0; i < 1000; i++)
		out(f, UART_TX, 'y');
	assert_int_equal(f->fm->coalesce_calls, 0);
	print_polled(f, 1);
	assert_int_equal(f->fm->coalesce_calls, 1);
	assert_int_equal(f->fm->coalesced_port, COM1);
	assert_int_equal(f->fm->coalesced_status, COM1 + UART_LSR);
	/* It may have ended by itself: asked for again while it goes on. */
	print_polled(f, 256);
	assert_int_equal(f->fm->coalesce_calls, 2);
}

static void test_late_output_ends_with_interrupts(void **state)
{
	struct fixture *f = *state;

	out(f, UART_IER, UART_IER_THRI);
	out(f, UART_IER, 0);
	assert_int_equal(f->fm->coalesce_calls, 0);
	print_polled(f, 256);
	assert_int_equal(f->fm->coalesced_port, COM1);
	out(f, UART_IER, UART_IER_RDI);
	assert_int_equal(f->fm->coalesced_port, COM1);
	out(f, UART_IER, UART_IER_RDI | UART_IER_THRI);
	assert_int_equal(f->fm->coalesced_port, 0);
	print_polled(f, 1000);
	assert_int_equal(f->fm->coalesced_port, 0);
	out(f, UART_IER, 0);
	print_polled(f, 256);
	assert_int_equal(f->fm->coalesced_port, COM1);
}

static void test_late_output_ends_with_loopback(void **state)
{
	struct fixture *f = *state;

	print_polled(f, 256);
	out(f, UART_MCR, UART_MCR_LOOP);
	assert_int_equal(f->fm->coalesced_port, 0);
	for (int i = 0; i < 1000; i++) {
		in(f, UART_LSR);
		out(f, UART_TX, 'x');
	}
	assert_int_equal(f->fm->coalesced_port, 0);
}

static void test_late_output_is_forgotten_by_reset(void **state)
{
	struct fixture *f = *state;

	print_polled(f, 256);
	device_reset(f->dev);
	print_polled(f, 255);
	assert_int_equal(f->fm->coalesce_calls, 1);
	print_polled(f, 1);
	assert_int_equal(f->fm->coalesce_calls, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(power_on_registers),
		TEST(scratch_and_masks),
		TEST(divisor_behind_dlab),
		TEST(iir_shows_fifo),
		TEST(wide_access),
		TEST(second_port_has_its_own_place),
		TEST(third_port_is_refused),
		TEST(output_arrives_in_order),
		TEST(polled_output_may_come_late),
		TEST(late_output_ends_with_interrupts),
		TEST(late_output_ends_with_loopback),
		TEST(late_output_is_forgotten_by_reset),
		TEST(a_line_is_few_writes),
		TEST(stalled_output_stops_thre),
		TEST(stalled_output_beyond_the_fifo_is_counted),
		TEST(stalled_run_is_kept),
		TEST(stalled_run_has_a_limit),
		TEST(run_of_writes),
		TEST(stalled_output_interrupts_when_there_is_room),
		TEST(failed_line_does_not_stop_the_guest),
		TEST(thre_interrupt_on_enable),
		TEST(thre_interrupt_after_a_burst),
		TEST(thre_edge_for_a_handler_that_never_reads_iir),
		TEST(out2_gates_the_interrupt),
		TEST(guest_that_never_used_out2_gets_interrupts),
		TEST(input_below_trigger_is_a_timeout),
		TEST(input_at_trigger_is_data),
		TEST(without_fifo_each_character_interrupts),
		TEST(flood_of_input_is_not_lost),
		TEST(input_waits_for_a_guest_that_listens),
		TEST(polling_guest_gets_input),
		TEST(guest_that_prints_and_polls_gets_input),
		TEST(cleared_input_arrives_again),
		TEST(linux_setup_loses_no_input),
		TEST(break_is_marked_at_its_place),
		TEST(echo_on_another_thread),
		TEST(loopback_data),
		TEST(loopback_overrun),
		TEST(loopback_modem_lines),
		TEST(loopback_keeps_the_wire_quiet),
		TEST(interrupt_priorities),
		TEST(fifo_clear_bits_count_in_fcr_only),
		TEST(reset_is_power_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
