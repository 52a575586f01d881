/*
 * The console on a Unix socket: who comes, who goes, what they see, and whose file
 * the socket may replace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/backend/chr.h"

static struct loop *loop;
static struct chr *chr;
static char dir[32], spec[64];
static const char *path;

enum {
	GOT_MAX = 99
};

static char got[200000];
static size_t got_len, got_max;

static size_t can_take(void *opaque)
{
	(void)opaque;
	return got_max - got_len;
}

static void take(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	memcpy(got + got_len, data, len);
	got_len += len;
	got[got_len] = 0;
}

static unsigned rooms;

static void room(void *opaque)
{
	(void)opaque;
	rooms++;
}

static char seen[20]; /* '1' for each time somebody was there after a change, else '0' */

static void note_host(void *opaque)
{
	(void)opaque;
	strcat(seen, chr_is_attached(chr) ? "1" : "0");
}

static struct chr_front front = {
	.can_take = can_take, .input = take, .room = room, .host_changed = note_host};

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmm-chr-unix-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(spec, sizeof(spec), "unix:%s/console", dir);
	path = spec + 5;
	signal(SIGPIPE, SIG_IGN);
	got_len = 0;
	got_max = GOT_MAX;
	rooms = 0;
	seen[0] = 0;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(chr_open(&chr, spec, loop, NULL), 0);
	assert_int_equal(chr_attach(chr, &front, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (chr)
		chr_detach(chr, &front);
	chr_close(chr);
	chr = NULL;
	loop_destroy(loop);
	/* The socket itself is gone, so the folder is empty. */
	return rmdir(dir);
}

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int join(void)
{
	int fd = connect_to(path);

	run();
	return fd;
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
		ssize_t n = recv(fd, buf + len, strlen(text) - len, 0);

		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_string_equal(buf, text);
	assert_int_equal(recv(fd, buf, 1, MSG_DONTWAIT), -1);
}

static void test_socket_is_private(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_string_equal(chr_name(chr), path);
}

static void test_client_reads_and_types(void **state)
{
	int fd = join();

	(void)state;
	put("login: \n");
	expect(fd, "login: \n");
	assert_int_equal(send(fd, "root\n", 5, 0), 5);
	run();
	assert_string_equal(got, "root\n");
	close(fd);
}

static void test_who_comes_sees_what_was(void **state)
{
	int fd;

	(void)state;
	put("booting\n");
	put("ready\n");
	fd = join();
	expect(fd, "booting\nready\n");
	put("more\n");
	expect(fd, "more\n");
	close(fd);
	run();
	put("meanwhile\n");
	fd = join();
	expect(fd, "booting\nready\nmore\nmeanwhile\n");
	close(fd);
}

static void test_coming_and_going_is_told(void **state)
{
	unsigned columns, rows;
	int fd;

	(void)state;
	assert_false(chr_is_attached(chr));
	fd = join();
	assert_string_equal(seen, "1");
	assert_false(chr_get_size(chr, &columns, &rows));
	close(fd);
	run();
	assert_string_equal(seen, "10");
	fd = join();
	assert_string_equal(seen, "101");
	close(fd);
	/* Found by a write that fails. */
	put("anybody?\n");
	run();
	assert_string_equal(seen, "1010");
}

static void test_channel_shows_nothing_old(void **state)
{
	int fd;

	(void)state;
	put("for nobody\n");
	chr_drop_history(chr);
	put("for nobody either\n");
	fd = join();
	put("for him\n");
	expect(fd, "for him\n");
	close(fd);
	run();
	fd = join();
	put("for her\n");
	expect(fd, "for her\n");
	close(fd);
}

static void test_history_keeps_the_end(void **state)
{
	static char line[101], buf[CHR_HISTORY_BYTES + 1];
	size_t len = 0;
	int fd;

	(void)state;
	memset(line, 'x', 99);
	for (int i = 0; i < 3000; i++) {
		line[0] = (char)('a' + i % 26);
		line[99] = '\n';
		put(line);
	}
	fd = join();
	while (len < CHR_HISTORY_BYTES) {
		ssize_t n = recv(fd, buf + len, sizeof(buf) - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			assert_true(loop_run_once(loop, 1000));
	}
	assert_int_equal(len, CHR_HISTORY_BYTES);
	assert_memory_equal(buf + len - 100, line, 100);
	close(fd);
}

static void test_second_client_is_turned_away(void **state)
{
	char text[100] = "";
	int first = join(), second = join();

	(void)state;
	assert_true(recv(second, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "somebody else is on this console"));
	assert_int_equal(recv(second, text, sizeof(text), 0), 0);
	close(second);
	put("first only\n");
	expect(first, "first only\n");
	/* When the first is gone there is room. */
	close(first);
	run();
	second = join();
	expect(second, "first only\n");
	close(second);
}

static void test_client_that_does_not_read_holds_output(void **state)
{
	static char block[4096];
	int fd = join();
	size_t written = 0, n;

	(void)state;
	while ((n = chr_write(chr, block, sizeof(block))) > 0)
		written += n;
	assert_true(written > CHR_OUTPUT_BYTES);
	/* It leaves: nobody waits any more. */
	close(fd);
	while (!rooms)
		assert_true(loop_run_once(loop, 1000));
	assert_int_equal(chr_write(chr, block, sizeof(block)), sizeof(block));
	assert_int_equal(chr_room(chr), CHR_OUTPUT_BYTES);
}

static void test_write_to_a_client_that_left(void **state)
{
	int fd = join();

	(void)state;
	close(fd);
	/* Before the loop knows of it */
	put("into the air\n");
	put("again\n");
	run();
	fd = join();
	expect(fd, "into the air\nagain\n");
	close(fd);
}

static void test_unread_input_waits(void **state)
{
	char many[300];
	int fd = join();

	(void)state;
	memset(many, 'k', sizeof(many));
	assert_int_equal(send(fd, many, sizeof(many), 0), sizeof(many));
	run();
	assert_int_equal(got_len, (size_t)GOT_MAX);
	got_len = 0;
	chr_accept_input(chr);
	run();
	assert_int_equal(got_len, (size_t)GOT_MAX);
	/* Who typed may be gone: the keys are kept. */
	close(fd);
	run();
	got_len = 0;
	chr_accept_input(chr);
	run();
	assert_int_equal(got_len, (size_t)GOT_MAX);
	got_len = 0;
	chr_accept_input(chr);
	run();
	assert_int_equal(got_len, 300 - 3 * ((size_t)GOT_MAX));
}

enum {
	MUCH = 100000
};

/* More than is read ahead, while the guest takes nothing; then its sender is gone. */
static void send_much_and_leave(void)
{
	static char much[MUCH];
	int fd = join();

	for (size_t i = 0; i < MUCH; i++)
		much[i] = (char)(i % 251);
	got_max = 0;
	assert_int_equal(send(fd, much, MUCH, MSG_DONTWAIT), MUCH);
	run();
	close(fd);
}

static void expect_much(void)
{
	got_max = sizeof(got);
	for (int i = 0; i < 1000 && got_len < MUCH; i++) {
		chr_accept_input(chr);
		loop_run_once(loop, 0);
	}
	assert_true(got_len >= MUCH);
	for (size_t i = 0; i < MUCH; i++)
		assert_int_equal(got[i], (char)(i % 251));
}

static void test_who_leaves_is_noticed_before_all_is_taken(void **state)
{
	int fd;

	(void)state;
	send_much_and_leave();
	for (int i = 0; i < 100; i++)
		loop_run_once(loop, 0);
	assert_false(chr_is_attached(chr));
	/* The guest's end of a channel stays open until it has all. */
	assert_string_equal(seen, "1");
	expect_much();
	assert_string_equal(seen, "10");
	fd = join();
	put("next\n");
	expect(fd, "next\n");
	close(fd);
}

static void test_place_is_free_at_once(void **state)
{
	int fd;

	(void)state;
	send_much_and_leave();
	for (int i = 0; i < 100; i++)
		loop_run_once(loop, 0);
	fd = join();
	assert_string_equal(seen, "101");
	put("hello\n");
	expect(fd, "hello\n");
	assert_int_equal(send(fd, "!", 1, 0), 1);
	expect_much();
	run();
	assert_int_equal(got_len, MUCH + 1);
	assert_int_equal(got[MUCH], '!');
	close(fd);
}

/* That he has left is found by a write. */
static void test_output_to_who_left_loses_no_input(void **state)
{
	(void)state;
	send_much_and_leave();
	put("anybody there?\n");
	run();
	assert_false(chr_is_attached(chr));
	expect_much();
}

static void test_who_only_reads_stays(void **state)
{
	int fd = join();

	(void)state;
	assert_int_equal(send(fd, "the question\n", 13, 0), 13);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	run();
	assert_string_equal(got, "the question\n");
	assert_true(chr_is_attached(chr));
	put("the answer\n");
	expect(fd, "the answer\n");
	close(fd);
	run();
	assert_false(chr_is_attached(chr));
	assert_string_equal(seen, "10");
}

/* ---- The file ---- */

static void test_used_name_is_refused(void **state)
{
	struct err err = ERR_INIT;
	struct chr *second;

	(void)state;
	assert_int_equal(chr_open(&second, spec, loop, &err), -EADDRINUSE);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(access(path, F_OK), 0);
}

static void test_left_over_is_replaced(void **state)
{
	char name[64], other[80];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct chr *second;

	(void)state;
	snprintf(name, sizeof(name), "%s/dead", dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	snprintf(other, sizeof(other), "unix:%s", name);
	assert_int_equal(chr_open(&second, other, loop, NULL), 0);
	fd = connect_to(name);
	close(fd);
	chr_close(second);
	assert_int_equal(access(name, F_OK), -1);
}

static void test_other_file_is_never_removed(void **state)
{
	char name[64], other[80];
	struct err err = ERR_INIT;
	struct chr *second;
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "%s/precious", dir);
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	close(fd);
	snprintf(other, sizeof(other), "unix:%s", name);
	assert_int_equal(chr_open(&second, other, loop, &err), -EEXIST);
	assert_non_null(strstr(err.text, "not a socket"));
	assert_int_equal(unlink(name), 0);
}

static void test_only_our_own_socket_is_removed(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	/* Somebody has put something else there meanwhile. */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	chr_detach(chr, &front);
	chr_close(chr);
	chr = NULL;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(socket_is_private),
		TEST(client_reads_and_types),
		TEST(who_comes_sees_what_was),
		TEST(coming_and_going_is_told),
		TEST(channel_shows_nothing_old),
		TEST(history_keeps_the_end),
		TEST(second_client_is_turned_away),
		TEST(client_that_does_not_read_holds_output),
		TEST(write_to_a_client_that_left),
		TEST(unread_input_waits),
		TEST(who_leaves_is_noticed_before_all_is_taken),
		TEST(place_is_free_at_once),
		TEST(output_to_who_left_loses_no_input),
		TEST(who_only_reads_stays),
		TEST(used_name_is_refused),
		TEST(left_over_is_replaced),
		TEST(other_file_is_never_removed),
		TEST(only_our_own_socket_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
