/*
 * Compressed data: recognises the usual formats and unpacks four of them
 * (gzip, LZ4 as the kernel's build makes it, zstd, XZ) with the host's libraries.
 *
 * A library is loaded when first needed and only then, so that a machine with
 * a plain kernel runs without any of them, and starts that much sooner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/source.h"
#include "vmm/base/err.h"

enum unpack_format {
	UNPACK_NONE, /* not a format known here */
	UNPACK_GZIP,
	UNPACK_LZ4_LEGACY, /* blocks of 8 MiB without checksums: what the kernel's build makes */
	UNPACK_LZ4_FRAME,
	UNPACK_ZSTD,
	UNPACK_XZ,
	UNPACK_LZMA,
	UNPACK_BZIP2,
	UNPACK_LZO,
	UNPACK_FORMATS
};

/* The format of data that begins with these bytes (8 suffice). */
enum unpack_format unpack_recognise(const void *head, size_t len);

/* "gzip", "LZ4" …: for people. "uncompressed" for UNPACK_NONE. */
const char *unpack_name(enum unpack_format format);

/*
 * Loads the library of that format. False: there is none for it in this program,
 * or not on this host (then *missing, if not NULL, names the file).
 */
bool unpack_load(enum unpack_format format, const char **missing);

/* Takes the unpacked bytes in order; a result other than 0 ends the unpacking. */
struct unpack_sink {
	int (*put)(void *opaque, uint64_t offset, const void *data, uint64_t len);
	void *opaque;
	uint64_t limit; /* bytes at most */
};

/*
 * Unpacks [offset, offset + len) of the source. What follows the packed data is ignored.
 * Result: 0 and the number of bytes made in *unpacked; -EILSEQ when the data is damaged or
 * cut, -EFBIG beyond the sink's limit, -EIO when the source can't be read, -ENOTSUP
 * without a library, -ENOMEM, or what the sink returned. No sentence: the caller knows
 * what the data is.
 */
int unpack_stream(enum unpack_format format, const struct source *source, uint64_t offset,
	uint64_t len, const struct unpack_sink *sink, uint64_t *unpacked);

/*
 * The first bytes of packed data, for recognising it: up to `size` into `buf`. Returns
 * how many; 0 when it can't be unpacked here.
 */
size_t unpack_peek(enum unpack_format format, const struct source *source, void *buf, size_t size);
