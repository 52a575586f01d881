/* The driver that this lab is about. The README says what each function has to do. */
#pragma once

#include "lab.h"

/*
 * The registers of the first entropy device, and to which pin of the I/O APIC its interrupt goes;
 * NULL where there is none. Register N of the specification is registers[N / 4].
 */
volatile uint32_t *rng_find(unsigned *pin);

/* Brings the device up, with one queue. Returns false where it does not take the driver. */
bool rng_init(volatile uint32_t *registers);

/* Asks for random bytes, at most `size` of them. Does not wait; until the answer is taken it is alone. */
void rng_ask(void *bytes, unsigned size);

/* Whether there is an answer; then how many bytes the device has written. Does not wait. */
bool rng_take(unsigned *size);

/* The device has interrupted: acknowledges that to it. */
void rng_interrupt(void);
