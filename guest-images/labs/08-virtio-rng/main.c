/*
 * Calls the driver as the test asks by a word of the command line, and tells what it found. Not the
 * student's: what it reads from the device it reads itself.
 */
#include "apic.h"
#include "interrupts.h"
#include "rng.h"

enum {
	QUEUE_SELECT = 0x030,
	QUEUE_READY = 0x044,
	INTERRUPT_STATUS = 0x060,
	STATUS = 0x070,
	VECTOR = 0x40,
	READS = 40,
	SLEEPS = 5,
	BYTES_MAX = 8192,
	UNTOUCHED = 0xa5,
	MARGIN = 64,
};

static volatile uint32_t *registers;
static unsigned pin; /* of the I/O APIC */
static uint8_t bytes[BYTES_MAX];
static volatile unsigned interrupts;

static int fail(const char *why)
{
	print(why);
	print("\n");
	return 1;
}

/* ---- What each word asks for ---- */

static int find(void)
{
	print("entropy device at 0x");
	print_hex((uint64_t)registers, 8);
	print(", pin ");
	print_number(pin);
	print("\n");
	return 0;
}

static int show_status(void)
{
	print("status ");
	print_hex(registers[STATUS / 4], 2);
	registers[QUEUE_SELECT / 4] = 0;
	print(registers[QUEUE_READY / 4] == 1 ? ", queue ready\n" : ", queue not ready\n");
	return 0;
}

static bool is_untouched(unsigned from, unsigned to)
{
	while (from < to && bytes[from] == UNTOUCHED)
		from++;
	return from == to;
}

static unsigned take_polling(void)
{
	unsigned got;

	while (!rng_take(&got))
		;
	return got;
}

/* Only the interrupt wakes the processor, and when it has come the answer is there. */
static unsigned take_sleeping(void)
{
	unsigned before = interrupts, got;

	while (interrupts == before) {
		sti_hlt();
		cli();
	}
	if (!rng_take(&got))
		exit_vm((uint8_t)fail("an interrupt, and no answer"));
	return got;
}

/* Reads `size` bytes to bytes[at]; what is behind them has to stay as it is. */
static unsigned read(unsigned (*take)(void), unsigned at, unsigned size)
{
	unsigned got;

	for (unsigned i = at; i < at + size + MARGIN; i++)
		bytes[i] = UNTOUCHED;
	rng_ask(bytes + at, size);
	got = take();
	if (got > size)
		exit_vm((uint8_t)fail("more bytes than there is room for"));
	if (is_untouched(at, at + got))
		exit_vm((uint8_t)fail("nothing was written"));
	if (!is_untouched(at + got, at + size + MARGIN))
		exit_vm((uint8_t)fail("more bytes were written than rng_take() says"));
	return got;
}

static bool is_same(unsigned one, unsigned other, unsigned size)
{
	unsigned i = 0;

	while (i < size && bytes[one + i] == bytes[other + i])
		i++;
	return i == size;
}

static int read_twice(void)
{
	unsigned first = read(take_polling, 0, 32), second = read(take_polling, 128, 32);

	print_number(first);
	print(" bytes, ");
	print_number(second);
	print(is_same(0, 128, 32) ? " bytes, the same\n" : " bytes, others\n");
	return 0;
}

/* More than any ring has entries. */
static int read_often(void)
{
	for (unsigned n = 0; n < READS; n++) {
		unsigned at = n % 2 * 128;

		if (read(take_polling, at, 16) != 16)
			return fail("not 16 bytes");
		if (n && is_same(at, 128 - at, 16))
			return fail("the same bytes again");
	}
	print_number(READS);
	print(" reads\n");
	return 0;
}

static int read_much(void)
{
	print_number(read(take_polling, 0, 5000));
	print(" of 5000 bytes\n");
	return 0;
}

static struct frame *handle_interrupt(struct frame *frame)
{
	interrupts++;
	rng_interrupt();
	apic_done();
	return frame;
}

static int read_by_interrupt(void)
{
	interrupts_init();
	apic_init();
	interrupts_set_handler(VECTOR, handle_interrupt);
	apic_route(pin, VECTOR);
	cli();
	for (unsigned n = 0; n < SLEEPS; n++)
		read(take_sleeping, 0, 64);
	print_number(SLEEPS);
	print(" reads, ");
	print_number(interrupts);
	print(" interrupts, ");
	print(registers[INTERRUPT_STATUS / 4] ? "not acknowledged\n" : "acknowledged\n");
	return 0;
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)boot_params;
	registers = rng_find(&pin);
	if (!registers)
		return fail("no entropy device");
	if (has_word(words, "find"))
		return find();
	if (!rng_init(registers))
		return fail("the device does not take the driver");
	if (has_word(words, "status"))
		return show_status();
	if (has_word(words, "often"))
		return read_often();
	if (has_word(words, "much"))
		return read_much();
	if (has_word(words, "interrupt"))
		return read_by_interrupt();
	return read_twice();
}
