/*
 * gdb_packet: frames of the remote protocol, with everything that can be wrong with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/gdb_packet.h"

static struct gdb_input input;
static struct gdb_out out;

static int setup(void **state)
{
	(void)state;
	memset(&input, 0, sizeof(input));
	memset(&out, 0, sizeof(out));
	return 0;
}

/* What the last byte of the text gives; the others give nothing. */
static enum gdb_input_event take(const char *text, size_t len)
{
	enum gdb_input_event event = GDB_INPUT_NONE;

	for (size_t i = 0; i < len; i++) {
		assert_int_equal(event, GDB_INPUT_NONE);
		event = gdb_input_take(&input, (uint8_t)text[i]);
	}
	return event;
}

#define TAKE(text) take(text, sizeof(text) - 1)

static void packets_are_taken(void **state)
{
	(void)state;
	assert_int_equal(TAKE("$m1,2#fc"), GDB_INPUT_PACKET);
	assert_int_equal(input.len, 4);
	assert_string_equal((char *)input.data, "m1,2");
	assert_int_equal(TAKE("+$#00"), GDB_INPUT_PACKET);
	assert_int_equal(input.len, 0);
	assert_int_equal(TAKE("-"), GDB_INPUT_AGAIN);
	assert_int_equal(TAKE("\x03"), GDB_INPUT_STOP);
	/* '$', '#', '}' and zero as data. */
	assert_int_equal(TAKE("$X}\x04}\x03}]\0#33"), GDB_INPUT_PACKET);
	assert_int_equal(input.len, 5);
	assert_memory_equal(input.data, "X$#}\0", 5);
}

static void wrong_sum(void **state)
{
	(void)state;
	assert_int_equal(TAKE("$g#68"), GDB_INPUT_BAD);
	assert_int_equal(TAKE("$g#zz"), GDB_INPUT_BAD);
	assert_int_equal(TAKE("$g#6G"), GDB_INPUT_BAD);
	assert_int_equal(TAKE("$g#67"), GDB_INPUT_PACKET);
}

static void too_long(void **state)
{
	(void)state;
	TAKE("$");
	for (int i = 0; i < GDB_PACKET_MAX; i++)
		assert_int_equal(TAKE("0"), GDB_INPUT_NONE);
	assert_int_equal(TAKE("#00"), GDB_INPUT_PACKET);
	assert_int_equal(input.len, GDB_PACKET_MAX);
	TAKE("$");
	for (int i = 0; i < 3 * GDB_PACKET_MAX; i++)
		assert_int_equal(TAKE("\x80"), GDB_INPUT_NONE);
	assert_int_equal(TAKE("#00"), GDB_INPUT_LONG);
	assert_int_equal(TAKE("$g#67"), GDB_INPUT_PACKET);
}

static void strangers(void **state)
{
	(void)state;
	assert_int_equal(TAKE("G"), GDB_INPUT_STRANGE); /* ET / HTTP/1.1 */
	assert_int_equal(TAKE("P"), GDB_INPUT_STRANGE);
	assert_int_equal(TAKE("\x16"), GDB_INPUT_STRANGE); /* TLS */
	assert_int_equal(TAKE("\n"), GDB_INPUT_STRANGE);
}

static void answers_are_framed(void **state)
{
	(void)state;
	gdb_out_ack(&out, '+');
	gdb_out_packet(&out, "OK");
	gdb_out_begin(&out);
	gdb_out_put(&out, "a$#}*b", 6);
	gdb_out_text(&out, "%d", 12);
	gdb_out_hex(&out, "\x01\xff", 2);
	assert_true(gdb_out_end(&out));
	assert_int_equal(out.len, 1 + 6 + 20);
	assert_memory_equal(out.bytes,
		"+$OK#9a$a}\x04}\x03}]}\x0a"
		"b1201ff#",
		out.len - 2);
}

static void what_does_not_fit_is_left_out(void **state)
{
	(void)state;
	gdb_out_packet(&out, "first");
	gdb_out_begin(&out);
	for (int i = 0; i < GDB_OUT_MAX; i++)
		gdb_out_put(&out, "x", 1);
	assert_false(gdb_out_end(&out));
	assert_int_equal(out.len, 9);
	gdb_out_begin(&out);
	while (out.len < GDB_OUT_MAX - 3)
		gdb_out_put(&out, "x", 1);
	assert_true(gdb_out_end(&out));
	assert_int_equal(out.len, GDB_OUT_MAX);
	gdb_out_ack(&out, '+');
	assert_int_equal(out.len, GDB_OUT_MAX);
}

static void last_packet_comes_again(void **state)
{
	(void)state;
	gdb_out_again(&out);
	assert_int_equal(out.len, 0);
	gdb_out_ack(&out, '+');
	gdb_out_packet(&out, "OK");
	gdb_out_again(&out);
	assert_int_equal(out.len, 7);
	out.len = out.sent = 0;
	gdb_out_again(&out);
	assert_int_equal(out.len, 6);
	assert_memory_equal(out.bytes, "$OK#9a", 6);
	/* Something else took its place. */
	out.len = out.sent = 0;
	gdb_out_ack(&out, '+');
	out.len = out.sent = 0;
	gdb_out_again(&out);
	assert_int_equal(out.len, 0);
}

static void numbers_are_read(void **state)
{
	const char *text = "1f,0:zz";
	uint64_t value;
	uint8_t bytes[2];

	(void)state;
	assert_true(gdb_read_hex_to(&text, ',', &value));
	assert_int_equal(value, 0x1f);
	assert_false(gdb_read_hex_to(&text, ',', &value));
	assert_true(gdb_read_hex_to(&text, ':', &value) || *text == ':');
	text = "zz";
	assert_false(gdb_read_hex(&text, &value));
	text = "ffffffffffffffff";
	assert_true(gdb_read_hex(&text, &value));
	assert_true(value == UINT64_MAX);
	text = "10000000000000000";
	assert_false(gdb_read_hex(&text, &value));
	assert_true(gdb_read_bytes("0aFf", bytes, 2));
	assert_memory_equal(bytes, "\x0a\xff", 2);
	assert_false(gdb_read_bytes("0aF", bytes, 2));
	assert_false(gdb_read_bytes("0ag0", bytes, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(packets_are_taken, setup),
		cmocka_unit_test_setup(wrong_sum, setup),
		cmocka_unit_test_setup(too_long, setup),
		cmocka_unit_test_setup(strangers, setup),
		cmocka_unit_test_setup(answers_are_framed, setup),
		cmocka_unit_test_setup(what_does_not_fit_is_left_out, setup),
		cmocka_unit_test_setup(last_packet_comes_again, setup),
		cmocka_unit_test_setup(numbers_are_read, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
