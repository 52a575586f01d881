/*
 * See multiboot.h: what a kernel is told, put together here and copied to guest memory in one go.
 * Addresses in it are those it will have there. No state.
 */
#include <errno.h>
#include <stdlib.h>

#include "firmware/entry.h"
#include "firmware/layout.h"
#include "firmware/multiboot.h"

#define ENTRY_MAGIC1 0x2badb002u
#define ENTRY_MAGIC2 0x36d76289u

static const char loader_name[] = "vmm";

enum {
	/* Version 1: which parts are there. */
	INFO1_MEMORY = 1 << 0,
	INFO1_CMDLINE = 1 << 2,
	INFO1_MODULES = 1 << 3,
	INFO1_MAP = 1 << 6,
	INFO1_LOADER = 1 << 9,
	INFO1_SCREEN = 1 << 12,

	/* Version 2: tags. */
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_LOADER = 2,
	TAG_MODULE = 3,
	TAG_MEMORY = 4,
	TAG_MAP = 6,
	TAG_SCREEN = 8,
	TAG_OLD_RSDP = 14,
	TAG_RSDP = 15,
	OLD_RSDP_BYTES = 20,
	RSDP_BYTES = 36,

	SCREEN_RGB = 1,
};

struct info1 {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods;
	uint32_t syms[4], mmap_bytes, mmap, drives_bytes, drives, config_table, loader, apm;
	uint32_t vbe[2];
	uint16_t vbe_words[4];
	uint64_t screen;
	uint32_t stride, width, height;
	uint8_t depth, type, red_at, red_bits, green_at, green_bits, blue_at, blue_bits;
	uint32_t pad;
};
_Static_assert(offsetof(struct info1, screen) == 88, "as the specification lays it out");

struct map1 {
	uint32_t size; /* of what follows */
	uint64_t base, bytes;
	uint32_t type;
} __attribute__((packed));

struct module1 {
	uint32_t start, end, words, reserved;
};

struct map2 {
	uint64_t base, bytes;
	uint32_t type, reserved;
};

struct screen2 {
	uint64_t base;
	uint32_t stride, width, height;
	uint8_t depth, type;
	uint16_t reserved;
	uint8_t red_at, red_bits, green_at, green_bits, blue_at, blue_bits;
} __attribute__((packed));

/* After the first piece that does not fit all else is left out. */
struct writer {
	uint8_t *data;
	uint32_t used;
	bool is_full;
};

/* Space for `len` bytes at a multiple of 8; zero. NULL when it is full. */
static void *reserve(struct writer *writer, size_t len)
{
	uint64_t at = util_align_up(writer->used, 8);

	writer->is_full |= !util_range_inside(at, len, FW_MULTIBOOT_BYTES);
	if (writer->is_full)
		return NULL;
	writer->used = (uint32_t)(at + len);
	return writer->data + at;
}

/* The address it has in the guest; 0 when it is full. */
static uint32_t add(struct writer *writer, const void *data, size_t len)
{
	uint8_t *place = reserve(writer, len);

	if (!place)
		return 0;
	memcpy(place, data, len);
	return (uint32_t)(FW_MULTIBOOT_BASE + (size_t)(place - writer->data));
}

static uint32_t upper_kib(const struct multiboot_params *params)
{
	return (uint32_t)(e820_bytes_above_1m(params->map) / KIB);
}

/* ---- Version 1 ---- */

static uint32_t add_map1(struct writer *writer, const struct e820_map *map)
{
	struct map1 *entries = reserve(writer, map->count * sizeof(*entries));

	if (!entries)
		return 0;
	for (unsigned i = 0; i < map->count; i++)
		entries[i] = (struct map1){.size = sizeof(*entries) - sizeof(entries->size),
			.base = map->entries[i].addr,
			.bytes = map->entries[i].size,
			.type = map->entries[i].type};
	return (uint32_t)(FW_MULTIBOOT_BASE + (size_t)((uint8_t *)entries - writer->data));
}

static uint32_t add_modules1(struct writer *writer, const struct multiboot_params *params)
{
	struct module1 *modules = reserve(writer, params->module_count * sizeof(*modules));

	if (!modules)
		return 0;
	for (unsigned i = 0; i < params->module_count; i++) {
		const struct multiboot_module *module = &params->modules[i];

		modules[i] = (struct module1){.start = (uint32_t)module->base,
			.end = (uint32_t)(module->base + module->size),
			.words = add(writer, module->words, strlen(module->words) + 1)};
	}
	return (uint32_t)(FW_MULTIBOOT_BASE + (size_t)((uint8_t *)modules - writer->data));
}

static void write_info1(struct writer *writer, const struct multiboot_params *params)
{
	const struct boot_screen *screen = params->screen;
	struct info1 *info = reserve(writer, sizeof(*info));

	if (!info)
		return;
	info->flags = INFO1_MEMORY | INFO1_CMDLINE | INFO1_MODULES | INFO1_MAP | INFO1_LOADER;
	info->mem_lower = FW_LOW_RAM_END / KIB;
	info->mem_upper = upper_kib(params);
	info->cmdline = add(writer, params->cmdline, strlen(params->cmdline) + 1);
	info->mods_count = params->module_count;
	info->mods = add_modules1(writer, params);
	info->mmap_bytes = (uint32_t)(params->map->count * sizeof(struct map1));
	info->mmap = add_map1(writer, params->map);
	info->loader = add(writer, loader_name, sizeof(loader_name));
	if (!screen)
		return;
	info->flags |= INFO1_SCREEN;
	info->screen = screen->base;
	info->stride = screen->stride;
	info->width = screen->width;
	info->height = screen->height;
	info->depth = 32;
	info->type = SCREEN_RGB;
	info->red_at = 16;
	info->green_at = 8;
	info->red_bits = info->green_bits = info->blue_bits = 8;
}

/* ---- Version 2 ---- */

/* The payload of a new tag, or NULL. */
static void *add_tag(struct writer *writer, uint32_t type, size_t len)
{
	uint8_t *tag = reserve(writer, 8 + len);

	if (!tag)
		return NULL;
	store_le32(tag, type);
	store_le32(tag + 4, (uint32_t)(8 + len));
	return tag + 8;
}

static void add_text(struct writer *writer, uint32_t type, const char *text)
{
	void *place = add_tag(writer, type, strlen(text) + 1);

	if (place)
		memcpy(place, text, strlen(text) + 1);
}

static void add_modules2(struct writer *writer, const struct multiboot_params *params)
{
	for (unsigned i = 0; i < params->module_count; i++) {
		const struct multiboot_module *module = &params->modules[i];
		uint8_t *place = add_tag(writer, TAG_MODULE, 8 + strlen(module->words) + 1);

		if (!place)
			return;
		store_le32(place, (uint32_t)module->base);
		store_le32(place + 4, (uint32_t)(module->base + module->size));
		memcpy(place + 8, module->words, strlen(module->words) + 1);
	}
}

static void add_map2(struct writer *writer, const struct e820_map *map)
{
	uint8_t *place = add_tag(writer, TAG_MAP, 8 + map->count * sizeof(struct map2));

	if (!place)
		return;
	store_le32(place, sizeof(struct map2));
	for (unsigned i = 0; i < map->count; i++) {
		struct map2 entry = {.base = map->entries[i].addr,
			.bytes = map->entries[i].size,
			.type = map->entries[i].type};

		memcpy(place + 8 + i * sizeof(entry), &entry, sizeof(entry));
	}
}

static void add_screen2(struct writer *writer, const struct boot_screen *screen)
{
	struct screen2 *place = add_tag(writer, TAG_SCREEN, sizeof(*place));

	if (place)
		*place = (struct screen2){.base = screen->base,
			.stride = screen->stride,
			.width = screen->width,
			.height = screen->height,
			.depth = 32,
			.type = SCREEN_RGB,
			.red_at = 16,
			.green_at = 8,
			.red_bits = 8,
			.green_bits = 8,
			.blue_bits = 8};
}

/* Copies: of the old kind its first part. */
static void add_rsdp(struct writer *writer, const struct gmem *mem, gpa_t rsdp)
{
	uint8_t copy[RSDP_BYTES];
	void *old, *new;

	if (!rsdp || gmem_read(mem, rsdp, copy, sizeof(copy)) < 0)
		return;
	old = add_tag(writer, TAG_OLD_RSDP, OLD_RSDP_BYTES);
	new = add_tag(writer, TAG_RSDP, RSDP_BYTES);
	if (!old || !new)
		return;
	memcpy(old, copy, OLD_RSDP_BYTES);
	memcpy(new, copy, RSDP_BYTES);
}

static void write_info2(
	struct writer *writer, const struct gmem *mem, const struct multiboot_params *params)
{
	uint8_t *head = reserve(writer, 8), *memory;

	add_text(writer, TAG_CMDLINE, params->cmdline);
	add_text(writer, TAG_LOADER, loader_name);
	add_modules2(writer, params);
	memory = add_tag(writer, TAG_MEMORY, 8);
	if (memory) {
		store_le32(memory, FW_LOW_RAM_END / KIB);
		store_le32(memory + 4, upper_kib(params));
	}
	add_map2(writer, params->map);
	if (params->screen)
		add_screen2(writer, params->screen);
	add_rsdp(writer, mem, params->rsdp);
	add_tag(writer, TAG_END, 0);
	if (head)
		store_le32(head, writer->used);
}

int multiboot_enter(struct gmem *mem, const struct multiboot *multiboot,
	const struct multiboot_params *params, struct cpu_entry *entry)
{
	struct writer writer = {.data = calloc(1, FW_MULTIBOOT_BYTES)};
	int ret;

	if (!writer.data)
		return -ENOMEM;
	if (multiboot->version == 1)
		write_info1(&writer, params);
	else
		write_info2(&writer, mem, params);
	ret = writer.is_full ? -E2BIG
			     : gmem_write(mem, FW_MULTIBOOT_BASE, writer.data, writer.used);
	free(writer.data);
	if (ret == 0)
		ret = entry_plain(mem, CPU_ENTRY_PROT32, multiboot->entry, entry);
	entry->rax = multiboot->version == 1 ? ENTRY_MAGIC1 : ENTRY_MAGIC2;
	entry->rbx = FW_MULTIBOOT_BASE;
	return ret;
}
