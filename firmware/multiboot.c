/*
 * See multiboot.h: the headers. Knows nothing of guest memory. One thread at a time.
 *
 * What the file can say              limit                          enforced in          test
 * a header anywhere                  the first 8 or 32 KiB          find_header()        multiboot_is_found
 * a sum that is wrong                no header                      is_header1(), 2()    multiboot_is_found
 * header longer than what follows    refused                        parse_tags()         multiboot2_refuses_bad_tags
 * tags of size 0, beyond the header  refused                        parse_tags()         multiboot2_refuses_bad_tags
 * requirements nobody knows          refused by number              refuse()             multiboot_refuses_what_it_has_not
 * addresses that wrap, cross, lie    refused                        place()              multiboot_refuses_bad_addresses
 *   in the first MiB
 * an entry outside what is loaded    refused                        parse_at()           multiboot_refuses_bad_addresses
 * ELF headers of any kind            see elf.c
 */
#include "firmware/multiboot.h"

#include <errno.h>
#include <stdlib.h>

#include "firmware/layout.h"

#define MAGIC1 0x1badb002u
#define MAGIC2 0xe85250d6u

enum {
	SEARCH1 = 8192,
	SEARCH2 = MULTIBOOT_SEARCH_BYTES,
	HEADER1_BYTES = 12,
	HEADER2_BYTES = 16,

	/* Version 1: bits 0 to 15 have to be understood. */
	FLAG1_ALIGN = 1 << 0,
	FLAG1_MEMORY = 1 << 1,
	FLAG1_VIDEO = 1 << 2,
	FLAG1_REQUIRED = 0xffff,
	FLAG1_ADDRESSES = 1 << 16,
	ADDRESSES1 = 12,
	VIDEO1 = 32,

	/* Version 2. */
	ARCH2_I386 = 0,
	TAG2_END = 0,
	TAG2_INFORMATION = 1,
	TAG2_ADDRESSES = 2,
	TAG2_ENTRY = 3,
	TAG2_CONSOLE = 4,
	TAG2_FRAMEBUFFER = 5,
	TAG2_ALIGN = 6,
	TAG2_RELOCATABLE = 10,
	TAG2_OPTIONAL = 1,
	TAG2_BYTES = 8,
};

/* A header in the file, in a copy. */
struct header {
	unsigned version;
	uint64_t offset;
	const uint8_t *data;
	uint64_t size; /* of what can be read from `data` on */
};

/* What it says about addresses. */
struct addresses {
	bool is_said;
	uint32_t header, load, load_end, bss_end;
	bool has_entry;
	uint32_t entry;
};

static bool is_header1(const uint8_t *p)
{
	return load_le32(p) == MAGIC1 && load_le32(p) + load_le32(p + 4) + load_le32(p + 8) == 0;
}

static bool is_header2(const uint8_t *p)
{
	return load_le32(p) == MAGIC2 &&
		load_le32(p) + load_le32(p + 4) + load_le32(p + 8) + load_le32(p + 12) == 0;
}

static bool find_header(const uint8_t *head, size_t len, unsigned version, struct header *header)
{
	size_t end = MIN(len, (size_t)(version == 1 ? SEARCH1 : SEARCH2));
	size_t bytes = version == 1 ? HEADER1_BYTES : HEADER2_BYTES;
	size_t step = version == 1 ? 4 : 8;

	for (size_t i = 0; i + bytes <= end; i += step)
		if (version == 1 ? is_header1(head + i) : is_header2(head + i)) {
			*header = (struct header){
				.version = version, .offset = i, .data = head + i, .size = end - i};
			return true;
		}
	return false;
}

bool multiboot_is(const uint8_t *head, size_t len)
{
	struct header header;

	return find_header(head, len, 1, &header) || find_header(head, len, 2, &header);
}

bool multiboot_is_in(const struct source *source)
{
	uint8_t *head = malloc(MULTIBOOT_SEARCH_BYTES);
	size_t len = head ? (size_t)source_read_some(source, 0, head, MULTIBOOT_SEARCH_BYTES) : 0;
	bool found = multiboot_is(head, len);

	free(head);
	return found;
}

/* ---- What the header says ---- */

static int damaged(const char *name, const char *what, struct err *err)
{
	return err_set(err, EXIT_CODE_IMAGE, ENOEXEC, "%s: its Multiboot header is damaged: %s",
		name, what);
}

static int refuse(const char *name, const char *what, unsigned number, struct err *err)
{
	return err_set(err, EXIT_CODE_IMAGE, ENOTSUP,
		"%s: this Multiboot kernel requires %s %u, which this machine has not", name, what,
		number);
}

static void read_addresses(struct addresses *addresses, const uint8_t *p)
{
	addresses->is_said = true;
	addresses->header = load_le32(p);
	addresses->load = load_le32(p + 4);
	addresses->load_end = load_le32(p + 8);
	addresses->bss_end = load_le32(p + 12);
}

static int parse_header1(const struct header *header, const char *name, struct addresses *addresses,
	struct multiboot *multiboot, struct err *err)
{
	const unsigned known = FLAG1_ALIGN | FLAG1_MEMORY | FLAG1_VIDEO;
	uint32_t flags = load_le32(header->data + 4);
	unsigned unknown = flags & FLAG1_REQUIRED & ~known;

	if (unknown)
		return refuse(name, "bit", (unsigned)__builtin_ctz(unknown), err);
	if (flags & FLAG1_ADDRESSES) {
		if (header->size < ADDRESSES1 + 20)
			return damaged(name, "it is cut", err);
		read_addresses(addresses, header->data + ADDRESSES1);
		addresses->has_entry = true;
		addresses->entry = load_le32(header->data + ADDRESSES1 + 16);
	}
	if (flags & FLAG1_VIDEO) {
		if (header->size < VIDEO1 + 16)
			return damaged(name, "it is cut", err);
		/* 1 is a screen of text, which is a wish. */
		multiboot->needs_screen = load_le32(header->data + VIDEO1) == 0;
	}
	return 0;
}

/* What the kernel wants to be told: numbers of tags of the information. */
static bool is_told(uint32_t number)
{
	/* Words, loader, modules, memory, memory map, framebuffer, RSDP of both kinds. */
	static const uint8_t told[] = {1, 2, 3, 4, 6, 8, 14, 15};

	return memchr(told, (int)MIN(number, 255u), sizeof(told)) != NULL;
}

static int parse_tag(const uint8_t *tag, uint32_t size, const char *name,
	struct addresses *addresses, struct multiboot *multiboot, struct err *err)
{
	bool is_optional = load_le16(tag + 2) & TAG2_OPTIONAL;
	unsigned type = load_le16(tag);

	switch (type) {
	case TAG2_INFORMATION:
		for (uint32_t at = TAG2_BYTES; !is_optional && at + 4 <= size; at += 4)
			if (!is_told(load_le32(tag + at)))
				return refuse(name, "information", load_le32(tag + at), err);
		return 0;
	case TAG2_ADDRESSES:
		if (size < TAG2_BYTES + 16)
			return damaged(name, "a tag is too short", err);
		read_addresses(addresses, tag + TAG2_BYTES);
		return 0;
	case TAG2_ENTRY:
		if (size < TAG2_BYTES + 4)
			return damaged(name, "a tag is too short", err);
		addresses->has_entry = true;
		addresses->entry = load_le32(tag + TAG2_BYTES);
		return 0;
	case TAG2_FRAMEBUFFER:
		multiboot->needs_screen |= !is_optional;
		return 0;
	case TAG2_CONSOLE:
	case TAG2_ALIGN:
	case TAG2_RELOCATABLE: /* where it is linked to is as good a place as any */
		return 0;
	default:
		return is_optional ? 0 : refuse(name, "tag", type, err);
	}
}

static int parse_tags(const struct header *header, const char *name, struct addresses *addresses,
	struct multiboot *multiboot, struct err *err)
{
	uint32_t length = load_le32(header->data + 8);
	uint64_t at = HEADER2_BYTES;

	if (load_le32(header->data + 4) != ARCH2_I386)
		return refuse(name, "architecture", load_le32(header->data + 4), err);
	if (length > header->size)
		return damaged(
			name, "it is longer than the part of the file where it has to be", err);
	while (util_range_inside(at, TAG2_BYTES, length)) {
		const uint8_t *tag = header->data + at;
		uint32_t size = load_le32(tag + 4);
		int ret;

		if (load_le16(tag) == TAG2_END)
			return 0;
		if (size < TAG2_BYTES || !util_range_inside(at, size, length))
			return damaged(name, "a tag has an impossible size", err);
		ret = parse_tag(tag, size, name, addresses, multiboot, err);
		if (ret < 0)
			return ret;
		at = util_align_up(at + size, 8);
	}
	return damaged(name, "its tags do not end", err);
}

/* ---- Where it goes ---- */

/* The header says itself where the file goes, from some place in front of the header on. */
static int place(const struct header *header, const struct addresses *addresses,
	const struct source *source, const char *name, struct multiboot *multiboot, struct err *err)
{
	struct elf_segment *segment = &multiboot->image.segments[0];
	uint64_t before = (uint64_t)addresses->header - addresses->load;

	if (addresses->header < addresses->load || before > header->offset)
		return damaged(name, "its own address can't be", err);
	*segment =
		(struct elf_segment){.offset = header->offset - before, .paddr = addresses->load};
	segment->file_size = source->size - segment->offset;
	if (addresses->load_end) {
		if (addresses->load_end < addresses->load ||
			addresses->load_end - addresses->load > segment->file_size)
			return damaged(name, "the end of what is loaded can't be", err);
		segment->file_size = addresses->load_end - addresses->load;
	}
	segment->mem_size = segment->file_size;
	if (addresses->bss_end) {
		if (addresses->bss_end < addresses->load + segment->file_size)
			return damaged(name, "the end of its memory can't be", err);
		segment->mem_size = addresses->bss_end - addresses->load;
	}
	if (addresses->load < FW_KERNEL_LOWEST)
		return damaged(
			name, "it goes into the first MiB, where the machine's tables are", err);
	multiboot->image.segment_count = 1;
	multiboot->image.lowest = segment->paddr;
	multiboot->image.end = segment->paddr + segment->mem_size;
	multiboot->image.file_end = segment->offset + segment->file_size;
	return 0;
}

static int parse_at(const struct header *header, const struct source *source, const char *name,
	struct multiboot *multiboot, struct err *err)
{
	struct addresses addresses = {0};
	struct elf_image *image = &multiboot->image;
	uint64_t entry;
	int ret;

	*multiboot = (struct multiboot){.version = header->version};
	ret = header->version == 1 ? parse_header1(header, name, &addresses, multiboot, err)
				   : parse_tags(header, name, &addresses, multiboot, err);
	if (ret < 0)
		return ret;
	/* Addresses are for files that are no ELF; but who says them means them. */
	ret = addresses.is_said ? place(header, &addresses, source, name, multiboot, err)
				: elf_parse_any(source, name, image, err);
	if (ret < 0)
		return ret;
	if (addresses.is_said && !addresses.has_entry)
		return damaged(name, "it says no entry", err);
	entry = addresses.has_entry ? addresses.entry : image->entry;
	if (entry > UINT32_MAX || !elf_is_inside_segment(image, entry))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: the entry 0x%llx of this Multiboot kernel lies outside what is loaded",
			name, (unsigned long long)entry);
	multiboot->entry = (uint32_t)entry;
	return 0;
}

int multiboot_parse(
	const struct source *source, const char *name, struct multiboot *multiboot, struct err *err)
{
	uint8_t *head = malloc(MULTIBOOT_SEARCH_BYTES);
	struct err trouble = ERR_INIT;
	struct header first, second;
	bool has_first, has_second;
	size_t len;
	int ret = -ENOEXEC;

	if (!head)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "out of memory");
	len = (size_t)source_read_some(source, 0, head, MULTIBOOT_SEARCH_BYTES);
	has_first = find_header(head, len, 1, &first);
	has_second = find_header(head, len, 2, &second);
	if (has_second)
		ret = parse_at(&second, source, name, multiboot, has_first ? &trouble : err);
	if (has_first && ret < 0)
		ret = parse_at(&first, source, name, multiboot, err);
	if (!has_first && !has_second)
		err_set(err, EXIT_CODE_IMAGE, ENOEXEC, "%s has no Multiboot header", name);
	free(head);
	return ret;
}
