/*
 * The parts of vmm inspect: each file of this folder inspect_*.c knows one kind of file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "firmware/bzimage.h"
#include "firmware/elf.h"
#include "firmware/inspect_out.h"
#include "firmware/source.h"
#include "firmware/unpack.h"
#include "vmm/base/err.h"

/* Unpacked data beyond this is not looked at: a file may be made to unpack for ever. */
#define INSPECT_UNPACK_MAX (512 * MIB)

/* inspect_header.c: every field of a bzImage's header. */
void inspect_header(
	struct inspect_out *out, const struct source *source, const struct bzimage *image);

/* inspect_initrd.c: archives one behind the other, packed or not. */
void inspect_initrd(struct inspect_out *out, const struct source *source);

/* inspect_elf.c: segments, notes and entries. */
void inspect_segments(struct inspect_out *out, const struct elf_image *image);
void inspect_elf(struct inspect_out *out, const struct source *source, const char *path);

/* inspect_multiboot.c: which version counts, what goes where. */
void inspect_multiboot(struct inspect_out *out, const struct source *source, const char *path);

/* fdt_source.c: a device tree as its source text. False when it is none, or damaged. */
bool inspect_tree(struct inspect_out *out, const struct source *source);

/* inspect_kernel.c: what is found by going through a kernel's bytes, in order. */
enum {
	INSPECT_BANNER_BYTES = 200,
	INSPECT_HEAD_BYTES = 16 * 1024,
};

struct inspect_search {
	char banner[INSPECT_BANNER_BYTES]; /* "Linux version ...", or empty */
	bool has_config;		   /* IKCFG_ST was found */
	uint8_t *config;		   /* what follows it, up to IKCFG_ED; owned */
	size_t config_bytes;
	bool config_is_whole;
	uint8_t head[INSPECT_HEAD_BYTES]; /* the first bytes */
	uint64_t size;			  /* of all bytes seen */
	uint8_t *window;		  /* private */
	size_t window_bytes;		  /* private */
};

/* NULL without memory. */
struct inspect_search *inspect_search_create(void);
void inspect_search_destroy(struct inspect_search *search);

/* Goes through a part of the source, packed or as it is. 0, or why it could not to its end. */
int inspect_search_source(struct inspect_search *search, const struct source *source,
	enum unpack_format format, uint64_t offset, uint64_t len);

/* The configuration, unpacked: *text (to be freed) with *len bytes. -ENOENT, -EILSEQ, -ENOMEM. */
int inspect_search_config(const struct inspect_search *search, char **text, size_t *len);
