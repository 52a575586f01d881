/*
 * See bus.h.
 */
#include "vmm/core/bus.h"

#include <errno.h>

void bus_init(struct bus *bus, const char *name)
{
	/* Not the table: it is large, and nothing looks behind `count`. */
	bus->name = name;
	bus->count = 0;
	bus->frozen = false;
}

int bus_add(struct bus *bus, const struct bus_range *range, struct err *err)
{
	size_t at = 0;
	uint64_t last;

	ASSERT(!bus->frozen);
	if (!range->size || util_add_overflows(range->base, range->size - 1, &last))
		return err_set(err, EXIT_CODE_DEVICE, EINVAL,
			"%s: the %s range at 0x%llx is empty or wraps", range->name, bus->name,
			(unsigned long long)range->base);
	if (bus->count == BUS_RANGES_MAX)
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC,
			"%s: the %s bus is full (%d ranges); use fewer devices", range->name,
			bus->name, BUS_RANGES_MAX);
	while (at < bus->count && bus->ranges[at].base < range->base)
		at++;
	for (size_t i = at ? at - 1 : 0; i < bus->count && i <= at; i++) {
		const struct bus_range *other = &bus->ranges[i];

		if (other->base <= last && range->base <= other->base + (other->size - 1))
			return err_set(err, EXIT_CODE_DEVICE, EBUSY,
				"%s: the %s range at 0x%llx is taken by %s", range->name, bus->name,
				(unsigned long long)range->base, other->name);
	}
	memmove(&bus->ranges[at + 1], &bus->ranges[at], (bus->count - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = *range;
	bus->count++;
	return 0;
}

void bus_freeze(struct bus *bus)
{
	bus->frozen = true;
}

/*
 * What this thread found last, of whatever bus: a guest's accesses come in runs. It is only believed
 * as far as it is an entry of the bus that is asked, and holds the address.
 */
static __thread const struct bus_range *recent;

static __attribute__((noinline)) const struct bus_range *search(
	const struct bus *bus, uint64_t addr)
{
	size_t low = 0, high = bus->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct bus_range *range = &bus->ranges[mid];

		if (addr < range->base)
			high = mid;
		else if (addr - range->base >= range->size)
			low = mid + 1;
		else
			return recent = range;
	}
	return NULL;
}

static inline const struct bus_range *find(const struct bus *bus, uint64_t addr)
{
	const struct bus_range *range = recent;

	if (range >= bus->ranges && range < bus->ranges + bus->count &&
		addr - range->base < range->size)
		return range;
	return search(bus, addr);
}

const struct bus_range *bus_find(const struct bus *bus, uint64_t addr)
{
	return find(bus, addr);
}

/* `addr` is inside of the range. */
static inline bool is_whole(const struct bus_range *range, uint64_t addr, unsigned size)
{
	return size - 1 < 8 && !(size & (size - 1)) && range->size - (addr - range->base) >= size;
}

static inline uint64_t range_read(const struct bus_range *range, uint64_t addr, unsigned size)
{
	uint64_t value;

	if (range->lock)
		pthread_mutex_lock(range->lock);
	value = range->ops->read(range->opaque, addr - range->base, size);
	if (range->lock)
		pthread_mutex_unlock(range->lock);
	return value;
}

static inline void range_write(
	const struct bus_range *range, uint64_t addr, unsigned size, uint64_t value)
{
	if (range->lock)
		pthread_mutex_lock(range->lock);
	range->ops->write(range->opaque, addr - range->base, size, value);
	if (range->lock)
		pthread_mutex_unlock(range->lock);
}

/* Bytes of several ranges, or of none. */
static __attribute__((noinline)) bool read_bytes(
	const struct bus *bus, uint64_t addr, uint8_t *data, unsigned size)
{
	bool claimed = false;

	memset(data, 0xff, size);
	for (unsigned i = 0; i < size; i++) {
		const struct bus_range *range = bus_find(bus, addr + i);

		if (!range)
			continue;
		data[i] = (uint8_t)range_read(range, addr + i, 1);
		claimed = true;
	}
	return claimed;
}

static __attribute__((noinline)) bool write_bytes(
	const struct bus *bus, uint64_t addr, const uint8_t *data, unsigned size)
{
	bool claimed = false;

	for (unsigned i = 0; i < size; i++) {
		const struct bus_range *range = bus_find(bus, addr + i);

		if (!range)
			continue;
		range_write(range, addr + i, 1, data[i]);
		claimed = true;
	}
	return claimed;
}

/* Of a size that is_whole(). */
static inline uint64_t load_value(const void *data, unsigned size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)data;
	case 2:
		return load_le16(data);
	case 4:
		return load_le32(data);
	default:
		return load_le64(data);
	}
}

static inline void store_value(void *data, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)data = (uint8_t)value;
		break;
	case 2:
		store_le16(data, (uint16_t)value);
		break;
	case 4:
		store_le32(data, (uint32_t)value);
		break;
	default:
		store_le64(data, value);
	}
}

bool bus_read(const struct bus *bus, uint64_t addr, void *data, unsigned size)
{
	const struct bus_range *range = find(bus, addr);

	if (!range || !is_whole(range, addr, size))
		return read_bytes(bus, addr, data, size);
	store_value(data, size, range_read(range, addr, size));
	return true;
}

bool bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned size)
{
	const struct bus_range *range = find(bus, addr);

	if (!range || !is_whole(range, addr, size))
		return write_bytes(bus, addr, data, size);
	range_write(range, addr, size, load_value(data, size));
	return true;
}

bool bus_write_run(const struct bus *bus, uint64_t addr, const uint8_t *bytes, size_t count)
{
	const struct bus_range *range = find(bus, addr);

	if (!range)
		return false;
	if (!range->ops->write_run) {
		for (size_t i = 0; i < count; i++)
			range_write(range, addr, 1, bytes[i]);
		return true;
	}
	if (range->lock)
		pthread_mutex_lock(range->lock);
	range->ops->write_run(range->opaque, addr - range->base, bytes, count);
	if (range->lock)
		pthread_mutex_unlock(range->lock);
	return true;
}
