/*
 * elf: headers of kernels are read and checked, segments land where they say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "firmware/elf.h"
#include "tests/fake/fake_kernel.h"

static struct elf_image image;

/* Parses the first `bytes` of the file; the sentence in `err`. */
static int parse_part(const struct fake_file *file, size_t bytes, struct err *err)
{
	struct source_bytes in = {.data = file->data, .size = bytes};
	struct source source = source_from_bytes(&in);

	err_clear(err);
	return elf_parse(&source, true, "vmlinux", &image, err);
}

static int parse(const struct fake_file *file, struct err *err)
{
	return parse_part(file, file->size, err);
}

static enum elf_verdict judge(const struct fake_file *file)
{
	struct source_bytes in = {.data = file->data, .size = file->size};
	struct source source = source_from_bytes(&in);

	return elf_judge(&source);
}

static void assert_refused(const struct fake_file *file, const char *words)
{
	struct err err = ERR_INIT;

	assert_true(parse(file, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	assert_non_null(strstr(err.text, words));
	assert_non_null(strstr(err.text, "vmlinux"));
}

static void elf_plain_kernel_is_read(void **state)
{
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	assert_int_equal(judge(&file), ELF_KERNEL);
	assert_int_equal(parse(&file, &err), 0);
	assert_int_equal(image.entry, 16 * MIB);
	assert_false(image.has_pvh);
	assert_int_equal(image.segment_count, 2);
	assert_int_equal(image.lowest, 16 * MIB);
	assert_int_equal(image.end, 17 * MIB + 40000);
	assert_int_equal(image.file_end, file.size);
	fake_file_finish(&file);
}

static void elf_pvh_note_is_found(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	elf.pvh_entry = (16 << 20) + 0x50;
	elf.entry = 0xffffffff81000000; /* with a PVH entry nobody uses this one */
	fake_elf_build(&file, &elf);
	assert_int_equal(parse(&file, &err), 0);
	assert_true(image.has_pvh);
	assert_int_equal(image.pvh_entry, (16 << 20) + 0x50);
	fake_file_finish(&file);
}

static void elf_truncated_everywhere(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	elf.pvh_entry = 16 << 20;
	fake_elf_build(&file, &elf);
	/* The note is last: without it the kernel is whole, but for its PVH entry. */
	for (size_t bytes = 0; bytes < FAKE_DATA_OFFSET + 15000; bytes++) {
		assert_true(parse_part(&file, bytes, &err) < 0);
		assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	}
	for (size_t bytes = FAKE_DATA_OFFSET + 15000; bytes < file.size; bytes++) {
		assert_int_equal(parse_part(&file, bytes, &err), 0);
		assert_false(image.has_pvh);
	}
	fake_file_finish(&file);
}

static void elf_refuses_bad_segments(void **state)
{
	struct fake_file file = {NULL, 0};
	Elf64_Phdr *phdr, good;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	phdr = fake_elf_program_header(&file, 0);
	good = *phdr;
	phdr->p_filesz = good.p_memsz + 1;
	assert_refused(&file, "impossible");
	*phdr = good;
	phdr->p_offset = UINT64_MAX - 5;
	assert_refused(&file, "impossible");
	*phdr = good;
	phdr->p_paddr = UINT64_MAX - 5;
	assert_refused(&file, "impossible");
	*phdr = good;
	phdr->p_memsz = UINT64_MAX;
	assert_refused(&file, "impossible");
	*phdr = good;
	phdr->p_offset = file.size - 1;
	assert_refused(&file, "cut");
	fake_file_finish(&file);
}

static void elf_refuses_first_mib(void **state)
{
	struct fake_file file = {NULL, 0};

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	fake_elf_program_header(&file, 0)->p_paddr = 0x8000;
	assert_refused(&file, "first MiB");
	fake_elf_program_header(&file, 0)->p_paddr = MIB - 1;
	assert_refused(&file, "first MiB");
	fake_file_finish(&file);
}

static void elf_refuses_overlap(void **state)
{
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	fake_elf_program_header(&file, 1)->p_paddr = 16 * MIB + 11999;
	assert_refused(&file, "share");
	fake_elf_program_header(&file, 1)->p_paddr = 16 * MIB + 12000;
	assert_int_equal(parse(&file, &err), 0);
	fake_file_finish(&file);
}

static void elf_refuses_bad_headers(void **state)
{
	struct fake_file file = {NULL, 0};
	Elf64_Ehdr *ehdr, good;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	ehdr = fake_elf_header(&file);
	good = *ehdr;
	ehdr->e_phentsize = 55;
	assert_refused(&file, "malformed");
	*ehdr = good;
	ehdr->e_phoff = UINT64_MAX - 8;
	assert_refused(&file, "malformed");
	*ehdr = good;
	ehdr->e_phnum = 0;
	assert_refused(&file, "nothing to load");
	*ehdr = good;
	ehdr->e_entry = 0xffffffff81000000;
	assert_refused(&file, "entry point");
	*ehdr = good;
	ehdr->e_phnum = UINT16_MAX;
	assert_refused(&file, "program headers");
	fake_file_finish(&file);
}

static void elf_refuses_pvh_entry_outside(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};

	(void)state;
	elf.pvh_entry = 0x1234;
	fake_elf_build(&file, &elf);
	assert_refused(&file, "PVH entry");
	fake_file_finish(&file);
}

static void elf_refuses_too_many_segments(void **state)
{
	const unsigned count = ELF_SEGMENTS_MAX + 1;
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	fake_file_zeros(&file, count * sizeof(Elf64_Phdr));
	fake_elf_header(&file)->e_phoff = file.size - count * sizeof(Elf64_Phdr);
	fake_elf_header(&file)->e_phnum = (Elf64_Half)count;
	for (unsigned i = 0; i < count; i++) {
		Elf64_Phdr phdr = {
			.p_type = PT_LOAD, .p_paddr = 16 * MIB + i * 4096, .p_memsz = 4096};

		memcpy(file.data + fake_elf_header(&file)->e_phoff + i * sizeof(phdr), &phdr,
			sizeof(phdr));
	}
	assert_refused(&file, "more than");
	fake_elf_header(&file)->e_phnum = ELF_SEGMENTS_MAX;
	assert_int_equal(parse(&file, &err), 0);
	fake_file_finish(&file);
}

static void elf_survives_bad_notes(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;
	Elf64_Phdr *note;
	uint8_t *data;

	(void)state;
	elf.pvh_entry = 16 << 20;
	fake_elf_build(&file, &elf);
	note = fake_elf_program_header(&file, 2);
	data = file.data + note->p_offset;
	/* Name and description of any size, and any size of the whole. */
	for (unsigned field = 0; field < 2; field++)
		for (unsigned bit = 0; bit < 32; bit++) {
			uint32_t was = load_le32(data + 4 * field);

			store_le32(data + 4 * field, 1u << bit);
			assert_int_equal(parse(&file, &err), 0);
			assert_int_equal(image.has_pvh, 1u << bit == was);
			store_le32(data + 4 * field, UINT32_MAX);
			assert_int_equal(parse(&file, &err), 0);
			assert_false(image.has_pvh);
			store_le32(data + 4 * field, was);
		}
	note->p_filesz = UINT64_MAX;
	assert_int_equal(parse(&file, &err), 0);
	assert_false(image.has_pvh);
	note->p_filesz = 3;
	assert_int_equal(parse(&file, &err), 0);
	assert_false(image.has_pvh);
	fake_file_finish(&file);
}

static void elf_other_files_are_judged(void **state)
{
	struct fake_file file = {NULL, 0};
	Elf64_Ehdr *ehdr, good;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	ehdr = fake_elf_header(&file);
	good = *ehdr;
	ehdr->e_machine = EM_AARCH64;
	assert_int_equal(judge(&file), ELF_OTHER_MACHINE);
	*ehdr = good;
	ehdr->e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(judge(&file), ELF_OTHER_MACHINE);
	*ehdr = good;
	ehdr->e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(judge(&file), ELF_32BIT);
	*ehdr = good;
	ehdr->e_type = ET_DYN;
	assert_int_equal(judge(&file), ELF_NOT_EXECUTABLE);
	*ehdr = good;
	fake_elf_program_header(&file, 1)->p_type = PT_INTERP;
	assert_int_equal(judge(&file), ELF_USER_PROGRAM);
	file.size = 60;
	assert_int_equal(judge(&file), ELF_CUT);
	file.size = 10;
	assert_int_equal(judge(&file), ELF_CUT);
	file.size = 3;
	assert_int_equal(judge(&file), ELF_NONE);
	fake_file_finish(&file);
	assert_string_equal(elf_machine_name(EM_RISCV), "RISC-V");
	assert_null(elf_machine_name(4711));
}

/* ---- Loading ---- */

static void make_memory(struct gmem *mem)
{
	struct gmem_config config = {.size = 64 * MIB, .hole_start = 3 * GIB, .high_base = 4 * GIB};

	assert_int_equal(gmem_init(mem, &config, NULL), 0);
}

static void assert_segment(const struct gmem *mem, const struct fake_segment *segment)
{
	const uint8_t *host = gmem_ptr(mem, segment->paddr, segment->mem_size);

	assert_non_null(host);
	for (size_t n = 0; n < segment->mem_size; n++)
		assert_int_equal(
			host[n], n < segment->file_size ? (uint8_t)(segment->fill + n / 4096) : 0);
}

static void elf_segments_are_loaded(void **state)
{
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;
	struct source_bytes in;
	struct source source;
	struct gmem mem;

	(void)state;
	make_memory(&mem);
	fake_elf_build(&file, &fake_elf_plain);
	in = (struct source_bytes){.data = file.data, .size = file.size};
	source = source_from_bytes(&in);
	assert_int_equal(parse(&file, &err), 0);
	assert_int_equal(elf_load(&image, &source, &mem), 0);
	assert_segment(&mem, &fake_elf_plain.segments[0]);
	assert_segment(&mem, &fake_elf_plain.segments[1]);
	in.size -= 1;
	source = source_from_bytes(&in);
	assert_int_equal(elf_load(&image, &source, &mem), -EIO);
	gmem_finish(&mem);
	fake_file_finish(&file);
}

static void elf_writer_takes_any_pieces(void **state)
{
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;

	(void)state;
	fake_elf_build(&file, &fake_elf_plain);
	assert_int_equal(parse(&file, &err), 0);
	for (size_t piece = 1; piece < 9000; piece = piece * 3 + 1) {
		struct elf_writer writer = {.image = &image};
		struct gmem mem;

		make_memory(&mem);
		writer.mem = &mem;
		for (size_t at = 0; at < file.size; at += piece) {
			assert_false(elf_writer_is_complete(&writer));
			assert_int_equal(elf_writer_put(&writer, at, file.data + at,
						 MIN(piece, file.size - at)),
				0);
		}
		assert_true(elf_writer_is_complete(&writer));
		assert_segment(&mem, &fake_elf_plain.segments[0]);
		assert_segment(&mem, &fake_elf_plain.segments[1]);
		gmem_finish(&mem);
	}
	fake_file_finish(&file);
}

static void elf_segment_outside_ram_is_not_written(void **state)
{
	struct fake_elf elf = fake_elf_plain;
	struct fake_file file = {NULL, 0};
	struct err err = ERR_INIT;
	struct source_bytes in;
	struct source source;
	struct gmem mem;

	(void)state;
	make_memory(&mem);
	elf.segments[1].paddr = 64 * MIB - 4096;
	fake_elf_build(&file, &elf);
	in = (struct source_bytes){.data = file.data, .size = file.size};
	source = source_from_bytes(&in);
	assert_int_equal(parse(&file, &err), 0);
	assert_int_equal(elf_load(&image, &source, &mem), -EFAULT);
	gmem_finish(&mem);
	fake_file_finish(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_plain_kernel_is_read),
		cmocka_unit_test(elf_pvh_note_is_found),
		cmocka_unit_test(elf_truncated_everywhere),
		cmocka_unit_test(elf_refuses_bad_segments),
		cmocka_unit_test(elf_refuses_first_mib),
		cmocka_unit_test(elf_refuses_overlap),
		cmocka_unit_test(elf_refuses_bad_headers),
		cmocka_unit_test(elf_refuses_pvh_entry_outside),
		cmocka_unit_test(elf_refuses_too_many_segments),
		cmocka_unit_test(elf_survives_bad_notes),
		cmocka_unit_test(elf_other_files_are_judged),
		cmocka_unit_test(elf_segments_are_loaded),
		cmocka_unit_test(elf_writer_takes_any_pieces),
		cmocka_unit_test(elf_segment_outside_ram_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
