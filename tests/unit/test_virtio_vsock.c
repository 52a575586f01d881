/*
 * virtio-vsock, through its registers and rings, with real UNIX sockets behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_vsock.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/backend/vsock.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_vsock_class;

#define RAM_BYTES (16 * MIB)

enum {
	RX,
	TX,
	EVENT,
	QUEUES,
	QUEUE_SIZE = 64,
	CID = 7,
	HEADER = sizeof(struct virtio_vsock_hdr),
	RX_BYTES = 4096 + HEADER,
	BUFFER = 256 * 1024, /* the device's, for each stream */
	STREAMS_MAX = 1024,
	RESETS_MAX = 256,
	GUEST_PORT = 1000,
	HOST_PORT = 5000, /* somebody listens there */
	NOBODY = 5001,
};

struct fixture {
	struct fake_machine *fm;
	struct vsock_host *host;
	struct device *device;
	struct fake_driver driver;
	char dir[32], path[64], listen_path[80];
	int listener;
	gpa_t packet;			/* for what is sent: 300 KiB */
	gpa_t rx;			/* QUEUE_SIZE buffers of RX_BYTES, by head */
	struct virtio_vsock_hdr header; /* of the last packet from the device */
	uint8_t data[RX_BYTES];
	uint32_t alloc, forwarded; /* the guest's credit, sent with each packet */
};

static void make_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
}

static int make_listener(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	make_address(&address, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 2000), 0);
	return fd;
}

static void supply(struct fixture *f)
{
	struct fake_vq *vq = &f->driver.queues[RX];

	while (vq->free_count) {
		const struct fake_buffer buffer = {
			f->rx + (uint64_t)vq->free_head * RX_BYTES, RX_BYTES, true};

		fake_vq_add(&f->driver, RX, &buffer, 1, 0);
	}
}

static void bring_up(struct fixture *f)
{
	fake_driver_init(&f->driver, f->fm, f->device, 4096, RAM_BYTES - 4096);
	f->packet = fake_driver_alloc(&f->driver, 300 * KIB, 4096);
	f->rx = fake_driver_alloc(&f->driver, QUEUE_SIZE * RX_BYTES, 4096);
	fake_driver_bring_up(&f->driver, ~UINT64_C(0), QUEUES, QUEUE_SIZE);
	f->alloc = 64 * KIB;
	f->forwarded = 0;
}

static int setup(void **state)
{
	struct device_args args = {.name = "virtio-vsock0", .vsock_cid = CID};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_vsock.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	snprintf(f->listen_path, sizeof(f->listen_path), "%s_%d", f->path, HOST_PORT);
	f->listener = make_listener(f->listen_path);
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = true;
	assert_int_equal(vsock_open(&f->host, f->path, f->fm->loop, NULL), 0);
	args.vsock = f->host;
	assert_int_equal(device_create(&f->device, &virtio_vsock_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, NULL), 0);
	bring_up(f);
	supply(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	vsock_close(f->host);
	assert_int_not_equal(access(f->path, F_OK), 0);
	fake_machine_destroy(f->fm);
	close(f->listener);
	unlink(f->listen_path);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	fake_machine_run_loop(f->fm);
}

/* ---- The guest ---- */

static void send_packet(struct fixture *f, const struct virtio_vsock_hdr *header, uint32_t bytes)
{
	const struct fake_buffer buffers[] = {
		{f->packet, HEADER, false}, {f->packet + HEADER, bytes, false}};
	unsigned head;
	uint32_t len;

	memcpy(fake_driver_host(&f->driver, f->packet, HEADER), header, HEADER);
	fake_vq_add(&f->driver, TX, buffers, bytes ? 2 : 1, 0);
	fake_driver_kick(&f->driver, TX);
	run(f);
	assert_true(fake_vq_take(&f->driver, TX, &head, &len));
}

static struct virtio_vsock_hdr make_header(
	struct fixture *f, unsigned op, uint32_t host_port, uint32_t len)
{
	return (struct virtio_vsock_hdr){.src_cid = CID,
		.dst_cid = 2,
		.src_port = GUEST_PORT,
		.dst_port = host_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = (uint16_t)op,
		.buf_alloc = f->alloc,
		.fwd_cnt = f->forwarded};
}

static void send_op(struct fixture *f, unsigned op, uint32_t host_port)
{
	struct virtio_vsock_hdr header = make_header(f, op, host_port, 0);

	send_packet(f, &header, 0);
}

static void send_shutdown(struct fixture *f, uint32_t host_port, uint32_t flags)
{
	struct virtio_vsock_hdr header = make_header(f, VIRTIO_VSOCK_OP_SHUTDOWN, host_port, 0);

	header.flags = flags;
	send_packet(f, &header, 0);
}

static void send_data(struct fixture *f, uint32_t host_port, uint8_t fill, uint32_t len)
{
	struct virtio_vsock_hdr header = make_header(f, VIRTIO_VSOCK_OP_RW, host_port, len);

	memset(fake_driver_host(&f->driver, f->packet + HEADER, len), fill, len);
	send_packet(f, &header, len);
}

/* Takes the next packet of the device, if there is one. */
static bool take_packet(struct fixture *f)
{
	unsigned head;
	uint32_t len;
	const uint8_t *at;

	if (!fake_vq_take(&f->driver, RX, &head, &len))
		return false;
	assert_in_range(len, HEADER, RX_BYTES);
	at = fake_driver_host(&f->driver, f->rx + (uint64_t)head * RX_BYTES, RX_BYTES);
	memcpy(&f->header, at, HEADER);
	memcpy(f->data, at + HEADER, len - HEADER);
	assert_int_equal(f->header.len, len - HEADER);
	assert_true(f->header.src_cid == 2 && f->header.dst_cid == CID);
	assert_int_equal(f->header.type, VIRTIO_VSOCK_TYPE_STREAM);
	return true;
}

static void expect_packet(struct fixture *f, unsigned op, uint32_t host_port)
{
	run(f);
	assert_true(take_packet(f));
	assert_int_equal(f->header.op, op);
	assert_int_equal(f->header.src_port, host_port);
	assert_int_equal(f->header.dst_port, GUEST_PORT);
}

static void expect_silence(struct fixture *f)
{
	run(f);
	assert_false(take_packet(f));
}

static uint64_t guest_errors(struct fixture *f)
{
	return f->device->guest_errors.total;
}

/* ---- The host ---- */

static int accept_program(struct fixture *f)
{
	int fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* The guest connects; the program's end. */
static int connect_guest(struct fixture *f)
{
	int fd;

	send_op(f, VIRTIO_VSOCK_OP_REQUEST, HOST_PORT);
	fd = accept_program(f);
	expect_packet(f, VIRTIO_VSOCK_OP_RESPONSE, HOST_PORT);
	assert_int_equal(f->header.buf_alloc, BUFFER);
	return fd;
}

static int connect_program(struct fixture *f, const char *words)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	make_address(&address, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, words, strlen(words), 0), strlen(words));
	return fd;
}

/* What can be read now: bytes, 0 at the end, -1 for nothing. */
static ssize_t read_now(int fd, void *buf, size_t len)
{
	return recv(fd, buf, len, MSG_DONTWAIT);
}

static void expect_end(int fd)
{
	char byte;

	assert_int_equal(read_now(fd, &byte, 1), 0);
}

static void expect_text(int fd, const char *text)
{
	char buf[100] = "";

	assert_int_equal(read_now(fd, buf, sizeof(buf) - 1), strlen(text));
	assert_string_equal(buf, text);
}

/* ---- Connections ---- */

static void test_describes_itself(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), 19);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG), CID);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG + 4), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_guest_connects(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);

	send_data(f, HOST_PORT, 'g', 5);
	expect_text(fd, "ggggg");
	assert_int_equal(send(fd, "host", 4, 0), 4);
	expect_packet(f, VIRTIO_VSOCK_OP_RW, HOST_PORT);
	assert_memory_equal(f->data, "host", 4);
	assert_int_equal(f->header.fwd_cnt, 5);
	expect_silence(f);
	assert_int_equal(guest_errors(f), 0);
	close(fd);
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;

	send_op(f, VIRTIO_VSOCK_OP_REQUEST, NOBODY);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, NOBODY);
	expect_silence(f);
}

static void test_host_connects(void **state)
{
	struct fixture *f = *state;
	int fd = connect_program(f, "CONNECT 1000\nand this");
	uint32_t port;
	char text[32];

	run(f);
	assert_true(take_packet(f));
	port = f->header.src_port;
	assert_int_equal(f->header.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(f->header.dst_port, GUEST_PORT);
	expect_silence(f);
	assert_int_equal(read_now(fd, text, 1), -1);
	send_op(f, VIRTIO_VSOCK_OP_RESPONSE, port);
	snprintf(text, sizeof(text), "OK %u\n", port);
	expect_text(fd, text);
	/* What stood behind the line has not been lost. */
	expect_packet(f, VIRTIO_VSOCK_OP_RW, port);
	assert_memory_equal(f->data, "and this", 8);
	send_data(f, port, 'x', 3);
	expect_text(fd, "xxx");
	close(fd);
}

static void test_guest_refuses(void **state)
{
	struct fixture *f = *state;
	int fd = connect_program(f, "CONNECT 1000\n");

	run(f);
	assert_true(take_packet(f));
	send_op(f, VIRTIO_VSOCK_OP_RST, f->header.src_port);
	expect_end(fd);
	close(fd);
	/* One that leaves before there is an answer. */
	fd = connect_program(f, "CONNECT 1000\n");
	run(f);
	assert_true(take_packet(f));
	close(fd);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, f->header.src_port);
	/* And one that has half an end: it still wants the answer. */
	fd = connect_program(f, "CONNECT 1000\n");
	shutdown(fd, SHUT_WR);
	run(f);
	assert_true(take_packet(f));
	send_op(f, VIRTIO_VSOCK_OP_RESPONSE, f->header.src_port);
	expect_packet(f, VIRTIO_VSOCK_OP_SHUTDOWN, f->header.src_port);
	assert_int_equal(f->header.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	close(fd);
}

static void test_bad_handshakes(void **state)
{
	static const char *const bad[] = {"CONNECT\n", "CONNECT x\n", "CONNECT 4294967296\n",
		"connect 1\n", "\n", "GET / HTTP/1.1\r\n", "CONNECT -1\n",
		"CONNECT 00000000000000000000000000000001\n"};
	struct fixture *f = *state;
	int fd;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = connect_program(f, bad[i]);
		expect_silence(f);
		/* An end, or ECONNRESET where something was left unread. */
		assert_true(read_now(fd, (char[1]){0}, 1) == 0 || errno == ECONNRESET);
		close(fd);
	}
	/* In pieces it is as good as in one. */
	fd = connect_program(f, "CONN");
	run(f);
	assert_int_equal(send(fd, "ECT 1000\n", 9, 0), 9);
	run(f);
	assert_true(take_packet(f));
	close(fd);
	run(f);
}

static void test_silent_programs(void **state)
{
	struct fixture *f = *state;
	int fds[VSOCK_HANDSHAKES_MAX + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = connect_program(f, "CONNECT 10");
		run(f);
	}
	/* The first has made room; the last is served. */
	assert_true(read_now(fds[0], (char[1]){0}, 1) == 0 || errno == ECONNRESET);
	assert_int_equal(read_now(fds[1], (char[1]){0}, 1), -1);
	assert_int_equal(send(fds[ARRAY_SIZE(fds) - 1], "00\n", 3, 0), 3);
	expect_packet(f, VIRTIO_VSOCK_OP_REQUEST, 1U << 30);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void test_no_driver_no_connection(void **state)
{
	struct fixture *f = *state;
	int fd;

	device_reset(f->device);
	fd = connect_program(f, "CONNECT 1000\n");
	run(f);
	expect_end(fd);
	close(fd);
}

/* ---- Ends ---- */

static void test_program_ends(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);

	/* Half: the guest still sends. */
	assert_int_equal(send(fd, "bye", 3, 0), 3);
	shutdown(fd, SHUT_WR);
	expect_packet(f, VIRTIO_VSOCK_OP_RW, HOST_PORT);
	expect_packet(f, VIRTIO_VSOCK_OP_SHUTDOWN, HOST_PORT);
	assert_int_equal(f->header.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(f, HOST_PORT, 'a', 2);
	expect_text(fd, "aa");
	expect_silence(f);
	/* All of it. */
	close(fd);
	expect_packet(f, VIRTIO_VSOCK_OP_SHUTDOWN, HOST_PORT);
	assert_int_equal(f->header.flags, 3);
	send_op(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	expect_silence(f);
	fd = connect_guest(f);
	assert_int_equal(send(fd, "last words", 10, 0), 10);
	close(fd);
	/* Abruptly: what it had sent arrives first. */
	expect_packet(f, VIRTIO_VSOCK_OP_RW, HOST_PORT);
	run(f);
	while (take_packet(f))
		assert_int_equal(f->header.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	assert_int_equal(f->header.flags, 3);
	send_shutdown(f, HOST_PORT, 3);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	assert_int_equal(guest_errors(f), 0);
}

static void test_guest_ends(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);

	/* Half: the program still sends. */
	send_data(f, HOST_PORT, 'z', 1);
	send_shutdown(f, HOST_PORT, VIRTIO_VSOCK_SHUTDOWN_SEND);
	expect_text(fd, "z");
	expect_end(fd);
	assert_int_equal(send(fd, "more", 4, 0), 4);
	expect_packet(f, VIRTIO_VSOCK_OP_RW, HOST_PORT);
	/* It receives no more: the program can't send. */
	send_shutdown(f, HOST_PORT, VIRTIO_VSOCK_SHUTDOWN_RCV);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	close(fd);
	/* The other half first. */
	fd = connect_guest(f);
	send_shutdown(f, HOST_PORT, VIRTIO_VSOCK_SHUTDOWN_RCV);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	send_data(f, HOST_PORT, 'k', 1);
	expect_text(fd, "k");
	expect_silence(f);
	close(fd);
	expect_packet(f, VIRTIO_VSOCK_OP_SHUTDOWN, HOST_PORT);
	assert_int_equal(f->header.flags, 3);
	send_op(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	/* At once. */
	fd = connect_guest(f);
	send_op(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	expect_end(fd);
	close(fd);
	expect_silence(f);
}

/* Sends until the program's socket is full, and as much again as the device keeps. */
static uint32_t fill_up(struct fixture *f)
{
	uint32_t total = 0, told = 0;

	while (total - told + 32768 <= BUFFER) {
		send_data(f, HOST_PORT, (uint8_t)(total / 32768), 32768);
		total += 32768;
		supply(f);
		while (take_packet(f))
			told = f->header.fwd_cnt;
		assert_true(total < 100 * MIB);
	}
	return total;
}

static uint32_t read_all(struct fixture *f, int fd)
{
	static uint8_t buf[65536];
	uint32_t total = 0;
	ssize_t n;

	for (;;) {
		n = read_now(fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++, total++)
			assert_int_equal(buf[i], (uint8_t)(total / 32768));
		run(f);
	}
	return total;
}

static void test_guest_closes_before_all_is_read(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f), again;
	uint32_t total = fill_up(f);

	send_shutdown(f, HOST_PORT, 3);
	supply(f);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	/* Its port is free again, and nothing of the first is lost. */
	again = connect_guest(f);
	assert_int_equal(read_all(f, fd), total);
	expect_end(fd);
	send_data(f, HOST_PORT, 'n', 2);
	expect_text(again, "nn");
	close(fd);
	close(again);
}

/* ---- Credit ---- */

static void test_program_does_not_read(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);
	uint32_t total = fill_up(f);

	/* The guest has no credit now. When the program reads it gets some again. */
	assert_int_equal(read_all(f, fd), total);
	supply(f);
	run(f);
	while (take_packet(f))
		assert_int_equal(f->header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_in_range(f->header.fwd_cnt, total - BUFFER / 4, total);
	send_op(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, HOST_PORT);
	expect_packet(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
	assert_int_equal(f->header.fwd_cnt, total);
	assert_int_equal(guest_errors(f), 0);
	close(fd);
}

static void test_credit_is_enforced(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);

	fill_up(f);
	supply(f);
	/* Up to the last byte of it, and beyond. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(guest_errors(f), 0);
		send_data(f, HOST_PORT, 'o', 32768);
		if (guest_errors(f))
			break;
	}
	assert_int_equal(guest_errors(f), 1);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	/* It can connect again. */
	close(fd);
	fd = connect_guest(f);
	send_data(f, HOST_PORT, 'y', 1);
	expect_text(fd, "y");
	close(fd);
}

static void test_guest_does_not_read(void **state)
{
	struct fixture *f = *state;
	static uint8_t out[65536];
	int fd = connect_guest(f);
	uint32_t got = 0;

	f->alloc = 10000;
	send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	assert_int_equal(send(fd, out, sizeof(out), 0), sizeof(out));
	run(f);
	while (take_packet(f) && f->header.op == VIRTIO_VSOCK_OP_RW)
		got += f->header.len;
	/* Exactly its credit, then one question for more. */
	assert_int_equal(got, 10000);
	assert_int_equal(f->header.op, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	expect_silence(f);
	while (got < sizeof(out)) {
		f->forwarded = got;
		supply(f);
		send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
		run(f);
		while (take_packet(f)) {
			if (f->header.op != VIRTIO_VSOCK_OP_RW)
				continue;
			assert_memory_equal(f->data, out + got, f->header.len);
			got += f->header.len;
			assert_true(got - f->forwarded <= f->alloc);
		}
	}
	expect_silence(f);
	close(fd);
}

static void test_lying_credit(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);

	/* More forwarded than was ever sent: no credit rather than gigabytes. */
	f->forwarded = 1;
	send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	expect_packet(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, HOST_PORT);
	expect_silence(f);
	/* All the credit there can be: as much as it has buffers. */
	f->forwarded = 0;
	f->alloc = UINT32_MAX;
	send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
	expect_packet(f, VIRTIO_VSOCK_OP_RW, HOST_PORT);
	expect_silence(f);
	close(fd);
}

/* The host's socket is closed for good while the guest owes it credit; then the credit comes. */
static void test_credit_after_the_program_has_gone(void **state)
{
	struct fixture *f = *state;
	int fd = connect_guest(f);

	f->alloc = 0;
	send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	expect_packet(f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, HOST_PORT);
	send_shutdown(f, HOST_PORT, VIRTIO_VSOCK_SHUTDOWN_RCV);
	close(fd);
	expect_packet(f, VIRTIO_VSOCK_OP_SHUTDOWN, HOST_PORT);
	assert_int_equal(f->header.flags, VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
	f->alloc = 1000;
	send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, HOST_PORT);
	expect_silence(f);
	send_shutdown(f, HOST_PORT, VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
}

static void test_no_buffers(void **state)
{
	struct fixture *f = *state;
	static uint8_t out[65536];
	unsigned packets = 0;
	int fd;

	f->alloc = 1 * MIB;
	fd = connect_guest(f);
	for (unsigned i = 0; i < 4; i++) {
		while (send(fd, out, sizeof(out), 0) > 0)
			;
		run(f);
	}
	while (take_packet(f))
		packets++;
	assert_int_equal(packets, QUEUE_SIZE - 1);
	/* New ones, with a kick if the device asked for it. */
	supply(f);
	assert_true(fake_vq_needs_kick(&f->driver, RX));
	fake_driver_kick(&f->driver, RX);
	run(f);
	assert_true(take_packet(f));
	close(fd);
}

static void test_tiny_buffers(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer tiny = {f->packet, HEADER, true};
	struct fake_buffer good[3];
	unsigned head;
	uint32_t len;

	device_reset(f->device);
	bring_up(f);
	good[0] = (struct fake_buffer){f->rx, 10, true};
	good[1] = (struct fake_buffer){f->rx + 100, HEADER - 8, true};
	good[2] = (struct fake_buffer){f->rx + 200, 100, true};
	fake_vq_add(&f->driver, RX, &tiny, 1, 0);
	fake_vq_add(&f->driver, RX, good, 3, 0);
	send_op(f, VIRTIO_VSOCK_OP_REQUEST, NOBODY);
	run(f);
	assert_true(fake_vq_take(&f->driver, RX, &head, &len));
	assert_int_equal(len, 0);
	assert_int_equal(guest_errors(f), 1);
	assert_true(fake_vq_take(&f->driver, RX, &head, &len));
	assert_int_equal(len, HEADER);
}

/* ---- Rules ---- */

static void test_odd_packets(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr header = make_header(f, VIRTIO_VSOCK_OP_REQUEST, HOST_PORT, 0);
	const struct fake_buffer cut = {f->packet, HEADER - 1, false};
	const struct fake_buffer writable = {f->packet, 100, true};
	unsigned head;
	uint32_t len;

	header.src_cid = CID + 1;
	send_packet(f, &header, 0);
	header.src_cid = CID;
	header.dst_cid = 3;
	send_packet(f, &header, 0);
	header.dst_cid = 2;
	header.len = 100;
	send_packet(f, &header, 99);
	fake_vq_add(&f->driver, TX, &cut, 1, 0);
	fake_vq_add(&f->driver, TX, &writable, 1, 0);
	fake_driver_kick(&f->driver, TX);
	run(f);
	assert_true(fake_vq_take(&f->driver, TX, &head, &len));
	assert_true(fake_vq_take(&f->driver, TX, &head, &len));
	assert_int_equal(guest_errors(f), 5);
	expect_silence(f);
	/* These get an answer. */
	header.len = 0;
	header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	send_packet(f, &header, 0);
	expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	for (unsigned op = 0; op < 10; op++) {
		if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RST)
			continue;
		send_op(f, op, HOST_PORT);
		expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	}
	send_op(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
	expect_silence(f);
}

static void test_odd_operations_end_the_stream(void **state)
{
	struct fixture *f = *state;
	static const unsigned ops[] = {
		VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE, 99};

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = connect_guest(f);

		send_op(f, ops[i], HOST_PORT);
		expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
		expect_end(fd);
		close(fd);
	}
	assert_int_equal(guest_errors(f), ARRAY_SIZE(ops));
	/* Data after its end. */
	{
		int fd = connect_guest(f);

		send_shutdown(f, HOST_PORT, VIRTIO_VSOCK_SHUTDOWN_SEND);
		send_data(f, HOST_PORT, 'x', 1);
		expect_packet(f, VIRTIO_VSOCK_OP_RST, HOST_PORT);
		close(fd);
	}
}

static void test_resets_are_bounded(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	device_reset(f->device);
	bring_up(f);
	for (unsigned i = 0; i < RESETS_MAX; i++)
		send_op(f, VIRTIO_VSOCK_OP_RW, NOBODY);
	assert_int_equal(guest_errors(f), 0);
	send_op(f, VIRTIO_VSOCK_OP_RW, NOBODY);
	assert_int_equal(guest_errors(f), 1);
	for (unsigned rounds = 0; rounds < 10; rounds++) {
		supply(f);
		fake_driver_kick(&f->driver, RX);
		run(f);
		while (take_packet(f))
			count++;
	}
	assert_int_equal(count, RESETS_MAX);
}

static void test_too_many_streams(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr header = make_header(f, VIRTIO_VSOCK_OP_REQUEST, HOST_PORT, 0);
	unsigned good = 0, bad = 0;

	for (unsigned i = 0; i <= STREAMS_MAX; i++) {
		header.src_port = i;
		send_packet(f, &header, 0);
		run(f);
		while (take_packet(f))
			*(f->header.op == VIRTIO_VSOCK_OP_RESPONSE ? &good : &bad) += 1;
		supply(f);
	}
	/* Or as many as there are descriptors for. */
	assert_int_equal(good + bad, STREAMS_MAX + 1);
	assert_true(bad > 0);
	device_reset(f->device);
	for (int fd; (fd = accept(f->listener, NULL, NULL)) >= 0; close(fd))
		good--;
	assert_int_equal(good, 0);
}

static void test_reset_closes_all(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer event = {f->packet, 4, true};
	int fd = connect_guest(f), again;
	unsigned head;
	uint32_t len;

	device_reset(f->device);
	expect_end(fd);
	close(fd);
	bring_up(f);
	supply(f);
	memset(fake_driver_host(&f->driver, f->packet, 4), 0xff, 4);
	fake_vq_add(&f->driver, EVENT, &event, 1, 0);
	fake_vq_add(&f->driver, EVENT, &event, 1, 0);
	fake_driver_kick(&f->driver, EVENT);
	run(f);
	/* The new driver is told once that connections were lost. */
	assert_true(fake_vq_take(&f->driver, EVENT, &head, &len));
	assert_int_equal(len, 4);
	assert_int_equal(*(uint32_t *)fake_driver_host(&f->driver, f->packet, 4),
		VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	assert_false(fake_vq_take(&f->driver, EVENT, &head, &len));
	again = connect_guest(f);
	close(again);
	/* teardown() destroys it with a stream open */
}

static void test_many_streams_share(void **state)
{
	enum {
		STREAMS = 10
	};
	struct fixture *f = *state;
	struct virtio_vsock_hdr header = make_header(f, VIRTIO_VSOCK_OP_REQUEST, HOST_PORT, 0);
	static uint8_t out[65536];
	unsigned seen[STREAMS] = {0};
	int fds[STREAMS];

	for (unsigned i = 0; i < STREAMS; i++) {
		header.src_port = i;
		send_packet(f, &header, 0);
		fds[i] = accept_program(f);
	}
	for (unsigned i = 0; i < STREAMS; i++)
		assert_int_equal(send(fds[i], out, sizeof(out), 0), sizeof(out));
	run(f);
	while (take_packet(f))
		if (f->header.op == VIRTIO_VSOCK_OP_RW)
			seen[f->header.dst_port]++;
	/* Nobody has been served twice as often as another. */
	for (unsigned i = 0; i < STREAMS; i++) {
		assert_in_range(seen[i], 3, 8);
		close(fds[i]);
	}
}

/* ---- The socket ---- */

static void test_socket_file(void **state)
{
	struct fixture *f = *state;
	struct vsock_host *other;
	struct err err = ERR_INIT;
	char path[200];
	int fd;

	assert_int_equal(vsock_open(&other, f->path, f->fm->loop, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another program listens"));
	assert_int_equal(access(f->path, F_OK), 0);
	/* A left-over is replaced. */
	snprintf(path, sizeof(path), "%s/left", f->dir);
	close(make_listener(path));
	assert_int_equal(vsock_open(&other, path, f->fm->loop, NULL), 0);
	vsock_close(other);
	assert_int_not_equal(access(path, F_OK), 0);
	/* A file is none of ours. */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	err_clear(&err);
	assert_int_equal(vsock_open(&other, path, f->fm->loop, &err), -EEXIST);
	unlink(path);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	err_clear(&err);
	assert_int_equal(vsock_open(&other, path, f->fm->loop, &err), -ENAMETOOLONG);
	vsock_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(describes_itself),
		TEST(guest_connects),
		TEST(nobody_there),
		TEST(host_connects),
		TEST(guest_refuses),
		TEST(bad_handshakes),
		TEST(silent_programs),
		TEST(no_driver_no_connection),
		TEST(program_ends),
		TEST(guest_ends),
		TEST(guest_closes_before_all_is_read),
		TEST(program_does_not_read),
		TEST(credit_is_enforced),
		TEST(guest_does_not_read),
		TEST(lying_credit),
		TEST(credit_after_the_program_has_gone),
		TEST(no_buffers),
		TEST(tiny_buffers),
		TEST(odd_packets),
		TEST(odd_operations_end_the_stream),
		TEST(resets_are_bounded),
		TEST(too_many_streams),
		TEST(reset_closes_all),
		TEST(many_streams_share),
		TEST(socket_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
