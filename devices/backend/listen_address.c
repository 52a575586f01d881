/*
 * See listen_address.h.
 */
#include "devices/backend/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/opts.h"

static int parse_path(
	struct listen_address *address, const char *name, const char *path, struct err *err)
{
	size_t len = strlen(path);

	if (!len || len > LISTEN_PATH_MAX)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"%s: unix: wants the name of a socket of 1 to %d bytes, not %zu", name,
			LISTEN_PATH_MAX, len);
	memcpy(address->path, path, len + 1);
	return 0;
}

static int parse_port(
	struct listen_address *address, const char *name, const char *text, struct err *err)
{
	uint64_t port;
	int ret = opts_parse_number(name, text, 1, UINT16_MAX, &port, err);

	if (ret < 0) {
		err_hint(err,
			"say unix:PATH, a port (VNC's first is 5900, gdb's 1234), or ADDRESS:PORT");
		return ret;
	}
	address->port = (uint16_t)port;
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* The part before ":PORT", perhaps in brackets. */
static int parse_host(struct listen_address *address, const char *name, const char *text,
	size_t len, struct err *err)
{
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets) {
		text++;
		len -= 2;
	}
	if (len <= LISTEN_HOST_MAX) {
		memcpy(address->host, text, len);
		address->host[len] = '\0';
		if (strcmp(address->host, "localhost") == 0)
			strcpy(address->host, "127.0.0.1");
		if (is_address(address->host) && brackets == !!strchr(address->host, ':'))
			return 0;
	}
	err_hint(err,
		"say an address of this host in numbers, 192.0.2.1 or [2001:db8::1]; "
		"0.0.0.0 is all of them");
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "%s: '%.*s' is no IP address", name,
		(int)MIN(len, (size_t)100), text);
}

int listen_address_parse(
	struct listen_address *address, const char *name, const char *text, struct err *err)
{
	static const char word[] = "unix:";
	const char *colon = strrchr(text, ':');
	int ret;

	*address = (struct listen_address){.host = "127.0.0.1"};
	if (strncmp(text, word, sizeof(word) - 1) == 0) {
		address->host[0] = '\0';
		return parse_path(address, name, text + sizeof(word) - 1, err);
	}
	if (!colon)
		return parse_port(address, name, text, err);
	ret = parse_host(address, name, text, (size_t)(colon - text), err);
	return ret < 0 ? ret : parse_port(address, name, colon + 1, err);
}

bool listen_address_is_public(const struct listen_address *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (address->path[0])
		return false;
	if (inet_pton(AF_INET, address->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 != 127;
	return inet_pton(AF_INET6, address->host, &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
}

/* ---- The port ---- */

union socket_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t fill_address(union socket_address *to, const struct listen_address *address)
{
	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, address->host, &to->in.sin_addr) == 1) {
		to->in.sin_family = AF_INET;
		to->in.sin_port = htons(address->port);
		return sizeof(to->in);
	}
	inet_pton(AF_INET6, address->host, &to->in6.sin6_addr);
	to->in6.sin6_family = AF_INET6;
	to->in6.sin6_port = htons(address->port);
	return sizeof(to->in6);
}

static int refuse_port(
	const struct listen_address *address, const char *what, int errnum, struct err *err)
{
	bool is_v6 = strchr(address->host, ':');

	if (errnum == EADDRINUSE)
		err_hint(err,
			"choose another port, or end that program: ss -tlpn 'sport = %u' shows it",
			address->port);
	else if (errnum == EACCES)
		err_hint(err, "choose a port from 1024 on");
	else if (errnum == EADDRNOTAVAIL)
		err_hint(err, "ip address shows the addresses of this host");
	return err_set(err, EXIT_CODE_DEVICE, errnum, "%s can't have %s%s%s:%u: %s", what,
		is_v6 ? "[" : "", address->host, is_v6 ? "]" : "", address->port,
		errnum == EADDRINUSE		  ? "another program has this port"
			: errnum == EACCES	  ? "ports below 1024 are for root"
			: errnum == EADDRNOTAVAIL ? "this host has no such address"
						  : strerror(errnum));
}

int listen_address_open_port(
	const struct listen_address *address, const char *what, int backlog, struct err *err)
{
	union socket_address where;
	socklen_t len = fill_address(&where, address);
	const int on = 1;
	int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return refuse_port(address, what, errno, err);
	/* So that a machine can be started again at once. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (where.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &where.any, len) == 0 && listen(fd, backlog) == 0)
		return fd;
	ret = refuse_port(address, what, errno, err);
	close(fd);
	return ret;
}

void listen_address_tune(int fd)
{
	const int on = 1, idle_s = 60, probe_s = 15, probes = 4;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof(probe_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}
