/*
 * --display and --pointer: words become a screen and who shows it, or one sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/fake/fake_words.h"

static const struct display_config *parse_good(struct fake_words *line, const char *text)
{
	fake_words_parse_good_machine(line, text);
	return &line->config.display;
}

static void without_the_option_there_is_none(void **state)
{
	struct fake_words line;
	const struct display_config *display;

	(void)state;
	display = parse_good(&line, "");
	assert_false(display->has_screen || display->has_window || display->vnc);
	assert_int_equal(display->width, 1024);
	assert_int_equal(display->height, 768);
	assert_false(display->has_mouse);
	config_finish(&line.config);
}

static void all_kinds(void **state)
{
	struct fake_words line;
	const struct display_config *display;

	(void)state;
	display = parse_good(&line, "--display none");
	assert_true(display->has_screen && !display->has_window && !display->vnc);
	config_finish(&line.config);

	display = parse_good(&line, "--display sdl --pointer mouse");
	assert_true(display->has_screen && display->has_window && !display->window_is_default);
	assert_true(display->has_mouse && !display->smooth && !display->full_screen);
	config_finish(&line.config);

	display = parse_good(&line, "--display sdl,1280x800,scale=smooth,fullscreen");
	assert_int_equal(display->width, 1280);
	assert_int_equal(display->height, 800);
	assert_true(display->smooth && display->full_screen);
	config_finish(&line.config);

	display = parse_good(
		&line, "--display vnc=0.0.0.0:5900,password-file=/a,,1x2,7680x4320 --display sdl");
	assert_string_equal(display->vnc, "0.0.0.0:5900");
	assert_string_equal(display->password_file, "/a,1x2");
	assert_int_equal(display->width, 7680);
	assert_int_equal(display->height, 4320);
	assert_true(display->has_window);
	config_finish(&line.config);

	display = parse_good(&line, "--display type=none,size=320x200");
	assert_int_equal(display->width, 320);
	assert_int_equal(display->height, 200);
	config_finish(&line.config);

	display = parse_good(&line, "--display sdl,800x600 --display vnc=unix:/tmp/v,800x600");
	assert_string_equal(display->vnc, "unix:/tmp/v");
	assert_string_equal(display->vnc_address.path, "/tmp/v");
	config_finish(&line.config);
}

static void wrong_words_get_a_sentence(void **state)
{
	static const struct {
		const char *text, *says, *hint;
	} cases[] = {
		{"--display gtk", "is none of", "sdl"},
		{"--display sld", "is none of", "sdl"},
		{"--display vcn", "is none of", "vnc=PORT"},
		{"--display 800x600", "is none of", ""},
		{"--display sdl,640", "is not WIDTHxHEIGHT", ""},
		{"--display sdl,640x480x3", "is not WIDTHxHEIGHT", ""},
		{"--display sdl,640x99999999999", "is not WIDTHxHEIGHT", ""},
		{"--display sdl,319x200", "from 320x200 to 7680x4320", ""},
		{"--display sdl,320x199", "from 320x200 to 7680x4320", ""},
		{"--display sdl,7681x4320", "from 320x200 to 7680x4320", ""},
		{"--display sdl,7680x4321", "from 320x200 to 7680x4320", ""},
		{"--display sdl,1024x768,800x600", "given twice", ""},
		{"--display sdl,scale=soft", "neither integer nor smooth", ""},
		{"--display none,scale=smooth", "for sdl alone", ""},
		{"--display vnc=5900,fullscreen", "for sdl alone", ""},
		{"--display sdl,password-file=x", "for vnc alone", ""},
		{"--display vnc=0.0.0.0:5900", "needs a password", "password-file="},
		{"--display vnc=[::]:5900", "needs a password", "ssh -L"},
		{"--display vnc=host:5900", "is no IP address", ""},
		{"--display vnc=0", "it can be 1 to 65535", "5900"},
		{"--display sdl,vnc=5900", "give it twice", ""},
		{"--display size=800x600", "one of these is needed", ""},
		{"--display none --display sdl", "exclude each other", ""},
		{"--display sdl --display none", "exclude each other", ""},
		{"--display none --display none", "exclude each other", ""},
		{"--display sdl --display sdl", "one window and one vnc", ""},
		{"--display vnc=1 --display vnc=2", "one window and one vnc", ""},
		{"--display sdl --display vnc=1 --display vnc=2", "one window and one vnc", ""},
		{"--display sdl,800x600 --display vnc=1,640x480", "one size", ""},
		{"--display sdl,", "behind the last", ""},
		{"--display sdl,full", "no key 'full'", "fullscreen"},
		{"--pointer pen", "neither tablet nor mouse", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_words line;

		if (fake_words_parse_machine(&line, cases[i].text) >= 0)
			fail_msg("%s was taken", cases[i].text);
		if (!strstr(line.err.text, cases[i].says) || !strstr(line.err.hint, cases[i].hint))
			fail_msg("%s: %s; %s", cases[i].text, line.err.text, line.err.hint);
		assert_int_equal(line.err.kind, EXIT_CODE_USAGE);
		config_finish(&line.config);
	}
}

static bool opens(const char *text, bool is_on_desktop)
{
	struct fake_words line;
	const struct display_config *display = parse_good(&line, text);
	bool result;

	config_choose_window(&line.config, is_on_desktop);
	result = display->has_window && display->window_is_default;
	assert_true(!result || display->has_screen);
	config_finish(&line.config);
	return result;
}

static void a_window_opens_where_nothing_was_said(void **state)
{
	static const char *const sayings[] = {"--display none", "--display sdl",
		"--display vnc=5900", "--serial stdio", "--serial null", "--console serial",
		"--hvc0 null", "--debugcon null", "--port a=null"};

	(void)state;
	assert_true(opens("", true));
	assert_true(opens("--pointer mouse --net none", true));
	assert_false(opens("", false));
	for (size_t i = 0; i < sizeof(sayings) / sizeof(sayings[0]); i++)
		if (opens(sayings[i], true))
			fail_msg("%s: a window opens all the same", sayings[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_option_there_is_none),
		cmocka_unit_test(all_kinds),
		cmocka_unit_test(wrong_words_get_a_sentence),
		cmocka_unit_test(a_window_opens_where_nothing_was_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
