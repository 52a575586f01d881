/*
 * A command line for the tests of options: words from one text, and what they make of it.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"

enum {
	FAKE_WORDS_MAX = 200
};

struct fake_words {
	char text[4096];
	char *words[FAKE_WORDS_MAX];
	struct vm_config config; /* config_finish() is due after each parse */
	struct err err;
};

/* Words are separated by spaces; '~' in a word stands for a space. Result: config_parse()'s. */
int fake_words_parse(struct fake_words *line, const char *text);

/* The same behind "--kernel k", without which no command line is whole. */
int fake_words_parse_machine(struct fake_words *line, const char *text);

/* Fail the test with the sentence when the text is refused. */
void fake_words_parse_good(struct fake_words *line, const char *text);
void fake_words_parse_good_machine(struct fake_words *line, const char *text);
