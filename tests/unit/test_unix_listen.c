/*
 * Sockets that listen under a name: whose file they replace, whose they remove, and who may
 * connect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/unix_listen.h"

static char dir[32], path[64];
static struct unix_listen one, two;
static struct err err;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmm-listen-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	err = (struct err)ERR_INIT;
	assert_int_equal(unix_listen_init(&one, "test socket", path, 0, &err), 0);
	assert_int_equal(unix_listen_init(&two, "test socket", path, 0, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unix_listen_close(&one);
	unix_listen_close(&two);
	unlink(path);
	return rmdir(dir);
}

static bool can_connect(void)
{
	int fd = unix_listen_connect(&one.address);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A socket file whose program has died. */
static void leave_over(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&one.address, sizeof(one.address)), 0);
	close(fd);
}

static void write_file(void)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
}

static void listen_is_private_and_goes(void **state)
{
	struct stat st;

	(void)state;
	assert_false(can_connect());
	assert_int_equal(unix_listen_open(&one, 4, &err), 0);
	assert_true(can_connect());
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	unix_listen_close(&one);
	assert_int_equal(one.fd, -1);
	assert_int_equal(access(path, F_OK), -1);
	unix_listen_close(&one);
}

static void listen_replaces_a_left_over(void **state)
{
	(void)state;
	leave_over();
	assert_int_equal(unix_listen_open(&one, 4, &err), 0);
	assert_true(can_connect());
}

static void listen_leaves_a_listener_alone(void **state)
{
	(void)state;
	assert_int_equal(unix_listen_open(&one, 4, &err), 0);
	assert_int_equal(unix_listen_open(&two, 4, &err), -EADDRINUSE);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_string_equal(strstr(err.text, ": another"), ": another program listens on it");
	assert_memory_equal(err.text, "can't make the test socket /", 28);
	assert_string_equal(err.hint, "end that program, or choose another name");
	unix_listen_close(&two);
	assert_true(can_connect());
}

/* Its queue is full: connect() says so in other words. */
static void listen_leaves_a_busy_one_alone(void **state)
{
	int fds[8], count = 0;

	(void)state;
	assert_int_equal(unix_listen_open(&one, 0, &err), 0);
	while (count < 8 && (fds[count] = unix_listen_connect(&one.address)) >= 0)
		count++;
	assert_in_range(count, 1, 7);
	assert_int_equal(unix_listen_open(&two, 4, &err), -EADDRINUSE);
	while (count--)
		close(fds[count]);
	assert_int_equal(access(path, F_OK), 0);
}

static void listen_leaves_other_files_alone(void **state)
{
	struct stat st;

	(void)state;
	write_file();
	assert_int_equal(unix_listen_open(&one, 4, &err), -EEXIST);
	assert_non_null(strstr(err.text, "there is a file of that name, and it is not a socket"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	err_clear(&err);
	assert_int_equal(unix_listen_remove(&one, &err), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
}

/* Somebody has put his own socket in the place of ours. */
static void close_removes_only_its_own(void **state)
{
	(void)state;
	assert_int_equal(unix_listen_open(&one, 4, &err), 0);
	unlink(path);
	assert_int_equal(unix_listen_open(&two, 4, &err), 0);
	unix_listen_close(&one);
	assert_true(can_connect());
}

static void init_refuses_long_names(void **state)
{
	struct unix_listen third;
	char longest[sizeof(third.address.sun_path) + 1];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(unix_listen_init(&third, "test socket", longest, 0, &err), -ENAMETOOLONG);
	assert_memory_equal(
		err.text, "a test socket's name has at most 107 bytes, not 108: aaa", 55);
	unix_listen_close(&third);
	longest[107] = '\0';
	assert_int_equal(unix_listen_init(&third, "test socket", longest, 0, &err), 0);
	err_clear(&err);
	assert_int_equal(unix_listen_init(&third, "test socket", longest, 96, &err), -ENAMETOOLONG);
	assert_memory_equal(
		err.text, "a test socket's name has at most 96 bytes, not 107: aaa", 54);
}

static void listen_says_what_fails(void **state)
{
	(void)state;
	assert_int_equal(unix_listen_init(&two, "test socket", "/nowhere/x", 0, &err), 0);
	assert_int_equal(unix_listen_open(&two, 4, &err), -ENOENT);
	assert_string_equal(
		err.text, "can't make the test socket /nowhere/x: No such file or directory");
}

/* Without a descriptor nobody can be asked, so the file is not taken for a left-over. */
static void listen_without_descriptors_removes_nothing(void **state)
{
	struct rlimit was, none;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&one.address, sizeof(one.address)), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){.rlim_cur = (rlim_t)fd + 1, .rlim_max = was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = unix_listen_open(&one, 4, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(ret, -EMFILE);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(listen_is_private_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(listen_replaces_a_left_over, setup, teardown),
		cmocka_unit_test_setup_teardown(listen_leaves_a_listener_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(listen_leaves_a_busy_one_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(listen_leaves_other_files_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(close_removes_only_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(init_refuses_long_names, setup, teardown),
		cmocka_unit_test_setup_teardown(listen_says_what_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(
			listen_without_descriptors_removes_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
