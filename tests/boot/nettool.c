/*
 * nettool - the two ends of what the network tests send; one static program for host and guest.
 *
 *   nettool connect ADDRESS PORT         TCP: standard input to the other side and back, until
 *   nettool listen ADDRESS PORT          both directions have ended; listen takes one connection
 *   nettool udp-serve ADDRESS PORT       answers "heard: TEXT" to each datagram, until killed
 *   nettool udp-ask ADDRESS PORT TEXT    prints the answer to a datagram; asks ten times at most
 *   nettool dns ADDRESS PORT IPV4        a resolver that knows one address for every name
 *
 * Addresses are numbers, IPv4 or IPv6. The exit status is 0 when all went well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	TRIES = 10,
	DNS_HEADER_BYTES = 12,
	DNS_TYPE_A = 1,
};

#define NORETURN __attribute__((noreturn))

static NORETURN void fail(const char *what)
{
	fprintf(stderr, "nettool: %s: %s\n", what, strerror(errno));
	exit(1);
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t read_address(union address *address, const char *text, const char *port)
{
	*address = (union address){.in = {.sin_family = AF_INET}};
	address->in.sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, text, &address->in.sin_addr) == 1)
		return sizeof(address->in);
	*address = (union address){.in6 = {.sin6_family = AF_INET6}};
	address->in6.sin6_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET6, text, &address->in6.sin6_addr) == 1)
		return sizeof(address->in6);
	fprintf(stderr, "nettool: %s is no address\n", text);
	exit(2);
}

static int open_socket(const char *text, const char *port, int type, bool server)
{
	union address address;
	socklen_t len = read_address(&address, text, port);
	int fd = socket(address.any.sa_family, type, 0);
	const int on = 1;

	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server ? bind(fd, &address.any, len) : connect(fd, &address.any, len))
		fail(server ? "bind" : "connect");
	return fd;
}

static void write_all(int fd, const char *bytes, ssize_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, (size_t)len);

		if (n < 0)
			fail("write");
		bytes += n;
		len -= n;
	}
}

static int pass_both_ways(int fd)
{
	static char bytes[65536];
	struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {fd, POLLIN, 0}};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 2, -1) < 0)
			fail("poll");
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			n = read(fds[i].fd, bytes, sizeof(bytes));
			if (n < 0)
				fail("read");
			write_all(i ? STDOUT_FILENO : fd, bytes, n);
			if (n == 0) {
				fds[i].fd = -1;
				if (i == 0)
					shutdown(fd, SHUT_WR);
			}
		}
	}
	return 0;
}

static int take_one(int listener)
{
	int fd;

	if (listen(listener, 1))
		fail("listen");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		fail("accept");
	close(listener);
	return pass_both_ways(fd);
}

static NORETURN void serve_udp(int fd)
{
	static const char heard[] = "heard: ";
	char text[2048];

	memcpy(text, heard, sizeof(heard));
	for (;;) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, text + strlen(heard), sizeof(text) - sizeof(heard), 0,
			(struct sockaddr *)&from, &from_len);

		if (n >= 0)
			sendto(fd, text, strlen(heard) + (size_t)n, 0, (struct sockaddr *)&from,
				from_len);
	}
}

static int ask_udp(int fd, const char *question)
{
	const struct timeval second = {.tv_sec = 1};
	char text[2048];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	for (int i = 0; i < TRIES; i++) {
		ssize_t n;

		send(fd, question, strlen(question), 0);
		n = recv(fd, text, sizeof(text) - 1, 0);
		if (n >= 0) {
			text[n] = '\0';
			puts(text);
			return 0;
		}
		/* Nobody there yet: it may come. */
		if (errno == ECONNREFUSED)
			sleep(1);
	}
	fputs("nettool: no answer\n", stderr);
	return 1;
}

/* RFC 1035: the question comes back; behind it, if it was for an address, the only one known. */
static NORETURN void serve_dns(int fd, const char *known)
{
	static const uint8_t answer_head[] = {
		0xc0, DNS_HEADER_BYTES, 0, DNS_TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4};
	uint8_t bytes[600];

	for (;;) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, bytes, 512, 0, (struct sockaddr *)&from, &from_len);
		size_t end = DNS_HEADER_BYTES;

		if (n < DNS_HEADER_BYTES)
			continue;
		while (end < (size_t)n && bytes[end])
			end += bytes[end] + 1u;
		end += 5;
		if (end > (size_t)n)
			continue;
		memcpy(bytes + 2, (uint8_t[]){0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, 10);
		if (bytes[end - 3] == DNS_TYPE_A && !bytes[end - 4]) {
			bytes[7] = 1;
			memcpy(bytes + end, answer_head, sizeof(answer_head));
			inet_pton(AF_INET, known, bytes + end + sizeof(answer_head));
			end += sizeof(answer_head) + 4;
		}
		sendto(fd, bytes, end, 0, (struct sockaddr *)&from, from_len);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc >= 4 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(what, "connect"))
		return pass_both_ways(open_socket(argv[2], argv[3], SOCK_STREAM, false));
	if (!strcmp(what, "listen"))
		return take_one(open_socket(argv[2], argv[3], SOCK_STREAM, true));
	if (!strcmp(what, "udp-serve"))
		serve_udp(open_socket(argv[2], argv[3], SOCK_DGRAM, true));
	if (!strcmp(what, "udp-ask") && argc == 5)
		return ask_udp(open_socket(argv[2], argv[3], SOCK_DGRAM, false), argv[4]);
	if (!strcmp(what, "dns") && argc == 5)
		serve_dns(open_socket(argv[2], argv[3], SOCK_DGRAM, true), argv[4]);
	fputs("nettool: see the top of nettool.c\n", stderr);
	return 2;
}
