/*
 * The user network, from the guest's side of its wire: ARP and DHCP answers, forwarded ports, what
 * happens when one side is slow, and how much a guest may ask for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/net.h"
#include "devices/backend/net_slirp.h"

enum {
	FRAME_MAX = 2048,
	HEADERS = 14 + 20 + 8, /* Ethernet, IPv4, UDP */
};

static struct loop *loop;
static struct net *net;
static struct err err;
static unsigned readables, writables;
static bool restricted;
static const uint8_t mac[6] = {0x02, 1, 2, 3, 4, 5};

static void on_readable(void *opaque, unsigned queue)
{
	(void)opaque;
	(void)queue;
	readables++;
}

static void on_writable(void *opaque, unsigned queue)
{
	(void)opaque;
	(void)queue;
	writables++;
}

static void on_link(void *opaque, bool up)
{
	(void)opaque;
	(void)up;
}

static struct net_front front = {.readable = on_readable, .writable = on_writable, .link = on_link};

static struct net_config user_config(const struct net_forward *forwards, unsigned count)
{
	struct net_config config = {
		.kind = NET_USER, .fd = -1, .queues = 1, .mtu = 1500, .forwards = forwards};

	config.forward_count = count;
	config.restricted = restricted;
	memcpy(config.mac, mac, sizeof(mac));
	return config;
}

static int open_user(const struct net_forward *forwards, unsigned count)
{
	struct net_config config = user_config(forwards, count);

	err = (struct err)ERR_INIT;
	return net_open(&net, &config, loop, &err);
}

static void start_user(const struct net_forward *forwards, unsigned count)
{
	if (open_user(forwards, count) < 0)
		fail_msg("%s", err.text);
	net_attach(net, &front);
	net_start(net);
	assert_true(net_link_is_up(net));
}

static int setup(void **state)
{
	(void)state;
	readables = writables = 0;
	restricted = false;
	net = NULL;
	return loop_create(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	if (net)
		net_attach(net, NULL);
	net_close(net);
	loop_destroy(loop);
	return 0;
}

/* ---- Frames ---- */

static int send_frame(const void *frame, size_t len)
{
	uint8_t header[NET_HEADER_BYTES] = {0};
	struct iovec iov[] = {{header, sizeof(header)}, {(void *)frame, len / 2},
		{(uint8_t *)frame + len / 2, len - len / 2}};

	return net_send(net, 0, iov, 3);
}

/* Waits for the next frame; its length, or 0 after five seconds. */
static size_t receive_frame(uint8_t *frame)
{
	uint8_t header[NET_HEADER_BYTES];
	struct iovec iov[] = {{header, 5}, {header + 5, sizeof(header) - 5}, {frame, 3},
		{frame + 3, FRAME_MAX - 3}};

	for (int i = 0; i < 500; i++) {
		ssize_t next = net_next_bytes(net, 0), got = net_receive(net, 0, iov, 4);

		if (got > 0) {
			assert_true(next == got || !next);
			assert_memory_equal(header, (uint8_t[NET_HEADER_BYTES]){0}, sizeof(header));
			return (size_t)got - NET_HEADER_BYTES;
		}
		assert_int_equal(got, -EAGAIN);
		loop_run_once(loop, 10);
	}
	return 0;
}

static void make_arp(uint8_t frame[42], uint8_t last_byte)
{
	static const uint8_t head[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};

	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(frame + 22, mac, 6);
	memcpy(frame + 28, (uint8_t[]){10, 0, 2, 15}, 4);
	memset(frame + 32, 0, 6);
	memcpy(frame + 38, (uint8_t[]){10, 0, 2, last_byte}, 4);
}

static uint16_t ip_checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* Headers round `len` bytes at frame + HEADERS; returns the length of the frame. */
static size_t make_udp(uint8_t *frame, const char *from, const char *to, unsigned from_port,
	unsigned to_port, size_t len)
{
	uint8_t *ip = frame + 14, *udp = ip + 20;

	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	put16(frame + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(28 + len));
	ip[8] = 64;
	ip[9] = 17;
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	put16(ip + 10, ip_checksum(ip, 20));
	put16(udp, from_port);
	put16(udp + 2, to_port);
	put16(udp + 4, (unsigned)(8 + len));
	put16(udp + 6, 0);
	return HEADERS + len;
}

/* ---- What the guest asks for first ---- */

static void test_user_answers_arp(void **state)
{
	uint8_t request[42], reply[FRAME_MAX];
	struct net_stats stats;

	(void)state;
	start_user(NULL, 0);
	make_arp(request, 2);
	assert_int_equal(send_frame(request, sizeof(request)), 0);
	assert_true(receive_frame(reply) >= 42);
	assert_int_equal(reply[21], 2);
	assert_memory_equal(reply + 28, ((uint8_t[]){10, 0, 2, 2}), 4);
	net_get_stats(net, &stats);
	assert_int_equal(stats.sent_frames, 1);
	assert_int_equal(stats.sent_bytes, 42);
	assert_int_equal(stats.received_frames, 1);
}

/*
 * A frame is taken before its signal comes, as a device at work does. The signal then finds
 * nothing, and the next frame has to be told of all the same.
 */
static void test_user_tells_of_frames_behind_an_empty_signal(void **state)
{
	uint8_t request[42], reply[FRAME_MAX];
	struct iovec iov = {reply, sizeof(reply)};
	ssize_t got = -EAGAIN;

	(void)state;
	start_user(NULL, 0);
	make_arp(request, 2);
	assert_int_equal(send_frame(request, sizeof(request)), 0);
	for (int i = 0; i < 5000 && got < 0; i++) {
		got = net_receive(net, 0, &iov, 1);
		if (got < 0)
			usleep(1000);
	}
	assert_true(got > 0);
	loop_run_once(loop, 1000);
	assert_int_equal(readables, 0);
	assert_int_equal(send_frame(request, sizeof(request)), 0);
	for (int i = 0; i < 500 && !readables; i++)
		loop_run_once(loop, 10);
	assert_int_equal(readables, 1);
}

/* RFC 2131: a DHCPDISCOVER gives an offer of 10.0.2.15. */
static void test_user_offers_an_address(void **state)
{
	uint8_t frame[FRAME_MAX] = {0}, *bootp = frame + HEADERS;
	size_t len;

	(void)state;
	start_user(NULL, 0);
	bootp[0] = 1;
	bootp[1] = 1;
	bootp[2] = 6;
	memcpy(bootp + 28, mac, 6);
	memcpy(bootp + 236, (uint8_t[]){0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255}, 8);
	len = make_udp(frame, "0.0.0.0", "255.255.255.255", 68, 67, 300);
	assert_int_equal(send_frame(frame, len), 0);
	do
		len = receive_frame(frame);
	while (len && !(len > HEADERS + 240 && frame[23] == 17 && frame[37] == 68));
	assert_true(len > 0);
	assert_memory_equal(bootp + 16, ((uint8_t[]){10, 0, 2, 15}), 4);
}

/* ---- Forwarded ports ---- */

static int listen_on(int type, uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void test_a_taken_port_is_an_error(void **state)
{
	struct net_forward forward = {.guest_port = 80};
	int fd;

	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		forward.udp = udp;
		fd = listen_on(udp ? SOCK_DGRAM : SOCK_STREAM, &forward.host_port);
		assert_int_equal(open_user(&forward, 1), -EADDRINUSE);
		assert_int_equal(err.kind, EXIT_CODE_DEVICE);
		assert_non_null(strstr(err.text, "127.0.0.1"));
		assert_non_null(strstr(err.text, "another program has it"));
		assert_non_null(strstr(err.hint, "-p"));
		close(fd);
		/* Free again, and then ours: not even another of our own can have it. */
		assert_int_equal(open_user(&forward, 1), 0);
		{
			struct net_config config = user_config(&forward, 1);
			struct net *second;

			assert_int_equal(net_open(&second, &config, loop, NULL), -EADDRINUSE);
		}
		net_close(net);
		net = NULL;
	}
}

static void test_a_foreign_address_is_an_error(void **state)
{
	const struct net_forward forward = {
		.host_address = "192.0.2.1", .host_port = 40123, .guest_port = 80};

	(void)state;
	assert_int_equal(open_user(&forward, 1), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "no such address"));
}

/* Who connects to the host's port makes the stack look for the guest, then send it a SYN. */
static void test_a_forwarded_port_leads_to_the_guest(void **state)
{
	struct net_forward forward = {.guest_port = 2222};
	struct sockaddr_in address = {.sin_family = AF_INET};
	uint8_t frame[FRAME_MAX], arp[42];
	int fd = listen_on(SOCK_STREAM, &forward.host_port), client;
	size_t len;

	(void)state;
	close(fd);
	start_user(&forward, 1);
	/* The stack learns where 10.0.2.15 is. */
	make_arp(arp, 2);
	assert_int_equal(send_frame(arp, sizeof(arp)), 0);
	assert_true(receive_frame(frame) > 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(forward.host_port);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	do
		len = receive_frame(frame);
	while (len && !(frame[12] == 0x08 && frame[13] == 0 && frame[23] == 6));
	assert_true(len > 0);
	assert_memory_equal(frame + 26, ((uint8_t[]){10, 0, 2, 2}), 4);
	assert_memory_equal(frame + 30, ((uint8_t[]){10, 0, 2, 15}), 4);
	assert_int_equal(frame[36] << 8 | frame[37], 2222);
	close(client);
}

/* ---- A slow side ---- */

static void test_user_pushes_back(void **state)
{
	uint8_t frame[1514] = {0}, reply[FRAME_MAX];
	unsigned taken = 0;

	(void)state;
	assert_int_equal(open_user(NULL, 0), 0);
	net_attach(net, &front);
	/* Nobody takes them before the start. */
	while (send_frame(frame, sizeof(frame)) == 0)
		assert_true(++taken < 1000);
	assert_true(taken > 100);
	assert_int_equal(send_frame(frame, sizeof(frame)), -EAGAIN);
	net_start(net);
	for (int i = 0; i < 500 && !writables; i++)
		loop_run_once(loop, 10);
	assert_true(writables > 0);
	make_arp(frame, 2);
	assert_int_equal(send_frame(frame, 42), 0);
	assert_true(receive_frame(reply) > 0);
}

/* A guest that asks and does not listen gets no more than half a ring; then nothing is lost. */
static void test_user_keeps_room(void **state)
{
	uint8_t request[42], reply[FRAME_MAX];
	unsigned sent = 0, got = 0, refused = 0;
	struct net_stats stats;

	(void)state;
	start_user(NULL, 0);
	make_arp(request, 2);
	while (refused < 200) {
		if (send_frame(request, sizeof(request)) == 0) {
			sent++;
			refused = 0;
		} else {
			refused++;
			loop_run_once(loop, 1);
		}
		assert_true(sent < 100000);
	}
	while (got < sent && receive_frame(reply))
		got++;
	assert_int_equal(got, sent);
	net_get_stats(net, &stats);
	assert_int_equal(stats.dropped_to_guest, 0);
	assert_int_equal(stats.dropped_to_host, 0);
}

static void test_frames_are_dropped_while_stopped(void **state)
{
	uint8_t request[42], reply[FRAME_MAX];
	struct net_stats stats;

	(void)state;
	start_user(NULL, 0);
	net_stop(net);
	make_arp(request, 2);
	assert_int_equal(send_frame(request, sizeof(request)), 0);
	do {
		loop_run_once(loop, 1);
		net_get_stats(net, &stats);
	} while (!stats.dropped_to_guest);
	assert_int_equal(net_next_bytes(net, 0), 0);
	net_start(net);
	assert_int_equal(send_frame(request, sizeof(request)), 0);
	assert_true(receive_frame(reply) > 0);
}

/* ---- Hostile guests ---- */

static void test_user_takes_any_frame(void **state)
{
	uint8_t frame[1519] = {0}, reply[FRAME_MAX], small[20];
	struct iovec iov = {small, sizeof(small)};
	struct net_stats stats;

	(void)state;
	/* Random addresses are none of the outside's business. */
	restricted = true;
	start_user(NULL, 0);
	assert_int_equal(send_frame(frame, 0), -EINVAL);
	assert_int_equal(send_frame(frame, 13), -EINVAL);
	assert_int_equal(send_frame(frame, sizeof(frame)), 0);
	net_get_stats(net, &stats);
	assert_int_equal(stats.dropped_to_host, 1);
	srand(1);
	for (int round = 0; round < 3000; round++) {
		size_t len = 14 + (size_t)rand() % (sizeof(frame) - 15);

		for (size_t i = 0; i < len; i++)
			frame[i] = (uint8_t)rand();
		/* Most of them look like IPv4, IPv6 or ARP to the stack. */
		memcpy(frame + 12,
			(uint8_t[][3]){{8, 0, 0x45}, {0x86, 0xdd, 0x60}, {8, 6, 0}}[round % 3], 3);
		while (send_frame(frame, len) == -EAGAIN)
			loop_run_once(loop, 1);
		while (net_receive(net, 0, &iov, 1) > 0)
			;
	}
	make_arp(frame, 2);
	assert_int_equal(send_frame(frame, 42), 0);
	do
		assert_true(receive_frame(reply) > 0);
	while (reply[12] != 8 || reply[13] != 6 || reply[21] != 2);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += dup2(fd, fd) == fd;
	return count;
}

static void test_slirp_limits_sockets(void **state)
{
	struct rlimit limit, small;
	uint8_t frame[FRAME_MAX], arp[42];
	struct net_stats stats;
	unsigned before, after;
	uint16_t port;
	int fd = listen_on(SOCK_DGRAM, &port);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	start_user(NULL, 0);
	make_arp(arp, 2);
	assert_int_equal(send_frame(arp, sizeof(arp)), 0);
	assert_true(receive_frame(frame) > 0);
	before = open_descriptors();
	for (unsigned i = 0; i < 200; i++) {
		size_t len = make_udp(frame, "10.0.2.15", "10.0.2.2", 1000 + i, port, 10);

		memcpy(frame, (uint8_t[]){0x52, 0x55, 10, 0, 2, 2}, 6);
		assert_int_equal(send_frame(frame, len), 0);
	}
	assert_int_equal(send_frame(arp, sizeof(arp)), 0);
	assert_true(receive_frame(frame) > 0);
	after = open_descriptors();
	net_get_stats(net, &stats);
	assert_int_equal(after - before, 50);
	assert_int_equal(stats.dropped_to_host, 150);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_user_answers_arp, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_user_tells_of_frames_behind_an_empty_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_offers_an_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_taken_port_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_foreign_address_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_forwarded_port_leads_to_the_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_pushes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_keeps_room, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_frames_are_dropped_while_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user_takes_any_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slirp_limits_sockets, setup, teardown),
	};

	if (!net_slirp_load()) {
		print_message("1..0\nskip - net_user: libslirp is not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("net_user", tests, NULL, NULL);
}
