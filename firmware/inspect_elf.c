/*
 * ELF kernels: segments, notes, and the entry that would be taken. See inspect_impl.h.
 * Sources: System V ABI, chapter 5 (program header, note section); Xen public/elfnote.h; Linux
 * include/linux/elfnote.h.
 *
 * What the file can say          limit                       enforced in       test
 * notes longer than the file     source_read() refuses       show_notes()      inspect_notes_of_any_kind
 * notes without end              NOTES_MAX                   show_notes()      inspect_notes_of_any_kind
 * names that are no text         inspect_printable()         show_note()       inspect_notes_of_any_kind
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "firmware/elf.h"
#include "firmware/inspect_impl.h"
#include "firmware/multiboot.h"

enum {
	NOTES_MAX = 64,
	PROGRAM_HEADERS_MAX = 256,
	NAME_BYTES = 16,
	DESC_SHOWN = 24,
};

static const struct {
	const char *owner;
	uint32_t type;
	const char *text;
} note_types[] = {
	{"GNU", NT_GNU_BUILD_ID, "build id"},
	{"GNU", NT_GNU_PROPERTY_TYPE_0, "properties"},
	{"Linux", 0x100, "build salt"},
	{"Linux", 0x101, "link-time optimization"},
	{"Xen", 1, "entry for paravirtual guests"},
	{"Xen", 2, "hypercall page"},
	{"Xen", 3, "virtual base"},
	{"Xen", 4, "offset of physical addresses"},
	{"Xen", 5, "Xen's version"},
	{"Xen", 6, "guest system"},
	{"Xen", 7, "guest's version"},
	{"Xen", 8, "loader"},
	{"Xen", 9, "PAE mode"},
	{"Xen", 10, "features"},
	{"Xen", 12, "start of the hypervisor's addresses"},
	{"Xen", 15, "initial pfn"},
	{"Xen", 17, "features that are supported"},
	{"Xen", 18, "PVH entry"},
};

static const char *note_text(const char *owner, uint32_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(note_types); i++)
		if (note_types[i].type == type && !strcmp(note_types[i].owner, owner))
			return note_types[i].text;
	return "unknown";
}

static void show_note(
	struct inspect_out *out, const struct source *source, uint64_t at, const Elf64_Nhdr *note)
{
	uint8_t raw[NAME_BYTES] = "", desc[DESC_SHOWN];
	char owner[NAME_BYTES], hex[2 * DESC_SHOWN + 1] = "";
	size_t shown = MIN(note->n_descsz, (uint32_t)sizeof(desc));

	source_read_some(source, at, raw, MIN(note->n_namesz, (uint32_t)sizeof(raw)));
	inspect_printable(owner, sizeof(owner), raw, MIN(note->n_namesz, (uint32_t)sizeof(raw)));
	source_read_some(source, at + util_align_up(note->n_namesz, 4), desc, shown);
	for (size_t i = 0; i < shown; i++)
		snprintf(hex + 2 * i, 3, "%02x", desc[i]);
	inspect_detail(out, "note %-6s %-5u %s: %s%s", owner, note->n_type,
		note_text(owner, note->n_type), hex, note->n_descsz > shown ? "..." : "");
	inspect_open(out, NULL, '{');
	inspect_text(out, "owner", owner);
	inspect_number(out, "type", note->n_type);
	inspect_text(out, "meaning", note_text(owner, note->n_type));
	inspect_text(out, "bytes", hex);
	inspect_close(out, '}');
}

/* One PT_NOTE: a chain whose links are bounded by it. */
static unsigned show_notes(
	struct inspect_out *out, const struct source *source, const Elf64_Phdr *phdr, unsigned left)
{
	uint64_t at = phdr->p_offset, end;
	Elf64_Nhdr note;

	if (util_add_overflows(at, phdr->p_filesz, &end) || end > source->size)
		return left;
	while (left && end - at >= sizeof(note) && source_read(source, at, &note, sizeof(note))) {
		uint64_t bytes = util_align_up(note.n_namesz, 4) + util_align_up(note.n_descsz, 4);

		at += sizeof(note);
		if (bytes > end - at)
			break;
		show_note(out, source, at, &note);
		at += bytes;
		left--;
	}
	return left;
}

static void inspect_notes(struct inspect_out *out, const struct source *source)
{
	unsigned left = NOTES_MAX;
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;

	if (!source_read(source, 0, &ehdr, sizeof(ehdr)) || ehdr.e_phentsize != sizeof(Elf64_Phdr))
		return;
	inspect_open(out, "notes", '[');
	for (unsigned i = 0; i < MIN((unsigned)ehdr.e_phnum, (unsigned)PROGRAM_HEADERS_MAX); i++)
		if (source_read(source, ehdr.e_phoff + (uint64_t)i * sizeof(phdr), &phdr,
			    sizeof(phdr)) &&
			phdr.p_type == PT_NOTE)
			left = show_notes(out, source, &phdr, left);
	inspect_close(out, ']');
}

static void show_segment(struct inspect_out *out, const struct elf_segment *segment)
{
	if (!out->json)
		inspect_line(out, "segment", "0x%llx to 0x%llx, %llu bytes of it in the file",
			(unsigned long long)segment->paddr,
			(unsigned long long)(segment->paddr + segment->mem_size),
			(unsigned long long)segment->file_size);
	inspect_open(out, NULL, '{');
	inspect_number(out, "address", segment->paddr);
	inspect_number(out, "bytes", segment->mem_size);
	inspect_number(out, "offset", segment->offset);
	inspect_number(out, "in_file", segment->file_size);
	inspect_close(out, '}');
}

void inspect_segments(struct inspect_out *out, const struct elf_image *image)
{
	inspect_open(out, "segments", '[');
	for (unsigned i = 0; i < image->segment_count; i++)
		show_segment(out, &image->segments[i]);
	inspect_close(out, ']');
}

void inspect_elf(struct inspect_out *out, const struct source *source, const char *path)
{
	struct elf_image *image = malloc(sizeof(*image));
	struct err err = ERR_INIT;
	int ret;

	if (!image)
		return;
	ret = elf_parse(source, true, path, image, &err);
	/* As boot.c decides. */
	if ((ret < 0 || !(image->has_pvh || image->has_linux_entry)) && multiboot_is_in(source)) {
		inspect_multiboot(out, source, path);
		free(image);
		return;
	}
	if (ret < 0) {
		inspect_line(out, "startable", "no: %s", err.text);
		free(image);
		return;
	}
	inspect_segments(out, image);
	inspect_line(out, "entry", "0x%llx", (unsigned long long)image->entry);
	if (image->has_pvh)
		inspect_line(out, "PVH entry", "0x%x", image->pvh_entry);
	inspect_line(out, "startable", "yes, by its %s entry",
		elf_is_entered_by_pvh(image) ? "PVH" : "64-bit");
	free(image);
	inspect_notes(out, source);
}
