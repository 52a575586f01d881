/*
 * What the fuzzers of virtio devices share: a machine with one device, and the things that a
 * driver can do to any of them, right or wrong, taken from a fuzzer's input. RAM is
 * [0, 64 KiB) and [128 KiB, 192 KiB), so that addresses of three bytes often miss it.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	FUZZ_PIECE_BYTES = 65536,
	FUZZ_HIGH_BASE = 2 * FUZZ_PIECE_BYTES,
	FUZZ_RINGS_END = 0x8000, /* rings lie below, what a fuzzer puts anywhere above */
	FUZZ_VIRTIO_OPS = 9,
};

struct fuzz_virtio {
	struct fake_machine *fm;
	struct device *device;
	struct fake_driver driver;
	unsigned queues;
};

static inline void fuzz_virtio_create(struct fuzz_virtio *fuzz, const struct device_class *class,
	struct device_args *args, struct fake_machine *fm)
{
	int ret;

	log_set_level(LOG_ERROR);
	fuzz->fm = fm
		? fm
		: fake_machine_create_split(2 * FUZZ_PIECE_BYTES, FUZZ_PIECE_BYTES, FUZZ_HIGH_BASE);
	fuzz->fm->plays_doorbells = true;
	ret = device_create(&fuzz->device, class, args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(fuzz->device, &fuzz->fm->platform, NULL);
	ASSERT(ret == 0);
	fuzz->queues = virtio_of(fuzz->device)->queue_count;
}

static inline void fuzz_virtio_clear_memory(struct fuzz_virtio *fuzz)
{
	for (unsigned i = 0; i < fuzz->fm->mem.region_count; i++)
		memset(fuzz->fm->mem.regions[i].host, 0, fuzz->fm->mem.regions[i].size);
}

/* At the start of each input. */
static inline void fuzz_virtio_begin(struct fuzz_virtio *fuzz)
{
	fuzz_virtio_clear_memory(fuzz);
	fake_driver_init(&fuzz->driver, fuzz->fm, fuzz->device, 0, FUZZ_RINGS_END);
}

/* A driver that does all as it should, on a clean machine. */
static inline void fuzz_virtio_bring_up(struct fuzz_virtio *fuzz, uint64_t features, unsigned size)
{
	fuzz->driver.heap = 0;
	if (!fake_driver_negotiate(&fuzz->driver, features))
		return;
	for (unsigned i = 0; i < fuzz->queues; i++)
		fake_driver_setup_queue(&fuzz->driver, i, size);
	fake_driver_start(&fuzz->driver);
}

static inline void fuzz_virtio_write_memory(struct fuzz_virtio *fuzz, struct fuzz_input *input)
{
	uint8_t bytes[256];
	gpa_t gpa = fuzz_take(input, 3);
	size_t len = fuzz_take(input, 1) + 1;

	len = fuzz_take_bytes(input, bytes, len);
	(void)gmem_write(&fuzz->fm->mem, gpa, bytes, len);
}

static inline void fuzz_virtio_touch_register(struct fuzz_virtio *fuzz, struct fuzz_input *input)
{
	uint64_t at = fuzz->driver.base + fuzz_take(input, 2) % 0x210;
	unsigned size = (unsigned)fuzz_take(input, 1) % 8 + 1;

	if (fuzz_take(input, 1) & 1)
		(void)fake_machine_mmio_read(fuzz->fm, at, size);
	else
		fake_machine_mmio_write(fuzz->fm, at, size, fuzz_take(input, size));
}

static inline void fuzz_virtio_write_desc(struct fuzz_virtio *fuzz, struct fuzz_input *input)
{
	struct fake_vq *vq = &fuzz->driver.queues[fuzz_take(input, 1) % fuzz->queues];
	unsigned index = (unsigned)fuzz_take(input, 1);

	if (!vq->size)
		return;
	vq->desc[index % vq->size] =
		(struct vring_desc){.addr = fuzz_take(input, 3) % (4 * FUZZ_PIECE_BYTES),
			.len = (uint32_t)fuzz_take(input, 3),
			.flags = (uint16_t)(fuzz_take(input, 1) & 7),
			.next = (uint16_t)fuzz_take(input, 1)};
}

/* One buffer, well-formed unless the guest of the input chose its place outside RAM. */
static inline void fuzz_virtio_add_buffer(struct fuzz_virtio *fuzz, unsigned queue, gpa_t gpa,
	uint32_t len, bool writable, uint16_t head)
{
	struct fake_vq *vq = &fuzz->driver.queues[queue];

	if (!vq->size)
		return;
	head = (uint16_t)(head % vq->size);
	vq->desc[head] =
		(struct vring_desc){gpa, len, (uint16_t)(writable ? VRING_DESC_F_WRITE : 0), 0};
	fake_vq_publish(vq, head);
}

static inline void fuzz_virtio_publish(struct fuzz_virtio *fuzz, struct fuzz_input *input)
{
	struct fake_vq *vq = &fuzz->driver.queues[fuzz_take(input, 1) % fuzz->queues];

	if (vq->size)
		fake_vq_publish(vq, (uint16_t)fuzz_take(input, 1));
}

/* Operations [0, FUZZ_VIRTIO_OPS); a fuzzer numbers its own from there on. */
static inline void fuzz_virtio_run(struct fuzz_virtio *fuzz, unsigned op, struct fuzz_input *input)
{
	switch (op) {
	case 0:
		fuzz_virtio_touch_register(fuzz, input);
		break;
	case 1:
		fake_driver_write(&fuzz->driver, (unsigned)fuzz_take(input, 1) % 0x40 * 4,
			(uint32_t)fuzz_take(input, 4));
		break;
	case 2:
		fuzz_virtio_write_memory(fuzz, input);
		break;
	case 3: {
		uint64_t features = ~fuzz_take(input, 4);

		fuzz_virtio_bring_up(fuzz, features, 1U << fuzz_take(input, 1) % 5);
		break;
	}
	case 4:
		fuzz_virtio_write_desc(fuzz, input);
		break;
	case 5:
		fuzz_virtio_publish(fuzz, input);
		break;
	case 6:
		fake_driver_kick(&fuzz->driver, (unsigned)fuzz_take(input, 1) % (fuzz->queues + 1));
		break;
	case 7:
		loop_run_once(fuzz->fm->loop, 0);
		break;
	default:
		(void)fake_driver_ack(&fuzz->driver);
	}
}
