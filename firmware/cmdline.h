/*
 * The kernel command line: what the person said, and before it what the person
 * would have had to say.
 *
 * Words are split as Linux does (lib/cmdline.c, next_arg): by white space outside
 * double quotes; what follows the word "--" belongs to init and stays last.
 * Each default is left out when the person said anything about the same thing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/err.h"

struct cmdline_request {
	const char *user; /* --append, or NULL */

	/* NULL: there is none but the next */
	const char *console; /* "ttyS0" */
	/* NULL, or the console that becomes the guest's /dev/console: "hvc0" */
	const char *last_console;
	/* A screen, tty0; screen_is_last: a person sits there, and it becomes /dev/console */
	bool screen, screen_is_last;

	/* "/dev/vda1", or NULL: no disk, or nothing on it that can be a root */
	const char *root;
	bool root_read_only;
	bool gpt_damaged; /* disk_info.gpt_backup_used: its root is found by the backup only */

	/* NULL, or words that go in unless the person says one of the same name; ended by NULL */
	const char *const *more;
};

/* Longest command line that is built; what the kernel takes is checked by boot_load(). */
enum {
	CMDLINE_MAX = 65536
};

/*
 * Writes the whole line, terminated. Error: -E2BIG and a sentence of kind
 * EXIT_CODE_USAGE when it does not fit into `size` bytes.
 */
int cmdline_build(const struct cmdline_request *request, char *buf, size_t size, struct err *err);

/*
 * True when one of the kernel's words in `line` (not those after "--") is `name`
 * or `name=…`. As in Linux, '-' and '_' are the same. `line` may be NULL.
 */
bool cmdline_has(const char *line, const char *name);

/* The same for the name of a word: "panic" of "panic=-1". */
bool cmdline_has_name_of(const char *line, const char *word);
