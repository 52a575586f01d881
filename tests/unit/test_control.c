/*
 * The control socket: requests and answers, clients that send nonsense, too much, too little, or
 * never read, and the client's side against a machine that lies or says nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/control.h"
#include "vmm/control_client.h"

static struct loop *loop;
static struct control *control;
static int taken_fd;
static unsigned calls;

static void say_words(struct control_call *call, void *opaque)
{
	assert_ptr_equal(opaque, &calls);
	calls++;
	control_print(call, "count=%u\n", call->word_count);
	for (unsigned i = 0; i < call->word_count; i++)
		control_print(call, "word=%s\n", call->words[i]);
}

static void say_much(struct control_call *call, void *opaque)
{
	(void)opaque;
	for (int i = 0; i < CONTROL_TEXT_MAX; i++)
		control_print(call, "0123456789");
}

static void refuse(struct control_call *call, void *opaque)
{
	(void)opaque;
	control_print(call, "this is forgotten");
	control_fail(call, "the %s is %d", "answer", 42);
	control_fail(call, "this comes too late");
	control_print(call, "this too");
}

static void take_over(struct control_call *call, void *opaque)
{
	int fd = control_socket(call);

	(void)opaque;
	taken_fd = fd < 0 ? -1 : dup(fd);
	if (fd >= 0)
		control_take(call);
}

/* A file that says "pixels"; with a word the answer is an error all the same. */
static void send_file(struct control_call *call, void *opaque)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)opaque;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "pixels", 6), 6);
	control_attach(call, fd);
	control_print(call, "size=6\n");
	if (call->word_count)
		control_fail(call, "no");
}

static const struct control_command table[] = {
	{"words", "[A] [B]", 0, 2, say_words},
	{"much", "", 0, 0, say_much},
	{"refuse", "", 0, 0, refuse},
	{"take", "", 0, 0, take_over},
	{"file", "[no]", 0, 1, send_file},
	{.name = NULL},
};

static int setup(void **state)
{
	(void)state;
	calls = 0;
	taken_fd = -1;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(control_start(&control, -1, loop, table, &calls, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_stop(control);
	loop_destroy(loop);
	return 0;
}

static int connect_client(void)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(control_add_client(control, fds[0]), 0);
	return fds[1];
}

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	run();
}

static void expect(int fd, const char *text)
{
	char got[500];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n >= 0);
	got[n] = 0;
	assert_string_equal(got, text);
}

static void expect_nothing(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_end(int fd)
{
	char bytes[500];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), 0);
	while (n > 0);
	/* The kernel says "reset" when the other side had not read everything. */
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
}

/* ---- The server ---- */

static void test_requests_and_answers(void **state)
{
	int fd = connect_client();

	(void)state;
	put(fd, "words\n");
	expect(fd, "ok 8\ncount=0\n");
	put(fd, "words one two\n");
	expect(fd, "ok 26\ncount=2\nword=one\nword=two\n");
	put(fd, "refuse\n");
	expect(fd, "error 16\nthe answer is 42");
	put(fd, "help\n");
	expect(fd, "ok 46\nhelp\nwords [A] [B]\nmuch\nrefuse\ntake\nfile [no]\n");
	close(fd);
	run();
}

static void test_requests_in_pieces_and_in_heaps(void **state)
{
	int fd = connect_client();

	(void)state;
	put(fd, "wo");
	expect_nothing(fd);
	put(fd, "rds x");
	expect_nothing(fd);
	put(fd, "\n");
	expect(fd, "ok 15\ncount=1\nword=x\n");
	put(fd, "words\nwords\nwor");
	expect(fd, "ok 8\ncount=0\nok 8\ncount=0\n");
	put(fd, "ds\n");
	expect(fd, "ok 8\ncount=0\n");
	close(fd);
}

static void test_wrong_requests_get_an_error_and_may_go_on(void **state)
{
	int fd = connect_client();

	(void)state;
	put(fd, "nothing\n");
	expect(fd, "error 29\nthere is no command 'nothing'");
	put(fd, "\n");
	expect(fd, "error 22\nthere is no command ''");
	put(fd, "words 1 2 3\n");
	expect(fd, "error 30\nwords takes the words: [A] [B]");
	put(fd, "much x\n");
	expect(fd, "error 26\nmuch takes the words: none");
	put(fd, "words 1 2 3 4 5 6 7 8 9\n");
	expect(fd, "error 29\na request has at most 9 words");
	put(fd, "words\n");
	expect(fd, "ok 8\ncount=0\n");
	close(fd);
}

static void test_garbage(void **state)
{
	int fd = connect_client();

	(void)state;
	put(fd, "wor\x01");
	expect(fd, "error 38\na request is a line of printable ASCII");
	expect_end(fd);
	fd = connect_client();
	put(fd, "words \xc3\xa4\n");
	expect_end(fd);
	assert_int_equal(calls, 0);
}

static void test_endless_line(void **state)
{
	int fd = connect_client();

	(void)state;
	for (int i = 0; i < CONTROL_LINE_MAX - 1; i++)
		assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	run();
	expect_nothing(fd);
	put(fd, "x");
	expect(fd, "error 23\nthe request is too long");
	expect_end(fd);
}

static void test_never_reads(void **state)
{
	int fd = connect_client(), other;
	ssize_t n = 0;

	(void)state;
	/* It asks until neither side takes any more. */
	for (int i = 0; i < 10000 && n >= 0; i++) {
		n = send(fd, "much\n", 5, MSG_NOSIGNAL);
		run();
	}
	assert_int_equal(n, -1);
	assert_int_equal(errno, EAGAIN);
	other = connect_client();
	put(other, "words\n");
	expect(other, "ok 8\ncount=0\n");
	close(other);
	close(fd);
	run();
}

static void test_long_answer(void **state)
{
	static char text[CONTROL_TEXT_MAX + 100];
	int fd = connect_client();
	size_t len = 0;
	ssize_t n;

	(void)state;
	put(fd, "much\nwords\n");
	do {
		n = recv(fd, text + len, sizeof(text) - len, 0);
		len += n > 0 ? (size_t)n : 0;
		run();
	} while (n > 0);
	text[len] = 0;
	assert_non_null(strstr(text, "ok 32767\n0123456789"));
	assert_non_null(strstr(text, "ok 8\ncount=0\n"));
	close(fd);
}

static void test_many_clients(void **state)
{
	int first = connect_client(), second = connect_client(), others[CONTROL_CLIENTS_MAX];

	(void)state;
	put(first, "words\n");
	expect(first, "ok 8\ncount=0\n");
	for (int i = 0; i < CONTROL_CLIENTS_MAX - 1; i++)
		others[i] = connect_client();
	/* The second was silent longest. */
	expect_end(second);
	put(first, "words\n");
	expect(first, "ok 8\ncount=0\n");
	put(others[CONTROL_CLIENTS_MAX - 2], "words\n");
	expect(others[CONTROL_CLIENTS_MAX - 2], "ok 8\ncount=0\n");
	for (int i = 0; i < CONTROL_CLIENTS_MAX - 1; i++)
		close(others[i]);
	close(first);
	run();
}

static void test_taking_the_connection_over(void **state)
{
	int fd = connect_client();

	(void)state;
	put(fd, "take\n");
	assert_true(taken_fd >= 0);
	expect_nothing(fd);
	/* It is no client any more: what comes is the taker's. */
	put(fd, "words\n");
	expect(taken_fd, "words\n");
	assert_int_equal(calls, 0);
	close(taken_fd);
	expect_end(fd);
	fd = connect_client();
	put(fd, "take\nwords\n");
	assert_int_equal(taken_fd, -1);
	expect(fd, "error 43\nnothing may follow 'take' before its answerok 8\ncount=0\n");
	close(fd);
}

static void test_a_client_that_leaves_in_the_middle(void **state)
{
	int fd = connect_client();

	(void)state;
	put(fd, "much\n");
	close(fd);
	run();
	fd = connect_client();
	put(fd, "wor");
	close(fd);
	run();
	fd = connect_client();
	put(fd, "words\n");
	shutdown(fd, SHUT_WR);
	run();
	expect(fd, "ok 8\ncount=0\n");
	expect_end(fd);
}

static void test_a_listening_socket(void **state)
{
	char root[] = "/tmp/vmm-test-XXXXXX", command[64];
	struct runtime_name web;
	struct control *server;
	pid_t pid;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", root, 1), 0);
	assert_int_equal(runtime_name_claim(&web, "web", NULL), 0);
	assert_int_equal(control_start(&server, web.listen_fd, loop, table, &calls, NULL), 0);
	fd = runtime_dir_connect(&web.dir, "web", &pid);
	assert_true(fd >= 0);
	put(fd, "words\n");
	expect(fd, "ok 8\ncount=0\n");
	control_stop(server);
	expect_end(fd);
	runtime_name_release(&web);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	assert_int_equal(system(command), 0);
}

/* ---- The client ---- */

/* Somebody at the other end who says `text`, whatever is asked, and then perhaps hangs up. */
static int ask_liar(
	const char *text, size_t len, bool hangs_up, struct control_answer *answer, struct err *err)
{
	struct control_link link;
	int fds[2], ret;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(send(fds[1], text, len, MSG_NOSIGNAL), len);
	if (hangs_up)
		shutdown(fds[1], SHUT_WR);
	control_open_fd(&link, "web", fds[0]);
	*err = (struct err)ERR_INIT;
	ret = control_ask(&link, "status", 50, answer, err);
	control_close(&link);
	close(fds[1]);
	return ret;
}

static void test_answers_true_and_false(void **state)
{
	static const struct {
		const char *text;
		int ret;
		bool hangs_up;
	} cases[] = {
		{"ok 0\n", 0, false},
		{"ok 5\nhello", 0, false},
		{"ok 5\nhello, and more", 0, false},
		{"error 5\nhello", -EREMOTEIO, false},
		{"", -ETIMEDOUT, false},
		{"", -EPIPE, true},
		{"ok", -ETIMEDOUT, false},
		{"ok 5\nhell", -ETIMEDOUT, false},
		{"ok 5\nhell", -EPIPE, true},
		{"ok 32769\n", -EPROTO, false},
		{"ok 99999999999999999999\n", -EPROTO, false},
		{"ok -1\n", -EPROTO, false},
		{"ok\n", -EPROTO, false},
		{"ok 5x\nhello", -EPROTO, false},
		{"fine 5\nhello", -EPROTO, false},
		{"SSH-2.0-OpenSSH_9.2p1\n", -EPROTO, false},
		{"a line that has no end in sight at all", -EPROTO, false},
	};
	static struct control_answer answer;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret = ask_liar(
			cases[i].text, strlen(cases[i].text), cases[i].hangs_up, &answer, &err);

		if (ret != cases[i].ret)
			fail_msg("\"%s\" gives %d", cases[i].text, ret);
		assert_int_equal(err_is_set(&err), ret < 0);
		if (ret < 0)
			assert_int_equal(err.kind, EXIT_CODE_NAME);
	}
	assert_int_equal(ask_liar("ok 5\nhello", 10, false, &answer, &err), 0);
	assert_string_equal(answer.text, "hello");
	assert_int_equal(ask_liar("error 4\na\x1b[m", 12, false, &answer, &err), -EREMOTEIO);
	assert_string_equal(err.text, "web: a?[m");
	assert_int_equal(ask_liar("ok 3\na\0b", 8, false, &answer, &err), -EPROTO);
	assert_int_equal(ask_liar("ok 3\0\n", 6, false, &answer, &err), -EPROTO);
}

static void test_a_request_that_is_too_long(void **state)
{
	char words[400];
	static struct control_answer answer;
	struct control_link link;
	struct err err = ERR_INIT;
	int fds[2];

	(void)state;
	memset(words, 'x', sizeof(words));
	words[sizeof(words) - 1] = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	control_open_fd(&link, "web", fds[0]);
	assert_true(control_ask(&link, words, 50, &answer, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_USAGE);
	control_close(&link);
	close(fds[1]);
}

static void test_values(void **state)
{
	static const char text[] = "name=web\nguest=a=b c\nempty=\nname2=x";
	size_t len;

	(void)state;
	assert_memory_equal(control_find_value(text, "name", &len), "web", 3);
	assert_int_equal(len, 3);
	assert_memory_equal(control_find_value(text, "guest", &len), "a=b c", 5);
	assert_int_equal(len, 5);
	assert_non_null(control_find_value(text, "empty", &len));
	assert_int_equal(len, 0);
	assert_memory_equal(control_find_value(text, "name2", &len), "x", 1);
	assert_null(control_find_value(text, "nam", &len));
	assert_null(control_find_value("", "nam", &len));
}

static void *serve(void *opaque)
{
	(void)opaque;
	loop_run(loop);
	return NULL;
}

static void test_both_sides_together(void **state)
{
	static struct control_answer answer;
	struct err err = ERR_INIT;
	struct control_link link;
	pthread_t thread;
	int fd = connect_client();

	(void)state;
	control_open_fd(&link, "web", fd);
	assert_int_equal(link.pid, getpid());
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_int_equal(control_ask(&link, "words a", 10000, &answer, &err), 0);
	assert_string_equal(answer.text, "count=1\nword=a\n");
	assert_int_equal(control_ask(&link, "much", 10000, &answer, &err), 0);
	assert_int_equal(answer.len, CONTROL_TEXT_MAX - 1);
	assert_int_equal(control_ask(&link, "refuse", 10000, &answer, &err), -EREMOTEIO);
	assert_string_equal(err.text, "web: the answer is 42");
	assert_int_equal(control_wait_end(&link, 1), -ETIMEDOUT);
	loop_stop(loop, 0);
	pthread_join(thread, NULL);
	control_close(&link);
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void test_a_file_comes_along(void **state)
{
	static struct control_answer answer;
	struct err err = ERR_INIT;
	struct control_link link;
	pthread_t thread;
	unsigned before = count_fds();
	char text[8] = "";
	int fd;

	(void)state;
	control_open_fd(&link, "web", connect_client());
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_int_equal(control_ask_file(&link, "file", 10000, &answer, &fd, &err), 0);
	assert_string_equal(answer.text, "size=6\n");
	assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
	assert_string_equal(text, "pixels");
	close(fd);
	/* One that nobody wants, one that is taken back, and none. */
	assert_int_equal(control_ask(&link, "file", 10000, &answer, &err), 0);
	assert_int_equal(control_ask_file(&link, "file no", 10000, &answer, &fd, &err), -EREMOTEIO);
	assert_int_equal(fd, -1);
	assert_int_equal(control_ask_file(&link, "words a", 10000, &answer, &fd, &err), 0);
	assert_int_equal(fd, -1);
	/* One whose client is gone before the answer is taken. */
	assert_int_equal(send(link.fd, "file\n", 5, MSG_NOSIGNAL), 5);
	control_close(&link);
	loop_stop(loop, 0);
	pthread_join(thread, NULL);
	control_stop(control);
	control = NULL;
	assert_int_equal(count_fds(), before);
}

/* A machine that sends more files than were asked for, and no answer. */
static void test_files_of_a_liar(void **state)
{
	static struct control_answer answer;
	struct err err = ERR_INIT;
	struct control_link link;
	unsigned before = count_fds();
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} control_data = {.room = {0}};
	struct iovec iov = {(char *)"ok", 2};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control_data.room,
		.msg_controllen = sizeof(control_data.room)};
	int fds[2], fd;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	control_data.head.cmsg_level = SOL_SOCKET;
	control_data.head.cmsg_type = SCM_RIGHTS;
	control_data.head.cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(&control_data.head), (int[]){0, 1, 2}, 3 * sizeof(int));
	assert_int_equal(sendmsg(fds[1], &msg, MSG_NOSIGNAL), 2);
	control_data.head.cmsg_len = CMSG_LEN(sizeof(int));
	msg.msg_controllen = CMSG_SPACE(sizeof(int));
	assert_int_equal(sendmsg(fds[1], &msg, MSG_NOSIGNAL), 2);
	control_open_fd(&link, "web", fds[0]);
	assert_int_equal(control_ask_file(&link, "file", 50, &answer, &fd, &err), -ETIMEDOUT);
	assert_int_equal(fd, -1);
	control_close(&link);
	close(fds[1]);
	assert_int_equal(count_fds(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests_and_answers),
		TEST(test_requests_in_pieces_and_in_heaps),
		TEST(test_wrong_requests_get_an_error_and_may_go_on),
		TEST(test_garbage),
		TEST(test_endless_line),
		TEST(test_never_reads),
		TEST(test_long_answer),
		TEST(test_many_clients),
		TEST(test_taking_the_connection_over),
		TEST(test_a_client_that_leaves_in_the_middle),
		TEST(test_a_listening_socket),
		TEST(test_answers_true_and_false),
		TEST(test_a_request_that_is_too_long),
		TEST(test_values),
		TEST(test_both_sides_together),
		TEST(test_a_file_comes_along),
		TEST(test_files_of_a_liar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
