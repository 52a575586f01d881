/*
 * symbols: names of addresses, from ELF files of both classes and from System.map, whole and spoilt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <string.h>

#include "firmware/symbols.h"

static bool find(const void *data, size_t size, uint64_t address, struct symbol *symbol)
{
	struct source_bytes bytes = {.data = data, .size = size};
	struct source source = source_from_bytes(&bytes);

	return symbols_find(&source, address, symbol);
}

static void assert_named(const void *data, size_t size, uint64_t address, const char *name)
{
	struct symbol symbol;

	assert_true(find(data, size, address, &symbol));
	assert_string_equal(symbol.name, name);
	assert_true(symbol.address <= address);
}

/* ---- ELF ---- */

struct elf64 {
	Elf64_Ehdr header;
	Elf64_Sym symbols[5];
	char names[40];
	Elf64_Shdr sections[3];
};

static const char strings[40] = "\0start\0data\0after\0evil\x1b[2J x";

static struct elf64 make_elf64(void)
{
	const unsigned char code = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
	struct elf64 elf = {
		.header = {.e_ident = ELFMAG,
			.e_shoff = offsetof(struct elf64, sections),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 3},
		.symbols = {{0},
			{.st_name = 1, .st_info = code, .st_shndx = 1, .st_value = 0x100000},
			{.st_name = 7,
				.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
				.st_shndx = 1,
				.st_value = 0x100008},
			{.st_name = 12, .st_info = code, .st_shndx = 1, .st_value = 0x100010},
			{.st_name = 18, .st_info = code, .st_shndx = 1, .st_value = 0x200000}},
		.sections = {{0},
			{.sh_type = SHT_SYMTAB,
				.sh_offset = offsetof(struct elf64, symbols),
				.sh_size = sizeof(Elf64_Sym) * 5,
				.sh_link = 2},
			{.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct elf64, names),
				.sh_size = sizeof(strings)}},
	};

	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(elf.names, strings, sizeof(strings));
	return elf;
}

static void elf_names_the_function_before(void **state)
{
	struct elf64 elf = make_elf64();
	struct symbol symbol;

	(void)state;
	assert_named(&elf, sizeof(elf), 0x100000, "start");
	assert_named(&elf, sizeof(elf), 0x10000f, "start");
	assert_named(&elf, sizeof(elf), 0x100010, "after");
	assert_false(find(&elf, sizeof(elf), 0xfffff, &symbol));
	assert_false(find(&elf, sizeof(elf), 0x300000, &symbol));
}

static void elf_names_are_text(void **state)
{
	struct elf64 elf = make_elf64();

	(void)state;
	assert_named(&elf, sizeof(elf), 0x200001, "evil?[2J");
	/* A name that begins behind the table is none. */
	elf.symbols[1].st_name = sizeof(strings);
	assert_false(find(&elf, sizeof(elf), 0x100001, &(struct symbol){.address = 0}));
}

static void elf_of_32_bits(void **state)
{
	struct {
		Elf32_Ehdr header;
		Elf32_Sym symbols[2];
		char names[40];
		Elf32_Shdr sections[2];
	} elf = {.header = {.e_ident = ELFMAG,
			 .e_shoff = offsetof(__typeof__(elf), sections),
			 .e_shentsize = sizeof(Elf32_Shdr),
			 .e_shnum = 2},
		.symbols = {{0}, {.st_name = 1, .st_shndx = 1, .st_value = 0x7c00}},
		.sections = {{.sh_type = SHT_SYMTAB,
				     .sh_offset = offsetof(__typeof__(elf), symbols),
				     .sh_size = sizeof(Elf32_Sym) * 2,
				     .sh_link = 1},
			{.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(__typeof__(elf), names),
				.sh_size = sizeof(strings)}}};

	(void)state;
	elf.header.e_ident[EI_CLASS] = ELFCLASS32;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(elf.names, strings, sizeof(strings));
	assert_named(&elf, sizeof(elf), 0x7c02, "start");
}

static void elf_cut_anywhere(void **state)
{
	struct elf64 elf = make_elf64();
	struct symbol symbol;

	(void)state;
	for (size_t size = 0; size < sizeof(elf); size++)
		assert_false(find(&elf, size, 0x100000, &symbol));
	elf.sections[1].sh_size = UINT64_MAX;
	assert_false(find(&elf, sizeof(elf), 0x100000, &symbol));
	elf = make_elf64();
	elf.sections[1].sh_offset = UINT64_MAX - 8;
	assert_false(find(&elf, sizeof(elf), 0x100000, &symbol));
	elf = make_elf64();
	elf.sections[1].sh_link = 60000;
	assert_false(find(&elf, sizeof(elf), 0x100000, &symbol));
	elf = make_elf64();
	elf.header.e_shoff = UINT64_MAX;
	assert_false(find(&elf, sizeof(elf), 0x100000, &symbol));
}

/* ---- System.map ---- */

#define MAP                                                                                        \
	"0000000000000000 A fixed\n"                                                               \
	"ffffffff81000000 T _stext\n"                                                              \
	"ffffffff81000040 t idle_loop\n"                                                           \
	"ffffffff81000060 D some_data\n"                                                           \
	"ffffffff81000080 T panic\tword\n"

static void map_names_the_function_before(void **state)
{
	struct symbol symbol;

	(void)state;
	assert_named(MAP, sizeof(MAP) - 1, 0xffffffff8100003f, "_stext");
	assert_named(MAP, sizeof(MAP) - 1, 0xffffffff81000061, "idle_loop");
	assert_named(MAP, sizeof(MAP) - 1, 0xffffffff81000090, "panic");
	assert_false(find(MAP, sizeof(MAP) - 1, 0x1000, &symbol));
}

/* Debian's: "ffffffffffffffff B The real System.map is in the -dbg package". */
static void map_that_says_it_is_elsewhere(void **state)
{
	static const char map[] = "ffffffffffffffff B The real System.map is elsewhere\n";

	(void)state;
	assert_false(
		find(map, sizeof(map) - 1, 0xffffffff81000000, &(struct symbol){.address = 0}));
}

static void map_long_lines(void **state)
{
	static char map[200000];
	struct symbol symbol;
	size_t len;

	(void)state;
	memset(map, 'a', sizeof(map));
	assert_false(find(map, sizeof(map), 0x1000, &symbol));
	memcpy(map, "0000000000001000 T ", 19);
	map[150000] = '\n';
	assert_true(find(map, sizeof(map), 0x1001, &symbol));
	len = strlen(symbol.name);
	assert_int_equal(len, SYMBOL_NAME_MAX - 1);
	memcpy(map + 150001, "0000000000001008 T last", 23);
	map[150024] = '\n';
	assert_named(map, 150025, 0x1008, "last");
}

static void other_files_know_no_names(void **state)
{
	struct symbol symbol;

	(void)state;
	assert_false(find("", 0, 0, &symbol));
	assert_false(find("MZ and so on, a kernel", 22, 0, &symbol));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_names_the_function_before),
		cmocka_unit_test(elf_names_are_text),
		cmocka_unit_test(elf_of_32_bits),
		cmocka_unit_test(elf_cut_anywhere),
		cmocka_unit_test(map_names_the_function_before),
		cmocka_unit_test(map_that_says_it_is_elsewhere),
		cmocka_unit_test(map_long_lines),
		cmocka_unit_test(other_files_know_no_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
