/*
 * vmm list: asks every running machine for its status and prints a table, names, or JSON.
 *
 * What a machine answers is not believed further than its form: control characters are shown as
 * '?', a machine that does not answer in time is listed as "silent".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/json.h"
#include "vmm/control_client.h"
#include "vmm/running.h"

enum {
	PATIENCE_MS = 1000,
	FIELD_MAX = 160,
};

struct machine_row {
	char name[RUNTIME_NAME_MAX + 1];
	int pid;
	char state[16];
	char guest[FIELD_MAX];
	unsigned long long cpus, memory_bytes, uptime_ms;
};

/* ---- Asking ---- */

static void copy_value(const char *text, const char *key, char *out, size_t size)
{
	size_t len = 0;
	const char *value = control_find_value(text, key, &len);

	snprintf(out, size, "%.*s", value ? (int)MIN(len, size - 1) : 0, value ? value : "");
	for (char *c = out; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

static unsigned long long find_number(const char *text, const char *key)
{
	size_t len;
	const char *value = control_find_value(text, key, &len);

	return value ? strtoull(value, NULL, 10) : 0;
}

/* False when the machine has ended meanwhile. */
static bool fill_row(struct machine_row *row, const struct runtime_dir *dir, const char *name,
	struct control_answer *answer)
{
	struct err silence = ERR_INIT;
	struct control_link link;
	int ret = control_open_in(&link, dir, name);

	*row = (struct machine_row){.pid = (int)link.pid};
	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->state, sizeof(row->state), "silent");
	if (ret == 0)
		ret = control_ask(&link, "status", PATIENCE_MS, answer, &silence);
	control_close(&link);
	if (ret == 0) {
		copy_value(answer->text, "state", row->state, sizeof(row->state));
		copy_value(answer->text, "guest", row->guest, sizeof(row->guest));
		row->cpus = find_number(answer->text, "cpus");
		row->memory_bytes = find_number(answer->text, "memory");
		row->uptime_ms = find_number(answer->text, "uptime_ms");
	}
	return ret != -ENOENT && ret != -ECONNREFUSED && ret != -EPIPE;
}

/* ---- Printing ---- */

enum {
	NAME,
	PID,
	STATE,
	CPUS,
	MEMORY,
	UPTIME,
	GUEST,
	COLUMNS
};

struct cells {
	char text[COLUMNS][FIELD_MAX];
};

static const bool is_number_column[COLUMNS] = {
	[PID] = true, [CPUS] = true, [MEMORY] = true, [UPTIME] = true};

static void format_uptime(unsigned long long ms, char *text, size_t size)
{
	unsigned long long s = ms / 1000;

	if (s >= 86400)
		snprintf(text, size, "%llud %02llu:%02llu:%02llu", s / 86400, s / 3600 % 24,
			s / 60 % 60, s % 60);
	else
		snprintf(text, size, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
}

static void make_cells(struct cells *cells, const struct machine_row *row)
{
	*cells = (struct cells){0};
	snprintf(cells->text[NAME], FIELD_MAX, "%s", row->name);
	snprintf(cells->text[PID], FIELD_MAX, "%d", row->pid);
	snprintf(cells->text[STATE], FIELD_MAX, "%s", row->state);
	snprintf(cells->text[GUEST], FIELD_MAX, "%s", *row->guest ? row->guest : "-");
	if (!row->cpus) {
		for (unsigned column = CPUS; column <= UPTIME; column++)
			snprintf(cells->text[column], FIELD_MAX, "-");
		return;
	}
	snprintf(cells->text[CPUS], FIELD_MAX, "%llu", row->cpus);
	opts_format_size(row->memory_bytes, cells->text[MEMORY], FIELD_MAX);
	format_uptime(row->uptime_ms, cells->text[UPTIME], FIELD_MAX);
}

static void print_line(const struct cells *cells, const int *width)
{
	for (unsigned i = 0; i < COLUMNS - 1; i++)
		printf("%*s  ", is_number_column[i] ? width[i] : -width[i], cells->text[i]);
	printf("%s\n", cells->text[COLUMNS - 1]);
}

static int print_table(const struct machine_row *rows, size_t count, struct err *err)
{
	static const struct cells head = {
		{"NAME", "PID", "STATE", "CPUS", "MEMORY", "UPTIME", "GUEST"}};
	struct cells *cells = calloc(count + 1, sizeof(*cells));
	int width[COLUMNS] = {0};

	if (!cells)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the list");
	cells[0] = head;
	for (size_t i = 0; i < count; i++)
		make_cells(&cells[i + 1], &rows[i]);
	for (size_t i = 0; i <= count; i++)
		for (unsigned k = 0; k < COLUMNS; k++)
			width[k] = MAX(width[k], (int)strlen(cells[i].text[k]));
	for (size_t i = 0; i <= count; i++)
		print_line(&cells[i], width);
	free(cells);
	return 0;
}

static void print_json_text(const char *key, const char *text)
{
	printf("\"%s\": ", key);
	json_put_text(text, stdout);
}

static void print_json(const struct machine_row *rows, size_t count)
{
	puts("[");
	for (size_t i = 0; i < count; i++) {
		fputs("  {", stdout);
		print_json_text("name", rows[i].name);
		printf(", \"pid\": %d, ", rows[i].pid);
		print_json_text("state", rows[i].state);
		if (rows[i].cpus) {
			printf(", \"cpus\": %llu, \"memory\": %llu, \"uptime_ms\": %llu, ",
				rows[i].cpus, rows[i].memory_bytes, rows[i].uptime_ms);
			print_json_text("guest", rows[i].guest);
		}
		puts(i + 1 < count ? "}," : "}");
	}
	puts("]");
}

/* ---- The verb ---- */

struct list_options {
	bool quiet, json;
};

static const struct opt list_options[] = {
	{.name = "quiet",
		.letter = 'q',
		.type = OPT_FLAG,
		.offset = offsetof(struct list_options, quiet),
		.help = "Names only."},
	{.name = "json",
		.type = OPT_FLAG,
		.offset = offsetof(struct list_options, json),
		.help = "For programs."},
	OPT_END,
};

static int print_rows(
	struct runtime_dir *dir, char *const *names, size_t name_count, bool json, struct err *err)
{
	struct machine_row *rows = calloc(name_count + 1, sizeof(*rows));
	struct control_answer *answer = malloc(sizeof(*answer));
	size_t count = 0;
	int ret = 0;

	for (size_t i = 0; rows && answer && i < name_count; i++)
		count += fill_row(&rows[count], dir, names[i], answer);
	if (!rows || !answer)
		ret = err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the list");
	else if (json)
		print_json(rows, count);
	else
		ret = print_table(rows, count, err);
	free(rows);
	free(answer);
	return ret;
}

int run_list(int argc, char *const *argv, struct err *err)
{
	struct list_options options = {.quiet = false};
	struct runtime_dir dir = {.fd = -1};
	struct running_words words;
	char **names = NULL;
	size_t count = 0;
	int ret = running_parse("list", list_options, argc, argv, &options, &words, 0, 0, "", err);

	if (ret == 0)
		ret = runtime_dir_open(&dir, false, err);
	if (ret < 0 && err_is_set(err))
		return (int)err->kind;
	/* Without a folder nothing has ever run. */
	if (ret == 0)
		names = runtime_dir_list(&dir, &count);
	ret = 0;
	for (size_t i = 0; options.quiet && i < count; i++)
		puts(names[i]);
	if (!options.quiet)
		ret = print_rows(&dir, names, count, options.json, err);
	free(names);
	runtime_dir_close(&dir);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}
