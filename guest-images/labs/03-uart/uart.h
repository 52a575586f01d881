/* The driver that this lab is about. The README says what each function has to do. */
#pragma once

#include "lab.h"

/* ---- Polled ---- */

/* 115200 baud, 8 data bits, no parity, 1 stop bit, FIFOs on, no interrupts. */
void uart_init(void);

/* Waits until there is room for a character, and sends it. */
void uart_put(char c);

/* A character that has arrived (0 to 255), or -1 where there is none. Does not wait. */
int uart_get(void);

/* ---- By interrupt ---- */

enum {
	UART_RING_BYTES = 256
};

/* From now on what arrives goes into a ring, by interrupt 4. Called with interrupts off. */
void uart_start_interrupts(void);

/* The oldest character in the ring, or -1 where it is empty. Touches no port. */
int uart_read(void);
