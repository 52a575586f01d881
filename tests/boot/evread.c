/*
 * evread - what a guest hears of keys and pointers, for test_input.sh. A static program.
 *
 *	evread [grab]               prints "dev N NAME" for each /dev/input/eventN, then "evread
 *	                            ready"; when a line comes on its standard input, "ev N TYPE
 *	                            CODE VALUE" for each event of any since, and "evread end". grab:
 *	                            nobody else in the guest sees them.
 *	evread lamp NAME LED VALUE  sets a lamp of the device of that name
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	DEVICES_MAX = 32,
	EVENTS_MAX = 16384,
};

/* Kept until all is over: a serial line is too slow for the kernel's buffer. */
static struct {
	unsigned device;
	struct input_event event;
} heard[EVENTS_MAX];
static unsigned heard_count;

static int open_device(unsigned number, int flags, char *name, size_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/input/event%u", number);
	fd = open(path, flags);
	if (fd >= 0 && ioctl(fd, EVIOCGNAME(size), name) < 0)
		snprintf(name, size, "?");
	return fd;
}

static int set_lamp(const char *wanted, int lamp, int value)
{
	const struct input_event events[] = {
		{.type = EV_LED, .code = (unsigned short)lamp, .value = value}, {.type = EV_SYN}};
	char name[128];

	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		int fd = open_device(i, O_WRONLY, name, sizeof(name));

		if (fd < 0 || strcmp(name, wanted) != 0)
			continue;
		return write(fd, events, sizeof(events)) != sizeof(events);
	}
	fprintf(stderr, "evread: there is no %s\n", wanted);
	return 1;
}

static void keep_events(unsigned device, int fd)
{
	struct input_event events[64];
	ssize_t got = read(fd, events, sizeof(events));

	for (ssize_t i = 0; i < got / (ssize_t)sizeof(events[0]) && heard_count < EVENTS_MAX; i++) {
		heard[heard_count].device = device;
		heard[heard_count++].event = events[i];
	}
}

static void print_events(void)
{
	for (unsigned i = 0; i < heard_count; i++)
		printf("ev %u %u %u %d\n", heard[i].device, heard[i].event.type,
			heard[i].event.code, heard[i].event.value);
	puts("evread end");
}

static int listen_to_all(int grab)
{
	struct pollfd polls[DEVICES_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
	char name[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		int fd = open_device(i, O_RDONLY, name, sizeof(name));

		polls[i + 1] = (struct pollfd){.fd = fd, .events = POLLIN};
		if (fd < 0)
			continue;
		if (grab)
			ioctl(fd, EVIOCGRAB, 1);
		printf("dev %u %s\n", i, name);
	}
	puts("evread ready");
	while (poll(polls, DEVICES_MAX + 1, -1) > 0 && !polls[0].revents)
		for (unsigned i = 0; i < DEVICES_MAX; i++)
			if (polls[i + 1].revents & POLLIN)
				keep_events(i, polls[i + 1].fd);
			else if (polls[i + 1].revents)
				polls[i + 1].fd = -1;
	print_events();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "lamp"))
		return set_lamp(argv[2], atoi(argv[3]), atoi(argv[4]));
	return listen_to_all(argc > 1);
}
