/*
 * A kernel file of any bytes: recognised, described, loaded into a small guest
 * memory. It is refused with a sentence, or the guest's first instruction lies in
 * RAM and the tables say what they must.
 *
 * The first byte of the input chooses the way, the rest is the file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "firmware/boot.h"
#include "firmware/inspect.h"
#include "firmware/layout.h"

enum {
	WAY_UNPACK = 1,
	WAY_AS_INITRD_TOO = 2,
	WAY_LITTLE_MEMORY = 4,
	WAY_INSPECT = 8,
	WAY_FLAT = 16, /* the two bits above say which */
	WAY_BOOT_SECTOR = 128,
	OUTPUT_BYTES = 256 * 1024,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gmem big, little;
static int file = -1;
static char path[64], *output;

static void set_up(void)
{
	struct gmem_config config = {.size = 32 * MIB, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	int ret = gmem_init(&big, &config, NULL);

	ASSERT(ret == 0);
	config.size = 17 * MIB;
	ret = gmem_init(&little, &config, NULL);
	ASSERT(ret == 0);
	file = memfd_create("kernel", MFD_CLOEXEC);
	output = malloc(OUTPUT_BYTES);
	ASSERT(file >= 0 && output);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	log_set_level(LOG_ERROR);
}

static void check_text(const char *text)
{
	ASSERT(*text);
	for (; *text; text++)
		ASSERT(((unsigned char)*text >= 0x20 && *text != 0x7f) || *text == '\n');
}

static void check_refusal(const struct err *err)
{
	ASSERT(err->kind == EXIT_CODE_IMAGE);
	check_text(err->text);
}

static void check_entry(const struct gmem *mem, const struct cpu_entry *entry)
{
	ASSERT(gmem_ptr(mem, entry->rip, 1) && entry->rip >= FW_KERNEL_LOWEST);
	ASSERT(gmem_ptr(mem, entry->gdt_base, entry->gdt_limit + 1u));
	ASSERT(!memcmp(gmem_ptr(mem, FW_ACPI_BASE, 8), "RSD PTR ", 8));
	ASSERT(!strcmp(gmem_ptr(mem, FW_CMDLINE_BASE, 8), "quiet"));
	if (entry->mode == CPU_ENTRY_LONG64)
		ASSERT(entry->cr3 == FW_PAGE_TABLES_BASE);
	ASSERT(entry->rsi == FW_PARAMS_BASE || entry->rbx == FW_PARAMS_BASE);
}

/* Its own words, and a tree, are in the place for kernels that are not Linux. */
static void check_own_entry(const struct gmem *mem, const struct cpu_entry *entry)
{
	uint64_t code = entry->rip;

	if (entry->mode == CPU_ENTRY_REAL16)
		code += (uint64_t)entry->code_selector << 4;
	ASSERT(gmem_ptr(mem, code, 1));
	ASSERT(!memcmp(gmem_ptr(mem, FW_ACPI_BASE, 8), "RSD PTR ", 8));
	ASSERT(load_le32(gmem_ptr(mem, FW_OWN_TREE_BASE, 4)) == 0xedfe0dd0);
	if (entry->mode == CPU_ENTRY_LONG64)
		ASSERT(entry->cr3 == FW_PAGE_TABLES_BASE);
}

static void load(struct boot *boot, struct gmem *mem)
{
	static const uint32_t apic_ids[] = {0};
	const struct boot_machine machine = {.cmdline = "quiet",
		.apic_ids = apic_ids,
		.cpu_count = 1,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000};
	struct err err = ERR_INIT;
	struct cpu_entry entry;

	if (boot_load(boot, mem, &machine, &entry, &err) == 0) {
		ASSERT(!err_is_set(&err));
		if (boot_is_own(boot))
			check_own_entry(mem, &entry);
		else
			check_entry(mem, &entry);
	} else if (err.kind != EXIT_CODE_USAGE) {
		/* Usage: a kernel that takes fewer characters than "quiet" has. */
		check_refusal(&err);
	}
	gmem_discard_all(mem);
}

static void inspect(void)
{
	const struct inspect_options options = {.json = false};
	struct err err = ERR_INIT;
	FILE *out = fmemopen(output, OUTPUT_BYTES, "w");

	ASSERT(out);
	if (inspect_file(path, &options, out, &err) < 0)
		check_refusal(&err);
	fclose(out);
	if (!err_is_set(&err))
		check_text(output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct boot_flat flats[] = {
		{16, 0x7c00}, {32, 0x10000}, {64, 0x100000}, {64, 0x1000000}};
	const char *const initrds[] = {path};
	struct boot_config config = {.kernel_path = path};
	struct err err = ERR_INIT;
	struct boot *boot;
	char text[300];
	uint8_t way;

	if (file < 0)
		set_up();
	if (size < 1 || ftruncate(file, 0) < 0 ||
		pwrite(file, data + 1, size - 1, 0) != (ssize_t)(size - 1))
		return 0;
	way = data[0];
	config.unpack = way & WAY_UNPACK;
	config.boot_sector = way & WAY_BOOT_SECTOR;
	if (way & WAY_FLAT)
		config.flat = flats[way >> 5 & 3];
	config.initrd_paths = initrds;
	config.initrd_count = way & WAY_AS_INITRD_TOO ? ARRAY_SIZE(initrds) : 0;
	if (boot_open(&boot, &config, &err) < 0) {
		ASSERT(!boot);
		/* Usage: a place where a flat binary can't be, an initrd for a boot sector. */
		if (err.kind != EXIT_CODE_USAGE)
			check_refusal(&err);
	} else {
		boot_describe(boot, text, sizeof(text));
		check_text(text);
		load(boot, way & WAY_LITTLE_MEMORY ? &little : &big);
		boot_close(boot);
	}
	if (way & WAY_INSPECT)
		inspect();
	return 0;
}
