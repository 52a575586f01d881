/*
 * boot: whole kernels from files into guest memory, by each way in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/boot.h"
#include "firmware/e820.h"
#include "firmware/layout.h"
#include "tests/fake/fake_kernel.h"

enum {
	INITRD_BYTES = 100000,
	INIT_SIZE = 8 << 20,
	CODE_OFFSET = 5 * 512,
};

static const enum unpack_format formats[] = {
	UNPACK_GZIP, UNPACK_LZ4_LEGACY, UNPACK_ZSTD, UNPACK_XZ};

static char folder[] = "/tmp/test-boot-XXXXXX";
static char kernel_path[64], initrd_path[64];
static uint8_t initrd[INITRD_BYTES];

static const uint32_t apic_ids[] = {0};
static const struct boot_machine some_machine = {.cmdline = "console=ttyS0 quiet",
	.apic_ids = apic_ids,
	.cpu_count = 1,
	.lapic_base = 0xfee00000,
	.ioapic_base = 0xfec00000,
	.pit_gsi = 2};

/* ---- Helpers ---- */

static void save(const struct fake_file *file, const char *path)
{
	fake_file_save(file, path);
}

/* A bzImage whose payload is that kernel, packed. */
static void build_bzimage(
	struct fake_file *file, const struct fake_elf *elf, enum unpack_format format)
{
	struct fake_file inner = {NULL, 0}, payload = {NULL, 0};

	fake_elf_build(&inner, elf);
	fake_pack(&payload, format, inner.data, inner.size);
	fake_bzimage_build(file, &payload, (uint32_t)inner.size, INIT_SIZE);
	fake_file_finish(&payload);
	fake_file_finish(&inner);
}

static void save_bzimage(enum unpack_format format)
{
	struct fake_file file = {NULL, 0};

	build_bzimage(&file, &fake_elf_plain, format);
	save(&file, kernel_path);
	fake_file_finish(&file);
}

static void save_elf_of(uint32_t pvh_entry, bool is_linux)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};

	elf.pvh_entry = pvh_entry;
	elf.is_linux = is_linux;
	fake_elf_build(&file, &elf);
	save(&file, kernel_path);
	fake_file_finish(&file);
}

static void save_elf(uint32_t pvh_entry)
{
	save_elf_of(pvh_entry, false);
}

static struct boot *open_boot(bool with_initrd, bool unpack)
{
	const char *const initrds[] = {initrd_path};
	struct boot_config config = {.kernel_path = kernel_path,
		.initrd_paths = initrds,
		.initrd_count = with_initrd,
		.unpack = unpack};
	struct err err = ERR_INIT;
	struct boot *boot;

	if (boot_open(&boot, &config, &err) < 0)
		fail_msg("%s", err.text);
	return boot;
}

static void make_memory(struct gmem *mem, uint64_t size)
{
	struct gmem_config config = {.size = size, .hole_start = 3 * GIB, .high_base = 4 * GIB};

	assert_int_equal(gmem_init(mem, &config, NULL), 0);
}

static void load(struct boot *boot, struct gmem *mem, struct cpu_entry *entry)
{
	struct err err = ERR_INIT;

	if (boot_load(boot, mem, &some_machine, entry, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_load_fails(
	struct boot *boot, uint64_t memory, const char *words, const char *hint)
{
	struct err err = ERR_INIT;
	struct cpu_entry entry;
	struct gmem mem;

	make_memory(&mem, memory);
	assert_true(boot_load(boot, &mem, &some_machine, &entry, &err) < 0);
	if (!strstr(err.text, words) || !strstr(err.hint, hint))
		fail_msg("\"%s\" (%s)", err.text, err.hint);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	gmem_finish(&mem);
}

static void assert_plain_kernel_is_there(const struct gmem *mem)
{
	for (unsigned i = 0; i < fake_elf_plain.segment_count; i++) {
		const struct fake_segment *segment = &fake_elf_plain.segments[i];
		const uint8_t *host = gmem_ptr(mem, segment->paddr, segment->mem_size);

		for (size_t n = 0; n < segment->mem_size; n++)
			assert_int_equal(host[n],
				n < segment->file_size ? (uint8_t)(segment->fill + n / 4096) : 0);
	}
}

static const struct boot_params *params_of(const struct gmem *mem, const struct cpu_entry *entry)
{
	const struct boot_params *params = gmem_ptr(mem, entry->rsi, sizeof(*params));

	assert_non_null(params);
	return params;
}

static void assert_boot_params(const struct gmem *mem, const struct cpu_entry *entry)
{
	const struct boot_params *params = params_of(mem, entry);

	assert_int_equal(params->sentinel, 0);
	assert_int_equal(params->hdr.header, 0x53726448);
	assert_int_equal(params->hdr.type_of_loader, 0xff);
	assert_int_equal(params->hdr.setup_data, 0);
	assert_string_equal(gmem_ptr(mem, params->hdr.cmd_line_ptr, 20), some_machine.cmdline);
	assert_memory_equal(gmem_ptr(mem, params->acpi_rsdp_addr, 8), "RSD PTR ", 8);
	assert_int_equal(params->e820_entries, 3);
	assert_int_equal(params->e820_table[2].addr, MIB);
	assert_int_equal(params->e820_table[2].type, E820_RAM);
}

static uint64_t initrd_of(const struct boot_params *params, uint64_t *bytes)
{
	*bytes = params->hdr.ramdisk_size | (uint64_t)params->ext_ramdisk_size << 32;
	return params->hdr.ramdisk_image | (uint64_t)params->ext_ramdisk_image << 32;
}

/* What the processor would do: walks the page tables to the physical address. */
static uint64_t translate(const struct gmem *mem, uint64_t cr3, uint64_t virt)
{
	const uint64_t large = 0x80, writable_present = 3, address = 0x000ffffffffff000;
	uint64_t table = cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		const uint64_t *entries = gmem_ptr(mem, table, 4096);
		uint64_t entry;

		assert_non_null(entries);
		entry = entries[virt >> shift & 511];
		assert_int_equal(entry & writable_present, writable_present);
		table = entry & address;
		if (entry & large)
			return table + (virt & ((UINT64_C(1) << shift) - 1));
	}
	fail_msg("no large page for 0x%llx", (unsigned long long)virt);
	return 0;
}

static void assert_long_mode_tables(const struct gmem *mem, const struct cpu_entry *entry)
{
	const uint64_t *gdt = gmem_ptr(mem, entry->gdt_base, 32);
	const uint64_t probes[] = {0, 0x9000, MIB, entry->rip, 3 * GIB, 4 * GIB - 1};

	assert_int_equal(entry->mode, CPU_ENTRY_LONG64);
	assert_int_equal(entry->gdt_limit, 31);
	assert_int_equal(entry->code_selector, 0x10);
	assert_int_equal(entry->data_selector, 0x18);
	assert_true(gdt[2] >> 53 & 1); /* L: 64-bit code */
	assert_int_equal(gdt[2] >> 40 & 0x9a, 0x9a);
	assert_int_equal(gdt[3] >> 40 & 0x92, 0x92);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		assert_int_equal(translate(mem, entry->cr3, probes[i]), probes[i]);
}

/* ---- Ways in ---- */

static void boot_unpacks_bzimage_here(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct cpu_entry entry;
		struct boot *boot;
		struct gmem mem;
		char text[200];

		save_bzimage(formats[i]);
		boot = open_boot(false, true);
		boot_describe(boot, text, sizeof(text));
		assert_non_null(strstr(text, "Linux 6.1.0-fake (bzImage, "));
		assert_non_null(strstr(text, unpack_name(formats[i])));
		assert_non_null(strstr(text, "unpacked here, 64-bit entry"));
		make_memory(&mem, 64 * MIB);
		load(boot, &mem, &entry);
		assert_plain_kernel_is_there(&mem);
		assert_int_equal(entry.rip, fake_elf_plain.entry);
		assert_long_mode_tables(&mem, &entry);
		assert_boot_params(&mem, &entry);
		gmem_finish(&mem);
		boot_close(boot);
	}
}

static void boot_lets_bzimage_unpack_itself(void **state)
{
	struct fake_file file = {NULL, 0};
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;
	char text[200];

	(void)state;
	build_bzimage(&file, &fake_elf_plain, UNPACK_LZ4_LEGACY);
	save(&file, kernel_path);
	boot = open_boot(false, false);
	boot_describe(boot, text, sizeof(text));
	assert_non_null(strstr(text, "LZ4 unpacked by itself"));
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_int_equal(entry.rip, 16 * MIB + 0x200);
	assert_long_mode_tables(&mem, &entry);
	assert_boot_params(&mem, &entry);
	assert_int_equal(params_of(&mem, &entry)->hdr.code32_start, 16 * MIB);
	assert_memory_equal(gmem_ptr(&mem, 16 * MIB, file.size - CODE_OFFSET),
		file.data + CODE_OFFSET, file.size - CODE_OFFSET);
	gmem_finish(&mem);
	boot_close(boot);
	fake_file_finish(&file);
}

static void boot_enters_32_bit_kernels(void **state)
{
	struct fake_file file = {NULL, 0};
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	build_bzimage(&file, &fake_elf_plain, UNPACK_LZ4_LEGACY);
	fake_bzimage_header(&file)->xloadflags = 0;
	save(&file, kernel_path);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_int_equal(entry.mode, CPU_ENTRY_PROT32);
	assert_int_equal(entry.rip, 16 * MIB);
	assert_boot_params(&mem, &entry);
	gmem_finish(&mem);
	boot_close(boot);
	fake_file_finish(&file);
}

static void boot_enters_elf_at_its_64_bit_entry(void **state)
{
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;
	char text[200];

	(void)state;
	save_elf(0);
	boot = open_boot(true, true);
	boot_describe(boot, text, sizeof(text));
	assert_string_equal(text, "ELF kernel (64-bit entry)");
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_plain_kernel_is_there(&mem);
	assert_int_equal(entry.rip, fake_elf_plain.entry);
	assert_long_mode_tables(&mem, &entry);
	assert_boot_params(&mem, &entry);
	gmem_finish(&mem);
	boot_close(boot);
}

static void boot_hands_over_a_device_tree(void **state)
{
	struct boot_machine machine = some_machine;
	const struct boot_params *params;
	const struct setup_data *data;
	struct cpu_entry entry;
	struct err err = ERR_INIT;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	machine.has_tree = true;
	/* PVH can't do it; a Linux that has both is entered by the other way. */
	save_elf_of((16 << 20) + 0x50, true);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	assert_int_equal(boot_load(boot, &mem, &machine, &entry, &err), 0);
	assert_int_equal(entry.mode, CPU_ENTRY_LONG64);
	params = params_of(&mem, &entry);
	assert_int_equal(params->acpi_rsdp_addr, 0);
	assert_true(params->hdr.version >= 0x209);
	data = gmem_ptr(&mem, params->hdr.setup_data, sizeof(*data));
	assert_non_null(data);
	assert_int_equal(data->type, SETUP_DTB);
	assert_int_equal(data->next, 0);
	assert_memory_equal(data->data, "\xd0\x0d\xfe\xed", 4);
	assert_non_null(gmem_ptr(&mem, params->hdr.setup_data, sizeof(*data) + data->len));
	gmem_finish(&mem);
	boot_close(boot);
	/* Who is no Linux finds it by its address. */
	save_elf((16 << 20) + 0x50);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	assert_int_equal(boot_load(boot, &mem, &machine, &entry, &err), 0);
	assert_int_equal(entry.mode, CPU_ENTRY_PROT32);
	assert_memory_equal(gmem_ptr(&mem, entry.rdi, 4), "\xd0\x0d\xfe\xed", 4);
	gmem_finish(&mem);
	boot_close(boot);
	/* On a machine without one it is made for those that are told nothing else. */
	save_elf(0);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	assert_int_equal(boot_load(boot, &mem, &some_machine, &entry, &err), 0);
	assert_int_equal(entry.mode, CPU_ENTRY_LONG64);
	assert_memory_equal(gmem_ptr(&mem, entry.rdi, 4), "\xd0\x0d\xfe\xed", 4);
	gmem_finish(&mem);
	boot_close(boot);
}

static void boot_enters_elf_by_pvh(void **state)
{
	const uint8_t *info, *module, *memory;
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	save_elf((16 << 20) + 0x50);
	boot = open_boot(true, true);
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_plain_kernel_is_there(&mem);
	assert_int_equal(entry.mode, CPU_ENTRY_PROT32);
	assert_int_equal(entry.rip, (16 << 20) + 0x50);
	info = gmem_ptr(&mem, entry.rbx, 56);
	assert_int_equal(load_le32(info), 0x336ec578);
	assert_int_equal(load_le32(info + 4), 1);
	assert_int_equal(load_le32(info + 12), 1);
	module = gmem_ptr(&mem, load_le64(info + 16), 32);
	assert_int_equal(load_le64(module + 8), INITRD_BYTES);
	assert_memory_equal(gmem_ptr(&mem, load_le64(module), INITRD_BYTES), initrd, INITRD_BYTES);
	assert_string_equal(gmem_ptr(&mem, load_le64(info + 24), 20), some_machine.cmdline);
	assert_memory_equal(gmem_ptr(&mem, load_le64(info + 32), 8), "RSD PTR ", 8);
	assert_int_equal(load_le32(info + 48), 3);
	memory = gmem_ptr(&mem, load_le64(info + 40), 72);
	assert_int_equal(load_le64(memory + 48), MIB);
	assert_int_equal(load_le64(memory + 56), 63 * MIB);
	assert_int_equal(load_le32(memory + 64), E820_RAM);
	gmem_finish(&mem);
	boot_close(boot);
}

/* ---- The screen ---- */

static const struct boot_screen some_screen = {
	.base = 0xc0000000, .width = 7680, .height = 4320, .stride = 7680 * 4};

static void load_with_screen(struct boot *boot, struct gmem *mem, struct cpu_entry *entry)
{
	struct boot_machine machine = some_machine;
	struct err err = ERR_INIT;

	machine.screen = &some_screen;
	if (boot_load(boot, mem, &machine, entry, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_screen(const struct gmem *mem, const struct cpu_entry *entry)
{
	const struct screen_info *info = &params_of(mem, entry)->screen_info;

	assert_int_equal(info->orig_video_isVGA, VIDEO_TYPE_EFI);
	assert_int_equal(info->lfb_base, 0xc0000000);
	assert_int_equal(info->lfb_size, 7680 * 4320 * 4);
	assert_int_equal(info->lfb_width, 7680);
	assert_int_equal(info->lfb_height, 4320);
	assert_int_equal(info->lfb_linelength, 7680 * 4);
	assert_int_equal(info->lfb_depth, 32);
	assert_int_equal(info->red_pos, 16);
	assert_int_equal(info->green_pos, 8);
	assert_int_equal(info->blue_pos, 0);
	assert_int_equal(info->red_size + info->green_size + info->blue_size, 24);
	/* As setup code of the kernel does: no text mode. */
	assert_int_equal(info->orig_video_lines, 0);
}

static void boot_tells_of_the_screen(void **state)
{
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	save_bzimage(formats[0]);
	for (int unpack = 0; unpack < 2; unpack++) {
		boot = open_boot(false, unpack);
		make_memory(&mem, 64 * MIB);
		load_with_screen(boot, &mem, &entry);
		assert_screen(&mem, &entry);
		gmem_finish(&mem);
		make_memory(&mem, 64 * MIB);
		load(boot, &mem, &entry);
		assert_int_equal(params_of(&mem, &entry)->screen_info.orig_video_isVGA, 0);
		gmem_finish(&mem);
		boot_close(boot);
	}
}

/* A Linux that has both, with a screen and without; other kernels keep their PVH entry. */
static void boot_enters_linux_by_its_own_entry(void **state)
{
	struct cpu_entry entry;
	struct boot *boot;
	char text[64];
	struct gmem mem;

	(void)state;
	save_elf_of((16 << 20) + 0x50, true);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	load_with_screen(boot, &mem, &entry);
	assert_int_equal(entry.mode, CPU_ENTRY_LONG64);
	assert_int_equal(entry.rip, fake_elf_plain.entry);
	assert_screen(&mem, &entry);
	gmem_finish(&mem);
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_int_equal(entry.mode, CPU_ENTRY_LONG64);
	assert_int_equal(entry.rip, fake_elf_plain.entry);
	assert_boot_params(&mem, &entry);
	gmem_finish(&mem);
	boot_describe(boot, text, sizeof(text));
	assert_string_equal(text, "ELF kernel (64-bit entry)");
	boot_close(boot);

	save_elf((16 << 20) + 0x50);
	boot = open_boot(false, true);
	boot_describe(boot, text, sizeof(text));
	assert_string_equal(text, "ELF kernel (PVH entry)");
	make_memory(&mem, 64 * MIB);
	load_with_screen(boot, &mem, &entry);
	assert_int_equal(entry.mode, CPU_ENTRY_PROT32);
	assert_int_equal(entry.rip, (16 << 20) + 0x50);
	gmem_finish(&mem);
	boot_close(boot);
}

static void boot_takes_packed_elf(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file inner = {NULL, 0}, file = {NULL, 0};
		struct boot_machine machine = some_machine;
		struct err err = ERR_INIT;
		struct cpu_entry entry;
		struct boot *boot;
		struct gmem mem;

		fake_elf_build(&inner, &fake_elf_plain);
		fake_pack(&file, formats[i], inner.data, inner.size);
		save(&file, kernel_path);
		boot = open_boot(true, true);
		make_memory(&mem, 64 * MIB);
		load(boot, &mem, &entry);
		assert_plain_kernel_is_there(&mem);
		assert_int_equal(entry.rip, fake_elf_plain.entry);
		assert_long_mode_tables(&mem, &entry);
		gmem_finish(&mem);
		/* It is entered as Linux, so that it gets a device tree too. */
		machine.has_tree = true;
		make_memory(&mem, 64 * MIB);
		assert_int_equal(boot_load(boot, &mem, &machine, &entry, &err), 0);
		assert_int_equal(entry.rip, fake_elf_plain.entry);
		assert_true(params_of(&mem, &entry)->hdr.setup_data != 0);
		gmem_finish(&mem);
		boot_close(boot);
		fake_file_finish(&file);
		fake_file_finish(&inner);
	}
}

static void boot_leaves_zero_pages_alone(void **state)
{
	const uint64_t bss = 6 * MIB;
	struct fake_file inner = {NULL, 0}, payload = {NULL, 0}, file = {NULL, 0};
	struct fake_elf elf = fake_elf_plain;
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	/* A bss that is part of the file, as in Linux. */
	elf.segments[1] =
		(struct fake_segment){.paddr = 18 * MIB, .file_size = bss, .mem_size = bss};
	fake_elf_build(&inner, &elf);
	memset(inner.data + inner.size - bss, 0, bss);
	fake_pack(&payload, UNPACK_LZ4_LEGACY, inner.data, inner.size);
	fake_bzimage_build(&file, &payload, (uint32_t)inner.size, INIT_SIZE);
	save(&file, kernel_path);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	/* The host may have given pages of 2 MiB for the rest. */
	assert_true(gmem_held_bytes(&mem) < bss);
	gmem_finish(&mem);
	boot_close(boot);
	fake_file_finish(&file);
	fake_file_finish(&payload);
	fake_file_finish(&inner);
}

/* ---- The initrd ---- */

static void boot_places_initrd_beside_the_kernel(void **state)
{
	static const struct {
		uint64_t memory;
		uint64_t lowest, highest; /* where its first byte may be */
	} cases[] = {
		{64 * MIB, 24 * MIB, 64 * MIB},
		{24 * MIB + 128 * KIB, 24 * MIB, 25 * MIB},
		/* No room above: it goes below. */
		{24 * MIB + 64 * KIB, MIB, 16 * MIB - INITRD_BYTES},
		{24 * MIB, MIB, 16 * MIB - INITRD_BYTES},
	};

	(void)state;
	save_bzimage(UNPACK_LZ4_LEGACY);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot *boot = open_boot(true, true);
		const struct boot_params *params;
		struct cpu_entry entry;
		struct gmem mem;
		uint64_t at, bytes;

		make_memory(&mem, cases[i].memory);
		load(boot, &mem, &entry);
		params = params_of(&mem, &entry);
		at = initrd_of(params, &bytes);
		assert_int_equal(bytes, INITRD_BYTES);
		assert_int_equal(at % 4096, 0);
		assert_in_range(at, cases[i].lowest, cases[i].highest);
		assert_memory_equal(gmem_ptr(&mem, at, bytes), initrd, bytes);
		assert_plain_kernel_is_there(&mem);
		gmem_finish(&mem);
		boot_close(boot);
	}
}

static void boot_keeps_initrd_below_its_limit(void **state)
{
	struct fake_file file = {NULL, 0};
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;
	uint64_t at, bytes;

	(void)state;
	build_bzimage(&file, &fake_elf_plain, UNPACK_LZ4_LEGACY);
	fake_bzimage_header(&file)->initrd_addr_max = 0x37ffffff;
	save(&file, kernel_path);
	fake_file_finish(&file);
	boot = open_boot(true, true);
	make_memory(&mem, 5 * GIB);
	load(boot, &mem, &entry);
	at = initrd_of(params_of(&mem, &entry), &bytes);
	assert_true(at + bytes <= 0x38000000);
	assert_true(at + bytes > 0x38000000 - 8192);
	gmem_finish(&mem);
	boot_close(boot);
}

static void boot_refuses_big_initrd(void **state)
{
	struct boot *boot;
	int fd;

	(void)state;
	save_bzimage(UNPACK_LZ4_LEGACY);
	fd = open(initrd_path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 50 * MIB), 0);
	boot = open_boot(true, true);
	assert_load_fails(boot, 64 * MIB, "initrd", "--memory");
	boot_close(boot);
	assert_int_equal(ftruncate(fd, 1 * GIB), 0);
	boot = open_boot(true, true);
	assert_load_fails(boot, 64 * MIB, "1024 MiB", "--memory");
	boot_close(boot);
	assert_int_equal(ftruncate(fd, INITRD_BYTES), 0);
	close(fd);
}

/* ---- What is refused ---- */

static void boot_refuses_small_memory(void **state)
{
	struct boot *boot;

	(void)state;
	save_bzimage(UNPACK_LZ4_LEGACY);
	boot = open_boot(false, true);
	assert_load_fails(boot, 24 * MIB - 4096, "up to 24 MiB", "--memory 48M");
	boot_close(boot);
	save_elf(0);
	boot = open_boot(false, true);
	assert_load_fails(boot, 17 * MIB, "up to 18 MiB", "--memory 48M");
	boot_close(boot);
}

static void boot_refuses_kernel_beyond_4_gib(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};
	struct boot *boot;

	(void)state;
	elf.segments[1].paddr = 5 * GIB;
	fake_elf_build(&file, &elf);
	save(&file, kernel_path);
	fake_file_finish(&file);
	boot = open_boot(false, true);
	assert_load_fails(boot, 64 * MIB, "4 GiB", "");
	boot_close(boot);
}

static void boot_refuses_long_cmdline(void **state)
{
	struct boot_machine machine = some_machine;
	struct err err = ERR_INIT;
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;
	char line[2049];

	(void)state;
	save_bzimage(UNPACK_LZ4_LEGACY);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	memset(line, 'x', sizeof(line));
	line[2048] = '\0';
	machine.cmdline = line;
	assert_int_equal(boot_load(boot, &mem, &machine, &entry, &err), -E2BIG);
	assert_non_null(strstr(err.text, "2048"));
	assert_non_null(strstr(err.text, "2047"));
	assert_int_equal(err.kind, EXIT_CODE_USAGE);
	line[2047] = '\0';
	assert_int_equal(boot_load(boot, &mem, &machine, &entry, &err), 0);
	gmem_finish(&mem);
	boot_close(boot);
}

static void boot_refuses_damaged_payload(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		struct setup_header *header;
		struct boot *boot;
		size_t payload;

		build_bzimage(&file, &fake_elf_plain, formats[i]);
		header = fake_bzimage_header(&file);
		payload = CODE_OFFSET + header->payload_offset;
		/* The second half of the data. */
		memset(file.data + payload + header->payload_length / 2, 0xff,
			header->payload_length / 4);
		save(&file, kernel_path);
		boot = open_boot(false, true);
		assert_load_fails(boot, 64 * MIB, "damaged", "");
		boot_close(boot);
		fake_file_finish(&file);

		/* It says another size than it has: larger, smaller, more than its memory. */
		for (unsigned n = 0; n < 3; n++) {
			static const uint32_t change[] = {1, UINT32_MAX, 0x40000000};
			uint8_t *size;

			build_bzimage(&file, &fake_elf_plain, formats[i]);
			header = fake_bzimage_header(&file);
			size = file.data + payload + header->payload_length - 4;
			store_le32(size, load_le32(size) + change[n]);
			save(&file, kernel_path);
			boot = open_boot(false, true);
			assert_load_fails(boot, 64 * MIB, "damaged", "");
			boot_close(boot);
			fake_file_finish(&file);
		}
	}
}

static void boot_falls_back_to_decompressor(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0}, payload = {NULL, 0};
	uint8_t noise[40000];
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	make_memory(&mem, 64 * MIB);
	/* Its segments leave the memory that the header asks for. */
	elf.segments[1].paddr = 40 * MIB;
	build_bzimage(&file, &elf, UNPACK_ZSTD);
	save(&file, kernel_path);
	boot = open_boot(false, true);
	load(boot, &mem, &entry);
	assert_int_equal(entry.rip, 16 * MIB + 0x200);
	assert_int_equal(*(uint8_t *)gmem_ptr(&mem, 40 * MIB, 1), 0);
	boot_close(boot);
	fake_file_finish(&file);
	/* It is no ELF file at all. */
	memset(noise, 0x42, sizeof(noise));
	fake_pack(&payload, UNPACK_ZSTD, noise, sizeof(noise));
	fake_bzimage_build(&file, &payload, sizeof(noise), INIT_SIZE);
	save(&file, kernel_path);
	boot = open_boot(false, true);
	load(boot, &mem, &entry);
	assert_int_equal(entry.rip, 16 * MIB + 0x200);
	boot_close(boot);
	fake_file_finish(&payload);
	fake_file_finish(&file);
	gmem_finish(&mem);
}

static void boot_notices_changed_file(void **state)
{
	static const bool unpack[] = {true, false};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unpack); i++) {
		struct boot *boot;

		save_bzimage(UNPACK_LZ4_LEGACY);
		boot = open_boot(false, unpack[i]);
		assert_int_equal(truncate(kernel_path, 3000), 0);
		assert_load_fails(boot, 64 * MIB, "can't be read", "");
		boot_close(boot);
	}
}

static void boot_survives_a_replaced_file(void **state)
{
	struct cpu_entry entry;
	struct boot *boot;
	struct gmem mem;

	(void)state;
	save_bzimage(UNPACK_LZ4_LEGACY);
	boot = open_boot(false, true);
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_int_equal(unlink(kernel_path), 0);
	gmem_discard_all(&mem);
	load(boot, &mem, &entry);
	assert_plain_kernel_is_there(&mem);
	gmem_finish(&mem);
	boot_close(boot);
}

static void assert_open_fails(const char *kernel, const char *ramdisk, const char *words)
{
	struct boot_config config = {.kernel_path = kernel,
		.initrd_paths = &ramdisk,
		.initrd_count = ramdisk != NULL,
		.unpack = true};
	struct err err = ERR_INIT;
	struct boot *boot;

	assert_true(boot_open(&boot, &config, &err) < 0);
	assert_null(boot);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static void boot_open_says_what_is_wrong(void **state)
{
	struct fake_file empty = {NULL, 0};
	char path[64];

	(void)state;
	save_elf(0);
	snprintf(path, sizeof(path), "%s/empty", folder);
	save(&empty, path);
	assert_open_fails("/nonexistent/kernel", NULL, "No such file");
	assert_open_fails(folder, NULL, "is a directory");
	assert_open_fails("/dev/null", NULL, "is a character device");
	assert_open_fails(path, NULL, "is empty");
	assert_open_fails(initrd_path, NULL, "a cpio archive");
	assert_open_fails(kernel_path, "/nonexistent/initrd", "No such file");
	assert_open_fails(kernel_path, folder, "is a directory");
	assert_open_fails(kernel_path, path, "is empty");
	assert_open_fails(kernel_path, kernel_path, "an x86-64 ELF kernel");
}

static int make_folder(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	log_set_level(LOG_ERROR);
	if (!mkdtemp(folder))
		return -1;
	snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", folder);
	snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", folder);
	memset(initrd, 0x77, sizeof(initrd));
	memcpy(initrd, "070701", 6);
	initrd[INITRD_BYTES - 1] = 0x99;
	fake_file_append(&file, initrd, sizeof(initrd));
	save(&file, initrd_path);
	fake_file_finish(&file);
	return 0;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_unpacks_bzimage_here),
		cmocka_unit_test(boot_lets_bzimage_unpack_itself),
		cmocka_unit_test(boot_enters_32_bit_kernels),
		cmocka_unit_test(boot_enters_elf_at_its_64_bit_entry),
		cmocka_unit_test(boot_enters_elf_by_pvh),
		cmocka_unit_test(boot_hands_over_a_device_tree),
		cmocka_unit_test(boot_tells_of_the_screen),
		cmocka_unit_test(boot_enters_linux_by_its_own_entry),
		cmocka_unit_test(boot_takes_packed_elf),
		cmocka_unit_test(boot_leaves_zero_pages_alone),
		cmocka_unit_test(boot_places_initrd_beside_the_kernel),
		cmocka_unit_test(boot_keeps_initrd_below_its_limit),
		cmocka_unit_test(boot_refuses_big_initrd),
		cmocka_unit_test(boot_refuses_small_memory),
		cmocka_unit_test(boot_refuses_kernel_beyond_4_gib),
		cmocka_unit_test(boot_refuses_long_cmdline),
		cmocka_unit_test(boot_refuses_damaged_payload),
		cmocka_unit_test(boot_falls_back_to_decompressor),
		cmocka_unit_test(boot_notices_changed_file),
		cmocka_unit_test(boot_survives_a_replaced_file),
		cmocka_unit_test(boot_open_says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
