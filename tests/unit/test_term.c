/*
 * The terminal's settings: raw only while wanted and in the foreground, and back on
 * every way out. Children play the program, on a pseudo-terminal whose settings the
 * test looks at.
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
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "devices/backend/term.h"

static int master, slave;
static struct termios before;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(master);
	close(slave);
	return 0;
}

static bool is_raw(void)
{
	struct termios now;

	return tcgetattr(slave, &now) == 0 && !(now.c_lflag & (ICANON | ECHO | ISIG)) &&
		!(now.c_iflag & (ICRNL | IXON));
}

static bool is_restored(void)
{
	struct termios now;

	return tcgetattr(slave, &now) == 0 && now.c_lflag == before.c_lflag &&
		now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag &&
		now.c_cflag == before.c_cflag;
}

/* ---- In this process: the pseudo-terminal is not its controlling terminal ---- */

static bool told_raw;

static void note_raw(void *opaque, bool raw)
{
	(void)opaque;
	told_raw = raw;
}

static void test_raw_and_back(void **state)
{
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(term_open(loop, slave, NULL), 0);
	term_set_raw_fn(note_raw, NULL);
	assert_true(is_restored());
	assert_false(term_is_raw());
	term_start();
	assert_true(is_raw());
	assert_true(term_is_raw());
	assert_true(told_raw);
	term_restore();
	assert_true(is_restored());
	term_restore();
	term_start();
	assert_true(is_raw());
	term_close();
	assert_true(is_restored());
	/* All of it is legal with no terminal open. */
	term_restore();
	term_start();
	term_set_verbatim();
	assert_false(term_is_raw());
	term_close();
	loop_destroy(loop);
}

static void test_not_a_terminal(void **state)
{
	struct loop *loop;
	struct err err = ERR_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(term_open(loop, fds[0], &err), -ENOTTY);
	assert_false(err_is_set(&err));
	loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
}

static void test_one_terminal_at_a_time(void **state)
{
	struct loop *loop;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(term_open(loop, slave, NULL), 0);
	assert_int_equal(term_open(loop, slave, &err), -EBUSY);
	assert_true(err_is_set(&err));
	term_close();
	loop_destroy(loop);
}

static unsigned new_columns, new_rows;

static void note_size(void *opaque, unsigned columns, unsigned rows)
{
	(void)opaque;
	new_columns = columns;
	new_rows = rows;
}

static void test_window_size(void **state)
{
	struct winsize size = {.ws_col = 132, .ws_row = 50};
	unsigned columns, rows;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_false(term_get_size(&columns, &rows));
	assert_int_equal(term_open(loop, slave, NULL), 0);
	/* A terminal that does not know says 0 by 0. */
	assert_false(term_get_size(&columns, &rows));
	term_set_size_fn(note_size, NULL);
	assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
	assert_true(term_get_size(&columns, &rows));
	assert_int_equal(columns, 132);
	assert_int_equal(rows, 50);
	raise(SIGWINCH);
	assert_true(loop_run_once(loop, 1000));
	assert_int_equal(new_columns, 132);
	assert_int_equal(new_rows, 50);
	term_close();
	loop_destroy(loop);
}

static void test_line_feeds(void **state)
{
	struct loop *loop;
	struct termios now;

	(void)state;
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(term_open(loop, slave, NULL), 0);
	term_start();
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_int_equal(now.c_oflag & (OPOST | ONLCR), OPOST | ONLCR);
	term_set_verbatim();
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_int_equal(now.c_oflag & OPOST, 0);
	term_close();
	assert_true(is_restored());
	loop_destroy(loop);
}

static volatile sig_atomic_t own_handler_ran;

static void own_handler(int number)
{
	(void)number;
	own_handler_ran = 1;
}

static void test_handlers_of_others_stay(void **state)
{
	struct sigaction own = {.sa_handler = own_handler}, old_term, old_usr1, now;
	struct loop *loop;

	(void)state;
	sigaction(SIGTERM, &own, &old_term);
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(loop_create(&loop, NULL), 0);
	assert_int_equal(term_open(loop, slave, NULL), 0);
	term_start();
	raise(SIGTERM);
	assert_true(own_handler_ran);
	assert_true(is_raw());
	raise(SIGHUP);
	assert_true(is_raw());
	/* One that comes later stays as well. */
	sigaction(SIGUSR1, &own, &old_usr1);
	term_close();
	sigaction(SIGUSR1, NULL, &now);
	assert_true(now.sa_handler == own_handler);
	signal(SIGUSR1, SIG_DFL);
	sigaction(SIGTERM, &old_term, NULL);
	signal(SIGHUP, SIG_DFL);
	/* Ours are gone. */
	sigaction(SIGTSTP, NULL, &now);
	assert_true(now.sa_handler == SIG_DFL);
	loop_destroy(loop);
}

/* ---- Ways out, in a child ---- */

enum {
	WAIT_S = 20,
	READY = 'r',
};

static int ready[2], go[2];
static pid_t child;

static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGSYS};

static void start_child(void (*fn)(void))
{
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		/* No core file; and the test's own handlers for faults stay with the test. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
			signal(faults[i], SIG_DFL);
		alarm(WAIT_S);
		fn();
		_exit(99);
	}
}

static void close_pipes(void)
{
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
}

static void wait_ready(void)
{
	struct pollfd pfd = {.fd = ready[0], .events = POLLIN};
	char c;

	assert_int_equal(poll(&pfd, 1, WAIT_S * 1000), 1);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, READY);
}

static int end_child(void)
{
	int status;

	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	close_pipes();
	return status;
}

/* In the child: raw, says so, and waits to be let go. */
static void go_raw(void)
{
	static const char c = READY;
	struct loop *loop;
	char answer;

	if (loop_create(&loop, NULL) < 0 || term_open(loop, slave, NULL) < 0)
		_exit(98);
	term_start();
	if (write(ready[1], &c, 1) != 1 || read(go[0], &answer, 1) != 1)
		_exit(97);
}

static int death_signal;

static void die_by_signal(void)
{
	go_raw();
	raise(death_signal);
}

static void test_restored_after_fatal_signals(void **state)
{
	static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGSYS,
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU,
		SIGXFSZ};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int status;

		death_signal = signals[i];
		start_child(die_by_signal);
		wait_ready();
		assert_true(is_raw());
		status = end_child();
		assert_true(is_restored());
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
}

static void wait_for_signals(void)
{
	go_raw();
	for (;;)
		pause();
}

static void test_restored_after_signals_from_outside(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGSEGV, SIGABRT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		start_child(wait_for_signals);
		wait_ready();
		assert_true(is_raw());
		assert_int_equal(kill(child, signals[i]), 0);
		end_child();
		assert_true(is_restored());
	}
}

static void fault(void)
{
	volatile uintptr_t nowhere = 16;

	go_raw();
	*(volatile int *)nowhere = 1;
}

static void fail_assertion(void)
{
	go_raw();
	abort();
}

static void leave_by_exit(void)
{
	go_raw();
	exit(7);
}

static void test_restored_after_fault_abort_and_exit(void **state)
{
	static void (*const ways[])(void) = {fault, fail_assertion, leave_by_exit};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		start_child(ways[i]);
		wait_ready();
		assert_true(is_raw());
		end_child();
		assert_true(is_restored());
	}
}

/* Somebody who was there first (a sanitizer, a debugger's stub) still gets the fault. */
static void check_and_leave(int number)
{
	(void)number;
	_exit(is_restored() ? 42 : 43);
}

static void fault_with_earlier_handler(void)
{
	signal(SIGSEGV, check_and_leave);
	fault();
}

static void test_earlier_fault_handler_runs_after_restoring(void **state)
{
	int status;

	(void)state;
	start_child(fault_with_earlier_handler);
	wait_ready();
	status = end_child();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* ---- Job control: a shell on its own terminal, with one job ---- */

static int job_ends[2]; /* the job ends when it can read here */
static pid_t job;

/* The shell's checks; its exit status is the line that failed. */
#define SHELL_ASSERT(expr)                                                                         \
	do {                                                                                       \
		if (!(expr))                                                                       \
			_exit(__LINE__ % 90 + 1);                                                  \
	} while (0)

static bool comes_true(bool (*fn)(void))
{
	const struct timespec pause_time = {.tv_nsec = 2000000};

	for (int i = 0; i < WAIT_S * 500; i++) {
		if (fn())
			return true;
		nanosleep(&pause_time, NULL);
	}
	return false;
}

static void run_job(void)
{
	struct loop *loop;
	char c;

	fcntl(job_ends[0], F_SETFL, O_NONBLOCK);
	if (loop_create(&loop, NULL) < 0 || term_open(loop, slave, NULL) < 0)
		_exit(98);
	term_start();
	while (read(job_ends[0], &c, 1) != 1)
		loop_run_once(loop, 20);
	term_close();
	loop_destroy(loop);
	_exit(0);
}

static void give_terminal_to(pid_t group)
{
	SHELL_ASSERT(tcsetpgrp(slave, group) == 0);
}

static void start_job(bool foreground)
{
	SHELL_ASSERT(setsid() >= 0);
	SHELL_ASSERT(ioctl(slave, TIOCSCTTY, 0) == 0);
	SHELL_ASSERT(pipe(job_ends) == 0);
	signal(SIGTTOU, SIG_IGN);
	job = fork();
	if (!job) {
		setpgid(0, 0);
		if (foreground)
			give_terminal_to(getpid());
		signal(SIGTTOU, SIG_DFL);
		run_job();
	}
	/* It is a number for kill(): it must be that of a process. */
	SHELL_ASSERT(job > 0);
	setpgid(job, job);
	if (foreground)
		give_terminal_to(job);
}

static void end_job(void)
{
	int status;

	SHELL_ASSERT(write(job_ends[1], "e", 1) == 1);
	SHELL_ASSERT(waitpid(job, &status, 0) == job);
	SHELL_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	SHELL_ASSERT(is_restored());
	_exit(0);
}

static void stop_job(int number)
{
	int status;

	SHELL_ASSERT(kill(job, number) == 0);
	SHELL_ASSERT(waitpid(job, &status, WUNTRACED) == job);
	SHELL_ASSERT(WIFSTOPPED(status));
}

static void shell_with_sigtstp(void)
{
	start_job(true);
	SHELL_ASSERT(comes_true(is_raw));
	for (int i = 0; i < 3; i++) {
		stop_job(SIGTSTP);
		SHELL_ASSERT(is_restored());
		give_terminal_to(getpgrp());
		give_terminal_to(job);
		SHELL_ASSERT(kill(job, SIGCONT) == 0);
		SHELL_ASSERT(comes_true(is_raw));
	}
	end_job();
}

/* SIGSTOP tells nobody: the shell sets the terminal right by itself. */
static void shell_with_sigstop(void)
{
	start_job(true);
	SHELL_ASSERT(comes_true(is_raw));
	stop_job(SIGSTOP);
	give_terminal_to(getpgrp());
	SHELL_ASSERT(tcsetattr(slave, TCSANOW, &before) == 0);
	give_terminal_to(job);
	SHELL_ASSERT(kill(job, SIGCONT) == 0);
	SHELL_ASSERT(comes_true(is_raw));
	end_job();
}

/* Continued in the background it leaves the terminal alone, and goes raw in the foreground. */
static void shell_with_background(void)
{
	start_job(true);
	SHELL_ASSERT(comes_true(is_raw));
	stop_job(SIGTSTP);
	give_terminal_to(getpgrp());
	SHELL_ASSERT(kill(job, SIGCONT) == 0);
	/* It must not be stopped by SIGTTOU, nor touch anything. */
	for (int i = 0; i < 20; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		SHELL_ASSERT(is_restored());
	}
	SHELL_ASSERT(waitpid(job, NULL, WUNTRACED | WNOHANG) == 0);
	give_terminal_to(job);
	SHELL_ASSERT(comes_true(is_raw));
	end_job();
}

static void shell_starts_in_background(void)
{
	start_job(false);
	for (int i = 0; i < 20; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		SHELL_ASSERT(is_restored());
	}
	/* Brought to the foreground without having been stopped: no signal tells of it. */
	give_terminal_to(job);
	SHELL_ASSERT(comes_true(is_raw));
	/* And it ends in the background: the terminal is the shell's. */
	give_terminal_to(getpgrp());
	SHELL_ASSERT(tcsetattr(slave, TCSANOW, &before) == 0);
	end_job();
}

static void run_shell(void (*fn)(void))
{
	int status;

	start_child(fn);
	assert_int_equal(waitpid(child, &status, 0), child);
	close_pipes();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_stop_and_continue(void **state)
{
	(void)state;
	run_shell(shell_with_sigtstp);
}

static void test_sigstop_and_continue(void **state)
{
	(void)state;
	run_shell(shell_with_sigstop);
}

static void test_continued_in_the_background(void **state)
{
	(void)state;
	run_shell(shell_with_background);
}

static void test_started_in_the_background(void **state)
{
	(void)state;
	run_shell(shell_starts_in_background);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(raw_and_back),
		TEST(not_a_terminal),
		TEST(one_terminal_at_a_time),
		TEST(window_size),
		TEST(line_feeds),
		TEST(handlers_of_others_stay),
		TEST(restored_after_fatal_signals),
		TEST(restored_after_signals_from_outside),
		TEST(restored_after_fault_abort_and_exit),
		TEST(earlier_fault_handler_runs_after_restoring),
		TEST(stop_and_continue),
		TEST(sigstop_and_continue),
		TEST(continued_in_the_background),
		TEST(started_in_the_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
