/*
 * See x_server.h. The screen is read where Xvfb keeps it (-fbdir), in the format of X11/XWDFile.h,
 * all of whose numbers are big endian.
 */
#include "tests/fake/x_server.h"

#include <dlfcn.h>
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <X11/Xlib.h>

enum {
	XWD_HEADER_SIZE = 0, /* indices of 32-bit words */
	XWD_BYTES_PER_LINE = 12,
	XWD_COLORS = 19,
	XWD_COLOR_BYTES = 12,
};

static bool has_program(const char *name)
{
	char command[100];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", name);
	return system(command) == 0;
}

static void be_silent(void)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
}

static void exec_server(
	struct x_server *server, unsigned width, unsigned height, unsigned depth, int number_fd)
{
	char screen[40], fd_text[16];

	snprintf(screen, sizeof(screen), "%ux%ux%u", width, height, depth);
	snprintf(fd_text, sizeof(fd_text), "%d", number_fd);
	be_silent();
	execlp("Xvfb", "Xvfb", "-displayfd", fd_text, "-screen", "0", screen, "-fbdir",
		server->folder, "-nolisten", "tcp", "-noreset", NULL);
	_exit(127);
}

static bool map_screen(struct x_server *server)
{
	char path[100];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/Xvfb_screen0", server->folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	server->screen_bytes = (size_t)st.st_size;
	server->screen = mmap(NULL, server->screen_bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return server->screen != MAP_FAILED;
}

bool x_server_start(struct x_server *server, unsigned width, unsigned height, unsigned depth)
{
	int fds[2];
	char number[20] = "", name[20];
	size_t used = 0;
	ssize_t got;

	*server = (struct x_server){.pid = 0};
	if (!has_program("Xvfb") || !has_program("xdotool"))
		return false;
	snprintf(server->folder, sizeof(server->folder), "/tmp/x-server-XXXXXX");
	if (!mkdtemp(server->folder) || pipe(fds) < 0)
		return false;
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	server->pid = fork();
	if (server->pid == 0)
		exec_server(server, width, height, depth, fds[1]);
	close(fds[1]);
	/* To the end of the line: the server ends when its reader goes before that. */
	do {
		got = read(fds[0], number + used, sizeof(number) - 1 - used);
		used += (size_t)MAX(got, (ssize_t)0);
	} while (got > 0 && !strchr(number, '\n'));
	close(fds[0]);
	server->number = (unsigned)atoi(number);
	snprintf(name, sizeof(name), ":%u", server->number);
	setenv("DISPLAY", name, 1);
	unsetenv("WAYLAND_DISPLAY");
	return got > 0 && map_screen(server);
}

void x_server_stop(struct x_server *server)
{
	char command[200];

	if (!server->pid)
		return;
	if (server->manager_pid) {
		kill(server->manager_pid, SIGKILL);
		waitpid(server->manager_pid, NULL, 0);
	}
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	if (server->screen)
		munmap((void *)(uintptr_t)server->screen, server->screen_bytes);
	/* Killed, it leaves these behind. */
	snprintf(command, sizeof(command), "rm -rf %s /tmp/.X%u-lock /tmp/.X11-unix/X%u",
		server->folder, server->number, server->number);
	if (system(command))
		fprintf(stderr, "# not removed: %s\n", server->folder);
	unsetenv("DISPLAY");
	*server = (struct x_server){.pid = 0};
}

bool x_server_manage_windows(struct x_server *server)
{
	if (!has_program("openbox"))
		return false;
	server->manager_pid = fork();
	if (server->manager_pid == 0) {
		be_silent();
		execlp("openbox", "openbox", "--sm-disable", NULL);
		_exit(127);
	}
	/* It is there when the root window says who manages. */
	return system("for i in $(seq 100); do "
		      "xprop -root _NET_SUPPORTING_WM_CHECK | grep -q '#' && exit 0; sleep 0.1; "
		      "done; exit 1") == 0;
}

static uint32_t header_word(const struct x_server *server, unsigned index)
{
	return be32toh(load_le32(server->screen + index * 4u));
}

uint32_t x_server_pixel(const struct x_server *server, unsigned x, unsigned y)
{
	size_t at = header_word(server, XWD_HEADER_SIZE) +
		(size_t)header_word(server, XWD_COLORS) * XWD_COLOR_BYTES +
		(size_t)y * header_word(server, XWD_BYTES_PER_LINE) + x * 4ul;

	/* Pixels are in the byte order of the host. */
	return load_le32(server->screen + at) & 0xffffff;
}

PRINTF_LIKE(1, 0)
static FILE *run(const char *format, va_list args)
{
	char command[4000] = "xdotool ";
	size_t used = strlen(command);

	vsnprintf(command + used, sizeof(command) - used, format, args);
	return popen(command, "r");
}

bool x_server_do(const char *format, ...)
{
	va_list args;
	FILE *output;

	va_start(args, format);
	output = run(format, args);
	va_end(args);
	return output && pclose(output) == 0;
}

long x_server_ask(const char *format, ...)
{
	va_list args;
	FILE *output;
	long number = -1;

	va_start(args, format);
	output = run(format, args);
	va_end(args);
	if (output && fscanf(output, "%ld", &number) != 1)
		number = -1;
	if (output)
		pclose(output);
	return number;
}

void x_server_close_window(unsigned long window)
{
	void *handle = dlopen("libX11.so.6", RTLD_NOW | RTLD_LOCAL);
	__typeof__(&XOpenDisplay) open_display = dlsym(handle, "XOpenDisplay");
	__typeof__(&XInternAtom) intern_atom = dlsym(handle, "XInternAtom");
	__typeof__(&XSendEvent) send_event = dlsym(handle, "XSendEvent");
	__typeof__(&XCloseDisplay) close_display = dlsym(handle, "XCloseDisplay");
	Display *display = open_display(NULL);
	XEvent event = {.xclient = {.type = ClientMessage, .window = window, .format = 32}};

	event.xclient.message_type = intern_atom(display, "WM_PROTOCOLS", False);
	event.xclient.data.l[0] = (long)intern_atom(display, "WM_DELETE_WINDOW", False);
	send_event(display, window, False, NoEventMask, &event);
	close_display(display);
}
