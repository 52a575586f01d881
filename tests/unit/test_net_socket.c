/*
 * The network on a UNIX socket: two cards on one cable, who listens and who connects, what
 * happens when one goes, does not read, or lies about lengths; whose file the socket may replace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/backend/net.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	FRAME_BYTES = 1514
};

/* One end of the cable. */
struct end {
	struct net *net;
	struct net_front front;
	unsigned readables, writables, ups, downs;
};

static struct loop *loop;
static struct err err;
static struct end first, second;
static char dir[40], path[60];

static void on_readable(void *opaque, unsigned queue)
{
	(void)queue;
	((struct end *)opaque)->readables++;
}

static void on_writable(void *opaque, unsigned queue)
{
	(void)queue;
	((struct end *)opaque)->writables++;
}

static void on_link(void *opaque, bool up)
{
	struct end *end = opaque;

	if (up)
		end->ups++;
	else
		end->downs++;
}

static int open_end(struct end *end)
{
	const struct net_config config = {.kind = NET_SOCKET, .path = path, .fd = -1, .queues = 1};
	int ret;

	*end = (struct end){.net = NULL};
	end->front = (struct net_front){
		.readable = on_readable, .writable = on_writable, .link = on_link, .opaque = end};
	err = (struct err)ERR_INIT;
	ret = net_open(&end->net, &config, loop, &err);
	if (ret < 0) {
		end->net = NULL;
		return ret;
	}
	net_attach(end->net, &end->front);
	net_start(end->net);
	return 0;
}

static void start_end(struct end *end)
{
	if (open_end(end) < 0)
		fail_msg("%s / %s", err.text, err.hint);
}

static void close_end(struct end *end)
{
	if (end->net)
		net_attach(end->net, NULL);
	net_close(end->net);
	end->net = NULL;
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmm-net-socket-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cable", dir);
	first = second = (struct end){.net = NULL};
	log_set_level(LOG_ERROR);
	return loop_create(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	close_end(&first);
	close_end(&second);
	loop_destroy(loop);
	/* The socket itself is gone, so the folder is empty. */
	return rmdir(dir);
}

static void run(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 0);
}

static int send_frame(struct end *end, uint8_t fill, size_t len)
{
	uint8_t header[NET_HEADER_BYTES] = {0}, frame[NET_FRAME_BYTES_MAX + 1];
	struct iovec iov[] = {{header, 7}, {header + 7, 5}, {frame, 10}, {frame + 10, len - 10}};

	memset(frame, fill, len);
	return net_send(end->net, 0, iov, 4);
}

/* Length without the header, or -EAGAIN. */
static ssize_t receive_frame(struct end *end, uint8_t *fill)
{
	static uint8_t buf[NET_HEADER_BYTES + NET_FRAME_BYTES_MAX];
	struct iovec iov[] = {{buf, 3}, {buf + 3, 20}, {buf + 23, sizeof(buf) - 23}};
	ssize_t next = net_next_bytes(end->net, 0), len = net_receive(end->net, 0, iov, 3);

	if (len < 0)
		return len;
	assert_int_equal(next, len);
	assert_memory_equal(buf, (uint8_t[NET_HEADER_BYTES]){0}, NET_HEADER_BYTES);
	*fill = buf[NET_HEADER_BYTES];
	for (ssize_t i = NET_HEADER_BYTES; i < len; i++)
		assert_int_equal(buf[i], *fill);
	return len - NET_HEADER_BYTES;
}

static void expect_frame(struct end *end, uint8_t fill, size_t len)
{
	uint8_t got;

	run();
	assert_true(end->readables > 0);
	assert_int_equal(receive_frame(end, &got), len);
	assert_int_equal(got, fill);
	assert_int_equal(receive_frame(end, &got), -EAGAIN);
}

static void join_both(void)
{
	start_end(&first);
	assert_false(net_link_is_up(first.net));
	start_end(&second);
	assert_true(net_link_is_up(second.net));
	run();
	assert_true(net_link_is_up(first.net));
	assert_int_equal(first.ups, 1);
}

static int connect_raw(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	run();
	return fd;
}

/* ---- Both there ---- */

static void test_two_cards_on_one_cable(void **state)
{
	struct net_stats stats;
	struct stat st;

	(void)state;
	join_both();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(send_frame(&first, 'a', 60), 0);
	expect_frame(&second, 'a', 60);
	assert_int_equal(send_frame(&second, 'b', FRAME_BYTES), 0);
	expect_frame(&first, 'b', FRAME_BYTES);
	assert_int_equal(send_frame(&second, 'c', NET_FRAME_BYTES_MAX), 0);
	expect_frame(&first, 'c', NET_FRAME_BYTES_MAX);
	net_get_stats(first.net, &stats);
	assert_int_equal(stats.sent_frames, 1);
	assert_int_equal(stats.sent_bytes, 60);
	assert_int_equal(stats.received_frames, 2);
	assert_int_equal(stats.received_bytes, FRAME_BYTES + NET_FRAME_BYTES_MAX);
}

static void test_frames_that_are_none(void **state)
{
	uint8_t small[NET_HEADER_BYTES + 13] = {0};
	struct iovec iov = {small, sizeof(small)};
	struct net_stats stats;

	(void)state;
	join_both();
	assert_int_equal(net_send(first.net, 0, &iov, 1), -EINVAL);
	assert_int_equal(send_frame(&first, 'x', NET_FRAME_BYTES_MAX + 1), 0);
	net_get_stats(first.net, &stats);
	assert_int_equal(stats.dropped_to_host, 1);
	/* Too long for the buffers: dropped, and the next one is taken. */
	send_frame(&first, 'l', 100);
	send_frame(&first, 's', 14);
	run();
	iov.iov_len = sizeof(small);
	assert_int_equal(net_receive(second.net, 0, &iov, 1), -EAGAIN);
	net_get_stats(second.net, &stats);
	assert_int_equal(stats.dropped_to_guest, 2);
}

/* A burst larger than all buffers, taken late: nothing is lost while the guest only waits. */
static void test_socket_keeps_what_is_sent(void **state)
{
	unsigned sent = 0, got = 0;
	struct net_stats stats;
	uint8_t fill;

	(void)state;
	join_both();
	while (send_frame(&first, (uint8_t)sent, FRAME_BYTES) == 0)
		assert_true(++sent < 10000);
	assert_true(sent > 200);
	while (got < sent) {
		loop_run_once(loop, 10);
		while (receive_frame(&second, &fill) > 0)
			assert_int_equal(fill, (uint8_t)got++);
	}
	assert_int_equal(got, sent);
	run();
	assert_true(first.writables > 0);
	assert_int_equal(send_frame(&first, 'z', 60), 0);
	net_get_stats(first.net, &stats);
	assert_int_equal(stats.dropped_to_host, 0);
}

static void test_frames_are_dropped_while_stopped(void **state)
{
	struct net_stats stats;

	(void)state;
	join_both();
	net_stop(second.net);
	send_frame(&first, 'a', 60);
	run();
	assert_int_equal(second.readables, 0);
	net_get_stats(second.net, &stats);
	assert_int_equal(stats.dropped_to_guest, 1);
	net_start(second.net);
	send_frame(&first, 'b', 60);
	expect_frame(&second, 'b', 60);
}

/* ---- One goes ---- */

static void test_the_listener_waits_for_the_next(void **state)
{
	struct net_stats stats;

	(void)state;
	join_both();
	close_end(&second);
	run();
	assert_false(net_link_is_up(first.net));
	assert_int_equal(first.downs, 1);
	assert_int_equal(send_frame(&first, 'a', 60), 0);
	net_get_stats(first.net, &stats);
	assert_int_equal(stats.dropped_to_host, 1);
	start_end(&second);
	run();
	assert_int_equal(first.ups, 2);
	send_frame(&first, 'b', 60);
	expect_frame(&second, 'b', 60);
}

static void test_who_connected_tries_again(void **state)
{
	(void)state;
	join_both();
	close_end(&first);
	run();
	assert_int_equal(second.downs, 1);
	assert_false(net_link_is_up(second.net));
	start_end(&first);
	while (!second.ups)
		loop_run_once(loop, -1);
	run();
	send_frame(&first, 'b', 60);
	expect_frame(&second, 'b', 60);
}

static void test_a_third_is_hung_up_on(void **state)
{
	char byte;
	int fd;

	(void)state;
	join_both();
	fd = connect_raw();
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	send_frame(&first, 'b', 60);
	expect_frame(&second, 'b', 60);
}

/* ---- A peer that does not behave ---- */

static void test_a_peer_that_does_not_read(void **state)
{
	struct net_stats stats;
	unsigned waits;
	int fd;

	(void)state;
	start_end(&first);
	fd = connect_raw();
	while (send_frame(&first, 'a', FRAME_BYTES) == 0)
		;
	/* It is waited for, once, and the front end is then told to go on; that is dropped. */
	for (waits = 0; !first.writables; waits++)
		loop_run_once(loop, -1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_frame(&first, 'a', FRAME_BYTES), 0);
	net_get_stats(first.net, &stats);
	assert_int_equal(stats.dropped_to_host, 100);
	assert_true(net_link_is_up(first.net));
	/* It reads again: frames go out again. */
	for (int i = 0; i < 200; i++) {
		char bytes[65536];

		recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		loop_run_once(loop, 0);
	}
	net_get_stats(first.net, &stats);
	waits = (unsigned)stats.sent_frames;
	assert_int_equal(send_frame(&first, 'a', FRAME_BYTES), 0);
	net_get_stats(first.net, &stats);
	assert_int_equal(stats.sent_frames, waits + 1);
	close(fd);
}

static void test_socket_cuts_off_a_liar(void **state)
{
	static const uint8_t lies[][4] = {{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 2, 0, 0}};
	char byte;

	(void)state;
	start_end(&first);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		int fd = connect_raw();

		assert_true(net_link_is_up(first.net));
		assert_int_equal(send(fd, lies[i], 4, 0), 4);
		run();
		assert_false(net_link_is_up(first.net));
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		close(fd);
	}
	start_end(&second);
	run();
	send_frame(&second, 'b', 60);
	expect_frame(&first, 'b', 60);
}

static void test_pieces_of_a_frame(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 14, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
	int fd;

	(void)state;
	start_end(&first);
	fd = connect_raw();
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(first.readables, 0);
		assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		run();
	}
	expect_frame(&first, 7, 14);
	/* Half a frame and the end. */
	assert_int_equal(send(fd, bytes, 9, 0), 9);
	close(fd);
	run();
	assert_false(net_link_is_up(first.net));
}

/* ---- Files ---- */

static void test_a_left_over_is_replaced(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	start_end(&first);
	assert_false(net_link_is_up(first.net));
	close(connect_raw());
}

static void test_other_files_stay(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	close(fd);
	assert_int_equal(open_end(&first), -EEXIST);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, "not a socket"));
	assert_int_equal(unlink(path), 0);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	{
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	assert_int_equal(open_end(&first), -EPROTOTYPE);
	assert_non_null(strstr(err.text, "another kind"));
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void test_bad_places(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/no/cable", dir);
	assert_int_equal(open_end(&first), -ENOENT);
	assert_non_null(strstr(err.text, "No such file"));
	{
		char name[200];
		const struct net_config config = {
			.kind = NET_SOCKET, .path = name, .fd = -1, .queues = 1};

		memset(name, 'x', sizeof(name));
		name[sizeof(name) - 1] = '\0';
		err = (struct err)ERR_INIT;
		assert_int_equal(net_open(&first.net, &config, loop, &err), -ENAMETOOLONG);
		first.net = NULL;
		assert_non_null(strstr(err.text, "at most 107 bytes, not 199"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_cards_on_one_cable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames_that_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_keeps_what_is_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_frames_are_dropped_while_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_listener_waits_for_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_connected_tries_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_third_is_hung_up_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_peer_that_does_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_cuts_off_a_liar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces_of_a_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_left_over_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_files_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_places, setup, teardown),
	};

	return cmocka_run_group_tests_name("net_socket", tests, NULL, NULL);
}
