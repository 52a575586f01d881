/*
 * virtio-net: a network card (VIRTIO 1.2, 5.1). Knows nothing of what carries its frames.
 *
 * Threads: the loop's works on queues; register accesses come from vCPUs; all with the device's
 * lock.
 */
#include "devices/virtio/net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "devices/virtio/mmio.h"
#include "devices/virtio/net_impl.h"
#include "vmm/base/util.h"

enum {
	QUEUE_SIZE = 256,
	/* Up to mtu: what follows is not offered. */
	CONFIG_BYTES = offsetof(struct virtio_net_config, mtu) + 2,
};

extern const struct device_class virtio_net_class;

/* ---- Link ---- */

static bool link_should_be_up(const struct virtio_net *card)
{
	return card->cable_is_in && (!card->started || net_link_is_up(card->backend));
}

static void update_link(struct virtio_net *card)
{
	uint16_t status = link_should_be_up(card) ? VIRTIO_NET_S_LINK_UP : 0;

	if (status == card->config.status)
		return;
	card->config.status = status;
	virtio_config_changed(&card->vdev);
}

void virtio_net_set_link(struct device *device, bool up)
{
	struct virtio_net *card = net_of(virtio_of(device));

	pthread_mutex_lock(&device->lock);
	card->cable_is_in = up;
	update_link(card);
	pthread_mutex_unlock(&device->lock);
}

bool virtio_net_link_is_up(struct device *device)
{
	bool up;

	pthread_mutex_lock(&device->lock);
	up = net_of(virtio_of(device))->config.status & VIRTIO_NET_S_LINK_UP;
	pthread_mutex_unlock(&device->lock);
	return up;
}

void virtio_net_get_stats(struct device *device, struct virtio_net_stats *stats)
{
	struct virtio_net *card = net_of(virtio_of(device));

	pthread_mutex_lock(&device->lock);
	*stats = card->stats;
	stats->kicks = card->vdev.stats.kicks;
	stats->interrupts = card->vdev.stats.interrupts;
	pthread_mutex_unlock(&device->lock);
}

/* ---- Queues ---- */

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	(void)vdev;
	(void)index;
}

static void start(struct virtio_dev *vdev)
{
	struct virtio_net *card = net_of(vdev);

	net_start(card->backend);
	card->started = true;
	update_link(card);
}

static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_net *card = net_of(vdev);

	if (!abort || !card->started)
		return;
	card->started = false;
	net_stop(card->backend);
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_NET,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.start = start,
	.handle_queue = handle_queue,
	.drain = drain,
};

/* ---- What the back end tells ---- */

static void handle_readable(void *opaque, unsigned queue)
{
	(void)opaque;
	(void)queue;
}

static void handle_writable(void *opaque, unsigned queue)
{
	(void)opaque;
	(void)queue;
}

static void handle_link(void *opaque, bool up)
{
	(void)up;
	update_link(opaque);
}

/* ---- Life cycle ---- */

static void fill_config(struct virtio_net *card, const uint8_t *mac)
{
	const struct net_info *info = net_info(card->backend);

	if (mac) {
		memcpy(card->mac, mac, sizeof(card->mac));
		memcpy(card->config.mac, mac, sizeof(card->mac));
		card->has_mac = true;
	}
	card->config.status = VIRTIO_NET_S_LINK_UP;
	card->config.max_virtqueue_pairs = (uint16_t)card->pairs_max;
	card->config.mtu = (uint16_t)info->mtu;
}

static uint64_t features_of(const struct virtio_net *card)
{
	uint64_t features = VIRTIO_FEATURE(VIRTIO_NET_F_MTU) | VIRTIO_FEATURE(VIRTIO_NET_F_STATUS);

	if (card->has_mac)
		features |= VIRTIO_FEATURE(VIRTIO_NET_F_MAC);
	return features;
}

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_net *card = calloc(1, sizeof(*card));
	int ret;

	ASSERT(args->net);
	if (!card)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	card->backend = args->net;
	card->cable_is_in = true;
	card->pairs_max = MIN(MAX(net_info(args->net)->queues, 1U), (unsigned)NET_QUEUES_MAX);
	fill_config(card, args->mac);
	ret = virtio_init(&card->vdev, &virtio_net_class, args,
		&(struct virtio_config){.class = &class,
			.features = features_of(card),
			.queue_count = 2 * card->pairs_max + 1,
			.config = &card->config,
			.config_size = CONFIG_BYTES},
		err);
	if (ret < 0) {
		free(card);
		return ret;
	}
	*device = &card->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_net *card = net_of(virtio_of(device));
	int ret = virtio_realize(&card->vdev, err);

	(void)platform;
	if (ret < 0)
		return ret;
	card->front = (struct net_front){.readable = handle_readable,
		.writable = handle_writable,
		.link = handle_link,
		.opaque = card,
		.lock = &device->lock};
	net_attach(card->backend, &card->front);
	card->attached = true;
	return virtio_mmio_connect(&card->vdev, err);
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_net *card = net_of(virtio_of(device));

	virtio_finish(&card->vdev);
	if (card->attached)
		net_attach(card->backend, NULL);
	free(card);
}

const struct device_class virtio_net_class = {
	.name = "virtio-net",
	.description = "virtio network card",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
