/*
 * See bzimage.h. Knows nothing of guest memory. One thread at a time.
 *
 * What the file can say           limit                         enforced in        test
 * header longer than the struct   sizeof(struct setup_header)   read_header()      bzimage_header_length_is_bounded
 * code beyond the end of file     refused as cut                find_code()        bzimage_truncated_everywhere
 * alignment 0, 3, 2^31            a power of two up to 1 GiB    find_memory()      bzimage_refuses_absurd_numbers
 * load address + size wraps       32-bit fields added in 64     find_memory()      bzimage_refuses_absurd_numbers
 * address in the first MiB, >4G   refused                       find_memory()      bzimage_refuses_absurd_numbers
 * payload outside the code        refused                       find_payload()     bzimage_refuses_bad_payload_range
 * version string anywhere         inside the setup part, 79     read_version()     bzimage_version_is_harmless
 *                                 printable characters
 */
#include "firmware/bzimage.h"

#include <errno.h>
#include <stddef.h>

#include "firmware/layout.h"

enum {
	SECTOR_BYTES = 512,
	BOOT_FLAG = 0xaa55,
	HEADER_OFFSET = offsetof(struct boot_params, hdr),
	/* The jump over the header: its second byte is the distance from 0x202. */
	HEADER_END_BASE = 0x202,
	HEADER_LENGTH_BYTE = 0x201,
	VERSION_BASE = 0x200,
	PAYLOAD_SIZE_BYTES = 4,
};

#define HEADER_MAGIC	 0x53726448u /* "HdrS" */
#define DEFAULT_SECTORS	 4
#define OLD_LOAD_ADDRESS FW_KERNEL_LOWEST

bool bzimage_is_linux(const struct source *source)
{
	struct setup_header header;

	return source_read(source, HEADER_OFFSET, &header, 0x206 - HEADER_OFFSET) &&
		header.boot_flag == BOOT_FLAG && header.header == HEADER_MAGIC;
}

/* Fields behind the end of the file's own header stay zero: they are newer than it. */
static int read_header(const struct source *source, struct bzimage *image)
{
	uint8_t length;
	uint64_t bytes;

	if (!source_read(source, HEADER_LENGTH_BYTE, &length, 1))
		return -ENOEXEC;
	bytes = MIN((uint64_t)HEADER_END_BASE + length - HEADER_OFFSET,
		(uint64_t)sizeof(image->header));
	memset(&image->header, 0, sizeof(image->header));
	return source_read(source, HEADER_OFFSET, &image->header, bytes) ? 0 : -ENOEXEC;
}

static void read_version(const struct source *source, struct bzimage *image)
{
	uint64_t offset = VERSION_BASE + image->header.kernel_version;
	size_t len = 0;
	char text[sizeof(image->version)];

	image->version[0] = '\0';
	if (!image->header.kernel_version || offset >= image->code_offset)
		return;
	source_read_some(source, offset, text, sizeof(text));
	while (len < sizeof(text) - 1 && text[len] >= ' ' && text[len] <= '~')
		len++;
	memcpy(image->version, text, len);
	image->version[len] = '\0';
}

static int find_code(
	const struct source *source, const char *name, struct bzimage *image, struct err *err)
{
	unsigned sectors = image->header.setup_sects ? image->header.setup_sects : DEFAULT_SECTORS;
	uint64_t code_bytes = (uint64_t)image->header.syssize * 16;

	image->code_offset = (uint64_t)(sectors + 1) * SECTOR_BYTES;
	/* syssize counts paragraphs: the last one need not be whole. */
	if (!code_bytes || source->size < image->code_offset ||
		source->size - image->code_offset + 15 < code_bytes)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s is a cut Linux kernel: it has %llu bytes, and its header speaks of "
			"%llu",
			name, (unsigned long long)source->size,
			(unsigned long long)(image->code_offset + code_bytes));
	/* What follows (a signature) is not for the kernel. */
	image->code_size = MIN(code_bytes, source->size - image->code_offset);
	return 0;
}

static int bad_number(const char *name, const char *field, uint64_t value, struct err *err)
{
	return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
		"%s: this Linux kernel's header is damaged: %s is 0x%llx", name, field,
		(unsigned long long)value);
}

/*
 * Where the kernel goes, and what it needs there. A relocatable kernel would run
 * elsewhere too, but at its preferred address it need not be moved.
 */
static int find_memory(const char *name, struct bzimage *image, struct err *err)
{
	const struct setup_header *header = &image->header;
	bool has_pref = header->version >= 0x020a;
	uint64_t align = header->relocatable_kernel ? header->kernel_alignment : 1;

	image->load_address = has_pref ? header->pref_address : OLD_LOAD_ADDRESS;
	/* Older kernels unpack themselves to three to four times their packed size. */
	image->memory_bytes = has_pref ? header->init_size : 4 * image->code_size;
	if (!util_is_power_of_two(align) || align > GIB)
		return bad_number(name, "kernel_alignment", align, err);
	if (image->load_address < FW_KERNEL_LOWEST || image->load_address >= FW_IDENTITY_END)
		return bad_number(name, "pref_address", image->load_address, err);
	if (image->memory_bytes < image->code_size)
		return bad_number(name, "init_size", image->memory_bytes, err);
	image->memory_start = image->load_address;
	image->memory_bytes += util_align_up(image->load_address, align) - image->load_address;
	image->has_entry64 = header->version >= 0x020c && header->xloadflags & XLF_KERNEL_64;
	image->initrd_max = header->initrd_addr_max;
	return 0;
}

static int find_payload(
	const struct source *source, const char *name, struct bzimage *image, struct err *err)
{
	const struct setup_header *header = &image->header;
	uint8_t head[8], size[PAYLOAD_SIZE_BYTES];
	uint64_t end;

	if (header->version < 0x0208 || !header->payload_length)
		return 0;
	if (header->payload_length <= sizeof(head) + sizeof(size) ||
		!util_range_inside(
			header->payload_offset, header->payload_length, image->code_size))
		return bad_number(name, "payload_length", header->payload_length, err);
	image->payload_offset = image->code_offset + header->payload_offset;
	image->payload_bytes = header->payload_length - sizeof(size);
	end = image->payload_offset + image->payload_bytes;
	if (!source_read(source, image->payload_offset, head, sizeof(head)) ||
		!source_read(source, end, size, sizeof(size)))
		return err_set(err, EXIT_CODE_IMAGE, EIO, "%s can't be read", name);
	image->payload_format = unpack_recognise(head, sizeof(head));
	image->unpacked_bytes = load_le32(size);
	/* gzip brings that number itself, as its last one: nothing was appended. */
	if (image->payload_format == UNPACK_GZIP)
		image->payload_bytes += sizeof(size);
	return 0;
}

int bzimage_parse(
	const struct source *source, const char *name, struct bzimage *image, struct err *err)
{
	int ret;

	*image = (struct bzimage){.payload_format = UNPACK_NONE};
	if (!bzimage_is_linux(source) || read_header(source, image) < 0)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s is not a Linux kernel, or its header is cut", name);
	if (image->header.version < BZIMAGE_PROTOCOL_MIN) {
		err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s is a Linux kernel of boot protocol %u.%02u; 2.06 (Linux 2.6.22) or "
			"later is needed",
			name, image->header.version >> 8, image->header.version & 0xff);
		return -ENOEXEC;
	}
	if (!(image->header.loadflags & LOADED_HIGH))
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"%s is a zImage, which runs below 1 MiB only; a bzImage is needed", name);
	ret = find_code(source, name, image, err);
	if (ret == 0)
		ret = find_memory(name, image, err);
	if (ret == 0)
		ret = find_payload(source, name, image, err);
	if (ret == 0)
		read_version(source, image);
	return ret;
}
