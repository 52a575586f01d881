/*
 * What the host's side may ask of a virtio-balloon device at run time (VIRTIO 1.2, 5.5).
 *
 * Threads: any that holds no device's lock.
 */
#pragma once

#include <linux/virtio_balloon.h>
#include <stdbool.h>
#include <stdint.h>

struct device;

/* Bytes. All is as of now but for `guest`, which is as of the guest's last answer. */
struct virtio_balloon_stats {
	uint64_t ram_bytes;
	uint64_t target_bytes; /* what the guest is asked to give up */
	uint64_t actual_bytes; /* what it says that it has given up */
	bool driver_ready;     /* it has a driver for the balloon; without one it gives nothing */

	/* Given back to the host since the start; the guest may have taken it again. */
	uint64_t inflated_bytes; /* by the balloon */
	uint64_t reported_bytes; /* as free pages that it told of on its own */

	/* guest[VIRTIO_BALLOON_S_…] is valid where `guest_known` has the bit; memory in bytes. */
	uint64_t guest_answers; /* how many have come since the start */
	uint32_t guest_known;
	uint64_t guest[VIRTIO_BALLOON_S_NR];
};

/*
 * Asks the guest to give up `balloon_bytes` of its RAM (rounded down to 4 KiB), or to take back
 * what it gave beyond that. It does so in its own time, as far as it can. -EINVAL: more than
 * its RAM; -EOPNOTSUPP: RAM is on huge pages, of which none is given back.
 */
int virtio_balloon_set_target(struct device *device, uint64_t balloon_bytes);

void virtio_balloon_get_stats(struct device *device, struct virtio_balloon_stats *stats);

/*
 * Asks the guest for its statistics: an answer raises `guest_answers`, normally within some
 * milliseconds. False when there is nobody to ask: no driver, or one without statistics, or
 * the last question is not answered yet.
 */
bool virtio_balloon_ask_guest(struct device *device);
