/*
 * See term.h. POSIX: General Terminal Interface, tcsetattr(3), signal-safety(7).
 *
 * Threads: the loop's; term_restore() and term_set_verbatim() from any; the handlers
 * run on whichever thread a signal finds. What handlers touch is atomic or does not
 * change while they are installed.
 */
#include "devices/backend/term.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/base/log.h"

/* How often a process in the background looks whether it came to the foreground. */
#define FOREGROUND_CHECK_NS UINT64_C(300000000)

static struct {
	bool is_open;
	bool shares_stderr; /* log lines go to this terminal */
	int fd;
	int wake_fd; /* eventfd: a handler has something for the loop */
	struct loop *loop;
	struct loop_fd wake_watch;
	struct loop_timer foreground_timer;
	struct termios cooked, raw, verbatim; /* fixed while open */
	_Atomic bool wanted;		      /* between term_start() and term_restore() */
	_Atomic bool is_raw;
	_Atomic bool is_verbatim;
	_Atomic bool was_continued;
	struct sigaction old[NSIG]; /* what was there before our handlers */
	bool installed[NSIG];
	unsigned columns, rows;
	bool told_raw;
	void (*raw_fn)(void *opaque, bool raw);
	void *raw_opaque;
	void (*size_fn)(void *opaque, unsigned columns, unsigned rows);
	void *size_opaque;
} term;

/* Faults: handled even when somebody (a sanitizer) has a handler, which is then called. */
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};

/* The others that end a process by default: ours only while nobody else's. */
static const int ending_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1,
	SIGUSR2, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGPOLL, SIGSTKFLT, SIGPWR};

/* ---- Settings; safe in a signal handler ---- */

/* Where job control does not apply to us (not our controlling terminal) nobody stops us. */
static bool is_foreground(void)
{
	pid_t group = tcgetpgrp(term.fd);

	return group < 0 || group == getpgrp();
}

/* A process in the background that changes the settings is stopped by SIGTTOU. */
static void apply(const struct termios *settings)
{
	sigset_t block, before;

	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	tcsetattr(term.fd, TCSANOW, settings);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void leave_raw(void)
{
	if (!atomic_exchange(&term.is_raw, false))
		return;
	/* In the background the terminal is the shell's, and it has its own settings. */
	if (is_foreground())
		apply(&term.cooked);
	if (term.shares_stderr)
		log_set_raw_terminal(false);
}

static void enter_raw(void)
{
	/* First the flag: a handler that comes between restores once too often, not too seldom. */
	atomic_store(&term.is_raw, true);
	if (term.shares_stderr)
		log_set_raw_terminal(true);
	apply(atomic_load(&term.is_verbatim) ? &term.verbatim : &term.raw);
}

void term_restore(void)
{
	int saved = errno;

	atomic_store(&term.wanted, false);
	leave_raw();
	errno = saved;
}

static void wake_loop(void)
{
	uint64_t one = 1;

	/* Fails only when the loop is about to look anyway. */
	if (write(term.wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- Signal handlers ---- */

/* A fault of the instruction that is about to be tried again. */
static bool is_fault(int number, const siginfo_t *info)
{
	return info->si_code > 0 &&
		(number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL);
}

static void on_ending_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	term_restore();
	sigaction(number, &term.old[number], NULL);
	/*
	 * A fault happens again as soon as this returns, and then shows its address to whoever
	 * handles it. Anything else has to be sent again; it waits until this returns.
	 */
	if (!is_fault(number, info))
		raise(number);
}

static void on_stop(int number)
{
	struct sigaction stop = {.sa_handler = SIG_DFL}, ours;
	sigset_t set, before;
	int saved = errno;

	leave_raw();
	sigaction(number, &stop, &ours);
	raise(number);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, &before);
	/* Here the process stands still, until SIGCONT. */
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	sigaction(number, &ours, NULL);
	wake_loop();
	errno = saved;
}

static void on_change(int number)
{
	int saved = errno;

	if (number == SIGCONT)
		atomic_store(&term.was_continued, true);
	wake_loop();
	errno = saved;
}

static void install(int number, const struct sigaction *action)
{
	sigaction(number, action, &term.old[number]);
	term.installed[number] = true;
}

static bool is_default(int number)
{
	struct sigaction now;

	sigaction(number, NULL, &now);
	return !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

static void install_handlers(void)
{
	struct sigaction ending = {
		.sa_sigaction = on_ending_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
	struct sigaction change = {.sa_handler = on_change, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < ARRAY_SIZE(crash_signals); i++)
		install(crash_signals[i], &ending);
	for (size_t i = 0; i < ARRAY_SIZE(ending_signals); i++)
		if (is_default(ending_signals[i]))
			install(ending_signals[i], &ending);
	if (is_default(SIGTSTP))
		install(SIGTSTP, &stop);
	install(SIGCONT, &change);
	install(SIGWINCH, &change);
}

/* Somebody may have put a handler of their own over ours since: theirs stays. */
static bool is_ours(int number)
{
	struct sigaction now;

	sigaction(number, NULL, &now);
	if (now.sa_flags & SA_SIGINFO)
		return now.sa_sigaction == on_ending_signal;
	return now.sa_handler == on_stop || now.sa_handler == on_change;
}

static void remove_handlers(void)
{
	for (int number = 1; number < NSIG; number++) {
		if (term.installed[number] && is_ours(number))
			sigaction(number, &term.old[number], NULL);
		term.installed[number] = false;
	}
}

/* ---- On the loop's thread ---- */

static void tell_raw(void)
{
	bool raw = atomic_load(&term.is_raw);

	if (raw == term.told_raw)
		return;
	term.told_raw = raw;
	if (term.raw_fn)
		term.raw_fn(term.raw_opaque, raw);
}

/* Brings the settings to where they should be now. */
static void update(void)
{
	bool foreground = is_foreground();

	if (atomic_exchange(&term.was_continued, false) && atomic_load(&term.is_raw)) {
		/* Stopped by SIGSTOP, without a word: the shell has set its own settings. */
		if (foreground)
			enter_raw();
		else
			leave_raw();
	}
	if (atomic_load(&term.wanted) && !atomic_load(&term.is_raw)) {
		if (foreground)
			enter_raw();
		else
			loop_timer_arm(term.loop, &term.foreground_timer, FOREGROUND_CHECK_NS);
	}
	/* term_restore() on another thread may have come between. */
	if (!atomic_load(&term.wanted))
		leave_raw();
	tell_raw();
}

static void check_foreground(void *opaque)
{
	(void)opaque;
	update();
}

static void check_size(void)
{
	unsigned columns, rows;

	if (!term_get_size(&columns, &rows) || (columns == term.columns && rows == term.rows))
		return;
	term.columns = columns;
	term.rows = rows;
	if (term.size_fn)
		term.size_fn(term.size_opaque, columns, rows);
}

static void handle_wake(void *opaque, uint32_t events)
{
	uint64_t count;

	(void)opaque;
	(void)events;
	if (read(term.wake_fd, &count, sizeof(count)) < 0)
		return;
	update();
	check_size();
}

/* ---- Public ---- */

static bool is_same_terminal_as_stderr(int fd)
{
	struct stat ours, theirs;

	return isatty(STDERR_FILENO) && fstat(fd, &ours) == 0 &&
		fstat(STDERR_FILENO, &theirs) == 0 && ours.st_rdev == theirs.st_rdev;
}

static void make_raw_settings(void)
{
	term.verbatim = term.cooked;
	cfmakeraw(&term.verbatim);
	term.raw = term.verbatim;
	term.raw.c_oflag |= OPOST | ONLCR;
}

int term_open(struct loop *loop, int fd, struct err *err)
{
	static bool has_exit_hook;
	int ret;

	if (!isatty(fd))
		return -ENOTTY;
	if (term.is_open)
		return err_set(err, EXIT_CODE_DEVICE, EBUSY, "the terminal is already in use");
	if (tcgetattr(fd, &term.cooked) < 0)
		return err_set(err, EXIT_CODE_DEVICE, errno,
			"can't read the terminal's settings: %s", strerror(errno));
	term.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (term.wake_fd < 0)
		return err_set(err, EXIT_CODE_INTERNAL, errno, "can't watch the terminal: %s",
			strerror(errno));
	term.wake_watch =
		(struct loop_fd){.fd = term.wake_fd, .events = EPOLLIN, .fn = handle_wake};
	ret = loop_fd_add(loop, &term.wake_watch);
	if (ret < 0) {
		close(term.wake_fd);
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch the terminal: %s",
			strerror(-ret));
	}
	term.foreground_timer = (struct loop_timer){.fn = check_foreground};
	term.loop = loop;
	term.fd = fd;
	term.shares_stderr = is_same_terminal_as_stderr(fd);
	make_raw_settings();
	atomic_store(&term.is_verbatim, false);
	term.told_raw = false;
	term.is_open = true;
	term_get_size(&term.columns, &term.rows);
	install_handlers();
	if (!has_exit_hook)
		has_exit_hook = atexit(term_restore) == 0;
	return 0;
}

void term_close(void)
{
	if (!term.is_open)
		return;
	term_restore();
	remove_handlers();
	loop_timer_cancel(&term.foreground_timer);
	loop_fd_remove(&term.wake_watch);
	close(term.wake_fd);
	term.raw_fn = NULL;
	term.size_fn = NULL;
	term.columns = term.rows = 0;
	term.is_open = false;
}

void term_start(void)
{
	if (!term.is_open)
		return;
	atomic_store(&term.wanted, true);
	update();
}

bool term_is_raw(void)
{
	return atomic_load(&term.is_raw);
}

void term_set_verbatim(void)
{
	if (!term.is_open || atomic_exchange(&term.is_verbatim, true))
		return;
	if (atomic_load(&term.is_raw) && is_foreground())
		apply(&term.verbatim);
}

void term_set_raw_fn(void (*fn)(void *opaque, bool raw), void *opaque)
{
	term.raw_fn = fn;
	term.raw_opaque = opaque;
}

bool term_get_size(unsigned *columns, unsigned *rows)
{
	struct winsize size;

	if (!term.is_open || ioctl(term.fd, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return true;
}

void term_set_size_fn(void (*fn)(void *opaque, unsigned columns, unsigned rows), void *opaque)
{
	term.size_fn = fn;
	term.size_opaque = opaque;
}
