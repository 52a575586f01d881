/*
 * Where VNC listens, as text: see display_vnc.h. Words and numbers only; knows no socket.
 *
 * Any thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/backend/display_vnc.h"
#include "vmm/base/opts.h"

static int parse_path(
	struct display_vnc_address *address, const char *name, const char *path, struct err *err)
{
	size_t len = strlen(path);

	if (!len || len > VNC_PATH_MAX)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"%s: unix: wants the name of a socket of 1 to %d bytes, not %zu", name,
			VNC_PATH_MAX, len);
	memcpy(address->path, path, len + 1);
	return 0;
}

static int parse_port(
	struct display_vnc_address *address, const char *name, const char *text, struct err *err)
{
	uint64_t port;
	int ret = opts_parse_number(name, text, 1, UINT16_MAX, &port, err);

	if (ret < 0) {
		err_hint(err,
			"say unix:PATH, a port (what VNC calls display :0 is port 5900), or "
			"ADDRESS:PORT");
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
static int parse_host(struct display_vnc_address *address, const char *name, const char *text,
	size_t len, struct err *err)
{
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (brackets) {
		text++;
		len -= 2;
	}
	if (len <= VNC_HOST_MAX) {
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

int display_vnc_parse(
	struct display_vnc_address *address, const char *name, const char *text, struct err *err)
{
	static const char word[] = "unix:";
	const char *colon = strrchr(text, ':');
	int ret;

	*address = (struct display_vnc_address){.host = "127.0.0.1"};
	if (strncmp(text, word, sizeof(word) - 1) == 0) {
		address->host[0] = '\0';
		return parse_path(address, name, text + sizeof(word) - 1, err);
	}
	if (!colon)
		return parse_port(address, name, text, err);
	ret = parse_host(address, name, text, (size_t)(colon - text), err);
	return ret < 0 ? ret : parse_port(address, name, colon + 1, err);
}

bool display_vnc_is_public(const struct display_vnc_address *address)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (address->path[0])
		return false;
	if (inet_pton(AF_INET, address->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 != 127;
	return inet_pton(AF_INET6, address->host, &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
}
