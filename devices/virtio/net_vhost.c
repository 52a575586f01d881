/*
 * virtio-net with the kernel's vhost-net: when the back end has descriptors for it the kernel
 * takes the rings of all pairs in use, and the card does nothing per frame. The control
 * queue stays here.
 *
 * Kicks reach the kernel by the eventfds that are there anyway, and its interrupts go
 * straight to the transport's interrupt eventfd. Whatever changes takes the rings back
 * first: a reset, a stopped queue, another number of pairs, a pulled cable; take_turn() hands
 * them over again when all is as it has to be.
 *
 * Frames that the kernel moves are not in the card's statistics.
 *
 * Threads: the loop's hands over; any takes back, with the device's lock.
 */
#include <errno.h>
#include <string.h>

#include "devices/virtio/net_impl.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

static void give_up(struct virtio_net *card, int error, const char *what)
{
	for (unsigned i = 0; i < card->pairs_max; i++) {
		vhost_net_close(card->vhost[i]);
		card->vhost[i] = NULL;
	}
	card->has_vhost = false;
	log_info("%s: vmm itself moves its frames, not vhost-net: %s: %s", card->vdev.dev.name,
		what, strerror(error));
}

static void handle_broken(void *opaque)
{
	struct virtio_net *card = opaque;

	/* It may come after a reset. */
	if (!card->in_kernel)
		return;
	net_vhost_stop(card);
	virtio_break(&card->vdev, "vhost-net found a broken ring");
}

void net_vhost_init(struct virtio_net *card)
{
	const struct vhost_client client = {
		.broken = handle_broken, .opaque = card, .lock = &card->vdev.dev.lock};

	if (!net_info(card->backend)->vhost_fds)
		return;
	for (unsigned i = 0; i < card->pairs_max; i++) {
		int ret = vhost_net_open(
			&card->vhost[i], card->vdev.dev.platform->mem, card->loop, &client);

		if (ret < 0) {
			give_up(card, -ret, "/dev/vhost-net");
			return;
		}
	}
	card->has_vhost = true;
}

void net_vhost_finish(struct virtio_net *card)
{
	for (unsigned i = 0; i < card->pairs_max; i++)
		vhost_net_close(card->vhost[i]);
}

static bool can_start(const struct virtio_net *card)
{
	if (!card->has_vhost || card->in_kernel || !card->running || !net_card_has_link(card))
		return false;
	for (unsigned i = 0; i < 2 * card->pairs; i++)
		if (!virtio_can_work(&card->vdev, i) || virtio_interrupt_fd(&card->vdev, i) < 0)
			return false;
	return true;
}

static struct vhost_ring describe_ring(struct virtio_net *card, unsigned index)
{
	const struct virtio_queue *queue = &card->vdev.queues[index];

	return (struct vhost_ring){.size = queue->ring.size,
		.desc = queue->ring.desc,
		.avail = queue->ring.avail,
		.used = queue->ring.used,
		.next = queue->ring.last_avail,
		.kick_fd = queue->kick_fd,
		.interrupt_fd = virtio_interrupt_fd(&card->vdev, index)};
}

static int start_pair(struct virtio_net *card, unsigned pair)
{
	struct vhost_ring rings[VHOST_RINGS];
	int ret;

	net_rx_release(card, pair, false);
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		rings[i] = describe_ring(card, 2 * pair + i);
	ret = vhost_net_start(card->vhost[pair], card->vdev.accepted, rings,
		net_info(card->backend)->vhost_fds[pair]);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		virtio_hand_over(&card->vdev, 2 * pair + i);
	return 0;
}

static void stop_pair(struct virtio_net *card, unsigned pair)
{
	uint16_t next[VHOST_RINGS];

	vhost_net_stop(card->vhost[pair], next);
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		virtio_take_back(&card->vdev, 2 * pair + i, next[i]);
	net_rx_resume(card, pair);
	card->tx[pair] = (struct net_tx){.pending = true};
}

void net_vhost_start(struct virtio_net *card)
{
	unsigned started;
	int ret = 0;

	if (!can_start(card))
		return;
	net_set_bypassed(card->backend, true);
	card->backend_is_bypassed = true;
	for (started = 0; ret == 0 && started < card->pairs; started++)
		ret = start_pair(card, started);
	if (ret == 0) {
		card->in_kernel = started;
		log_debug("%s: vhost-net moves its frames", card->vdev.dev.name);
		return;
	}
	/* The one that failed has not changed anything. */
	for (unsigned i = 0; i + 1 < started; i++)
		stop_pair(card, i);
	net_vhost_settle(card);
	give_up(card, -ret, "the kernel refuses the interface or the rings");
}

void net_vhost_stop(struct virtio_net *card)
{
	if (!card->in_kernel)
		return;
	for (unsigned i = 0; i < card->in_kernel; i++)
		stop_pair(card, i);
	card->in_kernel = 0;
	net_card_post(card);
}

void net_vhost_settle(struct virtio_net *card)
{
	if (card->in_kernel || !card->backend_is_bypassed)
		return;
	net_set_bypassed(card->backend, false);
	card->backend_is_bypassed = false;
}
