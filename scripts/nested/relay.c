/*
 * The outer side of a nested run: starts QEMU, carries the command's standard streams, signals and
 * window size in and its output and exit status out, and ends QEMU whatever happens.
 *
 * It knows nothing of the nested host's inside but the messages of protocol.h, and nothing of
 * QEMU but how to start it. Called by scripts/with-kvm, not by people. One thread, one poll loop.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pump.h"

#define BEAT_LIMIT_MS 60000 /* silence of the nested host that counts as a stall */
#define GRACE_MS      10000 /* from a passed-on signal to the end */
#define NEVER	      UINT64_MAX

enum phase {
	BOOTING,
	RUNNING,
	ENDING
};

struct run {
	struct request request;
	struct host host;
	enum phase phase;
	int signals;
	int attempt;
	bool tty, stdin_is_tty;
	bool told_stdin_end, told_stdout_closed, told_stderr_closed;
	uint64_t limit_at_ms, up_at_ms, beat_at_ms, grace_at_ms;
	struct msg_reader control;
	char *queue; /* messages to init that its port does not take yet */
	size_t queue_bytes;
	struct msg_exit end;
	struct pump in, out, err;
};

void say(const char *format, ...)
{
	va_list arguments;

	fputs("with-kvm: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void clean_up(struct run *run)
{
	tty_restore();
	host_stop(&run->host);
}

static void quit(struct run *run, int status) __attribute__((noreturn));
static void quit(struct run *run, int status)
{
	clean_up(run);
	exit(status);
}

/* Our own failure: says why, shows what the nested host said last. */
static void fail(struct run *run, int status, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
static void fail(struct run *run, int status, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	clean_up(run);
	say("%s", text);
	host_print_log(&run->host);
	exit(status);
}

/* Ends as a process does that the signal killed, which is what a calling shell wants to see. */
static void die_by_signal(struct run *run, int number)
{
	sigset_t mask;

	clean_up(run);
	signal(number, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, number);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	raise(number);
	exit(128 + number);
}

static void queue_message(struct run *run, enum msg_type type, const void *payload, size_t bytes)
{
	struct msg_head head = {.type = type, .bytes = (uint32_t)bytes};
	char *larger = realloc(run->queue, run->queue_bytes + sizeof(head) + bytes);

	if (!larger)
		fail(run, EXIT_OWN_FAILURE, "out of memory");
	run->queue = larger;
	memcpy(larger + run->queue_bytes, &head, sizeof(head));
	if (bytes)
		memcpy(larger + run->queue_bytes + sizeof(head), payload, bytes);
	run->queue_bytes += sizeof(head) + bytes;
}

static void queue_number(struct run *run, enum msg_type type, uint32_t number)
{
	queue_message(run, type, &number, sizeof(number));
}

static void flush_queue(struct run *run)
{
	ssize_t put = write(run->host.ports[PORT_CONTROL], run->queue, run->queue_bytes);

	if (put > 0) {
		run->queue_bytes -= (size_t)put;
		memmove(run->queue, run->queue + put, run->queue_bytes);
	}
}

static void start_attempt(struct run *run)
{
	uint32_t flags = 0;
	size_t bytes;
	char *orders;
	int result;

	if (run->tty)
		flags |= START_TTY;
	if (run->tty && isatty(STDERR_FILENO))
		flags |= START_TTY_STDERR;
	if (!run->request.deterministic)
		flags |= START_BEATS | START_SET_CLOCK;
	result = host_start(&run->host, &run->request);
	if (result < 0)
		fail(run, EXIT_OWN_FAILURE, "cannot start the nested host: %s", strerror(-result));
	orders = host_make_orders(&run->request, flags, &bytes);
	if (!orders)
		fail(run, EXIT_OWN_FAILURE, "working directory: %s", strerror(errno));
	if (bytes > MSG_BYTES_MAX)
		fail(run, EXIT_OWN_FAILURE, "arguments and environment are too long");
	run->queue_bytes = 0;
	queue_message(run, MSG_START, orders, bytes);
	free(orders);
	msg_reader_init(&run->control, run->host.ports[PORT_CONTROL]);
	run->phase = BOOTING;
	run->up_at_ms = now_ms() + run->request.up_limit_ms;
	run->attempt++;
}

/* The nested host died or froze before the command was started: nothing is lost by a new one. */
static void try_again(struct run *run, const char *why)
{
	if (run->attempt > 1)
		fail(run, EXIT_OWN_FAILURE, "the nested host %s, twice", why);
	say("the nested host %s; trying once more", why);
	host_stop(&run->host);
	start_attempt(run);
}

/*
 * A second, non-blocking way to the same pipe or terminal: making the one we were given
 * non-blocking would do that to everyone who shares it.
 */
static int open_again(int fd)
{
	struct stat status;
	char path[64];
	int again = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)))
		again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return again >= 0 ? again : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int port_copy(struct run *run, enum port port)
{
	return fcntl(run->host.ports[port], F_DUPFD_CLOEXEC, 3);
}

static void handle_up(struct run *run)
{
	run->phase = RUNNING;
	run->beat_at_ms = run->request.deterministic ? NEVER : now_ms() + BEAT_LIMIT_MS;
	pump_init(&run->in, fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), port_copy(run, PORT_STDIN));
	pump_init(&run->out, port_copy(run, PORT_STDOUT), open_again(STDOUT_FILENO));
	pump_init(&run->err, port_copy(run, PORT_STDERR), open_again(STDERR_FILENO));
	/* Where the second way could not be had, so little never blocks on a pipe that has room. */
	run->out.write_max = PIPE_BUF;
	run->err.write_max = PIPE_BUF;
	if (run->tty)
		tty_set_raw();
}

static void handle_message(struct run *run)
{
	const struct msg_reader *got = &run->control;

	switch (got->head.type) {
	case MSG_UP:
		handle_up(run);
		break;
	case MSG_BEAT:
		run->beat_at_ms = now_ms() + BEAT_LIMIT_MS;
		break;
	case MSG_TROUBLE:
		tty_restore();
		say("%s", got->payload);
		break;
	case MSG_EXIT:
		if (got->head.bytes != sizeof(run->end) || run->phase != RUNNING)
			fail(run, EXIT_OWN_FAILURE, "the nested host sent nonsense");
		memcpy(&run->end, got->payload, sizeof(run->end));
		run->phase = ENDING;
		run->beat_at_ms = NEVER;
		run->out.bytes_limit = run->end.stdout_bytes;
		run->err.bytes_limit = run->end.stderr_bytes;
		break;
	default:
		break;
	}
}

static void handle_control(struct run *run)
{
	while (msg_receive(&run->control) == 1)
		handle_message(run);
}

static void handle_stop_signal(struct run *run, int number)
{
	if (run->phase != RUNNING || run->grace_at_ms != NEVER)
		die_by_signal(run, number);
	queue_number(run, MSG_SIGNAL, (uint32_t)number);
	run->grace_at_ms = now_ms() + GRACE_MS;
}

static void handle_host_death(struct run *run)
{
	int status;

	if (run->host.pid < 0 || waitpid(run->host.pid, &status, WNOHANG) != run->host.pid)
		return;
	run->host.pid = -1;
	handle_control(run); /* its last words may still be on their way */
	if (run->phase == ENDING)
		return;
	if (run->phase == RUNNING)
		fail(run, EXIT_OWN_FAILURE, "the nested host died while the command was running");
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		fail(run, EXIT_OWN_FAILURE, "QEMU could not start (exit status %d)",
			WEXITSTATUS(status));
	try_again(run, "died while starting");
}

static void handle_signal(struct run *run)
{
	struct signalfd_siginfo info;
	struct msg_window window;

	if (read(run->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		handle_host_death(run);
		break;
	case SIGWINCH:
		window = tty_window();
		if (run->tty && run->phase == RUNNING)
			queue_message(run, MSG_WINDOW, &window, sizeof(window));
		break;
	case SIGTSTP:
		tty_restore();
		raise(SIGSTOP);
		break;
	case SIGCONT:
		tty_restore();
		if (run->tty && run->phase == RUNNING)
			tty_set_raw();
		break;
	default:
		handle_stop_signal(run, (int)info.ssi_signo);
	}
}

static void check_deadlines(struct run *run)
{
	uint64_t now = now_ms();

	if (now >= run->limit_at_ms)
		fail(run, EXIT_TIME_LIMIT,
			"stalled: the time limit of %llu s is over (--time-limit); stopped",
			(unsigned long long)run->request.limit_ms / 1000);
	if (run->phase == BOOTING && now >= run->up_at_ms)
		try_again(run, "did not come up in time");
	if (run->phase == RUNNING && now >= run->beat_at_ms)
		fail(run, EXIT_TIME_LIMIT,
			"stalled: the nested host has not answered for %d s; stopped",
			BEAT_LIMIT_MS / 1000);
	if (run->phase == RUNNING && now >= run->grace_at_ms) {
		say("the command did not end within %d s of the signal; stopped", GRACE_MS / 1000);
		die_by_signal(run, SIGTERM);
	}
}

static int timeout_ms(const struct run *run)
{
	uint64_t now = now_ms(), next = now + 1000;

	if (run->limit_at_ms < next)
		next = run->limit_at_ms;
	if (run->phase == RUNNING && run->grace_at_ms < next)
		next = run->grace_at_ms;
	return next > now ? (int)(next - now) : 0;
}

/* Tells init what became of our ends of the streams. */
static void pass_on_ends(struct run *run)
{
	if (run->in.from < 0 && run->in.fill == 0 && !run->told_stdin_end) {
		run->told_stdin_end = true;
		/* The terminal was closed, if the kernel has not said so already. */
		if (run->tty && run->grace_at_ms == NEVER)
			handle_stop_signal(run, SIGHUP);
		queue_message(run, MSG_STDIN_END, &run->in.bytes_read, sizeof(run->in.bytes_read));
	}
	if (run->out.to < 0 && !run->told_stdout_closed) {
		run->told_stdout_closed = true;
		queue_number(run, MSG_CLOSE, PORT_STDOUT);
	}
	if (run->err.to < 0 && !run->told_stderr_closed) {
		run->told_stderr_closed = true;
		queue_number(run, MSG_CLOSE, PORT_STDERR);
	}
}

static void want_streams(struct run *run, struct pollfd *fds)
{
	for (int i = 0; i < 6; i++)
		fds[i].fd = -1;
	if (run->phase == BOOTING)
		return;
	pump_want(&run->in, &fds[0], &fds[1]);
	pump_want(&run->out, &fds[2], &fds[3]);
	pump_want(&run->err, &fds[4], &fds[5]);
	if (run->stdin_is_tty && tty_is_in_background())
		fds[0].fd = -1; /* looked at again within a second */
}

/* One round of the poll loop. */
static void serve(struct run *run)
{
	struct pollfd fds[8];
	bool had_streams = run->phase != BOOTING;

	fds[0] = (struct pollfd){.fd = run->signals, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = run->host.ports[PORT_CONTROL],
		.events = (short)(POLLIN | (run->queue_bytes ? POLLOUT : 0))};
	if (run->phase == ENDING)
		fds[1].fd = -1;
	want_streams(run, &fds[2]);
	if (poll(fds, 8, timeout_ms(run)) < 0)
		return;
	if (fds[1].revents & POLLOUT)
		flush_queue(run);
	if (fds[1].revents & (POLLIN | POLLHUP))
		handle_control(run);
	/* Here, where what came in is read and nothing has kept us since: silence is real. */
	check_deadlines(run);
	if (fds[0].revents)
		handle_signal(run);
	if (had_streams) {
		pump_run(&run->in, fds[2].revents, fds[3].revents);
		pump_run(&run->out, fds[4].revents, fds[5].revents);
		pump_run(&run->err, fds[6].revents, fds[7].revents);
		pass_on_ends(run);
	}
}

static bool is_over(struct run *run)
{
	if (run->phase != ENDING || !pump_is_done(&run->out) || !pump_is_done(&run->err))
		return false;
	if (run->out.bytes_read < run->end.stdout_bytes ||
		run->err.bytes_read < run->end.stderr_bytes)
		fail(run, EXIT_OWN_FAILURE, "the nested host died with output on its way");
	return true;
}

/* A signal that the caller ignores (nohup, a shell's background jobs) is left ignored. */
static void watch_signals(struct run *run)
{
	static const int watched[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
	struct sigaction action;
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		if (sigaction(watched[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&mask, watched[i]);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGWINCH);
	sigaddset(&mask, SIGCONT);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	run->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	static struct run run = {
		.host = {.pid = -1, .ports = {-1, -1, -1, -1, -1}, .log = -1},
		.grace_at_ms = NEVER,
		.beat_at_ms = NEVER,
		.limit_at_ms = NEVER,
	};

	/* A closed standard stream would be taken by the next file we open. */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return EXIT_OWN_FAILURE;
	request_parse(&run.request, argc, argv);
	run.tty = tty_wanted(&run.request);
	run.stdin_is_tty = isatty(STDIN_FILENO);
	watch_signals(&run);
	if (run.request.limit_ms)
		run.limit_at_ms = now_ms() + run.request.limit_ms;
	start_attempt(&run);
	while (!is_over(&run))
		serve(&run);
	if (run.end.own_failure)
		quit(&run, EXIT_OWN_FAILURE);
	quit(&run, (int)run.end.status);
}
