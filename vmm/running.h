/*
 * The verbs that are about running machines. Each takes the words behind the verb and gives the
 * exit status of the program; with one that is not EXIT_CODE_OK `err` holds the sentence. They
 * are named after the verbs, for the table in main.c.
 *
 * One thread.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/base/opts.h"

int run_list(int argc, char *const *argv, struct err *err);
int run_status(int argc, char *const *argv, struct err *err);
int run_stop(int argc, char *const *argv, struct err *err);
int run_kill(int argc, char *const *argv, struct err *err);
int run_link(int argc, char *const *argv, struct err *err);
int run_resize(int argc, char *const *argv, struct err *err);
int run_balloon(int argc, char *const *argv, struct err *err);
int run_key(int argc, char *const *argv, struct err *err);
int run_type(int argc, char *const *argv, struct err *err);
int run_pointer(int argc, char *const *argv, struct err *err);
int run_pause(int argc, char *const *argv, struct err *err);
int run_console(int argc, char *const *argv, struct err *err);
int run_screenshot(int argc, char *const *argv, struct err *err);
int run_resume(int argc, char *const *argv, struct err *err);

enum {
	RUNNING_WORDS_MAX = 4
};

/* The words of a verb that are no options; those that were not given are NULL. */
struct running_words {
	unsigned count;
	const char *at[RUNNING_WORDS_MAX];
};

/*
 * Sorts options of `table` (NULL: none), wherever they stand, from other words, of which there
 * must be `min` to `max`; `form` ("NAME [up|down]") says what they are. Error: -errno and a
 * sentence of kind EXIT_CODE_USAGE.
 */
int running_parse(const char *verb, const struct opt *table, int argc, char *const *argv,
	void *target, struct running_words *words, unsigned min, unsigned max, const char *form,
	struct err *err);
