/*
 * virtio-mmio with virtio-blk behind it over a disk in memory: the input is a list of register
 * accesses, memory writes, kicks, completions in any order, errors of the host and resets.
 *
 * The disk asserts that requests lie inside it; in between a good request must
 * work: whatever happened before, after a reset the device serves a polite driver.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "devices/backend/blk_memory.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	PIECE_BYTES = 65536, /* RAM is [0, 64 KiB) and [128 KiB, 192 KiB) */
	HIGH_BASE = 2 * PIECE_BYTES,
	DISK_BYTES = 65536,
	QUEUES = 2,
	QUEUE_SIZE = 16,
	OPERATIONS_MAX = 1000,
	HEADERS = 0x4000, /* of the short forms: 32 bytes for each descriptor */
};

extern const struct device_class virtio_blk_class;

static struct fake_machine *fm;
static struct blk *disk;
static struct device *device;
static struct fake_driver driver;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void init_once(void)
{
	struct device_args args = {.name = "disk", .queues = QUEUES, .serial = "fuzz"};
	int ret;

	if (fm)
		return;
	log_set_level(LOG_ERROR);
	fm = fake_machine_create_split(2 * PIECE_BYTES, PIECE_BYTES, HIGH_BASE);
	fm->plays_doorbells = true;
	disk = blk_memory_create(DISK_BYTES, fm->loop);
	ASSERT(disk);
	args.blk = disk;
	ret = device_create(&device, &virtio_blk_class, &args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(device, &fm->platform, NULL);
	ASSERT(ret == 0);
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
	uint64_t at = driver.base + fuzz_take(input, 2) % 0x210;
	unsigned size = (unsigned)fuzz_take(input, 1) % 8 + 1;

	if (fuzz_take(input, 1) & 1)
		(void)fake_machine_mmio_read(fm, at, size);
	else
		fake_machine_mmio_write(fm, at, size, fuzz_take(input, size));
}

static void write_register(struct fuzz_input *input)
{
	unsigned reg = (unsigned)fuzz_take(input, 1) % 0x40 * 4;

	fake_driver_write(&driver, reg, (uint32_t)fuzz_take(input, 4));
}

static void bring_up(struct fuzz_input *input)
{
	uint64_t features = ~(fuzz_take(input, 4) << 4);
	unsigned size = 1U << fuzz_take(input, 1) % 5;

	driver.heap = 0;
	if (!fake_driver_negotiate(&driver, features))
		return;
	for (unsigned i = 0; i < QUEUES; i++)
		fake_driver_setup_queue(&driver, i, size);
	fake_driver_start(&driver);
}

/* A descriptor in the table of a queue that was brought up, nearly sensible. */
static void write_desc(struct fuzz_input *input)
{
	struct fake_vq *vq = &driver.queues[fuzz_take(input, 1) % QUEUES];
	unsigned index = (unsigned)fuzz_take(input, 1);

	if (!vq->size)
		return;
	vq->desc[index % vq->size] =
		(struct vring_desc){.addr = fuzz_take(input, 3) % (4 * PIECE_BYTES),
			.len = (uint32_t)fuzz_take(input, 3),
			.flags = (uint16_t)(fuzz_take(input, 1) & 7),
			.next = (uint16_t)fuzz_take(input, 1)};
}

/* A request of three descriptors with a header, well-formed up to its numbers. */
static void add_request(struct fuzz_input *input)
{
	unsigned queue = (unsigned)fuzz_take(input, 1) % QUEUES;
	struct fake_vq *vq = &driver.queues[queue];
	struct virtio_blk_outhdr header = {
		.type = (uint32_t)fuzz_take(input, 1), .sector = fuzz_take(input, 2)};
	unsigned head = (unsigned)fuzz_take(input, 1);
	uint32_t len = (uint32_t)fuzz_take(input, 1) * 256;
	bool writable = fuzz_take(input, 1) & 1;

	if (vq->size < 4)
		return;
	head = head % (vq->size - 2);
	(void)gmem_write(&fm->mem, HEADERS + head * 32, &header, sizeof(header));
	vq->desc[head] = (struct vring_desc){
		HEADERS + head * 32, 16, VRING_DESC_F_NEXT, (uint16_t)(head + 1)};
	vq->desc[head + 1] = (struct vring_desc){HIGH_BASE + fuzz_take(input, 2), len,
		(uint16_t)(VRING_DESC_F_NEXT | (writable ? VRING_DESC_F_WRITE : 0)),
		(uint16_t)(head + 2)};
	vq->desc[head + 2] =
		(struct vring_desc){HEADERS + head * 32 + 16, 1, VRING_DESC_F_WRITE, 0};
	fake_vq_publish(vq, (uint16_t)head);
}

static void publish(struct fuzz_input *input)
{
	struct fake_vq *vq = &driver.queues[fuzz_take(input, 1) % QUEUES];

	if (vq->size)
		fake_vq_publish(vq, (uint16_t)fuzz_take(input, 1));
}

static void change_disk(struct fuzz_input *input)
{
	unsigned what = (unsigned)fuzz_take(input, 1);

	if (what & 0x80)
		blk_memory_set_error(
			disk, (enum blk_op)(what % (BLK_WRITE_ZEROES + 1)), what & 0x40 ? EIO : 0);
	else
		blk_memory_set_mode(disk, (enum blk_memory_mode)(what % (BLK_MEMORY_HOLD + 1)));
}

static void release(unsigned nth)
{
	unsigned held = blk_memory_held(disk);

	if (held)
		blk_memory_release(disk, nth % held);
}

static void run_one(struct fuzz_input *input)
{
	switch (fuzz_take(input, 1) % 13) {
	case 0:
		touch_register(input);
		break;
	case 1:
		write_register(input);
		break;
	case 2:
		write_memory(input);
		break;
	case 3:
		bring_up(input);
		break;
	case 4:
		write_desc(input);
		break;
	case 5:
		publish(input);
		break;
	case 6:
		add_request(input);
		break;
	case 7:
		fake_driver_kick(&driver, (unsigned)fuzz_take(input, 1) % (QUEUES + 1));
		break;
	case 8:
		loop_run_once(fm->loop, 0);
		break;
	case 9:
		change_disk(input);
		break;
	case 10:
		release((unsigned)fuzz_take(input, 1));
		break;
	case 11:
		device_reset(device);
		break;
	default:
		(void)fake_driver_ack(&driver);
	}
}

static void clear_memory(void)
{
	for (unsigned i = 0; i < fm->mem.region_count; i++)
		memset(fm->mem.regions[i].host, 0, fm->mem.regions[i].size);
}

/* Whatever has happened: a driver that resets the device and asks politely gets its answer. */
static void expect_service(void)
{
	const struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = 3};
	const struct fake_buffer buffers[] = {
		{0x8000, sizeof(header), false}, {0x8200, 512, true}, {0x8100, 1, true}};
	unsigned head;
	uint32_t len;
	bool got;

	blk_memory_set_mode(disk, BLK_MEMORY_NOW);
	blk_memory_set_error(disk, BLK_READ, 0);
	driver.heap = 0;
	fake_driver_bring_up(&driver, ~UINT64_C(0), QUEUES, QUEUE_SIZE);
	(void)gmem_write(&fm->mem, 0x8000, &header, sizeof(header));
	fake_vq_add(&driver, 1, buffers, 3, 0);
	fake_driver_kick(&driver, 1);
	fake_machine_run_loop(fm);
	got = fake_vq_take(&driver, 1, &head, &len);
	ASSERT(got && len == 513);
	ASSERT(!memcmp(
		fake_driver_host(&driver, 0x8200, 512), blk_memory_bytes(disk) + 3 * 512, 512));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	init_once();
	clear_memory();
	fake_driver_init(&driver, fm, device, 0, HEADERS);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	clear_memory();
	expect_service();
	/* As if made anew for the next input. */
	device_reset(device);
	for (unsigned op = 0; op <= BLK_WRITE_ZEROES; op++)
		blk_memory_set_error(disk, (enum blk_op)op, 0);
	memset(blk_memory_bytes(disk), 0x3c, DISK_BYTES);
	fake_machine_run_loop(fm);
	return 0;
}
