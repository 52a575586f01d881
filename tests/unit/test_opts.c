/*
 * opts: words and keys are read as the table says, and everything else is a sentence.
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

#include "vmm/base/opts.h"
#include "vmm/base/util.h"

struct target {
	bool flag, other;
	const char *text;
	unsigned number;
	uint64_t size;
	unsigned ms;
	unsigned custom_calls;
	const char *custom_text;
};

static int parse_custom(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct target *t = target;

	t->custom_calls++;
	t->custom_text = text;
	return strcmp(text, "bad") ? 0 : err_set(err, EXIT_CODE_USAGE, 0, "--%s: bad", opt->name);
}

#define FIELD(name) .offset = offsetof(struct target, name)

static const struct opt table[] = {
	{.name = "text", .alias = "words", .type = OPT_TEXT, FIELD(text), .value = "TEXT"},
	{.name = "maybe", .type = OPT_TEXT, FIELD(text), .value = "TEXT", .may_be_empty = true},
	{.name = "flag", .letter = 'f', .type = OPT_FLAG, FIELD(flag)},
	{.name = "other", .letter = 'o', .type = OPT_FLAG, FIELD(other)},
	{.name = "number",
		.letter = 'n',
		.type = OPT_NUMBER,
		FIELD(number),
		.min = 1,
		.max = 255,
		.value = "N"},
	{.name = "size",
		.type = OPT_SIZE,
		FIELD(size),
		.min = 4096,
		.max = 4 * GIB,
		.step = 4096,
		.value = "SIZE"},
	{.name = "time", .type = OPT_SECONDS, FIELD(ms), .min = 1, .max = 10000, .value = "S"},
	{.name = "many", .type = OPT_CUSTOM, .parse = parse_custom, .repeats = true, .value = "X"},
	{.name = "alone", .type = OPT_TEXT, FIELD(text), .value = "TEXT", .implied = "nothing"},
	OPT_END,
};

/* Splits at spaces and parses; *used is -1 on failure. */
static int parse(const char *line, struct target *target, int *used, struct err *err)
{
	static char copy[2048]; /* the target borrows from it */
	char *words[64], *save;
	int argc = 0, ret;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		words[argc++] = word;
	*target = (struct target){0};
	*used = -1;
	*err = (struct err)ERR_INIT;
	ret = opts_parse_words(table, argc, words, target, used, err);
	assert_int_equal(err_is_set(err), ret < 0);
	return ret;
}

static void test_words_fill_fields(void **state)
{
	struct target t;
	struct err err;
	int used;

	(void)state;
	assert_int_equal(parse("--text a=b --flag -n 7 --size=8K --time 1.5", &t, &used, &err), 0);
	assert_string_equal(t.text, "a=b");
	assert_true(t.flag);
	assert_false(t.other);
	assert_int_equal(t.number, 7);
	assert_int_equal(t.size, 8192);
	assert_int_equal(t.ms, 1500);
	assert_int_equal(used, 8);
}

static void test_forms_of_the_same(void **state)
{
	static const char *const lines[] = {"--number=9 -fo", "--number 9 -f -o", "-n9 -of",
		"-fon9", "-fon 9", "--flag --other -n 9"};
	struct target t;
	struct err err;
	int used;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(lines[i], &t, &used, &err), 0);
		assert_int_equal(t.number, 9);
		assert_true(t.flag && t.other);
	}
	assert_int_equal(parse("--words hello", &t, &used, &err), 0);
	assert_string_equal(t.text, "hello");
	assert_int_equal(parse("--text -x", &t, &used, &err), 0);
	assert_string_equal(t.text, "-x");
	assert_int_equal(parse("--text --nothing-of-ours", &t, &used, &err), 0);
	assert_string_equal(t.text, "--nothing-of-ours");
	assert_int_equal(parse("--text=--flag", &t, &used, &err), 0);
	assert_string_equal(t.text, "--flag");
	assert_int_equal(parse("--alone --flag", &t, &used, &err), 0);
	assert_string_equal(t.text, "nothing");
	assert_int_equal(parse("--alone word", &t, &used, &err), 0);
	assert_int_equal(used, 1);
	assert_int_equal(parse("--alone=word", &t, &used, &err), 0);
	assert_string_equal(t.text, "word");
	assert_int_equal(parse("--alone=", &t, &used, &err), -EINVAL);
	assert_int_equal(parse("--maybe=", &t, &used, &err), 0);
	assert_string_equal(t.text, "");
}

static void test_where_options_end(void **state)
{
	static const struct {
		const char *line;
		int used;
	} cases[] = {
		{"", 0},
		{"file --flag", 0},
		{"--flag file", 1},
		{"--flag - --other", 1},
		{"--flag -- --other", 2},
		{"--text -- file", 2},
	};
	struct target t;
	struct err err;
	int used;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].line, &t, &used, &err), 0);
		assert_int_equal(used, cases[i].used);
		assert_false(t.other);
	}
}

static void test_bad_words_are_sentences(void **state)
{
	static const struct {
		const char *line, *text, *hint;
	} cases[] = {
		{"--flagg", "no option '--flagg'", "mean --flag?"},
		{"--fl", "no option '--fl'", "mean --flag?"},
		{"--wrods x", "no option '--wrods'", "mean --words?"},
		{"--xyzzy", "no option '--xyzzy'", "--help"},
		{"--=", "no option '--='", ""},
		{"-x", "no option '-x'", ""},
		{"-fx", "no option '-fx'", ""},
		{"-text a", "no option '-text'", "mean --text?"},
		{"--flag=on", "--flag takes no value", ""},
		{"--flag --flag", "--flag is given twice", ""},
		{"-f --flag", "--flag is given twice", ""},
		{"-ff", "-f is given twice", ""},
		{"--text a --words b", "--words is given twice", ""},
		{"--text", "--text needs a value: TEXT", ""},
		{"--text --flag", "--text needs a value", "write --text=--flag"},
		{"-n", "-n needs a value: N", ""},
		{"--text=", "--text: the value is empty", ""},
		{"--number=", "--number: the value is empty", ""},
		{"--number 0", "0 is out of range", ""},
		{"--number 256", "it can be 1 to 255", ""},
		{"-n 99999999999999999999999", "out of range", ""},
		{"--number -1", "'-1' is not a whole number", ""},
		{"--number +1", "not a whole number", ""},
		{"--number 1x", "not a whole number", ""},
		{"--number 0x10", "not a whole number", ""},
		{"--number 1.5", "not a whole number", ""},
		{"--size 1Q", "'1Q' is not a size", ""},
		{"--size K", "not a size", ""},
		{"--size 1KK", "not a size", ""},
		{"--size 1KB", "not a size", ""},
		{"--size -1K", "not a size", ""},
		{"--size 1.5K", "not a size", ""},
		{"--size 5", "5 bytes is out of range; it can be 4K to 4G", "For 5 MiB write 5M"},
		{"--size 5G", "5G is out of range", ""},
		{"--size 16777216T", "out of range", ""},
		{"--size 18446744073709551615", "out of range", ""},
		{"--size 4097", "not a multiple of 4K", ""},
		{"--time 0", "out of range", ""},
		{"--time 0.0001", "not a number of seconds", ""},
		{"--time 11", "it can be 0.001 to 10 seconds", ""},
		{"--time 1.", "not a number of seconds", ""},
		{"--time .5", "not a number of seconds", ""},
		{"--time 1s", "not a number of seconds", ""},
		{"--time 99999999999999999999", "out of range", ""},
		{"--many bad", "--many: bad", ""},
	};
	struct target t;
	struct err err;
	int used;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(parse(cases[i].line, &t, &used, &err) < 0);
		assert_int_equal(err.kind, EXIT_CODE_USAGE);
		if (!strstr(err.text, cases[i].text) || !strstr(err.hint, cases[i].hint))
			fail_msg("%s: %s / %s", cases[i].line, err.text, err.hint);
	}
}

static void test_repeated_option(void **state)
{
	struct target t;
	struct err err;
	int used;

	(void)state;
	assert_int_equal(parse("--many a --many=b --many c", &t, &used, &err), 0);
	assert_int_equal(t.custom_calls, 3);
	assert_string_equal(t.custom_text, "c");
}

static void test_long_words_are_shown_short(void **state)
{
	char line[1000] = "--number ";
	struct target t;
	struct err err;
	int used;

	(void)state;
	memset(line + 9, '7', 900);
	assert_true(parse(line, &t, &used, &err) < 0);
	assert_non_null(strstr(err.text, "77..."));
	assert_in_range(strlen(err.text), 40, 160);
	memset(line, 'x', 900);
	memcpy(line, "--", 2);
	assert_true(parse(line, &t, &used, &err) < 0);
	assert_in_range(strlen(err.text), 40, 160);
	memcpy(line, "--flag=", 7);
	assert_true(parse(line, &t, &used, &err) < 0);
	assert_string_equal(err.text, "--flag takes no value");
}

static void test_controls_are_not_shown(void **state)
{
	struct target t;
	struct err err;
	int used;

	(void)state;
	assert_true(parse("--number 1\033[2J\n", &t, &used, &err) < 0);
	assert_non_null(strstr(err.text, "'1?[2J?'"));
}

/* ---- Keys ---- */

static const struct opt keys[] = {
	{.name = "path", .type = OPT_TEXT, FIELD(text), .value = "FILE"},
	{.name = "flag", .alias = "banner", .type = OPT_FLAG, FIELD(flag)},
	{.name = "number", .type = OPT_NUMBER, FIELD(number), .min = 1, .max = 9, .value = "N"},
	{.name = "size", .type = OPT_SIZE, FIELD(size), .max = GIB, .value = "SIZE"},
	OPT_END,
};

static char key_text[512];

static int parse_keys(const char *text, struct target *target, struct err *err)
{
	int ret;

	snprintf(key_text, sizeof(key_text), "%s", text);
	*target = (struct target){0};
	*err = (struct err)ERR_INIT;
	ret = opts_parse_keys(keys, "--disk", key_text, target, err);
	assert_int_equal(err_is_set(err), ret < 0);
	return ret;
}

static void test_keys_fill_fields(void **state)
{
	static const struct {
		const char *text, *path;
		bool flag;
		unsigned number;
	} cases[] = {
		{"a", "a", false, 0},
		{"path=a", "a", false, 0},
		{"a,flag", "a", true, 0},
		{"a,flag=on,number=3", "a", true, 3},
		{"a,flag=off", "a", false, 0},
		{"a,banner", "a", true, 0},
		{"number=4,path=b", "b", false, 4},
		{"a=b", "a=b", false, 0}, /* not a key: part of the file's name */
		{"flag", "flag", false, 0},
		{"flag=on,path=a", "a", true, 0},
		{"a,,b", "a,b", false, 0},
		{"a,,", "a,", false, 0},
		{",,a", ",a", false, 0},
		{"a,,,flag", "a,", true, 0},
		{"a,,,,b,flag", "a,,b", true, 0},
		{"path=x,,y,number=1", "x,y", false, 1},
		{"path=x=y", "x=y", false, 0},
	};
	struct target t;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (parse_keys(cases[i].text, &t, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(t.text, cases[i].path);
		assert_int_equal(t.flag, cases[i].flag);
		assert_int_equal(t.number, cases[i].number);
	}
}

static void test_bad_keys_are_sentences(void **state)
{
	static const struct {
		const char *text, *sentence, *hint;
	} cases[] = {
		{"", "--disk: path: the value is empty", ""},
		{"path=", "--disk: path: the value is empty", ""},
		{"a,", "nothing stands between two commas", ""},
		{"a,flag,", "nothing stands between two commas", ""},
		{"a,flga", "--disk: there is no key 'flga'", "mean flag?"},
		{"a,numbr=3", "no key 'numbr'", "mean number?"},
		{"a,zzzzzz=3", "no key 'zzzzzz'", "Keys are path=FILE, flag, number=N"},
		{"a,=3", "no key ''", ""},
		{"a,number", "--disk: number needs a value: number=N", ""},
		{"a,number=", "--disk: number: the value is empty", ""},
		{"a,number=0", "--disk: number: 0 is out of range", ""},
		{"a,flag=yes", "--disk: flag: 'yes' is neither on nor off", ""},
		{"a,flag=", "neither on nor off", ""},
		{"a,path=b", "--disk: path is given twice", ""},
		{"a,flag,banner", "--disk: flag is given twice", ""},
		{"a,size=2G", "--disk: size: 2G is out of range", ""},
		{"a b", NULL, ""},
	};
	struct target t;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret = parse_keys(cases[i].text, &t, &err);

		assert_int_equal(ret < 0, cases[i].sentence != NULL);
		if (ret < 0 &&
			(!strstr(err.text, cases[i].sentence) || !strstr(err.hint, cases[i].hint)))
			fail_msg("%s: %s / %s", cases[i].text, err.text, err.hint);
	}
}

/* ---- Single values and near words ---- */

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		const char *shown;
	} cases[] = {
		{"0", 0, "0"},
		{"1", 1, "1"},
		{"1023", 1023, "1023"},
		{"1024", 1024, "1K"},
		{"512M", 512 * MIB, "512M"},
		{"512m", 512 * MIB, "512M"},
		{"512MiB", 512 * MIB, "512M"},
		{"2048M", 2 * GIB, "2G"},
		{"1536M", 1536 * MIB, "1536M"},
		{"3T", 3072 * GIB, "3T"},
		{"16777215T", UINT64_C(16777215) << 40, "16777215T"},
		{"0007k", 7 * KIB, "7K"},
	};
	struct err err = ERR_INIT;
	char shown[32];
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			opts_parse_size("--m", cases[i].text, 0, UINT64_MAX - 1, 0, &bytes, &err),
			0);
		assert_true(bytes == cases[i].bytes);
		opts_format_size(bytes, shown, sizeof(shown));
		assert_string_equal(shown, cases[i].shown);
	}
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text;
		unsigned ms;
	} cases[] = {{"0", 0}, {"1", 1000}, {"0.5", 500}, {"1.05", 1050}, {"0.001", 1},
		{"2.120", 2120}, {"60", 60000}};
	struct err err = ERR_INIT;
	unsigned ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(opts_parse_seconds("--t", cases[i].text, 0, 100000, &ms, &err), 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"kernel", "disk", "debugcon", "no-reboot", NULL};
	static const struct {
		const char *typed, *nearest;
	} cases[] = {
		{"kernel", "kernel"},
		{"kernal", "kernel"},
		{"kern", "kernel"},
		{"no-reb", "no-reboot"},
		{"d", NULL}, /* two begin with it, and neither is near */
		{"dsk", "disk"},
		{"noreboot", "no-reboot"},
		{"", NULL},
		{"something", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *nearest = opts_nearest(cases[i].typed, words);

		if (cases[i].nearest)
			assert_string_equal(nearest, cases[i].nearest);
		else
			assert_null(nearest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_fill_fields),
		cmocka_unit_test(test_forms_of_the_same),
		cmocka_unit_test(test_where_options_end),
		cmocka_unit_test(test_bad_words_are_sentences),
		cmocka_unit_test(test_repeated_option),
		cmocka_unit_test(test_long_words_are_shown_short),
		cmocka_unit_test(test_controls_are_not_shown),
		cmocka_unit_test(test_keys_fill_fields),
		cmocka_unit_test(test_bad_keys_are_sentences),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
