/*
 * What all character back ends have in common, on the one in memory: gathering,
 * back-pressure, flow control of input, several front ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/backend/chr_memory.h"

/* A front end that takes as much as the test lets it. */
struct front {
	struct chr_front front;
	pthread_mutex_t lock;
	struct chr *chr;
	size_t room_left;
	char got[200000];
	size_t got_len;
	size_t break_at;
	unsigned breaks, rooms;
};

static struct loop *loop;
static struct chr *chr;
static struct front *front;

static size_t can_take(void *opaque)
{
	return ((struct front *)opaque)->room_left;
}

static void take(void *opaque, const uint8_t *data, size_t len)
{
	struct front *f = opaque;

	assert_true(len > 0 && len <= f->room_left);
	assert_true(f->got_len + len <= sizeof(f->got));
	/* The lock is held round each call. */
	assert_int_equal(pthread_mutex_trylock(&f->lock), EBUSY);
	memcpy(f->got + f->got_len, data, len);
	f->got_len += len;
	f->room_left -= len;
}

static void line_break(void *opaque)
{
	struct front *f = opaque;

	f->break_at = f->got_len;
	f->breaks++;
}

static void room(void *opaque)
{
	((struct front *)opaque)->rooms++;
}

static struct front *make_front(void)
{
	struct front *f = calloc(1, sizeof(*f));

	pthread_mutex_init(&f->lock, NULL);
	f->chr = chr;
	f->front = (struct chr_front){.can_take = can_take,
		.input = take,
		.line_break = line_break,
		.room = room,
		.opaque = f,
		.lock = &f->lock};
	return f;
}

static void free_front(struct front *f)
{
	chr_detach(chr, &f->front);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(chr_memory_open(&chr, loop, NULL), 0);
	front = make_front();
	assert_int_equal(chr_attach(chr, &front->front, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chr_memory_stall(chr, false);
	free_front(front);
	chr_close(chr);
	loop_destroy(loop);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static void write_text(const char *text)
{
	assert_int_equal(chr_write(chr, text, strlen(text)), strlen(text));
}

/* ---- Output ---- */

static void test_first_byte_goes_at_once(void **state)
{
	(void)state;
	write_text("e");
	assert_string_equal(chr_memory_output(chr, NULL), "e");
}

static void test_bytes_are_gathered_until_the_line_ends(void **state)
{
	unsigned before;

	(void)state;
	write_text("\n");
	before = chr_memory_write_count(chr);
	for (int i = 0; i < 80; i++)
		write_text("x");
	write_text("\n");
	assert_int_equal(strlen(chr_memory_output(chr, NULL)), 82);
	/* One for the line; more only where this thread was held up for a millisecond. */
	assert_in_range(chr_memory_write_count(chr) - before, 1, 40);
}

static void test_gathered_bytes_go_out_by_the_timer(void **state)
{
	(void)state;
	write_text("a");
	write_text("b");
	write_text("c");
	while (strlen(chr_memory_output(chr, NULL)) < 3)
		assert_true(loop_run_once(loop, 1000));
	assert_string_equal(chr_memory_output(chr, NULL), "abc");
}

static void test_large_writes_go_at_once(void **state)
{
	char block[5000];

	(void)state;
	memset(block, 'b', sizeof(block));
	write_text("\n");
	assert_int_equal(chr_write(chr, block, sizeof(block)), sizeof(block));
	assert_int_equal(strlen(chr_memory_output(chr, NULL)), sizeof(block) + 1);
}

static void test_a_full_ring_takes_less_and_tells_when_there_is_room(void **state)
{
	char *block = calloc(1, CHR_OUTPUT_BYTES + 1000);
	size_t len;

	(void)state;
	chr_memory_stall(chr, true);
	assert_int_equal(chr_write(chr, block, CHR_OUTPUT_BYTES + 1000), CHR_OUTPUT_BYTES);
	assert_int_equal(chr_room(chr), 0);
	assert_int_equal(chr_write(chr, block, 1), 0);
	run();
	assert_int_equal(front->rooms, 0);
	chr_memory_stall(chr, false);
	while (!front->rooms)
		assert_true(loop_run_once(loop, 1000));
	assert_int_equal(chr_room(chr), CHR_OUTPUT_BYTES);
	chr_memory_output(chr, &len);
	assert_int_equal(len, CHR_OUTPUT_BYTES);
	run();
	assert_int_equal(front->rooms, 1);
	free(block);
}

static void test_failure_is_said_once_and_output_counted(void **state)
{
	struct chr_stats stats;

	(void)state;
	write_text("before\n");
	chr_memory_fail(chr, ENOSPC);
	write_text("lost line\n");
	write_text("another\n");
	chr_memory_fail(chr, 0);
	write_text("it stays dropped\n");
	chr_get_stats(chr, &stats);
	assert_int_equal(stats.output_bytes, 7 + 10 + 8 + 17);
	assert_int_equal(stats.lost_bytes, 10 + 8 + 17);
	assert_string_equal(chr_memory_output(chr, NULL), "before\n");
	assert_int_equal(chr_room(chr), CHR_OUTPUT_BYTES);
}

static void test_failure_frees_who_waits(void **state)
{
	char *block = calloc(1, CHR_OUTPUT_BYTES + 1);

	(void)state;
	chr_memory_stall(chr, true);
	chr_write(chr, block, CHR_OUTPUT_BYTES + 1);
	chr_memory_fail(chr, EIO);
	chr_memory_stall(chr, false);
	while (!front->rooms)
		assert_true(loop_run_once(loop, 1000));
	assert_int_equal(chr_write(chr, block, 10), 10);
	free(block);
}

static char observed[64];

static void observe(void *opaque, const void *data, size_t len)
{
	assert_ptr_equal(opaque, &observed);
	strncat(observed, data, len);
}

static void test_observer_sees_what_is_taken(void **state)
{
	(void)state;
	observed[0] = 0;
	chr_set_observer(chr, observe, &observed);
	write_text("Kernel panic");
	write_text(" - not syncing\n");
	chr_set_observer(chr, NULL, NULL);
	write_text("unseen\n");
	assert_string_equal(observed, "Kernel panic - not syncing\n");
}

static void test_pending_output_goes_out_on_close(void **state)
{
	char path[] = "/tmp/vmm-chr-core-XXXXXX", spec[64], text[16] = "";
	int fd = mkstemp(path);
	struct chr *file;

	(void)state;
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(chr_open(&file, spec, loop, NULL), 0);
	/* The second byte waits for its millisecond. */
	assert_int_equal(chr_write(file, "a", 1), 1);
	assert_int_equal(chr_write(file, "b", 1), 1);
	chr_close(file);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 2);
	assert_string_equal(text, "ab");
	close(fd);
	unlink(path);
}

/* ---- Input ---- */

static void test_input_comes_as_there_is_room(void **state)
{
	(void)state;
	assert_int_equal(chr_memory_feed(chr, "0123456789", 10), 10);
	run();
	assert_int_equal(front->got_len, 0);
	front->room_left = 4;
	chr_accept_input(chr);
	run();
	assert_memory_equal(front->got, "0123", 4);
	assert_int_equal(front->got_len, 4);
	front->room_left = 100;
	chr_accept_input(chr);
	run();
	assert_int_equal(front->got_len, 10);
	assert_memory_equal(front->got, "0123456789", 10);
}

static void test_flood_of_input_waits_and_is_whole(void **state)
{
	enum {
		LEN = 60000
	};
	char *sent = malloc(LEN);
	struct chr_stats stats;

	(void)state;
	for (int i = 0; i < LEN; i++)
		sent[i] = (char)(i * 11 + i / 256);
	assert_int_equal(chr_memory_feed(chr, sent, LEN), LEN);
	run();
	for (size_t i = 0; front->got_len < LEN; i++) {
		front->room_left = i % 17;
		chr_accept_input(chr);
		run();
	}
	assert_memory_equal(front->got, sent, LEN);
	chr_get_stats(chr, &stats);
	assert_int_equal(stats.input_bytes, LEN);
	free(sent);
}

static void test_break_keeps_its_place(void **state)
{
	(void)state;
	chr_memory_feed(chr, "before", 6);
	chr_memory_break(chr);
	run();
	chr_memory_feed(chr, "after", 5);
	run();
	for (int i = 0; i < 20; i++) {
		front->room_left = 1;
		chr_accept_input(chr);
		run();
	}
	assert_int_equal(front->breaks, 1);
	assert_int_equal(front->break_at, 6);
	assert_int_equal(front->got_len, 11);
}

static void test_only_one_front_end_has_the_input(void **state)
{
	struct front *second = make_front();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(chr_attach(chr, &second->front, &err), -EBUSY);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	/* For output alone it is welcome, and both are told of room. */
	second->front.can_take = NULL;
	assert_int_equal(chr_attach(chr, &second->front, NULL), 0);
	chr_memory_stall(chr, true);
	while (chr_write(chr, "0123456789abcdef", 16) == 16)
		;
	chr_memory_stall(chr, false);
	while (!second->rooms || !front->rooms)
		assert_true(loop_run_once(loop, 1000));
	free_front(second);
}

static void test_input_without_front_end_waits(void **state)
{
	struct front *later;

	(void)state;
	chr_detach(chr, &front->front);
	chr_detach(chr, &front->front);
	chr_memory_feed(chr, "kept", 4);
	run();
	later = make_front();
	later->room_left = 10;
	assert_int_equal(chr_attach(chr, &later->front, NULL), 0);
	run();
	assert_int_equal(later->got_len, 4);
	free_front(later);
}

/* ---- Threads ---- */

enum {
	WRITERS = 3,
	LINES = 2000
};

static void *write_lines(void *opaque)
{
	char line[] = "x line\n";

	line[0] = *(const char *)opaque;
	for (int i = 0; i < LINES; i++)
		while (chr_write(chr, line, 7) != 7)
			sched_yield();
	return NULL;
}

static void test_writers_on_several_threads(void **state)
{
	static const char names[WRITERS] = {'a', 'b', 'c'};
	pthread_t threads[WRITERS];
	size_t len, counts[WRITERS] = {0};
	const char *text;

	(void)state;
	for (int i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, write_lines, (void *)&names[i]);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	run();
	text = chr_memory_output(chr, &len);
	assert_int_equal(len, WRITERS * LINES * 7);
	/* A write that fits is in one piece. */
	for (size_t i = 0; i < len; i += 7) {
		assert_memory_equal(text + i + 1, " line\n", 6);
		counts[text[i] - 'a']++;
	}
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(counts[i], LINES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(first_byte_goes_at_once),
		TEST(bytes_are_gathered_until_the_line_ends),
		TEST(gathered_bytes_go_out_by_the_timer),
		TEST(large_writes_go_at_once),
		TEST(a_full_ring_takes_less_and_tells_when_there_is_room),
		TEST(failure_is_said_once_and_output_counted),
		TEST(failure_frees_who_waits),
		TEST(observer_sees_what_is_taken),
		TEST(pending_output_goes_out_on_close),
		TEST(input_comes_as_there_is_room),
		TEST(flood_of_input_waits_and_is_whole),
		TEST(break_keeps_its_place),
		TEST(only_one_front_end_has_the_input),
		TEST(input_without_front_end_waits),
		TEST(writers_on_several_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
