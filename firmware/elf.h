/*
 * ELF kernels for x86: reads the headers, finds the PVH note, and puts the
 * segments at their physical addresses as the file's bytes come by, so that a
 * packed kernel is never held unpacked in the host's memory.
 *
 * Sources: the System V ABI (ELF-64 and ELF-32 object file formats); Xen's elfnote.h for the
 * note of the x86/HVM direct boot ABI.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "firmware/source.h"
#include "vmm/base/err.h"
#include "vmm/core/gmem.h"

enum {
	ELF_SEGMENTS_MAX = 128
};

struct elf_segment {
	uint64_t offset; /* in the file */
	uint64_t file_size;
	uint64_t paddr, vaddr;
	uint64_t mem_size; /* >= file_size, > 0 */
};

struct elf_image {
	uint64_t entry; /* physical */
	bool has_pvh;
	uint32_t pvh_entry;
	bool has_linux_entry; /* a Linux kernel: `entry` is that of the 64-bit boot protocol */
	uint64_t lowest, end; /* [lowest, end) holds all segments */
	uint64_t file_end;    /* offset behind the last byte that a segment needs */
	unsigned segment_count;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
};

/* What the first bytes of a file say, for telling people. */
enum elf_verdict {
	ELF_KERNEL,	   /* an executable for x86-64 */
	ELF_NONE,	   /* not ELF */
	ELF_CUT,	   /* ELF, but the headers are cut */
	ELF_OTHER_MACHINE, /* not x86-64, or not little-endian */
	ELF_32BIT,
	ELF_NOT_EXECUTABLE, /* object, library, core file */
	ELF_USER_PROGRAM,   /* an executable for an operating system */
};
enum elf_verdict elf_judge(const struct source *source);

/* "AArch64": the machine of an ELF file's e_machine, or NULL. */
const char *elf_machine_name(unsigned machine);

/*
 * Reads and checks the headers: segments that overlap, wrap, lie in the first MiB or need
 * more than they have are refused. `name` is for the sentence (kind EXIT_CODE_IMAGE).
 * Whether the file is long enough is checked for a file read as it is (`whole`); with
 * packed data `source` holds only its first bytes, and notes are not looked at.
 */
int elf_parse(const struct source *source, bool whole, const char *name, struct elf_image *image,
	struct err *err);

/*
 * The same for kernels that are entered in protected mode: files of 32 bits, too. An entry that is
 * a virtual address becomes the physical one.
 */
int elf_parse_any(
	const struct source *source, const char *name, struct elf_image *image, struct err *err);

/*
 * Linux is entered by its own boot protocol even where it has both: what PVH hands over has no place
 * for a screen or a device tree, and behind that entry Linux searches 256 CPUID leaves for Xen.
 */
bool elf_is_entered_by_pvh(const struct elf_image *image);

bool elf_is_inside_segment(const struct elf_image *image, uint64_t paddr);

/*
 * Puts the segments of a file that is not packed into guest memory, which is zero
 * there. -EIO when the file can't be read, -EFAULT when a segment is outside RAM.
 */
int elf_load(const struct elf_image *image, const struct source *source, struct gmem *mem);

/* Takes a packed kernel's bytes in order of the file and does the same with them. */
struct elf_writer {
	const struct elf_image *image; /* borrowed */
	struct gmem *mem;	       /* borrowed */
	uint64_t written;	       /* bytes of segments seen so far, zeros included */
};

/* `data` is [offset, offset + len) of the file. 0 or -EFAULT. */
int elf_writer_put(struct elf_writer *writer, uint64_t offset, const void *data, uint64_t len);

/* True when every byte of every segment was put. */
bool elf_writer_is_complete(const struct elf_writer *writer);
