/*
 * See fake_card.h.
 */
#include "tests/fake/fake_card.h"

#include <linux/virtio_config.h>
#include <stdlib.h>

#include "vmm/base/util.h"

#define RAM_BYTES (32 * MIB)

enum {
	ANSWER_OFFSET = 2048,
	NO_ANSWER = 0xee,
};

extern const struct device_class virtio_net_class;

struct fake_card *fake_card_create(unsigned pairs, uint64_t offloads)
{
	static const uint8_t mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 1, 2, 3};
	struct fake_card *card = calloc(1, sizeof(*card));
	struct device_args args = {.name = "virtio-net0", .mac = mac};
	int ret;

	ASSERT(card);
	card->fm = fake_machine_create(RAM_BYTES);
	card->fm->plays_doorbells = true;
	card->net = fake_net_create(card->fm->loop);
	card->net->net.info.queues = pairs;
	card->net->net.info.offloads = offloads;
	args.net = &card->net->net;
	ret = device_create(&card->device, &virtio_net_class, &args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(card->device, &card->fm->platform, NULL);
	ASSERT(ret == 0);
	return card;
}

void fake_card_destroy(struct fake_card *card)
{
	device_destroy(card->device);
	net_close(&card->net->net);
	fake_machine_destroy(card->fm);
	free(card);
}

void fake_card_run(struct fake_card *card)
{
	fake_machine_run_loop(card->fm);
}

void fake_card_bring_up(struct fake_card *card, uint64_t features)
{
	unsigned pairs = card->net->net.info.queues;

	fake_driver_init(&card->driver, card->fm, card->device, 4096, RAM_BYTES - 4096);
	card->tx = fake_driver_alloc(&card->driver, FAKE_CARD_FRAME_BYTES, 4096);
	card->control = fake_driver_alloc(&card->driver, 4096, 4096);
	card->rx_bytes = 66 * KIB;
	fake_driver_bring_up(&card->driver, features, 2 * pairs + 1, FAKE_CARD_RING);
	for (unsigned i = 0; i < pairs; i++)
		card->rx[i] = fake_driver_alloc(
			&card->driver, (uint64_t)FAKE_CARD_RING * card->rx_bytes, 4096);
	fake_card_run(card);
}

uint64_t fake_card_guest_errors(const struct fake_card *card)
{
	return card->device->guest_errors.total;
}

/* ---- Frames ---- */

uint8_t fake_card_byte(unsigned seed, uint32_t n)
{
	return (uint8_t)(seed * 37 + n + n / 256);
}

void fake_card_fill(uint8_t *bytes, unsigned seed, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = fake_card_byte(seed, i);
}

bool fake_card_is_filled(const uint8_t *bytes, unsigned seed, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (bytes[i] != fake_card_byte(seed, i))
			return false;
	return true;
}

unsigned fake_card_add_frame(struct fake_card *card, unsigned pair,
	const struct virtio_net_hdr_v1 *header, uint32_t len, uint32_t piece)
{
	struct fake_buffer buffers[FAKE_CARD_RING];
	uint32_t total = NET_HEADER_BYTES + len;
	uint8_t *host = fake_driver_host(&card->driver, card->tx, total);
	unsigned count = 0;

	memset(host, 0, NET_HEADER_BYTES);
	if (header)
		memcpy(host, header, sizeof(*header));
	fake_card_fill(host + NET_HEADER_BYTES, 1, len);
	for (uint32_t done = 0; done < total; done += piece) {
		ASSERT(count < FAKE_CARD_RING);
		buffers[count++] =
			(struct fake_buffer){card->tx + done, MIN(piece, total - done), false};
	}
	return fake_vq_add(&card->driver, 2 * pair + 1, buffers, count, 0);
}

void fake_card_send(
	struct fake_card *card, unsigned pair, const struct virtio_net_hdr_v1 *header, uint32_t len)
{
	fake_card_add_frame(card, pair, header, len, FAKE_CARD_FRAME_BYTES);
	fake_driver_kick(&card->driver, 2 * pair + 1);
	fake_card_run(card);
}

void fake_card_post_buffers(struct fake_card *card, unsigned pair, unsigned count, uint32_t bytes)
{
	struct fake_vq *vq = &card->driver.queues[2 * pair];

	ASSERT(bytes <= card->rx_bytes);
	for (unsigned i = 0; i < count; i++) {
		/* Each descriptor has a slot of its own. */
		struct fake_buffer buffer = {
			card->rx[pair] + (uint64_t)vq->free_head * card->rx_bytes, bytes, true};

		fake_vq_add(&card->driver, 2 * pair, &buffer, 1, 0);
	}
	if (fake_vq_needs_kick(&card->driver, 2 * pair))
		fake_driver_kick(&card->driver, 2 * pair);
	fake_card_run(card);
}

void fake_card_put(struct fake_card *card, unsigned pair, unsigned seed, uint32_t len)
{
	const struct virtio_net_hdr_v1 segmented = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 1448};
	bool is_long = len > card->net->net.info.mtu + 22;
	uint8_t *frame = malloc(len);

	ASSERT(frame);
	fake_card_fill(frame, seed, len);
	fake_net_put(card->net, pair, is_long ? &segmented : NULL, frame, len);
	free(frame);
}

void fake_card_arrive(struct fake_card *card, unsigned pair)
{
	fake_net_tell_readable(card->net, pair);
	fake_card_run(card);
}

/* Copies the next used buffer behind `done` bytes of got[]. */
static uint32_t take_buffer(struct fake_card *card, unsigned pair, uint32_t done)
{
	unsigned head;
	uint32_t len;
	bool taken = fake_vq_take(&card->driver, 2 * pair, &head, &len);

	ASSERT(taken && len <= card->rx_bytes && done + len <= sizeof(card->got));
	memcpy(card->got + done,
		fake_driver_host(
			&card->driver, card->rx[pair] + (uint64_t)head * card->rx_bytes, len),
		len);
	return len;
}

uint32_t fake_card_take(struct fake_card *card, unsigned pair)
{
	struct virtio_net_hdr_v1 header;
	uint32_t done;

	if (!fake_vq_used_count(&card->driver.queues[2 * pair]))
		return 0;
	done = take_buffer(card, pair, 0);
	ASSERT(done >= sizeof(header));
	memcpy(&header, card->got, sizeof(header));
	ASSERT(header.num_buffers);
	for (unsigned i = 1; i < header.num_buffers; i++)
		done += take_buffer(card, pair, done);
	return done - NET_HEADER_BYTES;
}

/* ---- Commands ---- */

static unsigned control_queue(const struct fake_card *card)
{
	return card->driver.features >> VIRTIO_NET_F_MQ & 1 ? 2 * card->net->net.info.queues : 2;
}

uint8_t fake_card_command(
	struct fake_card *card, uint8_t class, uint8_t command, const void *data, uint32_t len)
{
	const struct virtio_net_ctrl_hdr header = {class, command};
	const struct fake_buffer buffers[] = {{card->control, sizeof(header), false},
		{card->control + sizeof(header), len, false},
		{card->control + ANSWER_OFFSET, 1, true}};
	uint8_t *host = fake_driver_host(&card->driver, card->control, 4096);
	unsigned queue = control_queue(card), head;
	uint32_t written;

	ASSERT(sizeof(header) + len <= ANSWER_OFFSET);
	memcpy(host, &header, sizeof(header));
	memcpy(host + sizeof(header), data, len);
	host[ANSWER_OFFSET] = NO_ANSWER;
	fake_vq_add(&card->driver, queue, buffers, 3, 0);
	fake_driver_kick(&card->driver, queue);
	fake_card_run(card);
	if (fake_vq_take(&card->driver, queue, &head, &written))
		ASSERT(written == 1);
	return host[ANSWER_OFFSET];
}
