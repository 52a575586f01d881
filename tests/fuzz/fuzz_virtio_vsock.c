/*
 * virtio-vsock with real UNIX sockets behind it: packets of all kinds in any order, programs that
 * connect, talk, stop and leave, memory writes, kicks and resets. Whatever happened before,
 * after a reset the device serves a polite driver.
 */
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/backend/vsock.h"
#include "tests/fuzz/fuzz_virtio.h"

enum {
	OPERATIONS_MAX = 400,
	QUEUE_SIZE = 16,
	PROGRAMS = 4,
	CID = 3,
	HEADERS = 0x9000,
	PAYLOAD = FUZZ_HIGH_BASE,
	BUFFERS = 0xc000,
	BUFFER_BYTES = 512,
	BACKLOG_MAX = 65, /* of the device's listening socket */
	HOST_PORT = 1,	  /* somebody listens there */
};

extern const struct device_class virtio_vsock_class;

static struct fuzz_virtio fuzz;
static struct vsock_host *host;
static char dir[] = "/tmp/fuzz_vsock.XXXXXX", path[64], listen_path[80];
static int listener;
static int programs[PROGRAMS]; /* host programs' sockets, -1: none */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean_up(void)
{
	device_destroy(fuzz.device);
	vsock_close(host);
	fake_machine_destroy(fuzz.fm);
	close(listener);
	unlink(listen_path);
	rmdir(dir);
}

static struct sockaddr_un address_of(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	return address;
}

static void init_once(void)
{
	struct device_args args = {.name = "vsock", .vsock_cid = CID};
	struct fake_machine *fm;
	struct sockaddr_un address;
	int ret;

	if (fuzz.fm)
		return;
	for (unsigned i = 0; i < PROGRAMS; i++)
		programs[i] = -1;
	ASSERT(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(listen_path, sizeof(listen_path), "%s_%d", path, HOST_PORT);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	address = address_of(listen_path);
	ret = bind(listener, (struct sockaddr *)&address, sizeof(address));
	ASSERT(ret == 0);
	ret = listen(listener, 64);
	ASSERT(ret == 0);
	fm = fake_machine_create_split(2 * FUZZ_PIECE_BYTES, FUZZ_PIECE_BYTES, FUZZ_HIGH_BASE);
	ret = vsock_open(&host, path, fm->loop, NULL);
	ASSERT(ret == 0);
	args.vsock = host;
	fuzz_virtio_create(&fuzz, &virtio_vsock_class, &args, fm);
	atexit(clean_up);
}

/* A packet that is right but for what the input makes wrong. */
static void send_packet(struct fuzz_input *input)
{
	struct fake_vq *vq = &fuzz.driver.queues[1];
	uint8_t odd = (uint8_t)fuzz_take(input, 1), head = (uint8_t)fuzz_take(input, 1);
	struct virtio_vsock_hdr header = {.src_cid = CID,
		.dst_cid = 2,
		.op = (uint16_t)(fuzz_take(input, 1) % 10),
		.src_port = (uint32_t)(fuzz_take(input, 1) & 3),
		.dst_port = (uint32_t)(odd & 1 ? HOST_PORT : 1U << 30) + (odd >> 1 & 1),
		.len = (uint32_t)(fuzz_take(input, 1) << 8),
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.flags = (uint32_t)(odd >> 2 & 3),
		.buf_alloc = (uint32_t)(fuzz_take(input, 1) << 6),
		.fwd_cnt = (uint32_t)fuzz_take(input, 2)};

	if (odd & 0x80) {
		header.type = (uint16_t)fuzz_take(input, 1);
		header.len = (uint32_t)fuzz_take(input, 4);
		header.src_cid = fuzz_take(input, 1);
	}
	if (vq->size < 2)
		return;
	head = (uint8_t)(head % (vq->size - 1));
	(void)gmem_write(&fuzz.fm->mem, HEADERS + head * 64, &header, sizeof(header));
	vq->desc[head] = (struct vring_desc){
		HEADERS + head * 64, sizeof(header), VRING_DESC_F_NEXT, (uint16_t)(head + 1)};
	vq->desc[head + 1] = (struct vring_desc){PAYLOAD, 0xff00, 0, 0};
	fake_vq_publish(vq, head);
	fake_driver_kick(&fuzz.driver, 1);
}

static void give_buffers(struct fuzz_input *input)
{
	unsigned queue = fuzz_take(input, 1) & 0x10 ? 2 : 0;
	uint32_t len = (uint32_t)fuzz_take(input, 2) % (BUFFER_BYTES + 1);
	unsigned count = (unsigned)fuzz_take(input, 1) % QUEUE_SIZE;

	for (unsigned i = 0; i < count; i++)
		fuzz_virtio_add_buffer(
			&fuzz, queue, BUFFERS + i * BUFFER_BYTES, len, true, (uint16_t)i);
	if (fuzz.driver.queues[queue].size)
		fake_driver_kick(&fuzz.driver, queue);
}

static void connect_program(struct fuzz_input *input)
{
	int *fd = &programs[fuzz_take(input, 1) % PROGRAMS];
	struct sockaddr_un address = address_of(path);
	char line[32];
	int len = snprintf(line, sizeof(line), "CONNECT %u\nx", (unsigned)fuzz_take(input, 1) & 3);

	if (*fd >= 0)
		close(*fd);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)connect(*fd, (struct sockaddr *)&address, sizeof(address));
	(void)send(*fd, line, (size_t)(len - (int)(fuzz_take(input, 1) & 3)), MSG_NOSIGNAL);
}

static void use_program(struct fuzz_input *input)
{
	static uint8_t bytes[65536];
	int *fd = &programs[fuzz_take(input, 1) % PROGRAMS];
	unsigned what = (unsigned)fuzz_take(input, 1) % 6;

	if (what == 0 && *fd < 0)
		*fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (*fd < 0)
		return;
	if (what == 1)
		(void)send(*fd, bytes, fuzz_take(input, 2), MSG_NOSIGNAL);
	else if (what == 2)
		(void)recv(*fd, bytes, sizeof(bytes), 0);
	else if (what == 3)
		(void)shutdown(*fd, SHUT_WR);
	else if (what == 4)
		(void)shutdown(*fd, SHUT_RD);
	else if (what == 5) {
		close(*fd);
		*fd = -1;
	}
}

static void run_one(struct fuzz_input *input)
{
	unsigned op = (unsigned)fuzz_take(input, 1) % (FUZZ_VIRTIO_OPS + 5);

	switch (op) {
	case FUZZ_VIRTIO_OPS:
		send_packet(input);
		break;
	case FUZZ_VIRTIO_OPS + 1:
		give_buffers(input);
		break;
	case FUZZ_VIRTIO_OPS + 2:
		connect_program(input);
		break;
	case FUZZ_VIRTIO_OPS + 3:
		use_program(input);
		break;
	case FUZZ_VIRTIO_OPS + 4:
		device_reset(fuzz.device);
		break;
	default:
		fuzz_virtio_run(&fuzz, op, input);
	}
}

static void close_programs(void)
{
	int fd;

	for (unsigned i = 0; i < PROGRAMS; i++) {
		if (programs[i] >= 0)
			close(programs[i]);
		programs[i] = -1;
	}
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(fd);
}

/* A connection to nobody is refused, and to somebody is not. */
static void expect_service(void)
{
	const struct fake_buffer room = {BUFFERS, BUFFER_BYTES, true};
	const struct fake_buffer packet = {HEADERS, sizeof(struct virtio_vsock_hdr), false};
	struct virtio_vsock_hdr header = {.src_cid = CID,
		.dst_cid = 2,
		.src_port = 77,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_REQUEST};

	fuzz_virtio_clear_memory(&fuzz);
	fuzz_virtio_bring_up(&fuzz, ~UINT64_C(0), QUEUE_SIZE);
	for (uint32_t port = 0; port < 2; port++) {
		unsigned head;
		uint32_t len;
		bool got;

		header.dst_port = port;
		(void)gmem_write(&fuzz.fm->mem, HEADERS, &header, sizeof(header));
		fake_vq_add(&fuzz.driver, 0, &room, 1, 0);
		fake_vq_add(&fuzz.driver, 1, &packet, 1, 0);
		fake_driver_kick(&fuzz.driver, 1);
		fake_machine_run_loop(fuzz.fm);
		got = fake_vq_take(&fuzz.driver, 1, &head, &len);
		ASSERT(got);
		got = fake_vq_take(&fuzz.driver, 0, &head, &len);
		ASSERT(got && len == sizeof(header));
		ASSERT(((struct virtio_vsock_hdr *)fake_driver_host(&fuzz.driver, BUFFERS, len))
				->op ==
			(port == HOST_PORT ? VIRTIO_VSOCK_OP_RESPONSE : VIRTIO_VSOCK_OP_RST));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	init_once();
	fuzz_virtio_begin(&fuzz);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	close_programs();
	device_reset(fuzz.device);
	/* Whoever still stands before the door is let in, and out again. */
	for (unsigned i = 0; i < 2 * BACKLOG_MAX / FAKE_LOOP_TURNS + 2; i++)
		fake_machine_run_loop(fuzz.fm);
	expect_service();
	device_reset(fuzz.device);
	close_programs();
	fake_machine_run_loop(fuzz.fm);
	return 0;
}
