/*
 * virtio-net: a network card (VIRTIO 1.2, 5.1). Knows nothing of what carries its frames. Here:
 * features, link, life, and whose turn it is; net_impl.h says where the rest is.
 *
 * A back end is called on the loop's thread only, but drivers start and reset a card on theirs:
 * `turn`, a task of the loop, brings it up to date, and until then no frame moves.
 *
 * Threads: the loop's works on queues; register accesses come from vCPUs; all with the device's
 * lock.
 *
 * Threats (what is in frames and commands: see net_rx.c, net_tx.c, net_control.c, net_header.c)
 *   what the guest can send      limit                        test
 *   writes of its configuration  refused, counted             configuration_can_not_be_written
 *   queues it does not use       ignored                      second_pair_works_when_asked_for
 *   resets at any moment         nothing of its is kept       reset_…, no_frame_before_…
 *   a queue stopped at work      buffers go back to the ring  stopped_queue_has_…, queue_stopped_…
 *   broken rings                 NEEDS_RESET                  broken_ring_asks_for_reset
 */
#include "devices/virtio/net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "devices/virtio/mmio.h"
#include "devices/virtio/net_impl.h"
#include "vmm/base/util.h"

enum {
	/* Up to mtu: what follows is not offered. */
	CONFIG_BYTES = offsetof(struct virtio_net_config, mtu) + 2,
};

extern const struct device_class virtio_net_class;

/* ---- Link ---- */

static bool link_should_be_up(const struct virtio_net *card)
{
	return card->cable_is_in && (!card->running || net_link_is_up(card->backend));
}

static void update_link(struct virtio_net *card)
{
	uint16_t status = link_should_be_up(card) ? VIRTIO_NET_S_LINK_UP : 0;

	if (status == card->config.status)
		return;
	card->config.status = status;
	if (!status)
		net_vhost_stop(card);
	virtio_config_changed(&card->vdev);
	/* What waits for room is dropped when the link is gone. */
	for (unsigned i = 0; i < card->pairs; i++) {
		card->tx[i].blocked = false;
		card->tx[i].pending = true;
	}
	if (card->running)
		net_card_post(card);
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

/* ---- Turns ---- */

void net_card_post(struct virtio_net *card)
{
	loop_post(card->loop, &card->turn);
}

static void stop_backend(struct virtio_net *card)
{
	if (card->backend_started)
		net_stop(card->backend);
	card->backend_started = card->backend_is_stale = false;
}

static void start_backend(struct virtio_net *card)
{
	if (net_set_offloads(card->backend, card->offloads) < 0 ||
		(card->pairs_max > 1 && net_set_queues(card->backend, card->pairs) < 0))
		log_warn("%s: %s refuses what its driver wants; it may not work",
			card->vdev.dev.name, net_info(card->backend)->name);
	net_start(card->backend);
	card->backend_started = card->running = true;
	for (unsigned i = 0; i < card->pairs; i++)
		card->tx[i].pending = true;
	net_control_work(card);
	update_link(card);
}

/* On the loop's thread. What the back end is told it must be told there: see net.h. */
static void take_turn(void *opaque)
{
	struct virtio_net *card = opaque;

	net_vhost_settle(card);
	if (card->backend_is_stale)
		stop_backend(card);
	if (card->live && !card->running)
		start_backend(card);
	for (unsigned i = 0; i < card->pairs && card->running; i++) {
		if (card->tx[i].pending)
			net_tx_work(card, i);
		net_rx_work(card, i);
	}
	net_vhost_start(card);
}

/* ---- What the driver does ---- */

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	struct virtio_net *card = net_of(vdev);

	/* The first turn looks everywhere. */
	if (!card->running)
		return;
	net_vhost_settle(card);
	if (index == net_control_queue(card))
		net_control_work(card);
	else if (index / 2 >= card->pairs)
		return;
	else if (index % 2)
		net_tx_work(card, index / 2);
	else
		net_rx_kick(card, index / 2);
}

/* FEATURES_OK. Without the checksum no other offload means anything (5.1.3.1). */
static void activate(struct virtio_dev *vdev)
{
	struct virtio_net *card = net_of(vdev);

	card->mergeable = virtio_has_feature(vdev, VIRTIO_NET_F_MRG_RXBUF);
	card->offloads = virtio_has_feature(vdev, VIRTIO_NET_F_GUEST_CSUM)
		? net_guest_offloads(vdev->accepted)
		: 0;
}

static void start(struct virtio_dev *vdev)
{
	struct virtio_net *card = net_of(vdev);

	for (unsigned i = 0; i < card->pairs_max; i++) {
		net_rx_start(card, i);
		card->tx[i] = (struct net_tx){.pending = false};
	}
	card->live = true;
	net_card_post(card);
}

/* The back end holds nothing of the guest's, so it may learn later that the driver is gone. */
static void forget_driver(struct virtio_net *card)
{
	card->live = card->running = false;
	card->backend_is_stale = card->backend_started;
	card->pairs = 1;
	card->offloads = 0;
	memcpy(card->config.mac, card->mac, sizeof(card->mac));
	card->config.status = link_should_be_up(card) ? VIRTIO_NET_S_LINK_UP : 0;
	net_card_post(card);
}

static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_net *card = net_of(vdev);

	net_vhost_stop(card);
	for (unsigned i = 0; i < card->pairs_max; i++)
		net_rx_release(card, i, abort);
	if (abort)
		forget_driver(card);
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_NET,
	.queue_size = NET_QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.activate = activate,
	.start = start,
	.handle_queue = handle_queue,
	.drain = drain,
};

/* ---- What the back end tells ---- */

static void handle_readable(void *opaque, unsigned pair)
{
	struct virtio_net *card = opaque;

	if (pair >= card->pairs_max)
		return;
	card->rx[pair].readable = true;
	if (card->running && pair < card->pairs)
		net_rx_work(card, pair);
}

static void handle_writable(void *opaque, unsigned pair)
{
	struct virtio_net *card = opaque;

	if (pair >= card->pairs_max)
		return;
	card->tx[pair].blocked = false;
	if (card->running && pair < card->pairs)
		net_tx_work(card, pair);
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
	uint64_t offloads = net_info(card->backend)->offloads;
	uint64_t features = offloads | VIRTIO_FEATURE(VIRTIO_NET_F_MTU) |
		VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) | VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF) |
		VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX) |
		VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (card->has_mac)
		features |= VIRTIO_FEATURE(VIRTIO_NET_F_MAC);
	if (card->pairs_max > 1)
		features |= VIRTIO_FEATURE(VIRTIO_NET_F_MQ);
	if (net_guest_offloads(offloads))
		features |= VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	return features;
}

static void free_card(struct virtio_net *card)
{
	for (unsigned i = 0; i < card->pairs_max; i++)
		net_rx_finish(&card->rx[i]);
	free(card);
}

static int make_spills(struct virtio_net *card, const char *name, struct err *err)
{
	for (unsigned i = 0; i < card->pairs_max; i++)
		if (net_rx_init(&card->rx[i]) < 0)
			return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", name);
	return 0;
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
	card->pairs = 1;
	card->pairs_max = MIN(MAX(net_info(args->net)->queues, 1U), (unsigned)NET_QUEUES_MAX);
	fill_config(card, args->mac);
	ret = make_spills(card, args->name, err);
	if (ret < 0)
		goto fail;
	ret = virtio_init(&card->vdev, &virtio_net_class, args,
		&(struct virtio_config){.class = &class,
			.features = features_of(card),
			.queue_count = 2 * card->pairs_max + 1,
			.config = &card->config,
			.config_size = CONFIG_BYTES},
		err);
	if (ret < 0)
		goto fail;
	*device = &card->vdev.dev;
	return 0;
fail:
	free_card(card);
	return ret;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_net *card = net_of(virtio_of(device));
	int ret = virtio_realize(&card->vdev, err);

	if (ret < 0)
		return ret;
	card->loop = platform->loop;
	card->turn = (struct loop_task){.fn = take_turn, .opaque = card, .lock = &device->lock};
	card->front = (struct net_front){.readable = handle_readable,
		.writable = handle_writable,
		.link = handle_link,
		.opaque = card,
		.lock = &device->lock};
	net_attach(card->backend, &card->front);
	card->attached = true;
	net_vhost_init(card);
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
	if (card->attached) {
		net_vhost_settle(card);
		net_vhost_finish(card);
		loop_unpost(card->loop, &card->turn);
		stop_backend(card);
		net_attach(card->backend, NULL);
	}
	free_card(card);
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
