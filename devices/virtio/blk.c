/*
 * virtio-blk: a disk (VIRTIO 1.2, 5.2). Parses requests, checks them, and hands them to a
 * block backend; knows nothing of files or threads.
 *
 * All that a kick brings goes to the backend together, and all that has completed by the
 * time the device looks is answered with one interrupt. A 4 KiB read that the host
 * has in its page cache costs: wake-up of the loop, preadv2, write to the irqfd; one that it
 * has not: a futex wake, preadv on a worker and a write to the loop's eventfd more.
 *
 * Cache mode: write-back when the driver negotiated FLUSH (and may be turned off in the
 * configuration space, CONFIG_WCE); otherwise each write is on stable storage when it completes.
 *
 * Threads: the loop's works on requests; register accesses on vCPUs may drain; all with the
 * device's lock. Only the backend's workers touch guest memory without it, in the buffers of
 * requests in flight.
 *
 * Threats
 *   what the guest can send  limit                     where           test
 *   header cut or spread     copied whole, else IOERR  begin           odd_layouts, short_headers
 *   no room for a status     given back unwritten      take_status     no_status_byte
 *   sectors beyond the end   no overflow, IOERR        is_inside       ranges
 *   no whole sectors         IOERR                     begin_transfer  lengths
 *   a transfer of gigabytes  TRANSFER_BYTES_MAX        begin_transfer  too_long
 *   writes, read-only disk   IOERR                     begin_transfer  read_only
 *   huge discards, flags     IOERR, UNSUPP             check_range     discard_limits, _flags
 *   unknown types            UNSUPP                    begin           unknown_types
 *   too many requests        ring broken, reset        virtq_pop       test_virtqueue.c
 *   reset, stop in flight    drained first             drain           reset_in_flight
 */
#include "devices/virtio/blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "devices/backend/blk.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"
#include "vmm/base/util.h"

enum {
	QUEUE_SIZE = 256,
	SEGMENTS_MAX = QUEUE_SIZE - 2, /* header and status take one each */
	QUEUES_MAX = 16,
	/* Up to write_zeroes_may_unmap and its padding: what follows is not offered. */
	CONFIG_BYTES = offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4,
};

/*
 * How long one system call of the backend can get, which a reset may have to wait for.
 * Linux asks for 1.25 MiB at most by default. Zeroes may have to be written out.
 */
#define TRANSFER_BYTES_MAX	 (256 * MIB)
#define DISCARD_SECTORS_MAX	 ((uint32_t)(1 * GIB / BLK_SECTOR_BYTES))
#define WRITE_ZEROES_SECTORS_MAX ((uint32_t)(64 * MIB / BLK_SECTOR_BYTES))

struct virtio_blk {
	struct virtio_dev vdev;
	struct blk *backend; /* borrowed */
	bool attached;
	struct virtio_blk_config config;
	char id[VIRTIO_BLK_ID_BYTES]; /* padded with NUL */
	struct virtio_blk_stats stats;
};

/* One slot of a queue. */
struct request {
	struct virtq_req chain; /* first */
	struct blk_request io;
	unsigned queue;
	uint8_t *status; /* in guest memory */
};

extern const struct device_class virtio_blk_class;

static struct virtio_blk *blk_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_blk, vdev);
}

/* ---- Answers ---- */

/* `written` counts from the first writable byte; the status is behind the last data byte. */
static void answer(struct virtio_dev *vdev, struct request *req, uint8_t status, uint64_t written)
{
	*req->status = status;
	if (written == req->chain.writable_bytes)
		written++;
	virtio_push(vdev, req->queue, &req->chain, (uint32_t)written);
}

static void refuse(struct virtio_dev *vdev, struct request *req, uint8_t status, const char *why)
{
	device_guest_error(&vdev->dev, "request refused: %s", why);
	answer(vdev, req, status, 0);
}

static void count(struct virtio_blk_stats *stats, const struct blk_request *io)
{
	if (io->result < 0) {
		stats->errors++;
	} else if (io->op == BLK_READ) {
		stats->reads++;
		stats->read_bytes += io->len;
	} else if (io->op == BLK_WRITE) {
		stats->writes++;
		stats->written_bytes += io->len;
	} else if (io->op == BLK_FLUSH) {
		stats->flushes++;
	}
}

void virtio_blk_get_stats(struct device *device, struct virtio_blk_stats *stats)
{
	struct virtio_blk *blk = blk_of(virtio_of(device));

	pthread_mutex_lock(&device->lock);
	*stats = blk->stats;
	stats->kicks = blk->vdev.stats.kicks;
	stats->interrupts = blk->vdev.stats.interrupts;
	pthread_mutex_unlock(&device->lock);
}

static void finish(struct virtio_dev *vdev, struct request *req)
{
	count(&blk_of(vdev)->stats, &req->io);
	if (req->io.result < 0)
		answer(vdev, req, VIRTIO_BLK_S_IOERR, 0);
	else
		answer(vdev, req, VIRTIO_BLK_S_OK, req->io.op == BLK_READ ? req->io.len : 0);
}

static void finish_completed(struct virtio_dev *vdev)
{
	struct blk_request *io;

	while ((io = blk_reap(blk_of(vdev)->backend)))
		finish(vdev, CONTAINER_OF(io, struct request, io));
	virtio_notify(vdev);
}

/* ---- Requests ---- */

static void submit(struct virtio_blk *blk, struct request *req, enum blk_op op, uint64_t sector,
	uint64_t bytes)
{
	if (!bytes && op != BLK_FLUSH) {
		answer(&blk->vdev, req, VIRTIO_BLK_S_OK, 0);
		return;
	}
	req->io.op = op;
	req->io.offset = sector * BLK_SECTOR_BYTES;
	req->io.len = bytes;
	req->io.durable = !blk->config.wce;
	blk_submit(blk->backend, &req->io);
}

static bool is_inside(const struct virtio_blk *blk, uint64_t sector, uint64_t sectors)
{
	return util_range_inside(sector, sectors, blk->config.capacity);
}

static void begin_transfer(struct virtio_blk *blk, struct request *req, uint64_t sector, bool write)
{
	struct virtq_req *chain = &req->chain;
	uint64_t bytes = write ? chain->readable_bytes : chain->writable_bytes;

	if (write && blk_info(blk->backend)->read_only) {
		refuse(&blk->vdev, req, VIRTIO_BLK_S_IOERR, "write to a read-only disk");
		return;
	}
	if (bytes % BLK_SECTOR_BYTES || bytes > TRANSFER_BYTES_MAX) {
		refuse(&blk->vdev, req, VIRTIO_BLK_S_IOERR, "no whole sectors, or too many");
		return;
	}
	if (!is_inside(blk, sector, bytes / BLK_SECTOR_BYTES)) {
		refuse(&blk->vdev, req, VIRTIO_BLK_S_IOERR, "sectors beyond the end of the disk");
		return;
	}
	req->io.iov = write ? chain->readable : chain->writable;
	req->io.iov_count = write ? chain->readable_count : chain->writable_count;
	submit(blk, req, write ? BLK_WRITE : BLK_READ, sector, bytes);
}

/* NULL, or why the range can't be accepted; UNSUPP or IOERR goes to `status`. */
static const char *check_range(const struct virtio_blk *blk,
	const struct virtio_blk_discard_write_zeroes *range, bool discard, uint8_t *status)
{
	uint32_t flags_known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	*status = VIRTIO_BLK_S_UNSUPP;
	if (range->flags & ~flags_known)
		return "unknown flags of a range";
	*status = VIRTIO_BLK_S_IOERR;
	if (blk_info(blk->backend)->read_only)
		return "discard or zeroes on a read-only disk";
	if (range->num_sectors > (discard ? DISCARD_SECTORS_MAX : WRITE_ZEROES_SECTORS_MAX))
		return "a range longer than the device takes";
	if (!is_inside(blk, range->sector, range->num_sectors))
		return "a range beyond the end of the disk";
	return NULL;
}

static void begin_range(struct virtio_blk *blk, struct request *req, bool discard)
{
	struct virtio_blk_discard_write_zeroes range;
	const char *wrong;
	uint8_t status;

	if (!virtio_has_feature(
		    &blk->vdev, discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES)) {
		refuse(&blk->vdev, req, VIRTIO_BLK_S_UNSUPP, "a type that was not negotiated");
		return;
	}
	if (req->chain.readable_bytes != sizeof(range)) {
		refuse(&blk->vdev, req, VIRTIO_BLK_S_IOERR, "not exactly one range");
		return;
	}
	virtq_copy_from(&req->chain, 0, &range, sizeof(range));
	wrong = check_range(blk, &range, discard, &status);
	if (wrong) {
		refuse(&blk->vdev, req, status, wrong);
		return;
	}
	req->io.unmap = range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	submit(blk, req, discard ? BLK_DISCARD : BLK_WRITE_ZEROES, range.sector,
		(uint64_t)range.num_sectors * BLK_SECTOR_BYTES);
}

static void answer_id(struct virtio_blk *blk, struct request *req)
{
	uint64_t written = virtq_copy_to(&req->chain, 0, blk->id, sizeof(blk->id));

	answer(&blk->vdev, req, VIRTIO_BLK_S_OK, written);
}

/* The status byte is the last writable one; the rest of the writable bytes is for data. */
static bool take_status(struct request *req)
{
	const struct iovec *last = req->chain.writable + req->chain.writable_count - 1;

	if (!req->chain.writable_bytes)
		return false;
	req->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	virtq_cut_writable(&req->chain, 1);
	return true;
}

static void begin(struct virtio_dev *vdev, unsigned queue, struct virtq_req *chain)
{
	struct request *req = CONTAINER_OF(chain, struct request, chain);
	struct virtio_blk *blk = blk_of(vdev);
	struct virtio_blk_outhdr header;

	req->queue = queue;
	if (!take_status(req)) {
		device_guest_error(&vdev->dev, "request without room for a status");
		virtio_push(vdev, queue, chain, 0);
		return;
	}
	if (virtq_copy_from(chain, 0, &header, sizeof(header)) != sizeof(header)) {
		refuse(vdev, req, VIRTIO_BLK_S_IOERR, "its header is cut");
		return;
	}
	virtq_skip_readable(chain, sizeof(header));
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		begin_transfer(blk, req, header.sector, false);
		break;
	case VIRTIO_BLK_T_OUT:
		begin_transfer(blk, req, header.sector, true);
		break;
	case VIRTIO_BLK_T_FLUSH:
		submit(blk, req, BLK_FLUSH, 0, 0);
		break;
	case VIRTIO_BLK_T_GET_ID:
		answer_id(blk, req);
		break;
	case VIRTIO_BLK_T_DISCARD:
		begin_range(blk, req, true);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		begin_range(blk, req, false);
		break;
	default:
		refuse(vdev, req, VIRTIO_BLK_S_UNSUPP, "its type is unknown");
	}
}

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	virtio_take_requests(vdev, index, begin);
	blk_kick(blk_of(vdev)->backend);
	finish_completed(vdev);
}

static void handle_completed(void *opaque)
{
	finish_completed(opaque);
}

static void drain(struct virtio_dev *vdev, bool abort)
{
	struct blk *backend = blk_of(vdev)->backend;
	struct blk_request *io;

	if (!abort) {
		blk_drain(backend);
		finish_completed(vdev);
		return;
	}
	blk_abort(backend);
	while ((io = blk_reap(backend))) {
		struct request *req = CONTAINER_OF(io, struct request, io);

		virtio_forget(vdev, req->queue, &req->chain);
	}
}

/* ---- Configuration ---- */

/*
 * 5.2.5.2: the cache mode starts anew with each driver, which reads it and may change it before
 * DRIVER_OK. One that reads "writes are durable" sends no flush from then on.
 */
static void activate(struct virtio_dev *vdev)
{
	blk_of(vdev)->config.wce = virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH);
}

static void config_write(struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value)
{
	struct virtio_blk *blk = blk_of(vdev);

	if (offset == offsetof(struct virtio_blk_config, wce) && size == 1 && value <= 1 &&
		virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE))
		blk->config.wce = (uint8_t)value;
	else
		device_guest_error(&vdev->dev, "write of its configuration at 0x%x", offset);
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_BLOCK,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct request),
	.activate = activate,
	.handle_queue = handle_queue,
	.drain = drain,
	.config_write = config_write,
};

static void fill_config(struct virtio_blk *blk, unsigned queues)
{
	const struct blk_info *info = blk_info(blk->backend);
	uint32_t blocks = info->io_size / info->block_size;

	blk->config = (struct virtio_blk_config){
		.capacity = info->size / BLK_SECTOR_BYTES,
		.seg_max = SEGMENTS_MAX,
		.blk_size = info->block_size,
		.physical_block_exp = (uint8_t)__builtin_ctz(blocks),
		.min_io_size = (uint16_t)blocks,
		.wce = 1,
		.num_queues = (uint16_t)queues,
		.max_discard_sectors = DISCARD_SECTORS_MAX,
		.max_discard_seg = 1,
		.discard_sector_alignment = info->io_size / BLK_SECTOR_BYTES,
		.max_write_zeroes_sectors = WRITE_ZEROES_SECTORS_MAX,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
}

static uint64_t features_of(const struct blk_info *info, unsigned queues)
{
	uint64_t features = VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
		VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
		VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);

	if (queues > 1)
		features |= VIRTIO_FEATURE(VIRTIO_BLK_F_MQ);
	if (info->read_only)
		return features | VIRTIO_FEATURE(VIRTIO_BLK_F_RO);
	return features | VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |
		VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
}

/* ---- Life cycle ---- */

static void set_id(struct virtio_blk *blk, const char *text)
{
	memcpy(blk->id, text, strnlen(text, sizeof(blk->id)));
}

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	unsigned queues = MIN(MAX(args->queues, 1U), (unsigned)QUEUES_MAX);
	int ret;

	ASSERT(args->blk);
	if (!blk)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	blk->backend = args->blk;
	fill_config(blk, queues);
	set_id(blk, args->serial ? args->serial : blk_info(blk->backend)->id);
	ret = virtio_init(&blk->vdev, &virtio_blk_class, args,
		&(struct virtio_config){.class = &class,
			.features = features_of(blk_info(blk->backend), queues),
			.queue_count = queues,
			.config = &blk->config,
			.config_size = CONFIG_BYTES},
		err);
	if (ret < 0) {
		free(blk);
		return ret;
	}
	*device = &blk->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_blk *blk = blk_of(virtio_of(device));
	const struct blk_client client = {
		.completed = handle_completed, .opaque = &blk->vdev, .lock = &device->lock};
	int ret = virtio_realize(&blk->vdev, err);

	(void)platform;
	if (ret < 0)
		return ret;
	blk_attach(blk->backend, &client);
	blk->attached = true;
	return virtio_mmio_connect(&blk->vdev, err);
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_blk *blk = blk_of(virtio_of(device));

	virtio_finish(&blk->vdev);
	if (blk->attached)
		blk_detach(blk->backend);
	free(blk);
}

const struct device_class virtio_blk_class = {
	.name = "virtio-blk",
	.description = "virtio disk",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
