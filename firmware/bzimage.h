/*
 * Linux bzImage files: what the setup header says, checked.
 *
 * Source: the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst), in
 * words of <asm/bootparam.h>.
 */
#pragma once

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stdint.h>

#include "firmware/source.h"
#include "firmware/unpack.h"
#include "vmm/base/err.h"

/* 2.06, of Linux 2.6.22: the first that says how long a command line may be. */
#define BZIMAGE_PROTOCOL_MIN 0x0206

struct bzimage {
	struct setup_header header; /* as in the file; fields newer than its version are zero */
	uint64_t code_offset;	    /* of the protected-mode code in the file, */
	uint64_t code_size;	    /* and its bytes */
	char version[80];	    /* "6.1.0-49-amd64 …": printable, may be empty */

	uint64_t load_address; /* where the code goes */
	uint64_t memory_start; /* the kernel, once unpacked by itself, uses */
	uint64_t memory_bytes; /* [memory_start, memory_start + memory_bytes) */
	bool has_entry64;      /* at load_address + 0x200; else 32-bit at load_address */
	uint64_t initrd_max;   /* highest address that an initrd may occupy */

	enum unpack_format payload_format; /* UNPACK_NONE: unknown, or not packed */
	uint64_t payload_offset;	   /* in the file */
	uint64_t payload_bytes;		   /* without the appended size */
	uint32_t unpacked_bytes;	   /* what the payload unpacks to, as it says itself */
};

/* True when the file has the marks of a Linux kernel for x86, of any age and shape. */
bool bzimage_is_linux(const struct source *source);

/*
 * Reads and checks. `name` is for the sentence (kind EXIT_CODE_IMAGE): old protocol, zImage,
 * cut, numbers that can't be.
 */
int bzimage_parse(
	const struct source *source, const char *name, struct bzimage *image, struct err *err);
