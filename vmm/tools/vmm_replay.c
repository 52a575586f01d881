/*
 * vmm replay FILE: see replay.h. Exit status 0: all that is compared is the same.
 *
 * One thread.
 */
#include <errno.h>
#include <stdio.h>

#include "vmm/base/log.h"
#include "vmm/base/opts.h"
#include "vmm/tools/replay.h"
#include "vmm/tools/tool.h"
#include "vmm/tools/trace_file.h"

struct words {
	const char *file;
	unsigned differences;
};

enum {
	DIFFERENCES_DEFAULT = 10,
	DIFFERENCES_MAX = 1000000,
};

static const struct opt options[] = {
	{.name = "differences",
		.type = OPT_NUMBER,
		.offset = offsetof(struct words, differences),
		.max = DIFFERENCES_MAX},
	OPT_END,
};

static int run(int argc, char *const *argv, struct replay_result *result, struct err *err)
{
	static struct trace_file file;
	struct words words = {.differences = DIFFERENCES_DEFAULT};
	int ret = tool_parse(options, "replay", argc, argv, &words, &words.file, err);

	if (ret < 0)
		return ret;
	ret = trace_file_load(&file, words.file, err);
	if (ret < 0)
		return ret;
	ret = replay_run(&file,
		&(struct replay_options){.differences_shown = words.differences, .out = stdout},
		result, err);
	trace_file_free(&file);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct replay_result result = {0};
	int ret = run(MAX(argc - 1, 0), argv + MIN(argc, 1), &result, &err);

	if (ret < 0)
		return tool_finish((int)err.kind, &err);
	printf("%zu records replayed, %zu answers compared, %zu different\n", result.replayed,
		result.compared, result.different);
	return tool_finish(result.different ? EXIT_CODE_INTERNAL : EXIT_CODE_OK, &err);
}
