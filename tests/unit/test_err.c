/*
 * err: the first sentence wins, is whole, and can't speak to a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "vmm/base/err.h"

static void test_first_sentence_wins(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_false(err_is_set(&err));
	assert_int_equal(err_set(&err, EXIT_CODE_IMAGE, ENOENT, "no file '%s'", "a"), -ENOENT);
	assert_true(err_is_set(&err));
	assert_int_equal(err_set(&err, EXIT_CODE_USAGE, EPERM, "later"), -EPERM);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	assert_int_equal(err.errnum, ENOENT);
	assert_string_equal(err.text, "no file 'a'");
	err_hint(&err, "do %d", 1);
	err_hint(&err, "do 2");
	assert_string_equal(err.hint, "do 1");
}

static void test_no_errno_is_einval(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, EXIT_CODE_USAGE, 0, "x"), -EINVAL);
	assert_int_equal(err.errnum, 0);
}

static void test_null_is_legal(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, EXIT_CODE_USAGE, ENOMEM, "x"), -ENOMEM);
	err_hint(NULL, "x");
	err_clear(NULL);
	assert_false(err_is_set(NULL));
}

static void test_clear_makes_room(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, EXIT_CODE_IMAGE, ENOENT, "first");
	err_hint(&err, "hint");
	err_clear(&err);
	assert_false(err_is_set(&err));
	assert_string_equal(err.hint, "");
	err_set(&err, EXIT_CODE_DEVICE, EBUSY, "second");
	assert_string_equal(err.text, "second");
}

static void test_controls_become_question_marks(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, EXIT_CODE_IMAGE, ENOENT, "a\033[2Jb\nc\td\x7f é");
	assert_string_equal(err.text, "a?[2Jb?c?d? é");
	err_hint(&err, "\r\x01");
	assert_string_equal(err.hint, "??");
	err_clear(&err);
	/* The C1 set in UTF-8: U+0080, U+009B (a terminal's CSI), U+009F; U+00A0 is a space. */
	err_set(&err, EXIT_CODE_IMAGE, ENOENT, "\xc2\x80|\xc2\x9b|\xc2\x9f|\xc2\xa0|\xc3\x9b|\xc2");
	assert_string_equal(err.text, "??|??|??|\xc2\xa0|\xc3\x9b|\xc2");
}

static void test_long_text_is_cut(void **state)
{
	struct err err = ERR_INIT;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	err_set(&err, EXIT_CODE_USAGE, 0, "%s", text);
	err_hint(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

static void test_exit_codes_are_distinct_and_fit(void **state)
{
#define VALUE(name, value, text) value,
	static const int values[] = {EXIT_CODE_TABLE(VALUE)};
#undef VALUE

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_in_range(values[i], 0, EXIT_CODE_SIGNAL_BASE - 1);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(values[i], values[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_sentence_wins),
		cmocka_unit_test(test_no_errno_is_einval),
		cmocka_unit_test(test_null_is_legal),
		cmocka_unit_test(test_clear_makes_room),
		cmocka_unit_test(test_controls_become_question_marks),
		cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_exit_codes_are_distinct_and_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
