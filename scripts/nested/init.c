/*
 * Process 1 of the nested host: loads the modules, puts this machine's file system together,
 * runs one command and tells `relay` how it ended. See README.md for the whole picture.
 *
 * It knows nothing of virtual machines beyond making /dev/kvm usable. One thread, one poll loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"
#include "msg.h"
#include "pump.h"

#define DRAIN_MS 5000

struct run {
	int ports[PORT_STDERR + 1];
	struct msg_reader control;
	struct orders orders;
	pid_t child;
	int child_status; /* as waitpid gives it; -1 while it runs */
	int signals;
	int beats;
	int terminal; /* the pseudo-terminal's master, or -1 */
	struct pump in;
	struct pump out;
	struct pump err;
};

void die(const char *what)
{
	dprintf(STDERR_FILENO, "nested init: %s: %s\n", what, strerror(errno));
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static int control_fd(const struct run *run)
{
	return run->ports[PORT_CONTROL];
}

/* Tells relay why the command cannot run, and ends the nested host with that status. */
static void give_up(struct run *run, uint32_t status, bool own, const char *what)
{
	struct msg_exit end = {.status = status, .own_failure = own};
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	msg_send(control_fd(run), MSG_TROUBLE, text, strlen(text));
	msg_send(control_fd(run), MSG_EXIT, &end, sizeof(end));
	sleep(10); /* relay ends us here */
	reboot(RB_POWER_OFF);
}

/* The ports appear a little after their module was loaded, and connect a little after that. */
static void open_ports(struct run *run)
{
	for (int port = PORT_CONTROL; port <= PORT_STDERR; port++) {
		char path[32];
		struct pollfd hang_up;

		snprintf(path, sizeof(path), "/dev/vport0p%d", port);
		while ((run->ports[port] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0)
			usleep(1000);
		hang_up = (struct pollfd){.fd = run->ports[port]};
		while (poll(&hang_up, 1, 0) == 1 && (hang_up.revents & POLLHUP))
			usleep(1000);
	}
}

static void receive_orders(struct run *run)
{
	struct pollfd wait = {.fd = control_fd(run), .events = POLLIN};
	int result;

	msg_reader_init(&run->control, control_fd(run));
	do {
		poll(&wait, 1, -1);
		result = msg_receive(&run->control);
	} while (result == 0);
	if (result < 0 || run->control.head.type != MSG_START ||
		!orders_parse(&run->orders, run->control.payload, run->control.head.bytes)) {
		errno = EPROTO;
		die("orders from relay");
	}
	/* The orders' strings stay in use: keep the payload, give the reader none. */
	run->control.payload = NULL;
	run->control.have = 0;
}

static void become_user(const struct orders *orders)
{
	gid_t groups[] = {orders->start.kvm_gid};

	if (orders->start.uid == 0 && orders->start.gid == 0)
		return;
	if (setgroups(orders->start.kvm_gid ? 1 : 0, groups) || setgid(orders->start.gid) ||
		setuid(orders->start.uid))
		_exit(125);
}

/* In the child: never returns. A failure is told through `report`, which exec closes. */
static void run_command(const struct orders *orders, int report, const int fds[3])
{
	sigset_t none;
	char text[512];
	int error;

	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(fds[fd], fd);
	if (orders->start.flags & START_TTY)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask((mode_t)orders->start.umask);
	become_user(orders);
	if (chdir(orders->directory)) {
		error = errno;
		snprintf(text, sizeof(text), "c%s: %s%s", orders->directory, strerror(error),
			error == ENOENT ? " (/run and /dev/shm are fresh inside; see --rw)" : "");
	} else {
		environ = orders->environment;
		execvp(orders->arguments[0], orders->arguments);
		error = errno;
		snprintf(text, sizeof(text), "%c%s: %s", error == ENOENT ? 'n' : 'x',
			orders->arguments[0], strerror(error));
	}
	if (write(report, text, strlen(text)) < 0)
		_exit(125);
	_exit(126);
}

static int open_terminal(struct run *run, int *slave)
{
	int unlock = 0, number;
	char path[32];
	struct winsize size = {.ws_row = run->orders.start.window.rows,
		.ws_col = run->orders.start.window.columns};

	run->terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (run->terminal < 0 || ioctl(run->terminal, TIOCSPTLCK, &unlock) ||
		ioctl(run->terminal, TIOCGPTN, &number))
		return -1;
	ioctl(run->terminal, TIOCSWINSZ, &size);
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	*slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave >= 0 && fchown(*slave, run->orders.start.uid, (gid_t)-1))
		return -1;
	return *slave < 0 ? -1 : 0;
}

/* A pipe to or from the command; `ours` is the end we keep. */
static int open_pipe(int *ours, int *theirs, bool we_read)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	*ours = ends[we_read ? 0 : 1];
	*theirs = ends[we_read ? 1 : 0];
	return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int open_streams(struct run *run, int theirs[3])
{
	uint32_t flags = run->orders.start.flags;
	int in = -1, out = -1, err = -1;

	if (flags & START_TTY) {
		if (open_terminal(run, &theirs[0]))
			return -1;
		theirs[1] = dup(theirs[0]);
		in = dup(run->terminal);
		out = dup(run->terminal);
	} else if (open_pipe(&in, &theirs[0], false) || open_pipe(&out, &theirs[1], true)) {
		return -1;
	}
	if (flags & START_TTY_STDERR)
		theirs[2] = dup(theirs[0]);
	else if (open_pipe(&err, &theirs[2], true))
		return -1;
	pump_init(&run->in, run->ports[PORT_STDIN], in);
	pump_init(&run->out, out, run->ports[PORT_STDOUT]);
	pump_init(&run->err, err, run->ports[PORT_STDERR]);
	return 0;
}

static void start_command(struct run *run)
{
	int theirs[3] = {-1, -1, -1}, report[2];
	char text[512];
	ssize_t length;

	if (open_streams(run, theirs) || pipe2(report, O_CLOEXEC))
		give_up(run, 125, true, "streams of the command");
	run->child = fork();
	if (run->child < 0)
		give_up(run, 125, true, "fork");
	if (run->child == 0)
		run_command(&run->orders, report[1], theirs);
	close(report[1]);
	for (int fd = 0; fd < 3; fd++)
		close(theirs[fd]);
	length = read(report[0], text, sizeof(text) - 1);
	close(report[0]);
	if (length > 0) {
		struct msg_exit end = {
			.status = text[0] == 'n' ? 127
				: text[0] == 'x' ? 126
						 : 125,
			.own_failure = text[0] == 'c',
		};

		msg_send(control_fd(run), MSG_TROUBLE, text + 1, (size_t)length - 1);
		msg_send(control_fd(run), MSG_EXIT, &end, sizeof(end));
		sleep(10);
		reboot(RB_POWER_OFF);
	}
}

static void handle_message(struct run *run)
{
	const char *payload = run->control.payload;
	uint32_t number = 0;

	if (run->control.head.bytes >= sizeof(number))
		memcpy(&number, payload, sizeof(number));
	switch (run->control.head.type) {
	case MSG_STDIN_END:
		if (run->control.head.bytes == sizeof(run->in.bytes_limit))
			memcpy(&run->in.bytes_limit, payload, sizeof(run->in.bytes_limit));
		break;
	case MSG_CLOSE:
		pump_close_from(number == PORT_STDOUT ? &run->out : &run->err);
		break;
	case MSG_SIGNAL:
		kill(-run->child, (int)number);
		break;
	case MSG_WINDOW: {
		struct msg_window window;
		struct winsize size = {0};

		memcpy(&window, payload, sizeof(window));
		size.ws_row = window.rows;
		size.ws_col = window.columns;
		if (run->terminal >= 0)
			ioctl(run->terminal, TIOCSWINSZ, &size);
		break;
	}
	default:
		break;
	}
}

static void handle_control(struct run *run)
{
	int result;

	while ((result = msg_receive(&run->control)) == 1)
		handle_message(run);
	if (result < 0)
		die("relay has gone"); /* nobody is left to tell */
}

static void reap_children(struct run *run)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(run->signals, &info, sizeof(info)) < 0 && errno != EAGAIN)
		die("signalfd");
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == run->child)
			run->child_status = status;
}

/* One round of the poll loop. */
static void serve(struct run *run, int timeout_ms)
{
	struct pollfd fds[9];
	uint64_t ticks;

	fds[0] = (struct pollfd){.fd = control_fd(run), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = run->signals, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = run->beats, .events = POLLIN};
	pump_want(&run->in, &fds[3], &fds[4]);
	pump_want(&run->out, &fds[5], &fds[6]);
	pump_want(&run->err, &fds[7], &fds[8]);
	if (poll(fds, 9, timeout_ms) < 0 && errno != EINTR)
		die("poll");
	if (fds[2].revents && read(run->beats, &ticks, sizeof(ticks)) > 0)
		msg_send(control_fd(run), MSG_BEAT, NULL, 0);
	if (fds[0].revents)
		handle_control(run);
	if (fds[1].revents)
		reap_children(run);
	pump_run(&run->in, fds[3].revents, fds[4].revents);
	pump_run(&run->out, fds[5].revents, fds[6].revents);
	pump_run(&run->err, fds[7].revents, fds[8].revents);
	/* All of standard input was passed on: that is how the command sees its end. */
	if (run->in.bytes_read >= run->in.bytes_limit && run->in.fill == 0 && run->terminal < 0)
		pump_close_to(&run->in);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The command has ended; what it left running would only die with the machine a little later. */
static void finish(struct run *run)
{
	uint64_t deadline_ms;
	struct msg_exit end = {0};

	kill(-1, SIGKILL);
	deadline_ms = now_ms() + DRAIN_MS;
	/* A reader that is slow outside must not cut the output short: only an idle wait counts. */
	while (!(pump_is_done(&run->out) && pump_is_done(&run->err)) && now_ms() < deadline_ms) {
		uint64_t before = run->out.bytes_read + run->err.bytes_read;

		serve(run, 100);
		if (run->out.bytes_read + run->err.bytes_read != before || run->out.fill ||
			run->err.fill)
			deadline_ms = now_ms() + DRAIN_MS;
	}
	root_release(&run->orders);
	end.status = WIFSIGNALED(run->child_status) ? 128u + (uint32_t)WTERMSIG(run->child_status)
						    : (uint32_t)WEXITSTATUS(run->child_status);
	end.stdout_bytes = run->out.bytes_read;
	end.stderr_bytes = run->err.bytes_read;
	msg_send(control_fd(run), MSG_EXIT, &end, sizeof(end));
	/* relay takes the last bytes and ends the nested host; a lost relay must not keep it. */
	deadline_ms = now_ms() + 60000;
	while (now_ms() < deadline_ms)
		serve(run, 1000);
}

static void watch_signals(struct run *run)
{
	struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	run->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	run->beats = -1;
	if (run->orders.start.flags & START_BEATS) {
		run->beats = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		timerfd_settime(run->beats, 0, &second, NULL);
	}
}

int main(int argc, char **argv)
{
	static struct run run = {.child_status = -1, .terminal = -1};
	const char *failed;

	(void)argc;
	(void)argv;
	root_assemble();
	open_ports(&run);
	receive_orders(&run);
	failed = root_finish(&run.orders);
	msg_send(control_fd(&run), MSG_UP, NULL, 0);
	if (failed)
		give_up(&run, 125, true, failed);
	watch_signals(&run);
	start_command(&run);
	while (run.child_status == -1)
		serve(&run, -1);
	finish(&run);
	reboot(RB_POWER_OFF);
	return 1;
}
