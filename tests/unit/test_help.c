/*
 * help: every option, verb and exit status stands in each of the texts made from the
 * tables, and the texts have the form that their readers want.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/opts.h"
#include "vmm/config.h"
#include "vmm/help.h"
#include "vmm/verbs.h"

/* What a function prints; the caller frees. */
static char *printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(out);
	fclose(out);
	return text;
}

static void print_bash(FILE *out)
{
	struct err err = ERR_INIT;

	assert_int_equal(help_print_completion(out, "bash", &err), 0);
}

static void print_zsh(FILE *out)
{
	struct err err = ERR_INIT;

	assert_int_equal(help_print_completion(out, "zsh", &err), 0);
}

static void assert_holds(const char *text, const char *before, const char *word)
{
	char wanted[200];

	snprintf(wanted, sizeof(wanted), "%s%s", before, word);
	if (!strstr(text, wanted))
		fail_msg("'%s' is missing", wanted);
}

static void test_help_names_everything(void **state)
{
	char *text = printed(help_print_all), size[24];

	(void)state;
	for (const struct opt *opt = config_options; opt->name; opt++) {
		assert_holds(text, "--", opt->name);
		if (opt->alias)
			assert_holds(text, ", --", opt->alias);
		if (opt->group)
			assert_holds(text, "\n\n", opt->group);
	}
	for (const struct opt *key = config_disk_keys; key->name; key++)
		assert_holds(text, "\n      ", key->name);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		assert_holds(text, "\n  ", verb->name);
		assert_holds(text, "  ", verb->summary);
	}
#define HOLDS_CODE(name, value, words) assert_holds(text, "\n  ", #value);
	EXIT_CODE_TABLE(HOLDS_CODE)
	assert_holds(text, "Ctrl-a ", "x");
	/* The defaults that the sentences name are those of the code. */
	opts_format_size(CONFIG_MEMORY_DEFAULT, size, sizeof(size));
	assert_holds(text, "Default: ", size);
	opts_format_size(CONFIG_MEMORY_MIN, size, sizeof(size));
	assert_holds(text, size, " at least");
	free(text);
}

static void test_help_has_80_columns(void **state)
{
	char *text = printed(help_print_all), *save;

	(void)state;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_in_range(strlen(line), 1, 80);
		assert_int_not_equal(line[strlen(line) - 1], ' ');
		assert_null(strchr(line, '\t'));
	}
	free(text);
}

static void test_version_is_one_line(void **state)
{
	char *text = printed(help_print_version);

	(void)state;
	assert_string_equal(text, "vmm " VMM_VERSION "\n");
	free(text);
}

static void test_each_verb_has_its_page(void **state)
{
	(void)state;
	for (const struct verb *verb = verbs; verb->name; verb++) {
		struct err err = ERR_INIT;
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		assert_int_equal(help_print_verb(out, verb->name, &err), 0);
		fclose(out);
		assert_holds(text, "Usage: vmm ", verb->name);
		free(text);
	}
}

static void test_unknown_words_are_sentences(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(help_print_verb(stdout, "inspekt", &err), -EINVAL);
	assert_int_equal(err.kind, EXIT_CODE_USAGE);
	assert_holds(err.hint, "vmm help ", "inspect");
	err_clear(&err);
	assert_int_equal(help_print_completion(stdout, "fish", &err), -EINVAL);
	assert_holds(err.text, "only for ", "bash and zsh");
	err_clear(&err);
	assert_int_equal(help_print_man(stdout, "/nonexistent/vmm.1", &err), -ENOENT);
	assert_holds(err.text, "/nonexistent", "/vmm.1");
}

static void test_completions_name_everything(void **state)
{
	char *bash = printed(print_bash), *zsh = printed(print_zsh);

	(void)state;
	for (const struct opt *opt = config_options; opt->name; opt++) {
		assert_holds(bash, "--", opt->name);
		assert_holds(zsh, "--", opt->name);
	}
	for (const struct verb *verb = verbs; verb->name; verb++) {
		assert_holds(bash, verb->name, "");
		assert_holds(zsh, "'", verb->name);
	}
	free(bash);
	free(zsh);
}

static void test_man_page_fills_its_template(void **state)
{
	char path[] = "/tmp/vmm-test-help-XXXXXX", *text = NULL;
	struct err err = ERR_INIT;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, "before\n@OPTIONS@\n@VERBS@\n@KEYS@\n@EXIT@\nuser@host stays\nafter");
	close(fd);
	assert_int_equal(help_print_man(out, path, &err), 0);
	fclose(out);
	unlink(path);
	assert_int_equal(strncmp(text, "before\n.Ss ", 11), 0);
	assert_non_null(strstr(text, "user@host stays\nafter"));
	assert_null(strstr(text, "@OPTIONS@"));
	for (const struct opt *opt = config_options; opt->name; opt++)
		assert_holds(text, "Fl -", opt->name);
	for (const struct verb *verb = verbs; verb->name; verb++)
		assert_holds(text, ".It Cm ", verb->name);
#define HOLDS_ITEM(name, value, words) assert_holds(text, ".It ", #value "\n");
	EXIT_CODE_TABLE(HOLDS_ITEM)
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help_names_everything),
		cmocka_unit_test(test_help_has_80_columns),
		cmocka_unit_test(test_version_is_one_line),
		cmocka_unit_test(test_each_verb_has_its_page),
		cmocka_unit_test(test_unknown_words_are_sentences),
		cmocka_unit_test(test_completions_name_everything),
		cmocka_unit_test(test_man_page_fills_its_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
