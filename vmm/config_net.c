/*
 * The network's part of the command line: --net and -p (see config.h). Words and numbers only:
 * whether an interface or a port can be had is found by those who open it.
 *
 * One thread.
 */
#include "vmm/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) .offset = offsetof(struct nic_config, name)
#define FORMS	    "user, tap=IFNAME, fd=N, socket=PATH, none"

const struct opt config_net_keys[] = {
	{.name = "type",
		.type = OPT_TEXT,
		FIELD(type),
		.value = "user|none",
		.help = "user: the guest gets out through vmm itself, without any set-up. It finds "
			"an address by DHCP (10.0.2.15), this host at 10.0.2.2 and a resolver at "
			"10.0.2.3. none: no card. The key itself may be left out."},
	{.name = "tap",
		.type = OPT_TEXT,
		FIELD(tap),
		.value = "IFNAME",
		.help = "a TAP interface of this host; it is made if there is none and vmm may"},
	{.name = "fd",
		.type = OPT_NUMBER,
		FIELD(fd),
		.max = INT_MAX,
		.value = "N",
		.help = "a TAP interface that is open as this descriptor"},
	{.name = "socket",
		.type = OPT_TEXT,
		FIELD(socket),
		.value = "PATH",
		.help = "a cable to another vmm with the same PATH, or to passt: the first listens "
			"there, the second connects"},
	{.name = "mac",
		.type = OPT_TEXT,
		FIELD(mac_text),
		.value = "ADDRESS",
		.help = "the card's address, like 02:00:00:00:00:01. Default: made from the "
			"machine's name and the card's number, so it stays the same"},
	{.name = "mtu",
		.type = OPT_NUMBER,
		FIELD(mtu),
		.min = NET_MTU_MIN,
		.max = NET_MTU_MAX,
		.value = "N",
		.help = "the largest IP packet. Default: the TAP interface's, else 1500"},
	{.name = "restrict",
		.alias = "restricted",
		.type = OPT_FLAG,
		FIELD(restricted),
		.help = "user: the guest reaches nothing; only ports of -p reach it"},
	{.name = "queues",
		.type = OPT_NUMBER,
		FIELD(queues),
		.min = 1,
		.max = NET_QUEUES_MAX,
		.value = "N",
		.help = "tap: pairs of queues, for guests with several CPUs. Default: 1"},
	{.name = "offload",
		.type = OPT_FLAG,
		FIELD(offload),
		.value = "off",
		.help = "tap, fd: no checksum and segmentation offloads"},
	{.name = "vhost",
		.type = OPT_FLAG,
		FIELD(vhost),
		.value = "off",
		.help = "tap, fd: not through the kernel's vhost-net even if it is there"},
	OPT_END,
};

/* ---- --net ---- */

static int bad(struct err *err, const char *text)
{
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "--net: %s", text);
}

static bool read_mac(const char *text, uint8_t *mac)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	for (unsigned i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		const char *high = text[0] ? strchr(digits, text[0]) : NULL;
		const char *low = high && text[1] ? strchr(digits, text[1]) : NULL;

		if (!low || text[2] != (i + 1 < NET_MAC_BYTES ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)(((high - digits) & 15) << 4 | ((low - digits) & 15));
	}
	return true;
}

static int check_mac(struct nic_config *nic, struct err *err)
{
	static const uint8_t zeros[NET_MAC_BYTES];

	if (!nic->mac_text)
		return 0;
	if (!read_mac(nic->mac_text, nic->mac))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--net: mac '%.60s' is no address like 02:00:00:00:00:01", nic->mac_text);
	if (nic->mac[0] & 1 || !memcmp(nic->mac, zeros, sizeof(zeros)))
		return err_set(err, EXIT_CODE_USAGE, EINVAL, "--net: mac %s can't be a card's: %s",
			nic->mac_text,
			nic->mac[0] & 1 ? "it is a group's, as its first byte is odd"
					: "it is all zeros");
	return 0;
}

static int refuse_type(const char *text, struct err *err)
{
	static const char *const words[] = {"user", "none", "tap=", "fd=", "socket=", NULL};
	const char *nearest = opts_nearest(text, words);
	int ret = err_set(err, EXIT_CODE_USAGE, EINVAL, "--net: '%.60s' is none of " FORMS, text);

	if (strchr(text, '/'))
		err_hint(err, "For a socket: --net socket=%.200s", text);
	else if (!strncmp(text, "tap", 3) && text[3])
		err_hint(err, "For the TAP interface: --net tap=%.60s", text);
	else if (nearest)
		err_hint(err, "Did you mean --net %s?", nearest);
	return ret;
}

/* Which host side it is, and that no key belongs to another. */
static int check_nic(struct nic_config *nic, struct err *err)
{
	bool is_user = nic->type, is_tap = nic->tap || nic->fd != CONFIG_NO_FD;

	if (nic->type && strcmp(nic->type, "user") != 0 && strcmp(nic->type, "none") != 0)
		return refuse_type(nic->type, err);
	if (is_user + !!nic->tap + (nic->fd != CONFIG_NO_FD) + !!nic->socket != 1)
		return bad(err, "a card has one host side: one of " FORMS);
	if (nic->restricted && !is_user)
		return bad(err, "restrict is for --net user alone");
	if (nic->queues > 1 && !nic->tap)
		return bad(err, "several queues are for tap=IFNAME alone");
	if (!nic->offload && !is_tap)
		return bad(err, "offload is for tap and fd alone");
	if (!nic->vhost && !is_tap)
		return bad(err, "vhost is for tap and fd alone");
	nic->kind = is_user ? NET_USER : is_tap ? NET_TAP : NET_SOCKET;
	return check_mac(nic, err);
}

int config_parse_net(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;
	struct nic_config *nic;
	int ret;

	(void)opt;
	if (config->nic_count == CONFIG_NICS_MAX)
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "--net is given more than %d times",
			CONFIG_NICS_MAX);
	nic = &config->nics[config->nic_count++];
	*nic = (struct nic_config){
		.fd = CONFIG_NO_FD,
		.queues = 1,
		.offload = true,
		.vhost = true,
		.text = strdup(text),
	};
	if (!nic->text)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	ret = opts_parse_keys(config_net_keys, "--net", nic->text, nic, err);
	return ret < 0 ? ret : check_nic(nic, err);
}

/* ---- -p ---- */

static int bad_forward(const char *text, const char *why, struct err *err)
{
	return err_set(err, EXIT_CODE_USAGE, EINVAL,
		"-p: '%.80s' is not [HOSTIP:]HOSTPORT:GUESTPORT[/udp]: %s", text, why);
}

static bool read_port(const char *text, size_t len, uint16_t *port)
{
	unsigned value = 0;

	if (!len || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value >= 1 && value <= UINT16_MAX;
}

static bool is_address(int family, const char *text)
{
	struct in6_addr address;

	return inet_pton(family, text, &address) == 1;
}

/* Takes "ADDRESS:" or "[ADDRESS]:" off the text if it stands there. */
static int read_host(
	const char *whole, const char **text, struct net_forward *forward, struct err *err)
{
	const char *p = *text, *first = strchr(p, ':'),
		   *second = first ? strchr(first + 1, ':') : NULL;
	bool in_brackets = *p == '[';
	const char *end = in_brackets ? strchr(p, ']') : second ? first : NULL;
	size_t len;

	if (!in_brackets && second && strchr(second + 1, ':')) {
		err_hint(err, "An IPv6 address stands in brackets: -p [::1]:2222:22");
		return bad_forward(whole, "it has too many colons", err);
	}
	if (in_brackets && (!end || end[1] != ':'))
		return bad_forward(whole, "behind [ there is no ]:", err);
	if (!end)
		return 0;
	p += in_brackets;
	len = (size_t)(end - p);
	if (len < sizeof(forward->host_address))
		memcpy(forward->host_address, p, len);
	if (!len || len >= sizeof(forward->host_address) ||
		!is_address(in_brackets ? AF_INET6 : AF_INET, forward->host_address)) {
		err_hint(err,
			"HOSTIP is an address of this host in numbers, like 127.0.0.1, "
			"0.0.0.0 for all of them, or [::1]");
		return bad_forward(whole, "HOSTIP is no IP address", err);
	}
	*text = end + 1 + in_brackets;
	return 0;
}

static int read_forward(const char *whole, struct net_forward *forward, struct err *err)
{
	const char *text = whole, *slash = strrchr(whole, '/'), *colon;
	size_t len = slash ? (size_t)(slash - whole) : strlen(whole);
	int ret;

	*forward = (struct net_forward){.udp = slash && !strcmp(slash, "/udp")};
	if (slash && !forward->udp && strcmp(slash, "/tcp") != 0)
		return bad_forward(whole, "behind the slash stands udp or tcp", err);
	ret = read_host(whole, &text, forward, err);
	if (ret < 0)
		return ret;
	colon = strchr(text, ':');
	if (!colon) {
		if (read_port(text, (size_t)(whole + len - text), &forward->host_port))
			err_hint(err, "For the same port on both sides: -p %u:%u",
				forward->host_port, forward->host_port);
		return bad_forward(whole, "there is no guest's port", err);
	}
	if (!read_port(text, (size_t)(colon - text), &forward->host_port) ||
		!read_port(colon + 1, (size_t)(whole + len - colon - 1), &forward->guest_port))
		return bad_forward(whole, "a port is a number from 1 to 65535", err);
	return 0;
}

int config_parse_publish(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;
	struct net_forward *forward = &config->forwards[config->forward_count];
	int ret;

	(void)opt;
	if (config->forward_count == NET_FORWARDS_MAX)
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "-p is given more than %d times",
			NET_FORWARDS_MAX);
	ret = read_forward(text, forward, err);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < config->forward_count; i++) {
		const struct net_forward *other = &config->forwards[i];

		if (other->udp == forward->udp && other->host_port == forward->host_port &&
			!strcmp(other->host_address, forward->host_address))
			return bad_forward(text, "this port of the host is given twice", err);
	}
	config->forward_count++;
	return 0;
}

/* ---- All of it ---- */

static bool is_none(const struct nic_config *nic)
{
	return nic->type && !strcmp(nic->type, "none");
}

static bool has_user(const struct vm_config *config)
{
	for (unsigned i = 0; i < config->nic_count; i++)
		if (config->nics[i].kind == NET_USER)
			return true;
	return false;
}

static void drop_nics(struct vm_config *config)
{
	while (config->nic_count)
		free(config->nics[--config->nic_count].text);
}

static int check_different(const struct vm_config *config, struct err *err)
{
	uint8_t one[NET_MAC_BYTES], other[NET_MAC_BYTES];

	for (unsigned i = 0; i < config->nic_count; i++)
		for (unsigned j = 0; j < i; j++) {
			config_net_mac(config, i, one);
			config_net_mac(config, j, other);
			if (!memcmp(one, other, sizeof(one)))
				return bad(err, "two cards have the same mac");
		}
	return 0;
}

int config_check_net(struct vm_config *config, struct err *err)
{
	bool said = config->nic_count;

	for (unsigned i = 0; i < config->nic_count; i++)
		if (is_none(&config->nics[i]) && config->nic_count > 1)
			return bad(err, "none and another card exclude each other");
	if (said && is_none(&config->nics[0]))
		drop_nics(config);
	/* A micro machine has what was asked for only: -p asks for a user network. */
	if (!said && (config->profile == PROFILE_PC || config->forward_count)) {
		config->nics[0] = (struct nic_config){.type = "user",
			.kind = NET_USER,
			.fd = CONFIG_NO_FD,
			.queues = 1,
			.offload = true,
			.vhost = true};
		config->nic_count = 1;
		config->net_is_default = true;
	}
	if (config->forward_count && !has_user(config)) {
		err_hint(err, "Add --net user, or leave -p out");
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"-p forwards to a user network, and --net asks for none");
	}
	return check_different(config, err);
}

void config_finish_net(struct vm_config *config)
{
	drop_nics(config);
}

/* FNV-1a, then a mix of all bits into all others: names differ in their last letters only. */
static uint64_t hash(const char *name, unsigned index)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	h = (h ^ (0x100 + index)) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

void config_net_mac(const struct vm_config *config, unsigned index, uint8_t *mac)
{
	const struct nic_config *nic = &config->nics[index];
	uint64_t h = hash(config->name, index);

	if (nic->mac_text) {
		memcpy(mac, nic->mac, NET_MAC_BYTES);
		return;
	}
	memcpy(mac, &h, NET_MAC_BYTES);
	/* Locally administered, and no group's. */
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}
