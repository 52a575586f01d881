/*
 * Calls the student's functions as the test asks by a word of the command line. The tasks are here:
 * they never give the processor away unless they say so.
 */
#include "tasks.h"

enum {
	HZ = 100,
	PIT_HZ = 1193182,
	PIT_CHANNEL0 = 0x40,
	PIT_COMMAND = 0x43,
	READ_BACK_STATUS = 0xe2, /* of channel 0 */
	STATUS_LOW_HIGH = 3 << 4,
	STATUS_MODE = 7 << 1,
};

unsigned check_registers(uint64_t seed, uint64_t rounds);

static volatile uint64_t rounds[TASKS];

/* With interrupts off: the other task may be about to say the same. */
static _Noreturn void finish(bool is_right, const char *what)
{
	cli();
	print(is_right ? "ok: " : "WRONG: ");
	print(what);
	print("\n");
	exit_vm(!is_right);
}

static void start(void)
{
	interrupts_init();
	pic_init();
	timer_start(HZ);
}

/* ---- The timer alone ---- */

static unsigned read_count(void)
{
	unsigned low;

	outb(PIT_COMMAND, 0);
	low = inb(PIT_CHANNEL0);
	return low | (unsigned)inb(PIT_CHANNEL0) << 8;
}

static void check_timer(void)
{
	unsigned status, mode, count, highest = 0;

	start();
	outb(PIT_COMMAND, READ_BACK_STATUS);
	status = inb(PIT_CHANNEL0);
	mode = (status & STATUS_MODE) >> 1 & 3;
	if ((status & STATUS_LOW_HIGH) != STATUS_LOW_HIGH || (mode != 2 && mode != 3))
		finish(false, "channel 0 counts in mode 2 or 3, set by two bytes");
	sti();
	while (timer_ticks() < 10) {
		count = read_count();
		highest = count > highest ? count : highest;
	}
	cli();
	if (highest > PIT_HZ / HZ || highest < PIT_HZ / HZ / 2)
		finish(false, "it counts down from 1193182 / 100");
	finish(true, "ten ticks have come");
}

/* ---- Two tasks that never wait ---- */

/* Ticks that a busy host has held back come all at once, so turns are counted, not rounds. */
static void count_first(void)
{
	uint64_t seen = 0;
	unsigned turns = 0;

	for (;;) {
		rounds[0]++;
		if (rounds[1] != seen) {
			seen = rounds[1];
			turns++;
		}
		if (turns == 10 || timer_ticks() >= 60)
			finish(turns == 10, "both tasks got their share");
	}
}

static void count_second(void)
{
	for (;;)
		rounds[1]++;
}

/* ---- Registers ---- */

static void keep_registers(unsigned own, uint64_t seed)
{
	for (;;) {
		if (check_registers(seed, 200))
			finish(false, "a register had another value after a switch");
		rounds[own]++;
		if (timer_ticks() >= 20 && rounds[0] && rounds[1])
			finish(true, "registers are what they were");
	}
}

static void keep_first(void)
{
	keep_registers(0, 0x1111111111111100);
}

static void keep_second(void)
{
	keep_registers(1, 0x2222222222222200);
}

/* ---- Flags: interrupts off are off in one task only ---- */

static uint64_t read_flags(void)
{
	uint64_t flags;

	__asm__ volatile("pushf; pop %0" : "=r"(flags));
	return flags;
}

static void flags_first(void)
{
	for (;;) {
		if (!(read_flags() & 1u << 9))
			finish(false, "a task runs with interrupts on");
		if (timer_ticks() >= 8 && rounds[1])
			finish(true, "a task starts with interrupts on and with its stack aligned");
	}
}

static void flags_second(void)
{
	/* At the first instruction of a function RSP + 8 is a multiple of 16 (System V ABI). */
	if ((uint64_t)__builtin_frame_address(0) % 16)
		finish(false, "the stack of a new task is aligned as after a call");
	for (;;)
		rounds[1]++;
}

/* ---- Sleeping ---- */

static volatile bool second_is_done;

static void sleep_first(void)
{
	unsigned before = timer_ticks(), slept;

	tasks_sleep(6);
	slept = timer_ticks() - before;
	/* On a busy host ticks come late and several at a time. */
	if (slept < 6 || slept > 30)
		finish(false, "who sleeps for 6 ticks sleeps for 6 ticks");
	if (!rounds[1])
		finish(false, "the other one went on meanwhile");
	while (!second_is_done)
		tasks_sleep(1);
	finish(true, "sleeping, and the halt of both");
}

static void sleep_second(void)
{
	unsigned before = timer_ticks();

	while (timer_ticks() < before + 8)
		rounds[1]++;
	for (unsigned i = 0; i < 3; i++)
		tasks_sleep(2);
	second_is_done = true;
	for (;;)
		tasks_sleep(100);
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)boot_params;
	if (!has_word(words, "two") && !has_word(words, "registers") && !has_word(words, "flags") &&
		!has_word(words, "sleep"))
		check_timer();
	start();
	if (has_word(words, "registers"))
		tasks_run(keep_first, keep_second);
	if (has_word(words, "flags"))
		tasks_run(flags_first, flags_second);
	if (has_word(words, "sleep"))
		tasks_run(sleep_first, sleep_second);
	tasks_run(count_first, count_second);
}
