/*
 * json: whatever a text holds, what comes out is JSON, and no command for a terminal or a browser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "vmm/base/json.h"

static void becomes(const char *text, const char *wanted)
{
	char *made = NULL;
	size_t size;
	FILE *out = open_memstream(&made, &size);

	assert_non_null(out);
	json_put_text(text, out);
	fclose(out);
	assert_string_equal(made, wanted);
	free(made);
}

static void texts(void **state)
{
	(void)state;
	becomes("", "\"\"");
	becomes("a \"b\" \\ c", "\"a \\\"b\\\" \\\\ c\"");
	becomes("\x1b[31m\n\x7f", "\"\\u001b[31m\\u000a\\u007f\"");
	becomes("</script>", "\"\\u003c/script>\"");
}

static void utf8(void **state)
{
	(void)state;
	becomes("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		"\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
	becomes("\xc2\x9b"
		"2J",
		"\"\\u009b2J\"");
}

static void no_utf8(void **state)
{
	(void)state;
	becomes("\xff\x80", "\"??\"");
	becomes("\xc3", "\"?\"");
	becomes("\xe2\x82", "\"??\"");
	becomes("\xc3\"", "\"?\\\"\"");
	becomes("\xc0\xaf\xe0\x80\x80", "\"?????\"");
	becomes("\xed\xa0\x80\xf4\x90\x80\x80", "\"???????\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(utf8),
		cmocka_unit_test(no_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
