/*
 * virtio-balloon: memory that the guest does not need goes back to the host (VIRTIO 1.2, 5.5).
 *
 *	reporting   the guest tells of pages that it has freed, on its own, all the time
 *	balloon     the guest gives up as much as it is asked to, and takes it back
 *	statistics  are asked for when a person wants them, never by a timer
 *
 * Given back means a hole in the memory file: the guest's next access finds a page of zeroes. So
 * deflating needs no action of ours, MUST_TELL_HOST is not offered, and a guest that gives
 * up pages which it still uses has lost what stood in them, and nobody else has: its rings,
 * and buffers that a disk writes into, are the same host addresses as before.
 *
 * Memory on huge pages stays: a page of the host's pool that was given back may be another's when
 * the guest touches it again, and an access to it would then kill the VMM.
 *
 * Linux numbers its queues without gaps, the specification with: a driver without statistics
 * may report on queue 2 (Linux) or 4. The device has five and looks at the features.
 *
 * Threads: the loop's, register accesses on vCPUs, and the functions of balloon.h on any;
 * all with the device's lock.
 *
 * Threats
 *   what the guest can send     limit                            where          test
 *   pages outside RAM           counted, skipped                 discard_run    pages_outside_ram
 *   the same page twice         harmless, one more system call   -              duplicates
 *   anything, with huge pages    nothing is given back            give_back      huge_pages
 *   its own rings and kernel    it loses them                    -              inflates_its_own_ring
 *   millions of pages           PAGES_PER_REQUEST                inflate        too_many_pages
 *   cut page numbers            ignored                          inflate        cut_numbers
 *   reports of a few bytes      whole pages only                 gmem_discard   small_reports
 *   reports with poisoned pages not given back                   report         poisoned_pages
 *   more statistics buffers     the oldest goes back             keep_stats     two_stats_buffers
 *   odd statistics              unknown tags, cut ones ignored   read_stats     odd_statistics
 *   any `actual`                told as it is                    config_write   configuration
 */
#include "devices/virtio/balloon.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"
#include "vmm/base/util.h"

enum {
	QUEUE_INFLATE,
	QUEUE_DEFLATE,
	QUEUE_STATS,	 /* without statistics: reporting, as Linux counts */
	QUEUE_REPORTING, /* as Linux counts when there are statistics */
	QUEUE_REPORTING_BY_NUMBER,
	QUEUE_COUNT,
	/* Linux wants room for 32 ranges in one report, and sends one request at a time. */
	QUEUE_SIZE = 32,
	PAGES_PER_REQUEST = 512, /* Linux: 256 */
	STATS_PER_ANSWER = 64,
};

#define PAGE_BYTES (UINT64_C(1) << VIRTIO_BALLOON_PFN_SHIFT)

struct virtio_balloon {
	struct virtio_dev vdev;
	struct virtio_balloon_config config;
	struct virtio_balloon_stats stats;
	struct virtq_req *stats_buffer; /* the guest's, kept until it is asked; or NULL */
	bool host_failed;		/* told once */
};

/* Neighbouring pages, so that they need one system call. */
struct run {
	uint64_t start, end; /* page numbers */
};

extern const struct device_class virtio_balloon_class;

static struct virtio_balloon *balloon_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_balloon, vdev);
}

/* ---- Giving back ---- */

static bool can_give_back(const struct virtio_balloon *balloon)
{
	return gmem_page_bytes(balloon->vdev.dev.platform->mem) == PAGE_BYTES;
}

static uint64_t give_back(struct virtio_balloon *balloon, gpa_t gpa, uint64_t len)
{
	struct device *device = &balloon->vdev.dev;
	int64_t given;

	if (!can_give_back(balloon))
		return 0;
	given = gmem_discard(device->platform->mem, gpa, len);
	if (given >= 0)
		return (uint64_t)given;
	if (given == -EFAULT) {
		device_guest_error(device, "gives up %llu KiB at 0x%llx, where there is no RAM",
			(unsigned long long)(len / KIB), (unsigned long long)gpa);
	} else if (!balloon->host_failed) {
		balloon->host_failed = true;
		log_warn("%s: this host can't take memory back: %s", device->name,
			strerror((int)-given));
	}
	return 0;
}

static void discard_run(struct virtio_balloon *balloon, const struct run *run)
{
	/* Page numbers have 32 bits: no overflow. */
	balloon->stats.inflated_bytes +=
		give_back(balloon, run->start * PAGE_BYTES, (run->end - run->start) * PAGE_BYTES);
}

/* A page that stands outside RAM must not spoil its neighbours. */
static bool extends(const struct virtio_balloon *balloon, struct run *run, uint64_t page)
{
	const struct gmem *mem = balloon->vdev.dev.platform->mem;
	struct run longer = *run;

	if (page == run->end)
		longer.end++;
	else if (page + 1 == run->start)
		longer.start--;
	else
		return false;
	if (!gmem_ptr(mem, longer.start * PAGE_BYTES, (longer.end - longer.start) * PAGE_BYTES))
		return false;
	*run = longer;
	return true;
}

static void inflate(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtio_balloon *balloon = balloon_of(vdev);
	uint64_t count = req->readable_bytes / sizeof(uint32_t);
	struct run run = {0};

	if (count > PAGES_PER_REQUEST) {
		device_guest_error(&vdev->dev, "%llu pages in one request, only %d are taken",
			(unsigned long long)count, PAGES_PER_REQUEST);
		count = PAGES_PER_REQUEST;
	}
	for (uint64_t i = 0; i < count; i++) {
		uint8_t bytes[sizeof(uint32_t)];
		uint64_t page;

		virtq_copy_from(req, i * sizeof(bytes), bytes, sizeof(bytes));
		page = load_le32(bytes);
		if (run.end && extends(balloon, &run, page))
			continue;
		if (run.end)
			discard_run(balloon, &run);
		run = (struct run){page, page + 1};
	}
	if (run.end)
		discard_run(balloon, &run);
	virtio_push(vdev, index, req, 0);
}

/* The pages come back by themselves. */
static void deflate(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	virtio_push(vdev, index, req, 0);
}

static void report(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtio_balloon *balloon = balloon_of(vdev);
	/* Pages that the guest filled with something have to come back with it (5.5.6.7.2). */
	bool keep = virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON) &&
		balloon->config.poison_val;

	for (unsigned i = 0; !keep && i < req->writable_count; i++) {
		const struct iovec *range = &req->writable[i];
		gpa_t gpa;

		if (gmem_gpa(vdev->dev.platform->mem, range->iov_base, &gpa))
			balloon->stats.reported_bytes += give_back(balloon, gpa, range->iov_len);
	}
	virtio_push(vdev, index, req, 0);
}

/* ---- Statistics ---- */

static void read_stats(struct virtio_balloon *balloon, const struct virtq_req *req)
{
	struct virtio_balloon_stats *stats = &balloon->stats;
	struct virtio_balloon_stat stat;
	uint64_t count = MIN(req->readable_bytes / sizeof(stat), (uint64_t)STATS_PER_ANSWER);

	stats->guest_known = 0;
	for (uint64_t i = 0; i < count; i++) {
		virtq_copy_from(req, i * sizeof(stat), &stat, sizeof(stat));
		if (stat.tag >= VIRTIO_BALLOON_S_NR)
			continue;
		stats->guest[stat.tag] = stat.val;
		stats->guest_known |= 1U << stat.tag;
	}
	stats->guest_answers++;
}

/* The buffer is ours until we want new statistics: giving it back is the question. */
static void keep_stats(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtio_balloon *balloon = balloon_of(vdev);

	if (balloon->stats_buffer) {
		device_guest_error(&vdev->dev, "statistics that nobody asked for");
		virtio_push(vdev, index, balloon->stats_buffer, 0);
	}
	balloon->stats_buffer = req;
	read_stats(balloon, req);
}

bool virtio_balloon_ask_guest(struct device *device)
{
	struct virtio_balloon *balloon = balloon_of(virtio_of(device));
	struct virtq_req *req;

	pthread_mutex_lock(&device->lock);
	req = balloon->stats_buffer;
	balloon->stats_buffer = NULL;
	if (req) {
		virtio_push(&balloon->vdev, QUEUE_STATS, req, 0);
		virtio_notify(&balloon->vdev);
	}
	pthread_mutex_unlock(&device->lock);
	return req;
}

void virtio_balloon_get_stats(struct device *device, struct virtio_balloon_stats *stats)
{
	struct virtio_balloon *balloon = balloon_of(virtio_of(device));

	pthread_mutex_lock(&device->lock);
	*stats = balloon->stats;
	stats->ram_bytes = device->platform->mem->size;
	stats->target_bytes = balloon->config.num_pages * PAGE_BYTES;
	stats->actual_bytes = balloon->config.actual * PAGE_BYTES;
	stats->driver_ready = balloon->vdev.status & VIRTIO_CONFIG_S_DRIVER_OK;
	pthread_mutex_unlock(&device->lock);
}

/* ---- Queues ---- */

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	bool has_stats = virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ);

	if (index == QUEUE_INFLATE)
		virtio_take_requests(vdev, index, inflate);
	else if (index == QUEUE_DEFLATE)
		virtio_take_requests(vdev, index, deflate);
	else if (index == QUEUE_STATS && has_stats)
		virtio_take_requests(vdev, index, keep_stats);
	else if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		virtio_take_requests(vdev, index, report);
	else
		virtio_take_requests(vdev, index, deflate);
	virtio_notify(vdev);
}

static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_balloon *balloon = balloon_of(vdev);
	struct virtq_req *req = balloon->stats_buffer;

	balloon->stats_buffer = NULL;
	if (req && abort)
		virtio_forget(vdev, QUEUE_STATS, req);
	else if (req)
		virtio_push(vdev, QUEUE_STATS, req, 0);
}

/* ---- Configuration ---- */

/* A new driver has nothing in its balloon. */
static void activate(struct virtio_dev *vdev)
{
	struct virtio_balloon *balloon = balloon_of(vdev);

	balloon->config.actual = 0;
	balloon->config.poison_val = 0;
	balloon->stats.guest_known = 0;
}

static void config_write(struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value)
{
	struct virtio_balloon *balloon = balloon_of(vdev);

	if (offset == offsetof(struct virtio_balloon_config, actual) && size == 4)
		balloon->config.actual = (uint32_t)value;
	else if (offset == offsetof(struct virtio_balloon_config, poison_val) && size == 4 &&
		virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		balloon->config.poison_val = (uint32_t)value;
	else
		device_guest_error(&vdev->dev, "write of its configuration at 0x%x", offset);
}

int virtio_balloon_set_target(struct device *device, uint64_t balloon_bytes)
{
	struct virtio_balloon *balloon = balloon_of(virtio_of(device));
	const struct gmem *mem = device->platform->mem;

	if (balloon_bytes > mem->size || balloon_bytes / PAGE_BYTES > UINT32_MAX)
		return -EINVAL;
	if (balloon_bytes && !can_give_back(balloon))
		return -EOPNOTSUPP;
	pthread_mutex_lock(&device->lock);
	balloon->config.num_pages = (uint32_t)(balloon_bytes / PAGE_BYTES);
	virtio_config_changed(&balloon->vdev);
	pthread_mutex_unlock(&device->lock);
	return 0;
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_BALLOON,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.activate = activate,
	.handle_queue = handle_queue,
	.drain = drain,
	.config_write = config_write,
};

/* ---- Life cycle ---- */

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_balloon *balloon = calloc(1, sizeof(*balloon));
	int ret;

	if (!balloon)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	balloon->config.num_pages = (uint32_t)(args->balloon_bytes / PAGE_BYTES);
	ret = virtio_init(&balloon->vdev, &virtio_balloon_class, args,
		&(struct virtio_config){.class = &class,
			.features = VIRTIO_FEATURE(VIRTIO_BALLOON_F_STATS_VQ) |
				VIRTIO_FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
				VIRTIO_FEATURE(VIRTIO_BALLOON_F_PAGE_POISON) |
				VIRTIO_FEATURE(VIRTIO_BALLOON_F_REPORTING),
			.queue_count = QUEUE_COUNT,
			.config = &balloon->config,
			.config_size = sizeof(balloon->config)},
		err);
	if (ret < 0) {
		free(balloon);
		return ret;
	}
	*device = &balloon->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_dev *vdev = virtio_of(device);
	int ret = virtio_realize(vdev, err);

	(void)platform;
	if (!can_give_back(balloon_of(vdev)))
		vdev->offered &= ~VIRTIO_FEATURE(VIRTIO_BALLOON_F_REPORTING);
	return ret < 0 ? ret : virtio_mmio_connect(vdev, err);
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_balloon *balloon = balloon_of(virtio_of(device));

	virtio_finish(&balloon->vdev);
	free(balloon);
}

const struct device_class virtio_balloon_class = {
	.name = "virtio-balloon",
	.description = "gives memory that the guest does not need back to the host",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
