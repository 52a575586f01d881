/*
 * virtio-blk, for those who look at a disk from outside: its counters. Takes the device's lock; any
 * thread.
 */
#pragma once

#include <stdint.h>

#include "vmm/core/device.h"

/* Of requests that have ended, since the device was made. */
struct virtio_blk_stats {
	uint64_t reads, read_bytes;
	uint64_t writes, written_bytes; /* zeroes and discards not among them */
	uint64_t flushes;
	uint64_t errors;
	uint64_t kicks, interrupts;
};

void virtio_blk_get_stats(struct device *device, struct virtio_blk_stats *stats);
