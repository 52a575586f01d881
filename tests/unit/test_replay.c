/*
 * replay: a recording that is made of a machine's own answers replays as it is; each answer, line
 * and request that is another is told once; what can't be replayed is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/fake/fake_trace.h"
#include "vmm/tools/replay.h"

/* The devices of `--machine micro --serial null`, in its order. */
enum {
	POWER,
	RESET_PORT,
	SERIAL,
	CONSOLE,
};

static struct fake_trace made;
static struct trace_file file;
static struct replay_result result;
static struct err err;
static uint64_t seq;

static void begin(const char *const *words)
{
	fake_trace_begin(&made, 1);
	((struct trace_header *)(void *)made.bytes)->flags = TRACE_FLAG_RECORD;
	for (size_t i = 0; words[i]; i++)
		fake_trace_add_fact(&made, words[i]);
	fake_trace_add_device(&made, POWER, "power0", "power");
	fake_trace_add_device(&made, RESET_PORT, "reset-port0", "reset-port");
	fake_trace_add_device(&made, SERIAL, "serial0", "serial");
	fake_trace_add_device(&made, CONSOLE, "virtio-console0", "virtio-console");
	seq = 0;
}

static void begin_micro(void)
{
	static const char *const words[] = {"word=--machine", "word=micro", "word=--kernel",
		"word=/nowhere", "word=--serial", "word=file:/nowhere/either", "word=-m",
		"word=32M", NULL};

	begin(words);
}

static void add(uint8_t kind, uint16_t device, uint64_t addr, uint64_t value)
{
	struct trace_tape tape = {.seq = seq++,
		.addr = addr,
		.value = value,
		.device = device,
		.kind = kind,
		.size = 1};

	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape));
}

static void add_byte(uint8_t byte)
{
	struct trace_tape tape = {.seq = seq++, .device = SERIAL, .kind = TRACE_TAPE_BYTES};
	uint8_t record[sizeof(tape) + 1];

	memcpy(record, &tape, sizeof(tape));
	record[sizeof(tape)] = byte;
	fake_trace_add(&made, TRACE_TAPE, 0, record, sizeof(record));
}

/* What it printed; the caller's to free. */
static char *replay(int expected)
{
	struct replay_options options = {.differences_shown = 10};
	char *text = NULL;
	size_t size;
	int ret;

	err = (struct err)ERR_INIT;
	options.out = open_memstream(&text, &size);
	assert_non_null(options.out);
	assert_int_equal(trace_file_parse(&file, "it", made.bytes, made.count, NULL), 0);
	ret = replay_run(&file, &options, &result, &err);
	fclose(options.out);
	if ((ret < 0) != (expected < 0))
		fail_msg("%d %s\n%s", ret, err.text, text);
	trace_file_free(&file);
	return text;
}

static void differs(size_t count, const char *said)
{
	char *text = replay(0);

	assert_int_equal(result.different, count);
	if (!strstr(text, said))
		fail_msg("no '%s' in:\n%s", said, text);
	free(text);
}

/* A typed letter, as a serial driver sees it. */
static void add_typed(uint8_t seen)
{
	add(TRACE_PIO_WRITE, SERIAL, 0x3f9, 1);
	add_byte('x');
	add(TRACE_TAPE_LINE, SERIAL, 4, TRACE_IRQ_HIGH);
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x61);
	add(TRACE_PIO_READ, SERIAL, 0x3f8, seen);
	add(TRACE_TAPE_LINE, SERIAL, 4, TRACE_IRQ_LOW);
}

static void the_same_is_green(void **state)
{
	(void)state;
	begin_micro();
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	add_typed('x');
	add(TRACE_TAPE_RESET, TRACE_DEVICE_NONE, 0, 0);
	add(TRACE_PIO_READ, SERIAL, 0x3f9, 0);
	differs(0, "0  compared\n");
	assert_int_equal(result.compared, 6);
	assert_int_equal(result.replayed, 9);
}

static void another_answer_is_told(void **state)
{
	(void)state;
	begin_micro();
	add_typed('y');
	differs(1,
		"serial0, record 4: port read 0x3f8, 1 byte, 0x79 in the recording, 0x78 here\n"
		"    after  port write 0x3f9, 1 byte, 0x01\n"
		"    after  port read 0x3fd, 1 byte, 0x61\n");
}

static void another_line_is_told(void **state)
{
	(void)state;
	begin_micro();
	add(TRACE_PIO_WRITE, SERIAL, 0x3f9, 1);
	add_byte('x');
	differs(1, "interrupt 4 goes up here, and in the recording nothing happens");
	begin_micro();
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	add(TRACE_TAPE_LINE, SERIAL, 4, TRACE_IRQ_HIGH);
	differs(1, "interrupt 4 goes up in the recording, and nothing happens here");
}

static void a_timer_that_is_not_set_is_told(void **state)
{
	(void)state;
	begin_micro();
	add(TRACE_TAPE_TIMER, SERIAL, 0, 0);
	differs(1, "its timer fires in the recording, and is not set here");
}

static void another_request_is_told(void **state)
{
	(void)state;
	begin_micro();
	add(TRACE_PIO_WRITE, RESET_PORT, 0xcf9, 6);
	differs(1, "the guest asks for");
}

static void consoles_that_stalled_are_not_compared(void **state)
{
	(void)state;
	begin_micro();
	add(TRACE_TAPE_ROOM, SERIAL, 0, 0);
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0);
	differs(0, "not compared: its host side did not keep up");
	assert_int_equal(result.compared, 0);
}

static void refused(const char *said)
{
	free(replay(-1));
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	if (!strstr(err.text, said))
		fail_msg("'%s' does not say '%s'", err.text, said);
}

static void what_is_no_recording_is_refused(void **state)
{
	static const char *const wrong[] = {"word=--nonsense", NULL};
	static const char *const help[] = {"word=--help", NULL};
	static const char *const other[] = {"word=--kernel", "word=k", NULL};

	(void)state;
	begin_micro();
	refused("no recording");
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	seq++;
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	refused("a gap at its record 1");
	begin(wrong);
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	refused("--nonsense");
	begin(help);
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	refused("it says no machine");
	begin(other);
	add(TRACE_PIO_READ, SERIAL, 0x3fd, 0x60);
	refused("makes another machine");
	begin_micro();
	fake_trace_add_device(&made, 200, "none", "serial");
	add(TRACE_PIO_READ, 200, 0x3fd, 0x60);
	refused("device 200 was none and is");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_is_green),
		cmocka_unit_test(another_answer_is_told),
		cmocka_unit_test(another_line_is_told),
		cmocka_unit_test(a_timer_that_is_not_set_is_told),
		cmocka_unit_test(another_request_is_told),
		cmocka_unit_test(consoles_that_stalled_are_not_compared),
		cmocka_unit_test(what_is_no_recording_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
