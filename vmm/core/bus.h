/*
 * A bus: sorted, disjoint address ranges, each with a device behind it. There
 * are two, port I/O (64 KiB) and MMIO (all guest-physical addresses without RAM).
 *
 * Filled by one thread while the machine is built, then frozen: from then on
 * look-ups take no lock and are safe from all vCPU threads. The lock of a
 * range (its device's) is held round each call of its operations.
 *
 * A device sees an offset into its range and a size of 1, 2, 4 or 8 bytes,
 * never an address. An access that leaves its range is split into bytes. Bytes
 * that nobody claims read as all ones, and writes to them go nowhere.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct bus_ops {
	/* Returns the value in its low `size` bytes; higher bytes are ignored. */
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
	/* `value` is zero above its low `size` bytes. */
	void (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
	/* Or NULL: `count` writes of a byte to one offset, one after the other. */
	void (*write_run)(void *opaque, uint64_t offset, const uint8_t *bytes, size_t count);
};

struct bus_range {
	uint64_t base;
	uint64_t size; /* > 0, base + size does not wrap */
	const struct bus_ops *ops;
	void *opaque;
	pthread_mutex_t *lock; /* borrowed, may be NULL */
	const char *name;      /* borrowed: the device's name */
};

enum {
	BUS_RANGES_MAX = 256
};

struct bus {
	const char *name; /* "port" or "MMIO", for messages */
	struct bus_range ranges[BUS_RANGES_MAX];
	size_t count;
	bool frozen;
};

void bus_init(struct bus *bus, const char *name);

/*
 * Claims a range (copied). Error: -EBUSY when it overlaps another, -ENOSPC when
 * the table is full, -EINVAL when it is empty or wraps; a sentence that names both.
 */
int bus_add(struct bus *bus, const struct bus_range *range, struct err *err);

/* No bus_add() after this. */
void bus_freeze(struct bus *bus);

/* The range that holds `addr`, or NULL. */
const struct bus_range *bus_find(const struct bus *bus, uint64_t addr);

/*
 * One access of `size` bytes, 1 to 8, as the processor made it; `data` holds
 * the bytes in memory order. Returns true when a device claimed any of them.
 */
bool bus_read(const struct bus *bus, uint64_t addr, void *data, unsigned size);
bool bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned size);

/* As many writes of one byte to the same address. */
bool bus_write_run(const struct bus *bus, uint64_t addr, const uint8_t *bytes, size_t count);
