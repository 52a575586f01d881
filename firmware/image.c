/*
 * See image.h. Knows nothing of guest memory. One thread at a time.
 *
 * What the file can say       limit                        enforced in             test
 * packed within packed …      one level is looked into     probe_packed()          image_packed_in_packed
 * a bomb                      only the first 64 KiB        unpack_peek()           image_packed_bomb
 * offsets of a PE header      checked against the file     probe_pe()              image_truncated_everywhere
 * terminal sequences          printable text only          fixed texts             image_text_is_printable
 * a pipe that blocks open     O_NONBLOCK, then refused     image_open()            image_open_refuses
 */
#include "firmware/image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/bzimage.h"
#include "firmware/disk_probe.h"
#include "firmware/elf.h"
#include "firmware/multiboot.h"

enum {
	HEAD_BYTES = 64 * 1024,
	SECTOR_BYTES = 512,
	BOOT_MARK = 0xaa55,
};

static void say(struct image_info *info, enum image_kind kind, const char *text)
{
	info->kind = kind;
	snprintf(info->text, sizeof(info->text), "%s", text);
}

struct magic {
	unsigned offset;
	unsigned len;
	const char *bytes;
	enum image_kind kind;
	const char *text;
};

static const struct magic magics[] = {
	{0, 6, "070701", IMAGE_ARCHIVE, "a cpio archive (an initramfs)"},
	{0, 6, "070702", IMAGE_ARCHIVE, "a cpio archive (an initramfs)"},
	{0, 6, "070707", IMAGE_OTHER,
		"an old cpio archive, which Linux does not take as initramfs"},
	{257, 5, "ustar", IMAGE_OTHER, "a tar archive"},
	{0, 2, "#!", IMAGE_OTHER, "a script"},
	{0, 4, "QFI\xfb", IMAGE_DISK, "a qcow2 disk image"},
	{0, 4, "KDMV", IMAGE_DISK, "a VMDK disk image"},
	{0, 21, "# Disk DescriptorFile", IMAGE_DISK, "the description of a VMDK disk image"},
	{0x40, 4, "\x7f\x10\xda\xbe", IMAGE_DISK, "a VDI disk image"},
	{0, 8, "vhdxfile", IMAGE_DISK, "a VHDX disk image"},
	{0, 8, "conectix", IMAGE_DISK, "a VHD disk image"},
	{0, 21, "!<arch>\ndebian-binary", IMAGE_PACKAGE, "a Debian package"},
	{0, 8, "!<arch>\n", IMAGE_OTHER, "a static library"},
	{0, 4, "\xed\xab\xee\xdb", IMAGE_PACKAGE, "an RPM package"},
	{0, 4, "PK\x03\x04", IMAGE_OTHER, "a zip archive"},
	{0, 6, "7z\xbc\xaf\x27\x1c", IMAGE_OTHER, "a 7-Zip archive"},
	{0, 4, "\x27\x05\x19\x56", IMAGE_OTHER_KERNEL, "a U-Boot image (uImage)"},
	{0, 4, "\xd0\x0d\xfe\xed", IMAGE_OTHER_KERNEL, "a device tree or a U-Boot FIT image"},
	{0, 8, "ANDROID!", IMAGE_OTHER_KERNEL, "an Android boot image"},
	{56, 4, "ARM\x64", IMAGE_OTHER_KERNEL, "a Linux kernel for AArch64"},
	{56, 4, "RSC\x05", IMAGE_OTHER_KERNEL, "a Linux kernel for RISC-V"},
	{0x24, 4, "\x18\x28\x6f\x01", IMAGE_OTHER_KERNEL, "a Linux kernel for 32-bit ARM (zImage)"},
	{4, 4, "zimg", IMAGE_OTHER_KERNEL,
		"a Linux kernel in an EFI container (zboot), which x86-64 does not use"},
	{0, 4, "\xcf\xfa\xed\xfe", IMAGE_OTHER, "a Mach-O program (macOS)"},
	{0, 4, "\x0b\x01\x64\x00", IMAGE_OTHER_KERNEL, "an a.out program for 32-bit x86"},
	{0, 4, "\x07\x01\x64\x00", IMAGE_OTHER_KERNEL, "an a.out program for 32-bit x86"},
};

static bool probe_magic(const uint8_t *head, size_t len, struct image_info *info)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (len >= m->offset + m->len && !memcmp(head + m->offset, m->bytes, m->len)) {
			/* Among old formats of kernels there are newer ones in disguise. */
			if (m->kind == IMAGE_OTHER_KERNEL && multiboot_is(head, len))
				say(info, IMAGE_MULTIBOOT, "a flat Multiboot kernel");
			else
				say(info, m->kind, m->text);
			return true;
		}
	}
	return false;
}

static void describe_other_machine(const uint8_t *head, struct image_info *info)
{
	bool big = head[EI_DATA] == ELFDATA2MSB;
	unsigned machine = big ? (unsigned)head[18] << 8 | head[19] : load_le16(head + 18);
	const char *name = elf_machine_name(machine);

	info->kind = IMAGE_OTHER_KERNEL;
	if (name)
		snprintf(info->text, sizeof(info->text), "an ELF file for %s", name);
	else
		snprintf(info->text, sizeof(info->text), "an ELF file for machine number %u",
			machine);
}

static const char *elf_type_text(unsigned type)
{
	switch (type) {
	case ET_REL:
		return "an ELF object file or kernel module";
	case ET_DYN:
		return "an ELF shared library or position-independent program";
	case ET_CORE:
		return "a core dump";
	default:
		return "an ELF file of unknown type";
	}
}

/* False when it is not ELF at all. */
static bool probe_elf(
	const struct source *source, const uint8_t *head, size_t len, struct image_info *info)
{
	switch (elf_judge(source)) {
	case ELF_NONE:
		return false;
	case ELF_KERNEL: /* probe_kernel() knew it */
		break;
	case ELF_CUT:
		say(info, IMAGE_OTHER, "the cut beginning of an ELF file");
		break;
	case ELF_OTHER_MACHINE:
		describe_other_machine(head, info);
		break;
	case ELF_32BIT:
		if (multiboot_is(head, len))
			say(info, IMAGE_MULTIBOOT, "a 32-bit Multiboot kernel");
		else
			say(info, IMAGE_OTHER_KERNEL, "a 32-bit ELF file");
		break;
	case ELF_NOT_EXECUTABLE:
		say(info, IMAGE_OTHER, elf_type_text(load_le16(head + 16)));
		break;
	case ELF_USER_PROGRAM:
		say(info, IMAGE_OTHER, "an ELF program for Linux user space");
		break;
	}
	return true;
}

/* PE/COFF: Windows programs, UEFI applications. Microsoft's PE format, "Signature", "COFF header". */
static bool probe_pe(
	const struct source *source, const uint8_t *head, size_t len, struct image_info *info)
{
	const uint16_t machine_x86_64 = 0x8664, machine_i386 = 0x14c, machine_arm64 = 0xaa64;
	uint8_t pe[96];
	unsigned machine, subsystem;

	if (len < 0x40 || memcmp(head, "MZ", 2))
		return false;
	if (!source_read(source, load_le32(head + 0x3c), pe, sizeof(pe)) || memcmp(pe, "PE\0", 4)) {
		say(info, IMAGE_OTHER, "a DOS or Windows program");
		return true;
	}
	machine = load_le16(pe + 4);
	subsystem = load_le16(pe + 24 + 68);
	info->kind = IMAGE_OTHER;
	snprintf(info->text, sizeof(info->text), "a %s for %s",
		subsystem >= 10 && subsystem <= 13 ? "UEFI program" : "Windows program",
		machine == machine_x86_64	   ? "x86-64"
			: machine == machine_i386  ? "32-bit x86"
			: machine == machine_arm64 ? "AArch64"
						   : "another processor");
	return true;
}

static bool probe_disk(const struct source *source, struct image_info *info)
{
	struct disk_info *disk = malloc(sizeof(*disk));
	bool found = false;

	if (!disk)
		return false;
	disk_probe(source, disk);
	info->kind = IMAGE_DISK;
	if (disk->table != DISK_TABLE_NONE) {
		snprintf(info->text, sizeof(info->text), "a disk image with %u partition%s (%s)",
			disk->volume_count, disk->volume_count == 1 ? "" : "s",
			disk->table == DISK_TABLE_GPT ? "GPT" : "MBR");
		found = true;
	} else if (disk->volume_count && disk->volumes[0].fs != DISK_FS_NONE) {
		snprintf(info->text, sizeof(info->text), "a disk image (%s)",
			disk_fs_name(disk->volumes[0].fs));
		found = true;
	}
	free(disk);
	return found;
}

/* UTF-8 counts as text, most control characters do not. */
static bool is_text(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (head[i] < ' ' && (head[i] < '\t' || head[i] > '\r') && head[i] != 0x1b)
			return false;
	return true;
}

/*
 * The BIOS's mark at the end of the first sector. Disks have it as well, so those are looked for
 * first; but a file of one sector is none.
 */
static bool has_boot_mark(const uint8_t *head, size_t len)
{
	return len >= SECTOR_BYTES && load_le16(head + SECTOR_BYTES - 2) == BOOT_MARK;
}

static bool probe_boot_sector(
	const struct source *source, const uint8_t *head, size_t len, struct image_info *info)
{
	if (source->size != SECTOR_BYTES || !has_boot_mark(head, len))
		return false;
	say(info, IMAGE_BOOT_SECTOR, "a boot sector");
	return true;
}

static void probe_rest(const uint8_t *head, size_t len, struct image_info *info)
{
	if (has_boot_mark(head, len))
		say(info, IMAGE_BOOT_SECTOR, "a boot sector, and what it may load");
	else if (multiboot_is(head, len))
		say(info, IMAGE_MULTIBOOT, "a flat Multiboot kernel");
	else if (!head[0] && !memcmp(head, head + 1, len - 1))
		say(info, IMAGE_OTHER, "a file that begins with nothing but zeros");
	else if (is_text(head, len))
		say(info, IMAGE_OTHER, "a text file");
	else
		say(info, IMAGE_OTHER, "a file of unknown format");
}

static bool probe_kernel(const struct source *source, struct image_info *info)
{
	if (bzimage_is_linux(source))
		say(info, IMAGE_BZIMAGE, "a Linux kernel for x86");
	else if (elf_judge(source) == ELF_KERNEL)
		say(info, IMAGE_ELF, "an x86-64 ELF kernel");
	else
		return false;
	return true;
}

/* An archive that is not packed. */
static bool probe_archive(const struct source *source, struct image_info *info)
{
	uint8_t start[6];
	uint64_t len = source_read_some(source, 0, start, sizeof(start));

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];

		if (m->kind == IMAGE_ARCHIVE && len == m->len &&
			!memcmp(start, m->bytes, sizeof(start))) {
			say(info, m->kind, m->text);
			return true;
		}
	}
	return false;
}

static void probe_plain(
	const struct source *source, const uint8_t *head, size_t len, struct image_info *info)
{
	if (!probe_kernel(source, info) && !probe_elf(source, head, len, info) &&
		!probe_magic(head, len, info) && !probe_pe(source, head, len, info) &&
		!probe_boot_sector(source, head, len, info) && !probe_disk(source, info))
		probe_rest(head, len, info);
}

static void probe_packed(const struct source *source, struct image_info *info)
{
	const char *format = unpack_name(info->packing);
	uint8_t *inner = malloc(HEAD_BYTES);
	size_t len = inner ? unpack_peek(info->packing, source, inner, HEAD_BYTES) : 0;
	struct source_bytes bytes = {.data = inner, .size = len};
	struct source inner_source = source_from_bytes(&bytes);
	struct image_info in = {.kind = IMAGE_OTHER};

	if (len && unpack_recognise(inner, len) == UNPACK_NONE)
		probe_plain(&inner_source, inner, len, &in);
	if (in.kind == IMAGE_ELF)
		info->kind = IMAGE_PACKED_ELF;
	else if (in.kind == IMAGE_MULTIBOOT)
		info->kind = IMAGE_PACKED_MULTIBOOT;
	else if (in.kind == IMAGE_ARCHIVE)
		info->kind = IMAGE_ARCHIVE;
	else
		info->kind = IMAGE_OTHER;
	if (in.text[0])
		snprintf(info->text, sizeof(info->text), "%.110s, packed by %s", in.text, format);
	else
		snprintf(info->text, sizeof(info->text), "a file packed by %s", format);
	free(inner);
}

void image_probe(const struct source *source, struct image_info *info)
{
	uint8_t *head;
	size_t len;

	*info = (struct image_info){.kind = IMAGE_OTHER, .packing = UNPACK_NONE};
	/* What is started most often is known by its headers: nothing else is touched. */
	if (probe_kernel(source, info) || probe_archive(source, info))
		return;
	head = malloc(HEAD_BYTES);
	len = head ? (size_t)source_read_some(source, 0, head, HEAD_BYTES) : 0;
	if (!len) {
		say(info, IMAGE_OTHER,
			source->size ? "a file that can't be read" : "an empty file");
	} else {
		info->packing = unpack_recognise(head, len);
		if (info->packing == UNPACK_NONE)
			probe_plain(source, head, len, info);
		else
			probe_packed(source, info);
	}
	free(head);
}

static int refuse_open(const char *path, const char *what, int errnum, struct err *err)
{
	err_set(err, EXIT_CODE_IMAGE, errnum, "can't open the %s %s: %s", what, path,
		strerror(errnum));
	if (errnum == EACCES)
		err_hint(err,
			"copy the file to where you may read it, or ask for permission to read");
	return -errnum;
}

static const char *refused_type(mode_t mode, bool block_too)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a pipe";
	if (S_ISSOCK(mode))
		return "a socket";
	if (S_ISCHR(mode))
		return "a character device";
	if (S_ISBLK(mode) && !block_too)
		return "a block device";
	return NULL;
}

int image_open(const char *path, const char *what, bool block_too, uint64_t *size, struct err *err)
{
	/* Without O_NONBLOCK a pipe would make open() wait for its other end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *type;
	struct stat st;
	off_t end;

	if (fd < 0)
		return refuse_open(path, what, errno, err);
	if (fstat(fd, &st) < 0)
		type = "a file that can't be looked at";
	else
		type = refused_type(st.st_mode, block_too);
	end = lseek(fd, 0, SEEK_END);
	if (!type && end == 0)
		type = "empty";
	if (type || end < 0) {
		close(fd);
		return err_set(err, EXIT_CODE_IMAGE, EINVAL, "the %s %s is %s", what, path,
			type ? type : "a file without a size");
	}
	*size = (uint64_t)end;
	return fd;
}

static const char *advice(enum image_kind kind)
{
	switch (kind) {
	case IMAGE_ARCHIVE:
		return "an initramfs goes with --initrd; ";
	case IMAGE_DISK:
		return "a disk image goes with --disk (and is started by its boot sector with "
		       "--boot-sector); ";
	case IMAGE_PACKAGE:
		return "unpack the package first, the kernel is in its boot folder; ";
	default:
		return "";
	}
}

int image_refuse_kernel(const struct image_info *info, const char *path, struct err *err)
{
	err_set(err, EXIT_CODE_IMAGE, ENOEXEC, "the kernel %s is %s, which can't be started here",
		path, info->text);
	err_hint(err,
		"%sa kernel is a Linux bzImage (vmlinuz), an x86-64 ELF file (vmlinux) or a "
		"Multiboot kernel, which may be packed by gzip, LZ4, zstd or XZ, or a boot sector",
		advice(info->kind));
	return -ENOEXEC;
}
