/*
 * Every field of the setup header of a bzImage, and struct kernel_info. See inspect_impl.h.
 * Source: Linux Documentation/arch/x86/boot.rst, "Details of Header Fields", "The kernel_info".
 *
 * What the file can say: any value in any field; it is shown as a number, and what it means as far
 * as that is known. kernel_info is read only where the file has bytes (inspect_kernel_info_anywhere).
 */
#include <stdio.h>

#include "firmware/inspect_impl.h"
#include "firmware/setup_fields.h"

enum {
	TEXT_BYTES = 256,
	KERNEL_INFO_BYTES = 16,
};

#define KERNEL_INFO_MAGIC 0x506f544cu /* "LToP" */

struct bit {
	unsigned mask;
	const char *text;
};

static const struct bit load_flags[] = {
	{LOADED_HIGH, "LOADED_HIGH"},
	{KASLR_FLAG, "KASLR_FLAG"},
	{QUIET_FLAG, "QUIET_FLAG"},
	{KEEP_SEGMENTS, "KEEP_SEGMENTS"},
	{CAN_USE_HEAP, "CAN_USE_HEAP"},
	{0, NULL},
};

static const struct bit x_load_flags[] = {
	{XLF_KERNEL_64, "64-bit entry"},
	{XLF_CAN_BE_LOADED_ABOVE_4G, "may lie above 4 GiB"},
	{XLF_EFI_HANDOVER_32, "EFI handover 32-bit"},
	{XLF_EFI_HANDOVER_64, "EFI handover 64-bit"},
	{XLF_EFI_KEXEC, "kexec under EFI"},
	{XLF_5LEVEL, "5-level paging"},
	{XLF_5LEVEL_ENABLED, "5-level paging by default"},
	{0, NULL},
};

static void name_bits(const struct bit *bits, uint64_t value, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "none");
	for (; bits->text; bits++)
		if (value & bits->mask && used < size)
			used += (size_t)snprintf(
				text + used, size - used, "%s%s", used ? ", " : "", bits->text);
}

/* The value in words, or an empty text. */
static void decode(const struct setup_field *field, uint64_t value, char *text, size_t size)
{
	static const struct {
		const char *name;
		unsigned unit; /* bytes that one of it stands for */
	} sizes[] = {{"setup_sects", 512}, {"syssize", 16}, {"kernel_alignment", 1},
		{"payload_length", 1}, {"init_size", 1}};
	char bytes[INSPECT_SIZE_BYTES];

	*text = '\0';
	if (!strcmp(field->name, "loadflags"))
		name_bits(load_flags, value, text, size);
	else if (!strcmp(field->name, "xloadflags"))
		name_bits(x_load_flags, value, text, size);
	else if (!strcmp(field->name, "version"))
		snprintf(text, size, "%u.%02u", (unsigned)value >> 8, (unsigned)value & 0xff);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (!strcmp(field->name, sizes[i].name))
			snprintf(text, size, "%s", inspect_size(value * sizes[i].unit, bytes));
}

static void show_field(struct inspect_out *out, const struct setup_field *field, uint64_t value)
{
	char text[TEXT_BYTES];

	decode(field, value, text, sizeof(text));
	inspect_detail(out, "0x%03x %-21s 0x%-10llx %s%s%s", field->offset, field->name,
		(unsigned long long)value, text, *text ? "; " : "", field->text);
	inspect_open(out, NULL, '{');
	inspect_number(out, "offset", field->offset);
	inspect_number(out, "bytes", field->size);
	inspect_text(out, "name", field->name);
	inspect_number(out, "value", value);
	inspect_text(out, "meaning", field->text);
	if (*text)
		inspect_text(out, "decoded", text);
	inspect_flag(out, "by_loader", field->by_loader);
	inspect_close(out, '}');
}

static void show_kernel_info(
	struct inspect_out *out, const struct source *source, const struct bzimage *image)
{
	uint8_t info[KERNEL_INFO_BYTES];

	if (image->header.version < 0x020f || !image->header.kernel_info_offset ||
		!source_read(source, image->code_offset + image->header.kernel_info_offset, info,
			sizeof(info)) ||
		load_le32(info) != KERNEL_INFO_MAGIC)
		return;
	inspect_line(out, "kernel info",
		"%u bytes, %u with its tables, setup_data types up to 0x%x", load_le32(info + 4),
		load_le32(info + 8), load_le32(info + 12));
}

void inspect_header(
	struct inspect_out *out, const struct source *source, const struct bzimage *image)
{
	char text[TEXT_BYTES];

	if (image->header.version >= 0x020c) {
		name_bits(x_load_flags, image->header.xloadflags, text, sizeof(text));
		inspect_line(out, "flags", "%s", text);
	}
	show_kernel_info(out, source, image);
	if (!out->json)
		fprintf(out->file,
			"header:           offset, field, value and meaning (Linux, "
			"Documentation/arch/x86/boot.rst)\n");
	inspect_open(out, "header", '[');
	for (const struct setup_field *field = setup_fields; *field->name; field++)
		if (field->since <= image->header.version)
			show_field(out, field, setup_field_value(&image->header, field));
	inspect_close(out, ']');
}
