/*
 * See bios.h. Knows nothing of files and disks. No state.
 */
#include "firmware/bios.h"

#include <errno.h>
#include <stddef.h>

#include "firmware/layout.h"

/* bios_rom.S: the first byte is the entry. */
extern const uint8_t bios_start[], bios_end[];

_Static_assert(
	offsetof(struct bios_data, disk_port) == BIOS_DATA_DISK_PORT, "as bios_rom.S has it");
_Static_assert(offsetof(struct bios_data, drive_count) == BIOS_DATA_DRIVES, "as bios_rom.S has it");
_Static_assert(offsetof(struct bios_data, low_kib) == BIOS_DATA_LOW_KIB, "as bios_rom.S has it");
_Static_assert(
	offsetof(struct bios_data, kib_to_16m) == BIOS_DATA_KIB_TO_16M, "as bios_rom.S has it");
_Static_assert(
	offsetof(struct bios_data, blocks_above) == BIOS_DATA_64K_ABOVE, "as bios_rom.S has it");
_Static_assert(
	offsetof(struct bios_data, kib_above_1m) == BIOS_DATA_KIB_ABOVE_1M, "as bios_rom.S has it");
_Static_assert(offsetof(struct bios_data, tree) == BIOS_DATA_TREE, "as bios_rom.S has it");
_Static_assert(
	offsetof(struct bios_data, map_count) == BIOS_DATA_MAP_COUNT, "as bios_rom.S has it");
_Static_assert(offsetof(struct bios_data, map) == BIOS_DATA_MAP, "as bios_rom.S has it");
_Static_assert(sizeof(struct boot_e820_entry) == BIOS_MAP_ENTRY_BYTES, "as bios_rom.S has it");
_Static_assert(FW_BIOS_DATA + sizeof(struct bios_data) <= FW_ACPI_BASE, "it has its place");

/* These calls are older than memory maps, and their numbers have 16 bits. */
static void fill_sizes(struct bios_data *data, const struct e820_map *map)
{
	uint64_t above = e820_bytes_above_1m(map);
	uint64_t to_16m = MIN(above, 15 * MIB);
	uint64_t blocks = (above - to_16m) / (64 * KIB);

	data->low_kib = FW_LOW_RAM_END / KIB;
	data->kib_to_16m = (uint16_t)(to_16m / KIB);
	data->blocks_above = (uint16_t)MIN(blocks, (uint64_t)UINT16_MAX);
	data->kib_above_1m = (uint16_t)MIN(above / KIB, (uint64_t)UINT16_MAX);
}

int bios_load(struct gmem *mem, const struct bios_params *params, struct cpu_entry *entry)
{
	struct bios_data data = {.disk_port = params->disk_port,
		.drive_count = (uint16_t)params->drive_count,
		.tree = (uint32_t)params->tree,
		.map_count = (uint16_t)params->map->count};
	size_t bytes = (size_t)(bios_end - bios_start);
	int ret;

	ASSERT(bytes <= FW_BIOS_BYTES && params->map->count <= ARRAY_SIZE(data.map));
	fill_sizes(&data, params->map);
	memcpy(data.map, params->map->entries, params->map->count * sizeof(data.map[0]));
	ret = gmem_write(mem, FW_BIOS_BASE, bios_start, bytes);
	if (ret == 0)
		ret = gmem_write(mem, FW_BIOS_DATA, &data, sizeof(data));
	*entry = (struct cpu_entry){
		.mode = CPU_ENTRY_REAL16, .code_selector = FW_BIOS_SEGMENT, .rsp = 0x7c00};
	return ret;
}
