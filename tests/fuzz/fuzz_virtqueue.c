/*
 * A virtqueue over hostile memory: the input is a list of operations that write guest memory and
 * take and give back requests. Every request's iovecs must lie in guest RAM and add up,
 * and all of their bytes are touched.
 */
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "devices/virtio/virtqueue.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/core/gmem.h"

enum {
	MAX_SIZE = 16,
	PIECE_BYTES = 32768, /* RAM is [0, 32 KiB) and [64 KiB, 96 KiB) */
	HIGH_BASE = 65536,
	DESC = 0,
	AVAIL = 0x400,
	USED = 0x800,
	OPERATIONS_MAX = 2000,
};

static struct gmem mem;
static struct virtq queue;
static struct virtq_req *held[MAX_SIZE];
static unsigned held_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void init_once(void)
{
	static const struct gmem_config config = {
		.size = 2 * PIECE_BYTES, .hole_start = PIECE_BYTES, .high_base = HIGH_BASE};
	int ret;

	if (mem.map)
		return;
	mem.fd = -1;
	ret = gmem_init(&mem, &config, NULL);
	ASSERT(ret == 0);
	virtq_init(&queue, &mem, MAX_SIZE, sizeof(struct virtq_req));
}

static bool is_ram(const struct iovec *iov)
{
	const uint8_t *start = iov->iov_base;

	for (unsigned i = 0; i < mem.region_count; i++) {
		const struct gmem_region *region = &mem.regions[i];

		if (start >= region->host && start < region->host + region->size)
			return iov->iov_len <= (size_t)(region->host + region->size - start);
	}
	return false;
}

static uint64_t check_iovecs(const struct iovec *iov, unsigned count, bool write)
{
	uint64_t sum = 0;
	volatile uint8_t sink;

	ASSERT(count <= MAX_SIZE);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *bytes = iov[i].iov_base;

		ASSERT(iov[i].iov_len && is_ram(&iov[i]));
		sum += iov[i].iov_len;
		if (write)
			memset(bytes, 0x5a, MIN(iov[i].iov_len, (size_t)64));
		sink = (uint8_t)(bytes[0] ^ bytes[iov[i].iov_len - 1]);
	}
	(void)sink;
	return sum;
}

static void check_request(const struct virtq_req *req, bool write)
{
	ASSERT(req->readable_count + req->writable_count <= MAX_SIZE);
	ASSERT(check_iovecs(req->readable, req->readable_count, false) == req->readable_bytes);
	ASSERT(check_iovecs(req->writable, req->writable_count, write) == req->writable_bytes);
}

static void pop(void)
{
	struct virtq_req *req = NULL;
	int ret = virtq_pop(&queue, &req);

	ASSERT((ret == 1) == (req != NULL));
	ASSERT((ret < 0) == (queue.broken != NULL));
	if (ret != 1)
		return;
	ASSERT(held_count < MAX_SIZE);
	check_request(req, true);
	held[held_count++] = req;
	ASSERT(queue.in_flight == held_count);
}

static void push(unsigned nth, uint32_t written)
{
	if (!held_count)
		return;
	nth %= held_count;
	virtq_push(&queue, held[nth], written);
	held[nth] = held[--held_count];
}

static void copy(struct fuzz_input *input)
{
	uint8_t bytes[64];
	uint64_t offset = fuzz_take(input, 2), len = fuzz_take(input, 1) % sizeof(bytes), got;
	const struct virtq_req *req;

	if (!held_count)
		return;
	req = held[fuzz_take(input, 1) % held_count];
	got = virtq_copy_from(req, offset, bytes, len);
	ASSERT(got == (offset < req->readable_bytes ? MIN(len, req->readable_bytes - offset) : 0));
	memset(bytes, 0, sizeof(bytes));
	got = virtq_copy_to(req, offset, bytes, len);
	ASSERT(got == (offset < req->writable_bytes ? MIN(len, req->writable_bytes - offset) : 0));
}

static void trim(struct fuzz_input *input)
{
	struct virtq_req *req;

	if (!held_count)
		return;
	req = held[fuzz_take(input, 1) % held_count];
	virtq_skip_readable(req, fuzz_take(input, 2));
	virtq_cut_writable(req, fuzz_take(input, 2));
	check_request(req, false);
}

static void write_memory(struct fuzz_input *input)
{
	uint8_t bytes[256];
	gpa_t gpa = fuzz_take(input, 3);
	size_t len = fuzz_take(input, 1) + 1;

	len = fuzz_take_bytes(input, bytes, len);
	(void)gmem_write(&mem, gpa, bytes, len);
}

/* Short forms for what a driver does, so that good chains are found fast. */
static void write_desc(struct fuzz_input *input)
{
	unsigned index = (unsigned)fuzz_take(input, 1) % (2 * MAX_SIZE);
	struct vring_desc desc = {.addr = fuzz_take(input, 3) % (3 * PIECE_BYTES),
		.len = (uint32_t)fuzz_take(input, 2),
		.flags = (uint16_t)(fuzz_take(input, 1) & 7),
		.next = (uint16_t)(fuzz_take(input, 1) % (MAX_SIZE + 1))};

	(void)gmem_write(&mem, DESC + index * sizeof(desc), &desc, sizeof(desc));
}

static void publish(uint16_t head)
{
	uint16_t idx = 0;

	(void)gmem_read(&mem, AVAIL + 2, &idx, sizeof(idx));
	(void)gmem_write(&mem, AVAIL + 4 + idx % MAX_SIZE * 2U, &head, sizeof(head));
	idx++;
	(void)gmem_write(&mem, AVAIL + 2, &idx, sizeof(idx));
}

static void stop(void)
{
	while (held_count)
		virtq_forget(&queue, held[--held_count]);
	virtq_disable(&queue);
}

static void restart(struct fuzz_input *input)
{
	uint64_t features = fuzz_take(input, 1) << VIRTIO_RING_F_INDIRECT_DESC;
	struct virtq_config config = {.size = MAX_SIZE, .desc = DESC, .avail = AVAIL, .used = USED};

	stop();
	if (fuzz_take(input, 1) & 1) {
		config.size = (unsigned)fuzz_take(input, 4);
		config.desc = fuzz_take(input, 8);
		config.avail = fuzz_take(input, 3);
		config.used = fuzz_take(input, 3);
	}
	if (virtq_enable(&queue, &config, features))
		ASSERT(!queue.ready);
}

static void run_one(struct fuzz_input *input)
{
	unsigned operation = (unsigned)fuzz_take(input, 1) % 10;

	switch (operation) {
	case 0:
		write_memory(input);
		return;
	case 1:
		write_desc(input);
		return;
	case 2:
		publish((uint16_t)fuzz_take(input, 1));
		return;
	case 3:
		restart(input);
		return;
	default:
		break;
	}
	if (!queue.ready)
		return;
	switch (operation) {
	case 4:
		pop();
		break;
	case 5:
		push((unsigned)fuzz_take(input, 1), (uint32_t)fuzz_take(input, 4));
		break;
	case 6:
		(void)virtq_should_notify(&queue);
		break;
	case 7:
		virtq_disable_kicks(&queue);
		(void)virtq_enable_kicks(&queue);
		break;
	case 8:
		copy(input);
		break;
	default:
		trim(input);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct virtq_config config = {
		.size = MAX_SIZE, .desc = DESC, .avail = AVAIL, .used = USED};
	struct fuzz_input input = {data, size};

	init_once();
	for (unsigned i = 0; i < mem.region_count; i++)
		memset(mem.regions[i].host, 0, mem.regions[i].size);
	(void)virtq_enable(&queue, &config, fuzz_take(&input, 1) << VIRTIO_RING_F_INDIRECT_DESC);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	stop();
	return 0;
}
