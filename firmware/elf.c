/*
 * See elf.h. Knows nothing of how the kernel is entered or what else stands in
 * guest memory. One thread at a time.
 *
 * What the file can say          limit                       enforced in         test
 * any number of program headers  ELF_SEGMENTS_MAX segments   read_segments()     elf_refuses_too_many_segments
 * offset + size wraps, past end  file size                   check_segment()     elf_refuses_bad_segments
 * paddr + size wraps             64 bits                     check_segment()     elf_refuses_bad_segments
 * segments on each other         refused                     check_overlaps()    elf_refuses_overlap
 * paddr in the first MiB         refused (our tables)        check_segment()     elf_refuses_first_mib
 * segment outside RAM            the caller, before writing  boot.c              boot_refuses_small_memory
 * note sizes wrap, past end      NOTES_MAX bytes             find_pvh()          elf_survives_bad_notes
 * headers cut at any byte        an error                    source_read()       elf_truncated_everywhere
 */
#include "firmware/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "firmware/layout.h"

enum {
	PAGE_BYTES = 4096,
	CHUNK_BYTES = 256 * 1024,
	NOTES_MAX = 64 * 1024,
	PROGRAM_HEADERS_MAX = 4096,
};

/* Xen's public/elfnote.h: the physical address of the 32-bit entry. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

const char *elf_machine_name(unsigned machine)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = {
		{EM_386, "32-bit x86"},
		{EM_X86_64, "x86-64"},
		{EM_AARCH64, "AArch64"},
		{EM_ARM, "ARM"},
		{EM_RISCV, "RISC-V"},
		{EM_PPC, "PowerPC"},
		{EM_PPC64, "PowerPC 64"},
		{EM_S390, "IBM S/390"},
		{EM_MIPS, "MIPS"},
		{EM_SPARC, "SPARC"},
		{EM_SPARCV9, "SPARC V9"},
		{EM_IA_64, "Itanium"},
		{EM_68K, "Motorola 68000"},
		{EM_BPF, "BPF"},
		{EM_LOONGARCH, "LoongArch"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return NULL;
}

/* The fields of a header of 32 bits that are used here. */
static bool read_header32(const struct source *source, Elf64_Ehdr *ehdr)
{
	Elf32_Ehdr narrow;

	if (!source_read(source, 0, &narrow, sizeof(narrow)))
		return false;
	*ehdr = (Elf64_Ehdr){.e_type = narrow.e_type,
		.e_machine = narrow.e_machine,
		.e_entry = narrow.e_entry,
		.e_phoff = narrow.e_phoff,
		.e_phentsize = narrow.e_phentsize,
		.e_phnum = narrow.e_phnum};
	memcpy(ehdr->e_ident, narrow.e_ident, sizeof(ehdr->e_ident));
	return true;
}

static bool read_program_header32(
	const struct source *source, const Elf64_Ehdr *ehdr, unsigned nth, Elf64_Phdr *phdr)
{
	Elf32_Phdr narrow;

	if (ehdr->e_phentsize != sizeof(narrow) ||
		!source_read(source, ehdr->e_phoff + (uint64_t)nth * sizeof(narrow), &narrow,
			sizeof(narrow)))
		return false;
	*phdr = (Elf64_Phdr){.p_type = narrow.p_type,
		.p_offset = narrow.p_offset,
		.p_vaddr = narrow.p_vaddr,
		.p_paddr = narrow.p_paddr,
		.p_filesz = narrow.p_filesz,
		.p_memsz = narrow.p_memsz,
		.p_align = narrow.p_align};
	return true;
}

static bool read_program_header(
	const struct source *source, const Elf64_Ehdr *ehdr, unsigned nth, Elf64_Phdr *phdr)
{
	uint64_t offset;

	if (ehdr->e_ident[EI_CLASS] == ELFCLASS32)
		return read_program_header32(source, ehdr, nth, phdr);
	return ehdr->e_phentsize == sizeof(*phdr) &&
		!util_add_overflows(ehdr->e_phoff, (uint64_t)nth * sizeof(*phdr), &offset) &&
		source_read(source, offset, phdr, sizeof(*phdr));
}

/*
 * Calls `fn` for each note of a PT_NOTE segment until it returns true. `name` has
 * `name_size` bytes, its NUL included; `desc` has `desc_size`.
 */
typedef bool (*note_fn)(void *opaque, uint32_t type, const char *name, uint32_t name_size,
	const uint8_t *desc, uint32_t desc_size);

static bool walk_notes(
	const struct source *source, const Elf64_Phdr *phdr, note_fn fn, void *opaque)
{
	uint64_t len = MIN(phdr->p_filesz, (Elf64_Xword)NOTES_MAX), pos = 0;
	uint64_t align = phdr->p_align == 8 ? 8 : 4;
	uint8_t *notes = malloc(len + 1);
	bool found = false;

	if (!notes || !source_read(source, phdr->p_offset, notes, len))
		len = 0;
	while (!found && util_range_inside(pos, sizeof(Elf64_Nhdr), len)) {
		uint32_t name_size = load_le32(notes + pos);
		uint32_t desc_size = load_le32(notes + pos + 4);
		uint64_t name = pos + sizeof(Elf64_Nhdr);
		uint64_t desc = util_align_up(name + name_size, align);

		if (!util_range_inside(name, name_size, len) ||
			!util_range_inside(desc, desc_size, len))
			break;
		found = fn(opaque, load_le32(notes + pos + 8), (const char *)notes + name,
			name_size, notes + desc, desc_size);
		pos = util_align_up(desc + desc_size, align);
	}
	free(notes);
	return found;
}

static bool is_pvh_note(void *opaque, uint32_t type, const char *name, uint32_t name_size,
	const uint8_t *desc, uint32_t desc_size)
{
	struct elf_image *image = opaque;

	if (type != XEN_ELFNOTE_PHYS32_ENTRY || name_size != 4 || memcmp(name, "Xen", 4))
		return false;
	if (desc_size != 4 && desc_size != 8)
		return false;
	/* An address of 8 bytes that does not fit into EIP can't be entered. */
	if (desc_size == 8 && load_le32(desc + 4))
		return false;
	image->has_pvh = true;
	image->pvh_entry = load_le32(desc);
	return true;
}

/* Linux leaves notes of that name in its vmlinux, whatever they say. */
static bool is_linux_note(void *opaque, uint32_t type, const char *name, uint32_t name_size,
	const uint8_t *desc, uint32_t desc_size)
{
	(void)opaque, (void)type, (void)desc, (void)desc_size;
	return name_size == 6 && !memcmp(name, "Linux", 6);
}

/* The C library of every Linux program leaves this note; a kernel has none. */
static bool is_abi_note(void *opaque, uint32_t type, const char *name, uint32_t name_size,
	const uint8_t *desc, uint32_t desc_size)
{
	(void)opaque, (void)desc, (void)desc_size;
	return type == NT_GNU_ABI_TAG && name_size == 4 && !memcmp(name, "GNU", 4);
}

static bool is_user_program(const struct source *source, const Elf64_Ehdr *ehdr)
{
	unsigned count = MIN((unsigned)ehdr->e_phnum, (unsigned)PROGRAM_HEADERS_MAX);

	for (unsigned i = 0; i < count; i++) {
		Elf64_Phdr phdr;

		if (!read_program_header(source, ehdr, i, &phdr))
			return false;
		if (phdr.p_type == PT_INTERP || phdr.p_type == PT_TLS)
			return true;
		if (phdr.p_type == PT_NOTE && walk_notes(source, &phdr, is_abi_note, NULL))
			return true;
	}
	return false;
}

enum elf_verdict elf_judge(const struct source *source)
{
	Elf64_Ehdr ehdr;
	uint64_t got = source_read_some(source, 0, &ehdr, sizeof(ehdr));

	if (got < SELFMAG || memcmp(ehdr.e_ident, ELFMAG, SELFMAG))
		return ELF_NONE;
	if (got < sizeof(Elf32_Ehdr))
		return ELF_CUT;
	if (ehdr.e_ident[EI_DATA] != ELFDATA2LSB)
		return ELF_OTHER_MACHINE;
	if (ehdr.e_machine == EM_386 || ehdr.e_ident[EI_CLASS] == ELFCLASS32)
		return ehdr.e_machine == EM_386 || ehdr.e_machine == EM_X86_64 ? ELF_32BIT
									       : ELF_OTHER_MACHINE;
	if (ehdr.e_machine != EM_X86_64 || ehdr.e_ident[EI_CLASS] != ELFCLASS64)
		return ELF_OTHER_MACHINE;
	if (got < sizeof(ehdr))
		return ELF_CUT;
	if (is_user_program(source, &ehdr))
		return ELF_USER_PROGRAM;
	return ehdr.e_type == ET_EXEC ? ELF_KERNEL : ELF_NOT_EXECUTABLE;
}

static int check_segment(const struct elf_segment *segment, const struct source *source, bool whole,
	const char *name, struct err *err)
{
	uint64_t file_end, mem_end;

	if (segment->file_size > segment->mem_size ||
		util_add_overflows(segment->offset, segment->file_size, &file_end) ||
		util_add_overflows(segment->paddr, segment->mem_size, &mem_end))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: a segment of this ELF file has impossible sizes", name);
	if (whole && file_end > source->size)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s is cut: it has %llu bytes, and its headers speak of %llu", name,
			(unsigned long long)source->size, (unsigned long long)file_end);
	if (segment->paddr < FW_KERNEL_LOWEST)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: a segment goes to physical address 0x%llx; the first MiB belongs to "
			"the machine's tables",
			name, (unsigned long long)segment->paddr);
	return 0;
}

static int check_overlaps(const struct elf_image *image, const char *name, struct err *err)
{
	for (unsigned i = 0; i < image->segment_count; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct elf_segment *a = &image->segments[i], *b = &image->segments[j];

			if (a->paddr < b->paddr + b->mem_size && b->paddr < a->paddr + a->mem_size)
				return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
					"%s: two segments of this ELF file share physical "
					"address 0x%llx",
					name, (unsigned long long)MAX(a->paddr, b->paddr));
		}
	return 0;
}

static int add_segment(struct elf_image *image, const Elf64_Phdr *phdr, const struct source *source,
	bool whole, const char *name, struct err *err)
{
	struct elf_segment segment = {.offset = phdr->p_offset,
		.file_size = phdr->p_filesz,
		.paddr = phdr->p_paddr,
		.vaddr = phdr->p_vaddr,
		.mem_size = phdr->p_memsz};
	int ret = check_segment(&segment, source, whole, name, err);

	if (ret < 0)
		return ret;
	if (image->segment_count == ELF_SEGMENTS_MAX)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: this ELF file has more than %d segments", name, ELF_SEGMENTS_MAX);
	image->segments[image->segment_count++] = segment;
	image->lowest = MIN(image->lowest, segment.paddr);
	image->end = MAX(image->end, segment.paddr + segment.mem_size);
	image->file_end = MAX(image->file_end, segment.offset + segment.file_size);
	return 0;
}

static int read_segments(const struct source *source, bool whole, const Elf64_Ehdr *ehdr,
	const char *name, struct elf_image *image, struct err *err)
{
	if (ehdr->e_phnum > PROGRAM_HEADERS_MAX)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: this ELF file has more than %d program headers", name,
			PROGRAM_HEADERS_MAX);
	for (unsigned i = 0; i < ehdr->e_phnum; i++) {
		Elf64_Phdr phdr;
		int ret = 0;

		if (!read_program_header(source, ehdr, i, &phdr))
			return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
				"%s: the program headers of this ELF file are cut or malformed",
				name);
		if (phdr.p_type == PT_LOAD && phdr.p_memsz)
			ret = add_segment(image, &phdr, source, whole, name, err);
		else if (phdr.p_type == PT_NOTE && whole && !image->has_pvh) {
			walk_notes(source, &phdr, is_pvh_note, image);
			image->has_linux_entry |= walk_notes(source, &phdr, is_linux_note, NULL);
		}
		if (ret < 0)
			return ret;
	}
	if (!image->segment_count)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: this ELF file has nothing to load", name);
	return check_overlaps(image, name, err);
}

bool elf_is_entered_by_pvh(const struct elf_image *image)
{
	return image->has_pvh && !image->has_linux_entry;
}

bool elf_is_inside_segment(const struct elf_image *image, uint64_t paddr)
{
	for (unsigned i = 0; i < image->segment_count; i++)
		if (paddr >= image->segments[i].paddr &&
			paddr - image->segments[i].paddr < image->segments[i].mem_size)
			return true;
	return false;
}

int elf_parse(const struct source *source, bool whole, const char *name, struct elf_image *image,
	struct err *err)
{
	Elf64_Ehdr ehdr;
	int ret;

	*image = (struct elf_image){.lowest = UINT64_MAX};
	if (!source_read(source, 0, &ehdr, sizeof(ehdr)))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC, "%s: the ELF header is cut", name);
	if (memcmp(ehdr.e_ident, ELFMAG, SELFMAG) || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
		ehdr.e_ident[EI_DATA] != ELFDATA2LSB || ehdr.e_machine != EM_X86_64 ||
		ehdr.e_type != ET_EXEC)
		return err_set(
			err, EXIT_CODE_IMAGE, ENOEXEC, "%s is not an x86-64 ELF executable", name);
	ret = read_segments(source, whole, &ehdr, name, image, err);
	if (ret < 0)
		return ret;
	image->entry = ehdr.e_entry;
	if (image->has_pvh && !elf_is_inside_segment(image, image->pvh_entry))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: the PVH entry 0x%x lies outside all segments", name, image->pvh_entry);
	if (!image->has_pvh && !elf_is_inside_segment(image, image->entry))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s: the entry point 0x%llx is not a physical address inside a segment",
			name, (unsigned long long)image->entry);
	image->has_linux_entry &= elf_is_inside_segment(image, image->entry);
	return 0;
}

static bool is_kernel_header(const Elf64_Ehdr *ehdr)
{
	bool is_wide = ehdr->e_ident[EI_CLASS] == ELFCLASS64;

	return !memcmp(ehdr->e_ident, ELFMAG, SELFMAG) && ehdr->e_ident[EI_DATA] == ELFDATA2LSB &&
		(is_wide || ehdr->e_ident[EI_CLASS] == ELFCLASS32) &&
		(ehdr->e_machine == EM_X86_64 || (!is_wide && ehdr->e_machine == EM_386)) &&
		ehdr->e_type == ET_EXEC;
}

/* Many kernels are linked to where they will be, with paging on, and entered where they are. */
static uint64_t physical_entry(const struct elf_image *image, uint64_t entry)
{
	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];

		if (entry >= segment->vaddr && entry - segment->vaddr < segment->mem_size)
			return entry - segment->vaddr + segment->paddr;
	}
	return entry;
}

int elf_parse_any(
	const struct source *source, const char *name, struct elf_image *image, struct err *err)
{
	Elf64_Ehdr ehdr;
	bool is_read = read_header32(source, &ehdr);
	int ret;

	*image = (struct elf_image){.lowest = UINT64_MAX};
	if (is_read && ehdr.e_ident[EI_CLASS] == ELFCLASS64)
		is_read = source_read(source, 0, &ehdr, sizeof(ehdr));
	if (!is_read || !is_kernel_header(&ehdr))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s is no ELF executable for x86, and its header says no address", name);
	ret = read_segments(source, true, &ehdr, name, image, err);
	image->entry = physical_entry(image, ehdr.e_entry);
	return ret;
}

/*
 * Up to a third of a kernel's segments is zeros (its bss is part of the file):
 * writing them would make the host find memory for pages that are zero already.
 */
static int put_pages(struct gmem *mem, uint64_t paddr, const uint8_t *data, uint64_t len)
{
	while (len) {
		uint64_t part = MIN(len, PAGE_BYTES - (paddr & (PAGE_BYTES - 1)));

		if (!util_is_zero(data, part) && gmem_write(mem, paddr, data, part) < 0)
			return -EFAULT;
		paddr += part;
		data += part;
		len -= part;
	}
	return 0;
}

static bool ends_with_zeros(const uint8_t *data, uint64_t len)
{
	uint64_t part = MIN(len, (uint64_t)PAGE_BYTES);

	return util_is_zero(data + len - part, part);
}

struct loader {
	const struct source *source;
	struct gmem *mem;
	uint8_t *buf; /* CHUNK_BYTES, made when it is needed */
};

/* By way of a buffer, which is no part of the heap: a heap that has grown for it stays large. */
static int load_between_zeros(
	struct loader *loader, uint64_t offset, uint64_t paddr, uint64_t len, bool *in_zeros)
{
	if (!loader->buf) {
		void *buf = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (buf == MAP_FAILED)
			return -ENOMEM;
		loader->buf = buf;
	}
	if (!source_read(loader->source, offset, loader->buf, len))
		return -EIO;
	*in_zeros = ends_with_zeros(loader->buf, len);
	return put_pages(loader->mem, paddr, loader->buf, len);
}

/*
 * Straight to its place, without a copy between; only behind a page of zeros by way of a buffer, for
 * there may be more of them. They are looked at in the buffer: reading memory that nobody has
 * written to would cost it its huge page.
 */
static int load_segment(struct loader *loader, const struct elf_segment *segment)
{
	bool in_zeros = false;
	int ret = 0;

	for (uint64_t done = 0, part; done < segment->file_size && ret == 0; done += part) {
		uint64_t offset = segment->offset + done, paddr = segment->paddr + done;
		uint8_t *to;

		part = MIN(segment->file_size - done, (uint64_t)CHUNK_BYTES);
		if (in_zeros) {
			ret = load_between_zeros(loader, offset, paddr, part, &in_zeros);
			continue;
		}
		to = gmem_ptr(loader->mem, paddr, part);
		if (!to)
			return -EFAULT;
		if (!source_read(loader->source, offset, to, part))
			return -EIO;
		in_zeros = ends_with_zeros(to, part);
	}
	return ret;
}

int elf_load(const struct elf_image *image, const struct source *source, struct gmem *mem)
{
	struct loader loader = {.source = source, .mem = mem};
	int ret = 0;

	for (unsigned i = 0; i < image->segment_count && ret == 0; i++)
		ret = load_segment(&loader, &image->segments[i]);
	if (loader.buf)
		munmap(loader.buf, CHUNK_BYTES);
	return ret;
}

int elf_writer_put(struct elf_writer *writer, uint64_t offset, const void *data, uint64_t len)
{
	for (unsigned i = 0; i < writer->image->segment_count; i++) {
		const struct elf_segment *segment = &writer->image->segments[i];
		uint64_t start = MAX(offset, segment->offset);
		uint64_t end = MIN(offset + len, segment->offset + segment->file_size);
		int ret;

		if (start >= end)
			continue;
		ret = put_pages(writer->mem, segment->paddr + (start - segment->offset),
			(const uint8_t *)data + (start - offset), end - start);
		if (ret < 0)
			return ret;
		writer->written += end - start;
	}
	return 0;
}

bool elf_writer_is_complete(const struct elf_writer *writer)
{
	uint64_t wanted = 0;

	for (unsigned i = 0; i < writer->image->segment_count; i++)
		wanted += writer->image->segments[i].file_size;
	return writer->written == wanted;
}
