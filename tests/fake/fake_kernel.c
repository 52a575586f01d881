/*
 * See fake_kernel.h.
 */
#include "tests/fake/fake_kernel.h"

#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm/base/util.h"

enum {
	SECTOR_BYTES = 512,
	SETUP_SECTORS = 4,
	PAYLOAD_OFFSET = 0x300,
	LZ4_BLOCK_BYTES = 8 << 20,
	XEN_PHYS32_ENTRY = 18,
	HEADER_OFFSET = 0x1f1,
	VERSION_OFFSET = 0x600,
};

void fake_file_finish(struct fake_file *file)
{
	free(file->data);
	*file = (struct fake_file){NULL, 0};
}

void fake_file_append(struct fake_file *file, const void *data, size_t len)
{
	file->data = realloc(file->data, file->size + len + 1);
	ASSERT(file->data);
	if (data)
		memcpy(file->data + file->size, data, len);
	else
		memset(file->data + file->size, 0, len);
	file->size += len;
}

void fake_file_zeros(struct fake_file *file, size_t len)
{
	fake_file_append(file, NULL, len);
}

void fake_file_save(const struct fake_file *file, const char *path)
{
	FILE *out = fopen(path, "we");
	size_t written = out && file->size ? fwrite(file->data, 1, file->size, out) : 0;

	ASSERT(out && written == file->size);
	fclose(out);
}

Elf64_Ehdr *fake_elf_header(struct fake_file *file)
{
	return (void *)file->data;
}

Elf64_Phdr *fake_elf_program_header(struct fake_file *file, unsigned nth)
{
	return (Elf64_Phdr *)(void *)(file->data + sizeof(Elf64_Ehdr)) + nth;
}

static void append_segments(struct fake_file *file, const struct fake_elf *elf)
{
	for (unsigned i = 0; i < elf->segment_count; i++) {
		const struct fake_segment *segment = &elf->segments[i];
		Elf64_Phdr *phdr = fake_elf_program_header(file, i);

		*phdr = (Elf64_Phdr){.p_type = PT_LOAD,
			.p_offset = file->size,
			.p_paddr = segment->paddr,
			.p_vaddr = segment->paddr,
			.p_filesz = segment->file_size,
			.p_memsz = segment->mem_size,
			.p_align = 4096};
		fake_file_zeros(file, segment->file_size);
		phdr = fake_elf_program_header(file, i);
		for (size_t n = 0; n < segment->file_size; n++)
			file->data[phdr->p_offset + n] = (uint8_t)(segment->fill + n / 4096);
	}
}

static void append_note(struct fake_file *file, const struct fake_elf *elf)
{
	Elf64_Nhdr nhdr = {.n_namesz = 4, .n_descsz = 4, .n_type = XEN_PHYS32_ENTRY};
	const Elf64_Nhdr linux_nhdr = {.n_namesz = 6, .n_descsz = 1, .n_type = 0x101};
	size_t linux_bytes = elf->is_linux ? sizeof(linux_nhdr) + 12 : 0;

	*fake_elf_program_header(file, elf->segment_count) = (Elf64_Phdr){.p_type = PT_NOTE,
		.p_offset = file->size,
		.p_filesz = linux_bytes + sizeof(nhdr) + 8,
		.p_align = 4};
	if (elf->is_linux) {
		fake_file_append(file, &linux_nhdr, sizeof(linux_nhdr));
		fake_file_append(file, "Linux\0\0\0", 8);
		fake_file_zeros(file, 4);
	}
	fake_file_append(file, &nhdr, sizeof(nhdr));
	fake_file_append(file, "Xen", 4);
	fake_file_append(file, &elf->pvh_entry, 4);
}

void fake_elf_build(struct fake_file *file, const struct fake_elf *elf)
{
	ASSERT(file->size == 0);
	fake_file_zeros(file, FAKE_DATA_OFFSET);
	*fake_elf_header(file) = (Elf64_Ehdr){.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
						      ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = elf->entry,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(elf->segment_count + (elf->pvh_entry != 0))};
	append_segments(file, elf);
	if (elf->pvh_entry)
		append_note(file, elf);
}

const struct fake_elf fake_elf_plain = {
	.entry = 16 << 20,
	.segment_count = 2,
	.segments = {{.paddr = 16 << 20, .file_size = 10000, .mem_size = 12000, .fill = 1},
		{.paddr = 17 << 20, .file_size = 5000, .mem_size = 40000, .fill = 0xa0}},
};

static void pack_gzip(struct fake_file *file, const void *in, size_t len)
{
	const int window_bits_gzip = 15 + 16;
	z_stream z = {.next_in = (void *)in, .avail_in = (uInt)len};
	size_t room;
	int status =
		deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, window_bits_gzip, 8, Z_DEFAULT_STRATEGY);

	ASSERT(status == Z_OK);
	room = deflateBound(&z, len);
	fake_file_zeros(file, room);
	z.next_out = file->data + file->size - room;
	z.avail_out = (uInt)room;
	status = deflate(&z, Z_FINISH);
	ASSERT(status == Z_STREAM_END);
	file->size -= z.avail_out;
	deflateEnd(&z);
}

static void pack_lz4(struct fake_file *file, const uint8_t *in, size_t len)
{
	const uint32_t magic = 0x184c2102;

	fake_file_append(file, &magic, sizeof(magic));
	while (len) {
		size_t part = MIN(len, (size_t)LZ4_BLOCK_BYTES);
		int room = LZ4_compressBound((int)part);
		char *out = malloc((size_t)room);
		uint32_t packed;

		ASSERT(out);
		packed = (uint32_t)LZ4_compress_default((const char *)in, out, (int)part, room);
		ASSERT(packed);
		fake_file_append(file, &packed, sizeof(packed));
		fake_file_append(file, out, packed);
		free(out);
		in += part;
		len -= part;
	}
}

static void pack_zstd(struct fake_file *file, const void *in, size_t len)
{
	size_t room = ZSTD_compressBound(len), packed;

	fake_file_zeros(file, room);
	packed = ZSTD_compress(file->data + file->size - room, room, in, len, 1);
	ASSERT(!ZSTD_isError(packed));
	file->size -= room - packed;
}

static void pack_xz(struct fake_file *file, const void *in, size_t len)
{
	size_t room = lzma_stream_buffer_bound(len), packed = 0;
	lzma_ret ret;

	fake_file_zeros(file, room);
	ret = lzma_easy_buffer_encode(
		0, LZMA_CHECK_CRC32, NULL, in, len, file->data + file->size - room, &packed, room);
	ASSERT(ret == LZMA_OK);
	file->size -= room - packed;
}

void fake_pack(struct fake_file *file, enum unpack_format format, const void *in, size_t len)
{
	switch (format) {
	case UNPACK_GZIP:
		pack_gzip(file, in, len);
		break;
	case UNPACK_LZ4_LEGACY:
		pack_lz4(file, in, len);
		break;
	case UNPACK_ZSTD:
		pack_zstd(file, in, len);
		break;
	case UNPACK_XZ:
		pack_xz(file, in, len);
		break;
	default:
		fake_file_append(file, in, len);
		break;
	}
}

struct setup_header *fake_bzimage_header(struct fake_file *file)
{
	return (void *)(file->data + HEADER_OFFSET);
}

void fake_bzimage_build(struct fake_file *file, const struct fake_file *payload,
	uint32_t unpacked_bytes, uint32_t init_size)
{
	bool is_gzip = unpack_recognise(payload->data, payload->size) == UNPACK_GZIP;
	size_t code_offset = (SETUP_SECTORS + 1) * SECTOR_BYTES, code_bytes;
	struct setup_header *header;

	ASSERT(file->size == 0);
	fake_file_zeros(file, code_offset);
	memcpy(file->data + VERSION_OFFSET, FAKE_VERSION, sizeof(FAKE_VERSION));
	fake_file_zeros(file, PAYLOAD_OFFSET);
	memset(file->data + code_offset, 0x90, PAYLOAD_OFFSET);
	fake_file_append(file, payload->data, payload->size);
	if (!is_gzip)
		fake_file_append(file, &unpacked_bytes, sizeof(unpacked_bytes));
	code_bytes = util_align_up(file->size - code_offset, 16);
	fake_file_zeros(file, code_offset + code_bytes - file->size);
	file->data[0x200] = 0xeb;
	file->data[0x201] = (uint8_t)(HEADER_OFFSET + sizeof(*header) - 0x202);
	header = fake_bzimage_header(file);
	*header = (struct setup_header){
		.setup_sects = SETUP_SECTORS,
		.syssize = (uint32_t)(code_bytes / 16),
		.boot_flag = 0xaa55,
		.jump = load_le16(file->data + 0x200),
		.header = 0x53726448,
		.version = 0x020f,
		.kernel_version = VERSION_OFFSET - 0x200,
		.loadflags = LOADED_HIGH,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.payload_offset = PAYLOAD_OFFSET,
		.payload_length = (uint32_t)(payload->size + (is_gzip ? 0 : 4)),
		.pref_address = 16 << 20,
		.init_size = init_size,
	};
}
