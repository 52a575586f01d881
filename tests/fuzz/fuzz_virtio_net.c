/*
 * virtio-net over a back end in memory: the input is a list of register accesses, memory writes,
 * buffers and frames nearly sensible, commands, kicks, frames from the network, a full or
 * failing host, the cable, and resets.
 *
 * The back end asserts what a host may rely on; in the end, whatever happened before, a driver
 * that resets the device sends and receives.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_net.h"
#include "tests/fake/fake_virtio_driver.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	PIECE_BYTES = 128 * 1024, /* RAM is [0, 128 KiB) and [256 KiB, 384 KiB) */
	HIGH_BASE = 2 * PIECE_BYTES,
	PAIRS = 2,
	QUEUES = 2 * PAIRS + 1,
	QUEUE_SIZE = 16,
	OPERATIONS_MAX = 1000,
	HEADERS = 0x8000, /* of the short forms: 64 bytes for each descriptor */
	SPEND_MAX = 64,	  /* frames that may wait, so that memory has an end */
};

#define OFFLOADS                                                                                   \
	(VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4) |              \
		VIRTIO_FEATURE(VIRTIO_NET_F_HOST_UFO) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_USO) |    \
		VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4))

extern const struct device_class virtio_net_class;

static struct fake_machine *fm;
static struct fake_net *net;
static struct device *device;
static struct fake_driver driver;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void init_once(void)
{
	static const uint8_t mac[NET_MAC_BYTES] = {2, 1, 2, 3, 4, 5};
	struct device_args args = {.name = "net", .mac = mac};
	int ret;

	if (fm)
		return;
	log_set_level(LOG_ERROR);
	fm = fake_machine_create_split(2 * PIECE_BYTES, PIECE_BYTES, HIGH_BASE);
	fm->plays_doorbells = true;
	net = fake_net_create(fm->loop);
	net->net.info.queues = PAIRS;
	net->net.info.offloads = OFFLOADS;
	args.net = &net->net;
	ret = device_create(&device, &virtio_net_class, &args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(device, &fm->platform, NULL);
	ASSERT(ret == 0);
}

static struct fake_vq *take_queue(struct fuzz_input *input)
{
	return &driver.queues[fuzz_take(input, 1) % QUEUES];
}

static void write_memory(struct fuzz_input *input)
{
	uint8_t bytes[256];
	gpa_t gpa = fuzz_take(input, 3);
	size_t len = fuzz_take(input, 1) + 1;

	len = fuzz_take_bytes(input, bytes, len);
	(void)gmem_write(&fm->mem, gpa, bytes, len);
}

static void touch_register(struct fuzz_input *input)
{
	uint64_t at = driver.base + fuzz_take(input, 2) % 0x120;
	unsigned size = (unsigned)fuzz_take(input, 1) % 8 + 1;

	if (fuzz_take(input, 1) & 1)
		(void)fake_machine_mmio_read(fm, at, size);
	else
		fake_machine_mmio_write(fm, at, size, fuzz_take(input, size));
}

static void bring_up(struct fuzz_input *input)
{
	uint64_t features = ~(uint64_t)fuzz_take(input, 4);
	unsigned size = 1U << fuzz_take(input, 1) % 5;

	driver.heap = 0;
	if (!fake_driver_negotiate(&driver, features | VIRTIO_FEATURE(VIRTIO_F_VERSION_1)))
		return;
	for (unsigned i = 0; i < QUEUES; i++)
		fake_driver_setup_queue(&driver, i, size);
	fake_driver_start(&driver);
}

static void write_desc(struct fuzz_input *input)
{
	struct fake_vq *vq = take_queue(input);
	unsigned index = (unsigned)fuzz_take(input, 1);

	if (!vq->size)
		return;
	vq->desc[index % vq->size] =
		(struct vring_desc){.addr = fuzz_take(input, 3) % (4 * PIECE_BYTES),
			.len = (uint32_t)fuzz_take(input, 3),
			.flags = (uint16_t)(fuzz_take(input, 1) & 7),
			.next = (uint16_t)fuzz_take(input, 1)};
}

static void publish(struct fuzz_input *input)
{
	struct fake_vq *vq = take_queue(input);

	if (vq->size)
		fake_vq_publish(vq, (uint16_t)fuzz_take(input, 1));
}

/* Two descriptors on a queue: a header of the guest's choice, and a body of any length. */
static void add_request(struct fuzz_input *input, bool writable)
{
	struct fake_vq *vq = take_queue(input);
	unsigned head = (unsigned)fuzz_take(input, 1);
	uint8_t header[sizeof(struct virtio_net_hdr_v1)];
	uint32_t len = (uint32_t)fuzz_take(input, 2);
	gpa_t at;

	fuzz_take_bytes(input, header, sizeof(header));
	if (vq->size < 2)
		return;
	head %= vq->size - 1;
	at = HEADERS + head * 64;
	(void)gmem_write(&fm->mem, at, header, sizeof(header));
	vq->desc[head] = (struct vring_desc){at, sizeof(header),
		(uint16_t)(VRING_DESC_F_NEXT | (writable ? VRING_DESC_F_WRITE : 0)),
		(uint16_t)(head + 1)};
	vq->desc[head + 1] = (struct vring_desc){
		HIGH_BASE, len, (uint16_t)(writable ? VRING_DESC_F_WRITE : 0), 0};
	fake_vq_publish(vq, (uint16_t)head);
}

static void add_command(struct fuzz_input *input)
{
	struct fake_vq *vq = &driver.queues[fuzz_take(input, 1) & 1 ? QUEUES - 1 : 2];
	uint8_t bytes[32];
	uint32_t len = (uint32_t)fuzz_take(input, 1) % sizeof(bytes);

	fuzz_take_bytes(input, bytes, len);
	if (vq->size < 2)
		return;
	(void)gmem_write(&fm->mem, HEADERS, bytes, len);
	vq->desc[0] = (struct vring_desc){HEADERS, len, VRING_DESC_F_NEXT, 1};
	vq->desc[1] = (struct vring_desc){HEADERS + 32, 1, VRING_DESC_F_WRITE, 0};
	fake_vq_publish(vq, 0);
}

static void drop_sent(void)
{
	uint8_t byte;

	for (unsigned i = 0; i < PAIRS; i++)
		while (fake_net_take(net, i, &byte, 1))
			;
}

static void frame_arrives(struct fuzz_input *input)
{
	const struct virtio_net_hdr_v1 segmented = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4};
	static uint8_t frame[NET_FRAME_BYTES_MAX];
	unsigned pair = (unsigned)fuzz_take(input, 1) % PAIRS;
	size_t len = MIN((size_t)fuzz_take(input, 2) + 1, sizeof(frame));

	unsigned how = (unsigned)fuzz_take(input, 1);

	if (net->to_guest[pair].count < SPEND_MAX)
		fake_net_put(net, pair, how & 2 ? NULL : &segmented, frame, len);
	if (how & 1)
		fake_net_tell_readable(net, pair);
}

static void change_host(struct fuzz_input *input)
{
	unsigned what = (unsigned)fuzz_take(input, 1), value = (unsigned)fuzz_take(input, 1);

	switch (what % 6) {
	case 0:
		net->room = value;
		break;
	case 1:
		fake_net_make_room(net, value % PAIRS, value);
		break;
	case 2:
		net->send_error = value & 1 ? EINVAL : 0;
		break;
	case 3:
		net->receive_error = value & 1 ? EIO : 0;
		break;
	case 4:
		fake_net_set_carrier(net, value & 1);
		break;
	default:
		virtio_net_set_link(device, value & 1);
	}
}

static void run_one(struct fuzz_input *input)
{
	switch (fuzz_take(input, 1) % 15) {
	case 0:
		touch_register(input);
		break;
	case 1:
		write_memory(input);
		break;
	case 2:
		bring_up(input);
		break;
	case 3:
		write_desc(input);
		break;
	case 4:
		publish(input);
		break;
	case 5:
	case 6:
		add_request(input, false);
		break;
	case 7:
	case 8:
		add_request(input, true);
		break;
	case 9:
		add_command(input);
		break;
	case 10:
		frame_arrives(input);
		break;
	case 11:
		change_host(input);
		break;
	case 12:
		device_reset(device);
		break;
	case 13:
		fake_driver_kick(&driver, (unsigned)fuzz_take(input, 1) % (QUEUES + 1));
		loop_run_once(fm->loop, 0);
		drop_sent();
		break;
	default:
		fake_driver_write(
			&driver, VIRTIO_MMIO_QUEUE_SEL, (uint32_t)fuzz_take(input, 1) % QUEUES);
		fake_driver_write(&driver, VIRTIO_MMIO_QUEUE_READY, 0);
	}
}

static void clear_memory(void)
{
	for (unsigned i = 0; i < fm->mem.region_count; i++)
		memset(fm->mem.regions[i].host, 0, fm->mem.regions[i].size);
}

static void heal_host(void)
{
	uint8_t byte;

	net->room = UINT32_MAX;
	net->send_error = net->receive_error = 0;
	fake_net_set_carrier(net, true);
	virtio_net_set_link(device, true);
	fake_machine_run_loop(fm);
	/* What waits in the back end is not for the next driver. */
	device_reset(device);
	fake_machine_run_loop(fm);
	for (unsigned i = 0; i < PAIRS; i++)
		while (net->to_guest[i].count)
			fake_net_drop(net, i);
	while (fake_net_take(net, 0, &byte, 1))
		;
}

/* Whatever has happened: a driver that resets the device sends and receives. */
static void expect_service(void)
{
	const struct fake_buffer out = {HIGH_BASE, 100, false}, in = {HIGH_BASE + 4096, 2048, true};
	static const uint8_t frame[60] = {1, 2, 3};
	unsigned head;
	uint32_t len;
	bool got;

	driver.heap = 0;
	fake_driver_bring_up(&driver, ~UINT64_C(0), QUEUES, QUEUE_SIZE);
	fake_vq_add(&driver, 1, &out, 1, 0);
	fake_vq_add(&driver, 0, &in, 1, 0);
	fake_driver_kick(&driver, 1);
	fake_driver_kick(&driver, 0);
	fake_machine_run_loop(fm);
	got = fake_vq_take(&driver, 1, &head, &len);
	ASSERT(got && net->sent[0].count == 1);
	fake_net_put(net, 0, NULL, frame, sizeof(frame));
	fake_net_tell_readable(net, 0);
	got = fake_vq_take(&driver, 0, &head, &len);
	ASSERT(got && len == NET_HEADER_BYTES + sizeof(frame));
	ASSERT(!memcmp(
		fake_driver_host(&driver, HIGH_BASE + 4096 + NET_HEADER_BYTES, 60), frame, 60));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	init_once();
	clear_memory();
	fake_driver_init(&driver, fm, device, 0, HEADERS);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	heal_host();
	clear_memory();
	expect_service();
	/* As if made anew for the next input. */
	heal_host();
	return 0;
}
