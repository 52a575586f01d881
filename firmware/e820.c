/*
 * See e820.h. Knows nothing of kernels. No state.
 */
#include "firmware/e820.h"

#include <errno.h>

#include "firmware/layout.h"

static int insert(struct e820_map *map, uint64_t base, uint64_t end, enum e820_type type)
{
	unsigned at = map->count;

	if (base >= end)
		return 0;
	if (map->count == ARRAY_SIZE(map->entries))
		return -E2BIG;
	while (at > 0 && map->entries[at - 1].addr > base) {
		map->entries[at] = map->entries[at - 1];
		at--;
	}
	map->entries[at] = (struct boot_e820_entry){.addr = base, .size = end - base, .type = type};
	map->count++;
	return 0;
}

static void remove_entry(struct e820_map *map, unsigned at)
{
	map->count--;
	for (unsigned i = at; i < map->count; i++)
		map->entries[i] = map->entries[i + 1];
}

/* Takes [base, end) out of whatever the map says about it; up to two pieces of an entry stay. */
static int cut_out(struct e820_map *map, uint64_t base, uint64_t end)
{
	for (unsigned i = 0; i < map->count;) {
		struct boot_e820_entry old = map->entries[i];
		int ret;

		if (old.addr >= end || old.addr + old.size <= base) {
			i++;
			continue;
		}
		remove_entry(map, i);
		ret = insert(map, old.addr, base, old.type);
		if (ret == 0)
			ret = insert(map, end, old.addr + old.size, old.type);
		if (ret < 0)
			return ret;
		/* What was put back no longer meets the range: start over, the map is short. */
		i = 0;
	}
	return 0;
}

static int reserve(struct e820_map *map, uint64_t base, uint64_t end)
{
	int ret = cut_out(map, base, end);

	return ret < 0 ? ret : insert(map, base, end, E820_RESERVED);
}

int e820_build(struct e820_map *map, const struct gmem *mem, const struct boot_range *reserved,
	size_t reserved_count)
{
	int ret = 0;

	map->count = 0;
	for (unsigned i = 0; i < mem->region_count && ret == 0; i++)
		ret = insert(map, mem->regions[i].base, mem->regions[i].base + mem->regions[i].size,
			E820_RAM);
	if (ret == 0)
		ret = reserve(map, FW_LOW_RAM_END, FW_KERNEL_LOWEST);
	for (size_t i = 0; i < reserved_count && ret == 0; i++)
		ret = reserve(map, reserved[i].base, reserved[i].base + reserved[i].size);
	return ret;
}

uint64_t e820_bytes_above_1m(const struct e820_map *map)
{
	for (unsigned i = 0; i < map->count; i++)
		if (map->entries[i].type == E820_RAM && map->entries[i].addr == MIB)
			return map->entries[i].size;
	return 0;
}
