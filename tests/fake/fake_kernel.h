/*
 * Kernels made in memory, for tests of the loaders: ELF files and bzImages with
 * whatever is to be right or wrong about them.
 *
 * What goes wrong in here is a bug of the test and aborts it (ASSERT).
 */
#pragma once

#include <asm/bootparam.h>
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/unpack.h"

enum {
	FAKE_SEGMENTS_MAX = 8,
	FAKE_DATA_OFFSET = 4096, /* of the first segment in the ELF file */
};

/* A growing buffer; zeroed at first, freed by fake_file_finish(). */
struct fake_file {
	uint8_t *data;
	size_t size;
};
void fake_file_finish(struct fake_file *file);
void fake_file_append(struct fake_file *file, const void *data, size_t len);
void fake_file_zeros(struct fake_file *file, size_t len);

/* Writes it to a new file below the test's own folder. */
void fake_file_save(const struct fake_file *file, const char *path);

struct fake_segment {
	uint64_t paddr;
	uint64_t file_size, mem_size;
	uint8_t fill; /* byte n of the segment is fill + n / 4096 */
};

struct fake_elf {
	uint64_t entry;
	unsigned segment_count;
	struct fake_segment segments[FAKE_SEGMENTS_MAX];
	uint32_t pvh_entry; /* 0: no note */
	bool is_linux;	    /* another note, in front of that one */
};

/* Appends the file; its headers may then be spoilt through the pointers. */
void fake_elf_build(struct fake_file *file, const struct fake_elf *elf);
Elf64_Ehdr *fake_elf_header(struct fake_file *file);
Elf64_Phdr *fake_elf_program_header(struct fake_file *file, unsigned nth);

/* A kernel of two segments at 16 MiB, with a gap and a tail of zeros. */
extern const struct fake_elf fake_elf_plain;

/* Appends `in` packed; the format is one of those that unpack.c can undo. */
void fake_pack(struct fake_file *file, enum unpack_format format, const void *in, size_t len);

/*
 * Appends a relocatable bzImage of protocol 2.15 for 16 MiB whose payload is `payload`
 * with its unpacked size behind it (gzip data has it already).
 */
void fake_bzimage_build(struct fake_file *file, const struct fake_file *payload,
	uint32_t unpacked_bytes, uint32_t init_size);
struct setup_header *fake_bzimage_header(struct fake_file *file);

#define FAKE_VERSION "6.1.0-fake (nobody@nowhere) #1 SMP"
