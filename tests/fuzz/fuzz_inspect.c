/*
 * vmm inspect with a file of any bytes: it says something printable, as JSON a sound object, or
 * refuses in a sentence.
 *
 * The first byte of the input chooses the form, the rest is the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "firmware/inspect.h"

enum {
	WAY_JSON = 1,
	WAY_CONFIG = 2,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1;
static char path[64];

static void check_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ASSERT((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n');
}

/* Brackets in pairs, texts with an end: what a missing comma or quote would break. */
static void check_json(const char *text, size_t len)
{
	char open[16];
	size_t depth = 0;
	bool is_text = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (is_text && c == '\\')
			i++;
		else if (c == '"')
			is_text = !is_text;
		else if (!is_text && (c == '{' || c == '[')) {
			ASSERT(depth < sizeof(open));
			open[depth++] = (char)(c + 2);
		} else if (!is_text && (c == '}' || c == ']')) {
			ASSERT(depth && open[--depth] == c);
			ASSERT(text[i - 1] != ',');
		} else if (!is_text && depth) {
			ASSERT(c != ',' || text[i - 1] != ',');
		}
	}
	ASSERT(!is_text && !depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inspect_options options;
	struct err err = ERR_INIT;
	char *text = NULL;
	size_t len;
	FILE *out;
	int ret;

	if (file < 0) {
		file = memfd_create("file", MFD_CLOEXEC);
		ASSERT(file >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	if (size < 1 || ftruncate(file, 0) < 0 ||
		pwrite(file, data + 1, size - 1, 0) != (ssize_t)(size - 1))
		return 0;
	options = (struct inspect_options){
		.json = data[0] & WAY_JSON, .config = (data[0] & WAY_CONFIG) != 0};
	out = open_memstream(&text, &len);
	ASSERT(out);
	ret = inspect_file(path, &options, out, &err);
	fclose(out);
	check_text(text, len);
	if (ret < 0) {
		ASSERT(err.kind == EXIT_CODE_IMAGE);
		check_text(err.text, strlen(err.text));
	} else if (options.json && !options.config) {
		check_json(text, len);
	}
	free(text);
	return 0;
}
