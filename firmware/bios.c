/*
 * See bios.h. Knows nothing of files and disks. No state.
 */
#include "firmware/bios.h"

#include <errno.h>
#include <stddef.h>

#include "firmware/layout.h"

/* bios_rom.S: the first byte is the entry; the tables are pairs of words, ended by LAST. */
extern const uint8_t bios_start[], bios_end[], bios_nothing[], bios_vectors[], bios_area[];

enum {
	LAST = 0xffff,
	BOOT_SECTOR = 0x7c00,
	SECTOR_BYTES = 512,
	VECTORS = 256,
	DATA_AREA = 0x400,
	DATA_AREA_END = 0x500,
	LOW_KIB = DATA_AREA + 0x13,
	DRIVE_COUNT = DATA_AREA + 0x75,
};

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

/* Interrupt table and data area: what stands below 0x500. */
static int write_low(struct gmem *mem, const struct bios_params *params)
{
	uint8_t low[DATA_AREA_END] = {0};

	for (unsigned i = 0; i < VECTORS; i++) {
		store_le16(low + 4 * i, (uint16_t)(bios_nothing - bios_start));
		store_le16(low + 4 * i + 2, FW_BIOS_SEGMENT);
	}
	for (const uint8_t *pair = bios_vectors; load_le16(pair) != LAST; pair += 4)
		memcpy(low + load_le16(pair), pair + 2, 2);
	for (const uint8_t *pair = bios_area; load_le16(pair) != LAST; pair += 4)
		memcpy(low + DATA_AREA + load_le16(pair), pair + 2, 2);
	store_le16(low + LOW_KIB, FW_LOW_RAM_END / KIB);
	low[DRIVE_COUNT] = (uint8_t)params->drive_count;
	return gmem_write(mem, 0, low, sizeof(low));
}

int bios_install(struct gmem *mem, const struct bios_params *params)
{
	struct bios_data data = {.disk_port = params->disk_port,
		.drive_count = (uint16_t)params->drive_count,
		.tree = (uint32_t)params->tree,
		.map_count = (uint16_t)params->map->count};
	size_t bytes = (size_t)(bios_end - bios_start);
	/* The extended data area, up to 640 KiB, says its own size. */
	const uint8_t extended_kib = (640 * KIB - FW_LOW_RAM_END) / KIB;
	int ret;

	ASSERT(bytes <= FW_BIOS_BYTES && params->map->count <= ARRAY_SIZE(data.map));
	fill_sizes(&data, params->map);
	memcpy(data.map, params->map->entries, params->map->count * sizeof(data.map[0]));
	ret = gmem_write(mem, FW_BIOS_BASE, bios_start, bytes);
	if (ret == 0)
		ret = gmem_write(mem, FW_BIOS_DATA, &data, sizeof(data));
	if (ret == 0)
		ret = gmem_write(mem, FW_LOW_RAM_END, &extended_kib, 1);
	return ret < 0 ? ret : write_low(mem, params);
}

int bios_load(struct gmem *mem, const struct bios_params *params, const uint8_t *sector,
	struct cpu_entry *entry)
{
	int ret = bios_install(mem, params);

	*entry = (struct cpu_entry){
		.mode = CPU_ENTRY_REAL16, .code_selector = FW_BIOS_SEGMENT, .rsp = BOOT_SECTOR};
	return ret < 0 || !sector ? ret : gmem_write(mem, BOOT_SECTOR, sector, SECTOR_BYTES);
}
