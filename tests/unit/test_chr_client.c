/*
 * Clients that join a console beside its own host side: what they are shown, what they type, and
 * that none of them can hold up the guest, the host side or each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/chr_memory.h"

static struct loop *loop;
static struct chr *chr;
static char typed[300000];
static size_t typed_len, room_left, break_at;
static unsigned changes;

static size_t can_take(void *opaque)
{
	(void)opaque;
	return room_left;
}

static void take(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	assert_true(typed_len + len < sizeof(typed));
	memcpy(typed + typed_len, data, len);
	typed_len += len;
	typed[typed_len] = 0;
	room_left -= len;
}

static void line_break(void *opaque)
{
	(void)opaque;
	break_at = typed_len;
}

static void note_change(void *opaque)
{
	(void)opaque;
	changes++;
}

static struct chr_front front = {
	.can_take = can_take, .input = take, .line_break = line_break, .host_changed = note_change};

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static int setup(void **state)
{
	(void)state;
	typed_len = changes = 0;
	typed[0] = 0;
	room_left = sizeof(typed) - 1;
	break_at = SIZE_MAX;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(chr_memory_open(&chr, loop, NULL), 0);
	assert_int_equal(chr_attach(chr, &front, NULL), 0);
	run();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chr_memory_stall(chr, false);
	chr_detach(chr, &front);
	chr_close(chr);
	loop_destroy(loop);
	return 0;
}

static int add(bool leaves)
{
	int fds[2], ret;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	ret = chr_client_add(chr, fds[0], "hi ", leaves, NULL);
	close(fds[0]);
	if (ret == 0)
		return fds[1];
	close(fds[1]);
	return ret;
}

static void print(const char *text)
{
	assert_int_equal(chr_write(chr, text, strlen(text)), strlen(text));
}

static void expect(int fd, const char *text)
{
	char got[1000];
	size_t len = 0;

	while (len < strlen(text)) {
		ssize_t n = recv(fd, got + len, strlen(text) - len, 0);

		if (n < 0 && errno == EAGAIN) {
			assert_true(loop_run_once(loop, 1000));
			continue;
		}
		assert_true(n > 0);
		len += (size_t)n;
	}
	got[len] = 0;
	assert_string_equal(got, text);
}

static void expect_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void type(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
	run();
}

static void test_replay_and_live(void **state)
{
	int fd;

	(void)state;
	print("before\n");
	fd = add(false);
	expect(fd, "hi before\n");
	print("after\n");
	expect(fd, "after\n");
	/* The host side has all of it as well. */
	assert_string_equal(chr_memory_output(chr, NULL), "before\nafter\n");
	close(fd);
	run();
	fd = add(false);
	expect(fd, "hi before\nafter\n");
	close(fd);
}

static void test_replay_is_bounded(void **state)
{
	static char line[101];
	static char got[CHR_HISTORY_BYTES + 100];
	size_t len = 0;
	ssize_t n;
	int fd;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(line, sizeof(line), "%0*d\n", 99, i);
		print(line);
	}
	fd = add(false);
	do {
		n = recv(fd, got + len, sizeof(got) - len, 0);
		len += n > 0 ? (size_t)n : 0;
		run();
	} while (n > 0);
	assert_int_equal(len, 3 + CHR_HISTORY_BYTES);
	assert_memory_equal(got + len - 5, "1999\n", 5);
	close(fd);
}

static void test_single_bytes_come_soon(void **state)
{
	int fd = add(false);

	(void)state;
	expect(fd, "hi ");
	for (const char *c = "a prompt without an end"; *c; c++)
		assert_int_equal(chr_write(chr, c, 1), 1);
	expect(fd, "a prompt without an end");
	close(fd);
}

static void test_two_clients_and_the_host_side(void **state)
{
	int a = add(false), b = add(false);

	(void)state;
	type(a, "from a ");
	type(b, "from b ");
	assert_int_equal(chr_memory_feed(chr, "from the host", 13), 13);
	run();
	assert_string_equal(typed, "from a from b from the host");
	print("to all\n");
	expect(a, "hi to all\n");
	expect(b, "hi to all\n");
	close(a);
	print("to the other\n");
	expect(b, "to the other\n");
	close(b);
}

static void test_slow_client(void **state)
{
	static char block[50000], got[4000000];
	static const char notice[] = "\r\n[vmm: ";
	int slow = add(false), quick = add(false);
	size_t len = 0, total = 0;
	const char *said;
	ssize_t n;

	(void)state;
	memset(block, 'x', sizeof(block));
	expect(quick, "hi ");
	/* Neither the guest nor the one who reads waits. */
	for (int i = 0; i < 40; i++) {
		size_t seen = 0;

		chr_memory_clear_output(chr);
		assert_int_equal(chr_write(chr, block, sizeof(block)), sizeof(block));
		total += sizeof(block);
		while (seen < sizeof(block)) {
			n = recv(quick, got, sizeof(got), 0);
			seen += n > 0 ? (size_t)n : 0;
			run();
		}
		assert_int_equal(seen, sizeof(block));
	}
	do {
		n = recv(slow, got + len, sizeof(got) - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
		run();
	} while (n > 0);
	print("the end\n");
	expect(slow, "the end\n");
	got[len] = 0;
	said = strstr(got, notice);
	assert_non_null(said);
	assert_true(len < total);
	/* What was shown and what is said to be missing are all there was. */
	assert_int_equal(strtoull(said + strlen(notice), NULL, 10),
		total - ((size_t)(said - got) - strlen("hi ")));
	close(slow);
	close(quick);
}

static void test_flow_control(void **state)
{
	static char block[3000];
	int fd = add(false);
	size_t sent = 0;
	ssize_t n;

	(void)state;
	memset(block, 'y', sizeof(block));
	room_left = 0;
	/* The guest takes nothing: in the end neither does the socket. */
	do {
		n = send(fd, block, sizeof(block), 0);
		sent += n > 0 ? (size_t)n : 0;
		run();
	} while (n > 0);
	assert_int_equal(typed_len, 0);
	assert_true(sent < sizeof(typed));
	/* It takes a little at a time. */
	while (typed_len < sent) {
		room_left = 777;
		chr_accept_input(chr);
		run();
	}
	assert_int_equal(typed_len, sent);
	assert_null(strpbrk(typed, "xz"));
	close(fd);
}

static void test_what_was_sent_before_the_end_arrives(void **state)
{
	int fd = add(false);

	(void)state;
	room_left = 0;
	type(fd, "last words");
	close(fd);
	run();
	room_left = 100;
	chr_accept_input(chr);
	run();
	assert_string_equal(typed, "last words");
}

static void test_half_closed(void **state)
{
	int fd = add(false), other = add(true);

	(void)state;
	expect(fd, "hi ");
	expect(other, "hi ");
	type(fd, "a");
	shutdown(fd, SHUT_WR);
	run();
	print("still read\n");
	expect(fd, "still read\n");
	expect(other, "still read\n");
	/* This one wants to be let go when its input is with the guest, and no sooner. */
	room_left = 0;
	type(other, "b");
	shutdown(other, SHUT_WR);
	run();
	print("not yet\n");
	expect(other, "not yet\n");
	room_left = 10;
	chr_accept_input(chr);
	run();
	assert_string_equal(typed, "ab");
	expect_end(other);
	close(fd);
}

static void test_leaves_and_is_told(void **state)
{
	unsigned columns, rows;
	int fd = add(false);

	(void)state;
	assert_int_equal(changes, 1);
	assert_false(chr_get_size(chr, &columns, &rows));
	chr_client_set_size(chr, 132, 50);
	assert_int_equal(changes, 2);
	assert_true(chr_get_size(chr, &columns, &rows));
	assert_int_equal(columns, 132);
	assert_int_equal(rows, 50);
	close(fd);
	run();
	assert_int_equal(changes, 3);
	assert_false(chr_get_size(chr, &columns, &rows));
	chr_client_set_size(chr, 1, 1);
	assert_false(chr_get_size(chr, &columns, &rows));
}

static void test_too_many(void **state)
{
	int fds[CHR_CLIENTS_MAX];

	(void)state;
	for (int i = 0; i < CHR_CLIENTS_MAX; i++)
		fds[i] = add(false);
	assert_int_equal(add(false), -EBUSY);
	/* A place is free as soon as somebody has left. */
	close(fds[3]);
	fds[3] = add(false);
	assert_true(fds[3] >= 0);
	for (int i = 0; i < CHR_CLIENTS_MAX; i++)
		close(fds[i]);
	run();
}

static void test_break(void **state)
{
	int fd = add(false);

	(void)state;
	type(fd, "abc");
	chr_send_break(chr);
	run();
	assert_int_equal(break_at, 3);
	room_left = 0;
	type(fd, "def");
	chr_send_break(chr);
	chr_send_break(chr);
	room_left = 100;
	type(fd, "ghi");
	chr_accept_input(chr);
	run();
	assert_int_equal(break_at, 6);
	assert_string_equal(typed, "abcdefghi");
	close(fd);
}

static void test_the_last_lines_arrive(void **state)
{
	struct chr *other;
	char got[10];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(chr_memory_open(&other, loop, NULL), 0);
	assert_int_equal(chr_client_add(other, fds[0], "", false, NULL), 0);
	close(fds[0]);
	/* Without a line feed: the timer would bring it. */
	for (const char *c = "bye"; *c; c++)
		chr_write(other, c, 1);
	chr_close(other);
	assert_int_equal(recv(fds[1], got, sizeof(got), MSG_WAITALL), 3);
	close(fds[1]);
}

static void test_output_only_console(void **state)
{
	int fd;

	(void)state;
	chr_detach(chr, &front);
	fd = add(false);
	type(fd, "to nobody");
	close(fd);
	run();
	assert_false(chr_get_size(chr, &(unsigned){0}, &(unsigned){0}));
	chr_client_set_size(chr, 80, 24);
	assert_false(chr_get_size(chr, &(unsigned){0}, &(unsigned){0}));
	assert_string_equal(typed, "");
}

/* ---- Threads ---- */

enum {
	LINES = 20000
};

static atomic_bool done;

static void *print_lines(void *opaque)
{
	char line[20];

	(void)opaque;
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%07d\n", i);
		while (chr_write(chr, line, 8) != 8)
			;
	}
	atomic_store(&done, true);
	return NULL;
}

/* A processor prints while clients come, read, type and go. */
static void test_printing_on_another_thread(void **state)
{
	pthread_t thread;
	char got[4096];

	(void)state;
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&thread, NULL, print_lines, NULL), 0);
	while (!atomic_load(&done)) {
		int fd = add(false);

		assert_true(fd >= 0);
		assert_int_equal(send(fd, "x", 1, 0), 1);
		for (int i = 0; i < 10; i++) {
			loop_run_once(loop, 0);
			if (recv(fd, got, sizeof(got), 0) < 0)
				assert_int_equal(errno, EAGAIN);
		}
		close(fd);
		loop_run_once(loop, 0);
	}
	pthread_join(thread, NULL);
	run();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replay_and_live),
		TEST(test_replay_is_bounded),
		TEST(test_single_bytes_come_soon),
		TEST(test_two_clients_and_the_host_side),
		TEST(test_slow_client),
		TEST(test_flow_control),
		TEST(test_what_was_sent_before_the_end_arrives),
		TEST(test_half_closed),
		TEST(test_leaves_and_is_told),
		TEST(test_too_many),
		TEST(test_break),
		TEST(test_the_last_lines_arrive),
		TEST(test_output_only_console),
		TEST(test_printing_on_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
