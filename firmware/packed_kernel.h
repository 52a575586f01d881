/*
 * A packed ELF kernel: unpacked straight into guest memory, segment by
 * segment, without a copy of the whole.
 */
#pragma once

#include <stdint.h>

#include "firmware/elf.h"
#include "firmware/source.h"
#include "firmware/unpack.h"
#include "vmm/base/err.h"
#include "vmm/core/gmem.h"

struct packed_kernel {
	const char *name; /* for sentences */
	const struct source *source;
	enum unpack_format format;
	uint64_t offset; /* of the packed data in the source, */
	uint64_t bytes;	 /* and its length */
	uint64_t limit;	 /* unpacked bytes at most */
	/* What it must unpack to, or 0: not known. */
	uint64_t expected;

	/*
	 * Called once, before anything is written: may the kernel go where its segments
	 * say? 0: yes; PACKED_KERNEL_UNSUITABLE; or -errno and a sentence.
	 */
	int (*accept)(void *opaque, const struct elf_image *image, struct err *err);
	void *opaque;
};

/* No ELF kernel, or not accepted: nothing was written, and another way may be tried. */
#define PACKED_KERNEL_UNSUITABLE 1

/*
 * Fills `image` with the kernel's headers (PVH notes are not looked for) and guest
 * memory, which is zero, with its segments. Result: 0, PACKED_KERNEL_UNSUITABLE, or -errno and
 * a sentence: damaged data, a file that can't be read, out of memory.
 */
int packed_kernel_load(const struct packed_kernel *packed, struct gmem *mem,
	struct elf_image *image, struct err *err);
