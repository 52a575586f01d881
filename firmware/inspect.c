/*
 * See inspect.h. Reads as boot and the disk probe do, so that what it says is what
 * they will do. All text from the file has been made printable by the parsers.
 *
 * What the file can say: see the heads of image.c, bzimage.c, elf.c and disk_*.c;
 * the search for the version of an ELF kernel ends after VERSION_SEARCH_BYTES.
 */
#include "firmware/inspect.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "firmware/bzimage.h"
#include "firmware/disk_probe.h"
#include "firmware/elf.h"
#include "firmware/image.h"

enum {
	VERSION_SEARCH_BYTES = 128 << 20,
	SEARCH_CHUNK_BYTES = 1 << 20,
	VERSION_CHARS = 200,
	TEXT_BYTES = 512,
};

PRINTF_LIKE(3, 4)
static void line(FILE *out, const char *key, const char *format, ...)
{
	va_list args;

	fprintf(out, "%s:%*s", key, (int)(17 - MIN(strlen(key), (size_t)16)), "");
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
}

/* "1.5 GiB" */
static const char *size_text(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit < ARRAY_SIZE(units) - 1) {
		value /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(buf, size, "%llu bytes", (unsigned long long)bytes);
	else
		snprintf(buf, size, "%.1f %s", value, units[unit]);
	return buf;
}

/* ---- Linux kernels ---- */

static void inspect_payload(const struct bzimage *image, FILE *out)
{
	char packed[32], unpacked[32];

	if (image->payload_format == UNPACK_NONE) {
		line(out, "payload", "packed in an unknown way");
		return;
	}
	line(out, "payload", "%s, %s packed, %s unpacked", unpack_name(image->payload_format),
		size_text(image->payload_bytes, packed, sizeof(packed)),
		size_text(image->unpacked_bytes, unpacked, sizeof(unpacked)));
}

static void inspect_flags(const struct bzimage *image, FILE *out)
{
	static const struct {
		unsigned flag;
		const char *text;
	} flags[] = {
		{XLF_KERNEL_64, "64-bit entry"},
		{XLF_CAN_BE_LOADED_ABOVE_4G, "may lie above 4 GiB"},
		{XLF_EFI_HANDOVER_32, "EFI handover 32-bit"},
		{XLF_EFI_HANDOVER_64, "EFI handover 64-bit"},
		{XLF_EFI_KEXEC, "kexec under EFI"},
		{XLF_5LEVEL, "5-level paging"},
	};
	char text[TEXT_BYTES] = "";
	size_t used = 0;

	if (image->header.version < 0x020c)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (image->header.xloadflags & flags[i].flag)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
				used ? ", " : "", flags[i].text);
	line(out, "flags", "%s", used ? text : "none");
}

static void inspect_bzimage(const struct source *source, const char *path, FILE *out)
{
	struct err err = ERR_INIT;
	struct bzimage image;
	char text[32];

	if (bzimage_parse(source, path, &image, &err) < 0) {
		line(out, "startable", "no: %s", err.text);
		return;
	}
	line(out, "version", "%s", image.version[0] ? image.version : "not said");
	line(out, "boot protocol", "%u.%02u", image.header.version >> 8,
		image.header.version & 0xff);
	inspect_payload(&image, out);
	line(out, "load address", "0x%llx%s", (unsigned long long)image.load_address,
		image.header.relocatable_kernel ? ", relocatable" : "");
	line(out, "memory", "%s from there", size_text(image.memory_bytes, text, sizeof(text)));
	line(out, "command line", "at most %u characters", image.header.cmdline_size);
	line(out, "initrd", "up to address 0x%llx", (unsigned long long)image.initrd_max);
	inspect_flags(&image, out);
	line(out, "startable", "yes, by its %s entry", image.has_entry64 ? "64-bit" : "32-bit");
}

/* Linux keeps a banner in its data; other kernels may have the like, or none. */
static bool find_banner(const struct source *source, char *text, size_t size)
{
	static const char mark[] = "Linux version ";
	const size_t overlap = VERSION_CHARS;
	uint64_t end = MIN(source->size, (uint64_t)VERSION_SEARCH_BYTES);
	char *buf = malloc(SEARCH_CHUNK_BYTES);
	bool found = false;

	for (uint64_t at = 0; buf && at < end && !found; at += SEARCH_CHUNK_BYTES - overlap) {
		uint64_t got = source_read_some(source, at, buf, SEARCH_CHUNK_BYTES);
		const char *hit = memmem(buf, got, mark, sizeof(mark) - 1);
		size_t used = 0, left = hit ? (size_t)(buf + got - hit) : 0;

		/* "Linux version %s" is a format, not the banner. */
		if (left <= sizeof(mark) || hit[sizeof(mark) - 1] == '%')
			continue;
		while (used < MIN(left, size - 1) && hit[used] >= ' ' && hit[used] <= '~') {
			text[used] = hit[used];
			used++;
		}
		text[used] = '\0';
		found = true;
	}
	free(buf);
	return found;
}

static void inspect_elf(const struct source *source, const char *path, FILE *out)
{
	struct elf_image *image = malloc(sizeof(*image));
	struct err err = ERR_INIT;
	char text[VERSION_CHARS];

	if (!image)
		return;
	if (find_banner(source, text, sizeof(text)))
		line(out, "version", "%s", text);
	if (elf_parse(source, true, path, image, &err) < 0) {
		line(out, "startable", "no: %s", err.text);
		free(image);
		return;
	}
	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];

		line(out, "segment", "0x%llx to 0x%llx, %llu bytes of it in the file",
			(unsigned long long)segment->paddr,
			(unsigned long long)(segment->paddr + segment->mem_size),
			(unsigned long long)segment->file_size);
	}
	line(out, "entry", "0x%llx", (unsigned long long)image->entry);
	if (image->has_pvh)
		line(out, "PVH entry", "0x%x", image->pvh_entry);
	line(out, "startable", "yes, by its %s entry", image->has_pvh ? "PVH" : "64-bit");
	free(image);
}

/* ---- Disks ---- */

static void inspect_volume(const struct disk_volume *volume, FILE *out)
{
	char key[24], size[32], start[32];

	if (volume->number)
		snprintf(key, sizeof(key), "partition %u", volume->number);
	else
		snprintf(key, sizeof(key), "whole disk");
	line(out, key, "%s at %s%s%s%s%s%s%s%s%s%s%s%s",
		size_text(volume->size, size, sizeof(size)),
		size_text(volume->start, start, sizeof(start)), volume->type[0] ? ", " : "",
		volume->type, volume->part_name[0] ? ", name " : "", volume->part_name,
		volume->fs ? ", " : "", disk_fs_name(volume->fs),
		volume->label[0] ? ", label " : "", volume->label, volume->uuid[0] ? ", UUID " : "",
		volume->uuid, volume->type_read_only ? ", read-only" : "");
}

static void inspect_disk(const struct source *source, FILE *out)
{
	static const char *const tables[] = {
		[DISK_TABLE_NONE] = "none", [DISK_TABLE_MBR] = "MBR", [DISK_TABLE_GPT] = "GPT"};
	struct disk_info *info = malloc(sizeof(*info));
	char device[32];
	bool read_only;

	if (!info)
		return;
	disk_probe(source, info);
	line(out, "table", "%s%s%s", tables[info->table],
		info->sector_bytes == 4096 ? ", for sectors of 4096 bytes" : "",
		info->gpt_backup_used ? ", damaged: the backup was used" : "");
	for (unsigned i = 0; i < info->volume_count; i++)
		inspect_volume(&info->volumes[i], out);
	if (disk_root_device(info, 0, device, sizeof(device), &read_only))
		line(out, "root", "root=%s %s", device, read_only ? "ro" : "rw");
	else
		line(out, "root", "none found");
	free(info);
}

/* ---- Any file ---- */

int inspect_file(const char *path, FILE *out, struct err *err)
{
	struct image_info info;
	struct source source;
	char text[32];
	uint64_t size;
	int fd = image_open(path, "file", true, &size, err);

	if (fd < 0)
		return fd;
	source = source_from_fd(&fd, size);
	image_probe(&source, &info);
	line(out, "format", "%s", info.text);
	line(out, "size", "%s", size_text(size, text, sizeof(text)));
	if (info.kind == IMAGE_BZIMAGE)
		inspect_bzimage(&source, path, out);
	else if (info.kind == IMAGE_ELF)
		inspect_elf(&source, path, out);
	else if (info.kind == IMAGE_PACKED_ELF)
		line(out, "startable", "yes, by its 64-bit entry");
	else if (info.kind == IMAGE_BOOT_SECTOR)
		line(out, "startable", "yes, by the BIOS, in real mode at 0:7c00");
	else if (info.kind == IMAGE_DISK)
		inspect_disk(&source, out);
	close(fd);
	return 0;
}
