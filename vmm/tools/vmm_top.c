/*
 * vmm top [NAME...]: what running machines do, again and again. The pictures are top_view.c's, the
 * terminal is top_screen.c's.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/util.h"
#include "vmm/tools/stat_text.h"
#include "vmm/tools/tool.h"
#include "vmm/tools/top_screen.h"
#include "vmm/tools/top_view.h"

enum {
	MACHINES_MAX = 64,
	PATIENCE_MS = 1000,
	DELAY_MAX_MS = 3600 * 1000,
};

struct words {
	unsigned delay_ms, count;
	unsigned name_count;
	const char *names[MACHINES_MAX];
};

static const struct opt options[] = {
	{.name = "delay",
		.letter = 'd',
		.type = OPT_SECONDS,
		.offset = offsetof(struct words, delay_ms),
		.min = 100,
		.max = DELAY_MAX_MS,
		.value = "SECONDS"},
	{.name = "count",
		.letter = 'n',
		.type = OPT_NUMBER,
		.offset = offsetof(struct words, count),
		.min = 1,
		.max = 1000000000,
		.value = "COUNT"},
	OPT_END,
};

static int parse(int argc, char *const *argv, struct words *words, struct err *err)
{
	while (argc > 0) {
		int used, ret = opts_parse_words(options, argc, argv, words, &used, err);

		if (ret < 0)
			return ret;
		argc -= used;
		argv += used;
		if (argc <= 0)
			break;
		if (words->name_count == MACHINES_MAX)
			return err_set(err, EXIT_CODE_USAGE, E2BIG, "top shows %d machines at most",
				MACHINES_MAX);
		words->names[words->name_count++] = argv[0];
		argc--;
		argv++;
	}
	return 0;
}

/* ---- Machines ---- */

struct top {
	struct top_machine machines[MACHINES_MAX];
	unsigned count;
};

static void forget(struct top_machine *machine)
{
	free(machine->text);
	free(machine->before);
	*machine = (struct top_machine){.text = NULL};
}

/* The machine of that name as it was in the picture before, or an empty one. */
static struct top_machine take(struct top *top, const char *name)
{
	struct top_machine found = {.text = NULL};

	for (unsigned i = 0; i < top->count; i++) {
		if (strcmp(top->machines[i].name, name) != 0)
			continue;
		found = top->machines[i];
		top->machines[i] = (struct top_machine){.text = NULL};
		break;
	}
	snprintf(found.name, sizeof(found.name), "%s", name);
	return found;
}

static bool is_another(const char *before, const char *now)
{
	return stat_text_number(before, "", "pid") != stat_text_number(now, "", "pid");
}

/* False when it has ended. */
static bool ask(struct top_machine *machine, const struct runtime_dir *dir)
{
	struct err silence = ERR_INIT;
	char *text;
	int ret = stat_ask(dir, machine->name, PATIENCE_MS, &text, &silence);

	free(machine->before);
	machine->before = machine->text;
	machine->before_ns = machine->asked_ns;
	machine->text = text;
	machine->asked_ns = util_now_ns();
	if (machine->before && text && is_another(machine->before, text)) {
		free(machine->before);
		machine->before = NULL;
	}
	return ret != -ENOENT && ret != -ECONNREFUSED && ret != -EPIPE;
}

/* All that run, of those that are wanted. */
static void ask_all(struct top *top, const struct words *words)
{
	struct runtime_dir dir = {.fd = -1};
	static struct top next;
	char **names = NULL;
	size_t count = 0;

	next.count = 0;
	if (runtime_dir_open(&dir, false, NULL) == 0)
		names = runtime_dir_list(&dir, &count);
	for (size_t i = 0; names && i < count && next.count < MACHINES_MAX; i++) {
		bool is_wanted = !words->name_count;

		for (unsigned k = 0; k < words->name_count; k++)
			is_wanted |= !strcmp(words->names[k], names[i]);
		if (!is_wanted)
			continue;
		next.machines[next.count] = take(top, names[i]);
		if (ask(&next.machines[next.count], &dir))
			next.count++;
		else
			forget(&next.machines[next.count]);
	}
	for (unsigned i = 0; i < top->count; i++)
		forget(&top->machines[i]);
	*top = next;
	free(names);
	runtime_dir_close(&dir);
}

/* ---- Pictures ---- */

static char *draw(const struct top *top, const struct words *words)
{
	time_t now = time(NULL);
	char *text = NULL, clock[16];
	struct tm tm;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	fprintf(out, "vmm top  %s  %u machine%s  each second, over %g s\n", clock, top->count,
		top->count == 1 ? "" : "s", (double)words->delay_ms / 1000);
	for (unsigned i = 0; i < top->count; i++) {
		fputc('\n', out);
		top_view_machine(&top->machines[i], out);
	}
	return fclose(out) == 0 ? text : NULL;
}

/* Ends with the status to give, or the signal that ended it, as -signal. */
static int watch(struct top *top, const struct words *words)
{
	int signal = 0;

	for (unsigned shown = 0;;) {
		char *picture;

		ask_all(top, words);
		/* Those that were named have all ended. */
		if (words->name_count && !top->count)
			return EXIT_CODE_OK;
		picture = draw(top, words);
		if (!picture)
			return EXIT_CODE_INTERNAL;
		top_screen_show(picture);
		free(picture);
		if (ferror(stdout) || (words->count && ++shown >= words->count))
			return EXIT_CODE_OK;
		switch (top_screen_wait(words->delay_ms, &signal)) {
		case TOP_WISH_NEXT:
			break;
		case TOP_WISH_QUIT:
			return EXIT_CODE_OK;
		case TOP_WISH_SIGNAL:
			return -signal;
		}
	}
}

/* A name that is wrong from the beginning is told of. */
static int check_names(const struct words *words, struct err *err)
{
	for (unsigned i = 0; i < words->name_count; i++) {
		char *text;
		int ret = stat_ask(NULL, words->names[i], PATIENCE_MS, &text, err);

		free(text);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct words words = {.delay_ms = 1000};
	static struct top top;
	struct err err = ERR_INIT;
	int ret = parse(MAX(argc - 1, 0), argv + MIN(argc, 1), &words, &err), status;

	if (ret == 0)
		ret = check_names(&words, &err);
	if (ret < 0)
		return tool_finish((int)err.kind, &err);
	top_screen_open();
	status = watch(&top, &words);
	top_screen_close();
	for (unsigned i = 0; i < top.count; i++)
		forget(&top.machines[i]);
	if (status < 0) {
		signal(-status, SIG_DFL);
		raise(-status);
	}
	return tool_finish(status, &err);
}
