/*
 * --gdb and --gdb-wait: where a debugger may connect, from words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/fake/fake_words.h"
#include "vmm/base/util.h"

static struct fake_words line;

static void without_the_option_there_is_none(void **state)
{
	(void)state;
	fake_words_parse_good_machine(&line, "");
	assert_false(line.config.gdb.is_asked_for);
	config_finish(&line.config);
}

static void all_kinds(void **state)
{
	static const struct {
		const char *words, *path, *host;
		unsigned port;
		bool waits, has_mode;
		enum cpu_mode mode;
	} good[] = {
		{"--gdb", "", "127.0.0.1", 1234, false, false, 0},
		{"--gdb-wait", "", "127.0.0.1", 1234, true, false, 0},
		{"--gdb=tcp:99 --gdb-wait", "", "127.0.0.1", 99, true, false, 0},
		{"--gdb=99,arch=auto", "", "127.0.0.1", 99, false, false, 0},
		{"--gdb=tcp:[::1]:99", "", "::1", 99, false, false, 0},
		{"--gdb=unix:/a,,b,arch=16", "/a,b", "", 0, false, true, CPU_MODE_16},
		{"--gdb=arch=64", "", "127.0.0.1", 1234, false, true, CPU_MODE_64},
		{"--gdb=tcp:0.0.0.0:99,open,arch=32", "", "0.0.0.0", 99, false, true, CPU_MODE_32},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const struct gdb_place *gdb = &line.config.gdb;

		fake_words_parse_good_machine(&line, good[i].words);
		assert_true(gdb->is_asked_for);
		assert_string_equal(gdb->config.address.path, good[i].path);
		assert_string_equal(gdb->config.address.host, good[i].host);
		assert_int_equal(gdb->config.address.port, good[i].port);
		assert_int_equal(gdb->waits, good[i].waits);
		assert_int_equal(gdb->config.has_fixed_mode, good[i].has_mode);
		assert_int_equal(gdb->config.fixed_mode, good[i].mode);
		config_finish(&line.config);
	}
}

static void wrong_words_get_a_sentence(void **state)
{
	static const struct {
		const char *words, *sentence;
	} bad[] = {
		{"--gdb=tcp:0.0.0.0:1234", "without a password"},
		{"--gdb=[::]:1234", "without a password"},
		{"--gdb=tcp:192.0.2.1:1234,arch=64", "without a password"},
		{"--gdb=unix:", "name of a socket"},
		{"--gdb=tcp:", "whole number"},
		{"--gdb=tcp:x", "whole number"},
		{"--gdb=tcp:host:1234", "no IP address"},
		{"--gdb=tcp:1,arch=48", "none of auto, 16, 32 and 64"},
		{"--gdb=tcp:1,closed", "closed"},
		{"--gdb tcp:1", "neither an option nor a verb"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(fake_words_parse_machine(&line, bad[i].words) < 0);
		assert_int_equal(line.err.kind, EXIT_CODE_USAGE);
		if (!strstr(line.err.text, bad[i].sentence))
			fail_msg("%s: %s", bad[i].words, line.err.text);
		config_finish(&line.config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_option_there_is_none),
		cmocka_unit_test(all_kinds),
		cmocka_unit_test(wrong_words_get_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
