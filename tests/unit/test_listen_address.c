/*
 * Where something listens, from text: what is taken, what is refused, and for what a password is due.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "devices/backend/listen_address.h"

static struct listen_address address;
static struct err err;

static int parse(const char *text)
{
	err = (struct err)ERR_INIT;
	return listen_address_parse(&address, "--display vnc", text, &err);
}

static void parse_takes_all_forms(void **state)
{
	static const struct {
		const char *text, *path, *host;
		unsigned port;
		bool is_public;
	} good[] = {
		{"5900", "", "127.0.0.1", 5900, false},
		{"1", "", "127.0.0.1", 1, false},
		{"65535", "", "127.0.0.1", 65535, false},
		{"localhost:5901", "", "127.0.0.1", 5901, false},
		{"127.0.0.1:5901", "", "127.0.0.1", 5901, false},
		{"127.1.2.3:5901", "", "127.1.2.3", 5901, false},
		{"0.0.0.0:5900", "", "0.0.0.0", 5900, true},
		{"192.0.2.7:5900", "", "192.0.2.7", 5900, true},
		{"128.0.0.1:5900", "", "128.0.0.1", 5900, true},
		{"[::1]:5900", "", "::1", 5900, false},
		{"[::]:5900", "", "::", 5900, true},
		{"[2001:db8::1]:80", "", "2001:db8::1", 80, true},
		{"[::ffff:127.0.0.1]:80", "", "::ffff:127.0.0.1", 80, true},
		{"unix:/tmp/x", "/tmp/x", "", 0, false},
		{"unix:x:5900", "x:5900", "", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse(good[i].text), 0);
		assert_string_equal(address.path, good[i].path);
		assert_string_equal(address.host, good[i].host);
		assert_int_equal(address.port, good[i].port);
		assert_int_equal(listen_address_is_public(&address), good[i].is_public);
		assert_false(err_is_set(&err));
	}
}

static void parse_refuses_the_rest(void **state)
{
	static const char *const bad[] = {"", ":", "0", "65536", "-1", "5900x", "x", ":5900",
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "example.org:5900", "::1:5900",
		"[127.0.0.1]:5900", "[]:5900", "[::1]", "[::1]5900", "127.0.0.1:5900:1",
		"unix:", "127.0.0.1 :5900", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20:1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(parse(bad[i]) < 0);
		assert_int_equal(err.kind, EXIT_CODE_USAGE);
		assert_memory_equal(err.text, "--display vnc", 13);
	}
}

static void parse_limits_paths(void **state)
{
	char text[200] = "unix:";

	(void)state;
	memset(text + 5, 'p', LISTEN_PATH_MAX);
	assert_int_equal(parse(text), 0);
	assert_int_equal(strlen(address.path), LISTEN_PATH_MAX);
	text[5 + LISTEN_PATH_MAX] = 'p';
	assert_int_equal(parse(text), -EINVAL);
	assert_string_equal(err.text,
		"--display vnc: unix: wants the name of a socket of 1 to 107 bytes, not 108");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_takes_all_forms),
		cmocka_unit_test(parse_refuses_the_rest),
		cmocka_unit_test(parse_limits_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
