/*
 * vmm stat NAME: the counters of a running machine, once.
 */
#include <stddef.h>
#include <stdlib.h>

#include "vmm/control_client.h"
#include "vmm/running.h"
#include "vmm/tools/stat_text.h"
#include "vmm/tools/tool.h"

struct stat_options {
	bool json;
};

static const struct opt options[] = {
	{.name = "json", .type = OPT_FLAG, .offset = offsetof(struct stat_options, json)},
	OPT_END,
};

static void print_lines(const char *text)
{
	for (; *text; text++)
		putchar(*text == '\n' || (*text >= 0x20 && *text < 0x7f) ? *text : '?');
}

int main(int argc, char **argv)
{
	struct stat_options words = {.json = false};
	struct running_words names;
	struct err err = ERR_INIT;
	char *text = NULL;
	int ret = running_parse("stat", options, MAX(argc - 1, 0), argv + MIN(argc, 1), &words,
		&names, 1, 1, "a NAME", &err);

	if (ret == 0)
		ret = stat_ask(NULL, names.at[0], CONTROL_PATIENCE_MS, &text, &err);
	if (ret == 0 && words.json)
		stat_text_json(text, stdout);
	else if (ret == 0)
		print_lines(text);
	free(text);
	return tool_finish(ret < 0 ? (int)err.kind : EXIT_CODE_OK, &err);
}
