/*
 * Both ends of the vsock test: built statically, it runs in the guest (AF_VSOCK) and on the host
 * (the UNIX sockets of --vsock).
 *
 *	vsock_peer echo PLACE                  sends back what it gets, to all at once
 *	vsock_peer count PLACE                 reads to the end, then answers how much it was
 *	vsock_peer mute PLACE                  takes connections and never reads
 *	vsock_peer load PLACE STREAMS BYTES    sends to an echo on all streams at once, compares
 *	vsock_peer half PLACE BYTES            sends to a count, ends its half, prints the answer
 *	vsock_peer flood PLACE                 sends until nothing has gone out for two seconds
 *	vsock_peer leave PLACE BYTES           sends to an echo and leaves without reading
 *
 * PLACE is CID:PORT or PORT (AF_VSOCK), unix:PATH, or unix:PATH:PORT for the handshake.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	STREAMS_MAX = 200,
	CHUNK = 65536,
	PATIENCE_MS = 120000,
};

struct stream {
	int fd;
	uint64_t sent, received;
	int ended;
};

__attribute__((noreturn)) static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* The byte at an offset of a stream: what is lost, doubled or mixed up shows. */
static uint8_t byte_of(unsigned stream, uint64_t at)
{
	uint64_t x = (at >> 3) * UINT64_C(0x9e3779b97f4a7c15) + stream * UINT64_C(0x100000001b3);

	return (uint8_t)(x >> (8 * (at & 7)));
}

static int open_place(
	const char *place, struct sockaddr_storage *address, socklen_t *len, const char **port)
{
	struct sockaddr_un *un = (void *)address;
	struct sockaddr_vm *vm = (void *)address;
	const char *colon;

	memset(address, 0, sizeof(*address));
	*port = NULL;
	if (!strncmp(place, "unix:", 5)) {
		colon = strchr(place + 5, ':');
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%.*s",
			colon ? (int)(colon - place - 5) : 100, place + 5);
		*port = colon ? colon + 1 : NULL;
		*len = sizeof(*un);
		return socket(AF_UNIX, SOCK_STREAM, 0);
	}
	colon = strchr(place, ':');
	vm->svm_family = AF_VSOCK;
	vm->svm_cid = colon ? (unsigned)strtoul(place, NULL, 10) : VMADDR_CID_ANY;
	vm->svm_port = (unsigned)strtoul(colon ? colon + 1 : place, NULL, 10);
	*len = sizeof(*vm);
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int listen_at(const char *place)
{
	struct sockaddr_storage address;
	const char *port;
	socklen_t len;
	int fd = open_place(place, &address, &len, &port);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 128) < 0)
		die("listen");
	printf("listening at %s\n", place);
	fflush(stdout);
	return fd;
}

static void shake_hands(int fd, const char *port)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "CONNECT %s\n", port);

	if (write(fd, line, (size_t)len) != len)
		die("handshake");
	len = 0;
	do {
		if (read(fd, &line[len], 1) != 1) {
			printf("refused\n");
			exit(1);
		}
	} while (line[len++] != '\n' && len < (int)sizeof(line));
	if (strncmp(line, "OK ", 3) != 0) {
		printf("no handshake: %.*s\n", len, line);
		exit(1);
	}
}

static int connect_to(const char *place)
{
	struct sockaddr_storage address;
	const char *port;
	socklen_t len;
	int fd = open_place(place, &address, &len, &port);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, len) < 0)
		die("connect");
	if (port)
		shake_hands(fd, port);
	return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
	ssize_t n = 0;

	for (size_t done = 0; done < len; done += (size_t)n) {
		n = write(fd, (const char *)data + done, len - done);
		if (n <= 0)
			exit(1);
	}
}

static void serve_one(const char *mode, int fd)
{
	static char buf[CHUNK];
	uint64_t total = 0;
	ssize_t n;

	/* Ends with the server, however that ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (*mode == 'm')
		for (;;)
			pause();
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		total += (uint64_t)n;
		if (*mode == 'e')
			send_all(fd, buf, (size_t)n);
	}
	if (*mode == 'c') {
		n = snprintf(buf, sizeof(buf), "%llu bytes\n", (unsigned long long)total);
		send_all(fd, buf, (size_t)n);
	}
	exit(0);
}

static void serve(const char *mode, const char *place)
{
	int listener = listen_at(place), fd;

	signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (!fork())
			serve_one(mode, fd);
		close(fd);
	}
	die("accept");
}

static void send_some(struct stream *stream, unsigned nth, uint64_t bytes)
{
	static uint8_t buf[CHUNK];
	uint64_t len = bytes - stream->sent;
	ssize_t n;

	len = len < CHUNK ? len : CHUNK;
	for (uint64_t i = 0; i < len; i++)
		buf[i] = byte_of(nth, stream->sent + i);
	n = send(stream->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("send");
	if (n > 0)
		stream->sent += (uint64_t)n;
	if (stream->sent == bytes && shutdown(stream->fd, SHUT_WR) < 0)
		die("shutdown");
}

static void receive_some(struct stream *stream, unsigned nth)
{
	static uint8_t buf[CHUNK];
	ssize_t n = recv(stream->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN)
		die("receive");
	stream->ended = n == 0;
	for (ssize_t i = 0; i < n; i++, stream->received++)
		if (buf[i] != byte_of(nth, stream->received)) {
			printf("stream %u differs at %llu\n", nth,
				(unsigned long long)stream->received);
			exit(1);
		}
}

static void load(const char *place, unsigned count, uint64_t bytes)
{
	static struct stream streams[STREAMS_MAX];
	static struct pollfd pfds[STREAMS_MAX];
	unsigned left = count;

	for (unsigned i = 0; i < count; i++)
		streams[i].fd = connect_to(place);
	while (left) {
		for (unsigned i = 0; i < count; i++)
			pfds[i] = (struct pollfd){streams[i].ended ? -1 : streams[i].fd,
				(short)(POLLIN | (streams[i].sent < bytes ? POLLOUT : 0)), 0};
		if (poll(pfds, count, PATIENCE_MS) <= 0)
			die("nothing moves");
		for (unsigned i = 0; i < count; i++) {
			if (pfds[i].revents & POLLOUT)
				send_some(&streams[i], i, bytes);
			if (!(pfds[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			receive_some(&streams[i], i);
			left -= (unsigned)streams[i].ended;
		}
	}
	for (unsigned i = 0; i < count; i++)
		if (streams[i].received != bytes) {
			printf("stream %u ended after %llu bytes\n", i,
				(unsigned long long)streams[i].received);
			exit(1);
		}
	printf("loaded %u streams, %llu bytes each way\n", count,
		(unsigned long long)(count * bytes));
}

static void half(const char *place, uint64_t bytes)
{
	static char buf[CHUNK];
	int fd = connect_to(place);
	ssize_t n;

	for (uint64_t done = 0; done < bytes; done += sizeof(buf))
		send_all(fd, buf, sizeof(buf));
	if (shutdown(fd, SHUT_WR) < 0)
		die("shutdown");
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
}

static void flood(const char *place)
{
	static char buf[CHUNK];
	struct pollfd pfd = {connect_to(place), POLLOUT, 0};
	uint64_t total = 0;
	ssize_t n;

	while (poll(&pfd, 1, 2000) > 0) {
		n = send(pfd.fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			die("send");
		if (n > 0)
			total += (uint64_t)n;
	}
	printf("flooded %llu KiB\n", (unsigned long long)(total / 1024));
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";
	uint64_t number = argc > 3 ? strtoull(argv[argc - 1], NULL, 10) : 0;

	if (!strcmp(mode, "echo") || !strcmp(mode, "count") || !strcmp(mode, "mute"))
		serve(mode, argv[2]);
	else if (!strcmp(mode, "load") && argc == 5)
		load(argv[2], (unsigned)strtoul(argv[3], NULL, 10) % STREAMS_MAX, number);
	else if (!strcmp(mode, "half") && argc == 4)
		half(argv[2], number);
	else if (!strcmp(mode, "flood"))
		flood(argv[2]);
	else if (!strcmp(mode, "leave") && argc == 4)
		send_all(connect_to(argv[2]), calloc(1, number), number);
	else
		return 2;
	return 0;
}
