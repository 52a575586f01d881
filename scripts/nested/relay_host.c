/*
 * Starts and ends the QEMU process of a nested run and gives it its orders. Knows nothing of what
 * comes back. One thread.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

/* In QEMU, ports 1 to 4 are descriptors 4 to 7 and the log is 3: the command line names them. */
#define QEMU_LOG_FD   3
#define QEMU_PORT_FD  3
#define TSC_MARK      "@TSC_KHZ@"
#define TSC_SAMPLE_NS 50000000
#define LOG_LINES     15

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A time and the TSC at that time, from the tightest of several pairs of readings. */
static void sample_tsc(uint64_t *ns, uint64_t *ticks)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t before = __rdtsc(), middle = clock_ns(CLOCK_MONOTONIC_RAW),
			 after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*ns = middle;
			*ticks = before + best / 2;
		}
	}
}

/*
 * QEMU hands the host's TSC through. The nested kernel calibrates it against emulated timers, and
 * is sometimes wrong when this machine is busy; its KVM then refuses to run guests' TSC deadline
 * timers and they sleep for ever. So it is told the true rate.
 */
static unsigned int measure_tsc_khz(void)
{
	struct timespec pause = {.tv_nsec = TSC_SAMPLE_NS};
	uint64_t ns_1 = 0, ns_2 = 0, ticks_1 = 0, ticks_2 = 0;

	sample_tsc(&ns_1, &ticks_1);
	while (nanosleep(&pause, &pause) && errno == EINTR)
		;
	sample_tsc(&ns_2, &ticks_2);
	return (unsigned int)((double)(ticks_2 - ticks_1) * 1e6 / (double)(ns_2 - ns_1) + 0.5);
}

/* Writes the TSC's rate where the command line has the mark. The strings are argv's: not const. */
static int fill_in_tsc(char **arguments)
{
	for (; *arguments; arguments++) {
		char *mark = strstr(*arguments, TSC_MARK), *filled;

		if (!mark)
			continue;
		*mark = '\0';
		if (asprintf(&filled, "%s%u%s", *arguments, measure_tsc_khz(),
			    mark + strlen(TSC_MARK)) < 0)
			return -ENOMEM;
		*arguments = filled;
	}
	return 0;
}

static int open_log(struct host *host, const struct request *request)
{
	char path[64];
	int log;

	if (host->log >= 0)
		return 0;
	if (request->log_path) {
		log = open(
			request->log_path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	} else {
		int memory = memfd_create("nested-log", MFD_CLOEXEC);

		/* QEMU opens it a second time: both must append. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
		log = memory < 0 ? -1 : open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	}
	if (log < 0)
		return -errno;
	host->log = log;
	return 0;
}

static void become_qemu(const struct host *host, const int theirs[], char **arguments, pid_t parent)
{
	sigset_t none;
	int fds[PORT_STDERR + 1];

	/* Our death, however sudden, is QEMU's. A parent that died before this line is seen here. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	/* Keys pressed in our terminal are no signals for QEMU. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* First up and out of the way, then down to the numbers that the command line names. */
	fds[0] = fcntl(host->log, F_DUPFD, 64);
	for (int port = PORT_CONTROL; port <= PORT_STDERR; port++)
		fds[port] = fcntl(theirs[port], F_DUPFD, 64);
	close(STDIN_FILENO);
	if (open("/dev/null", O_RDONLY) != STDIN_FILENO)
		_exit(1);
	dup2(fds[0], STDOUT_FILENO);
	dup2(fds[0], STDERR_FILENO);
	dup2(fds[0], QEMU_LOG_FD);
	for (int port = PORT_CONTROL; port <= PORT_STDERR; port++)
		dup2(fds[port], QEMU_PORT_FD + port);
	close_range(QEMU_PORT_FD + PORT_STDERR + 1, ~0u, 0);
	execvp(arguments[0], arguments);
	dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

int host_start(struct host *host, const struct request *request)
{
	int theirs[PORT_STDERR + 1], result;
	pid_t parent = getpid();

	result = fill_in_tsc(request->qemu);
	if (result == 0)
		result = open_log(host, request);
	if (result < 0)
		return result;
	for (int port = PORT_CONTROL; port <= PORT_STDERR; port++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
			return -errno;
		host->ports[port] = pair[0];
		theirs[port] = pair[1];
	}
	host->pid = fork();
	if (host->pid < 0)
		return -errno;
	if (host->pid == 0)
		become_qemu(host, theirs, request->qemu, parent);
	for (int port = PORT_CONTROL; port <= PORT_STDERR; port++)
		close(theirs[port]);
	return 0;
}

void host_stop(struct host *host)
{
	if (host->pid > 0) {
		kill(host->pid, SIGKILL);
		while (waitpid(host->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	host->pid = -1;
	for (int port = PORT_CONTROL; port <= PORT_STDERR; port++) {
		if (host->ports[port] >= 0)
			close(host->ports[port]);
		host->ports[port] = -1;
	}
}

void host_print_log(const struct host *host)
{
	char text[8192];
	off_t size = lseek(host->log, 0, SEEK_END);
	off_t from = size > (off_t)sizeof(text) - 1 ? size - (off_t)sizeof(text) + 1 : 0;
	ssize_t got;
	char *start;
	int lines = 0;

	got = host->log < 0 ? 0 : pread(host->log, text, sizeof(text) - 1, from);
	if (got <= 0)
		return;
	for (start = text + got - 1; start > text; start--)
		if (start[-1] == '\n' && ++lines == LOG_LINES)
			break;
	dprintf(STDERR_FILENO, "with-kvm: the end of its log:\n%.*s%s", (int)(text + got - start),
		start, text[got - 1] == '\n' ? "" : "\n");
}

static size_t strings_bytes(char **strings, uint32_t *count)
{
	size_t bytes = 0;

	for (*count = 0; strings[*count]; (*count)++)
		bytes += strlen(strings[*count]) + 1;
	return bytes;
}

static char *put_strings(char *into, char **strings)
{
	for (; *strings; strings++)
		into = stpcpy(into, *strings) + 1;
	return into;
}

char *host_make_orders(const struct request *request, uint32_t flags, size_t *bytes)
{
	char *directory = getcwd(NULL, 0), *payload, *next;
	struct msg_start start = {
		.flags = flags,
		.uid = request->uid,
		.gid = request->gid,
		.kvm_gid = request->kvm_gid,
		.realtime_ns = clock_ns(CLOCK_REALTIME),
		.window = tty_window(),
	};

	if (!directory)
		return NULL;
	start.umask = umask(0);
	umask((mode_t)start.umask);
	*bytes = sizeof(start) + strlen(directory) + strlen(request->modules) + 2 +
		strings_bytes(request->command, &start.argc) + strings_bytes(environ, &start.envc) +
		strings_bytes(request->writable, &start.rwc);
	payload = malloc(*bytes);
	if (payload) {
		memcpy(payload, &start, sizeof(start));
		next = stpcpy(payload + sizeof(start), directory) + 1;
		next = stpcpy(next, request->modules) + 1;
		next = put_strings(next, request->command);
		next = put_strings(next, environ);
		put_strings(next, request->writable);
	}
	free(directory);
	return payload;
}
