/*
 * A machine that answers "stat" with any bytes: they become printable JSON and a printable picture.
 * A byte 0xff parts the answer from the one before it.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/util.h"
#include "vmm/tools/stat_text.h"
#include "vmm/tools/top_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		ASSERT(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
}

static char *copy(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	ASSERT(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *parting = size ? memchr(data, 0xff, size) : NULL;
	size_t before_size = parting ? (size_t)(parting - data) : 0;
	struct top_machine machine = {.name = "web", .asked_ns = 1000000000};
	char *out_text = NULL;
	size_t out_size;
	FILE *out = open_memstream(&out_text, &out_size);

	ASSERT(out);
	if (parting) {
		machine.before = copy(data, before_size);
		before_size++;
	}
	machine.text = copy(data + before_size, size - before_size);
	stat_text_json(machine.text, out);
	top_view_machine(&machine, out);
	fclose(out);
	check_text(out_text, out_size);
	free(out_text);
	free(machine.text);
	free(machine.before);
	return 0;
}
