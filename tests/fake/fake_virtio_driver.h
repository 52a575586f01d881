/*
 * The guest's side of a virtio-mmio device: finds it, negotiates, sets queues up in guest
 * memory, adds chains, kicks, and takes what comes back. It also lets a test break every rule.
 *
 * All addresses are guest-physical; memory for rings and buffers comes from a heap that only grows.
 * What goes wrong in here is a bug of the test and aborts it.
 *
 * Threads: set-up by one. Afterwards each queue may have a thread of its own for add, kick and
 * take, with buffers allocated before; memory accesses are ordered as a real driver's.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/fake/fake_machine.h"

enum {
	FAKE_QUEUES_MAX = 16
};

struct fake_vq {
	unsigned size;
	gpa_t desc_gpa, avail_gpa, used_gpa;
	/* Host addresses of the rings: as writable for the test as for a guest. */
	struct vring_desc *desc;
	uint16_t *avail;	      /* flags, idx, ring[size], used_event */
	uint16_t *used;		      /* flags, idx, {id, id, len, len}[size], avail_event */
	uint16_t avail_idx, used_idx; /* next to fill, next to take */
	uint16_t kicked_idx;	      /* avail_idx at the last fake_vq_needs_kick() */
	uint16_t free_head;	      /* of the list of free descriptors */
	unsigned free_count;
};

struct fake_driver {
	struct fake_machine *fm;
	uint64_t base; /* of the registers */
	unsigned gsi;
	uint64_t features; /* negotiated */
	struct fake_vq queues[FAKE_QUEUES_MAX];
	gpa_t heap, heap_end;
};

struct fake_buffer {
	gpa_t gpa;
	uint32_t len;
	bool writable;
};

/* `device` is realized; the heap is [heap, heap + bytes) of guest RAM. */
void fake_driver_init(struct fake_driver *driver, struct fake_machine *fm,
	const struct device *device, gpa_t heap, uint64_t bytes);

/* Zeroed guest memory, and its host address. */
gpa_t fake_driver_alloc(struct fake_driver *driver, uint64_t bytes, uint64_t align);
void *fake_driver_host(const struct fake_driver *driver, gpa_t gpa, uint64_t len);

/* A register (VIRTIO_MMIO_…), 32 bits. */
uint32_t fake_driver_read(struct fake_driver *driver, unsigned reg);
void fake_driver_write(struct fake_driver *driver, unsigned reg, uint32_t value);
uint64_t fake_driver_offered(struct fake_driver *driver);

/* Reset, ACKNOWLEDGE, DRIVER, those of the `wanted` features that are offered, FEATURES_OK. */
bool fake_driver_negotiate(struct fake_driver *driver, uint64_t wanted);

/* Makes empty rings in guest memory; needs no device. */
void fake_vq_create(struct fake_driver *driver, unsigned queue, unsigned size);

/* Tells the device of the rings in the struct; fake_driver_setup_queue() makes them first. */
void fake_driver_place_queue(struct fake_driver *driver, unsigned queue);
void fake_driver_setup_queue(struct fake_driver *driver, unsigned queue, unsigned size);
void fake_driver_start(struct fake_driver *driver); /* DRIVER_OK */

/* All of the above for `queues` queues of `size`. */
void fake_driver_bring_up(
	struct fake_driver *driver, uint64_t wanted, unsigned queues, unsigned size);

/*
 * Makes a chain of the buffers and publishes it; with `indirect_gpa` in a table there.
 * Returns its head.
 */
unsigned fake_vq_add(struct fake_driver *driver, unsigned queue, const struct fake_buffer *buffers,
	unsigned count, gpa_t indirect_gpa);

/* Publishes an entry whatever it means. */
void fake_vq_publish(struct fake_vq *vq, uint16_t head);

/* Would a polite driver kick for what it has added since it last asked? */
bool fake_vq_needs_kick(struct fake_driver *driver, unsigned queue);
void fake_driver_kick(struct fake_driver *driver, unsigned queue);

/* Takes the next used entry and frees its chain; false when there is none. */
bool fake_vq_take(struct fake_driver *driver, unsigned queue, unsigned *head, uint32_t *len);
unsigned fake_vq_used_count(const struct fake_vq *vq); /* not taken yet */

/* Runs the loop until `count` used entries can be taken. */
bool fake_driver_wait_used(struct fake_driver *driver, unsigned queue, unsigned count);

/* Reads and acknowledges the interrupt status as a handler does. */
uint32_t fake_driver_ack(struct fake_driver *driver);
