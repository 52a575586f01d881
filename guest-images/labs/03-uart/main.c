/*
 * Calls the driver as the test asks by a word of the command line, and tells on the serial port
 * what it found. Not the student's: what it reads from the chip it reads itself.
 */
#include "interrupts.h"
#include "uart.h"

enum {
	UART = 0x3f8,
	IER = UART + 1,
	IIR = UART + 2,
	LCR = UART + 3,
	LSR = UART + 5,
	LCR_DLAB = 0x80,
	LSR_DATA = 0x01,
	LINE_BYTES = 300,
};

static void put(const char *text)
{
	while (*text)
		uart_put(*text++);
}

static void put_hex(unsigned value, unsigned digits)
{
	while (digits--)
		uart_put("0123456789abcdef"[value >> (4 * digits) & 15]);
}

/* ---- What each word asks for ---- */

static int show_settings(void)
{
	unsigned lcr = inb(LCR), ier = inb(IER), iir = inb(IIR), divisor;

	outb(LCR, lcr | LCR_DLAB);
	divisor = inb(UART) | (unsigned)inb(UART + 1) << 8;
	outb(LCR, lcr);
	put("LCR ");
	put_hex(lcr, 2);
	put(", divisor ");
	put_hex(divisor, 4);
	put(", IER ");
	put_hex(ier, 2);
	put(iir >> 6 == 3 ? ", FIFOs on\n" : ", FIFOs off\n");
	return 0;
}

/* Reads a line with `get` and sends it back. */
static void echo_line(int (*get)(void))
{
	char line[LINE_BYTES + 1];
	unsigned n = 0;
	int c;

	while ((c = get()) != '\n')
		if (c >= 0 && n < LINE_BYTES)
			line[n++] = (char)c;
	line[n] = '\0';
	put("echo: ");
	put(line);
	put("\n");
}

static int echo_polled(void)
{
	put("type\n");
	echo_line(uart_get);
	return 0;
}

/* The ring's reader sleeps: only an interrupt wakes it up. */
static int read_sleeping(void)
{
	int c;

	cli();
	while ((c = uart_read()) < 0) {
		sti_hlt();
		cli();
	}
	sti();
	return c;
}

static int echo_by_interrupt(void)
{
	interrupts_init();
	pic_init();
	uart_start_interrupts();
	put("type\n");
	/* With interrupts off something has arrived, and still nothing is in the ring. */
	while (!(inb(LSR) & LSR_DATA))
		;
	if (uart_read() >= 0) {
		put("uart_read() looked at the port\n");
		return 1;
	}
	echo_line(read_sleeping);
	return 0;
}

/* Nobody reads until all of it has arrived: the ring keeps 255 characters at least. */
static int echo_late(void)
{
	interrupts_init();
	pic_init();
	uart_start_interrupts();
	put("type\n");
	sti();
	for (unsigned n = 0; n < 20000; n++)
		inb(LSR);
	echo_line(read_sleeping);
	return 0;
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)boot_params;
	uart_init();
	if (has_word(words, "settings"))
		return show_settings();
	if (has_word(words, "echo"))
		return echo_polled();
	if (has_word(words, "interrupt"))
		return echo_by_interrupt();
	if (has_word(words, "late"))
		return echo_late();
	put("Hello from the UART.\n");
	return 0;
}
