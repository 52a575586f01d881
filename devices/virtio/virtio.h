/*
 * The part of a virtio device that is the same for all kinds and all transports: status,
 * features, queues, configuration space, interrupts (VIRTIO 1.2, 2.1 to 2.4 and 3.1).
 *
 *	transport (mmio.c)  decodes registers and calls virtio_set_status() and the like
 *	core (virtio.c)     decides what the driver may do when, and owns the queues
 *	class (blk.c, …)    works on checked requests
 *
 * A new kind of device gives a struct virtio_class and its configuration bytes, and never
 * sees a register. A new transport gives a struct virtio_transport_ops.
 *
 * What a driver does against the rules is counted (device.guest_errors), told in limits, and
 * otherwise ignored; a broken ring makes the device ask for a reset, once.
 *
 * Threads: everything with the device's lock held. Register accesses come from vCPU threads,
 * kicks and completions on the loop's. Queues are worked on by the loop's thread only,
 * but for `prompt_queues`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtqueue.h"
#include "vmm/core/device.h"

struct virtio_dev;

enum {
	VIRTIO_QUEUES_MAX = 64
};

#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

/* ---- Classes ---- */

struct virtio_class {
	unsigned device_id;   /* VIRTIO_ID_… */
	unsigned queue_size;  /* descriptors at most, a power of two */
	size_t request_bytes; /* of the struct that begins with a struct virtq_req */

	/*
	 * FEATURES_OK: features are final, and the driver goes on to read and write what
	 * depends on them in the configuration space, still before DRIVER_OK. May be NULL.
	 */
	void (*activate)(struct virtio_dev *vdev);

	/* DRIVER_OK: queues that are ready may be worked on from now on. May be NULL. */
	void (*start)(struct virtio_dev *vdev);

	/*
	 * The driver has kicked a queue that is ready. On the loop's thread, or for one of
	 * `prompt_queues` on the vCPU's.
	 */
	void (*handle_queue)(struct virtio_dev *vdev, unsigned index);

	/*
	 * Queues, one bit for each, whose driver does nothing but wait for the answer: their
	 * kicks are handled where they arrive, which is sooner than another thread can wake.
	 */
	uint64_t prompt_queues;

	/*
	 * Ends all requests in flight. With `abort` the queues are about to vanish: each request is
	 * taken back as fast as possible with virtio_forget(); else each is finished and
	 * pushed, or put back untouched. May be NULL if none outlives handle_queue().
	 */
	void (*drain)(struct virtio_dev *vdev, bool abort);

	/*
	 * The driver has written `size` bytes at `offset` of the configuration space; they lie
	 * inside it and are not stored yet. NULL: nothing there can be written.
	 */
	void (*config_write)(
		struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value);
};

/* ---- Transports ---- */

struct virtio_transport_ops {
	/* Used buffers in these queues, one bit for each: one interrupt for all, where it can be one. */
	void (*interrupt_queues)(void *transport, uint64_t queues);
	void (*interrupt_config)(void *transport);

	/*
	 * An eventfd that interrupts for a queue when somebody else writes to it, or -1; NULL: none
	 * has one. It is used while the queue is handed over, which handed_over() tells.
	 */
	int (*interrupt_fd)(void *transport, unsigned queue);
	void (*handed_over)(void *transport, unsigned queue, bool on);

	/* From now on (or no longer) a kick may signal the queue's kick_fd past the registers. */
	void (*set_doorbell)(void *transport, unsigned queue, bool on);

	/* The driver's state is gone; so are selectors and pending interrupts. */
	void (*reset)(void *transport);

	void (*destroy)(void *transport);
};

/* ---- Devices ---- */

struct virtio_queue {
	struct virtio_dev *vdev;
	unsigned index;
	struct virtq ring;
	struct virtq_config config; /* as written by the driver, unchecked until it is enabled */
	int kick_fd;		    /* eventfd, owned */
	struct loop_fd watch;
	bool pushed; /* since the last virtio_notify() */
	bool has_doorbell;
	bool is_handed_over;
	bool kicked_early; /* before DRIVER_OK */
};

/* Since the device was made. Read with the device's lock held. */
struct virtio_stats {
	uint64_t kicks, requests, interrupts, resets;
};

struct virtio_dev {
	struct device dev;
	const struct virtio_class *class;
	const struct virtio_transport_ops *transport_ops;
	void *transport; /* owned; NULL before one is connected */

	uint64_t offered;  /* features */
	uint64_t accepted; /* by the driver; final with FEATURES_OK */
	uint8_t status;	   /* VIRTIO_CONFIG_S_… */
	uint32_t config_generation;
	void *config; /* the class's memory */
	unsigned config_size;

	struct virtio_queue *queues;
	unsigned queue_count;
	struct virtio_stats stats;
};

/* ---- For classes: life cycle ---- */

struct virtio_config {
	const struct virtio_class *class;
	uint64_t features; /* of the class; those of the core are added */
	unsigned queue_count;
	void *config; /* configuration space, little-endian; borrowed */
	unsigned config_size;
};

/* For create(), on a zeroed struct: no effect on the host. virtio_finish() undoes it. */
int virtio_init(struct virtio_dev *vdev, const struct device_class *device_class,
	const struct device_args *args, const struct virtio_config *config, struct err *err);
void virtio_finish(struct virtio_dev *vdev);

/* For realize(): before a transport is connected. virtio_finish() undoes it. */
int virtio_realize(struct virtio_dev *vdev, struct err *err);

/* Also the reset() of a device_class. */
void virtio_reset(struct virtio_dev *vdev);

static inline struct virtio_dev *virtio_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio_dev, dev);
}

/* ---- For classes: work ---- */

bool virtio_has_feature(const struct virtio_dev *vdev, unsigned bit);

/*
 * For handle_queue(): takes requests until the ring is empty and calls `fn` with each,
 * without kicks meanwhile. After as many as the ring is long it stops and kicks itself, so
 * that no guest keeps the loop from its other work.
 */
void virtio_take_requests(struct virtio_dev *vdev, unsigned index,
	void (*fn)(struct virtio_dev *vdev, unsigned index, struct virtq_req *req));

/*
 * Takes one request, for a class that keeps some for later: NULL when there is none, and then the
 * driver kicks with the next. Legal in any state. Loop's thread. Kicks may come meanwhile.
 */
struct virtq_req *virtio_pop(struct virtio_dev *vdev, unsigned index);

/* As if the driver had kicked: handle_queue() is called again, after the loop's other work. */
void virtio_kick_self(struct virtio_dev *vdev, unsigned index);

/* Gives a request back; `written` as in virtq_push(). virtio_notify() tells the driver. */
void virtio_push(struct virtio_dev *vdev, unsigned index, struct virtq_req *req, uint32_t written);

/*
 * For classes that keep requests for later or take them one by one. Only while the device is
 * live and the queue ready: virtio_can_work() says both.
 */
bool virtio_can_work(const struct virtio_dev *vdev, unsigned index);

/* False: none is there, or the ring is broken and the device asks for a reset. */
bool virtio_take(struct virtio_dev *vdev, unsigned index, struct virtq_req **req);

/*
 * As virtq_unpop(), the last one taken first. Where one that was taken later has been given back,
 * which a driver can bring about, this is given back as well, with nothing written.
 */
void virtio_untake(struct virtio_dev *vdev, unsigned index, struct virtq_req *req);

/* As virtq_disable_kicks() and virtq_enable_kicks(). */
void virtio_disable_kicks(struct virtio_dev *vdev, unsigned index);
bool virtio_enable_kicks(struct virtio_dev *vdev, unsigned index);

/*
 * For a class whose queues others (the kernel) work on for a time: kicks are theirs by the queue's
 * kick_fd, and they interrupt by virtio_interrupt_fd(), -1 where that can't be. Nothing is in
 * flight when a queue is handed over or taken back; `next` is the entry of the available ring where
 * they ended. A queue must be taken back in drain().
 */
int virtio_interrupt_fd(const struct virtio_dev *vdev, unsigned index);
void virtio_hand_over(struct virtio_dev *vdev, unsigned index);
void virtio_take_back(struct virtio_dev *vdev, unsigned index, uint16_t next);

/* virtio_push() in two steps, see virtq_fill(). */
void virtio_fill(struct virtio_dev *vdev, unsigned index, struct virtq_req *req, uint32_t written);
void virtio_publish(struct virtio_dev *vdev, unsigned index);

/* In drain() with abort: the request ends without a trace in guest memory. */
void virtio_forget(struct virtio_dev *vdev, unsigned index, struct virtq_req *req);

/* One interrupt, if the driver wants it, for everything pushed since the last time. */
void virtio_notify(struct virtio_dev *vdev);

/* After the class has changed its configuration bytes. */
void virtio_config_changed(struct virtio_dev *vdev);

/* The driver broke the rules beyond repair: the device stands still until it is reset. */
void virtio_break(struct virtio_dev *vdev, const char *why);

/* ---- For transports; a `queue` that does not exist is legal everywhere ---- */

void virtio_connect(
	struct virtio_dev *vdev, const struct virtio_transport_ops *ops, void *transport);

/* Features in words of 32 bits. */
uint32_t virtio_offered_word(const struct virtio_dev *vdev, uint32_t word);
void virtio_accept_word(struct virtio_dev *vdev, uint32_t word, uint32_t value);

void virtio_set_status(struct virtio_dev *vdev, uint32_t value);

/* NULL when there is no such queue. */
struct virtio_queue *virtio_find_queue(struct virtio_dev *vdev, uint32_t queue);

enum virtio_ring_part {
	VIRTIO_RING_DESC,
	VIRTIO_RING_AVAIL,
	VIRTIO_RING_USED,
};

void virtio_set_queue_size(struct virtio_dev *vdev, uint32_t queue, uint32_t size);
/* Sets the upper or the lower 32 bits. */
void virtio_set_queue_address(struct virtio_dev *vdev, uint32_t queue, enum virtio_ring_part part,
	bool high, uint32_t value);
void virtio_set_queue_ready(struct virtio_dev *vdev, uint32_t queue, bool ready);

/* A write to a notification register: passes the kick on to the loop's thread. */
void virtio_kick(struct virtio_dev *vdev, uint32_t queue);

/* `size` is 1, 2, 4 or 8. What lies outside reads as zero. */
uint64_t virtio_config_read(struct virtio_dev *vdev, uint64_t offset, unsigned size);
void virtio_config_write(struct virtio_dev *vdev, uint64_t offset, unsigned size, uint64_t value);
