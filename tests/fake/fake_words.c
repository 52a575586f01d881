/* See fake_words.h. */
#include "tests/fake/fake_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>

static int parse(struct fake_words *line, const char *prefix, const char *text)
{
	int argc = 0;
	char *save;

	snprintf(line->text, sizeof(line->text), "%s%s", prefix, text);
	for (char *w = strtok_r(line->text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		for (char *p = w; *p; p++)
			if (*p == '~')
				*p = ' ';
		assert_true(argc < FAKE_WORDS_MAX);
		line->words[argc++] = w;
	}
	line->err = (struct err)ERR_INIT;
	return config_parse(argc, line->words, &line->config, &line->err);
}

static void want_good(int ret, const struct fake_words *line, const char *text)
{
	if (ret < 0)
		fail_msg("%s: %s", text, line->err.text);
	assert_false(err_is_set(&line->err));
}

int fake_words_parse(struct fake_words *line, const char *text)
{
	return parse(line, "", text);
}

int fake_words_parse_machine(struct fake_words *line, const char *text)
{
	return parse(line, "--kernel k ", text);
}

void fake_words_parse_good(struct fake_words *line, const char *text)
{
	want_good(fake_words_parse(line, text), line, text);
}

void fake_words_parse_good_machine(struct fake_words *line, const char *text)
{
	want_good(fake_words_parse_machine(line, text), line, text);
}
