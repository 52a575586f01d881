/*
 * unpack: what was packed comes out again, whatever is damaged is told, and
 * nothing unpacks without bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/unpack.h"
#include "tests/fake/fake_kernel.h"

enum {
	ORIGINAL_BYTES = 9 << 20, /* more than one LZ4 block */
	SMALL_BYTES = 3000,
};

static const enum unpack_format formats[] = {
	UNPACK_GZIP, UNPACK_LZ4_LEGACY, UNPACK_ZSTD, UNPACK_XZ};

static uint8_t *original;

static int make_original(void **state)
{
	uint32_t random = 1;

	(void)state;
	original = malloc(ORIGINAL_BYTES);
	assert_non_null(original);
	for (size_t i = 0; i < ORIGINAL_BYTES; i++) {
		if (i % 64 == 0)
			random = random * 1664525u + 1013904223u;
		original[i] = (uint8_t)(random >> 24);
	}
	return 0;
}

static int free_original(void **state)
{
	(void)state;
	free(original);
	return 0;
}

struct check {
	uint64_t seen;
	bool differs;
};

static int compare(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	struct check *check = opaque;

	assert_int_equal(offset, check->seen);
	assert_true(offset + len <= ORIGINAL_BYTES);
	check->differs |= memcmp(original + offset, data, len) != 0;
	check->seen += len;
	return 0;
}

/* Unpacks `bytes` of the file from its start; what comes out must be a part of the original. */
static int unpack(enum unpack_format format, const struct fake_file *file, size_t bytes,
	uint64_t limit, uint64_t *made)
{
	struct source_bytes in = {.data = file->data, .size = bytes};
	struct source source = source_from_bytes(&in);
	struct check check = {0};
	struct unpack_sink sink = {.put = compare, .opaque = &check, .limit = limit};
	int ret = unpack_stream(format, &source, 0, bytes, &sink, made);

	if (ret == 0)
		assert_false(check.differs);
	return ret;
}

static void unpack_gives_back_what_was_packed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		uint64_t made;

		fake_pack(&file, formats[i], original, ORIGINAL_BYTES);
		assert_int_equal(unpack_recognise(file.data, file.size), formats[i]);
		assert_int_equal(unpack(formats[i], &file, file.size, ORIGINAL_BYTES, &made), 0);
		assert_int_equal(made, ORIGINAL_BYTES);
		/* The kernel's build appends four bytes, and a signature may follow. */
		fake_file_append(&file, "\x12\x34\x56\x78", 4);
		assert_int_equal(unpack(formats[i], &file, file.size, ORIGINAL_BYTES, &made), 0);
		assert_int_equal(made, ORIGINAL_BYTES);
		fake_file_finish(&file);
	}
}

static void unpack_rejects_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		uint64_t made;

		fake_pack(&file, formats[i], original, SMALL_BYTES);
		for (size_t bytes = 0; bytes < file.size; bytes++)
			assert_int_equal(
				unpack(formats[i], &file, bytes, SMALL_BYTES, &made), -EILSEQ);
		fake_file_finish(&file);
	}
}

static void unpack_survives_every_changed_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		unsigned noticed = 0;

		fake_pack(&file, formats[i], original, SMALL_BYTES);
		for (size_t at = 0; at < file.size; at++) {
			struct source_bytes in = {.data = file.data, .size = file.size};
			struct source source = source_from_bytes(&in);
			struct check check = {0};
			struct unpack_sink sink = {
				.put = compare, .opaque = &check, .limit = SMALL_BYTES};
			uint64_t made;

			file.data[at] ^= 0x55;
			noticed += unpack_stream(formats[i], &source, 0, file.size, &sink, &made) !=
					0 ||
				check.differs || made != SMALL_BYTES;
			file.data[at] ^= 0x55;
		}
		assert_true(noticed > file.size / 2);
		fake_file_finish(&file);
	}
}

static void unpack_stops_at_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		uint64_t made;

		fake_pack(&file, formats[i], original, ORIGINAL_BYTES);
		assert_int_equal(
			unpack(formats[i], &file, file.size, ORIGINAL_BYTES - 1, &made), -EFBIG);
		assert_true(made < ORIGINAL_BYTES);
		fake_file_finish(&file);
	}
}

static void lz4_absurd_block_is_damage(void **state)
{
	static const uint32_t sizes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 9 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct fake_file file = {NULL, 0};
		uint64_t made;

		fake_file_append(&file, "\x02\x21\x4c\x18", 4);
		fake_file_append(&file, &sizes[i], 4);
		fake_file_zeros(&file, 10 << 20);
		assert_int_equal(unpack(UNPACK_LZ4_LEGACY, &file, file.size, ORIGINAL_BYTES, &made),
			-EILSEQ);
		fake_file_finish(&file);
	}
}

/* The header of the block says LZMA2 with the largest dictionary, 4 GiB less one. */
static void xz_absurd_dictionary_is_damage(void **state)
{
	struct fake_file file = {NULL, 0};
	size_t bytes, at = 14;
	uint64_t made;
	uint8_t *head;

	(void)state;
	fake_pack(&file, UNPACK_XZ, original, SMALL_BYTES);
	/* Behind the stream's 12 bytes: size, flags, perhaps numbers, filter, its properties, sum. */
	head = file.data + 12;
	bytes = (head[0] + 1) * (size_t)4;
	while (memcmp(file.data + at, "\x21\x01", 2))
		at++;
	assert_true(at < 12 + bytes - 6);
	file.data[at + 2] = 40;
	store_le32(head + bytes - 4, lzma_crc32(head, bytes - 4, 0));
	assert_int_equal(unpack(UNPACK_XZ, &file, file.size, ORIGINAL_BYTES, &made), -EILSEQ);
	fake_file_finish(&file);
}

static int refuse(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	(void)opaque, (void)offset, (void)data, (void)len;
	return -ENOSPC;
}

static void unpack_passes_on_the_sinks_refusal(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		struct unpack_sink sink = {.put = refuse, .limit = ORIGINAL_BYTES};
		struct source_bytes in;
		struct source source;
		uint64_t made;

		fake_pack(&file, formats[i], original, SMALL_BYTES);
		in = (struct source_bytes){.data = file.data, .size = file.size};
		source = source_from_bytes(&in);
		assert_int_equal(
			unpack_stream(formats[i], &source, 0, file.size, &sink, &made), -ENOSPC);
		fake_file_finish(&file);
	}
}

static int64_t fail_to_read(void *opaque, uint64_t offset, void *buf, uint64_t len)
{
	(void)opaque, (void)offset, (void)buf, (void)len;
	return -EIO;
}

static void unpack_tells_read_errors_from_damage(void **state)
{
	struct source source = {.read = fail_to_read, .size = 1000};
	struct check check = {0};
	struct unpack_sink sink = {.put = compare, .opaque = &check, .limit = 1000};
	uint64_t made;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		assert_int_equal(unpack_stream(formats[i], &source, 0, 1000, &sink, &made), -EIO);
}

static void unpack_knows_what_it_can_not(void **state)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *name;
	} others[] = {{"\x5d\0\0\x80", 4, "LZMA"}, {"BZh9", 4, "bzip2"}, {"\x89LZO", 4, "LZO"},
		{"\x04\x22\x4d\x18", 4, "LZ4"}};
	struct check check = {0};
	struct unpack_sink sink = {.put = compare, .opaque = &check, .limit = 1000};
	uint64_t made;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		enum unpack_format format = unpack_recognise(others[i].magic, others[i].len);
		struct source_bytes in = {.data = others[i].magic, .size = others[i].len};
		struct source source = source_from_bytes(&in);

		assert_string_equal(unpack_name(format), others[i].name);
		assert_false(unpack_load(format, NULL));
		assert_int_equal(
			unpack_stream(format, &source, 0, source.size, &sink, &made), -ENOTSUP);
	}
	assert_int_equal(unpack_recognise("\x7f"
					  "ELF",
				 4),
		UNPACK_NONE);
	assert_int_equal(unpack_recognise("\x1f", 1), UNPACK_NONE);
	assert_int_equal(unpack_recognise("", 0), UNPACK_NONE);
}

static void unpack_peek_gives_the_beginning(void **state)
{
	uint8_t buf[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct fake_file file = {NULL, 0};
		struct source_bytes in;
		struct source source;

		fake_pack(&file, formats[i], original, SMALL_BYTES);
		in = (struct source_bytes){.data = file.data, .size = file.size};
		source = source_from_bytes(&in);
		assert_int_equal(unpack_peek(formats[i], &source, buf, sizeof(buf)), sizeof(buf));
		assert_memory_equal(buf, original, sizeof(buf));
		fake_file_finish(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpack_gives_back_what_was_packed),
		cmocka_unit_test(unpack_rejects_every_cut),
		cmocka_unit_test(unpack_survives_every_changed_byte),
		cmocka_unit_test(unpack_stops_at_limit),
		cmocka_unit_test(lz4_absurd_block_is_damage),
		cmocka_unit_test(xz_absurd_dictionary_is_damage),
		cmocka_unit_test(unpack_passes_on_the_sinks_refusal),
		cmocka_unit_test(unpack_tells_read_errors_from_damage),
		cmocka_unit_test(unpack_knows_what_it_can_not),
		cmocka_unit_test(unpack_peek_gives_the_beginning),
	};

	return cmocka_run_group_tests(tests, make_original, free_original);
}
