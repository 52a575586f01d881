/*
 * The network on a TAP interface, in a network namespace of the test's own: frames to and from
 * a packet socket on the host's end, queues, offloads, the interface set down or removed, and the
 * sentences for what can't be used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/net.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	TYPE = 0x88b5, /* for experiments; the host itself sends none of them */
};

static struct loop *loop;
static struct net *net;
static struct err err;
static unsigned readables, ups, downs;
static const char *skip_reason;

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
}

static void on_link(void *opaque, bool up)
{
	(void)opaque;
	if (up)
		ups++;
	else
		downs++;
}

static struct net_front front = {.readable = on_readable, .writable = on_writable, .link = on_link};

static struct net_config tap_config(const char *name, unsigned queues)
{
	if (skip_reason) {
		print_message("skip: %s\n", skip_reason);
		skip();
	}
	return (struct net_config){.kind = NET_TAP, .path = name, .fd = -1, .queues = queues};
}

static int open_tap(const struct net_config *config)
{
	int ret;

	err = (struct err)ERR_INIT;
	ret = net_open(&net, config, loop, &err);
	if (ret < 0)
		net = NULL;
	return ret;
}

static void start_tap(const struct net_config *config)
{
	if (open_tap(config) < 0)
		fail_msg("%s", err.text);
	net_attach(net, &front);
	net_start(net);
}

static void close_tap(void)
{
	if (net)
		net_attach(net, NULL);
	net_close(net);
	net = NULL;
}

static int setup(void **state)
{
	(void)state;
	readables = ups = downs = 0;
	net = NULL;
	log_set_level(LOG_ERROR);
	return loop_create(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	close_tap();
	loop_destroy(loop);
	loop = NULL;
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static void set_up(const char *name, bool up)
{
	struct ifreq ifr = {.ifr_flags = 0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* The host's end: all frames of our type. */
static int host_end(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(TYPE)};
	const struct timeval five_s = {.tv_sec = 5};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(TYPE));

	address.sll_ifindex = (int)if_nametoindex(name);
	assert_true(address.sll_ifindex > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five_s, sizeof(five_s)), 0);
	return fd;
}

static void make_frame(uint8_t *frame, uint8_t fill, size_t len)
{
	memset(frame, fill, len);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, (uint8_t[]){2, 0, 0, 0, 0, 1, TYPE >> 8, TYPE & 0xff}, 8);
}

static int send_frame(uint8_t fill, size_t len)
{
	uint8_t header[NET_HEADER_BYTES] = {0}, frame[2000];
	struct iovec iov[] = {{header, sizeof(header)}, {frame, 20}, {frame + 20, len - 20}};

	make_frame(frame, fill, len);
	return net_send(net, 0, iov, 3);
}

/* Waits for a frame of our type. Its length, or 0. */
static size_t receive_frame(uint8_t *frame, size_t room)
{
	uint8_t header[NET_HEADER_BYTES];
	struct iovec iov[] = {{header, sizeof(header)}, {frame, 30}, {frame + 30, room - 30}};

	assert_int_equal(net_next_bytes(net, 0), -ENOTSUP);
	for (int i = 0; i < 500; i++) {
		ssize_t n = net_receive(net, 0, iov, 3);

		if (n > 0 && frame[12] == TYPE >> 8 && frame[13] == (TYPE & 0xff))
			return (size_t)n - NET_HEADER_BYTES;
		if (n < 0)
			loop_run_once(loop, 10);
	}
	return 0;
}

static void test_frames_both_ways(void **state)
{
	struct net_config config = tap_config("vmmtap0", 1);
	uint8_t frame[2000], sent[2000];
	struct net_stats stats;
	int host;

	(void)state;
	start_tap(&config);
	assert_string_equal(net_info(net)->name, "vmmtap0");
	assert_int_equal(net_info(net)->mtu, 1500);
	assert_int_equal(net_info(net)->queues, 1);
	assert_true(net_info(net)->offloads & UINT64_C(1) << VIRTIO_NET_F_CSUM);
	assert_true(net_link_is_up(net));
	host = host_end("vmmtap0");
	assert_int_equal(send_frame('a', 100), 0);
	assert_int_equal(recv(host, frame, sizeof(frame), 0), 100);
	assert_int_equal(frame[50], 'a');
	make_frame(sent, 'b', 1514);
	assert_int_equal(send(host, sent, 1514, 0), 1514);
	run();
	assert_int_equal(receive_frame(frame, sizeof(frame)), 1514);
	assert_memory_equal(frame, sent, 1514);
	assert_true(readables > 0);
	/* What does not fit is dropped whole, and the next one is taken. */
	assert_int_equal(send(host, sent, 1514, 0), 1514);
	make_frame(sent, 'c', 60);
	assert_int_equal(send(host, sent, 60, 0), 60);
	assert_int_equal(receive_frame(frame, 100), 60);
	assert_int_equal(frame[50], 'c');
	net_get_stats(net, &stats);
	assert_true(stats.dropped_to_guest >= 1);
	assert_true(stats.sent_frames == 1 && stats.sent_bytes == 100);
	close(host);
}

static void test_headers_that_make_no_sense(void **state)
{
	struct net_config config = tap_config("vmmtap0", 1);
	uint8_t bytes[NET_HEADER_BYTES + 100] = {0};
	struct virtio_net_hdr_v1 *header = (struct virtio_net_hdr_v1 *)bytes;
	struct iovec iov = {bytes, sizeof(bytes)};

	(void)state;
	start_tap(&config);
	make_frame(bytes + NET_HEADER_BYTES, 'a', 100);
	header->gso_type = 99;
	assert_int_equal(net_send(net, 0, &iov, 1), -EINVAL);
	header->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = 60000;
	header->hdr_len = 65535;
	assert_int_equal(net_send(net, 0, &iov, 1), -EINVAL);
	iov.iov_len = 3;
	assert_int_equal(net_send(net, 0, &iov, 1), -EINVAL);
	assert_int_equal(send_frame('a', 100), 0);
}

static void test_an_interface_set_down(void **state)
{
	struct net_config config = tap_config("vmmtap0", 1);
	struct net_stats stats;

	(void)state;
	start_tap(&config);
	set_up("vmmtap0", false);
	run();
	assert_int_equal(downs, 1);
	assert_false(net_link_is_up(net));
	assert_int_equal(send_frame('a', 100), 0);
	net_get_stats(net, &stats);
	assert_int_equal(stats.dropped_to_host, 1);
	set_up("vmmtap0", true);
	run();
	assert_int_equal(ups, 1);
	assert_int_equal(send_frame('a', 100), 0);
	net_get_stats(net, &stats);
	assert_int_equal(stats.sent_frames, 1);
}

static void test_an_interface_removed(void **state)
{
	struct net_config config = tap_config("vmmtap0", 1);
	uint8_t bytes[2000];
	struct iovec iov = {bytes, sizeof(bytes)};

	(void)state;
	start_tap(&config);
	if (system("ip link delete vmmtap0 2>/dev/null") != 0) {
		print_message("skip: the command ip is not there\n");
		skip();
	}
	for (int i = 0; i < 100 && !downs; i++) {
		loop_run_once(loop, 10);
		while (net_receive(net, 0, &iov, 1) > 0)
			;
	}
	assert_int_equal(downs, 1);
	assert_false(net_link_is_up(net));
	assert_int_equal(send_frame('a', 100), 0);
	net_stop(net);
	net_start(net);
	assert_false(net_link_is_up(net));
}

static bool has_carrier(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_data = (char *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	return value.data;
}

static void test_the_host_sees_whether_the_driver_is_there(void **state)
{
	struct net_config config = tap_config("vmmtap0", 1);

	(void)state;
	start_tap(&config);
	assert_true(has_carrier("vmmtap0"));
	net_stop(net);
	assert_false(has_carrier("vmmtap0"));
	net_start(net);
	assert_true(has_carrier("vmmtap0"));
}

/* While vhost-net has the descriptors the loop is not told of frames; afterwards it is. */
static void test_bypassed(void **state)
{
	struct net_config config = tap_config("vmmtap0", 1);
	uint8_t frame[2000];
	int host;

	(void)state;
	start_tap(&config);
	host = host_end("vmmtap0");
	net_set_bypassed(net, true);
	run();
	readables = 0;
	make_frame(frame, 'a', 100);
	assert_int_equal(send(host, frame, 100, 0), 100);
	run();
	assert_int_equal(readables, 0);
	net_set_bypassed(net, false);
	run();
	assert_true(readables > 0);
	assert_int_equal(receive_frame(frame, sizeof(frame)), 100);
	close(host);
}

static void test_queues_and_offloads(void **state)
{
	const uint64_t csum = UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM,
		       tso4 = UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4;
	struct net_config config = tap_config("vmmtap0", 3);

	(void)state;
	start_tap(&config);
	assert_int_equal(net_info(net)->queues, 3);
	assert_non_null(net_info(net)->vhost_fds);
	assert_int_equal(net_set_queues(net, 3), 0);
	assert_int_equal(net_set_queues(net, 1), 0);
	assert_int_equal(net_set_queues(net, 2), 0);
	assert_int_equal(send_frame('a', 100), 0);
	assert_int_equal(net_set_offloads(net, csum | tso4), 0);
	assert_int_equal(net_set_offloads(net, csum), 0);
	assert_int_equal(net_set_offloads(net, 0), 0);
	close_tap();
	config.no_offloads = config.no_vhost = true;
	config.mtu = 4000;
	start_tap(&config);
	assert_true(net_info(net)->offloads == 0);
	assert_null(net_info(net)->vhost_fds);
	assert_int_equal(net_info(net)->mtu, 4000);
}

static int open_raw(const char *name, int flags, bool keep)
{
	struct ifreq ifr = {.ifr_flags = (short)flags};
	int fd = open("/dev/net/tun", O_RDWR);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, keep), 0);
	return fd;
}

static void test_a_persistent_interface_is_kept(void **state)
{
	struct net_config config = tap_config("vmmtap1", 1);

	(void)state;
	/* Made for several queues: one is enough for us. */
	close(open_raw("vmmtap1", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, true));
	start_tap(&config);
	assert_false(net_link_is_up(net));
	close_tap();
	assert_true(if_nametoindex("vmmtap1") > 0);
	close(open_raw("vmmtap1", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, false));
	assert_int_equal(if_nametoindex("vmmtap1"), 0);
}

static void test_what_can_not_be_used(void **state)
{
	struct net_config config = tap_config("vmmtap2", 1);
	int fd;

	(void)state;
	fd = open_raw("vmmtap2", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, false);
	assert_int_equal(open_tap(&config), -EBUSY);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, "vmmtap2 is in use"));
	config.queues = 2;
	assert_true(open_tap(&config) < 0);
	assert_non_null(strstr(err.text, "made without several queues"));
	assert_non_null(strstr(err.hint, "ip tuntap add dev vmmtap2 mode tap multi_queue user "));
	assert_non_null(strstr(err.hint, "&& ip link set vmmtap2 up"));
	close(fd);
	config.queues = 1;
	fd = open_raw("vmmtun", IFF_TUN | IFF_NO_PI, false);
	config.path = "vmmtun";
	assert_true(open_tap(&config) < 0);
	assert_non_null(strstr(err.text, "is a TUN interface"));
	close(fd);
	config.path = "lo";
	assert_true(open_tap(&config) < 0);
	assert_non_null(strstr(err.text, "lo is no TAP interface"));
	config.path = "an-interface-0001";
	assert_int_equal(open_tap(&config), -ENAMETOOLONG);
	assert_non_null(strstr(err.text, "at most 15 characters, not 17"));
	config.path = "a/b";
	assert_int_equal(open_tap(&config), -EINVAL);
	assert_non_null(strstr(err.text, "no name of an interface"));
}

static void test_a_descriptor_passed_in(void **state)
{
	struct net_config config = tap_config(NULL, 1);
	int host;
	uint8_t frame[2000];

	(void)state;
	config.fd = open_raw("vmmtap3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, false);
	set_up("vmmtap3", true);
	start_tap(&config);
	assert_string_equal(net_info(net)->name, "vmmtap3");
	assert_true(net_link_is_up(net));
	host = host_end("vmmtap3");
	assert_int_equal(send_frame('a', 100), 0);
	assert_int_equal(recv(host, frame, sizeof(frame), 0), 100);
	close(host);
	close_tap();
	config.fd = open_raw("vmmtap3", IFF_TAP | IFF_NO_PI, false);
	assert_int_equal(open_tap(&config), -EINVAL);
	assert_non_null(strstr(err.text, "without the flags IFF_VNET_HDR"));
	close(config.fd);
	config.fd = 987;
	assert_int_equal(open_tap(&config), -EBADF);
	assert_non_null(strstr(err.text, "--net fd=987"));
	config.fd = open("/dev/null", O_RDWR);
	assert_int_equal(open_tap(&config), -ENOTTY);
	assert_non_null(strstr(err.text, "no TAP interface"));
	close(config.fd);
}

/* Root needs no user namespace of its own. */
static const char *enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return "no network namespace can be made here";
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return "there is no /dev/net/tun that can be used";
	close(open("/dev/net/tun", O_RDWR));
	return NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers_that_make_no_sense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_interface_set_down, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_interface_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_host_sees_whether_the_driver_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bypassed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queues_and_offloads, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_persistent_interface_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_can_not_be_used, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_descriptor_passed_in, setup, teardown),
	};

	skip_reason = enter_namespace();
	return cmocka_run_group_tests_name("net_tap", tests, NULL, NULL);
}
