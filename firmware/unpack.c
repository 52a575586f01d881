/*
 * See unpack.h. The only file that knows zlib, liblz4, libzstd and
 * liblzma. Knows nothing of kernels or guest memory. One thread at a time.
 *
 * Formats: RFC 1952 (gzip), RFC 8878 (zstd), the "legacy frame" of the LZ4
 * frame format description, Linux scripts/Makefile.lib (what the kernel's
 * build appends).
 *
 * What the data can say     limit                          enforced in            test
 * endless output (a bomb)   sink->limit                    emit()                 unpack_stops_at_limit
 * LZ4 block of any size     what 8 MiB can pack to         lz4_block()            lz4_absurd_block_is_damage
 * zstd window of any size   128 MiB, libzstd's default     ZSTD_decompressStream  -
 * XZ dictionary of any size XZ_MEMORY_MAX                  lzma_code              xz_absurd_dictionary_is_damage
 * cut or damaged            an error                       the four loops         unpack_rejects_every_cut
 * endless empty input       each turn reads or writes      the four loops         unpack_rejects_every_cut
 */
#include "firmware/unpack.h"

#include <dlfcn.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
	CHUNK_BYTES = 256 * 1024,
	LZ4_LEGACY_BLOCK_BYTES = 8 << 20,
};

/* The kernel's build asks for a dictionary of 32 MiB. */
#define XZ_MEMORY_MAX (128 * MIB)

#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_FRAME_MAGIC	 0x184d2204u

struct stream {
	const struct source *source;
	uint64_t offset; /* of the next packed byte */
	uint64_t left;	 /* packed bytes */
	const struct unpack_sink *sink;
	uint64_t made; /* unpacked bytes */
};

static struct {
	__typeof__(&inflateInit2_) inflate_init;
	__typeof__(&inflate) inflate;
	__typeof__(&inflateEnd) inflate_end;
	__typeof__(&LZ4_decompress_safe) lz4_decompress;
	__typeof__(&ZSTD_createDCtx) zstd_create;
	__typeof__(&ZSTD_freeDCtx) zstd_free;
	__typeof__(&ZSTD_decompressStream) zstd_decompress;
	__typeof__(&ZSTD_isError) zstd_is_error;
	__typeof__(&lzma_stream_decoder) lzma_decoder;
	__typeof__(&lzma_code) lzma_code;
	__typeof__(&lzma_end) lzma_end;
} lib;

struct symbol {
	const char *name;
	void *slot;
};

static const struct symbol zlib_symbols[] = {{"inflateInit2_", &lib.inflate_init},
	{"inflate", &lib.inflate}, {"inflateEnd", &lib.inflate_end}, {NULL, NULL}};
static const struct symbol lz4_symbols[] = {
	{"LZ4_decompress_safe", &lib.lz4_decompress}, {NULL, NULL}};
static const struct symbol zstd_symbols[] = {{"ZSTD_createDCtx", &lib.zstd_create},
	{"ZSTD_freeDCtx", &lib.zstd_free}, {"ZSTD_decompressStream", &lib.zstd_decompress},
	{"ZSTD_isError", &lib.zstd_is_error}, {NULL, NULL}};

static const struct symbol lzma_symbols[] = {{"lzma_stream_decoder", &lib.lzma_decoder},
	{"lzma_code", &lib.lzma_code}, {"lzma_end", &lib.lzma_end}, {NULL, NULL}};

static int unpack_gzip(struct stream *s);
static int unpack_lz4(struct stream *s);
static int unpack_zstd(struct stream *s);
static int unpack_xz(struct stream *s);

static const struct format {
	const char *name;
	uint8_t magic[6];
	size_t magic_len;
	const char *soname; /* NULL: not unpacked here */
	const struct symbol *symbols;
	int (*unpack)(struct stream *s);
} formats[UNPACK_FORMATS] = {
	[UNPACK_NONE] = {"uncompressed", {0}, 0, NULL, NULL, NULL},
	[UNPACK_GZIP] = {"gzip", {0x1f, 0x8b}, 2, "libz.so.1", zlib_symbols, unpack_gzip},
	[UNPACK_LZ4_LEGACY] = {"LZ4", {0x02, 0x21, 0x4c, 0x18}, 4, "liblz4.so.1", lz4_symbols,
		unpack_lz4},
	[UNPACK_LZ4_FRAME] = {"LZ4", {0x04, 0x22, 0x4d, 0x18}, 4, NULL, NULL, NULL},
	[UNPACK_ZSTD] = {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, "libzstd.so.1", zstd_symbols,
		unpack_zstd},
	[UNPACK_XZ] = {"XZ", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, "liblzma.so.5", lzma_symbols,
		unpack_xz},
	[UNPACK_LZMA] = {"LZMA", {0x5d, 0, 0}, 3, NULL, NULL, NULL},
	[UNPACK_BZIP2] = {"bzip2", {'B', 'Z', 'h'}, 3, NULL, NULL, NULL},
	[UNPACK_LZO] = {"LZO", {0x89, 'L', 'Z', 'O'}, 4, NULL, NULL, NULL},
};

enum unpack_format unpack_recognise(const void *head, size_t len)
{
	for (enum unpack_format f = UNPACK_NONE + 1; f < UNPACK_FORMATS; f++)
		if (len >= formats[f].magic_len &&
			!memcmp(head, formats[f].magic, formats[f].magic_len))
			return f;
	return UNPACK_NONE;
}

const char *unpack_name(enum unpack_format format)
{
	return formats[format].name;
}

bool unpack_load(enum unpack_format format, const char **missing)
{
	const struct format *f = &formats[format];
	void *handle;

	if (missing)
		*missing = f->soname;
	if (!f->soname)
		return false;
	/* Never closed: it may be needed at the next reset. A second dlopen costs nothing. */
	handle = dlopen(f->soname, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return false;
	for (const struct symbol *symbol = f->symbols; symbol->name; symbol++) {
		void *address = dlsym(handle, symbol->name);

		if (!address)
			return false;
		memcpy(symbol->slot, &address, sizeof(address));
	}
	return true;
}

/* Reads up to `len` packed bytes. Returns how many, 0 at the end, or -EIO. */
static int64_t take(struct stream *s, void *buf, uint64_t len)
{
	len = MIN(len, s->left);
	if (len && !source_read(s->source, s->offset, buf, len))
		return -EIO;
	s->offset += len;
	s->left -= len;
	return (int64_t)len;
}

static int emit(struct stream *s, const void *data, uint64_t len)
{
	int ret;

	if (!len)
		return 0;
	if (!util_range_inside(s->made, len, s->sink->limit))
		return -EFBIG;
	ret = s->sink->put(s->sink->opaque, s->made, data, len);
	s->made += len;
	return ret;
}

/* Returns 1 at the end of the gzip member, 0 to go on, or -errno. */
static int gzip_step(struct stream *s, z_stream *z, uint8_t *in, uint8_t *out)
{
	int ret, status;

	if (!z->avail_in) {
		int64_t got = take(s, in, CHUNK_BYTES);

		if (got < 0)
			return (int)got;
		z->next_in = in;
		z->avail_in = (uInt)got;
	}
	z->next_out = out;
	z->avail_out = CHUNK_BYTES;
	status = lib.inflate(z, Z_NO_FLUSH);
	/* Z_BUF_ERROR: no input and no output left, the data is cut. */
	if (status != Z_OK && status != Z_STREAM_END)
		return status == Z_MEM_ERROR ? -ENOMEM : -EILSEQ;
	ret = emit(s, out, CHUNK_BYTES - z->avail_out);
	return ret ? ret : status == Z_STREAM_END;
}

static int unpack_gzip(struct stream *s)
{
	const int window_bits_gzip = 15 + 16;
	z_stream z = {.next_in = NULL};
	uint8_t *buf = malloc(2 * CHUNK_BYTES);
	int ret = -ENOMEM;

	if (!buf)
		return -ENOMEM;
	if (lib.inflate_init(&z, window_bits_gzip, ZLIB_VERSION, (int)sizeof(z)) == Z_OK) {
		do {
			ret = gzip_step(s, &z, buf, buf + CHUNK_BYTES);
		} while (ret == 0);
		lib.inflate_end(&z);
	}
	free(buf);
	return ret > 0 ? 0 : ret;
}

/* One block. Returns 1 at the end, 0 to go on, or -errno. */
static int lz4_block(struct stream *s, char *in, char *out, uint64_t room)
{
	uint8_t word[4];
	uint32_t packed;
	int64_t got = take(s, word, sizeof(word));
	int made;

	if (got < 0)
		return (int)got;
	/* The kernel's build appends the unpacked size: four bytes with nothing behind them. */
	if (got < 4 || !s->left)
		return s->made ? 1 : -EILSEQ;
	packed = load_le32(word);
	if (packed == LZ4_LEGACY_MAGIC)
		return 0;
	if (packed > LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK_BYTES) || packed > s->left)
		return -EILSEQ;
	got = take(s, in, packed);
	if (got < 0)
		return (int)got;
	made = lib.lz4_decompress(in, out, (int)packed, (int)room);
	if (made <= 0)
		return -EILSEQ;
	return emit(s, out, (uint64_t)made);
}

static int unpack_lz4(struct stream *s)
{
	/* No byte of input makes more than 255 of output. */
	const uint64_t block = LZ4_LEGACY_BLOCK_BYTES;
	uint64_t room = s->left < block / 255 ? s->left * 255 : block;
	char *in = malloc(MIN((uint64_t)LZ4_COMPRESSBOUND(LZ4_LEGACY_BLOCK_BYTES), s->left + 1));
	char *out = malloc(room + 1);
	uint8_t magic[4];
	int ret = -ENOMEM;

	if (in && out) {
		int64_t got = take(s, magic, sizeof(magic));

		ret = got < 0 ? (int)got : got == 4 ? 0 : -EILSEQ;
		while (ret == 0)
			ret = lz4_block(s, in, out, room);
	}
	free(in);
	free(out);
	return ret > 0 ? 0 : ret;
}

/* Returns 1 at the end of the frame, 0 to go on, or -errno. */
static int zstd_step(struct stream *s, ZSTD_DCtx *context, ZSTD_inBuffer *in, ZSTD_outBuffer *out)
{
	size_t before, left;
	int ret;

	if (in->pos == in->size) {
		int64_t got = take(s, (void *)in->src, CHUNK_BYTES);

		if (got < 0)
			return (int)got;
		in->size = (size_t)got;
		in->pos = 0;
	}
	out->pos = 0;
	before = in->pos;
	left = lib.zstd_decompress(context, out, in);
	if (lib.zstd_is_error(left))
		return -EILSEQ;
	ret = emit(s, out->dst, out->pos);
	if (ret || left == 0)
		return ret ? ret : 1;
	/* Neither read nor written, and nothing left to read: cut. */
	return in->pos == before && !out->pos && !s->left ? -EILSEQ : 0;
}

static int unpack_zstd(struct stream *s)
{
	ZSTD_DCtx *context = lib.zstd_create();
	uint8_t *buf = malloc(2 * CHUNK_BYTES);
	ZSTD_inBuffer in = {.src = buf};
	int ret = -ENOMEM;

	if (context && buf) {
		ZSTD_outBuffer out = {.dst = buf + CHUNK_BYTES, .size = CHUNK_BYTES};

		do {
			ret = zstd_step(s, context, &in, &out);
		} while (ret == 0);
	}
	lib.zstd_free(context);
	free(buf);
	return ret > 0 ? 0 : ret;
}

/* Returns 1 at the end of the stream, 0 to go on, or -errno. */
static int xz_step(struct stream *s, lzma_stream *xz, uint8_t *in, uint8_t *out)
{
	lzma_ret status;
	int ret;

	if (!xz->avail_in) {
		int64_t got = take(s, in, CHUNK_BYTES);

		if (got < 0)
			return (int)got;
		xz->next_in = in;
		xz->avail_in = (size_t)got;
	}
	xz->next_out = out;
	xz->avail_out = CHUNK_BYTES;
	status = lib.lzma_code(xz, LZMA_RUN);
	/* LZMA_BUF_ERROR, the second time that nothing is read or written: cut. */
	if (status != LZMA_OK && status != LZMA_STREAM_END)
		return status == LZMA_MEM_ERROR ? -ENOMEM : -EILSEQ;
	ret = emit(s, out, CHUNK_BYTES - xz->avail_out);
	return ret ? ret : status == LZMA_STREAM_END;
}

static int unpack_xz(struct stream *s)
{
	lzma_stream xz = LZMA_STREAM_INIT;
	uint8_t *buf = malloc(2 * CHUNK_BYTES);
	int ret = -ENOMEM;

	if (buf && lib.lzma_decoder(&xz, XZ_MEMORY_MAX, 0) == LZMA_OK) {
		do {
			ret = xz_step(s, &xz, buf, buf + CHUNK_BYTES);
		} while (ret == 0);
		lib.lzma_end(&xz);
	}
	free(buf);
	return ret > 0 ? 0 : ret;
}

int unpack_stream(enum unpack_format format, const struct source *source, uint64_t offset,
	uint64_t len, const struct unpack_sink *sink, uint64_t *unpacked)
{
	struct stream s = {.source = source, .offset = offset, .left = len, .sink = sink};
	int ret;

	*unpacked = 0;
	if (!unpack_load(format, NULL))
		return -ENOTSUP;
	ret = formats[format].unpack(&s);
	*unpacked = s.made;
	return ret;
}

struct peek {
	uint8_t *buf;
	size_t size;
	size_t used;
};

static int put_peek(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	struct peek *peek = opaque;
	size_t part = (size_t)MIN(len, (uint64_t)(peek->size - peek->used));

	(void)offset;
	memcpy(peek->buf + peek->used, data, part);
	peek->used += part;
	return peek->used == peek->size ? -ECANCELED : 0;
}

size_t unpack_peek(enum unpack_format format, const struct source *source, void *buf, size_t size)
{
	struct peek peek = {.buf = buf, .size = size};
	struct unpack_sink sink = {.put = put_peek, .opaque = &peek, .limit = UINT64_MAX};
	uint64_t unpacked;

	/* What was unpacked before an error is as good as any. */
	(void)unpack_stream(format, source, 0, source->size, &sink, &unpacked);
	return peek.used;
}
