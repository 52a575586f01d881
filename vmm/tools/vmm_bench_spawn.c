/*
 * bench_spawn: starts a program as `vmm bench` measures it, and says on standard output, as one
 * JSON object, when what happened. `bench_spawn --help` lists the options.
 *
 * Clock zero is the moment before the program is spawned, CLOCK_MONOTONIC in ns; all that it takes
 * to become the program counts. The program and what it leaves behind are waited for, so the processor time is that of all of them. It knows nothing of what it
 * starts. It is C, for the measuring process shares the processor with what is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/base/util.h"
#include "vmm/kvm/port_floor.h"

#define NS_PER_S UINT64_C(1000000000)

enum {
	SNAPSHOTS_MAX = 8
};

struct options {
	char **argv;
	const char *mark;		/* the line that says that it is up */
	const char *console;		/* where what it prints goes, or NULL */
	const char *errors;		/* where its standard error goes, or NULL */
	const char *contain;		/* the root of a bare container, or NULL */
	char *snapshots[SNAPSHOTS_MAX]; /* FILE=TO: what is copied when it is up */
	unsigned snapshot_count;
	unsigned limit_s;
	bool kill_when_up; /* it stands still while its snapshots are taken, and ends */
};

/* What was seen, in ns of CLOCK_MONOTONIC; 0 = has not happened. */
struct seen {
	uint64_t zero, first_byte, up, end, gone;
	uint64_t bytes;
	int status;
	bool timed_out;
};

struct line {
	char text[64];
	size_t len;
};

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "bench_spawn: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static int open_or_null(const char *path)
{
	int fd = open(path ? path : "/dev/null",
		path ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC : O_WRONLY | O_CLOEXEC, 0666);

	if (fd < 0)
		fail(path ? path : "/dev/null");
	return fd;
}

/* ---- The program ---- */

static pid_t start_program(const struct options *options, struct seen *seen, int out, int errors)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, errors, 2);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	seen->zero = util_now_ns();
	errno = posix_spawnp(&pid, options->argv[0], &actions, &attributes, options->argv, environ);
	if (errno)
		fail(options->argv[0]);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* The least that makes a container: namespaces and a root of its own. No program does it. */
static int enter_root(const char *root)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(root, root, NULL, MS_BIND, NULL) < 0 || chdir(root) < 0)
		return -1;
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}

static void connect_child(int out, int errors)
{
	int in = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(errors, 2);
	if (in > 2)
		close(in);
}

static pid_t start_contained(const struct options *options, struct seen *seen, int out, int errors)
{
	unsigned long flags =
		CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | SIGCHLD;
	pid_t pid;

	if (geteuid() != 0)
		flags |= CLONE_NEWUSER;
	seen->zero = util_now_ns();
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		connect_child(out, errors);
		if (enter_root(options->contain) == 0)
			execv(options->argv[0], options->argv);
		_exit(127);
	}
	return pid;
}

/* ---- Watching it ---- */

/* True when the bytes end the line that is waited for. */
static bool take_bytes(struct line *line, const char *mark, const char *data, size_t len)
{
	bool found = false;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || data[i] == '\r') {
			line->text[line->len] = '\0';
			found = found || !strcmp(line->text, mark);
			line->len = 0;
		} else if (line->len < sizeof(line->text) - 1) {
			line->text[line->len++] = data[i];
		}
	}
	return found;
}

/* A file of /sys gives all of itself to one read. */
static void copy_file(const char *path, const char *copy)
{
	static char buffer[1 << 20];
	int from = open(path, O_RDONLY | O_CLOEXEC), to;
	ssize_t len;

	if (from < 0)
		fail(path);
	to = open_or_null(copy);
	while ((len = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)len) != len)
			fail(copy);
	close(from);
	close(to);
}

static void is_up(const struct options *options, struct seen *seen, pid_t pid, uint64_t now)
{
	seen->up = now;
	if (options->kill_when_up)
		kill(-pid, SIGSTOP);
	for (unsigned i = 0; i < options->snapshot_count; i++) {
		char *copy = strchr(options->snapshots[i], '=');

		*copy = '\0';
		copy_file(options->snapshots[i], copy + 1);
	}
	if (options->kill_when_up)
		kill(-pid, SIGKILL);
}

/* Takes what there is to read. False at the end of the file. */
static bool read_console(
	const struct options *options, struct seen *seen, struct line *line, pid_t pid, int fds[2])
{
	static char buffer[65536];
	ssize_t len = read(fds[0], buffer, sizeof(buffer));
	uint64_t now = util_now_ns();

	if (len <= 0)
		return len < 0 && errno == EAGAIN;
	if (!seen->first_byte)
		seen->first_byte = now;
	seen->bytes += (uint64_t)len;
	if (take_bytes(line, options->mark, buffer, (size_t)len) && !seen->up)
		is_up(options, seen, pid, now);
	if (write(fds[1], buffer, (size_t)len) != len)
		fail("can't keep the console's output");
	return true;
}

static void kill_orphans(void)
{
	char path[64], pids[4096];
	int fd;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	len = read(fd, pids, sizeof(pids) - 1);
	close(fd);
	pids[MAX(len, 0)] = '\0';
	for (char *at = pids, *end; (void)0, strtol(at, &end, 10) > 0 && end != at; at = end)
		kill((pid_t)strtol(at, NULL, 10), SIGKILL);
}

static void watch(const struct options *options, struct seen *seen, pid_t pid, int fds[2])
{
	uint64_t deadline = seen->zero + options->limit_s * NS_PER_S;
	struct line line = {.len = 0};
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd polls[2] = {
		{.fd = fds[0], .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

	if (pidfd < 0)
		fail("pidfd_open");
	while (!polls[1].revents) {
		uint64_t now = util_now_ns();

		if (now >= deadline && !seen->timed_out) {
			seen->timed_out = true;
			kill(-pid, SIGKILL);
		}
		poll(polls, 2, seen->timed_out ? -1 : (int)((deadline - now) / 1000000 + 1));
		if (polls[0].revents && !read_console(options, seen, &line, pid, fds))
			polls[0].fd = -1;
	}
	waitpid(pid, &seen->status, 0);
	seen->end = util_now_ns();
	close(pidfd);
	while (polls[0].fd >= 0 && poll(polls, 1, 0) > 0 &&
		read_console(options, seen, &line, pid, fds))
		;
}

/* What it left behind is ours now: some seconds, then it is killed. */
static void wait_for_rest(struct seen *seen)
{
	uint64_t deadline = util_now_ns() + 10 * NS_PER_S;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		if (pid > 0)
			continue;
		if (util_now_ns() >= deadline)
			kill_orphans();
		usleep(100);
	}
	seen->gone = util_now_ns();
}

static void report(const struct seen *seen)
{
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	printf("{\"zero\":%" PRIu64 ",\"first_byte\":%" PRIu64 ",\"up\":%" PRIu64
	       ",\"end\":%" PRIu64 ",\"gone\":%" PRIu64 ",\"bytes\":%" PRIu64,
		seen->zero, seen->first_byte, seen->up, seen->end, seen->gone, seen->bytes);
	printf(",\"user_us\":%ld,\"system_us\":%ld,\"faults\":%ld,\"waits\":%ld",
		used.ru_utime.tv_sec * 1000000L + used.ru_utime.tv_usec,
		used.ru_stime.tv_sec * 1000000L + used.ru_stime.tv_usec,
		used.ru_minflt + used.ru_majflt, used.ru_nvcsw);
	printf(",\"timed_out\":%s", seen->timed_out ? "true" : "false");
	if (WIFEXITED(seen->status))
		printf(",\"exit_status\":%d}\n", WEXITSTATUS(seen->status));
	else
		printf(",\"exit_status\":%d}\n", 128 + WTERMSIG(seen->status));
}

/* ---- The command line, and a look at the clock ---- */

/* 20 million instructions. A clock that counts instructions says 20 million nanoseconds. */
static int look_at_clock(void)
{
	uint64_t rounds = 10 * 1000 * 1000, begin = util_now_ns();

	__asm__ volatile("1:	dec	%0\n"
			 "	jnz	1b"
			 : "+r"(rounds));
	printf("%" PRIu64 "\n", util_now_ns() - begin);
	return 0;
}

/* What one write to a port costs at least: its time on a processor, in ns. */
static int look_at_port(const char *count)
{
	struct err err = ERR_INIT;
	uint32_t writes = (uint32_t)MAX(strtoul(count, NULL, 10), 2ul);
	uint64_t ns, first_ns;

	if (port_floor_measure(1, &first_ns, &err) < 0 ||
		port_floor_measure(writes, &ns, &err) < 0) {
		fprintf(stderr, "bench_spawn: %s\n", err.text);
		return 1;
	}
	printf("%" PRIu64 "\n", (MAX(ns, first_ns) - first_ns) / (writes - 1));
	return 0;
}

static int usage(int status)
{
	fputs("Usage: bench_spawn [OPTIONS] [--] PROGRAM [ARGUMENT...]\n"
	      "  --up LINE         the line that says that it is up (up)\n"
	      "  --limit SECONDS   when it is killed (120)\n"
	      "  --console FILE    where what it prints is kept\n"
	      "  --errors FILE     the same for its standard error\n"
	      "  --contain ROOT    in new namespaces with this root, as a bare container\n"
	      "  --snapshot FILE=TO   copy FILE when it is up; may be given again\n"
	      "  --kill            let it stand still meanwhile, and end it then\n"
	      "  --port COUNT      print what a guest's write to a port costs at least, in ns\n"
	      "  --clock           print how long 20 million instructions take, in ns\n",
		status ? stderr : stdout);
	return status;
}

/* Below 0: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {{"up", 1, 0, 'u'}, {"limit", 1, 0, 'l'},
		{"console", 1, 0, 'c'}, {"errors", 1, 0, 'e'}, {"contain", 1, 0, 'r'},
		{"snapshot", 1, 0, 's'}, {"kill", 0, 0, 'p'}, {"port", 1, 0, 'o'},
		{"clock", 0, 0, 'k'}, {"help", 0, 0, 'h'}, {0}};
	int name;

	while ((name = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		switch (name) {
		case 'u':
			options->mark = optarg;
			break;
		case 'l':
			options->limit_s = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'c':
			options->console = optarg;
			break;
		case 'e':
			options->errors = optarg;
			break;
		case 'r':
			options->contain = optarg;
			break;
		case 's':
			if (options->snapshot_count == SNAPSHOTS_MAX || !strchr(optarg, '='))
				return usage(2);
			options->snapshots[options->snapshot_count++] = optarg;
			break;
		case 'p':
			options->kill_when_up = true;
			break;
		case 'o':
			return look_at_port(optarg);
		case 'k':
			return look_at_clock();
		case 'h':
			return usage(0);
		default:
			return usage(2);
		}
	}
	options->argv = argv + optind;
	return optind < argc ? -1 : usage(2);
}

/* What the program prints is seen when it is printed, even where there is one processor. */
static void go_first(void)
{
	struct sched_param param = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int main(int argc, char **argv)
{
	struct options options = {.mark = "up", .limit_s = 120};
	struct seen seen = {0};
	int status = read_options(argc, argv, &options), errors, out[2], fds[2];
	pid_t pid;

	if (status >= 0)
		return status;
	go_first();
	if (pipe2(out, O_CLOEXEC) < 0)
		fail("pipe");
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	errors = open_or_null(options.errors);
	fds[0] = out[0];
	fds[1] = open_or_null(options.console);
	pid = options.contain ? start_contained(&options, &seen, out[1], errors)
			      : start_program(&options, &seen, out[1], errors);
	if (pid < 0)
		fail("can't make a process");
	close(out[1]);
	watch(&options, &seen, pid, fds);
	wait_for_rest(&seen);
	report(&seen);
	return 0;
}
