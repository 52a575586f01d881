/*
 * multiboot: headers of both versions, and what bad ones say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <elf.h>

#include "firmware/multiboot.h"
#include "vmm/base/util.h"

enum {
	FILE_BYTES = 64 * 1024,
	AT = 0x40, /* the header */
	LOAD = 0x200000,
	FLAG_ADDRESSES = 1 << 16,
	FLAG_VIDEO = 1 << 2,
};

#define MAGIC1 0x1badb002u
#define MAGIC2 0xe85250d6u

static uint8_t file[FILE_BYTES];

static void put(uint8_t *at, const uint32_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_le32(at + 4 * i, words[i]);
}

static void put_header1(size_t at, uint32_t flags)
{
	const uint32_t words[] = {MAGIC1, flags, -(MAGIC1 + flags)};

	put(file + at, words, ARRAY_SIZE(words));
}

static void put_header2(size_t at, uint32_t arch, uint32_t length)
{
	const uint32_t words[] = {MAGIC2, arch, length, -(MAGIC2 + arch + length)};

	put(file + at, words, ARRAY_SIZE(words));
}

/* A tag behind `at`; returns where the next one goes. */
static size_t put_tag(size_t at, uint16_t type, uint16_t flags, const uint32_t *words, size_t count)
{
	store_le16(file + at, type);
	store_le16(file + at + 2, flags);
	store_le32(file + at + 4, (uint32_t)(8 + 4 * count));
	put(file + at + 8, words, count);
	return util_align_up(at + 8 + 4 * count, 8);
}

/* An ELF file of 32 bits, one segment: the file from its start. */
static void put_elf(void)
{
	Elf32_Ehdr ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_entry = 0xc0200010,
		.e_phoff = 0x8000,
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 1};
	Elf32_Phdr phdr = {.p_type = PT_LOAD,
		.p_vaddr = 0xc0200000,
		.p_paddr = LOAD,
		.p_filesz = 4096,
		.p_memsz = 8192};

	memset(file, 0, sizeof(file));
	memcpy(file, &ehdr, sizeof(ehdr));
	memcpy(file + 0x8000, &phdr, sizeof(phdr));
}

static int parse_some(size_t bytes, struct multiboot *multiboot, struct err *err)
{
	struct source_bytes data = {file, bytes};
	struct source source = source_from_bytes(&data);
	int ret;

	*err = (struct err)ERR_INIT;
	ret = multiboot_parse(&source, "file", multiboot, err);
	assert_int_equal(ret < 0, err_is_set(err));
	if (ret < 0)
		assert_int_equal(err->kind, EXIT_CODE_IMAGE);
	return ret;
}

static void assert_refused(const char *words)
{
	struct multiboot multiboot;
	struct err err;

	assert_true(parse_some(sizeof(file), &multiboot, &err) < 0);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" has no \"%s\"", err.text, words);
}

static void assert_accepted(unsigned version, uint32_t entry)
{
	struct multiboot multiboot;
	struct err err;

	if (parse_some(sizeof(file), &multiboot, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(multiboot.version, version);
	assert_int_equal(multiboot.entry, entry);
}

static void multiboot_is_found(void **state)
{
	(void)state;
	memset(file, 0, sizeof(file));
	assert_false(multiboot_is(file, sizeof(file)));
	put_header1(8192 - 12, 3);
	assert_true(multiboot_is(file, sizeof(file)));
	assert_false(multiboot_is(file, 8191));
	file[8192 - 12]++;
	assert_false(multiboot_is(file, sizeof(file)));
	file[8192 - 12]--;
	file[8192 - 1]++;
	assert_false(multiboot_is(file, sizeof(file)));
	memset(file, 0, sizeof(file));
	put_header1(8192 - 8, 3);
	assert_false(multiboot_is(file, sizeof(file)));
	put_header2(32768 - 16, 0, 16);
	assert_true(multiboot_is(file, sizeof(file)));
	memset(file, 0, sizeof(file));
	put_header2(32768 - 8, 0, 16);
	assert_false(multiboot_is(file, sizeof(file)));
	put_header2(36, 0, 16);
	assert_false(multiboot_is(file, sizeof(file)));
	assert_refused("no Multiboot header");
}

static void multiboot_of_elf(void **state)
{
	struct multiboot multiboot;
	struct err err;
	size_t at;

	(void)state;
	put_elf();
	put_header1(AT, 3);
	/* The entry, a virtual address, where it lies. */
	assert_accepted(1, LOAD + 0x10);
	put_header1(AT, 3 | FLAG_VIDEO);
	assert_int_equal(parse_some(sizeof(file), &multiboot, &err), 0);
	assert_true(multiboot.needs_screen);
	store_le32(file + AT + 32, 1);
	assert_int_equal(parse_some(sizeof(file), &multiboot, &err), 0);
	assert_false(multiboot.needs_screen);

	/* The second version counts, and says another entry. */
	put_header2(0x400, 0, 0x40);
	at = put_tag(0x410, 3, 0, (const uint32_t[]){LOAD + 0x20}, 1);
	put_tag(at, 0, 0, NULL, 0);
	assert_accepted(2, LOAD + 0x20);
	/* But where it requires what is not there, the first one will do. */
	put_tag(at, 7, 0, NULL, 0);
	assert_accepted(1, LOAD + 0x10);
	put_tag(at, 7, 1, NULL, 0);
	assert_accepted(2, LOAD + 0x20);
	/* Other ELF files can't be. */
	((Elf32_Ehdr *)(void *)file)->e_machine = EM_ARM;
	assert_refused("no ELF executable for x86");
}

static void multiboot_refuses_what_it_has_not(void **state)
{
	(void)state;
	put_elf();
	put_header1(AT, 1 << 5);
	assert_refused("requires bit 5");
	memset(file + AT, 0, 64);
	put_header2(AT, 4, 16);
	assert_refused("architecture 4");
	put_header2(AT, 0, 0x100);
	put_tag(AT + 16, 9, 0, (const uint32_t[]){1}, 1);
	assert_refused("requires tag 9");
	put_tag(AT + 16, 1, 0, (const uint32_t[]){6, 12}, 2);
	assert_refused("requires information 12");
	put_tag(AT + 16, 1, 0, (const uint32_t[]){0x106}, 1);
	assert_refused("requires information 262");
	put_tag(AT + 16, 1, 1, (const uint32_t[]){6, 12}, 2);
	put_tag(AT + 32, 0, 0, NULL, 0);
	assert_accepted(2, LOAD + 0x10);
}

static void multiboot2_refuses_bad_tags(void **state)
{
	struct multiboot multiboot;
	struct err err;

	(void)state;
	put_elf();
	put_header2(AT, 0, 0x40);
	store_le32(file + AT + 16, 4);
	assert_refused("impossible size");
	store_le32(file + AT + 20, 0x40);
	assert_refused("impossible size");
	store_le32(file + AT + 20, UINT32_MAX);
	assert_refused("impossible size");
	store_le32(file + AT + 20, 0x30);
	assert_refused("do not end");
	put_header2(AT, 0, UINT32_MAX);
	assert_refused("longer than");
	put_header2(AT, 0, 0);
	assert_refused("do not end");
	put_header2(AT, 0, 0x40);
	put_tag(AT + 16, 2, 0, (const uint32_t[]){1}, 1);
	assert_refused("too short");
	put_tag(AT + 16, 3, 0, NULL, 0);
	assert_refused("too short");
	/* Cut at any place it is refused. */
	put_tag(AT + 16, 0, 0, NULL, 0);
	for (size_t bytes = 0; bytes < 0x8000 + sizeof(Elf32_Phdr); bytes++)
		assert_true(parse_some(bytes, &multiboot, &err) < 0);
}

static void multiboot_refuses_bad_addresses(void **state)
{
	static const struct {
		uint32_t header, load, load_end, bss_end, entry;
		const char *words; /* NULL: it is good */
	} cases[] = {
		{LOAD + AT, LOAD, 0, 0, LOAD, NULL},
		{LOAD, LOAD, 0, 0, LOAD + 8, NULL},
		{LOAD + AT, LOAD, LOAD + 64, LOAD + 4096, LOAD + 4095, NULL},
		{LOAD + AT, LOAD, LOAD + FILE_BYTES, 0, LOAD, NULL},
		{LOAD - 4, LOAD, 0, 0, LOAD, "its own address"},
		{LOAD + AT + 4, LOAD, 0, 0, LOAD, "its own address"},
		{UINT32_MAX, 0, 0, 0, LOAD, "its own address"},
		{LOAD + AT, LOAD, LOAD - 1, 0, LOAD, "end of what is loaded"},
		{LOAD + AT, LOAD, LOAD + FILE_BYTES + 1, 0, LOAD, "end of what is loaded"},
		{LOAD + AT, LOAD, LOAD + 64, LOAD + 63, LOAD, "end of its memory"},
		{LOAD + AT, LOAD, LOAD + 64, LOAD + 4096, LOAD + 4096, "outside what is loaded"},
		{LOAD + AT, LOAD, 0, 0, LOAD - 1, "outside what is loaded"},
		{0x1000 + AT, 0x1000, 0, 0, 0x1000, "first MiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint32_t words[] = {cases[i].header, cases[i].load, cases[i].load_end,
			cases[i].bss_end, cases[i].entry};

		memset(file, 0, sizeof(file));
		put_header1(AT, 3 | FLAG_ADDRESSES);
		put(file + AT + 12, words, ARRAY_SIZE(words));
		if (cases[i].words)
			assert_refused(cases[i].words);
		else
			assert_accepted(1, cases[i].entry);
	}
	/* Addresses without an entry. */
	memset(file, 0, sizeof(file));
	put_header2(AT, 0, 0x40);
	put_tag(put_tag(AT + 16, 2, 0, (const uint32_t[]){LOAD + AT, LOAD, 0, 0}, 4), 0, 0, NULL,
		0);
	assert_refused("no entry");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multiboot_is_found),
		cmocka_unit_test(multiboot_of_elf),
		cmocka_unit_test(multiboot_refuses_what_it_has_not),
		cmocka_unit_test(multiboot2_refuses_bad_tags),
		cmocka_unit_test(multiboot_refuses_bad_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
