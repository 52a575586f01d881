/*
 * An initrd: one cpio archive or several, one behind the other, each packed or not; Linux unpacks
 * them in order (an archive with the processor's microcode stands first and is not packed). See
 * inspect_impl.h.
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 *
 * What the file can say              limit                     enforced in      test
 * an archive that unpacks for ever   INSPECT_UNPACK_MAX        show_packed()    inspect_bombs
 * very many archives                 ARCHIVES_MAX              inspect_initrd() inspect_archives_in_a_row
 * names of any length and content    NAME_BYTES, printable     read_name()      inspect_archives_of_any_kind
 * sizes that leave the file          the walk ends there       feed()           inspect_archives_of_any_kind
 * numbers that are no hex            the walk ends there       read_header()    inspect_archives_of_any_kind
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "firmware/inspect_impl.h"

enum {
	HEADER_BYTES = 110,
	NAME_BYTES = 80, /* shown of a name */
	NAMES_SHOWN = 10,
	ARCHIVES_MAX = 16,
	PIECE_BYTES = 64 * 1024,
	PEEK_BYTES = 8,
};

enum state {
	IN_HEADER,
	IN_NAME,
	IN_DATA,    /* or the zeros that fill up to 4 bytes */
	IN_TRAILER, /* behind the last file of an archive: zeros may follow */
	IN_RUIN,    /* it is no archive from here on */
};

struct archive {
	enum state state;
	uint8_t header[HEADER_BYTES];
	char name[NAME_BYTES];
	uint64_t at;   /* bytes of archives so far, for alignment */
	uint64_t have; /* of the header or name */
	uint64_t skip; /* bytes of data and filling to come */
	uint64_t name_bytes, file_bytes;
	uint64_t files, bytes; /* counted */
	unsigned shown;
	char names[NAMES_SHOWN][NAME_BYTES];
};

static bool read_hex(const uint8_t *text, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < 8; i++) {
		unsigned c = text[i], digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10;
		else
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

static uint64_t padding(uint64_t at)
{
	return -at & 3;
}

/* The field n of 8 digits: 6 is the file's size, 11 that of its name. */
static void read_header(struct archive *a)
{
	const uint8_t *h = a->header;

	if (memcmp(h, "07070", 5) || (h[5] != '1' && h[5] != '2') ||
		!read_hex(h + 6 + 6 * 8, &a->file_bytes) ||
		!read_hex(h + 6 + 11 * 8, &a->name_bytes) || !a->name_bytes) {
		a->state = IN_RUIN;
		return;
	}
	a->state = IN_NAME;
	a->have = 0;
}

static void end_name(struct archive *a)
{
	a->name[MIN(a->have, (uint64_t)NAME_BYTES - 1)] = '\0';
	a->have = 0;
	if (!strcmp(a->name, "TRAILER!!!")) {
		a->state = IN_TRAILER;
		return;
	}
	a->files++;
	a->bytes += a->file_bytes;
	if (a->shown < NAMES_SHOWN)
		inspect_printable(a->names[a->shown++], NAME_BYTES, a->name, NAME_BYTES);
	a->state = IN_DATA;
	a->skip = padding(a->at) + a->file_bytes;
	a->skip += padding(a->at + a->skip);
}

static void end_data(struct archive *a)
{
	a->state = IN_HEADER;
	a->have = 0;
}

/*
 * Takes bytes in order; returns how many. Fewer than there are: what follows belongs to no archive
 * of this kind.
 */
static uint64_t feed(struct archive *a, const uint8_t *data, uint64_t len)
{
	uint64_t done = 0;

	while (done < len && a->state != IN_RUIN) {
		uint64_t left = len - done, part;

		switch (a->state) {
		case IN_TRAILER:
			part = 1;
			if (data[done] == '0' && !padding(a->at)) {
				end_data(a);
				part = 0;
			} else if (data[done]) {
				return done;
			}
			break;
		case IN_HEADER:
			part = MIN(left, HEADER_BYTES - a->have);
			memcpy(a->header + a->have, data + done, part);
			a->have += part;
			break;
		case IN_NAME:
			part = MIN(left, a->name_bytes - a->have);
			if (a->have < NAME_BYTES)
				memcpy(a->name + a->have, data + done,
					MIN(part, NAME_BYTES - a->have));
			a->have += part;
			break;
		default:
			part = MIN(left, a->skip);
			a->skip -= part;
			break;
		}
		done += part;
		a->at += part;
		if (a->state == IN_HEADER && a->have == HEADER_BYTES)
			read_header(a);
		else if (a->state == IN_NAME && a->have == a->name_bytes)
			end_name(a);
		else if (a->state == IN_DATA && !a->skip)
			end_data(a);
	}
	return done;
}

static int put(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	(void)offset;
	return feed(opaque, data, len) < len ? -EILSEQ : 0;
}

/* ---- One after the other ---- */

static void show_archive(struct inspect_out *out, const struct archive *a,
	enum unpack_format format, uint64_t offset)
{
	char size[INSPECT_SIZE_BYTES];
	const char *names[NAMES_SHOWN];

	if (!out->json)
		inspect_line(out, "archive", "at %llu, %s: %llu files, %s%s",
			(unsigned long long)offset, unpack_name(format),
			(unsigned long long)a->files, inspect_size(a->bytes, size),
			a->state == IN_TRAILER ? "" : ", cut or damaged");
	inspect_open(out, NULL, '{');
	inspect_number(out, "offset", offset);
	inspect_text(out, "packing", unpack_name(format));
	inspect_number(out, "files", a->files);
	inspect_number(out, "bytes", a->bytes);
	inspect_flag(out, "whole", a->state == IN_TRAILER);
	inspect_open(out, "names", '[');
	for (unsigned i = 0; i < a->shown; i++) {
		names[i] = a->names[i];
		inspect_detail(out, "%s", names[i]);
		inspect_text(out, NULL, names[i]);
	}
	inspect_close(out, ']');
	inspect_close(out, '}');
	if (a->files > a->shown)
		inspect_detail(out, "and %llu more", (unsigned long long)(a->files - a->shown));
}

/* Returns the offset behind it. */
static uint64_t walk_plain(struct archive *a, const struct source *source, uint64_t offset)
{
	uint8_t *buf = malloc(PIECE_BYTES);
	uint64_t end = MIN(source->size, offset + INSPECT_UNPACK_MAX);

	while (buf && offset < end) {
		uint64_t got, used;

		/* Contents are not read. */
		if (a->state == IN_DATA) {
			used = MIN(a->skip, end - offset);
			a->skip -= used;
			a->at += used;
			offset += used;
			if (!a->skip)
				end_data(a);
			continue;
		}
		got = source_read_some(source, offset, buf, PIECE_BYTES);
		used = feed(a, buf, got);
		offset += used;
		if (!got || used < got)
			break;
	}
	free(buf);
	return offset;
}

static void show_packed(struct inspect_out *out, const struct source *source,
	enum unpack_format format, uint64_t offset)
{
	struct archive *a = calloc(1, sizeof(*a));
	const struct unpack_sink sink = {.put = put, .opaque = a, .limit = INSPECT_UNPACK_MAX};
	uint64_t unpacked;

	if (!a)
		return;
	if (unpack_load(format, NULL)) {
		unpack_stream(format, source, offset, source->size - offset, &sink, &unpacked);
		show_archive(out, a, format, offset);
	} else {
		inspect_line(out, out->json ? NULL : "archive",
			"at %llu, packed by %s, which is not unpacked here",
			(unsigned long long)offset, unpack_name(format));
	}
	free(a);
}

static uint64_t show_plain(struct inspect_out *out, const struct source *source, uint64_t offset)
{
	struct archive *a = calloc(1, sizeof(*a));
	uint64_t end = source->size;

	if (!a)
		return end;
	end = walk_plain(a, source, offset);
	if (a->files || a->state == IN_TRAILER)
		show_archive(out, a, UNPACK_NONE, offset);
	free(a);
	return end > offset ? end : source->size;
}

void inspect_initrd(struct inspect_out *out, const struct source *source)
{
	uint64_t offset = 0;
	uint8_t head[PEEK_BYTES];

	inspect_open(out, "archives", '[');
	for (unsigned i = 0; i < ARCHIVES_MAX && offset < source->size; i++) {
		enum unpack_format format;

		source_read_some(source, offset, head, sizeof(head));
		format = unpack_recognise(head, sizeof(head));
		if (format == UNPACK_NONE) {
			offset = show_plain(out, source, offset);
		} else {
			/* Where packed data ends is not known: it is the last. */
			show_packed(out, source, format, offset);
			break;
		}
	}
	inspect_close(out, ']');
}
