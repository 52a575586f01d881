/* Two stacks for all processors. It goes well as long as there are not more than three of them. */
#include "smp.h"

enum {
	APIC_ID = 0x20,
	APIC_SPURIOUS = 0xf0,
	SPURIOUS_ON = 0x1ff, /* the APIC is on; vector 255 */
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
	ICR_INIT = 0x4500,
	ICR_STARTUP = 0x4600,
	ICR_PENDING = 1 << 12,
	INIT_US = 10000,
	STARTUP_US = 200,
	PATIENCE_US = 500000,
	POLL_US = 5000,
};

#define APIC 0xfee00000ull

/* trampoline.S */
extern const uint8_t trampoline[], trampoline_end[], trampoline_cr3[];
extern uint8_t *volatile next_stack;
_Noreturn void cpu_main(void);

static uint8_t stacks[CPUS_MAX][CPU_STACK_BYTES] __attribute__((aligned(16)));
/* For the processor that is being started, and its answer. */
uint8_t *volatile next_stack;
static cpu_fn *volatile next_fn;
static volatile bool has_started;

/* ---- The local APIC ---- */

static volatile uint32_t *apic(unsigned offset)
{
	return (volatile uint32_t *)(APIC + offset);
}

unsigned cpu_id(void)
{
	return *apic(APIC_ID) >> 24;
}

static void send(unsigned id, uint32_t command)
{
	*apic(APIC_ICR_HIGH) = id << 24;
	*apic(APIC_ICR_LOW) = command;
	while (*apic(APIC_ICR_LOW) & ICR_PENDING)
		;
}

/* ---- Starting ---- */

/* Called by the trampoline, on the new stack. */
_Noreturn void cpu_main(void)
{
	cpu_fn *fn = next_fn;

	has_started = true;
	fn();
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void write_trampoline(void)
{
	volatile uint8_t *to = (volatile uint8_t *)TRAMPOLINE;
	uint64_t cr3;

	for (const uint8_t *from = trampoline; from < trampoline_end; from++)
		*to++ = *from;
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	*(volatile uint32_t *)(TRAMPOLINE + (trampoline_cr3 - trampoline)) = (uint32_t)cr3;
}

bool cpu_start(unsigned id, cpu_fn *fn)
{
	*apic(APIC_SPURIOUS) = SPURIOUS_ON;
	write_trampoline();
	next_stack = stacks[id & 1] + CPU_STACK_BYTES;
	next_fn = fn;
	has_started = false;
	send(id, ICR_INIT);
	delay(INIT_US);
	for (unsigned i = 0; i < 2 && !has_started; i++) {
		send(id, ICR_STARTUP | TRAMPOLINE >> 12);
		delay(STARTUP_US);
	}
	for (unsigned us = 0; us < PATIENCE_US && !has_started; us += POLL_US)
		delay(POLL_US);
	return has_started;
}

/* ---- Locks ---- */

static uint32_t exchange(volatile uint32_t *at, uint32_t value)
{
	__asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*at) : : "memory");
	return value;
}

static void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

void lock_acquire(struct lock *lock)
{
	while (exchange(&lock->is_held, 1))
		while (lock->is_held)
			pause();
}

void lock_release(struct lock *lock)
{
	/* All that was written before is seen before: stores keep their order (8.2.2). */
	__asm__ volatile("" : : : "memory");
	lock->is_held = 0;
}

void barrier_wait(struct barrier *barrier, unsigned cpus)
{
	unsigned round;

	lock_acquire(&barrier->lock);
	round = barrier->round;
	if (++barrier->arrived == cpus) {
		barrier->arrived = 0;
		barrier->round++;
	}
	lock_release(&barrier->lock);
	while (barrier->round == round)
		pause();
}
