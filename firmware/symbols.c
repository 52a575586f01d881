/*
 * See symbols.h.
 */
#include "firmware/symbols.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_BYTES = 64 * 1024,
	SYMBOLS_MAX = 4 * 1024 * 1024,
	MAP_LINE_MAX = 512,
};

#define MAP_BYTES_MAX (256 * MIB)
#define DISTANCE_MAX  MIB

/* ---- The nearest ---- */

static bool is_better(uint64_t address, uint64_t candidate, bool found, uint64_t best)
{
	return candidate <= address && address - candidate < DISTANCE_MAX &&
		(!found || candidate > best);
}

static bool is_end(char c)
{
	return !c || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The first word of `text`; false, and nothing changed, when there is none. */
static bool take_name(struct symbol *symbol, const char *text, size_t len)
{
	size_t used = 0;

	if (!len || is_end(text[0]))
		return false;
	while (used < len && used < sizeof(symbol->name) - 1 && !is_end(text[used])) {
		symbol->name[used] = text[used] > 0x20 && text[used] < 0x7f ? text[used] : '?';
		used++;
	}
	symbol->name[used] = '\0';
	return true;
}

/* ---- ELF. Both classes are read into the form of the wider one. ---- */

struct elf_file {
	const struct source *source;
	bool is_64bit;
	uint64_t sections; /* offset of their headers */
	unsigned section_count;
};

static bool open_elf(const struct source *source, struct elf_file *file)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} header;

	if (!source_read(source, 0, header.ident, sizeof(header.ident)) ||
		memcmp(header.ident, ELFMAG, SELFMAG) != 0 || header.ident[EI_DATA] != ELFDATA2LSB)
		return false;
	*file = (struct elf_file){
		.source = source, .is_64bit = header.ident[EI_CLASS] == ELFCLASS64};
	if (!source_read(source, 0, &header,
		    file->is_64bit ? sizeof(header.wide) : sizeof(header.narrow)))
		return false;
	file->sections = file->is_64bit ? header.wide.e_shoff : header.narrow.e_shoff;
	file->section_count = file->is_64bit ? header.wide.e_shnum : header.narrow.e_shnum;
	return (file->is_64bit ? header.wide.e_shentsize == sizeof(Elf64_Shdr)
			       : header.narrow.e_shentsize == sizeof(Elf32_Shdr)) &&
		file->sections < source->size;
}

static bool read_section(const struct elf_file *file, uint64_t index, Elf64_Shdr *section)
{
	Elf32_Shdr narrow;

	if (index >= file->section_count)
		return false;
	if (file->is_64bit)
		return source_read(file->source, file->sections + index * sizeof(*section), section,
			sizeof(*section));
	if (!source_read(
		    file->source, file->sections + index * sizeof(narrow), &narrow, sizeof(narrow)))
		return false;
	*section = (Elf64_Shdr){.sh_type = narrow.sh_type,
		.sh_offset = narrow.sh_offset,
		.sh_size = narrow.sh_size,
		.sh_link = narrow.sh_link};
	return true;
}

static Elf64_Sym widen(const struct elf_file *file, const uint8_t *bytes)
{
	Elf64_Sym wide;
	Elf32_Sym narrow;

	if (file->is_64bit) {
		memcpy(&wide, bytes, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, bytes, sizeof(narrow));
	return (Elf64_Sym){.st_name = narrow.st_name,
		.st_info = narrow.st_info,
		.st_shndx = narrow.st_shndx,
		.st_value = narrow.st_value,
		.st_size = narrow.st_size};
}

static bool is_code(const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_NOTYPE) && sym->st_shndx != SHN_UNDEF &&
		sym->st_shndx != SHN_ABS && sym->st_name;
}

static bool read_name(
	const struct elf_file *file, const Elf64_Shdr *names, uint32_t at, struct symbol *symbol)
{
	char text[SYMBOL_NAME_MAX];
	uint64_t offset, len;

	if (at >= names->sh_size || util_add_overflows(names->sh_offset, at, &offset))
		return false;
	len = source_read_some(file->source, offset, text, MIN(sizeof(text), names->sh_size - at));
	return take_name(symbol, text, len);
}

static bool find_in_table(const struct elf_file *file, const Elf64_Shdr *table,
	const Elf64_Shdr *names, uint64_t address, struct symbol *symbol)
{
	const size_t size = file->is_64bit ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	const size_t per_chunk = CHUNK_BYTES / size;
	uint64_t count = MIN(table->sh_size / size, (uint64_t)SYMBOLS_MAX), done = 0;
	uint8_t *chunk = malloc(CHUNK_BYTES);
	uint32_t name = 0;
	bool found = false;

	while (chunk && done < count) {
		uint64_t now = MIN(count - done, per_chunk), offset;

		if (util_add_overflows(table->sh_offset, done * size, &offset) ||
			!source_read(file->source, offset, chunk, now * size))
			break;
		for (uint64_t i = 0; i < now; i++) {
			Elf64_Sym sym = widen(file, chunk + i * size);

			if (!is_code(&sym) ||
				!is_better(address, sym.st_value, found, symbol->address))
				continue;
			found = true;
			name = sym.st_name;
			symbol->address = sym.st_value;
		}
		done += now;
	}
	free(chunk);
	return found && read_name(file, names, name, symbol);
}

static bool find_in_elf(const struct elf_file *file, uint64_t address, struct symbol *symbol)
{
	Elf64_Shdr table, names;

	for (unsigned i = 0; i < file->section_count; i++)
		if (read_section(file, i, &table) && table.sh_type == SHT_SYMTAB &&
			read_section(file, table.sh_link, &names) && names.sh_type == SHT_STRTAB)
			return find_in_table(file, &table, &names, address, symbol);
	return false;
}

/* ---- System.map: "ffffffff81000000 T _stext" ---- */

struct map_line {
	char text[MAP_LINE_MAX];
	size_t len; /* what is longer is cut */
};

static void read_line(struct map_line *line, uint64_t address, bool *found, struct symbol *symbol)
{
	char *end;
	uint64_t value;

	line->text[line->len] = '\0';
	value = strtoull(line->text, &end, 16);
	if (end - line->text < 8 || end[0] != ' ' || !end[1] || end[2] != ' ' ||
		!strchr("tTwW", end[1]) || !is_better(address, value, *found, symbol->address))
		return;
	if (!take_name(symbol, end + 3, strlen(end + 3)))
		return;
	*found = true;
	symbol->address = value;
}

static bool find_in_map(const struct source *source, uint64_t address, struct symbol *symbol)
{
	uint64_t size = MIN(source->size, (uint64_t)MAP_BYTES_MAX), done = 0, got;
	char *chunk = malloc(CHUNK_BYTES);
	struct map_line line = {.len = 0};
	bool found = false;

	while (chunk && done < size) {
		got = source_read_some(
			source, done, chunk, MIN(size - done, (uint64_t)CHUNK_BYTES));
		if (!got)
			break;
		for (uint64_t i = 0; i < got; i++) {
			if (chunk[i] == '\n') {
				read_line(&line, address, &found, symbol);
				line.len = 0;
			} else if (line.len < sizeof(line.text) - 1) {
				line.text[line.len++] = chunk[i];
			}
		}
		done += got;
	}
	free(chunk);
	return found;
}

bool symbols_find(const struct source *source, uint64_t address, struct symbol *symbol)
{
	struct elf_file file;
	char first[17] = "";

	*symbol = (struct symbol){.address = 0};
	if (open_elf(source, &file))
		return find_in_elf(&file, address, symbol);
	/* A System.map begins with a number; no other file of this size is worth reading. */
	source_read_some(source, 0, first, sizeof(first) - 1);
	if (strspn(first, "0123456789abcdefABCDEF") < 8)
		return false;
	return find_in_map(source, address, symbol);
}
