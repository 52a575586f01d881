/*
 * See net_slirp.h. The only file that knows libslirp, which is loaded when the first network needs
 * it: it brings glib along, and a machine that does not use it shall not pay for that.
 *
 * Addresses are the ones that every tutorial has: guest 10.0.2.15 by DHCP, host 10.0.2.2, resolver
 * 10.0.2.3; fec0::/64 with the host at fec0::2 and the resolver at fec0::3.
 *
 * What the guest can do              limit                              enforced in     test
 * open sockets without end           half of the process's descriptors  may_open()      slirp_limits_sockets
 * make the library complain          a few lines in ten seconds         log_guest()     -
 * send anything as a frame           the library's own checks           libslirp        user_takes_any_frame
 *
 * Threads: see net_slirp.h. The library keeps some state for the whole process (the host's
 * resolver, the time, the list of its instances); `library` is held round each call of it.
 */
#include "devices/backend/net_slirp.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <slirp/libslirp.h>

#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	POLLED_FIRST = 32,
	POLLED_MAX = 4096, /* sockets beyond this number wait for others to close */
	SOCKETS_MAX = 1024,
	FD_BITS = 8192,
	CONFIG_VERSION =
		1, /* of SlirpConfig: all that is needed here, in every library since 4.1 */
	IP6_HEADER_BYTES = 40,
	IP6_ECHO_REQUEST = 128,
};

struct slirp_timer {
	SlirpTimerCb fn;
	void *opaque;
	int64_t due_ms; /* INT64_MAX: not armed */
	struct slirp_timer *next;
};

struct net_slirp {
	Slirp *slirp;
	void (*deliver)(void *opaque, const uint8_t *frame, size_t len);
	void *opaque;
	struct slirp_timer *timers;
	struct log_limit complaints;

	struct pollfd *polled; /* grows to what was needed most */
	unsigned polled_count, polled_room;

	uint8_t is_socket[FD_BITS / 8]; /* descriptors that the library has told of */
	unsigned socket_count, socket_limit;
};

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* ---- Loading ---- */

typedef void log_fn(const char *domain, int level, const char *message, void *data);

static struct {
	bool is_loaded;
	__typeof__(&slirp_new) create;
	__typeof__(&slirp_cleanup) destroy;
	__typeof__(&slirp_input) input;
	__typeof__(&slirp_pollfds_fill) fill;
	__typeof__(&slirp_pollfds_poll) dispatch;
	__typeof__(&slirp_add_hostxfwd) forward;
	log_fn *(*set_log)(log_fn *fn, void *data); /* glib's g_log_set_default_handler */
} lib;

/* What glib would write to stderr without a limit. */
static void take_log(const char *domain, int level, const char *message, void *data)
{
	static struct log_limit limit;

	(void)level;
	(void)data;
	log_guest(&limit, "net", "%s: %s", domain ? domain : "glib", message);
}

static bool load_symbols(void *handle)
{
	const struct {
		const char *name;
		void *slot;
	} symbols[] = {
		{"slirp_new", &lib.create},
		{"slirp_cleanup", &lib.destroy},
		{"slirp_input", &lib.input},
		{"slirp_pollfds_fill", &lib.fill},
		{"slirp_pollfds_poll", &lib.dispatch},
		{"slirp_add_hostxfwd", &lib.forward},
		{"g_log_set_default_handler", &lib.set_log},
	};

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *address = dlsym(handle, symbols[i].name);

		if (!address)
			return false;
		memcpy(symbols[i].slot, &address, sizeof(address));
	}
	return true;
}

bool net_slirp_load(void)
{
	void *handle;

	pthread_mutex_lock(&library);
	if (!lib.is_loaded) {
		/* Never closed: glib can't be. */
		handle = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
		lib.is_loaded = handle && load_symbols(handle);
		if (lib.is_loaded)
			lib.set_log(take_log, NULL);
	}
	pthread_mutex_unlock(&library);
	return lib.is_loaded;
}

/* ---- What the library calls; `opaque` is the net_slirp ---- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
	struct net_slirp *self = opaque;

	self->deliver(self->opaque, buf, len);
	return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
	log_guest(&((struct net_slirp *)opaque)->complaints, "net", "%s", msg);
}

static int64_t clock_get_ns(void *opaque)
{
	(void)opaque;
	return (int64_t)util_now_ns();
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct net_slirp *self = opaque;
	struct slirp_timer *timer = calloc(1, sizeof(*timer));

	/* The library has one, made with itself, and no way to be told that there is none. */
	ASSERT(timer);
	*timer = (struct slirp_timer){cb, cb_opaque, INT64_MAX, self->timers};
	self->timers = timer;
	return timer;
}

static void timer_free(void *timer, void *opaque)
{
	struct net_slirp *self = opaque;
	struct slirp_timer **at = &self->timers;

	while (*at && *at != timer)
		at = &(*at)->next;
	if (*at)
		*at = (*at)->next;
	free(timer);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	(void)opaque;
	((struct slirp_timer *)timer)->due_ms = expire_ms;
}

/* Told of the same descriptor twice, or of none, it must not lose count. */
static void note_socket(struct net_slirp *self, int fd, bool open)
{
	uint8_t bit = (uint8_t)(1u << (fd & 7));
	bool was;

	if (fd < 0 || fd >= FD_BITS)
		return;
	was = self->is_socket[fd / 8] & bit;
	if (was == open)
		return;
	self->is_socket[fd / 8] ^= bit;
	self->socket_count += open ? 1 : -1u;
}

static void register_poll_fd(int fd, void *opaque)
{
	note_socket(opaque, fd, true);
}

static void unregister_poll_fd(int fd, void *opaque)
{
	note_socket(opaque, fd, false);
}

/* Room in a connection's buffer: the library is asked for its sockets before each wait anyway. */
static void notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = register_poll_fd,
	.unregister_poll_fd = unregister_poll_fd,
	.notify = notify,
};

/* ---- Forwarded ports ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t address_bytes(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->in) : sizeof(address->in6);
}

static int host_address(const struct net_forward *forward, union address *address)
{
	const char *text = forward->host_address[0] ? forward->host_address : "127.0.0.1";

	*address = (union address){.in.sin_family = AF_INET};
	if (inet_pton(AF_INET, text, &address->in.sin_addr) == 1) {
		address->in.sin_port = htons(forward->host_port);
		return 0;
	}
	*address = (union address){.in6.sin6_family = AF_INET6};
	if (inet_pton(AF_INET6, text, &address->in6.sin6_addr) != 1)
		return -EINVAL;
	address->in6.sin6_port = htons(forward->host_port);
	return 0;
}

/*
 * The guest has 10.0.2.15 by DHCP. Over IPv6 it makes its address from its MAC (RFC 4291,
 * appendix A), which is the only one that can be told from outside.
 */
static void guest_address(
	const struct net_forward *forward, const uint8_t *mac, int family, union address *address)
{
	uint8_t *id = address->in6.sin6_addr.s6_addr + 8;

	if (family == AF_INET) {
		*address = (union address){.in.sin_family = AF_INET};
		address->in.sin_addr.s_addr = htonl(0x0a00020f);
		address->in.sin_port = htons(forward->guest_port);
		return;
	}
	*address = (union address){.in6.sin6_family = AF_INET6};
	address->in6.sin6_port = htons(forward->guest_port);
	inet_pton(AF_INET6, "fec0::", &address->in6.sin6_addr);
	memcpy(id, mac, 3);
	memcpy(id + 5, mac + 3, 3);
	id[0] ^= 2;
	id[3] = 0xff;
	id[4] = 0xfe;
}

/*
 * Whether the port can be had, found out with a socket of our own: the library binds UDP ports
 * so that two programs may have the same one, and keeps no good errno.
 */
static int probe_port(const struct net_forward *forward, const union address *address)
{
	int fd = socket(address->any.sa_family,
		(forward->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	const int on = 1;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (!forward->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address->any, address_bytes(address)) < 0 ||
		(!forward->udp && listen(fd, 1) < 0))
		ret = -errno;
	close(fd);
	return ret;
}

static int refuse_port(const struct net_forward *forward, int errnum, struct err *err)
{
	const char *host = forward->host_address[0] ? forward->host_address : "127.0.0.1";
	bool is_v6 = strchr(host, ':');
	const char *why = errnum == EADDRINUSE ? "another program has it"
		: errnum == EACCES	       ? "ports below 1024 are for root"
		: errnum == EADDRNOTAVAIL      ? "this host has no such address"
					       : strerror(errnum);
	int ret = err_set(err, EXIT_CODE_DEVICE, errnum,
		"can't forward the host's %s port %s%s%s:%u: %s", forward->udp ? "UDP" : "TCP",
		is_v6 ? "[" : "", host, is_v6 ? "]" : "", forward->host_port, why);

	if (errnum == EADDRINUSE)
		err_hint(err,
			"choose another HOSTPORT for -p, or end that program: ss -%spn "
			"'sport = %u' shows it",
			forward->udp ? "ua" : "tl", forward->host_port);
	else if (errnum == EACCES)
		err_hint(err,
			"choose a HOSTPORT from 1024 on, or as root: sysctl "
			"net.ipv4.ip_unprivileged_port_start=%u",
			forward->host_port);
	else if (errnum == EADDRNOTAVAIL)
		err_hint(err, "ip address shows the addresses of this host");
	return ret;
}

static int open_forward(struct net_slirp *self, const struct net_forward *forward,
	const uint8_t *mac, struct err *err)
{
	union address host, guest;
	int ret = host_address(forward, &host);

	if (ret < 0)
		return err_set(err, EXIT_CODE_DEVICE, EINVAL, "'%s' is no IP address",
			forward->host_address);
	ret = probe_port(forward, &host);
	if (ret < 0)
		return refuse_port(forward, -ret, err);
	guest_address(forward, mac, host.any.sa_family, &guest);
	errno = 0;
	ret = lib.forward(self->slirp, &host.any, address_bytes(&host), &guest.any,
		address_bytes(&guest),
		(forward->udp ? SLIRP_HOSTFWD_UDP : 0) |
			(host.any.sa_family == AF_INET6 ? SLIRP_HOSTFWD_V6ONLY : 0));
	return ret < 0 ? refuse_port(forward, errno ? errno : EADDRINUSE, err) : 0;
}

/* ---- Life ---- */

static SlirpConfig library_config(const struct net_config *config)
{
	SlirpConfig slirp = {
		.version = CONFIG_VERSION,
		.restricted = config->restricted,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = config->mtu,
		.if_mru = config->mtu,
	};

	slirp.vnetwork.s_addr = htonl(0x0a000200);
	slirp.vnetmask.s_addr = htonl(0xffffff00);
	slirp.vhost.s_addr = htonl(0x0a000202);
	slirp.vnameserver.s_addr = htonl(0x0a000203);
	slirp.vdhcp_start.s_addr = htonl(0x0a00020f);
	inet_pton(AF_INET6, "fec0::", &slirp.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &slirp.vhost6);
	inet_pton(AF_INET6, "fec0::3", &slirp.vnameserver6);
	return slirp;
}

static unsigned choose_socket_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SOCKETS_MAX / 2;
	return (unsigned)MIN(limit.rlim_cur / 2, (rlim_t)SOCKETS_MAX);
}

int net_slirp_create(struct net_slirp **slirp, const struct net_config *config,
	void (*deliver)(void *opaque, const uint8_t *frame, size_t len), void *opaque,
	struct err *err)
{
	SlirpConfig library_settings = library_config(config);
	struct net_slirp *self;
	int ret = 0;

	if (!net_slirp_load()) {
		err_hint(err,
			"install it (Debian: the package " NET_SLIRP_PACKAGE
			"), or say --net none");
		return err_set(err, EXIT_CODE_DEVICE, ENOENT,
			"there is no user network: the library libslirp.so.0 is not installed");
	}
	self = calloc(1, sizeof(*self));
	if (self)
		self->polled = malloc(POLLED_FIRST * sizeof(*self->polled));
	if (!self || !self->polled) {
		free(self);
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a network");
	}
	self->polled_room = POLLED_FIRST;
	self->deliver = deliver;
	self->opaque = opaque;
	self->socket_limit = choose_socket_limit();
	pthread_mutex_lock(&library);
	self->slirp = lib.create(&library_settings, &callbacks, self);
	if (!self->slirp)
		ret = err_set(err, EXIT_CODE_DEVICE, EIO, "libslirp can't make a network");
	for (unsigned i = 0; ret >= 0 && i < config->forward_count; i++)
		ret = open_forward(self, &config->forwards[i], config->mac, err);
	pthread_mutex_unlock(&library);
	if (ret < 0) {
		net_slirp_destroy(self);
		return ret;
	}
	*slirp = self;
	return 0;
}

void net_slirp_destroy(struct net_slirp *self)
{
	if (!self)
		return;
	pthread_mutex_lock(&library);
	if (self->slirp)
		lib.destroy(self->slirp);
	pthread_mutex_unlock(&library);
	while (self->timers)
		timer_free(self->timers, self);
	free(self->polled);
	free(self);
}

/* ---- Frames ---- */

/* The first packet of a TCP connection. `tcp` may be cut anywhere. */
static bool is_syn(const uint8_t *tcp, size_t len)
{
	return len < sizeof(struct tcphdr) || (tcp[13] & (TH_SYN | TH_ACK)) == TH_SYN;
}

/* True for all that may open a socket: wrong only for the other side's harmless packets. */
static bool may_open(const uint8_t *frame, size_t len)
{
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);
	const uint8_t *ip = frame + ETH_HLEN;
	size_t ip_len = len - ETH_HLEN, header;

	if (type == ETH_P_IP && ip_len >= sizeof(struct iphdr)) {
		header = (ip[0] & 15u) * 4;
		return ip[9] != IPPROTO_TCP || header > ip_len ||
			is_syn(ip + header, ip_len - header);
	}
	if (type == ETH_P_IPV6 && ip_len > IP6_HEADER_BYTES) {
		ip_len -= IP6_HEADER_BYTES;
		if (ip[6] == IPPROTO_TCP)
			return is_syn(ip + IP6_HEADER_BYTES, ip_len);
		return ip[6] != IPPROTO_ICMPV6 || ip[IP6_HEADER_BYTES] == IP6_ECHO_REQUEST;
	}
	return false;
}

bool net_slirp_input(struct net_slirp *self, const uint8_t *frame, size_t len)
{
	if (len < ETH_HLEN)
		return true;
	if (self->socket_count >= self->socket_limit && may_open(frame, len)) {
		log_guest(&self->complaints, "net",
			"the guest has %u connections, as many as it may; it gets no more",
			self->socket_count);
		return false;
	}
	pthread_mutex_lock(&library);
	lib.input(self->slirp, frame, (int)len);
	pthread_mutex_unlock(&library);
	return true;
}

/* ---- Waiting ---- */

static short poll_events(int events)
{
	return (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
		(events & SLIRP_POLL_OUT ? POLLOUT : 0) | (events & SLIRP_POLL_PRI ? POLLPRI : 0) |
		(events & SLIRP_POLL_ERR ? POLLERR : 0) | (events & SLIRP_POLL_HUP ? POLLHUP : 0));
}

static int slirp_events(short events)
{
	return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
		(events & POLLPRI ? SLIRP_POLL_PRI : 0) | (events & POLLERR ? SLIRP_POLL_ERR : 0) |
		(events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static bool grow_polled(struct net_slirp *self)
{
	unsigned room = MAX(self->polled_room, (unsigned)POLLED_FIRST) * 2;
	struct pollfd *polled;

	if (self->polled_count < self->polled_room)
		return true;
	if (room > POLLED_MAX)
		return false;
	polled = realloc(self->polled, room * sizeof(*polled));
	if (!polled)
		return false;
	self->polled = polled;
	self->polled_room = room;
	return true;
}

static int add_poll(int fd, int events, void *opaque)
{
	struct net_slirp *self = opaque;

	if (!grow_polled(self))
		return -1;
	self->polled[self->polled_count] = (struct pollfd){.fd = fd, .events = poll_events(events)};
	return (int)self->polled_count++;
}

static int get_revents(int index, void *opaque)
{
	struct net_slirp *self = opaque;

	if (index < 0 || (unsigned)index >= self->polled_count)
		return 0;
	return slirp_events(self->polled[index].revents);
}

static int64_t now_ms(void)
{
	return (int64_t)(util_now_ns() / 1000000);
}

static int timeout_ms(const struct net_slirp *self, uint32_t library_ms)
{
	int64_t least = library_ms > INT32_MAX ? INT64_MAX : (int64_t)library_ms, now = now_ms();

	for (const struct slirp_timer *timer = self->timers; timer; timer = timer->next)
		if (timer->due_ms != INT64_MAX)
			least = MIN(least, MAX(timer->due_ms - now, (int64_t)0));
	return least == INT64_MAX ? -1 : (int)MIN(least, (int64_t)INT32_MAX);
}

static void run_timers(struct net_slirp *self)
{
	int64_t now = now_ms();
	struct slirp_timer *next;

	for (struct slirp_timer *timer = self->timers; timer; timer = next) {
		next = timer->next;
		if (timer->due_ms <= now) {
			timer->due_ms = INT64_MAX;
			timer->fn(timer->opaque);
		}
	}
}

bool net_slirp_wait(struct net_slirp *self, int wake_fd, bool sockets, bool poll_only)
{
	uint32_t library_ms = UINT32_MAX;
	int wait_ms = -1, ready;

	self->polled_count = 0;
	add_poll(wake_fd, SLIRP_POLL_IN, self);
	pthread_mutex_lock(&library);
	if (sockets) {
		lib.fill(self->slirp, &library_ms, add_poll, self);
		wait_ms = timeout_ms(self, library_ms);
	}
	pthread_mutex_unlock(&library);
	ready = poll(self->polled, self->polled_count, poll_only ? 0 : wait_ms);
	if (!sockets)
		return ready > 0;
	pthread_mutex_lock(&library);
	lib.dispatch(self->slirp, ready < 0, get_revents, self);
	run_timers(self);
	pthread_mutex_unlock(&library);
	return ready > 0 && self->polled[0].revents;
}
