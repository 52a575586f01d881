/*
 * log: whole clean lines on stderr, by level, and no flood from a guest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/log.h"

/* stderr goes to a pipe while a test runs. */
struct capture {
	int saved, pipe[2];
	char text[65536];
};

static int setup(void **state)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture || pipe2(capture->pipe, O_CLOEXEC | O_NONBLOCK))
		return -1;
	fflush(stderr);
	capture->saved = dup(STDERR_FILENO);
	dup2(capture->pipe[1], STDERR_FILENO);
	*state = capture;
	return 0;
}

static void restore(struct capture *capture)
{
	if (capture->saved >= 0) {
		dup2(capture->saved, STDERR_FILENO);
		close(capture->saved);
	}
	capture->saved = -1;
}

static int teardown(void **state)
{
	struct capture *capture = *state;

	restore(capture);
	close(capture->pipe[0]);
	close(capture->pipe[1]);
	free(capture);
	log_set_level(LOG_INFO);
	log_set_raw_terminal(false);
	return 0;
}

static const char *captured(struct capture *capture)
{
	ssize_t n = read(capture->pipe[0], capture->text, sizeof(capture->text) - 1);

	capture->text[n > 0 ? n : 0] = '\0';
	return capture->text;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void test_levels(void **state)
{
	struct capture *capture = *state;

	log_set_level(LOG_WARN);
	log_error("e%d", 1);
	log_warn("w");
	log_info("i");
	log_debug("d");
	assert_string_equal(captured(capture), "vmm: e1\nvmm: w\n");
	log_set_level(LOG_DEBUG);
	log_info("i");
	log_debug("d");
	assert_string_equal(captured(capture), "vmm: i\nvmm: d\n");
	assert_true(log_is_enabled(LOG_DEBUG));
	log_set_level(LOG_INFO);
	assert_false(log_is_enabled(LOG_DEBUG));
}

static void test_raw_terminal_gets_carriage_return(void **state)
{
	struct capture *capture = *state;

	log_set_raw_terminal(true);
	log_info("x");
	assert_string_equal(captured(capture), "vmm: x\r\n");
}

static void test_line_is_cut_and_clean(void **state)
{
	struct capture *capture = *state;
	char text[5000];
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	line = captured(capture);
	assert_in_range(strlen(line), 1000, 1500);
	assert_int_equal(count_lines(line), 1);
	assert_int_equal(line[strlen(line) - 1], '\n');
	log_info("a\033[31m\rb\nc");
	assert_string_equal(captured(capture), "vmm: a?[31m?b?c\n");
}

static void test_guest_can_not_flood(void **state)
{
	struct capture *capture = *state;
	struct log_limit noisy = {0}, calm = {0};
	const char *text;

	for (unsigned i = 0; i < 10000; i++)
		log_guest(&noisy, "disk0", "bad request %u", i);
	text = captured(capture);
	assert_int_equal(count_lines(text), LOG_GUEST_BURST + 1);
	assert_non_null(strstr(text, "vmm: disk0: bad request 0\n"));
	assert_non_null(strstr(text, "more such lines are not shown"));
	assert_int_equal(noisy.total, 10000);
	/* Another source still speaks. */
	log_guest(&calm, "serial0", "odd");
	assert_string_equal(captured(capture), "vmm: serial0: odd\n");
}

static void test_guest_may_speak_again_later(void **state)
{
	struct capture *capture = *state;
	struct log_limit limit = {0};

	for (unsigned i = 0; i < 100; i++)
		log_guest(&limit, "a", "x");
	captured(capture);
	/* As if the window had been opened long ago. */
	limit.window_start_ns = 1;
	log_guest(&limit, "a", "y");
	assert_string_equal(captured(capture), "vmm: a: y\n");
}

static void test_closed_stderr_is_harmless(void **state)
{
	struct capture *capture = *state;

	close(STDERR_FILENO);
	log_error("nobody hears this");
	restore(capture);
	assert_string_equal(captured(capture), "");
}

#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAPTURED(test_levels),
		CAPTURED(test_raw_terminal_gets_carriage_return),
		CAPTURED(test_line_is_cut_and_clean),
		CAPTURED(test_guest_can_not_flood),
		CAPTURED(test_guest_may_speak_again_later),
		CAPTURED(test_closed_stderr_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
