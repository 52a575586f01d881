/*
 * See stat_text.h.
 */
#include "vmm/tools/stat_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/util.h"
#include "vmm/config.h"
#include "vmm/control_client.h"

enum {
	COMING_NS = 50000000,
	/* vm_stat.c tells of 48 processors in each. */
	ANSWERS_MAX = 8,
};

/* ---- Lines ---- */

struct line {
	const char *key, *value;
	size_t key_len, value_len;
};

/* The next line of that form; *at goes on behind it. */
static bool next_line(const char **at, struct line *line)
{
	while (**at) {
		size_t len = strcspn(*at, "\n");
		const char *text = *at, *equals = memchr(text, '=', len);

		*at += len + (text[len] == '\n');
		if (!equals || equals == text)
			continue;
		*line = (struct line){.key = text,
			.key_len = (size_t)(equals - text),
			.value = equals + 1,
			.value_len = len - (size_t)(equals - text) - 1};
		return true;
	}
	return false;
}

static bool is_number(const struct line *line)
{
	for (size_t i = 0; i < line->value_len; i++)
		if (line->value[i] < '0' || line->value[i] > '9')
			return false;
	/* JSON knows no leading zeros; longer ones are no numbers of 64 bits. */
	return line->value_len && line->value_len < 20 &&
		(line->value_len == 1 || line->value[0] != '0');
}

uint64_t stat_text_number(const char *text, const char *prefix, const char *key)
{
	size_t prefix_len = strlen(prefix), key_len = strlen(key);
	struct line line;

	while (next_line(&text, &line))
		if (line.key_len == prefix_len + key_len && !memcmp(line.key, prefix, prefix_len) &&
			!memcmp(line.key + prefix_len, key, key_len))
			return is_number(&line) ? strtoull(line.value, NULL, 10) : 0;
	return 0;
}

bool stat_text_group(const char *text, const char *group, unsigned nth, char prefix[STAT_KEY_MAX])
{
	size_t group_len = strlen(group), len, before_len = 0;
	const char *before = "";
	struct line line;

	while (next_line(&text, &line)) {
		const char *dot;

		if (line.key_len <= group_len || memcmp(line.key, group, group_len) != 0)
			continue;
		dot = memchr(line.key + group_len, '.', line.key_len - group_len);
		len = dot ? (size_t)(dot - line.key) + 1 : 0;
		if (!dot || len >= STAT_KEY_MAX ||
			(len == before_len && !memcmp(before, line.key, len)))
			continue;
		before = line.key;
		before_len = len;
		if (nth--)
			continue;
		snprintf(prefix, STAT_KEY_MAX, "%.*s", (int)len, line.key);
		return true;
	}
	return false;
}

/* ---- JSON ---- */

static void put_string(const char *text, size_t len, FILE *out)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '"' || c == '\\')
			fputc('\\', out);
		fputc(c >= 0x20 && c < 0x7f ? c : '?', out);
	}
	fputc('"', out);
}

/* The names between the dots of a key; the last takes what is too deep. */
struct path {
	unsigned depth;
	const char *name[STAT_DEPTH_MAX];
	size_t len[STAT_DEPTH_MAX];
};

static void split(const struct line *line, struct path *path)
{
	const char *at = line->key, *end = line->key + line->key_len;

	path->depth = 0;
	for (;;) {
		const char *dot = memchr(at, '.', (size_t)(end - at));

		if (path->depth == STAT_DEPTH_MAX - 1)
			dot = NULL;
		path->name[path->depth] = at;
		path->len[path->depth++] = (size_t)((dot ? dot : end) - at);
		if (!dot)
			return;
		at = dot + 1;
	}
}

/* How many objects of the line before this one lies in as well. */
static unsigned common_depth(const struct path *a, const struct path *b)
{
	unsigned depth = 0;

	while (depth + 1 < a->depth && depth + 1 < b->depth && a->len[depth] == b->len[depth] &&
		!memcmp(a->name[depth], b->name[depth], a->len[depth]))
		depth++;
	return depth;
}

static void indent(unsigned depth, FILE *out)
{
	fprintf(out, "\n%*s", 2 * (int)(depth + 1), "");
}

void stat_text_json(const char *text, FILE *out)
{
	struct path before = {.depth = 1}, path;
	bool is_first = true;
	struct line line;

	fputc('{', out);
	while (next_line(&text, &line)) {
		unsigned common;

		split(&line, &path);
		common = is_first ? 0 : common_depth(&before, &path);
		for (unsigned depth = before.depth - 1; depth > common; depth--) {
			indent(depth - 1, out);
			fputc('}', out);
		}
		if (!is_first)
			fputc(',', out);
		for (unsigned depth = common; depth < path.depth; depth++) {
			indent(depth, out);
			put_string(path.name[depth], path.len[depth], out);
			fputs(depth + 1 < path.depth ? ": {" : ": ", out);
		}
		if (is_number(&line))
			fprintf(out, "%.*s", (int)line.value_len, line.value);
		else
			put_string(line.value, line.value_len, out);
		before = path;
		is_first = false;
	}
	for (unsigned depth = before.depth - 1; depth > 0; depth--) {
		indent(depth - 1, out);
		fputc('}', out);
	}
	fputs("\n}\n", out);
}

/* ---- Asking ---- */

static unsigned count_cpus(const char *text)
{
	char prefix[STAT_KEY_MAX];
	unsigned count = 0;

	while (count < CONFIG_CPUS_MAX && stat_text_group(text, "cpu.", count, prefix))
		count++;
	return count;
}

static int append(char **text, const struct control_answer *answer)
{
	size_t len = *text ? strlen(*text) : 0;
	char *longer = realloc(*text, len + answer->len + 1);

	if (!longer)
		return -ENOMEM;
	/* A zero byte would end it early. */
	for (size_t i = 0; i < answer->len; i++)
		longer[len + i] = answer->text[i] ? answer->text[i] : '?';
	longer[len + answer->len] = '\0';
	*text = longer;
	return 0;
}

/* An answer has a limit: as many more as bring further processors. */
static int ask_all(struct control_link *link, unsigned patience_ms, char **text, struct err *err)
{
	struct control_answer *answer = malloc(sizeof(*answer));
	int ret = answer ? control_ask(link, "stat", patience_ms, answer, err) : -ENOMEM;
	unsigned cpus = 0, now;
	char request[32];

	for (unsigned i = 0; ret == 0 && i < ANSWERS_MAX; i++) {
		ret = append(text, answer);
		now = ret == 0 ? count_cpus(*text) : 0;
		if (ret < 0 || now == cpus || now >= stat_text_number(*text, "", "cpus"))
			break;
		cpus = now;
		snprintf(request, sizeof(request), "stat %u", cpus);
		ret = control_ask(link, request, patience_ms, answer, err);
	}
	free(answer);
	return ret;
}

/* Who asks for the first time is answered before KVM's counters are there. */
static bool is_coming(const char *text)
{
	char prefix[STAT_KEY_MAX];

	for (unsigned i = 0; stat_text_group(text, "cpu.", i, prefix); i++)
		if (stat_text_number(text, prefix, "kvm_is_coming"))
			return true;
	return false;
}

int stat_ask(const struct runtime_dir *dir, const char *name, unsigned patience_ms, char **text,
	struct err *err)
{
	const struct timespec pause = {.tv_nsec = COMING_NS};
	struct control_link link = {.fd = -1, .pidfd = -1};
	int ret = dir ? control_open_in(&link, dir, name) : control_open(&link, name, err);

	*text = NULL;
	if (ret == 0)
		ret = ask_all(&link, patience_ms, text, err);
	if (ret == 0 && is_coming(*text)) {
		nanosleep(&pause, NULL);
		free(*text);
		*text = NULL;
		ret = ask_all(&link, patience_ms, text, err);
	}
	control_close(&link);
	if (ret == -ENOMEM)
		err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an answer");
	if (ret < 0) {
		free(*text);
		*text = NULL;
	}
	return ret;
}
