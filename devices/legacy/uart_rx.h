/*
 * The receive FIFO of a UART, with a second one behind it for characters that the
 * guest discarded without reading: they arrive once more. Knows neither registers nor
 * interrupts; no lock of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/ring.h"

enum {
	UART_RX_BYTES = 16
};

struct uart_rx {
	struct ring fifo;
	uint8_t fifo_bytes[UART_RX_BYTES];
	uint16_t breaks; /* bit n: the n-th byte of the FIFO is a break */
	struct ring held;
	uint8_t held_bytes[UART_RX_BYTES];
};

/* In the caller's memory, which must not move; nothing to undo. */
void uart_rx_init(struct uart_rx *rx);

/* Forgets everything, what is held as well. */
void uart_rx_reset(struct uart_rx *rx);

size_t uart_rx_used(const struct uart_rx *rx);
size_t uart_rx_held(const struct uart_rx *rx);

/* Room in a FIFO of `size` bytes: 1 where the guest has switched it off. */
size_t uart_rx_room(const struct uart_rx *rx, size_t size);

/*
 * A character arrives. False when there was no room: a FIFO then keeps what it has, and a
 * single register (`size` 1) takes the new one.
 */
bool uart_rx_put(struct uart_rx *rx, uint8_t byte, bool is_break, size_t size);

/* The guest reads one; false when there is none. */
bool uart_rx_get(struct uart_rx *rx, uint8_t *byte);

/* Whether the next character is a break; takes the mark off, once it was told of. */
bool uart_rx_break_is_next(const struct uart_rx *rx);
void uart_rx_unmark_next(struct uart_rx *rx);
bool uart_rx_has_break(const struct uart_rx *rx);

/* The guest discards what is in the FIFO: for good, or to arrive once more. */
void uart_rx_discard(struct uart_rx *rx);
void uart_rx_hold(struct uart_rx *rx);

/* Lets arrive what is held, as far as there is room; false when nothing did. */
bool uart_rx_release(struct uart_rx *rx, size_t size);
