/*
 * boot_own: kernels that people write themselves, from files into guest memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/bios.h"
#include "firmware/boot.h"
#include "firmware/flat.h"
#include "firmware/layout.h"
#include "tests/fake/fake_kernel.h"

enum {
	FLAT_BYTES = 10000,
	INITRD_BYTES = 5000,
};

static char folder[] = "/tmp/test-boot-own-XXXXXX";
static char kernel_path[64], initrd_path[64];
static const char *const initrds[] = {initrd_path, initrd_path};

static const uint32_t apic_ids[] = {0};
static const uint8_t some_sector[512] = {0xeb, 0xfe};
static const struct boot_machine some_machine = {.cmdline = "its own words",
	.apic_ids = apic_ids,
	.cpu_count = 1,
	.lapic_base = 0xfee00000,
	.ioapic_base = 0xfec00000,
	.bios_disk_port = 0x1234,
	.bios_drive_count = 3,
	.boot_sector = some_sector};

/* ---- Helpers ---- */

static void save(const char *path, size_t bytes, unsigned mark)
{
	struct fake_file file = {NULL, 0};

	fake_file_zeros(&file, bytes);
	memset(file.data, 0x5a, bytes);
	if (bytes >= 512)
		store_le16(file.data + 510, (uint16_t)mark);
	fake_file_save(&file, path);
	fake_file_finish(&file);
}

static struct boot *open_boot(const struct boot_config *config)
{
	struct err err = ERR_INIT;
	struct boot *boot;

	if (boot_open(&boot, config, &err) < 0)
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

static void assert_tree(const struct gmem *mem, uint64_t initrd_bytes)
{
	const void *tree = gmem_ptr(mem, FW_OWN_TREE_BASE, FW_OWN_TREE_BYTES);
	int chosen, len;
	const char *words;
	const fdt32_t *start, *end;

	assert_int_equal(fdt_check_header(tree), 0);
	chosen = fdt_path_offset(tree, "/chosen");
	words = fdt_getprop(tree, chosen, "bootargs", &len);
	assert_string_equal(words, "its own words");
	start = fdt_getprop(tree, chosen, "linux,initrd-start", &len);
	end = fdt_getprop(tree, chosen, "linux,initrd-end", &len);
	assert_true((start != NULL) == (initrd_bytes > 0));
	if (start) {
		assert_int_equal(fdt32_ld(end) - fdt32_ld(start), initrd_bytes);
		assert_int_equal(*(const uint8_t *)gmem_ptr(mem, fdt32_ld(end) - 1, 1), 0x5a);
	}
}

/* ---- Flat binaries ---- */

static void flat_is_put_and_entered(void **state)
{
	static const struct {
		struct boot_flat flat;
		enum cpu_entry_mode mode;
		uint16_t code;
		uint64_t rip;
	} cases[] = {
		{{16, 0x7c00}, CPU_ENTRY_REAL16, 0, 0x7c00},
		{{16, 0x12345}, CPU_ENTRY_REAL16, 0x1234, 5},
		{{32, 0x10000}, CPU_ENTRY_PROT32, FW_CODE_SELECTOR, 0x10000},
		{{64, 0x200000}, CPU_ENTRY_LONG64, FW_CODE_SELECTOR, 0x200000},
	};

	(void)state;
	save(kernel_path, FLAT_BYTES, 0);
	save(initrd_path, INITRD_BYTES, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_config config = {.kernel_path = kernel_path,
			.initrd_paths = initrds,
			.initrd_count = 1,
			.flat = cases[i].flat};
		struct boot *boot = open_boot(&config);
		struct cpu_entry entry;
		struct gmem mem;
		char text[80];

		make_memory(&mem, 32 * MIB);
		load(boot, &mem, &entry);
		assert_true(boot_is_own(boot));
		assert_false(boot_needs_bios(boot));
		boot_describe(boot, text, sizeof(text));
		assert_non_null(strstr(text, "flat binary"));
		assert_int_equal(entry.mode, cases[i].mode);
		assert_int_equal(entry.code_selector, cases[i].code);
		assert_int_equal(entry.rip, cases[i].rip);
		assert_int_equal(entry.rdi, FW_OWN_TREE_BASE);
		assert_int_equal(entry.rsi, 0);
		assert_int_equal(
			*(const uint8_t *)gmem_ptr(&mem, cases[i].flat.address + FLAT_BYTES - 1, 1),
			0x5a);
		assert_tree(&mem, INITRD_BYTES);
		gmem_finish(&mem);
		boot_close(boot);
	}
}

static void flat_limits(void **state)
{
	static const struct {
		struct boot_flat flat;
		uint64_t bytes;
		bool good;
	} cases[] = {
		{{16, 0x4ff}, 1, false},
		{{16, 0x500}, 1, true},
		{{16, 0x9ebff}, 1, true},
		{{16, 0x9ebff}, 2, false},
		{{16, 0x100000}, 1, false},
		{{32, 0x8fff}, 1, false},
		{{32, 0x9000}, 0x9fc00 - 0x9000, true},
		{{32, 0x9000}, 0x9fc00 - 0x9000 + 1, false},
		{{32, 0x9fc00}, 1, false},
		{{32, 0xfffff}, 2, false},
		{{32, 0x100000}, 1, true},
		{{64, 0xffffffff}, 1, true},
		{{64, 0xffffffff}, 2, false},
		{{64, UINT64_C(1) << 32}, 1, false},
		{{64, UINT64_MAX}, 1, false},
		{{64, 0x100000}, UINT64_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;
		int ret = flat_check(&cases[i].flat, cases[i].bytes, "file", &err);

		if ((ret == 0) != cases[i].good)
			fail_msg("case %zu: %d %s", i, ret, err.text);
		assert_int_equal(err_is_set(&err), !cases[i].good);
		if (ret < 0)
			assert_int_equal(err.kind, EXIT_CODE_USAGE);
	}
}

static void flat_needs_memory(void **state)
{
	struct boot_config config = {.kernel_path = kernel_path, .flat = {64, 16 * MIB - 4096}};
	struct err err = ERR_INIT;
	struct boot *boot;
	struct cpu_entry entry;
	struct gmem mem;

	(void)state;
	save(kernel_path, FLAT_BYTES, 0);
	boot = open_boot(&config);
	make_memory(&mem, 16 * MIB);
	assert_true(boot_load(boot, &mem, &some_machine, &entry, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	assert_non_null(strstr(err.hint, "--memory"));
	gmem_finish(&mem);
	boot_close(boot);
}

/* ---- Boot sectors ---- */

static void boot_sector_is_known_by_its_mark(void **state)
{
	struct boot_config config = {.kernel_path = kernel_path};
	struct err err = ERR_INIT;
	struct boot *boot;

	(void)state;
	save(kernel_path, 512, 0xaa55);
	boot = open_boot(&config);
	assert_true(boot_needs_bios(boot) && boot_is_own(boot));
	boot_close(boot);
	save(kernel_path, 5000, 0xaa55);
	boot = open_boot(&config);
	assert_true(boot_needs_bios(boot));
	boot_close(boot);
	save(kernel_path, 5000, 0xab55);
	assert_true(boot_open(&boot, &config, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	assert_false(boot_needs_bios(NULL) || boot_is_own(NULL));
}

static void boot_sector_gets_a_bios(void **state)
{
	struct boot_config config = {.boot_sector = true};
	struct boot *boot = open_boot(&config);
	const struct bios_data *data;
	struct cpu_entry entry;
	struct gmem mem;

	(void)state;
	make_memory(&mem, 64 * MIB);
	load(boot, &mem, &entry);
	assert_int_equal(entry.mode, CPU_ENTRY_REAL16);
	assert_int_equal(entry.code_selector, FW_BIOS_SEGMENT);
	assert_int_equal(entry.rip, 0);
	assert_memory_equal(gmem_ptr(&mem, 0x7c00, 512), some_sector, 512);
	/* Its first instruction: cli. */
	assert_int_equal(*(const uint8_t *)gmem_ptr(&mem, FW_BIOS_BASE, 1), 0xfa);
	/* Interrupt 10h, one that is nothing, low memory, drives. */
	assert_int_equal(load_le16(gmem_ptr(&mem, 4 * 0x10 + 2, 2)), FW_BIOS_SEGMENT);
	assert_int_not_equal(
		load_le16(gmem_ptr(&mem, 4 * 0x10, 2)), load_le16(gmem_ptr(&mem, 4 * 0xff, 2)));
	assert_int_equal(load_le16(gmem_ptr(&mem, 4 * 0xff + 2, 2)), FW_BIOS_SEGMENT);
	assert_int_equal(load_le16(gmem_ptr(&mem, 0x413, 2)), 639);
	assert_int_equal(*(const uint8_t *)gmem_ptr(&mem, 0x475, 1), 3);
	data = gmem_ptr(&mem, FW_BIOS_DATA, sizeof(*data));
	assert_int_equal(data->disk_port, 0x1234);
	assert_int_equal(data->drive_count, 3);
	assert_int_equal(data->low_kib, 639);
	assert_int_equal(data->kib_to_16m, 15 * 1024);
	assert_int_equal(data->blocks_above, 48 * 16);
	assert_int_equal(data->kib_above_1m, 63 * 1024);
	assert_int_equal(data->tree, FW_OWN_TREE_BASE);
	assert_int_equal(data->map_count, 3);
	assert_int_equal(data->map[2].addr, MIB);
	assert_int_equal(data->map[2].size, 63 * MIB);
	assert_tree(&mem, 0);
	gmem_finish(&mem);
	boot_close(boot);
}

/* Numbers of 16 bits end where they end. */
static void boot_sector_of_a_large_machine(void **state)
{
	struct boot_config config = {.boot_sector = true};
	struct boot *boot = open_boot(&config);
	const struct bios_data *data;
	struct cpu_entry entry;
	struct gmem mem;

	(void)state;
	make_memory(&mem, 6 * GIB);
	load(boot, &mem, &entry);
	data = gmem_ptr(&mem, FW_BIOS_DATA, sizeof(*data));
	assert_int_equal(data->kib_to_16m, 15 * 1024);
	assert_int_equal(data->blocks_above, (3 * GIB - 16 * MIB) / (64 * KIB));
	assert_int_equal(data->kib_above_1m, 0xffff);
	gmem_finish(&mem);
	boot_close(boot);
}

/* ---- Multiboot ---- */

/* Not ELF: version 1 at 2 MiB, with the bits `flags`. */
static void save_multiboot(unsigned flags, enum unpack_format packing)
{
	const uint32_t words[] = {0x1badb002, flags | 1 << 16, -(0x1badb002 + (flags | 1 << 16)),
		0x200000, 0x200000, 0, 0, 0x200020};
	struct fake_file file = {NULL, 0}, packed = {NULL, 0};

	fake_file_append(&file, words, sizeof(words));
	fake_file_zeros(&file, FLAT_BYTES);
	if (packing != UNPACK_NONE)
		fake_pack(&packed, packing, file.data, file.size);
	fake_file_save(packing == UNPACK_NONE ? &file : &packed, kernel_path);
	fake_file_finish(&file);
	fake_file_finish(&packed);
}

static void assert_multiboot_fails(const struct boot_config *config, const char *cmdline,
	uint64_t memory, const char *words, const char *hint)
{
	struct boot *boot = open_boot(config);
	struct boot_machine machine = some_machine;
	struct err err = ERR_INIT;
	struct cpu_entry entry;
	struct gmem mem;

	machine.cmdline = cmdline;
	make_memory(&mem, memory);
	assert_true(boot_load(boot, &mem, &machine, &entry, &err) < 0);
	if (!strstr(err.text, words) || !strstr(err.hint, hint))
		fail_msg("\"%s\" (%s)", err.text, err.hint);
	gmem_finish(&mem);
	boot_close(boot);
}

static void boot_unpacks_multiboot(void **state)
{
	static const enum unpack_format formats[] = {
		UNPACK_NONE, UNPACK_GZIP, UNPACK_LZ4_LEGACY, UNPACK_ZSTD, UNPACK_XZ};
	struct boot_config config = {
		.kernel_path = kernel_path, .initrd_paths = initrds, .initrd_count = 2};

	(void)state;
	save(initrd_path, INITRD_BYTES, 0);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const uint32_t *info, *module;
		struct cpu_entry entry;
		struct boot *boot;
		struct gmem mem;

		save_multiboot(0, formats[i]);
		boot = open_boot(&config);
		assert_true(boot_is_own(boot) && !boot_needs_bios(boot));
		make_memory(&mem, 16 * MIB);
		load(boot, &mem, &entry);
		assert_int_equal(entry.mode, CPU_ENTRY_PROT32);
		assert_int_equal(entry.rip, 0x200020);
		assert_int_equal(entry.rax, 0x2badb002);
		assert_int_equal(entry.rdi, FW_OWN_TREE_BASE);
		info = gmem_ptr(&mem, entry.rbx, 28);
		assert_string_equal(gmem_ptr(&mem, info[4], 14), "its own words");
		assert_int_equal(info[5], 2);
		module = gmem_ptr(&mem, info[6], 32);
		for (unsigned n = 0; n < 8; n += 4) {
			assert_int_equal(module[n + 1] - module[n], INITRD_BYTES);
			assert_int_equal(module[n] % 4096, 0);
			assert_int_equal(
				*(const uint8_t *)gmem_ptr(&mem, module[n + 1] - 1, 1), 0x5a);
		}
		assert_tree(&mem, 0);
		gmem_finish(&mem);
		boot_close(boot);
	}
}

static void boot_refuses_big_modules(void **state)
{
	struct boot_config config = {
		.kernel_path = kernel_path, .initrd_paths = initrds, .initrd_count = 2};

	(void)state;
	save_multiboot(0, UNPACK_NONE);
	save(initrd_path, 8 * MIB, 0);
	assert_multiboot_fails(&config, "", 16 * MIB, "does not fit", "--memory");
}

static void boot_refuses_long_words(void **state)
{
	static char words[70000];
	const char *const many[] = {words, words, words};
	struct boot_config config = {
		.kernel_path = kernel_path, .initrd_paths = many, .initrd_count = 3};

	(void)state;
	save_multiboot(0, UNPACK_NONE);
	save(initrd_path, INITRD_BYTES, 0);
	memset(words, 'x', sizeof(words) - 1);
	memset(words, ' ', strlen(initrd_path) + 1);
	memcpy(words, initrd_path, strlen(initrd_path));
	assert_multiboot_fails(&config, "", 16 * MIB, "no room for all words", "");
}

static void boot_refuses_screenless(void **state)
{
	struct boot_config config = {.kernel_path = kernel_path};

	(void)state;
	save_multiboot(1 << 2, UNPACK_NONE);
	assert_multiboot_fails(&config, "", 16 * MIB, "requires a screen", "--display");
}

static void boot_refuses_more_initrds_for_others(void **state)
{
	struct boot_config config = {.kernel_path = kernel_path,
		.initrd_paths = initrds,
		.initrd_count = 2,
		.flat = {64, MIB}};
	struct err err = ERR_INIT;
	struct boot *boot;

	(void)state;
	save(kernel_path, FLAT_BYTES, 0);
	assert_true(boot_open(&boot, &config, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_USAGE);
	assert_non_null(strstr(err.text, "only Multiboot kernels"));
}

static int make_folder(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	if (!mkdtemp(folder))
		return -1;
	snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", folder);
	snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", folder);
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
		cmocka_unit_test(flat_is_put_and_entered),
		cmocka_unit_test(flat_limits),
		cmocka_unit_test(flat_needs_memory),
		cmocka_unit_test(boot_sector_is_known_by_its_mark),
		cmocka_unit_test(boot_sector_gets_a_bios),
		cmocka_unit_test(boot_sector_of_a_large_machine),
		cmocka_unit_test(boot_unpacks_multiboot),
		cmocka_unit_test(boot_refuses_big_modules),
		cmocka_unit_test(boot_refuses_long_words),
		cmocka_unit_test(boot_refuses_screenless),
		cmocka_unit_test(boot_refuses_more_initrds_for_others),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
