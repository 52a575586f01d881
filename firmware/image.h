/*
 * What is this file? Recognises kernels that can be started here by looking
 * inside, never by name, and knows enough else to tell a person what a file is
 * that can't.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "firmware/source.h"
#include "firmware/unpack.h"
#include "vmm/base/err.h"

enum image_kind {
	IMAGE_BZIMAGE,		/* a Linux kernel for x86 in its own container */
	IMAGE_ELF,		/* an ELF executable for x86-64 that can be a kernel */
	IMAGE_PACKED_ELF,	/* the same, packed as a whole */
	IMAGE_MULTIBOOT,	/* no kernel of the above; see multiboot.h */
	IMAGE_PACKED_MULTIBOOT, /* the same, packed as a whole */
	IMAGE_BOOT_SECTOR,	/* begins with one, and is no disk that anybody uses otherwise */
	IMAGE_FLAT,		/* never recognised: a person says so */
	IMAGE_OTHER_KERNEL,
	IMAGE_ARCHIVE, /* cpio, packed or not: an initramfs */
	IMAGE_DISK,    /* a disk, a partition, in any format */
	IMAGE_PACKAGE, /* a distribution's package */
	IMAGE_OTHER,
};

struct image_info {
	enum image_kind kind;
	enum unpack_format packing; /* of the file as a whole */
	char text[160];		    /* "an ELF file for AArch64": printable */
};

/* Reads a few dozen KiB. Never fails: what nobody knows is "a file of unknown format". */
void image_probe(const struct source *source, struct image_info *info);

/*
 * Opens a file for reading without waiting for anything. `what` names its part in the
 * sentence (kind EXIT_CODE_IMAGE): "kernel". Directories, pipes, terminals and empty
 * files are refused; block devices too unless `block_too`. Result: an fd for the caller to
 * close, its size in *size.
 */
int image_open(const char *path, const char *what, bool block_too, uint64_t *size, struct err *err);

/* The sentence for a file that was given as a kernel and is none. Returns -ENOEXEC. */
int image_refuse_kernel(const struct image_info *info, const char *path, struct err *err);
