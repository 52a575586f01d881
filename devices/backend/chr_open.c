/*
 * Which kind of character back end a word of the command line means.
 * One thread: the one that builds the machine.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "devices/backend/chr_impl.h"

enum kind_path {
	NO_PATH,
	NEEDS_PATH
};

static const struct kind {
	const char *name;
	enum kind_path path;
	int (*open)(struct chr **chr, const char *path, struct loop *loop, struct err *err);
} kinds[] = {
	{"stdio", NO_PATH, chr_stdio_open},
	{"pty", NO_PATH, chr_pty_open},
	{"file", NEEDS_PATH, chr_file_open},
	{"unix", NEEDS_PATH, chr_unix_open},
	{"pipe", NEEDS_PATH, chr_pipe_open},
	{"null", NO_PATH, chr_null_open},
	{"none", NO_PATH, NULL},
};

const char *chr_spec_help(void)
{
	return "stdio|pty|file:PATH|unix:PATH|pipe:PATH|null|none";
}

/* The kind whose name is nearest, when it is near enough to be a slip of the fingers. */
static const struct kind *nearest_kind(const char *name)
{
	const struct kind *best = NULL;
	unsigned best_distance = 3;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		unsigned distance = util_edit_distance(name, kinds[i].name);

		if (distance < best_distance) {
			best_distance = distance;
			best = &kinds[i];
		}
	}
	return best;
}

static int refuse_unknown(const char *spec, const char *name, struct err *err)
{
	const struct kind *nearest = nearest_kind(name);

	err_set(err, EXIT_CODE_USAGE, EINVAL, "\"%s\" is no kind of console; there are %s", spec,
		chr_spec_help());
	if (nearest)
		err_hint(err, "did you mean %s%s?", nearest->name,
			nearest->path == NEEDS_PATH ? ":PATH" : "");
	return -EINVAL;
}

int chr_open(struct chr **chr, const char *spec, struct loop *loop, struct err *err)
{
	const char *colon = strchr(spec, ':');
	const char *path = colon ? colon + 1 : "";
	const struct kind *kind = NULL;
	char name[16];

	*chr = NULL;
	snprintf(name, sizeof(name), "%.*s", colon ? (int)MIN(colon - spec, 15) : 15, spec);
	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !kind; i++)
		if (!strcmp(kinds[i].name, name))
			kind = &kinds[i];
	if (!kind)
		return refuse_unknown(spec, name, err);
	if (kind->path == NEEDS_PATH && !*path) {
		err_set(err, EXIT_CODE_USAGE, EINVAL, "the console \"%s\" needs a name after it",
			spec);
		err_hint(err, "write %s:PATH", kind->name);
		return -EINVAL;
	}
	if (kind->path == NO_PATH && colon)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"the console \"%s\" takes no name: \"%s\"", kind->name, spec);
	return kind->open ? kind->open(chr, path, loop, err) : 0;
}
