/*
 * What vmm inspect prints: lines "key: value" for people, or one JSON object for programs. For
 * inspect*.c only. A key is made of letters and spaces; in JSON the spaces become '_'.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/base/util.h"

struct inspect_out {
	FILE *file;
	bool json;
	bool needs_comma; /* private: before the next member */
};

/* Around everything else. */
void inspect_begin(struct inspect_out *out);
void inspect_end(struct inspect_out *out);

/* In both forms. */
void inspect_line(struct inspect_out *out, const char *key, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* For people only: indented below the line before. */
void inspect_detail(struct inspect_out *out, const char *format, ...) PRINTF_LIKE(2, 3);

/* For programs only; without a key in a list. */
void inspect_text(struct inspect_out *out, const char *key, const char *text);
void inspect_number(struct inspect_out *out, const char *key, uint64_t value);
void inspect_flag(struct inspect_out *out, const char *key, bool value);
void inspect_open(struct inspect_out *out, const char *key, char bracket); /* '{' or '[' */
void inspect_close(struct inspect_out *out, char bracket);		   /* '}' or ']' */

/* "22.3 MiB" into `buf`, which it returns. */
#define INSPECT_SIZE_BYTES 24
const char *inspect_size(uint64_t bytes, char buf[INSPECT_SIZE_BYTES]);

/* Copies what is printable of a file's text, '?' for the rest; ends at NUL. */
void inspect_printable(char *to, size_t size, const void *from, size_t len);
