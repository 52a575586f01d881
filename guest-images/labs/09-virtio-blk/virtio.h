/*
 * What lab 08 was about, ready to be used: a virtio-mmio device is found and brought up with one
 * queue. What is put into the queue, and taken out of it, is the driver's.
 */
#pragma once

#include "lab.h"

enum {
	VIRTIO_QUEUE_SIZE = 16, /* descriptors, and entries of each ring */

	/* Of a descriptor (VIRTIO 1.2, 2.7.5) */
	VIRTIO_NEXT = 1,  /* `next` is the descriptor that goes on */
	VIRTIO_WRITE = 2, /* the device writes; else it reads */

	/* Registers (4.2.2), by their places in an array of 32-bit words */
	VIRTIO_QUEUE_NOTIFY = 0x050 / 4,
	VIRTIO_CONFIG = 0x100 / 4, /* what is the device's own begins here */
};

struct virtio_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

/* A split queue (2.7). All of it is zero at first. */
struct virtio_queue {
	struct virtio_descriptor descriptors[VIRTIO_QUEUE_SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags, index, ring[VIRTIO_QUEUE_SIZE];
	} available;
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, length;
		} ring[VIRTIO_QUEUE_SIZE];
	} used __attribute__((aligned(4)));
};

/* The registers of the first device with that DeviceID, or NULL. */
volatile uint32_t *virtio_find(uint32_t device_id);

/* Up to DRIVER_OK, with no feature but VIRTIO_F_VERSION_1, and `queue` as queue 0. */
bool virtio_start(volatile uint32_t *registers, struct virtio_queue *queue);

/* Neither the compiler nor the processor moves an access of memory across this. */
static inline void memory_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}
