/* Several processors, and what keeps them apart. */
#include "smp.h"

enum {
	APIC_ID = 0x20,
	APIC_SPURIOUS = 0xf0,
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
};

#define APIC 0xfee00000ull

/* trampoline.S */
extern const uint8_t trampoline[], trampoline_end[];

/* Step 1 */
unsigned cpu_id(void)
{
	return 0;
}

/* Steps 1 to 4 */
bool cpu_start(unsigned id, cpu_fn *fn)
{
	(void)id;
	(void)fn;
	print("cpu_start() is still empty\n");
	exit_vm(1);
}

/* Step 5 */
void lock_acquire(struct lock *lock)
{
	(void)lock;
	exit_vm(5);
}

void lock_release(struct lock *lock)
{
	(void)lock;
}

/* Step 6 */
void barrier_wait(struct barrier *barrier, unsigned cpus)
{
	(void)barrier;
	(void)cpus;
	exit_vm(6);
}
