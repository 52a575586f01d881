/*
 * stat_text and top_view: what a machine answers to "stat", as JSON and as a picture of vmm top;
 * and what a machine answers that lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vmm/base/util.h"
#include "vmm/tools/stat_text.h"
#include "vmm/tools/top_view.h"

static char shown[20000];

static const char *json(const char *text)
{
	FILE *out = fmemopen(shown, sizeof(shown), "w");

	assert_non_null(out);
	stat_text_json(text, out);
	fclose(out);
	return shown;
}

static const char *picture(char *text, char *before, uint64_t ns)
{
	const struct top_machine machine = {
		.name = "web", .text = text, .before = before, .before_ns = 1, .asked_ns = 1 + ns};
	FILE *out = fmemopen(shown, sizeof(shown), "w");

	assert_non_null(out);
	top_view_machine(&machine, out);
	fclose(out);
	for (const char *c = shown; *c; c++)
		assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
	return shown;
}

/* ---- Lines ---- */

static void numbers(void **state)
{
	static const char text[] = "a=1\nab=22\nx.a=3\nbig=18446744073709551616\nneg=-1\nzero=0\n"
				   "lead=007\nword=two\nempty=\nlast=9";

	(void)state;
	assert_int_equal(stat_text_number(text, "", "a"), 1);
	assert_int_equal(stat_text_number(text, "", "ab"), 22);
	assert_int_equal(stat_text_number(text, "x.", "a"), 3);
	assert_int_equal(stat_text_number(text, "x", "a"), 0);
	assert_int_equal(stat_text_number(text, "", "big"), 0);
	assert_int_equal(stat_text_number(text, "", "neg"), 0);
	assert_int_equal(stat_text_number(text, "", "lead"), 0);
	assert_int_equal(stat_text_number(text, "", "word"), 0);
	assert_int_equal(stat_text_number(text, "", "empty"), 0);
	assert_int_equal(stat_text_number(text, "", "last"), 9);
	assert_int_equal(stat_text_number("", "", "a"), 0);
}

static void groups(void **state)
{
	static const char text[] =
		"cpus=2\ncpu.0.a=1\ncpu.0.b=1\ncpu.1.a=1\ndisk.vda.a=1\ncpu.x=1\n";
	char prefix[STAT_KEY_MAX];

	(void)state;
	assert_true(stat_text_group(text, "cpu.", 0, prefix));
	assert_string_equal(prefix, "cpu.0.");
	assert_true(stat_text_group(text, "cpu.", 1, prefix));
	assert_string_equal(prefix, "cpu.1.");
	assert_false(stat_text_group(text, "cpu.", 2, prefix));
	assert_true(stat_text_group(text, "disk.", 0, prefix));
	assert_false(stat_text_group(text, "nic.", 0, prefix));
}

/* ---- JSON ---- */

static void objects_nest(void **state)
{
	(void)state;
	assert_string_equal(json("name=web\npid=7\ncpu.0.a=1\ncpu.0.b=2\ncpu.1.a=3\nz=0\n"),
		"{\n  \"name\": \"web\",\n  \"pid\": 7,\n  \"cpu\": {\n    \"0\": {\n      \"a\": "
		"1,\n      \"b\": 2\n    },\n    \"1\": {\n      \"a\": 3\n    }\n  },\n  \"z\": "
		"0\n}\n");
	assert_string_equal(json("a.b=1\n"), "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n");
}

static void no_lines(void **state)
{
	(void)state;
	assert_string_equal(json(""), "{\n}\n");
	assert_string_equal(json("\n\n=\nnothing\n"), "{\n}\n");
}

static void deep_keys(void **state)
{
	(void)state;
	json("a.b.c.d.e.f=1\n");
	assert_non_null(strstr(shown, "\"d.e.f\": 1"));
	json("...=1\n.=2\n");
	assert_non_null(strstr(shown, "\"\": "));
}

static void odd_bytes(void **state)
{
	(void)state;
	json("a=\"\\\x1b[31m\xff\nb\x01=007\n");
	assert_non_null(strstr(shown, "\"a\": \"\\\"\\\\?[31m?\""));
	assert_non_null(strstr(shown, "\"b?\": \"007\""));
}

/* ---- Pictures ---- */

static void short_numbers(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"}, {999.4, "999"}, {999.6, "1.0K"}, {1234, "1.2K"}, {12345, "12K"},
		{999500, "1.0M"}, {5e9, "5.0G"}, {1.8e19, "18E"}};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		top_view_short(cases[i].value, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void rates_are_differences(void **state)
{
	char before[] =
		"state=running\ncpu_ns=0\ncpu.0.run_ns=100\ncpu.0.wait_ns=0\ncpu.0.port_reads=10\n"
		"disk.vda.read_bytes=1000\nnic.0.sent_frames=5\n";
	char now[] = "state=running\nuptime_ns=3661000000000\nmemory=33554432\nrss=1048576\n"
		     "cpu_ns=1000000000\ncpu.0.run_ns=500000100\ncpu.0.wait_ns=200000000\ncpu.0."
		     "port_reads=4010\n"
		     "disk.vda.read_bytes=2049000\nnic.0.sent_frames=7\n"
		     "device.virtio-rng0.kicks=0\n";

	(void)state;
	picture(now, before, 2000000000);
	assert_non_null(strstr(shown, "web  running  up 1:01:01  CPU 50.0 %  RSS 1.0 MiB"));
	assert_non_null(strstr(shown, "  0     25.0  10.0  65.0   2.0K      0"));
	assert_non_null(strstr(shown, "  vda         0   1.0M"));
	assert_non_null(strstr(shown, "  net0        0      0       1"));
	assert_non_null(strstr(shown, "  virtio-rng0 "));
	/* Nothing before: since the start. */
	picture(now, NULL, 0);
	assert_non_null(strstr(shown, "CPU 0.0 %"));
	for (const char *line = shown; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
}

/* A reset makes new processors: what is smaller than before was counted since. */
static void counters_that_begin_anew(void **state)
{
	char before[] = "cpu.0.port_reads=1000000\n", now[] = "cpu.0.port_reads=500\n";

	(void)state;
	picture(now, before, 1000000000);
	assert_non_null(strstr(shown, "    500"));
}

static void machines_that_lie(void **state)
{
	char nothing[] = "",
	     odd[] = "state=\x1b[2J\ncpu.\x1b.x=1\ncpu..x=1\ndisk.=\ndevice.=1\n"
		     "uptime_ns=99999999999999999999\nnic.\xff\xff.y=1\n";

	(void)state;
	assert_string_equal(picture(NULL, NULL, 0), "web  does not answer\n");
	picture(nothing, nothing, 0);
	picture(odd, odd, 0);
	picture(odd, NULL, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(groups),
		cmocka_unit_test(objects_nest),
		cmocka_unit_test(no_lines),
		cmocka_unit_test(deep_keys),
		cmocka_unit_test(odd_bytes),
		cmocka_unit_test(short_numbers),
		cmocka_unit_test(rates_are_differences),
		cmocka_unit_test(counters_that_begin_anew),
		cmocka_unit_test(machines_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
