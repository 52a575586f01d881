/*
 * The name of an address in a kernel: read from an ELF file with a symbol table (vmlinux) or from
 * a System.map. Nothing is kept: each question reads the file once, so ask seldom.
 *
 * No state; any thread. Sources: the System V ABI (symbol table); nm(1), whose output System.map is.
 *
 * What the file can say            limit                        enforced in        test
 * tables outside of the file       not read                     source_read        elf_cut_anywhere
 * any number of symbols            SYMBOLS_MAX, the rest unread find_in_table      -
 * names without an end, not text   SYMBOL_NAME_MAX, '?'         take_name          elf_names_are_text
 * a map with endless lines         cut                          find_in_map        map_long_lines
 * a map of any length              MAP_BYTES_MAX                find_in_map        -
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "firmware/source.h"

enum {
	SYMBOL_NAME_MAX = 80,
};

struct symbol {
	char name[SYMBOL_NAME_MAX]; /* printable ASCII without spaces */
	uint64_t address;	    /* of its beginning */
};

/*
 * The function that `address` most likely lies in: the last one that begins before it, less than
 * 1 MiB away. False: the file knows none, or is neither of the two kinds.
 */
bool symbols_find(const struct source *source, uint64_t address, struct symbol *symbol);
