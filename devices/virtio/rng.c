/*
 * virtio-rng: random bytes from the host's kernel (VIRTIO 1.2, 5.4). Knows nothing of who uses
 * them. A driver asks for as many bytes as its buffer is long and takes what it gets: a request
 * may be answered with fewer, but with at least one.
 *
 * What the guest gets in a second is limited: each request is paid from an account that fills with
 * time. When that is empty the requests wait in the ring until a timer looks again. A desktop asks
 * for a few KiB at its start; a guest that asks without end costs the host a few
 * thousandths of a CPU.
 *
 * Threads: the loop's, with the device's lock.
 *
 * Threats
 *   what the guest can send   limit                          where    test
 *   a buffer of gigabytes     ANSWER_BYTES_MAX               answer   long_buffers_are_cut
 *   requests without end      the account, then a timer      pay      limit_holds_back
 *   very small requests       COST_MIN each                  pay      small_requests_are_paid
 *   no writable bytes         counted, given back            answer   nothing_to_write
 *   readable bytes            ignored                        answer   readable_bytes_are_ignored
 *   a reset while it waits    the timer finds nothing        wake     reset_while_held_back
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"
#include "vmm/base/util.h"

enum {
	QUEUE_SIZE = 64,
	ANSWER_BYTES_MAX = 4096,
	COST_MIN = 64, /* what a request costs the host besides its bytes */
	BYTES_PER_S = 1 << 20,
	BURST_BYTES = 1 << 18, /* so much the account holds at most */
	WAIT_NS = 20000000,
};

struct virtio_rng {
	struct virtio_dev vdev;
	struct loop_timer timer;
	int64_t account_bytes; /* below zero by one round of the ring at most */
	uint64_t filled_ns;    /* when time was last turned into bytes */
};

extern const struct device_class virtio_rng_class;

static struct virtio_rng *rng_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_rng, vdev);
}

/* ---- The limit ---- */

static void fill_account(struct virtio_rng *rng)
{
	const uint64_t ns_per_byte = 1000000000 / BYTES_PER_S;
	uint64_t now_ns = util_now_ns();
	uint64_t bytes = (now_ns - rng->filled_ns) / ns_per_byte;

	/* What is left of a byte's time counts the next time. */
	rng->filled_ns += bytes * ns_per_byte;
	bytes = MIN(bytes, (uint64_t)2 * BURST_BYTES);
	rng->account_bytes = MIN(rng->account_bytes + (int64_t)bytes, (int64_t)BURST_BYTES);
}

static void pay(struct virtio_rng *rng, uint64_t bytes)
{
	rng->account_bytes -= (int64_t)MAX(bytes, (uint64_t)COST_MIN);
}

/* ---- Requests ---- */

/* Random bytes, straight into guest memory. Returns how many; all, unless the host fails. */
static uint64_t fill(uint8_t *bytes, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t got = getrandom(bytes + done, len - done, GRND_NONBLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (uint64_t)got;
	}
	return done;
}

static void answer(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	uint64_t wanted = MIN(req->writable_bytes, (uint64_t)ANSWER_BYTES_MAX), done = 0;

	if (!wanted)
		device_guest_error(&vdev->dev, "request without room for an answer");
	for (unsigned i = 0; done < wanted && i < req->writable_count; i++) {
		uint64_t part = MIN((uint64_t)req->writable[i].iov_len, wanted - done);
		uint64_t got = fill(req->writable[i].iov_base, part);

		done += got;
		if (got < part)
			break;
	}
	pay(rng_of(vdev), done);
	virtio_push(vdev, index, req, (uint32_t)done);
}

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	struct virtio_rng *rng = rng_of(vdev);

	fill_account(rng);
	if (rng->account_bytes <= 0) {
		loop_timer_arm(vdev->dev.platform->loop, &rng->timer, WAIT_NS);
		return;
	}
	virtio_take_requests(vdev, index, answer);
	virtio_notify(vdev);
}

/* As if the driver kicked again; where the queue has gone meanwhile nobody looks. */
static void wake(void *opaque)
{
	struct virtio_rng *rng = opaque;

	(void)eventfd_write(rng->vdev.queues[0].kick_fd, 1);
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_RNG,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.handle_queue = handle_queue,
};

/* ---- Life cycle ---- */

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	ret = virtio_init(&rng->vdev, &virtio_rng_class, args,
		&(struct virtio_config){.class = &class, .queue_count = 1}, err);
	if (ret < 0) {
		free(rng);
		return ret;
	}
	rng->timer = (struct loop_timer){.fn = wake, .opaque = rng, .lock = &rng->vdev.dev.lock};
	rng->account_bytes = BURST_BYTES;
	*device = &rng->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_rng *rng = rng_of(virtio_of(device));
	uint8_t byte;
	int ret;

	(void)platform;
	/* Once the host's generator has been seeded it never refuses again. */
	if (getrandom(&byte, sizeof(byte), GRND_NONBLOCK) != sizeof(byte)) {
		int saved = errno;

		err_set(err, EXIT_CODE_DEVICE, saved,
			"%s: this host's kernel has no random numbers yet: %s", device->name,
			strerror(saved));
		err_hint(err, "wait a moment, or go without: --no-rng");
		return -saved;
	}
	rng->filled_ns = util_now_ns();
	ret = virtio_realize(&rng->vdev, err);
	return ret < 0 ? ret : virtio_mmio_connect(&rng->vdev, err);
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_rng *rng = rng_of(virtio_of(device));

	loop_timer_cancel(&rng->timer);
	virtio_finish(&rng->vdev);
	free(rng);
}

const struct device_class virtio_rng_class = {
	.name = "virtio-rng",
	.description = "virtio random number generator",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
