/* The driver of the virtio entropy device. It finds none; the rest is yours. */
#include "rng.h"

enum {
	MAGIC_VALUE = 0x000,
};

/* Step 1 */
volatile uint32_t *rng_find(unsigned *pin)
{
	*pin = 0;
	return NULL;
}

/* Step 2 */
bool rng_init(volatile uint32_t *registers)
{
	(void)registers;
	return false;
}

/* Step 3. Ending the machine is better than waiting for ever. */
void rng_ask(void *bytes, unsigned size)
{
	(void)bytes;
	(void)size;
	exit_vm(3);
}

/* Steps 4 and 5 */
bool rng_take(unsigned *size)
{
	*size = 0;
	return false;
}

/* Step 6 */
void rng_interrupt(void)
{
}
