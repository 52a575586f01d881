/*
 * vmm inspect FILE: what a kernel, an initrd, a disk image or a device tree is. All of it is in
 * firmware/inspect.c.
 */
#include "firmware/inspect.h"

#include <stddef.h>

#include "vmm/tools/tool.h"

static const struct opt options[] = {
	{.name = "json", .type = OPT_FLAG, .offset = offsetof(struct inspect_options, json)},
	{.name = "config", .type = OPT_FLAG, .offset = offsetof(struct inspect_options, config)},
	OPT_END,
};

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct inspect_options words = {0};
	const char *file;
	int ret = tool_parse(
		options, "inspect", MAX(argc - 1, 0), argv + MIN(argc, 1), &words, &file, &err);

	if (ret == 0)
		ret = inspect_file(file, &words, stdout, &err);
	return tool_finish(ret < 0 ? (int)err.kind : EXIT_CODE_OK, &err);
}
