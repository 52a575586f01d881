/*
 * config: the command line becomes a machine, or one sentence and exit status 2.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <unistd.h>

#include "devices/backend/chr.h"
#include "tests/fake/fake_words.h"
#include "vmm/base/log.h"

static void test_defaults(void **state)
{
	struct fake_words line;
	cpu_set_t set;

	(void)state;
	fake_words_parse_good(&line, "--kernel k");
	assert_string_equal(line.config.kernel, "k");
	assert_int_equal(line.config.initrd_count, 0);
	assert_null(line.config.append);
	assert_int_equal(line.config.disk_count, 0);
	assert_true(line.config.memory_bytes == GIB);
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_int_equal(line.config.cpus, MIN(CPU_COUNT(&set), 4));
	assert_string_equal(line.config.name, "vmm");
	assert_string_equal(line.config.serial, "stdio");
	assert_null(line.config.debugcon);
	assert_int_equal(line.config.rtc_base_s, -1);
	assert_int_equal(line.config.timeout_ms, 0);
	assert_int_equal(line.config.grace_ms, 30000);
	assert_false(line.config.no_reboot || line.config.hugepages || line.config.no_unpack ||
		line.config.no_kernel_cache || line.config.no_boot_words || line.config.quiet ||
		line.config.verbose);
	config_finish(&line.config);
}

static void test_all_options(void **state)
{
	struct fake_words line;

	(void)state;
	fake_words_parse_good(&line,
		"--kernel k --initrd i --append quiet~root=/dev/vdb --disk a.img --no-unpack "
		"--no-rng "
		"--disk b.img,ro,serial=x~y --disk=c,ephemeral --cpus 255 -m 6G --hugepages "
		"--rtc-base 2024-01-31T12:00:00 --name my-vm_1.0 --serial unix:/s "
		"--debugcon file:/d --timeout 2.5 --grace 0 --no-reboot -q");
	assert_string_equal(line.config.append, "quiet root=/dev/vdb");
	assert_int_equal(line.config.disk_count, 3);
	assert_string_equal(line.config.disks[0].path, "a.img");
	assert_false(line.config.disks[0].read_only || line.config.disks[0].ephemeral);
	assert_null(line.config.disks[0].serial);
	assert_string_equal(line.config.disks[1].path, "b.img");
	assert_true(line.config.disks[1].read_only);
	assert_string_equal(line.config.disks[1].serial, "x y");
	assert_true(line.config.disks[2].ephemeral);
	assert_int_equal(line.config.cpus, 255);
	assert_true(line.config.memory_bytes == 6 * GIB);
	assert_true(line.config.hugepages && line.config.no_unpack && line.config.no_rng);
	assert_int_equal(line.config.rtc_base_s, 1706702400);
	assert_string_equal(line.config.name, "my-vm_1.0");
	assert_string_equal(line.config.serial, "unix:/s");
	assert_string_equal(line.config.debugcon, "file:/d");
	assert_int_equal(line.config.timeout_ms, 2500);
	assert_int_equal(line.config.grace_ms, 0);
	assert_true(line.config.no_reboot && line.config.quiet);
	config_finish(&line.config);
}

static void test_other_names(void **state)
{
	struct fake_words line;

	(void)state;
	fake_words_parse_good(
		&line, "--kernel=k --initramfs=i --cmdline=c --disk=path=d,readonly=on");
	assert_int_equal(line.config.initrd_count, 1);
	assert_string_equal(line.config.initrds[0], "i");
	assert_string_equal(line.config.append, "c");
	assert_true(line.config.disks[0].read_only);
	config_finish(&line.config);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{"utc", -1},
		{"0", 0},
		{"1706702400", 1706702400},
		{"253402300799", 253402300799},
		{"1970-01-01T00:00:00", 0},
		{"2038-01-19T03:14:08", INT64_C(2147483648)},
		{"2024-02-29T23:59:59", 1709251199},
	};
	char text[100];
	struct fake_words line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "--kernel k --rtc-base %s", cases[i].text);
		fake_words_parse_good(&line, text);
		assert_true(line.config.rtc_base_s == cases[i].seconds);
		config_finish(&line.config);
	}
}

static void test_watchdog(void **state)
{
	struct fake_words line;

	(void)state;
	fake_words_parse_good(&line, "--kernel k");
	assert_false(line.config.has_watchdog);
	config_finish(&line.config);
	fake_words_parse_good(&line, "--kernel k --watchdog 2.5 --symbols /map");
	assert_true(line.config.has_watchdog && !line.config.watchdog_ends);
	assert_int_equal(line.config.watchdog_ms, 2500);
	assert_string_equal(line.config.symbols, "/map");
	config_finish(&line.config);
	fake_words_parse_good(&line, "--kernel k --watchdog 3,exit");
	assert_true(line.config.watchdog_ends);
	config_finish(&line.config);
	fake_words_parse_good(&line, "--kernel k --watchdog off");
	assert_true(line.config.has_watchdog && !line.config.watchdog_ms);
	config_finish(&line.config);
}

static void test_consoles_share_one_place(void **state)
{
	static const struct {
		const char *text, *debugcon;
	} cases[] = {
		{"--kernel k --debugcon stdio", NULL},
		{"--kernel k --serial file:a --debugcon file:a", NULL},
		{"--kernel k --serial file:a --debugcon file:b", "file:b"},
		{"--kernel k --serial pty --debugcon pty", "pty"},
		{"--kernel k --serial none --debugcon none", "none"},
		{"--kernel k --serial none --debugcon stdio", "stdio"},
	};
	struct fake_words line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_words_parse_good(&line, cases[i].text);
		if (cases[i].debugcon)
			assert_string_equal(line.config.debugcon, cases[i].debugcon);
		else
			assert_null(line.config.debugcon);
		config_finish(&line.config);
	}
}

static void test_kernel_console(void **state)
{
	static const struct {
		const char *text;
		enum kernel_console console;
		const char *serial, *hvc0;
	} cases[] = {
		{"--kernel k", CONSOLE_SERIAL, "stdio", "none"},
		{"--kernel k --hvc0 pty", CONSOLE_SERIAL, "stdio", "pty"},
		{"--kernel k --console hvc0", CONSOLE_HVC0, "none", "stdio"},
		{"--kernel k --console hvc0 --serial file:s", CONSOLE_HVC0, "file:s", "stdio"},
		{"--kernel k --console=hvc0 --hvc0 unix:h", CONSOLE_HVC0, "none", "unix:h"},
		{"--kernel k --console both", CONSOLE_BOTH, "stdio", "stdio"},
		{"--kernel k --hvc0 pty --console both", CONSOLE_BOTH, "stdio", "pty"},
		{"--kernel k --console serial", CONSOLE_SERIAL, "stdio", "none"},
	};
	struct fake_words line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_words_parse_good(&line, cases[i].text);
		assert_int_equal(line.config.console, cases[i].console);
		assert_string_equal(line.config.serial, cases[i].serial);
		assert_string_equal(line.config.hvc0, cases[i].hvc0);
		config_finish(&line.config);
	}
}

static void test_ports(void **state)
{
	char text[1024] = "--kernel k";
	struct fake_words line;

	(void)state;
	fake_words_parse_good(
		&line, "--kernel k --port org.agent.0=unix:/tmp/a=b --port log=file:l");
	assert_int_equal(line.config.port_count, 2);
	assert_string_equal(line.config.ports[0].name, "org.agent.0");
	assert_string_equal(line.config.ports[0].spec, "unix:/tmp/a=b");
	assert_string_equal(line.config.ports[1].name, "log");
	assert_string_equal(line.config.ports[1].spec, "file:l");
	config_finish(&line.config);
	for (unsigned i = 0; i < CONFIG_PORTS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " --port p%u=null", i);
	fake_words_parse_good(&line, text);
	assert_int_equal(line.config.port_count, CONFIG_PORTS_MAX);
	config_finish(&line.config);
	strcat(text, " --port q=null");
	assert_true(fake_words_parse(&line, text) < 0);
	assert_non_null(strstr(line.err.text, "more than 15 times"));
	config_finish(&line.config);
}

/* The list in the option's table and the back ends' own. */
static void test_console_forms_are_the_back_ends(void **state)
{
	const struct opt *opt = config_options;

	(void)state;
	while (opt->name && strcmp(opt->name, "serial") != 0)
		opt++;
	assert_non_null(opt->name);
	assert_string_equal(opt->value, chr_spec_help());
}

static void test_help_and_version_need_nothing_else(void **state)
{
	struct fake_words line;

	(void)state;
	fake_words_parse_good(&line, "--help");
	assert_true(line.config.show_help);
	config_finish(&line.config);
	fake_words_parse_good(&line, "-V extra");
	assert_true(line.config.show_version);
	config_finish(&line.config);
}

static void test_as_many_disks_as_letters(void **state)
{
	char text[1024] = "--kernel k";
	struct fake_words line;

	(void)state;
	for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
		strcat(text, " --disk d");
	fake_words_parse_good(&line, text);
	assert_int_equal(line.config.disk_count, CONFIG_DISKS_MAX);
	config_finish(&line.config);
	strcat(text, " --disk d");
	assert_true(fake_words_parse(&line, text) < 0);
	assert_non_null(strstr(line.err.text, "more than 26 times"));
	config_finish(&line.config);
}

#define K   "--kernel k "
#define I4  "--initrd a --initrd b --initrd c --initrd d "
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_bad_lines_are_sentences(void **state)
{
	static const struct {
		const char *line, *text, *hint;
	} cases[] = {
		{"", "no --kernel", "vmm --kernel bzImage --disk root.img"},
		{"--disk a", "no --kernel", ""},
		{"--kernel", "--kernel needs a value: FILE", ""},
		{"--kernel=", "--kernel: the value is empty", ""},
		{"--kernel a --kernel b", "--kernel is given twice", ""},
		{"--kernel --disk a", "--kernel needs a value", "--kernel=--disk"},
		{"--kernal k", "no option '--kernal'", "--kernel?"},
		{"-kernel k", "no option '-kernel'", "--kernel?"},
		{"-k k", "no option '-k'", ""},
		{K "--mem 1G", "no option '--mem'", "--memory?"},
		{K "--memroy 1G", "no option '--memroy'", "--memory?"},
		{K "--ram 1G", "no option '--ram'", ""},
		{K "--noreboot", "no option '--noreboot'", "--no-reboot?"},
		{K "--no-reboot=yes", "--no-reboot takes no value", ""},
		{K "--boot-timer json", "'json' is neither an option nor a verb",
			"--boot-timer=json"},
		{K "bzImage", "'bzImage' is neither an option nor a verb", ""},
		{K "docter", "'docter' is neither", "vmm doctor?"},
		{K "doctor", "'doctor' is neither", "A verb stands first: vmm doctor"},
		{"/dev/null", "'/dev/null' is neither", "--kernel /dev/null"},
		{K "-- x", "'x' is neither", ""},
		{K "-", "'-' is neither", ""},
		{K "--flat", "--flat needs a value: ADDR[,16|32|64]", ""},
		{K "--flat x", "'x' does not begin with an address like 0x100000", ""},
		{K "--flat 0x", "'0x' does not begin with an address", ""},
		{K "--flat 0x11111111111111111", "does not begin with an address", ""},
		{K "--flat 99999999999999999999", "does not begin with an address", ""},
		{K "--flat 0x1000,", "the mode '' is none of 16, 32 and 64", ""},
		{K "--flat 0x1000,8", "the mode '8' is none", ""},
		{K "--flat 1,16 --flat 1,16", "--flat is given twice", ""},
		{K "--flat 0x1000 --boot-sector", "exclude each other", ""},
		{"--flat 0x1000", "there is none", ""},
		{"--boot-sector", "--boot-sector needs a --disk", ""},
		{K "--initrd", "--initrd needs a value", ""},
		{K I4 I4 I4 I4 "--initramfs a", "--initrd is given more than 16 times", ""},
		{K "--append", "--append needs a value: TEXT", ""},
		{K "--append a --cmdline b", "--cmdline is given twice", ""},
		{K "--disk", "--disk needs a value", ""},
		{K "--disk=", "--disk: the value is empty", ""},
		{K "--disk ,ro", "--disk: path: the value is empty", ""},
		{K "--disk ro=on", "--disk needs a FILE", ""},
		{K "--disk a,", "nothing stands between two commas", ""},
		{K "--disk a,rw", "no key 'rw'", "Did you mean ro?"},
		{K "--disk a,size=1G", "no key 'size'", ""},
		{K "--disk a,ro=1", "--disk: ro: '1' is neither on nor off", ""},
		{K "--disk a,ro,readonly", "--disk: ro is given twice", ""},
		{K "--disk a,path=b", "--disk: path is given twice", ""},
		{K "--disk a,ro,ephemeral", "exclude each other", ""},
		{K "--disk a,serial", "serial needs a value", ""},
		{K "--disk a,serial=", "serial: the value is empty", ""},
		{K "--disk a,serial=123456789012345678901", "21 characters", ""},
		{K "--disk a,serial=\033[2J", "not printable ASCII", ""},
		{K "--disk a,serial=\303\244", "not printable ASCII", ""},
		{K "--cpus 0", "--cpus: 0 is out of range; it can be 1 to 255", ""},
		{K "--cpus 256", "256 is out of range", ""},
		{K "--cpus two", "'two' is not a whole number", ""},
		{K "--cpus -1", "'-1' is not a whole number", ""},
		{K "--cpus 4294967297", "out of range", ""},
		{K "--memory 0", "out of range; it can be 32M to 4T", ""},
		{K "--memory 512", "512 bytes is out of range", "For 512 MiB write 512M"},
		{K "--memory 16M", "16M is out of range", ""},
		{K "--memory 5T", "5T is out of range", ""},
		{K "-m 99999999999G", "out of range", ""},
		{K "-m 1000000K", "not a multiple of 1M", ""},
		{K "-m 1.5G", "'1.5G' is not a size", ""},
		{K "-m lots", "'lots' is not a size", ""},
		{K "-m 33M --hugepages", "multiple of 2M", ""},
		{K "--balloon 512M --no-balloon", "exclude each other", ""},
		{K "--balloon 512M --hugepages", "--hugepages", ""},
		{K "-m 512M --balloon 513M", "more than all", ""},
		{K "--balloon 31M", "--balloon", ""},
		{K "--vsock 3", "path=PATH", ""},
		{K "--vsock 2,path=/s", "--vsock", ""},
		{K "--vsock 4294967295,path=/s", "--vsock", ""},
		{K "--vsock /s", "--vsock", ""},
		{K "--rtc-base now", "'now' is neither utc", ""},
		{K "--rtc-base 2024-01-31", "neither utc", ""},
		{K "--rtc-base 2024-13-01T00:00:00", "neither utc", ""},
		{K "--rtc-base 2024-01-01T00:00:00Z", "neither utc", ""},
		{K "--rtc-base 1969-12-31T23:59:59", "neither utc", ""},
		{K "--rtc-base 253402300800", "out of range", ""},
		{K "--rtc-base -5", "neither utc", ""},
		{K "--name a/b", "'a/b' is no name", ""},
		{K "--name a~b", "is no name", ""},
		{K "--name .hidden", "is no name", ""},
		{K "--name -x", "is no name", ""},
		{K "--name " X64, "up to 63 letters", ""},
		{K "--console ttyS0", "'ttyS0' is none of serial, hvc0, both",
			"Did you mean serial?"},
		{K "--console hvc", "none of", "Did you mean hvc0?"},
		{K "--console both --hvc0 none", "that --console both names", ""},
		{K "--hvc0 tty", "--hvc0: 'tty' is none of", "Did you mean pty?"},
		{K "--port agent", "'agent' is no NAME=HOSTSIDE", "--port agent=unix:"},
		{K "--port =null", "'' is no name", ""},
		{K "--port a/b=null", "'a/b' is no name", ""},
		{K "--port .a=null", "'.a' is no name", ""},
		{K "--port a=", "--port: '' is none of", ""},
		{K "--port a=none", "of no use", ""},
		{K "--port a=unix", "none of", "Did you mean unix:PATH?"},
		{K "--port a=null --port a=null", "two ports of the name 'a'", ""},
		{K "--serial tty", "--serial: 'tty' is none of", "Did you mean pty?"},
		{K "--serial stdoi", "none of", "Did you mean stdio?"},
		{K "--serial file:", "'file:' is none of", ""},
		{K "--serial file", "'file' is none of", "Did you mean file:PATH?"},
		{K "--serial stdio:x", "none of", ""},
		{K "--serial /tmp/log", "none of", "--serial file:/tmp/log"},
		{K "--debugcon maybe", "--debugcon: 'maybe' is none of", ""},
		{K "--timeout 0", "--timeout: 0 is out of range", ""},
		{K "--timeout 1m", "'1m' is not a number of seconds", ""},
		{K "--watchdog 0", "--watchdog: 0 is out of range", ""},
		{K "--watchdog on", "'on' is not a number of seconds", ""},
		{K "--watchdog 5,stop", "neither off, nor seconds, nor seconds with ,exit", ""},
		{K "--watchdog off,exit", "'off' is not a number of seconds", ""},
		{K "--watchdog 1234567890123456789012345", "is no number of seconds", ""},
		{K "--timeout 99999999", "out of range", ""},
		{K "--grace never", "'never' is not a number of seconds", ""},
		{K "-qv", "exclude each other", ""},
		{K "-q --quiet", "--quiet is given twice", ""},
	};
	struct fake_words line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (fake_words_parse(&line, cases[i].line) >= 0)
			fail_msg("'%s' was taken", cases[i].line);
		assert_int_equal(line.err.kind, EXIT_CODE_USAGE);
		if (!strstr(line.err.text, cases[i].text) || !strstr(line.err.hint, cases[i].hint))
			fail_msg("'%s': %s / %s", cases[i].line, line.err.text, line.err.hint);
		/* One sentence, and what can be said about it: no dot that the printer adds. */
		assert_int_not_equal(line.err.text[strlen(line.err.text) - 1], '.');
		config_finish(&line.config);
	}
}

static void test_memory_and_the_host(void **state)
{
	struct err err = ERR_INIT;
	struct fake_words line;

	(void)state;
	fake_words_parse_good(&line, "--kernel k -m 64G");
	log_set_level(LOG_ERROR);
	assert_int_equal(config_check_memory(&line.config, 128 * GIB, &err), 0);
	assert_int_equal(config_check_memory(&line.config, 2 * GIB, &err), 0);
	assert_true(config_check_memory(&line.config, GIB - 1, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_USAGE);
	assert_non_null(strstr(err.text, "--memory: 64G"));
	log_set_level(LOG_INFO);
	config_finish(&line.config);
}

static void test_tables_are_sound(void **state)
{
	bool letters[256] = {false};

	(void)state;
	assert_non_null(config_options[0].group);
	for (const struct opt *opt = config_options; opt->name; opt++) {
		assert_non_null(opt->help);
		assert_true((opt->type == OPT_FLAG) == (opt->value == NULL));
		assert_true((opt->type == OPT_CUSTOM) == (opt->parse != NULL));
		assert_false(opt->letter && letters[(unsigned char)opt->letter]);
		letters[(unsigned char)opt->letter] = true;
		for (const struct opt *other = config_options; other != opt; other++) {
			assert_string_not_equal(opt->name, other->name);
			assert_false(other->alias && !strcmp(opt->name, other->alias));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_other_names),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_consoles_share_one_place),
		cmocka_unit_test(test_kernel_console),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_console_forms_are_the_back_ends),
		cmocka_unit_test(test_help_and_version_need_nothing_else),
		cmocka_unit_test(test_as_many_disks_as_letters),
		cmocka_unit_test(test_bad_lines_are_sentences),
		cmocka_unit_test(test_memory_and_the_host),
		cmocka_unit_test(test_tables_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
