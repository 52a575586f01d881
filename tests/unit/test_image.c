/*
 * image and inspect: any file gets a name that a person understands, and none
 * gets more than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "firmware/image.h"
#include "firmware/inspect.h"
#include "tests/fake/fake_kernel.h"

enum {
	OUTPUT_BYTES = 64 * 1024,
};

static char folder[] = "/tmp/test-image-XXXXXX";

static struct image_info probe(const void *data, size_t size)
{
	struct source_bytes in = {.data = data, .size = size};
	struct source source = source_from_bytes(&in);
	struct image_info info;

	image_probe(&source, &info);
	return info;
}

static void assert_is(const struct fake_file *file, enum image_kind kind, const char *text)
{
	struct image_info info = probe(file->data, file->size);

	if (info.kind != kind || !strstr(info.text, text))
		fail_msg("kind %d, \"%s\"; wanted %d, \"%s\"", info.kind, info.text, kind, text);
}

static void image_kernels_are_recognised(void **state)
{
	struct fake_file elf = {NULL, 0}, packed = {NULL, 0}, bzimage = {NULL, 0};

	(void)state;
	fake_elf_build(&elf, &fake_elf_plain);
	assert_is(&elf, IMAGE_ELF, "an x86-64 ELF kernel");
	fake_pack(&packed, UNPACK_ZSTD, elf.data, elf.size);
	assert_is(&packed, IMAGE_PACKED_ELF, "an x86-64 ELF kernel, packed by zstd");
	fake_bzimage_build(&bzimage, &packed, (uint32_t)elf.size, 1 << 20);
	assert_is(&bzimage, IMAGE_BZIMAGE, "a Linux kernel for x86");
	fake_file_finish(&elf);
	fake_file_finish(&packed);
	fake_file_finish(&bzimage);
}

static void image_others_are_named(void **state)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t len;
		enum image_kind kind;
		const char *text;
	} cases[] = {
		{0, "070701", 6, IMAGE_ARCHIVE, "a cpio archive"},
		{257, "ustar", 5, IMAGE_OTHER, "a tar archive"},
		{0, "#!/bin/sh\n", 10, IMAGE_OTHER, "a script"},
		{0, "QFI\xfb", 4, IMAGE_DISK, "a qcow2 disk image"},
		{0, "KDMV", 4, IMAGE_DISK, "a VMDK disk image"},
		{0, "!<arch>\ndebian-binary   ", 24, IMAGE_PACKAGE, "a Debian package"},
		{0, "!<arch>\n/    ", 13, IMAGE_OTHER, "a static library"},
		{0, "\xed\xab\xee\xdb", 4, IMAGE_PACKAGE, "an RPM package"},
		{0, "PK\x03\x04", 4, IMAGE_OTHER, "a zip archive"},
		{0, "\x27\x05\x19\x56", 4, IMAGE_OTHER_KERNEL, "U-Boot"},
		{56, "ARM\x64", 4, IMAGE_OTHER_KERNEL, "AArch64"},
		{56, "RSC\x05", 4, IMAGE_OTHER_KERNEL, "RISC-V"},
		{4, "zimg", 4, IMAGE_OTHER_KERNEL, "zboot"},
		{0, "\x0b\x01\x64\x00", 4, IMAGE_OTHER_KERNEL, "a.out"},
		{0x2000 - 12, "\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4", 12, IMAGE_MULTIBOOT,
			"a flat Multiboot kernel"},
		{0x800, "\xd6\x50\x52\xe8\0\0\0\0\x10\0\0\0\x1a\xaf\xad\x17", 16, IMAGE_MULTIBOOT,
			"a flat Multiboot kernel"},
		{510, "\x55\xaa", 2, IMAGE_BOOT_SECTOR, "a boot sector"},
		{0,
			"\xfd"
			"7zXZ\0",
			6, IMAGE_OTHER, "a file packed by XZ"},
		{0, "", 0, IMAGE_OTHER, "nothing but zeros"},
		{100, "\x01\x02\x03", 3, IMAGE_OTHER, "unknown format"},
		{0, "LUKS\xba\xbe", 6, IMAGE_DISK, "a disk image (crypto_LUKS)"},
		{1024 + 56, "\x53\xef", 2, IMAGE_OTHER, "unknown format"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_file file = {NULL, 0};

		fake_file_zeros(&file, 10000);
		memcpy(file.data + cases[i].offset, cases[i].bytes, cases[i].len);
		assert_is(&file, cases[i].kind, cases[i].text);
		fake_file_finish(&file);
	}
}

static void image_small_files_are_named(void **state)
{
	struct image_info info = probe("", 0);

	(void)state;
	assert_string_equal(info.text, "an empty file");
	info = probe("hello\n", 6);
	assert_string_equal(info.text, "a text file");
	info = probe("\x7f"
		     "ELF",
		4);
	assert_string_equal(info.text, "the cut beginning of an ELF file");
	info = probe("MZ", 2);
	assert_string_equal(info.text, "a text file");
	info = probe("\0", 1);
	assert_string_equal(info.text, "a file that begins with nothing but zeros");
}

static void image_elf_of_others_is_named(void **state)
{
	struct fake_file file = {NULL, 0};
	Elf64_Ehdr *ehdr, good;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	ehdr = fake_elf_header(&file);
	good = *ehdr;
	ehdr->e_machine = EM_AARCH64;
	assert_is(&file, IMAGE_OTHER_KERNEL, "an ELF file for AArch64");
	ehdr->e_machine = 4711;
	assert_is(&file, IMAGE_OTHER_KERNEL, "an ELF file for machine number 4711");
	ehdr->e_ident[EI_DATA] = ELFDATA2MSB;
	ehdr->e_machine = 0x1600; /* 22 with its high byte first */
	assert_is(&file, IMAGE_OTHER_KERNEL, "an ELF file for IBM S/390");
	*ehdr = good;
	ehdr->e_type = ET_REL;
	assert_is(&file, IMAGE_OTHER, "an ELF object file or kernel module");
	*ehdr = good;
	ehdr->e_ident[EI_CLASS] = ELFCLASS32;
	ehdr->e_machine = EM_386;
	assert_is(&file, IMAGE_OTHER_KERNEL, "a 32-bit ELF file");
	memcpy(file.data + 0x100, "\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4", 12);
	assert_is(&file, IMAGE_MULTIBOOT, "a 32-bit Multiboot kernel");
	fake_file_finish(&file);
}

static void image_pe_programs_are_named(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	fake_file_zeros(&file, 1000);
	memcpy(file.data, "MZ", 2);
	store_le32(file.data + 0x3c, 0x80);
	assert_is(&file, IMAGE_OTHER, "a DOS or Windows program");
	memcpy(file.data + 0x80, "PE\0", 4);
	store_le16(file.data + 0x84, 0x8664);
	store_le16(file.data + 0x80 + 24 + 68, 10);
	assert_is(&file, IMAGE_OTHER, "a UEFI program for x86-64");
	store_le16(file.data + 0x80 + 24 + 68, 3);
	assert_is(&file, IMAGE_OTHER, "a Windows program for x86-64");
	store_le32(file.data + 0x3c, UINT32_MAX);
	assert_is(&file, IMAGE_OTHER, "a DOS or Windows program");
	fake_file_finish(&file);
}

static void image_packed_files_are_looked_into(void **state)
{
	struct fake_file cpio = {NULL, 0}, packed = {NULL, 0};

	(void)state;
	fake_file_append(&cpio, "070701", 6);
	fake_file_zeros(&cpio, 1000);
	fake_pack(&packed, UNPACK_GZIP, cpio.data, cpio.size);
	assert_is(&packed, IMAGE_ARCHIVE, "a cpio archive (an initramfs), packed by gzip");
	fake_file_finish(&packed);
	fake_pack(&packed, UNPACK_LZ4_LEGACY, "hello world\n", 12);
	assert_is(&packed, IMAGE_OTHER, "a text file, packed by LZ4");
	fake_file_finish(&packed);
	/* Cut or damaged, it is still what it begins as. */
	fake_file_append(&packed, "\x1f\x8b\x08\0garbage", 11);
	assert_is(&packed, IMAGE_OTHER, "a file packed by gzip");
	fake_file_finish(&packed);
	fake_file_finish(&cpio);
}

static void image_packed_in_packed(void **state)
{
	struct fake_file one = {NULL, 0}, two = {NULL, 0};

	(void)state;
	fake_pack(&one, UNPACK_GZIP, "hello", 5);
	fake_pack(&two, UNPACK_ZSTD, one.data, one.size);
	assert_is(&two, IMAGE_OTHER, "a file packed by zstd");
	fake_file_finish(&one);
	fake_file_finish(&two);
}

static void image_packed_bomb(void **state)
{
	struct fake_file bomb = {NULL, 0};
	const size_t bytes = 64 << 20;
	uint8_t *zeros = calloc(1, bytes);

	(void)state;
	assert_non_null(zeros);
	fake_pack(&bomb, UNPACK_ZSTD, zeros, bytes);
	free(zeros);
	assert_is(&bomb, IMAGE_OTHER, "nothing but zeros, packed by zstd");
	fake_file_finish(&bomb);
}

static void assert_printable(const char *text)
{
	for (; *text; text++)
		assert_in_range(*text, ' ', '~');
}

static void image_truncated_everywhere(void **state)
{
	struct fake_file elf = {NULL, 0}, packed = {NULL, 0}, bzimage = {NULL, 0}, pe = {NULL, 0};
	const struct fake_file *files[] = {&elf, &packed, &bzimage, &pe};

	(void)state;
	fake_elf_build(&elf, &fake_elf_plain);
	fake_pack(&packed, UNPACK_GZIP, elf.data, elf.size);
	fake_bzimage_build(&bzimage, &packed, 0, 1 << 20);
	fake_file_append(&pe, "MZ", 2);
	fake_file_zeros(&pe, 300);
	store_le32(pe.data + 0x3c, 0x80);
	memcpy(pe.data + 0x80, "PE\0", 4);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		for (size_t bytes = 0; bytes <= files[i]->size; bytes += 1 + (bytes > 2000) * 97) {
			/* A buffer of exactly that size, so that one byte more is noticed. */
			uint8_t *part = malloc(bytes + !bytes);
			struct image_info info;

			assert_non_null(part);
			memcpy(part, files[i]->data, bytes);
			info = probe(part, bytes);
			assert_true(info.text[0]);
			assert_printable(info.text);
			free(part);
		}
	fake_file_finish(&elf);
	fake_file_finish(&packed);
	fake_file_finish(&bzimage);
	fake_file_finish(&pe);
}

static void image_text_is_printable(void **state)
{
	uint32_t random = 7;
	uint8_t noise[4096];

	(void)state;
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(noise); i++) {
			random = random * 1664525u + 1013904223u;
			noise[i] = (uint8_t)(random >> 24);
		}
		assert_printable(probe(noise, sizeof(noise)).text);
	}
}

/* ---- Opening ---- */

static void assert_open_fails(const char *path, int errnum, const char *words)
{
	struct err err = ERR_INIT;
	uint64_t size;

	assert_int_equal(image_open(path, "kernel", false, &size, &err), -errnum);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	if (!strstr(err.text, words) || !strstr(err.text, "kernel"))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static void image_open_refuses(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[64];
	int fd;

	(void)state;
	assert_open_fails("/nonexistent", ENOENT, "No such file");
	assert_open_fails(folder, EINVAL, "is a directory");
	assert_open_fails("/dev/zero", EINVAL, "is a character device");
	snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_open_fails(path, EINVAL, "is a pipe");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_open_fails(address.sun_path, ENXIO, "can't open");
	close(fd);
	snprintf(path, sizeof(path), "%s/secret", folder);
	fake_file_save(&(struct fake_file){.data = (uint8_t *)"x", .size = 1}, path);
	assert_int_equal(chmod(path, 0), 0);
	if (geteuid() != 0)
		assert_open_fails(path, EACCES, "Permission denied");
}

static void image_refusal_gives_advice(void **state)
{
	static const struct {
		enum image_kind kind;
		const char *hint;
	} cases[] = {{IMAGE_ARCHIVE, "--initrd"}, {IMAGE_DISK, "--disk"},
		{IMAGE_PACKAGE, "unpack the package"}, {IMAGE_OTHER, "bzImage"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image_info info = {.kind = cases[i].kind, .text = "a thing"};
		struct err err = ERR_INIT;

		assert_int_equal(image_refuse_kernel(&info, "some/file", &err), -ENOEXEC);
		assert_non_null(strstr(err.text, "some/file is a thing"));
		assert_non_null(strstr(err.hint, cases[i].hint));
	}
}

/* ---- vmm inspect ---- */

static bool json;

static void inspect(const struct fake_file *file, char *output)
{
	struct err err = ERR_INIT;
	char path[64];
	FILE *out = fmemopen(output, OUTPUT_BYTES, "w");

	assert_non_null(out);
	snprintf(path, sizeof(path), "%s/file", folder);
	fake_file_save(file, path);
	assert_int_equal(inspect_file(path, &(struct inspect_options){.json = json}, out, &err), 0);
	fclose(out);
	for (const char *p = output; *p; p++)
		assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
}

static void assert_has(const char *output, const char *line)
{
	if (!strstr(output, line))
		fail_msg("no \"%s\" in:\n%s", line, output);
}

static void inspect_tells_of_kernels(void **state)
{
	struct fake_file elf = {NULL, 0}, packed = {NULL, 0}, bzimage = {NULL, 0};
	struct fake_elf with_pvh = fake_elf_plain;
	char *output = calloc(1, OUTPUT_BYTES);

	(void)state;
	assert_non_null(output);
	with_pvh.pvh_entry = 16 << 20;
	fake_elf_build(&elf, &with_pvh);
	fake_file_append(&elf, "Linux version 6.1.0-elf \x1b[0m", 28);
	inspect(&elf, output);
	assert_has(output, "version:          Linux version 6.1.0-elf \n");
	assert_has(output, "segment:          0x1000000 to 0x1002ee0, 10000 bytes");
	assert_has(output, "PVH entry:        0x1000000\n");
	assert_has(output, "startable:        yes, by its PVH entry\n");
	fake_pack(&packed, UNPACK_LZ4_LEGACY, elf.data, elf.size);
	fake_bzimage_build(&bzimage, &packed, (uint32_t)elf.size, 1 << 20);
	inspect(&bzimage, output);
	assert_has(output, "version:          " FAKE_VERSION "\n");
	assert_has(output, "boot protocol:    2.15\n");
	assert_has(output, "payload:          LZ4, ");
	assert_has(output, "command line:     at most 2047 characters\n");
	assert_has(output, "flags:            64-bit entry\n");
	fake_bzimage_header(&bzimage)->version = 0x0201;
	inspect(&bzimage, output);
	assert_has(output, "startable:        no: ");
	free(output);
	fake_file_finish(&elf);
	fake_file_finish(&packed);
	fake_file_finish(&bzimage);
}

static void inspect_survives_any_file(void **state)
{
	struct fake_file elf = {NULL, 0}, bzimage = {NULL, 0};
	char *output = calloc(1, OUTPUT_BYTES);
	uint32_t random = 3;

	(void)state;
	assert_non_null(output);
	fake_elf_build(&elf, &fake_elf_plain);
	fake_bzimage_build(&bzimage, &elf, (uint32_t)elf.size, 1 << 20);
	for (int round = 0; round < 300; round++) {
		struct fake_file *file = round & 1 ? &elf : &bzimage;
		size_t range = round & 1 ? 512 : 1536;
		uint8_t *byte;

		random = random * 1664525u + 1013904223u;
		byte = file->data + (random >> 8) % range;
		*byte ^= (uint8_t)(random >> 24);
		inspect(file, output);
		assert_has(output, "format: ");
	}
	free(output);
	fake_file_finish(&elf);
	fake_file_finish(&bzimage);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
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
		cmocka_unit_test(image_kernels_are_recognised),
		cmocka_unit_test(image_others_are_named),
		cmocka_unit_test(image_small_files_are_named),
		cmocka_unit_test(image_elf_of_others_is_named),
		cmocka_unit_test(image_pe_programs_are_named),
		cmocka_unit_test(image_packed_files_are_looked_into),
		cmocka_unit_test(image_packed_in_packed),
		cmocka_unit_test(image_packed_bomb),
		cmocka_unit_test(image_truncated_everywhere),
		cmocka_unit_test(image_text_is_printable),
		cmocka_unit_test(image_open_refuses),
		cmocka_unit_test(image_refusal_gives_advice),
		cmocka_unit_test(inspect_tells_of_kernels),
		cmocka_unit_test(inspect_survives_any_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
