/*
 * vmm trace FILE: what is in a file that --trace wrote, as tables, a list, for other programs and
 * as a page. The words are its own; the forms are in the trace_*.c beside it.
 *
 * One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/base/opts.h"
#include "vmm/tools/tool.h"
#include "vmm/tools/trace_file.h"
#include "vmm/tools/trace_html.h"
#include "vmm/tools/trace_perfetto.h"
#include "vmm/tools/trace_text.h"
#include "vmm/tools/trace_view.h"

struct words {
	const char *file;
	bool has_cpu;
	unsigned cpu;
	const char *device;
	unsigned from_ms, to_ms;
	bool raw;
	unsigned slowest;
	const char *perfetto, *html;
};

enum {
	SLOWEST_DEFAULT = 10,
	SLOWEST_MAX = 10000,
	SECONDS_MAX = 4000000,
};

static int parse_cpu(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct words *words = target;
	uint64_t cpu;
	int ret = opts_parse_number("--vcpu", text, 0, TRACE_SOURCE_HOST - 1, &cpu, err);

	(void)opt;
	words->has_cpu = true;
	words->cpu = (unsigned)cpu;
	return ret;
}

static const struct opt options[] = {
	{.name = "vcpu", .type = OPT_CUSTOM, .parse = parse_cpu},
	{.name = "device", .type = OPT_TEXT, .offset = offsetof(struct words, device)},
	{.name = "from",
		.type = OPT_SECONDS,
		.offset = offsetof(struct words, from_ms),
		.max = SECONDS_MAX * UINT64_C(1000)},
	{.name = "to",
		.type = OPT_SECONDS,
		.offset = offsetof(struct words, to_ms),
		.min = 1,
		.max = SECONDS_MAX * UINT64_C(1000)},
	{.name = "raw", .type = OPT_FLAG, .offset = offsetof(struct words, raw)},
	{.name = "slowest",
		.type = OPT_NUMBER,
		.offset = offsetof(struct words, slowest),
		.max = SLOWEST_MAX},
	{.name = "perfetto", .type = OPT_TEXT, .offset = offsetof(struct words, perfetto)},
	{.name = "html", .type = OPT_TEXT, .offset = offsetof(struct words, html)},
	OPT_END,
};

static int take_view(const struct trace_file *file, const struct words *words,
	struct trace_view *view, struct err *err)
{
	trace_view_init(view, file);
	view->from_ns = words->from_ms * UINT64_C(1000000);
	if (words->to_ms)
		view->to_ns = words->to_ms * UINT64_C(1000000);
	if (view->from_ns >= view->to_ns)
		return err_set(err, EXIT_CODE_USAGE, EINVAL, "--from is not before --to");
	if (words->has_cpu && words->cpu >= file->header.cpus)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--vcpu %u: the machine had %u processor%s, counted from 0", words->cpu,
			file->header.cpus, file->header.cpus == 1 ? "" : "s");
	if (words->has_cpu)
		view->cpu = (int)words->cpu;
	if (!words->device)
		return 0;
	view->device = (int)trace_file_find_device(file, words->device);
	if (view->device == TRACE_DEVICE_NONE) {
		err_set(err, EXIT_CODE_USAGE, EINVAL, "--device: the machine had no %.60s",
			words->device);
		err_hint(err, "the last column of vmm trace FILE has the names");
		return -EINVAL;
	}
	return 0;
}

static int write_perfetto(const struct trace_view *view, FILE *out)
{
	trace_perfetto_write(view, out);
	return 0;
}

/* Writes another form to a file; - is standard output. */
static int write_form(const char *path, int (*write)(const struct trace_view *view, FILE *out),
	const struct trace_view *view, struct err *err)
{
	FILE *out = strcmp(path, "-") != 0 ? fopen(path, "we") : stdout;
	bool has_failed;
	int ret;

	if (!out)
		return err_set(err, EXIT_CODE_DEVICE, errno, "can't write %.200s: %s", path,
			strerror(errno));
	ret = write(view, out);
	if (ret < 0)
		err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %.200s", path);
	if (out == stdout)
		return ret;
	has_failed = ferror(out);
	if ((fclose(out) || has_failed) && ret == 0)
		ret = err_set(err, EXIT_CODE_DEVICE, errno, "can't write %.200s: %s", path,
			strerror(errno));
	return ret;
}

static int show(const struct trace_view *view, const struct words *words, struct err *err)
{
	int ret = 0;

	if (words->perfetto)
		ret = write_form(words->perfetto, write_perfetto, view, err);
	if (words->html && ret == 0)
		ret = write_form(words->html, trace_html_write, view, err);
	if (words->perfetto || words->html)
		return ret;
	if (words->raw)
		trace_text_list(view, stdout);
	else if (trace_text_print(view, words->slowest, stdout) < 0)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory to count the events");
	return 0;
}

static int run(int argc, char *const *argv, struct err *err)
{
	static struct trace_file file;
	struct words words = {.slowest = SLOWEST_DEFAULT};
	struct trace_view view;
	int ret = tool_parse(options, "trace", argc, argv, &words, &words.file, err);

	if (ret < 0)
		return ret;
	ret = trace_file_load(&file, words.file, err);
	if (ret < 0)
		return ret;
	ret = take_view(&file, &words, &view, err);
	if (ret == 0)
		ret = show(&view, &words, err);
	trace_file_free(&file);
	return ret;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int ret = run(MAX(argc - 1, 0), argv + MIN(argc, 1), &err);

	return tool_finish(ret < 0 ? (int)err.kind : EXIT_CODE_OK, &err);
}
