/*
 * See top_screen.h. Signals are blocked but in ppoll(), and told by one variable: handlers do no
 * more than to set it.
 */
#include "vmm/tools/top_screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/util.h"

#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"

static struct {
	bool is_screen, has_keys, is_set;
	struct termios found;
	sigset_t outside; /* the mask while we wait */
	volatile sig_atomic_t signal;
} screen;

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

static void note(int signal)
{
	screen.signal = signal;
}

static void put(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void take_terminal(void)
{
	struct termios raw;

	if (screen.is_set)
		return;
	if (screen.has_keys) {
		raw = screen.found;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	if (screen.is_screen)
		put(ENTER_SCREEN, sizeof(ENTER_SCREEN) - 1);
	screen.is_set = true;
}

static void give_back(void)
{
	if (!screen.is_set)
		return;
	if (screen.is_screen)
		put(LEAVE_SCREEN, sizeof(LEAVE_SCREEN) - 1);
	if (screen.has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.found);
	screen.is_set = false;
}

/* As the shell expects of a program that is stopped: with the terminal as it was. */
static void stop_and_go_on(void)
{
	sigset_t stop;

	give_back();
	signal(SIGTSTP, SIG_DFL);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	/* Here it stands still. */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	sigaction(SIGTSTP, &(struct sigaction){.sa_handler = note}, NULL);
	take_terminal();
}

void top_screen_open(void)
{
	const char *term = getenv("TERM");
	sigset_t blocked;

	screen.is_screen = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
	screen.has_keys = screen.is_screen && tcgetattr(STDIN_FILENO, &screen.found) == 0;
	sigemptyset(&blocked);
	for (size_t i = 0; screen.is_screen && i < ARRAY_SIZE(ends); i++) {
		sigaddset(&blocked, ends[i]);
		sigaction(ends[i], &(struct sigaction){.sa_handler = note}, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, &screen.outside);
	if (screen.is_screen)
		take_terminal();
}

void top_screen_close(void)
{
	give_back();
	sigprocmask(SIG_SETMASK, &screen.outside, NULL);
}

/* Each line cut to the width and cleared behind; the last one is not ended, or all would scroll. */
static void show_on_screen(char *text)
{
	struct winsize size;
	size_t rows = 24, columns = 80;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
		rows = size.ws_row;
		columns = size.ws_col;
	}
	put("\033[H", 3);
	for (size_t row = 0; row < rows && *text; row++) {
		size_t len = strcspn(text, "\n");

		if (row)
			put("\r\n", 2);
		put(text, MIN(len, columns));
		put("\033[K", 3);
		text += len + (text[len] == '\n');
	}
	put("\033[J", 3);
}

void top_screen_show(char *text)
{
	if (screen.is_screen) {
		show_on_screen(text);
		return;
	}
	fputs(text, stdout);
	fflush(stdout);
}

static bool is_over(uint64_t deadline_ns, struct timespec *left)
{
	uint64_t now_ns = util_now_ns(), ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	*left = (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	return !ns;
}

/* The keys that wait; true when one of them ends it. */
static bool quits(void)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n <= 0) {
		screen.has_keys = screen.has_keys && n < 0;
		return n == 0;
	}
	return memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n);
}

enum top_wish top_screen_wait(unsigned ms, int *signal)
{
	uint64_t deadline_ns = util_now_ns() + ms * UINT64_C(1000000);
	struct timespec left;

	while (!is_over(deadline_ns, &left)) {
		struct pollfd keys = {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
		int ready = ppoll(&keys, 1, &left, &screen.outside);

		*signal = screen.signal;
		screen.signal = 0;
		if (*signal == SIGTSTP)
			stop_and_go_on();
		if (*signal == SIGTSTP || *signal == SIGWINCH || *signal == SIGCONT)
			return TOP_WISH_NEXT;
		if (*signal)
			return TOP_WISH_SIGNAL;
		if (ready > 0 && quits())
			return TOP_WISH_QUIT;
	}
	return TOP_WISH_NEXT;
}
