/*
 * Bytes to be looked at: a file, a disk behind a backend, or a buffer in a
 * test. Everything in firmware/ that reads what a person gave it reads through
 * this, so that a parser never sees more than (offset, length) and a fuzzer
 * needs no file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/util.h"

struct source {
	/* Reads up to `len` bytes; the result says how many, or is -errno. Short only at the end. */
	int64_t (*read)(void *opaque, uint64_t offset, void *buf, uint64_t len);
	void *opaque;
	uint64_t size; /* bytes */
};

/* All of [offset, offset + len), or false: beyond the end, or the read failed. */
bool source_read(const struct source *source, uint64_t offset, void *buf, uint64_t len);

/*
 * As much of [offset, offset + len) as there is; the rest of `buf` is zeroed.
 * Returns the number of bytes read, 0 when nothing could be.
 */
uint64_t source_read_some(const struct source *source, uint64_t offset, void *buf, uint64_t len);

/* A file: `fd` (borrowed, a pointer to it is kept) is read with pread(2). */
struct source source_from_fd(const int *fd, uint64_t size);

/* A buffer (borrowed). The struct source_bytes must outlive the source. */
struct source_bytes {
	const void *data;
	uint64_t size;
};
struct source source_from_bytes(const struct source_bytes *bytes);
