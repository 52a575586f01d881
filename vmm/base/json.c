/*
 * See json.h. RFC 8259, 7 (strings); RFC 3629, 4 (which bytes are UTF-8).
 */
#include "vmm/base/json.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_between(unsigned char byte, unsigned low, unsigned high)
{
	return byte >= low && byte <= high;
}

/* How many bytes the character there has, 0 when they are none. */
static size_t character_bytes(const unsigned char *text)
{
	unsigned char first = *text;
	/* Neither longer than need be, nor half of a pair, nor beyond Unicode. */
	unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	size_t count = first < 0x80		? 1
		: is_between(first, 0xc2, 0xdf) ? 2
		: is_between(first, 0xe0, 0xef) ? 3
		: is_between(first, 0xf0, 0xf4) ? 4
						: 0;

	if (count > 1 && !is_between(text[1], low, high))
		return 0;
	for (size_t i = 2; i < count; i++)
		if (!is_between(text[i], 0x80, 0xbf))
			return 0;
	return count;
}

void json_put_piece(const char *text, FILE *out)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t count = character_bytes(at);

		if (!count)
			putc('?', out);
		else if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f || *at == '<')
			fprintf(out, "\\u%04x", *at);
		else if (*at == 0xc2 && at[1] < 0xa0) /* control characters as well */
			fprintf(out, "\\u%04x", at[1]);
		else
			fwrite(at, 1, count, out);
		at += count ? count : 1;
	}
}

void json_put_text(const char *text, FILE *out)
{
	putc('"', out);
	json_put_piece(text, out);
	putc('"', out);
}
