/*
 * The terminal of an interactive nested run: raw while the command has it, and put back. Knows
 * nothing of the nested host. One thread.
 */
#include "relay.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool is_raw;

bool tty_wanted(const struct request *request)
{
	return !request->never_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

struct msg_window tty_window(void)
{
	struct msg_window window = {0};
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
		window.rows = size.ws_row;
		window.columns = size.ws_col;
	}
	return window;
}

void tty_restore(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_raw = false;
}

void tty_set_raw(void)
{
	struct termios raw;

	if (is_raw || tcgetattr(STDIN_FILENO, &saved))
		return;
	raw = saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0)
		is_raw = true;
}

bool tty_is_in_background(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);

	return foreground > 0 && foreground != getpgrp();
}
