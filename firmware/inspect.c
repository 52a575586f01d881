/*
 * See inspect.h. Reads as boot and the disk probe do, so that what it says is what
 * they will do. All text from the file has been made printable by the parsers.
 *
 * What the file can say: see the heads of image.c, bzimage.c, elf.c, disk_*.c and inspect_*.c.
 */
#include "firmware/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "firmware/disk_probe.h"
#include "firmware/elf.h"
#include "firmware/image.h"
#include "firmware/inspect_impl.h"

/* ---- Linux kernels ---- */

/* What its bytes say, unpacked: to be destroyed, or NULL. *packing: NONE where they are plain. */
static struct inspect_search *search_kernel(const struct source *source,
	const struct image_info *info, const struct bzimage *bz, int *result)
{
	struct inspect_search *search = inspect_search_create();

	*result = -ENOMEM;
	if (!search)
		return NULL;
	if (info->kind == IMAGE_BZIMAGE)
		*result = inspect_search_source(
			search, source, bz->payload_format, bz->payload_offset, bz->payload_bytes);
	else
		*result = inspect_search_source(search, source, info->packing, 0, source->size);
	return search;
}

static const char *config_text(const struct inspect_search *search, int result)
{
	if (search->config_is_whole)
		return "inside; vmm inspect --config prints it";
	if (result == -ENOTSUP)
		return "can't be looked for: its packing can't be undone here";
	if (search->has_config || result == -EILSEQ)
		return "cut or damaged";
	return "not inside (CONFIG_IKCONFIG=y puts it there)";
}

/* The kernel that the payload unpacks to. */
static void show_inner(struct inspect_out *out, const struct inspect_search *search)
{
	struct source_bytes bytes = {
		.data = search->head, .size = MIN(search->size, (uint64_t)INSPECT_HEAD_BYTES)};
	struct source source = source_from_bytes(&bytes);
	struct elf_image *image = malloc(sizeof(*image));
	char size[INSPECT_SIZE_BYTES];

	if (image && elf_parse(&source, false, "the kernel", image, NULL) == 0)
		inspect_line(out, "inside",
			"an ELF kernel, %u segments at 0x%llx to 0x%llx, %s, "
			"entry 0x%llx",
			image->segment_count, (unsigned long long)image->lowest,
			(unsigned long long)image->end,
			inspect_size(image->end - image->lowest, size),
			(unsigned long long)image->entry);
	free(image);
}

static void show_search(struct inspect_out *out, const struct source *source,
	const struct image_info *info, const struct bzimage *bz)
{
	int result;
	struct inspect_search *search = search_kernel(source, info, bz, &result);

	if (!search)
		return;
	if (search->banner[0])
		inspect_line(out, info->kind == IMAGE_BZIMAGE ? "banner" : "version", "%s",
			search->banner);
	if (info->kind != IMAGE_ELF)
		show_inner(out, search);
	if (search->banner[0] || info->kind == IMAGE_BZIMAGE) {
		inspect_line(out, "configuration", "%s", config_text(search, result));
		inspect_flag(out, "has configuration", search->config_is_whole);
	}
	inspect_search_destroy(search);
}

static void show_payload(struct inspect_out *out, const struct bzimage *image)
{
	char packed[INSPECT_SIZE_BYTES], unpacked[INSPECT_SIZE_BYTES];

	if (image->payload_format == UNPACK_NONE) {
		inspect_line(out, "payload", "packed in an unknown way");
		return;
	}
	inspect_line(out, "payload", "%s, %s packed, %s unpacked",
		unpack_name(image->payload_format), inspect_size(image->payload_bytes, packed),
		inspect_size(image->unpacked_bytes, unpacked));
	inspect_text(out, "packing", unpack_name(image->payload_format));
	inspect_number(out, "packed bytes", image->payload_bytes);
	inspect_number(out, "unpacked bytes", image->unpacked_bytes);
}

static void inspect_bzimage(struct inspect_out *out, const struct source *source,
	const struct image_info *info, const char *path)
{
	struct err err = ERR_INIT;
	struct bzimage image;
	char text[INSPECT_SIZE_BYTES];

	if (bzimage_parse(source, path, &image, &err) < 0) {
		inspect_line(out, "startable", "no: %s", err.text);
		return;
	}
	inspect_line(out, "version", "%s", image.version[0] ? image.version : "not said");
	inspect_line(out, "boot protocol", "%u.%02u", image.header.version >> 8,
		image.header.version & 0xff);
	show_payload(out, &image);
	show_search(out, source, info, &image);
	inspect_line(out, "load address", "0x%llx%s", (unsigned long long)image.load_address,
		image.header.relocatable_kernel ? ", relocatable" : "");
	inspect_line(out, "memory", "%s from there", inspect_size(image.memory_bytes, text));
	inspect_line(out, "command line", "at most %u characters", image.header.cmdline_size);
	inspect_line(out, "initrd", "up to address 0x%llx", (unsigned long long)image.initrd_max);
	inspect_line(
		out, "startable", "yes, by its %s entry", image.has_entry64 ? "64-bit" : "32-bit");
	inspect_header(out, source, &image);
}

/* Only the configuration: its bytes as they are, but for what no terminal should see. */
static int print_config(const struct source *source, const struct image_info *info,
	const char *path, FILE *out, struct err *err)
{
	struct inspect_search *search;
	struct bzimage image;
	char *text = NULL;
	size_t len = 0;
	int ret = 0, result;

	if (info->kind == IMAGE_BZIMAGE)
		ret = bzimage_parse(source, path, &image, err);
	if (ret < 0)
		return ret;
	search = search_kernel(source, info, &image, &result);
	ret = search ? inspect_search_config(search, &text, &len) : -ENOMEM;
	if (ret < 0) {
		err_set(err, EXIT_CODE_IMAGE, -ret, "%s: the kernel's configuration is %s", path,
			search ? config_text(search, result) : "too large for this host");
		err_hint(err, "distributions put it beside the kernel: /boot/config-VERSION");
	}
	for (size_t i = 0; ret == 0 && i < len; i++)
		putc((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n' ? text[i] : '?', out);
	free(text);
	inspect_search_destroy(search);
	return ret;
}

/* ---- Disks ---- */

static void inspect_volume(struct inspect_out *out, const struct disk_volume *volume)
{
	char key[24], size[INSPECT_SIZE_BYTES], start[INSPECT_SIZE_BYTES];

	if (volume->number)
		snprintf(key, sizeof(key), "partition %u", volume->number);
	else
		snprintf(key, sizeof(key), "whole disk");
	if (!out->json)
		inspect_line(out, key, "%s at %s%s%s%s%s%s%s%s%s%s%s%s",
			inspect_size(volume->size, size), inspect_size(volume->start, start),
			volume->type[0] ? ", " : "", volume->type,
			volume->part_name[0] ? ", name " : "", volume->part_name,
			volume->fs ? ", " : "", disk_fs_name(volume->fs),
			volume->label[0] ? ", label " : "", volume->label,
			volume->uuid[0] ? ", UUID " : "", volume->uuid,
			volume->type_read_only ? ", read-only" : "");
	inspect_open(out, NULL, '{');
	inspect_number(out, "number", volume->number);
	inspect_number(out, "start", volume->start);
	inspect_number(out, "bytes", volume->size);
	inspect_text(out, "type", volume->type);
	inspect_text(out, "name", volume->part_name);
	inspect_text(out, "file system", disk_fs_name(volume->fs));
	inspect_text(out, "label", volume->label);
	inspect_text(out, "uuid", volume->uuid);
	inspect_flag(out, "read only", volume->type_read_only);
	inspect_close(out, '}');
}

static void inspect_disk(struct inspect_out *out, const struct source *source)
{
	static const char *const tables[] = {
		[DISK_TABLE_NONE] = "none", [DISK_TABLE_MBR] = "MBR", [DISK_TABLE_GPT] = "GPT"};
	struct disk_info *info = malloc(sizeof(*info));
	char device[32];
	bool read_only;

	if (!info)
		return;
	disk_probe(source, info);
	inspect_line(out, "table", "%s%s%s", tables[info->table],
		info->sector_bytes == 4096 ? ", for sectors of 4096 bytes" : "",
		info->gpt_backup_used ? ", damaged: the backup was used" : "");
	inspect_open(out, "volumes", '[');
	for (unsigned i = 0; i < info->volume_count; i++)
		inspect_volume(out, &info->volumes[i]);
	inspect_close(out, ']');
	if (disk_root_device(info, 0, device, sizeof(device), &read_only))
		inspect_line(out, "root", "root=%s %s", device, read_only ? "ro" : "rw");
	else
		inspect_line(out, "root", "none found");
	free(info);
}

/* ---- Any file ---- */

static void inspect_kind(struct inspect_out *out, const struct source *source,
	const struct image_info *info, const char *path)
{
	switch (info->kind) {
	case IMAGE_BZIMAGE:
		inspect_bzimage(out, source, info, path);
		break;
	case IMAGE_ELF:
		show_search(out, source, info, NULL);
		inspect_elf(out, source, path);
		break;
	case IMAGE_PACKED_ELF:
		show_search(out, source, info, NULL);
		inspect_line(out, "startable", "yes, by its 64-bit entry");
		break;
	case IMAGE_MULTIBOOT:
		inspect_multiboot(out, source, path);
		break;
	case IMAGE_PACKED_MULTIBOOT:
		inspect_line(out, "startable", "yes, by its Multiboot entry");
		break;
	case IMAGE_BOOT_SECTOR:
		inspect_line(out, "startable", "yes, by the BIOS, in real mode at 0:7c00");
		break;
	case IMAGE_ARCHIVE:
		inspect_initrd(out, source);
		break;
	case IMAGE_DISK:
		inspect_disk(out, source);
		break;
	default:
		inspect_tree(out, source);
		break;
	}
}

int inspect_file(
	const char *path, const struct inspect_options *options, FILE *file, struct err *err)
{
	struct inspect_out out = {.file = file, .json = options->json};
	struct image_info info;
	struct source source;
	char text[INSPECT_SIZE_BYTES];
	uint64_t size;
	int ret = 0, fd = image_open(path, "file", true, &size, err);

	if (fd < 0)
		return fd;
	source = source_from_fd(&fd, size);
	image_probe(&source, &info);
	if (options->config) {
		ret = print_config(&source, &info, path, file, err);
	} else {
		inspect_begin(&out);
		inspect_line(&out, "format", "%s", info.text);
		inspect_line(&out, "size", "%s", inspect_size(size, text));
		inspect_number(&out, "bytes", size);
		inspect_kind(&out, &source, &info, path);
		inspect_end(&out);
	}
	close(fd);
	return ret;
}
