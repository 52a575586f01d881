/*
 * vmm inspect: what it finds in kernels, archives and device trees, as lines and as JSON; hostile
 * files end the search and nothing else. Which file is what: test_image.c.
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
#include <sys/mman.h>
#include <unistd.h>

#include "firmware/inspect.h"
#include "firmware/inspect_impl.h"
#include "tests/fake/fake_kernel.h"

enum {
	TREE_BYTES = 4096,
	KERNEL_BYTES = 300 * 1024,
	PIECE = 64 * 1024, /* the search goes by these */
};

static char *text;
static size_t text_len;
static struct err err;

static int inspect_as(const struct fake_file *file, struct inspect_options options)
{
	int ret, fd = memfd_create("file", MFD_CLOEXEC);
	char path[64];
	FILE *out;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->data, file->size), file->size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	free(text);
	out = open_memstream(&text, &text_len);
	assert_non_null(out);
	err = (struct err)ERR_INIT;
	ret = inspect_file(path, &options, out, &err);
	fclose(out);
	close(fd);
	for (size_t i = 0; i < text_len; i++)
		assert_true((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n');
	return ret;
}

static void inspect(const struct fake_file *file)
{
	assert_int_equal(inspect_as(file, (struct inspect_options){0}), 0);
}

static void inspect_json(const struct fake_file *file)
{
	assert_int_equal(inspect_as(file, (struct inspect_options){.json = true}), 0);
}

static void assert_has(const char *words)
{
	if (!strstr(text, words))
		fail_msg("no \"%s\" in:\n%s", words, text);
}

/* ---- Kernels ---- */

static const char config[] = "CONFIG_64BIT=y\n# \"quoted\" \x1b[31m\nCONFIG_EXT4_FS=m\n";

/* An ELF kernel with its banner and its packed configuration `at` these offsets behind it. */
static void build_kernel(struct fake_file *kernel, size_t banner_at, size_t config_at)
{
	static const char banner[] = "Linux version %s\0Linux version 6.1.0-found (a \"b\")\n";
	struct fake_file packed = {NULL, 0};
	size_t start;

	fake_elf_build(kernel, &fake_elf_plain);
	start = kernel->size;
	fake_file_zeros(kernel, KERNEL_BYTES);
	memcpy(kernel->data + start + banner_at, banner, sizeof(banner) - 1);
	fake_pack(&packed, UNPACK_GZIP, config, sizeof(config) - 1);
	memcpy(kernel->data + start + config_at, "IKCFG_ST", 8);
	memcpy(kernel->data + start + config_at + 8, packed.data, packed.size);
	memcpy(kernel->data + start + config_at + 8 + packed.size, "IKCFG_ED", 8);
	fake_file_finish(&packed);
}

static void build_bzimage(
	struct fake_file *bzimage, const struct fake_file *kernel, enum unpack_format format)
{
	struct fake_file packed = {NULL, 0};

	fake_pack(&packed, format, kernel->data, kernel->size);
	fake_bzimage_build(bzimage, &packed, (uint32_t)kernel->size, 1 << 20);
	fake_file_finish(&packed);
}

static void inspect_reads_the_configuration(void **state)
{
	static const enum unpack_format formats[] = {
		UNPACK_GZIP, UNPACK_LZ4_LEGACY, UNPACK_ZSTD, UNPACK_NONE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file kernel = {NULL, 0}, bzimage = {NULL, 0};

		build_kernel(&kernel, 1000, 200000);
		if (formats[i] == UNPACK_NONE)
			bzimage = kernel;
		else
			build_bzimage(&bzimage, &kernel, formats[i]);
		inspect(&bzimage);
		assert_has("Linux version 6.1.0-found (a \"b\")\n");
		assert_has("configuration:    inside; ");
		if (formats[i] != UNPACK_NONE)
			assert_has("inside:           an ELF kernel, 2 segments at 0x1000000");
		inspect_json(&bzimage);
		assert_has("\"has_configuration\":true");
		assert_has("(a \\\"b\\\")");
		assert_int_equal(inspect_as(&bzimage, (struct inspect_options){.config = true}), 0);
		assert_string_equal(text, "CONFIG_64BIT=y\n# \"quoted\" ?[31m\nCONFIG_EXT4_FS=m\n");
		if (formats[i] != UNPACK_NONE)
			fake_file_finish(&kernel);
		fake_file_finish(&bzimage);
	}
}

/* Every way in which a mark can lie across two pieces. */
static void inspect_finds_marks_anywhere(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 400; shift += 3) {
		struct inspect_search *search = inspect_search_create();
		struct fake_file kernel = {NULL, 0};
		struct source_bytes bytes;
		struct source source;
		char *found;
		size_t len;

		assert_non_null(search);
		build_kernel(&kernel, PIECE - 8192 - shift, 3 * PIECE - 8192 - shift);
		bytes = (struct source_bytes){.data = kernel.data, .size = kernel.size};
		source = source_from_bytes(&bytes);
		assert_int_equal(
			inspect_search_source(search, &source, UNPACK_NONE, 0, kernel.size), 0);
		assert_string_equal(search->banner, "Linux version 6.1.0-found (a \"b\")");
		assert_int_equal(inspect_search_config(search, &found, &len), 0);
		assert_int_equal(len, sizeof(config) - 1);
		assert_memory_equal(found, config, len);
		free(found);
		inspect_search_destroy(search);
		fake_file_finish(&kernel);
	}
}

static void assert_no_config(const struct fake_file *file, const char *words)
{
	assert_true(inspect_as(file, (struct inspect_options){.config = true}) < 0);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	if (!strstr(err.text, words))
		fail_msg("no \"%s\" in: %s", words, err.text);
	assert_int_equal(text_len, 0);
}

static void inspect_config_of_any_kind(void **state)
{
	struct fake_file kernel = {NULL, 0}, other = {NULL, 0}, bzimage = {NULL, 0};
	size_t start;

	(void)state;
	fake_elf_build(&other, &fake_elf_plain);
	assert_no_config(&other, "not inside");
	build_kernel(&kernel, 0, 5000);
	start = other.size + 5000;
	assert_memory_equal(kernel.data + start, "IKCFG_ST", 8);
	kernel.data[start + 20] ^= 0x55;
	assert_true(inspect_as(&kernel, (struct inspect_options){.config = true}) < 0);
	/* A beginning without an end, at the end of the file and far before it. */
	memset(kernel.data + start + 8, 'x', kernel.size - start - 8);
	assert_no_config(&kernel, "cut or damaged");
	fake_file_zeros(&kernel, 3 << 20);
	assert_no_config(&kernel, "cut or damaged");
	kernel.size = start + 8;
	assert_no_config(&kernel, "cut or damaged");
	/* Packed in a way that can't be undone here. */
	fake_file_append(&bzimage, "BZh9 and more", 13);
	fake_file_finish(&other);
	fake_bzimage_build(&other, &bzimage, 1000, 1 << 20);
	assert_no_config(&other, "can't be looked for");
	inspect(&other);
	assert_has("configuration:    can't be looked for");
	fake_file_finish(&other);
	fake_file_finish(&kernel);
	fake_file_finish(&bzimage);
}

static void inspect_shows_every_field(void **state)
{
	struct fake_file kernel = {NULL, 0}, bzimage = {NULL, 0};

	(void)state;
	fake_elf_build(&kernel, &fake_elf_plain);
	build_bzimage(&bzimage, &kernel, UNPACK_GZIP);
	inspect(&bzimage);
	assert_has("    0x1f1 setup_sects ");
	assert_has(
		"    0x206 version               0x20f        2.15; the boot protocol's version\n");
	assert_has("    0x236 xloadflags            0x1          64-bit entry; ");
	assert_has("    0x268 kernel_info_offset ");
	inspect_json(&bzimage);
	assert_has("{\"offset\":518,\"bytes\":2,\"name\":\"version\",\"value\":527,");
	fake_bzimage_header(&bzimage)->version = 0x0206;
	inspect(&bzimage);
	assert_has("0x238 cmdline_size ");
	assert_null(strstr(text, "0x236 xloadflags"));
	assert_null(strstr(text, "0x250 setup_data"));
	fake_file_finish(&kernel);
	fake_file_finish(&bzimage);
}

static void inspect_kernel_info_anywhere(void **state)
{
	static const uint32_t offsets[] = {0, 1, 4096, 1 << 20, UINT32_MAX};
	struct fake_file kernel = {NULL, 0}, bzimage = {NULL, 0};

	(void)state;
	fake_elf_build(&kernel, &fake_elf_plain);
	build_bzimage(&bzimage, &kernel, UNPACK_GZIP);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		fake_bzimage_header(&bzimage)->kernel_info_offset = offsets[i];
		inspect(&bzimage);
		assert_null(strstr(text, "kernel info:"));
	}
	fake_file_finish(&kernel);
	fake_file_finish(&bzimage);
}

static void inspect_notes_of_any_kind(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};

	(void)state;
	elf.pvh_entry = 16 << 20;
	elf.is_linux = true;
	fake_elf_build(&file, &elf);
	inspect(&file);
	assert_has("    note Xen    18    PVH entry: 00000001");
	inspect_json(&file);
	assert_has(
		"{\"owner\":\"Xen\",\"type\":18,\"meaning\":\"PVH entry\",\"bytes\":\"00000001\"");
	for (unsigned i = 0; i < fake_elf_header(&file)->e_phnum; i++) {
		Elf64_Phdr *phdr = fake_elf_program_header(&file, i);

		if (phdr->p_type != PT_NOTE)
			continue;
		/* All of the file is notes, then more than it. */
		for (uint64_t at = 0; at < file.size; at += 7) {
			phdr->p_offset = at;
			phdr->p_filesz = file.size - at;
			inspect(&file);
		}
		phdr->p_offset = UINT64_MAX - 3;
		phdr->p_filesz = 64;
		inspect(&file);
	}
	fake_file_finish(&file);
}

/* ---- Archives ---- */

static void add_entry(struct fake_file *file, const char *name, size_t bytes)
{
	char header[111];
	size_t name_bytes = strlen(name) + 1;

	snprintf(header, sizeof(header),
		"070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, 0100644, 0, 0, 1,
		0, (unsigned)bytes, 0, 0, 0, 0, (unsigned)name_bytes, 0);
	fake_file_append(file, header, 110);
	fake_file_append(file, name, name_bytes);
	fake_file_zeros(file, -file->size & 3);
	fake_file_zeros(file, bytes);
	fake_file_zeros(file, -file->size & 3);
}

static void build_archive(struct fake_file *file, unsigned files, size_t bytes)
{
	for (unsigned i = 0; i < files; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file-%u", i);
		add_entry(file, name, bytes);
	}
	add_entry(file, "TRAILER!!!", 0);
}

static void inspect_archives_in_a_row(void **state)
{
	struct fake_file inner = {NULL, 0}, file = {NULL, 0};

	(void)state;
	build_archive(&file, 2, 5000);
	fake_file_zeros(&file, 512);
	build_archive(&file, 1, 0);
	fake_file_zeros(&file, -file.size & 511);
	build_archive(&inner, 30, 100000);
	fake_pack(&file, UNPACK_ZSTD, inner.data, inner.size);
	inspect(&file);
	/* Plain ones in a row are counted as one, as Linux unpacks them. */
	assert_has(
		"archive:          at 0, uncompressed: 3 files, 9.8 KiB\n    file-0\n    file-1\n");
	assert_has(", zstd: 30 files, 2.9 MiB\n");
	assert_has("    file-9\n    and 20 more\n");
	inspect_json(&file);
	assert_has("\"packing\":\"zstd\",\"files\":30,\"bytes\":3000000,\"whole\":true,\"names\":["
		   "\"file-0\"");
	fake_file_finish(&file);
	fake_file_finish(&inner);
}

static void inspect_archives_of_any_kind(void **state)
{
	struct fake_file file = {NULL, 0};
	char name[3000];

	(void)state;
	memset(name, '\x1b', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	add_entry(&file, name, 10);
	build_archive(&file, 3, 20);
	inspect(&file);
	assert_has("????????\n    file-0\n");
	/* Cut everywhere, then each byte of the headers another one. */
	for (size_t size = file.size; size > 6; size -= 11) {
		struct fake_file cut = {.data = file.data, .size = size};

		inspect(&cut);
	}
	for (size_t i = 6; i < 110; i++) {
		uint8_t before = file.data[i];

		file.data[i] = i & 1 ? 'f' : 'g';
		inspect(&file);
		file.data[i] = before;
	}
	fake_file_finish(&file);
}

/* 1.5 GiB of zeros in a name's place and in a file's. */
static void inspect_bombs(void **state)
{
	struct fake_file inner = {NULL, 0}, file = {NULL, 0};
	const size_t bytes = 40 << 20;

	(void)state;
	add_entry(&inner, "zeros", bytes);
	for (unsigned i = 0; i < 40; i++)
		fake_pack(&file, UNPACK_ZSTD, inner.data, inner.size);
	inspect(&file);
	assert_has("archive:          at 0, zstd: ");
	fake_file_finish(&file);
	fake_file_finish(&inner);
}

/* ---- Device trees ---- */

static void build_tree(struct fake_file *file)
{
	static const char texts[] = "one\0t\"wo";
	uint32_t cells[] = {cpu_to_fdt32(1), cpu_to_fdt32(0xffff)};
	void *fdt;

	fake_file_zeros(file, TREE_BYTES);
	fdt = file->data;
	assert_int_equal(fdt_create(fdt, TREE_BYTES), 0);
	assert_int_equal(fdt_add_reservemap_entry(fdt, 0x1000, 0x2000), 0);
	assert_int_equal(fdt_finish_reservemap(fdt), 0);
	fdt_begin_node(fdt, "");
	fdt_property(fdt, "compatible", texts, sizeof(texts));
	fdt_begin_node(fdt, "soc");
	fdt_property(fdt, "ranges", NULL, 0);
	fdt_begin_node(fdt, "device@1");
	fdt_property(fdt, "reg", cells, sizeof(cells));
	fdt_property(fdt, "mac", "\1\2\3\4\5", 5);
	fdt_end_node(fdt);
	fdt_end_node(fdt);
	fdt_begin_node(fdt, "chosen");
	fdt_end_node(fdt);
	fdt_end_node(fdt);
	assert_int_equal(fdt_finish(fdt), 0);
	file->size = fdt_totalsize(fdt);
}

static void inspect_prints_trees_as_source(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build_tree(&file);
	inspect(&file);
	assert_has("tree:             a device tree, whole\n"
		   "/dts-v1/;\n"
		   "/memreserve/ 0x1000 0x2000;\n"
		   "/ {\n"
		   "    compatible = \"one\", \"t\\\"wo\";\n"
		   "    soc {\n"
		   "        ranges;\n"
		   "        device@1 {\n"
		   "            reg = <0x1 0xffff>;\n"
		   "            mac = [01 02 03 04 05];\n"
		   "        };\n"
		   "    };\n"
		   "    chosen {\n"
		   "    };\n"
		   "};\n");
	inspect_json(&file);
	assert_has("\"source\":\"/dts-v1/;\\u000a");
	fake_file_finish(&file);
}

static void inspect_trees_of_any_kind(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build_tree(&file);
	for (size_t i = 0; i < file.size; i++)
		for (unsigned bit = 0; bit < 8; bit += 3) {
			file.data[i] ^= (uint8_t)(1 << bit);
			inspect(&file);
			file.data[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t size = file.size; size >= 4; size -= 4) {
		struct fake_file cut = {.data = file.data, .size = size};

		inspect(&cut);
	}
	fake_file_finish(&file);
}

static int free_text(void **state)
{
	(void)state;
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inspect_reads_the_configuration),
		cmocka_unit_test(inspect_finds_marks_anywhere),
		cmocka_unit_test(inspect_config_of_any_kind),
		cmocka_unit_test(inspect_shows_every_field),
		cmocka_unit_test(inspect_kernel_info_anywhere),
		cmocka_unit_test(inspect_notes_of_any_kind),
		cmocka_unit_test(inspect_archives_in_a_row),
		cmocka_unit_test(inspect_archives_of_any_kind),
		cmocka_unit_test(inspect_bombs),
		cmocka_unit_test(inspect_prints_trees_as_source),
		cmocka_unit_test(inspect_trees_of_any_kind),
	};

	return cmocka_run_group_tests(tests, NULL, free_text);
}
