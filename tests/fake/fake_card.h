/*
 * A network card in a fake machine, its back end in memory, and the guest's driver: what the
 * tests of virtio-net share.
 *
 * What goes wrong in here is a bug of the test and aborts it.
 */
#pragma once

#include <linux/virtio_net.h>

#include "tests/fake/fake_net.h"
#include "tests/fake/fake_virtio_driver.h"

enum {
	FAKE_CARD_RING = 64,
	FAKE_CARD_FRAME_BYTES = 65536 + 64, /* room for one frame to be sent or received */
};

struct fake_card {
	struct fake_machine *fm;
	struct fake_net *net;
	struct device *device;
	struct fake_driver driver;
	gpa_t tx;     /* the frame being sent, with its header */
	gpa_t rx[16]; /* for each queue: FAKE_CARD_RING slots of `rx_bytes` */
	uint32_t rx_bytes;
	gpa_t control;			    /* a command; its answer at + 2048 */
	uint8_t got[FAKE_CARD_FRAME_BYTES]; /* the last frame that came, and its header */
};

/* `pairs` of queues and `offloads` of the back end. */
struct fake_card *fake_card_create(unsigned pairs, uint64_t offloads);
void fake_card_destroy(struct fake_card *card);

/* Negotiates, sets all queues up with FAKE_CARD_RING entries, starts, lets the device begin. */
void fake_card_bring_up(struct fake_card *card, uint64_t features);

/* Everything that is ready on the loop. */
void fake_card_run(struct fake_card *card);

uint64_t fake_card_guest_errors(const struct fake_card *card);

/* Puts `len` bytes of a frame and a header (NULL: zeros) for net_send(), in pieces; no kick. */
unsigned fake_card_add_frame(struct fake_card *card, unsigned pair,
	const struct virtio_net_hdr_v1 *header, uint32_t len, uint32_t piece);
/* The same with a kick, and all that follows. */
void fake_card_send(struct fake_card *card, unsigned pair, const struct virtio_net_hdr_v1 *header,
	uint32_t len);

/* Byte n of the frame with number `seed`. */
uint8_t fake_card_byte(unsigned seed, uint32_t n);
void fake_card_fill(uint8_t *bytes, unsigned seed, uint32_t len);
bool fake_card_is_filled(const uint8_t *bytes, unsigned seed, uint32_t len);

/* Posts `count` receive buffers of `bytes` each. */
void fake_card_post_buffers(struct fake_card *card, unsigned pair, unsigned count, uint32_t bytes);

/*
 * A frame from the network, for the device to take in its own time; longer ones than the MTU
 * allows are put together of several.
 */
void fake_card_put(struct fake_card *card, unsigned pair, unsigned seed, uint32_t len);
void fake_card_arrive(struct fake_card *card, unsigned pair); /* tells the device, runs the loop */

/*
 * Takes a frame as a driver does, all its buffers: its length without header, in got[] behind
 * the header; 0 when there is none.
 */
uint32_t fake_card_take(struct fake_card *card, unsigned pair);

/* A command with its data: the answer, or 0xee when there was none. */
uint8_t fake_card_command(
	struct fake_card *card, uint8_t class, uint8_t command, const void *data, uint32_t len);
