/*
 * See packed_kernel.h. Knows nothing of bzImage or of what else stands in guest
 * memory. One thread at a time. What the data can say: see unpack.c and elf.c;
 * both see it here as they would see a file.
 */
#include "firmware/packed_kernel.h"

#include <errno.h>
#include <stdlib.h>

enum {
	/* The ELF headers lie within this in every kernel that is entered unpacked. */
	HEAD_BYTES = 16 * 1024,
};

/* The first bytes are kept until the headers can be read from them. */
struct progress {
	const struct packed_kernel *packed;
	struct gmem *mem;
	struct elf_image *image;
	struct err *err;
	struct elf_writer writer;
	bool parsed;
	uint64_t head_bytes;
	uint8_t head[HEAD_BYTES];
};

static int parse_head(struct progress *p)
{
	struct source_bytes bytes = {.data = p->head, .size = p->head_bytes};
	struct source source = source_from_bytes(&bytes);
	int ret;

	if (elf_parse(&source, false, p->packed->name, p->image, NULL) < 0)
		return PACKED_KERNEL_UNSUITABLE;
	ret = p->packed->accept(p->packed->opaque, p->image, p->err);
	if (ret)
		return ret;
	p->parsed = true;
	p->writer = (struct elf_writer){.image = p->image, .mem = p->mem};
	return elf_writer_put(&p->writer, 0, p->head, p->head_bytes);
}

static int put(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	struct progress *p = opaque;
	uint64_t part = 0;

	if (!p->parsed) {
		int ret;

		part = MIN(len, HEAD_BYTES - p->head_bytes);
		memcpy(p->head + p->head_bytes, data, part);
		p->head_bytes += part;
		if (p->head_bytes < HEAD_BYTES)
			return 0;
		ret = parse_head(p);
		if (ret)
			return ret;
	}
	return elf_writer_put(&p->writer, offset + part, (const uint8_t *)data + part, len - part);
}

/* Turns what unpacking ended with into a result and a sentence. */
static int conclude(struct progress *p, int ret, uint64_t made)
{
	const struct packed_kernel *packed = p->packed;

	if (ret == PACKED_KERNEL_UNSUITABLE)
		return ret;
	if (err_is_set(p->err))
		return ret;
	if (ret == -ENOMEM)
		return err_set(p->err, EXIT_CODE_INTERNAL, ENOMEM,
			"out of memory while unpacking the kernel %s", packed->name);
	if (ret == -EIO)
		return err_set(
			p->err, EXIT_CODE_IMAGE, EIO, "the kernel %s can't be read", packed->name);
	if (ret == 0 && elf_writer_is_complete(&p->writer) &&
		(!packed->expected || made == packed->expected))
		return 0;
	return err_set(p->err, EXIT_CODE_IMAGE, ret < 0 ? -ret : EILSEQ,
		"the kernel %s is damaged: its %s data can't be unpacked", packed->name,
		unpack_name(packed->format));
}

int packed_kernel_load(const struct packed_kernel *packed, struct gmem *mem,
	struct elf_image *image, struct err *err)
{
	struct progress *p = calloc(1, sizeof(*p));
	struct unpack_sink sink = {.put = put, .opaque = p, .limit = packed->limit};
	uint64_t made;
	int ret;

	if (!p)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "out of memory");
	p->packed = packed;
	p->mem = mem;
	p->image = image;
	p->err = err;
	ret = unpack_stream(
		packed->format, packed->source, packed->offset, packed->bytes, &sink, &made);
	/* All of it was shorter than the space kept for the headers. */
	if (ret == 0 && !p->parsed)
		ret = parse_head(p);
	ret = conclude(p, ret, made);
	free(p);
	return ret;
}
