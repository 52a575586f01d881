/* See tasks.h. The timer: Intel's data sheet of the 8254, 231164. */
#include "tasks.h"

enum {
	PIT_HZ = 1193182,
	PIT_CHANNEL0 = 0x40,
	PIT_COMMAND = 0x43,
	PIT_LOW_HIGH_MODE2 = 0x34,
	TIMER_IRQ = 0,
	CODE_SELECTOR = 0x10,
	DATA_SELECTOR = 0x18,
	FLAGS_INTERRUPTS_ON = 0x202, /* bit 1 is always set */
	IDLE = TASKS,
};

static volatile unsigned ticks;

/* Where each task stands, the one that halts last. What runs has its frame in the processor. */
static struct frame *frames[TASKS + 1];
static unsigned wake_at[TASKS];
static unsigned current = IDLE;
static uint8_t stacks[TASKS][TASK_STACK_BYTES] __attribute__((aligned(16)));

unsigned timer_ticks(void)
{
	return ticks;
}

/* ---- Switching ---- */

/* The next in turn that is awake. Ticks wrap: what is half of all numbers away is in the past. */
static unsigned choose(void)
{
	for (unsigned n = 1; n <= TASKS; n++) {
		unsigned task = (current + n) % TASKS;

		if ((int)(ticks - wake_at[task]) >= 0)
			return task;
	}
	return IDLE;
}

static struct frame *switch_task(struct frame *frame)
{
	/* Before tasks_run() there is nothing to switch to. */
	if (!frames[0])
		return frame;
	frames[current] = frame;
	current = choose();
	return frames[current];
}

static struct frame *handle_tick(struct frame *frame)
{
	ticks++;
	pic_done(TIMER_IRQ);
	return switch_task(frame);
}

void timer_start(unsigned hz)
{
	unsigned divisor = PIT_HZ / hz;

	interrupts_set_handler(PIC_VECTOR + TIMER_IRQ, handle_tick);
	outb(PIT_COMMAND, PIT_LOW_HIGH_MODE2);
	outb(PIT_CHANNEL0, divisor & 0xff);
	outb(PIT_CHANNEL0, (uint8_t)(divisor >> 8));
	pic_unmask(TIMER_IRQ);
}

/* ---- Tasks ---- */

/* As if the task had been interrupted before its first instruction. */
static void make_task(unsigned task, task_fn *fn)
{
	uint8_t *top = stacks[task] + TASK_STACK_BYTES;
	struct frame *frame = (struct frame *)top - 1;

	*frame = (struct frame){
		.rip = (uint64_t)fn,
		.cs = CODE_SELECTOR,
		.rflags = FLAGS_INTERRUPTS_ON,
		.rsp = (uint64_t)top - 8, /* as if its caller had pushed a way back */
		.ss = DATA_SELECTOR,
	};
	frames[task] = frame;
	wake_at[task] = ticks;
}

_Noreturn void tasks_run(task_fn *first, task_fn *second)
{
	cli();
	make_task(1, second);
	make_task(0, first);
	/* From here on this is the task that halts. */
	for (;;)
		sti_hlt();
}

void tasks_sleep(unsigned how_long)
{
	wake_at[current] = ticks + how_long;
	yield(switch_task);
}
