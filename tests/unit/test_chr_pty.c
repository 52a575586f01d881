/*
 * The console on a new pseudo-terminal: survives nobody being there, and shows what
 * was to who attaches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "devices/backend/chr.h"

static struct loop *loop;
static struct chr *chr;

static char got[100];
static size_t got_len;

static size_t can_take(void *opaque)
{
	(void)opaque;
	return sizeof(got) - 1 - got_len;
}

static void take(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	memcpy(got + got_len, data, len);
	got_len += len;
	got[got_len] = 0;
}

static struct chr_front front = {.can_take = can_take, .input = take};

static int setup(void **state)
{
	(void)state;
	got_len = 0;
	got[0] = 0;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(chr_open(&chr, "pty", loop, NULL), 0);
	assert_int_equal(chr_attach(chr, &front, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chr_detach(chr, &front);
	chr_close(chr);
	loop_destroy(loop);
	return 0;
}

static int join(void)
{
	int fd = open(chr_name(chr), O_RDWR | O_NOCTTY | O_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void put(const char *text)
{
	assert_int_equal(chr_write(chr, text, strlen(text)), strlen(text));
}

/* Runs the loop until all of `text` has come out at `fd`. */
static void expect(int fd, const char *text)
{
	char buf[200] = "";
	size_t len = 0;

	while (len < strlen(text)) {
		ssize_t n = read(fd, buf + len, strlen(text) - len);

		if (n > 0)
			len += (size_t)n;
		else
			assert_true(loop_run_once(loop, 10));
	}
	assert_string_equal(buf, text);
}

static void test_it_has_a_name_and_is_raw(void **state)
{
	struct termios settings;
	int fd;

	(void)state;
	assert_memory_equal(chr_name(chr), "/dev/pts/", 9);
	assert_false(chr_is_terminal(chr));
	fd = join();
	assert_int_equal(tcgetattr(fd, &settings), 0);
	assert_int_equal(settings.c_lflag & (ECHO | ICANON | ISIG), 0);
	assert_int_equal(settings.c_oflag & OPOST, 0);
	close(fd);
}

static void test_both_directions(void **state)
{
	int fd = join();

	(void)state;
	put("prompt$ \n");
	expect(fd, "prompt$ \n");
	assert_int_equal(write(fd, "ls\r", 3), 3);
	while (got_len < 3)
		assert_true(loop_run_once(loop, 1000));
	assert_string_equal(got, "ls\r");
	close(fd);
}

static void test_nobody_there_holds_nothing_up(void **state)
{
	static char block[4096];

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(chr_write(chr, block, sizeof(block)), sizeof(block));
	assert_int_equal(chr_room(chr), CHR_OUTPUT_BYTES);
}

static void test_who_comes_sees_what_was(void **state)
{
	int fd;

	(void)state;
	put("one\n");
	fd = join();
	expect(fd, "one\n");
	close(fd);
	/* It notices that nobody is there, and goes on. */
	put("two\n");
	loop_run_once(loop, 0);
	put("three\n");
	loop_run_once(loop, 0);
	fd = join();
	expect(fd, "one\ntwo\nthree\n");
	put("four\n");
	expect(fd, "four\n");
	close(fd);
}

static void test_close_waits_for_the_reader(void **state)
{
	char text[100] = "";
	int ready[2], fd;
	pid_t child;

	(void)state;
	fd = join();
	put("the last line\n");
	expect(fd, "the last line\n");
	assert_int_equal(pipe(ready), 0);
	/* What is written now is still unread when the console closes. */
	put("and after it\n");
	child = fork();
	if (!child) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		poll(&pfd, 1, 5000);
		if (read(fd, text, sizeof(text)) > 0 && write(ready[1], text, sizeof(text)) > 0)
			_exit(0);
		_exit(1);
	}
	close(fd);
	chr_detach(chr, &front);
	chr_close(chr);
	chr = NULL;
	assert_int_equal(read(ready[0], text, sizeof(text)), sizeof(text));
	assert_string_equal(text, "and after it\n");
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
	loop_destroy(loop);
	assert_int_equal(setup(NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_has_a_name_and_is_raw),
		TEST(both_directions),
		TEST(nobody_there_holds_nothing_up),
		TEST(who_comes_sees_what_was),
		TEST(close_waits_for_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
