/*
 * What vmm says about itself: --help, `vmm help VERB`, the man page and the shell
 * completions, all made from the tables of options, verbs and exit statuses.
 *
 * One thread. Write errors are the caller's to find (ferror, fclose).
 */
#pragma once

#include <stdio.h>

#include "vmm/base/err.h"

#define VMM_VERSION "0.1.0"

/* The keys of a console on a terminal. KEY(name, what it does). */
#define HELP_KEY_TABLE(KEY)                                                                        \
	KEY("Ctrl-a x", "end the machine at once; in vmm console: leave")                          \
	KEY("Ctrl-a d", "in vmm console: leave, the machine runs on")                              \
	KEY("Ctrl-a h", "list these keys")                                                         \
	KEY("Ctrl-a b", "send a break")                                                            \
	KEY("Ctrl-a Ctrl-a", "send one Ctrl-a to the guest (Ctrl-a a does the same)")

/* "vmm 0.1.0" and a line end. */
void help_print_version(FILE *out);

/* All options, verbs, keys and exit statuses, 80 columns wide. */
void help_print_all(FILE *out);

/* One verb. Error: -EINVAL and a sentence when there is none of that name. */
int help_print_verb(FILE *out, const char *name, struct err *err);

/*
 * The man page: the file `template` with its lines @OPTIONS@, @VERBS@, @KEYS@ and @EXIT@
 * replaced. Error: -errno and a sentence.
 */
int help_print_man(FILE *out, const char *template, struct err *err);

/* The completion script for "bash" or "zsh". Error: -EINVAL and a sentence for another. */
int help_print_completion(FILE *out, const char *shell, struct err *err);
