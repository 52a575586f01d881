/*
 * The file of one cached kernel: a header with the identity of the file that it was unpacked from,
 * the kernel's own headers, and a list of extents, runs of pages that are not all zero; then
 * those pages. For kernel_cache.c.
 *
 * The format is this program's, on this host: a struct as it lies in memory, behind a number that
 * changes with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "firmware/packed_kernel.h"
#include "vmm/core/gmem.h"

enum {
	KERNEL_SAMPLE_BYTES = 1024,
};

/* Two files that agree in this are the same kernel. */
struct kernel_identity {
	uint64_t device, inode, bytes;
	int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
	uint64_t offset; /* of the packed data */
	uint8_t begin[KERNEL_SAMPLE_BYTES], end[KERNEL_SAMPLE_BYTES];
};

/* False when the file can't be read or is too short to be a kernel. */
bool kernel_identity_read(struct kernel_identity *identity, int fd, uint64_t offset);

/*
 * False: the file, read at time() `read_s`, may have been or become another without its times showing
 * it. Either it was just being written; or it lies where no clock sets them (a squashfs or an ISO
 * image, FAT, a server that speaks SFTP), of which whole seconds are the sign.
 */
bool kernel_identity_is_settled(const struct kernel_identity *identity, int64_t read_s);

/* For a file's name: the same for the same identity. */
uint64_t kernel_identity_number(const struct kernel_identity *identity);

/* 0 or -errno. */
int kernel_entry_write(int fd, const struct kernel_identity *identity, const struct gmem *mem,
	const struct elf_image *image);

/* As kernel_cache_load(); `bytes` is the file's size. */
int kernel_entry_load(int fd, uint64_t bytes, const struct kernel_identity *identity,
	const struct packed_kernel *packed, struct gmem *mem, struct elf_image *image,
	struct err *err);
