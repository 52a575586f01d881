/*
 * bzimage: the setup header is read, bounded and checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "firmware/bzimage.h"
#include "tests/fake/fake_kernel.h"

static struct bzimage image;

static int parse_part(const struct fake_file *file, size_t bytes, struct err *err)
{
	struct source_bytes in = {.data = file->data, .size = bytes};
	struct source source = source_from_bytes(&in);

	err_clear(err);
	return bzimage_parse(&source, "vmlinuz", &image, err);
}

static int parse(const struct fake_file *file)
{
	struct err err = ERR_INIT;
	int ret = parse_part(file, file->size, &err);

	assert_int_equal(ret < 0, err_is_set(&err));
	return ret;
}

static void assert_refused(const struct fake_file *file, const char *words)
{
	struct err err = ERR_INIT;

	assert_true(parse_part(file, file->size, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	assert_non_null(strstr(err.text, words));
	assert_non_null(strstr(err.text, "vmlinuz"));
}

/* A kernel with 1000 bytes of packed data that says it is LZ4. */
static void build(struct fake_file *file)
{
	struct fake_file payload = {NULL, 0};

	fake_file_append(&payload, "\x02\x21\x4c\x18", 4);
	fake_file_zeros(&payload, 996);
	fake_bzimage_build(file, &payload, 123456, 8 << 20);
	fake_file_finish(&payload);
}

static void bzimage_is_read(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build(&file);
	assert_int_equal(parse(&file), 0);
	assert_string_equal(image.version, FAKE_VERSION);
	assert_int_equal(image.code_offset, 5 * 512);
	assert_int_equal(image.code_size, file.size - image.code_offset);
	assert_int_equal(image.load_address, 16 * MIB);
	assert_int_equal(image.memory_start, 16 * MIB);
	assert_int_equal(image.memory_bytes, 8 * MIB);
	assert_true(image.has_entry64);
	assert_int_equal(image.initrd_max, 0x7fffffff);
	assert_int_equal(image.payload_format, UNPACK_LZ4_LEGACY);
	assert_int_equal(image.payload_offset, image.code_offset + 0x300);
	assert_int_equal(image.payload_bytes, 1000);
	assert_int_equal(image.unpacked_bytes, 123456);
	fake_file_finish(&file);
}

static void bzimage_gzip_has_its_size_inside(void **state)
{
	struct fake_file file = {NULL, 0}, payload = {NULL, 0};

	(void)state;
	fake_pack(&payload, UNPACK_GZIP, fake_elf_plain.segments, 200);
	fake_bzimage_build(&file, &payload, 0, 8 << 20);
	assert_int_equal(parse(&file), 0);
	assert_int_equal(image.payload_format, UNPACK_GZIP);
	assert_int_equal(image.payload_bytes, payload.size);
	assert_int_equal(image.unpacked_bytes, 200);
	fake_file_finish(&payload);
	fake_file_finish(&file);
}

static void bzimage_signature_behind_is_no_code(void **state)
{
	struct fake_file file = {NULL, 0};
	uint64_t code_size;

	(void)state;
	build(&file);
	assert_int_equal(parse(&file), 0);
	code_size = image.code_size;
	fake_file_zeros(&file, 1472);
	assert_int_equal(parse(&file), 0);
	assert_int_equal(image.code_size, code_size);
	fake_file_finish(&file);
}

static void bzimage_truncated_everywhere(void **state)
{
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	build(&file);
	/* The last paragraph need not be whole. */
	for (size_t bytes = 0; bytes < file.size - 15; bytes++) {
		assert_true(parse_part(&file, bytes, &err) < 0);
		assert_int_equal(err.kind, EXIT_CODE_IMAGE);
		assert_non_null(strstr(err.text, "cut"));
	}
	fake_file_finish(&file);
}

static void bzimage_old_and_small_kinds_are_refused(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build(&file);
	fake_bzimage_header(&file)->version = 0x0205;
	assert_refused(&file, "2.05");
	fake_bzimage_header(&file)->version = 0x020f;
	fake_bzimage_header(&file)->loadflags = 0;
	assert_refused(&file, "zImage");
	fake_file_finish(&file);
}

static void bzimage_without_64_bit_entry(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build(&file);
	fake_bzimage_header(&file)->xloadflags = 0;
	assert_int_equal(parse(&file), 0);
	assert_false(image.has_entry64);
	/* Before 2.12 that field did not exist, before 2.10 nor did the address. */
	fake_bzimage_header(&file)->xloadflags = XLF_KERNEL_64;
	fake_bzimage_header(&file)->version = 0x020b;
	assert_int_equal(parse(&file), 0);
	assert_false(image.has_entry64);
	assert_int_equal(image.load_address, 16 * MIB);
	fake_bzimage_header(&file)->version = 0x0209;
	assert_int_equal(parse(&file), 0);
	assert_int_equal(image.load_address, 1 * MIB);
	/* It unpacks itself from the next multiple of its alignment on. */
	assert_int_equal(image.memory_bytes, 4 * image.code_size + MIB);
	fake_file_finish(&file);
}

static void bzimage_refuses_absurd_numbers(void **state)
{
	struct fake_file file = {NULL, 0};
	struct setup_header *header, good;

	(void)state;
	build(&file);
	header = fake_bzimage_header(&file);
	good = *header;
	header->kernel_alignment = 0;
	assert_refused(&file, "kernel_alignment");
	header->kernel_alignment = 3;
	assert_refused(&file, "kernel_alignment");
	header->kernel_alignment = 1u << 31;
	assert_refused(&file, "kernel_alignment");
	*header = good;
	header->pref_address = 0x1000;
	assert_refused(&file, "pref_address");
	header->pref_address = 4 * GIB;
	assert_refused(&file, "pref_address");
	header->pref_address = UINT64_MAX;
	assert_refused(&file, "pref_address");
	*header = good;
	header->init_size = 100;
	assert_refused(&file, "init_size");
	*header = good;
	header->syssize = UINT32_MAX;
	assert_refused(&file, "cut");
	header->syssize = 0;
	assert_refused(&file, "cut");
	*header = good;
	header->init_size = UINT32_MAX;
	header->pref_address = 4 * GIB - MIB;
	assert_int_equal(parse(&file), 0);
	assert_true(image.memory_start + image.memory_bytes > 7 * GIB);
	fake_file_finish(&file);
}

static void bzimage_refuses_bad_payload_range(void **state)
{
	struct fake_file file = {NULL, 0};
	struct setup_header *header, good;

	(void)state;
	build(&file);
	header = fake_bzimage_header(&file);
	good = *header;
	header->payload_offset = UINT32_MAX;
	assert_refused(&file, "payload_length");
	*header = good;
	header->payload_length = UINT32_MAX;
	assert_refused(&file, "payload_length");
	header->payload_length = 3;
	assert_refused(&file, "payload_length");
	*header = good;
	header->payload_length = (uint32_t)(file.size - 5 * 512 - header->payload_offset + 1);
	assert_refused(&file, "payload_length");
	header->payload_length = 0;
	assert_int_equal(parse(&file), 0);
	assert_int_equal(image.payload_format, UNPACK_NONE);
	fake_file_finish(&file);
}

static void bzimage_header_length_is_bounded(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build(&file);
	for (unsigned length = 0; length < 256; length++) {
		file.data[0x201] = (uint8_t)length;
		/* A short header has zeros for what it lacks, and then is too old or incomplete. */
		if (parse(&file) == 0)
			assert_int_equal(image.header.version, 0x020f);
		else
			assert_true(length < 0x62);
	}
	fake_file_finish(&file);
}

static void bzimage_version_is_harmless(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	build(&file);
	memcpy(file.data + 0x600, "6.1\x1b[31m evil", 13);
	assert_int_equal(parse(&file), 0);
	assert_string_equal(image.version, "6.1");
	memset(file.data + 0x600, 'A', 5 * 512 - 0x600);
	assert_int_equal(parse(&file), 0);
	assert_int_equal(strlen(image.version), sizeof(image.version) - 1);
	fake_bzimage_header(&file)->kernel_version = UINT16_MAX;
	assert_int_equal(parse(&file), 0);
	assert_string_equal(image.version, "");
	fake_file_finish(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bzimage_is_read),
		cmocka_unit_test(bzimage_gzip_has_its_size_inside),
		cmocka_unit_test(bzimage_signature_behind_is_no_code),
		cmocka_unit_test(bzimage_truncated_everywhere),
		cmocka_unit_test(bzimage_old_and_small_kinds_are_refused),
		cmocka_unit_test(bzimage_without_64_bit_entry),
		cmocka_unit_test(bzimage_refuses_absurd_numbers),
		cmocka_unit_test(bzimage_refuses_bad_payload_range),
		cmocka_unit_test(bzimage_header_length_is_bounded),
		cmocka_unit_test(bzimage_version_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
