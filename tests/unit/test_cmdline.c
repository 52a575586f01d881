/*
 * cmdline: what the person said stays, what was not said is added, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/cmdline.h"

static void cmdline_has_splits_as_linux_does(void **state)
{
	static const struct {
		const char *line;
		const char *name;
		bool has;
	} cases[] = {
		{NULL, "root", false},
		{"", "root", false},
		{"root=/dev/vda", "root", true},
		{"  root=/dev/vda", "root", true},
		{"quiet\troot=/dev/vda\n", "root", true},
		{"root", "root", true},
		{"rootwait", "root", false},
		{"nfsroot=1.2.3.4", "root", false},
		{"xroot root", "root", true},
		{"\"root=/dev/vda\"", "root", true},
		{"\"root\"=x", "root", true},
		{"foo=\"a root=b\"", "root", false},
		{"foo=\"a root=b\" root=c", "root", true},
		{"foo=\"a root=b", "root", false},
		{"-- root=x", "root", false},
		{"quiet -- root=x", "root", false},
		{"quiet --root=x", "root", false},
		{"earlycon --foo root=x", "root", true},
		{"print-fatal-signals=1", "print_fatal_signals", true},
		{"print_fatal_signals=1", "print-fatal-signals", true},
		{"kaslr", "kaslr", true},
		{"nokaslr", "kaslr", false},
		{"\"", "root", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (cmdline_has(cases[i].line, cases[i].name) != cases[i].has)
			fail_msg("\"%s\" and %s", cases[i].line, cases[i].name);
}

static void assert_builds(const struct cmdline_request *request, const char *expected)
{
	char buf[256];

	assert_int_equal(cmdline_build(request, buf, sizeof(buf), NULL), 0);
	assert_string_equal(buf, expected);
}

static void cmdline_adds_what_was_not_said(void **state)
{
	struct cmdline_request request = {.console = "ttyS0", .root = "/dev/vda1"};

	(void)state;
	assert_builds(&request, "console=ttyS0 root=/dev/vda1 rw panic=-1");
	request.user = "";
	assert_builds(&request, "console=ttyS0 root=/dev/vda1 rw panic=-1");
	request.user = "  quiet";
	assert_builds(&request, "console=ttyS0 root=/dev/vda1 rw panic=-1 quiet");
	request.root_read_only = true;
	assert_builds(&request, "console=ttyS0 root=/dev/vda1 ro panic=-1 quiet");
	request.root = NULL;
	assert_builds(&request, "console=ttyS0 panic=-1 quiet");
	request.last_console = "hvc0";
	assert_builds(&request,
		"console=ttyS0 console=hvc0 panic=-1 "
		"systemd.wants=serial-getty@hvc0.service quiet");
	request.console = NULL;
	assert_builds(
		&request, "console=hvc0 panic=-1 systemd.wants=serial-getty@hvc0.service quiet");
	request.user = "console=tty0 systemd.wants=a.service";
	assert_builds(&request, "panic=-1 console=tty0 systemd.wants=a.service");
	request.user = "quiet";
	request.last_console = NULL;
	assert_builds(&request, "panic=-1 quiet");
	request.screen = true;
	assert_builds(&request, "console=tty0 panic=-1 quiet");
	request.console = "ttyS0";
	assert_builds(&request, "console=tty0 console=ttyS0 panic=-1 quiet");
	request.screen_is_last = true;
	assert_builds(&request, "console=ttyS0 console=tty0 panic=-1 quiet");
	request.user = "console=ttyS1";
	assert_builds(&request, "panic=-1 console=ttyS1");
}

static void cmdline_adds_words_of_the_machine(void **state)
{
	static const char *const more[] = {"reboot=p", "no_timer_check", NULL};
	struct cmdline_request request = {.more = more};

	(void)state;
	assert_builds(&request, "panic=-1 reboot=p no_timer_check");
	request.user = "reboot=t -- init";
	assert_builds(&request, "panic=-1 no_timer_check reboot=t -- init");
	request.user = "no-timer-check rebooted";
	assert_builds(&request, "panic=-1 reboot=p no-timer-check rebooted");
}

static void cmdline_leaves_what_was_said(void **state)
{
	struct cmdline_request request = {.console = "ttyS0", .root = "/dev/vda1"};

	(void)state;
	request.user = "console=hvc0";
	assert_builds(&request, "root=/dev/vda1 rw panic=-1 console=hvc0");
	request.user = "root=/dev/vdb";
	assert_builds(&request, "console=ttyS0 panic=-1 root=/dev/vdb");
	request.user = "ro";
	assert_builds(&request, "console=ttyS0 root=/dev/vda1 panic=-1 ro");
	request.user = "panic=5 rw root=LABEL=x console=ttyS0,115200";
	assert_builds(&request, "panic=5 rw root=LABEL=x console=ttyS0,115200");
}

static void cmdline_words_of_init_stay_last(void **state)
{
	struct cmdline_request request = {.console = "ttyS0", .user = "quiet -- panic=1 single"};

	(void)state;
	assert_builds(&request, "console=ttyS0 panic=-1 quiet -- panic=1 single");
}

static void cmdline_adds_gpt_for_a_damaged_table(void **state)
{
	struct cmdline_request request = {.root = "/dev/vda1", .gpt_damaged = true};

	(void)state;
	assert_builds(&request, "root=/dev/vda1 rw gpt panic=-1");
	request.user = "gpt";
	assert_builds(&request, "root=/dev/vda1 rw panic=-1 gpt");
	request.user = "root=/dev/vdb";
	assert_builds(&request, "panic=-1 root=/dev/vdb");
}

static void cmdline_unclosed_quote(void **state)
{
	struct cmdline_request request = {.console = "ttyS0", .user = "foo=\"a panic=1"};

	(void)state;
	/* Linux takes all of it as the value of foo: panic was not said. */
	assert_builds(&request, "console=ttyS0 panic=-1 foo=\"a panic=1");
}

static void cmdline_too_long(void **state)
{
	char *user = malloc(CMDLINE_MAX + 1), *buf = malloc(CMDLINE_MAX);
	struct cmdline_request request = {.user = user};
	const size_t ours = strlen("panic=-1 ");

	(void)state;
	assert_non_null(user);
	assert_non_null(buf);
	for (size_t len = CMDLINE_MAX - ours - 3; len <= CMDLINE_MAX; len++) {
		struct err err = ERR_INIT;
		int ret;

		memset(user, 'x', len);
		user[len] = '\0';
		ret = cmdline_build(&request, buf, CMDLINE_MAX, &err);
		if (ours + len < CMDLINE_MAX) {
			assert_int_equal(ret, 0);
			assert_int_equal(strlen(buf), ours + len);
		} else {
			assert_int_equal(ret, -E2BIG);
			assert_int_equal(err.kind, EXIT_CODE_USAGE);
			assert_true(strlen(buf) < CMDLINE_MAX);
		}
	}
	free(user);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmdline_has_splits_as_linux_does),
		cmocka_unit_test(cmdline_adds_what_was_not_said),
		cmocka_unit_test(cmdline_leaves_what_was_said),
		cmocka_unit_test(cmdline_adds_words_of_the_machine),
		cmocka_unit_test(cmdline_words_of_init_stay_last),
		cmocka_unit_test(cmdline_adds_gpt_for_a_damaged_table),
		cmocka_unit_test(cmdline_unclosed_quote),
		cmocka_unit_test(cmdline_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
