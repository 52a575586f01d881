/*
 * See inspect_out.h.
 */
#include "firmware/inspect_out.h"

#include <stdarg.h>
#include <stdlib.h>

#include "vmm/base/json.h"

enum {
	KEY_WIDTH = 18,
};

/* ---- JSON ---- */

static void put_key(struct inspect_out *out, const char *key)
{
	if (out->needs_comma)
		putc(',', out->file);
	out->needs_comma = true;
	if (!key)
		return;
	putc('"', out->file);
	for (; *key; key++)
		putc(*key == ' ' ? '_' : *key, out->file);
	fputs("\":", out->file);
}

void inspect_text(struct inspect_out *out, const char *key, const char *text)
{
	if (!out->json)
		return;
	put_key(out, key);
	json_put_text(text, out->file);
}

void inspect_number(struct inspect_out *out, const char *key, uint64_t value)
{
	if (!out->json)
		return;
	put_key(out, key);
	fprintf(out->file, "%llu", (unsigned long long)value);
}

void inspect_flag(struct inspect_out *out, const char *key, bool value)
{
	if (!out->json)
		return;
	put_key(out, key);
	fputs(value ? "true" : "false", out->file);
}

void inspect_open(struct inspect_out *out, const char *key, char bracket)
{
	if (!out->json)
		return;
	put_key(out, key);
	putc(bracket, out->file);
	out->needs_comma = false;
}

void inspect_close(struct inspect_out *out, char bracket)
{
	if (!out->json)
		return;
	putc(bracket, out->file);
	out->needs_comma = true;
}

void inspect_begin(struct inspect_out *out)
{
	inspect_open(out, NULL, '{');
}

void inspect_end(struct inspect_out *out)
{
	inspect_close(out, '}');
	if (out->json)
		putc('\n', out->file);
}

/* ---- Lines ---- */

void inspect_line(struct inspect_out *out, const char *key, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	if (out->json)
		inspect_text(out, key, text);
	else
		fprintf(out->file, "%s:%*s%s\n", key,
			(int)(KEY_WIDTH - 1 - MIN(strlen(key), (size_t)KEY_WIDTH - 2)), "", text);
	free(text);
}

void inspect_detail(struct inspect_out *out, const char *format, ...)
{
	va_list args;

	if (out->json)
		return;
	fputs("    ", out->file);
	va_start(args, format);
	vfprintf(out->file, format, args);
	va_end(args);
	putc('\n', out->file);
}

const char *inspect_size(uint64_t bytes, char buf[INSPECT_SIZE_BYTES])
{
	util_format_size(bytes, buf, INSPECT_SIZE_BYTES);
	return buf;
}

void inspect_printable(char *to, size_t size, const void *from, size_t len)
{
	const char *c = from;
	size_t used = 0;

	while (used < MIN(len, size - 1) && c[used]) {
		to[used] = (char)(c[used] >= ' ' && c[used] <= '~' ? c[used] : '?');
		used++;
	}
	to[used] = '\0';
}
