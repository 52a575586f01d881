/*
 * See uart_rx.h. National Semiconductor PC16550D, sections 8.4 and 8.5.
 */
#include "devices/legacy/uart_rx.h"

#include "vmm/base/util.h"

void uart_rx_init(struct uart_rx *rx)
{
	ring_init(&rx->fifo, rx->fifo_bytes, sizeof(rx->fifo_bytes));
	ring_init(&rx->held, rx->held_bytes, sizeof(rx->held_bytes));
	rx->breaks = 0;
}

void uart_rx_reset(struct uart_rx *rx)
{
	uart_rx_discard(rx);
	ring_clear(&rx->held);
}

size_t uart_rx_used(const struct uart_rx *rx)
{
	return ring_used(&rx->fifo);
}

size_t uart_rx_held(const struct uart_rx *rx)
{
	return ring_used(&rx->held);
}

size_t uart_rx_room(const struct uart_rx *rx, size_t size)
{
	size_t used = ring_used(&rx->fifo);

	return used < size ? size - used : 0;
}

bool uart_rx_put(struct uart_rx *rx, uint8_t byte, bool is_break, size_t size)
{
	bool has_room = uart_rx_room(rx, size) > 0;

	if (!has_room && size > 1)
		return false;
	if (!has_room)
		uart_rx_discard(rx);
	if (is_break)
		rx->breaks |= (uint16_t)(1u << ring_used(&rx->fifo));
	ring_put(&rx->fifo, &byte, 1);
	return has_room;
}

bool uart_rx_get(struct uart_rx *rx, uint8_t *byte)
{
	if (!ring_get(&rx->fifo, byte, 1))
		return false;
	rx->breaks >>= 1;
	return true;
}

bool uart_rx_break_is_next(const struct uart_rx *rx)
{
	return rx->breaks & 1;
}

void uart_rx_unmark_next(struct uart_rx *rx)
{
	rx->breaks &= (uint16_t)~1u;
}

bool uart_rx_has_break(const struct uart_rx *rx)
{
	return rx->breaks;
}

void uart_rx_discard(struct uart_rx *rx)
{
	ring_clear(&rx->fifo);
	rx->breaks = 0;
}

void uart_rx_hold(struct uart_rx *rx)
{
	uint8_t bytes[UART_RX_BYTES], byte;
	size_t count = 0, later = ring_used(&rx->held);

	/* In front of those that are held already: these came earlier. Breaks are no input. */
	for (bool is_break = rx->breaks & 1; uart_rx_get(rx, &byte); is_break = rx->breaks & 1)
		if (!is_break && count + later < sizeof(bytes))
			bytes[count++] = byte;
	ring_get(&rx->held, bytes + count, later);
	ring_put(&rx->held, bytes, count + later);
}

bool uart_rx_release(struct uart_rx *rx, size_t size)
{
	bool any = false;
	uint8_t byte;

	while (uart_rx_room(rx, size) && ring_get(&rx->held, &byte, 1))
		any = uart_rx_put(rx, byte, false, size);
	return any;
}
