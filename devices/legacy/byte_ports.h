/*
 * Devices of the ISA bus are 8 bits wide: the bus makes one wide access into as
 * many accesses of one byte, to one port after the other, lowest first.
 */
#pragma once

#include <stdint.h>

typedef uint8_t (*byte_read_fn)(void *opaque, unsigned port);
typedef void (*byte_write_fn)(void *opaque, unsigned port, uint8_t value);

static inline uint64_t byte_ports_read(
	void *opaque, uint64_t offset, unsigned size, byte_read_fn read)
{
	uint64_t value = 0;

	if (size == 1)
		return read(opaque, (unsigned)offset);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read(opaque, (unsigned)offset + i) << (8 * i);
	return value;
}

static inline void byte_ports_write(
	void *opaque, uint64_t offset, unsigned size, uint64_t value, byte_write_fn write)
{
	if (size == 1) {
		write(opaque, (unsigned)offset, (uint8_t)value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		write(opaque, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
}
