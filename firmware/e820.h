/*
 * The memory map: which guest-physical addresses are RAM that a kernel may
 * use, and which it must leave alone. Linux boot_params and PVH carry the same
 * types (ACPI 6.4, 15.1, table 15.1).
 */
#pragma once

#include <asm/bootparam.h>
#include <stddef.h>

#include "firmware/boot.h"
#include "vmm/core/gmem.h"

enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
};

struct e820_map {
	unsigned count;
	struct boot_e820_entry entries[E820_MAX_ENTRIES_ZEROPAGE]; /* ascending, disjoint */
};

/*
 * RAM without what is reserved in it, and the reserved ranges: the first MiB's
 * upper part (layout.h) and the machine's own. -E2BIG when there are too many
 * (our bug or a machine with very many ranges).
 */
int e820_build(struct e820_map *map, const struct gmem *mem, const struct boot_range *reserved,
	size_t reserved_count);

/* The RAM that follows 1 MiB without a gap: what interfaces older than memory maps tell. */
uint64_t e820_bytes_above_1m(const struct e820_map *map);
