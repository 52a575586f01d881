/*
 * The console on standard input and output, played by pipes, files, sockets and
 * pseudo-terminals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "devices/backend/chr_impl.h"
#include "devices/backend/term.h"

static struct loop *loop;
static struct chr *chr;

static char got[200000];
static size_t got_len, room_left;
static unsigned breaks;
static size_t break_at;
static char keys[16];

static size_t can_take(void *opaque)
{
	(void)opaque;
	return room_left;
}

static void take(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	memcpy(got + got_len, data, len);
	got_len += len;
	got[got_len] = 0;
	room_left -= len;
}

static void line_break(void *opaque)
{
	(void)opaque;
	breaks++;
	break_at = got_len;
}

static unsigned columns, rows; /* when they changed last */

static void note_size(void *opaque)
{
	(void)opaque;
	assert_true(chr_get_size(chr, &columns, &rows));
}

static unsigned ends;
static size_t end_at;

static void input_end(void *opaque)
{
	(void)opaque;
	ends++;
	end_at = got_len;
}

static struct chr_front front = {
	.can_take = can_take, .input = take, .line_break = line_break, .input_end = input_end};

static void note_key(void *opaque, enum chr_escape_key key)
{
	(void)opaque;
	strcat(keys, key == CHR_ESCAPE_QUIT ? "q" : key == CHR_ESCAPE_HELP ? "h" : "?");
}

static int setup(void **state)
{
	(void)state;
	got_len = 0;
	got[0] = 0;
	room_left = sizeof(got) - 1;
	breaks = ends = 0;
	keys[0] = 0;
	signal(SIGPIPE, SIG_IGN);
	return loop_create(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

static void open_on(int in, int out)
{
	assert_int_equal(chr_stdio_open_fds(&chr, in, out, loop, NULL), 0);
	chr_set_escape(chr, note_key, NULL);
	assert_int_equal(chr_attach(chr, &front, NULL), 0);
}

static void close_it(void)
{
	chr_detach(chr, &front);
	chr_close(chr);
}

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static void wait_for_input(size_t len)
{
	while (got_len < len)
		assert_true(loop_run_once(loop, 1000));
}

static void put(const char *text)
{
	assert_int_equal(chr_write(chr, text, strlen(text)), strlen(text));
}

static void expect(int fd, const char *text)
{
	char buf[200] = "";
	size_t len = 0;

	while (len < strlen(text)) {
		ssize_t n = read(fd, buf + len, strlen(text) - len);

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0)
			len += (size_t)n;
		else
			assert_true(loop_run_once(loop, 10));
	}
	assert_string_equal(buf, text);
}

/* ---- Pipes, sockets, files ---- */

static void test_pipes(void **state)
{
	int in[2], out[2];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	open_on(in[0], out[1]);
	assert_false(chr_is_terminal(chr));
	put("hello\n");
	expect(out[0], "hello\n");
	assert_int_equal(write(in[1], "ls\001x\n", 5), 5);
	wait_for_input(5);
	/* No escape keys where no person types. */
	assert_string_equal(got, "ls\001x\n");
	/* The end of input ends the input and nothing else. */
	assert_int_equal(ends, 0);
	close(in[1]);
	run();
	assert_int_equal(ends, 1);
	put("goes on\n");
	expect(out[0], "goes on\n");
	/* What others share is as it was. */
	assert_int_equal(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	close_it();
	assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

static void test_input_that_ended_before_it_was_wanted(void **state)
{
	int in[2];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(write(in[1], "script\n", 7), 7);
	close(in[1]);
	room_left = 0;
	open_on(in[0], -1);
	run();
	assert_int_equal(ends, 0);
	assert_int_equal(got_len, 0);
	room_left = 100;
	chr_accept_input(chr);
	wait_for_input(7);
	assert_string_equal(got, "script\n");
	/* The end comes behind the last byte, and once. */
	run();
	assert_int_equal(ends, 1);
	assert_int_equal(end_at, 7);
	close_it();
	close(in[0]);
}

static void test_full_pipe_does_not_block(void **state)
{
	static char block[8192];
	int out[2];
	size_t written = 0, n;

	(void)state;
	assert_int_equal(pipe(out), 0);
	open_on(-1, out[1]);
	while ((n = chr_write(chr, block, sizeof(block))) > 0)
		written += n;
	assert_true(written > CHR_OUTPUT_BYTES);
	while (written) {
		ssize_t got_now = read(out[0], block, sizeof(block));

		assert_true(got_now > 0);
		written -= (size_t)got_now;
		run();
	}
	close_it();
	close(out[0]);
	close(out[1]);
}

static void test_reader_that_left(void **state)
{
	struct chr_stats stats;
	int out[2];

	(void)state;
	assert_int_equal(pipe(out), 0);
	open_on(-1, out[1]);
	close(out[0]);
	put("nobody reads\n");
	chr_get_stats(chr, &stats);
	assert_int_equal(stats.lost_bytes, 13);
	close_it();
	close(out[1]);
}

/* With no reader from the start a pipe can't be opened once more. */
static void test_pipe_without_reader_from_the_start(void **state)
{
	struct chr_stats stats;
	int out[2];

	(void)state;
	assert_int_equal(pipe(out), 0);
	close(out[0]);
	open_on(-1, out[1]);
	put("nobody reads\n");
	chr_get_stats(chr, &stats);
	assert_int_equal(stats.lost_bytes, 13);
	close_it();
	close(out[1]);
}

static void test_socket(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	open_on(pair[0], dup(pair[0]));
	put("out\n");
	expect(pair[1], "out\n");
	assert_int_equal(write(pair[1], "in", 2), 2);
	wait_for_input(2);
	assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
	close(pair[1]);
	run();
	put("gone\n");
	close_it();
	close(pair[0]);
}

static FILE *temporary(const char *text)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	fputs(text, file);
	fflush(file);
	return file;
}

static void test_regular_files(void **state)
{
	FILE *in = temporary(""), *out = temporary("already there\n");
	char text[100] = "";

	(void)state;
	for (int i = 0; i < 10000; i++)
		fprintf(in, "line %d\n", i);
	rewind(in);
	room_left = 0;
	open_on(fileno(in), fileno(out));
	/* A slow guest reads a file of more than our ring. */
	while (got_len < 98890) {
		room_left = 100;
		chr_accept_input(chr);
		run();
	}
	assert_memory_equal(got, "line 0\nline 1\n", 14);
	assert_memory_equal(got + got_len - 10, "line 9999\n", 10);
	room_left = 100;
	chr_accept_input(chr);
	run();
	assert_int_equal(got_len, 98890);
	assert_int_equal(ends, 1);
	assert_int_equal(end_at, 98890);
	/* The offset is shared with whoever else writes there (2>&1). */
	put("from the guest\n");
	assert_int_equal(write(fileno(out), "from another\n", 13), 13);
	put("guest again\n");
	close_it();
	assert_true(pread(fileno(out), text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "already there\nfrom the guest\nfrom another\nguest again\n");
	fclose(in);
	fclose(out);
}

static void test_dev_null(void **state)
{
	int fd = open("/dev/null", O_RDWR);

	(void)state;
	open_on(fd, fd);
	run();
	put("nowhere\n");
	assert_int_equal(got_len, 0);
	close_it();
	close(fd);
}

static void test_closed_descriptors(void **state)
{
	(void)state;
	open_on(-1, -1);
	run();
	put("nowhere\n");
	close_it();
}

static void test_one_stdio_per_process(void **state)
{
	struct err err = ERR_INIT;
	struct chr *second;

	(void)state;
	assert_int_equal(chr_open(&chr, "stdio", loop, NULL), 0);
	assert_int_equal(chr_open(&second, "stdio", loop, &err), -EBUSY);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	chr_close(chr);
	assert_int_equal(chr_open(&chr, "stdio", loop, NULL), 0);
	chr_close(chr);
}

/* A terminal that can't be opened once more is asked by poll() before each byte. */
static void test_terminal_that_can_not_be_reopened(void **state)
{
	char text[2000];
	int master, slave;
	struct termios raw;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	memset(text, 'm', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	open_on(-1, master);
	for (int i = 0; i < 20; i++) {
		size_t len = 0;

		assert_int_equal(chr_write(chr, text, sizeof(text)), sizeof(text));
		while (len < sizeof(text)) {
			struct pollfd pfd = {.fd = slave, .events = POLLIN};
			char buf[2000];

			run();
			if (poll(&pfd, 1, 10) > 0)
				len += (size_t)read(slave, buf, sizeof(text) - len);
		}
	}
	assert_int_equal(fcntl(master, F_GETFL) & O_NONBLOCK, 0);
	close_it();
	close(master);
	close(slave);
}

/* ---- Terminals ---- */

static int master, slave;
static struct termios before;

static void open_on_terminal(void)
{
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	open_on(slave, slave);
	assert_true(chr_is_terminal(chr));
}

static void close_terminal(void)
{
	struct termios after;

	close_it();
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_iflag, before.c_iflag);
	assert_int_equal(after.c_oflag, before.c_oflag);
	assert_int_equal(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
	close(master);
	close(slave);
}

static tcflag_t local_flags(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(slave, &now), 0);
	return now.c_lflag;
}

/* The terminal takes only so much before somebody reads. */
static void type_keys(const char *text)
{
	size_t len = strlen(text), done = 0;

	while (done < len) {
		ssize_t n = write(master, text + done, len - done);

		if (n > 0)
			done += (size_t)n;
		assert_true(loop_run_once(loop, n > 0 ? 0 : 10));
	}
}

static void wait_for_keys(const char *expected)
{
	while (strlen(keys) < strlen(expected))
		assert_true(loop_run_once(loop, 1000));
	assert_string_equal(keys, expected);
}

static void test_terminal_is_raw_while_it_runs(void **state)
{
	(void)state;
	open_on_terminal();
	/* Not before the loop runs. */
	assert_int_equal(local_flags(), before.c_lflag);
	run();
	assert_int_equal(local_flags() & (ECHO | ICANON | ISIG), 0);
	type_keys("ls\r\003\032");
	wait_for_input(5);
	assert_string_equal(got, "ls\r\003\032");
	close_terminal();
}

static void test_terminal_size(void **state)
{
	struct winsize size = {.ws_col = 132, .ws_row = 50};

	(void)state;
	open_on_terminal();
	assert_false(chr_get_size(chr, &columns, &rows));
	front.host_changed = note_size;
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	raise(SIGWINCH);
	while (columns != 132)
		assert_true(loop_run_once(loop, 1000));
	assert_int_equal(rows, 50);
	front.host_changed = NULL;
	close_terminal();
}

static void test_terminal_escape_keys(void **state)
{
	(void)state;
	open_on_terminal();
	run();
	type_keys("a\001hb\001\001c\001ad\001be\001x");
	wait_for_input(7);
	assert_string_equal(got, "ab\001c\001de");
	wait_for_keys("hq");
	assert_int_equal(breaks, 1);
	assert_int_equal(break_at, 6);
	close_terminal();
}

static void test_quit_works_while_the_guest_reads_nothing(void **state)
{
	char text[2001];

	(void)state;
	memset(text, 'k', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	room_left = 0;
	open_on_terminal();
	run();
	for (int i = 0; i < 10; i++)
		type_keys(text);
	assert_int_equal(got_len, 0);
	type_keys("\001x");
	wait_for_keys("q");
	/* And what was typed is still there. */
	room_left = 100000;
	chr_accept_input(chr);
	wait_for_input(20000);
	close_terminal();
}

static void test_bare_line_feeds_until_the_guest_sends_its_own(void **state)
{
	(void)state;
	open_on_terminal();
	run();
	put("teaching kernel\n");
	expect(master, "teaching kernel\r\n");
	put("real kernel\r\n");
	expect(master, "real kernel\r\n");
	put("cursor down\n");
	expect(master, "cursor down\n");
	close_terminal();
}

static void test_terminal_that_hangs_up(void **state)
{
	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	open_on(slave, slave);
	run();
	close(master);
	run();
	put("nobody sees it\n");
	put("nor this\n");
	run();
	close_it();
	close(slave);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(pipes),
		TEST(input_that_ended_before_it_was_wanted),
		TEST(full_pipe_does_not_block),
		TEST(reader_that_left),
		TEST(pipe_without_reader_from_the_start),
		TEST(socket),
		TEST(regular_files),
		TEST(dev_null),
		TEST(closed_descriptors),
		TEST(one_stdio_per_process),
		TEST(terminal_that_can_not_be_reopened),
		TEST(terminal_is_raw_while_it_runs),
		TEST(terminal_size),
		TEST(terminal_escape_keys),
		TEST(quit_works_while_the_guest_reads_nothing),
		TEST(bare_line_feeds_until_the_guest_sends_its_own),
		TEST(terminal_that_hangs_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
