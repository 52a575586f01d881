/*
 * Which signals reach the loop and which end nothing: each case in a process of its own,
 * because dispositions and masks belong to the process.
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
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/signals.h"

/* The child's result: 0, or the line of what was wrong in it. */
#define REQUIRE(expr)                                                                              \
	do {                                                                                       \
		if (!(expr))                                                                       \
			return __LINE__ % 251 + 1;                                                 \
	} while (0)

/* Runs `child` in another process; fails unless it ends by itself with 0. */
static void run_in_child(int (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The next signal that waits on the descriptor, or 0. */
static unsigned take(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? info.ssi_signo : 0;
}

static int child_gets_each(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
	int fd;

	signal(SIGHUP, SIG_DFL);
	fd = signals_open(NULL);
	REQUIRE(fd >= 0 && take(fd) == 0);
	REQUIRE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		raise(numbers[i]);
		REQUIRE(take(fd) == (unsigned)numbers[i]);
	}
	return 0;
}

static void test_each_reaches_the_descriptor(void **state)
{
	(void)state;
	run_in_child(child_gets_each);
}

static int child_under_nohup(void)
{
	int fd;

	signal(SIGHUP, SIG_IGN);
	fd = signals_open(NULL);
	REQUIRE(fd >= 0);
	raise(SIGHUP);
	REQUIRE(take(fd) == 0);
	raise(SIGTERM);
	REQUIRE(take(fd) == SIGTERM);
	return 0;
}

static void test_nohup_is_respected(void **state)
{
	(void)state;
	run_in_child(child_under_nohup);
}

static int child_writes_to_nobody(void)
{
	int fds[2];

	REQUIRE(signals_open(NULL) >= 0 && pipe2(fds, O_CLOEXEC) == 0);
	close(fds[0]);
	REQUIRE(write(fds[1], "x", 1) < 0 && errno == EPIPE);
	return 0;
}

static void test_reader_gone_is_an_error(void **state)
{
	(void)state;
	run_in_child(child_writes_to_nobody);
}

/* `ulimit -f`: what a guest prints into a file must not be able to end the program. */
static int child_fills_its_file(void)
{
	const struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};
	char path[] = "/tmp/vmm-signals-XXXXXX";
	int fd = mkstemp(path);

	REQUIRE(fd >= 0 && unlink(path) == 0);
	REQUIRE(signals_open(NULL) >= 0 && setrlimit(RLIMIT_FSIZE, &limit) == 0);
	REQUIRE(write(fd, "x", 1) == 1);
	REQUIRE(write(fd, "x", 1) < 0 && errno == EFBIG);
	return 0;
}

static void test_file_limit_is_an_error(void **state)
{
	(void)state;
	run_in_child(child_fills_its_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_reaches_the_descriptor),
		cmocka_unit_test(test_nohup_is_respected),
		cmocka_unit_test(test_reader_gone_is_an_error),
		cmocka_unit_test(test_file_limit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
