/*
 * virtio-mmio and the virtio core, with a toy device of this file: what a driver may do
 * and when, and what becomes of a driver that does something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/virtio/mmio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define ALL_FEATURES (~UINT64_C(0))
#define RAM_BYTES    (4 * MIB)

enum {
	TOY_ID = 42,
	TOY_FEATURE = 3,
	QUEUES = 2,
	QUEUE_SIZE = 16,
	CONFIG_BYTES = 12,
	ACK = VIRTIO_CONFIG_S_ACKNOWLEDGE,
	DRIVER = VIRTIO_CONFIG_S_DRIVER,
	FEATURES_OK = VIRTIO_CONFIG_S_FEATURES_OK,
	DRIVER_OK = VIRTIO_CONFIG_S_DRIVER_OK,
};

/* ---- The toy: gives back at once what it is sent, or holds on to it ---- */

struct toy {
	struct virtio_dev vdev;
	uint8_t config[CONFIG_BYTES];
	bool holds;
	struct virtq_req *held[QUEUES * QUEUE_SIZE];
	unsigned held_queue[QUEUES * QUEUE_SIZE];
	unsigned held_count;
	unsigned activations, handled;
	uint16_t next; /* where others end, when their queues are taken back */
	/* Called for each request, to play a driver that never rests. */
	void (*on_request)(void *opaque);
	void *opaque;
};

static struct toy *toy_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct toy, vdev);
}

static void toy_activate(struct virtio_dev *vdev)
{
	toy_of(vdev)->activations++;
}

static void toy_echo(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	uint8_t bytes[64];
	uint64_t len = virtq_copy_from(req, 0, bytes, sizeof(bytes));

	virtio_push(vdev, index, req, (uint32_t)virtq_copy_to(req, 0, bytes, len));
}

static void toy_take(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct toy *toy = toy_of(vdev);

	toy->handled++;
	if (toy->holds) {
		toy->held_queue[toy->held_count] = index;
		toy->held[toy->held_count++] = req;
	} else {
		toy_echo(vdev, index, req);
	}
	if (toy->on_request)
		toy->on_request(toy->opaque);
}

static void toy_handle_queue(struct virtio_dev *vdev, unsigned index)
{
	virtio_take_requests(vdev, index, toy_take);
	virtio_notify(vdev);
}

static void toy_drain(struct virtio_dev *vdev, bool abort)
{
	struct toy *toy = toy_of(vdev);

	for (unsigned i = 0; i < QUEUES; i++)
		if (vdev->queues[i].is_handed_over)
			virtio_take_back(vdev, i, toy->next);
	while (toy->held_count) {
		unsigned n = --toy->held_count;

		if (abort)
			virtio_forget(vdev, toy->held_queue[n], toy->held[n]);
		else
			toy_echo(vdev, toy->held_queue[n], toy->held[n]);
	}
	if (!abort)
		virtio_notify(vdev);
}

static void toy_config_write(
	struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value)
{
	memcpy(toy_of(vdev)->config + offset, &value, size);
	virtio_config_changed(vdev);
}

static const struct virtio_class toy_virtio_class = {
	.device_id = TOY_ID,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.activate = toy_activate,
	.handle_queue = toy_handle_queue,
	.drain = toy_drain,
	.config_write = toy_config_write,
};

static const struct device_class toy_class;

static int toy_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct toy *toy = calloc(1, sizeof(*toy));

	assert_non_null(toy);
	for (unsigned i = 0; i < CONFIG_BYTES; i++)
		toy->config[i] = (uint8_t)(0x10 + i);
	*device = &toy->vdev.dev;
	return virtio_init(&toy->vdev, &toy_class, args,
		&(struct virtio_config){.class = &toy_virtio_class,
			.features = BIT(TOY_FEATURE),
			.queue_count = QUEUES,
			.config = toy->config,
			.config_size = CONFIG_BYTES},
		err);
}

static int toy_realize(struct device *device, struct platform *platform, struct err *err)
{
	int ret = virtio_realize(virtio_of(device), err);

	(void)platform;
	return ret < 0 ? ret : virtio_mmio_connect(virtio_of(device), err);
}

static void toy_reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void toy_destroy(struct device *device)
{
	virtio_finish(virtio_of(device));
	free(toy_of(virtio_of(device)));
}

static const struct device_class toy_class = {
	.name = "toy",
	.description = "for tests",
	.create = toy_create,
	.realize = toy_realize,
	.reset = toy_reset,
	.destroy = toy_destroy,
};

/* ---- The fixture ---- */

struct fixture {
	struct fake_machine *fm;
	struct device *device;
	struct toy *toy;
	struct fake_driver driver;
	gpa_t in, out;
};

static int make(void **state, bool doorbells)
{
	const struct device_args args = {.name = "toy0"};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = doorbells;
	assert_int_equal(device_create(&f->device, &toy_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, NULL), 0);
	f->toy = toy_of(virtio_of(f->device));
	fake_driver_init(&f->driver, f->fm, f->device, 4096, RAM_BYTES - 4096);
	f->in = fake_driver_alloc(&f->driver, 4096, 16);
	f->out = fake_driver_alloc(&f->driver, 4096, 16);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return make(state, false);
}

static int setup_doorbells(void **state)
{
	return make(state, true);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static uint32_t get(struct fixture *f, unsigned reg)
{
	return fake_driver_read(&f->driver, reg);
}

static void put(struct fixture *f, unsigned reg, uint32_t value)
{
	fake_driver_write(&f->driver, reg, value);
}

static uint64_t errors(struct fixture *f)
{
	return f->device->guest_errors.total;
}

static void bring_up(struct fixture *f, uint64_t features)
{
	fake_driver_bring_up(&f->driver, features, QUEUES, QUEUE_SIZE);
}

static void add(struct fixture *f, unsigned queue)
{
	const struct fake_buffer buffers[] = {{f->in, 5, false}, {f->out, 5, true}};

	fake_vq_add(&f->driver, queue, buffers, 2, 0);
}

static unsigned take_all(struct fixture *f, unsigned queue)
{
	unsigned count = 0, head;
	uint32_t len;

	while (fake_vq_take(&f->driver, queue, &head, &len))
		count++;
	return count;
}

/* ---- Registers ---- */

static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(f, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(get(f, VIRTIO_MMIO_DEVICE_ID), TOY_ID);
	assert_int_equal(get(f, VIRTIO_MMIO_VENDOR_ID), VIRTIO_MMIO_VENDOR);
	assert_int_equal(fake_driver_offered(&f->driver),
		BIT(TOY_FEATURE) | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			BIT(VIRTIO_RING_F_EVENT_IDX));
	/* There is no third word. */
	put(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(get(f, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	put(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(get(f, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void test_resources(void **state)
{
	struct fixture *f = *state;
	const struct device_res *mmio = device_find_res(f->device, DEVICE_RES_MMIO, 0);
	const struct device_res *irq = device_find_res(f->device, DEVICE_RES_IRQ, 0);

	assert_int_equal(mmio->base % 4096, 0);
	assert_int_equal(mmio->size, 0x200);
	assert_false(irq->level);
	assert_null(device_find_res(f->device, DEVICE_RES_IRQ, 1));
}

static void test_widths(void **state)
{
	struct fixture *f = *state;
	uint64_t base = f->driver.base;

	/* Registers answer to aligned 32 bits only. */
	assert_int_equal(fake_machine_mmio_read(f->fm, base, 1), 0);
	assert_int_equal(fake_machine_mmio_read(f->fm, base, 2), 0);
	assert_int_equal(fake_machine_mmio_read(f->fm, base, 8), 0);
	assert_int_equal(fake_machine_mmio_read(f->fm, base + 2, 4), 0);
	fake_machine_mmio_write(f->fm, base + VIRTIO_MMIO_STATUS, 1, ACK);
	fake_machine_mmio_write(f->fm, base + VIRTIO_MMIO_STATUS, 8, ACK);
	fake_machine_mmio_write(f->fm, base + VIRTIO_MMIO_STATUS + 1, 4, ACK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(errors(f), 7);
}

static void test_unknown_registers(void **state)
{
	struct fixture *f = *state;
	static const unsigned read_as_zero[] = {0x018, 0x028, 0x03c, 0x040, 0x0c0, 0x0f8};
	static const unsigned read_only[] = {0x000, 0x004, 0x008, 0x010, 0x034, 0x060, 0x0fc};

	for (size_t i = 0; i < ARRAY_SIZE(read_as_zero); i++)
		assert_int_equal(get(f, read_as_zero[i]), 0);
	assert_int_equal(errors(f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
		put(f, read_only[i], UINT32_MAX);
	assert_int_equal(errors(f), ARRAY_SIZE(read_only));
}

static void test_no_shared_memory(void **state)
{
	struct fixture *f = *state;

	put(f, VIRTIO_MMIO_SHM_SEL, 1);
	assert_int_equal(get(f, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(get(f, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	assert_int_equal(get(f, VIRTIO_MMIO_SHM_BASE_LOW), UINT32_MAX);
	assert_int_equal(get(f, VIRTIO_MMIO_SHM_BASE_HIGH), UINT32_MAX);
	assert_int_equal(errors(f), 0);
}

static void test_every_register_in_every_width(void **state)
{
	struct fixture *f = *state;

	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned offset = 0; offset < 0x200; offset++) {
			fake_machine_mmio_read(f->fm, f->driver.base + offset, size);
			fake_machine_mmio_write(f->fm, f->driver.base + offset, size, UINT64_MAX);
		}
	fake_machine_run_loop(f->fm);
	assert_int_equal(get(f, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
}

/* ---- Configuration space ---- */

static void test_config_bounds(void **state)
{
	struct fixture *f = *state;
	uint64_t config = f->driver.base + VIRTIO_MMIO_CONFIG;

	assert_int_equal(fake_machine_mmio_read(f->fm, config, 1), 0x10);
	assert_int_equal(fake_machine_mmio_read(f->fm, config + 1, 2), 0x1211);
	assert_int_equal(
		fake_machine_mmio_read(f->fm, config + 3, 8), UINT64_C(0x1a19181716151413));
	/* Over the end, and behind it. */
	assert_int_equal(fake_machine_mmio_read(f->fm, config + 10, 4), 0x1b1a);
	assert_int_equal(fake_machine_mmio_read(f->fm, config + 12, 4), 0);
	assert_int_equal(fake_machine_mmio_read(f->fm, config + 0xff, 1), 0);
	fake_machine_mmio_write(f->fm, config + 4, 4, 0x01020304);
	assert_int_equal(fake_machine_mmio_read(f->fm, config + 4, 4), 0x01020304);
	assert_int_equal(errors(f), 0);
	fake_machine_mmio_write(f->fm, config + 10, 4, 0);
	fake_machine_mmio_write(f->fm, config + 0xfc, 4, 0);
	assert_int_equal(errors(f), 2);
	assert_int_equal(f->toy->config[11], 0x1b);
}

static void test_config_changes_count_up(void **state)
{
	struct fixture *f = *state;
	uint32_t before = get(f, VIRTIO_MMIO_CONFIG_GENERATION);

	fake_machine_mmio_write(f->fm, f->driver.base + VIRTIO_MMIO_CONFIG, 1, 1);
	assert_int_not_equal(get(f, VIRTIO_MMIO_CONFIG_GENERATION), before);
	/* Nobody is there yet to be told. */
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 0);
	bring_up(f, ALL_FEATURES);
	fake_machine_mmio_write(f->fm, f->driver.base + VIRTIO_MMIO_CONFIG, 1, 1);
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 1);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(get(f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

/* ---- Status and features ---- */

static void test_status_order(void **state)
{
	struct fixture *f = *state;

	/* Not without what comes before. */
	put(f, VIRTIO_MMIO_STATUS, FEATURES_OK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), 0);
	put(f, VIRTIO_MMIO_STATUS, DRIVER_OK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), 0);
	put(f, VIRTIO_MMIO_STATUS, ACK | DRIVER | DRIVER_OK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	assert_int_equal(errors(f), 3);
	/* Bits are only added. */
	put(f, VIRTIO_MMIO_STATUS, ACK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	assert_int_equal(errors(f), 4);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	put(f, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES_OK);
	put(f, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(f->toy->activations, 1);
	/* The same again starts nothing twice; unknown bits and NEEDS_RESET are not the driver's. */
	put(f, VIRTIO_MMIO_STATUS, 0xff & ~VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(f->toy->activations, 1);
	put(f, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), 0);
}

static void test_features_refused(void **state)
{
	struct fixture *f = *state;

	/* Without VERSION_1: this is no legacy device. */
	assert_false(fake_driver_negotiate(&f->driver, BIT(TOY_FEATURE)));
	assert_int_equal(errors(f), 1);
	/* With one that was not offered. */
	put(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 1U << 7);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	put(f, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES_OK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	/* The driver may think again. */
	put(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 1U << TOY_FEATURE);
	put(f, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES_OK);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES_OK);
	assert_true(virtio_has_feature(&f->toy->vdev, TOY_FEATURE));
	assert_false(virtio_has_feature(&f->toy->vdev, VIRTIO_RING_F_EVENT_IDX));
	/* But not any more. */
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_true(virtio_has_feature(&f->toy->vdev, TOY_FEATURE));
}

static void test_features_of_words_that_do_not_exist(void **state)
{
	struct fixture *f = *state;

	put(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_int_equal(errors(f), 0);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, UINT32_MAX);
	put(f, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	assert_int_equal(errors(f), 2);
	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
}

static void test_failed_is_noted(void **state)
{
	struct fixture *f = *state;

	put(f, VIRTIO_MMIO_STATUS, ACK | VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), ACK | VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(errors(f), 1);
}

/* ---- Queues ---- */

static void test_queue_selector(void **state)
{
	static const uint32_t bad[] = {QUEUES, QUEUES + 1, 0xffff, 0x80000000, UINT32_MAX};
	struct fixture *f = *state;

	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t before = errors(f);

		put(f, VIRTIO_MMIO_QUEUE_SEL, bad[i]);
		assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
		put(f, VIRTIO_MMIO_QUEUE_NUM, 8);
		put(f, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
		put(f, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
		put(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2000);
		put(f, VIRTIO_MMIO_QUEUE_USED_HIGH, 0x3000);
		put(f, VIRTIO_MMIO_QUEUE_READY, 1);
		put(f, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
		assert_int_equal(errors(f) - before, 7);
	}
}

static void test_queue_sizes(void **state)
{
	static const uint32_t bad[] = {
		0, 3, QUEUE_SIZE + 1, QUEUE_SIZE * 2, 0x80000000, UINT32_MAX};
	struct fixture *f = *state;

	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		put(f, VIRTIO_MMIO_QUEUE_NUM, bad[i]);
	assert_int_equal(errors(f), ARRAY_SIZE(bad));
	fake_driver_setup_queue(&f->driver, 0, 1);
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 1);
}

static void test_bad_ring_addresses(void **state)
{
	static const gpa_t bad[] = {
		1, RAM_BYTES, RAM_BYTES - 16, UINT64_MAX - 15, UINT64_C(1) << 40};
	struct fixture *f = *state;

	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	fake_vq_create(&f->driver, 0, QUEUE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		gpa_t good = f->driver.queues[0].desc_gpa;

		f->driver.queues[0].desc_gpa = bad[i];
		fake_driver_place_queue(&f->driver, 0);
		assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
		f->driver.queues[0].desc_gpa = good;
	}
	assert_int_equal(errors(f), ARRAY_SIZE(bad));
	fake_driver_place_queue(&f->driver, 0);
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 1);
}

static void test_queue_before_features(void **state)
{
	struct fixture *f = *state;

	fake_driver_setup_queue(&f->driver, 0, QUEUE_SIZE);
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(errors(f), 1);
}

static void test_set_up_when_live(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	fake_driver_setup_queue(&f->driver, 0, QUEUE_SIZE);
	fake_driver_start(&f->driver);
	/* Neither the queue in use nor the other one. */
	put(f, VIRTIO_MMIO_QUEUE_SEL, 0);
	put(f, VIRTIO_MMIO_QUEUE_NUM, 8);
	put(f, VIRTIO_MMIO_QUEUE_USED_LOW, 0);
	assert_int_equal(errors(f), 2);
	fake_driver_setup_queue(&f->driver, 1, QUEUE_SIZE);
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
	add(f, 0);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 0), 1);
}

/* ---- Work ---- */

static void test_echo(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	bring_up(f, ALL_FEATURES);
	before = errors(f);
	memcpy(fake_driver_host(&f->driver, f->in, 5), "hello", 5);
	add(f, 1);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 1), 1);
	assert_memory_equal(fake_driver_host(&f->driver, f->out, 5), "hello", 5);
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 1);
	assert_int_equal(get(f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	/* Acknowledging another bit changes nothing. */
	put(f, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(get(f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(errors(f), before);
}

static void test_doorbells_follow_the_driver(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	fake_driver_setup_queue(&f->driver, 1, QUEUE_SIZE);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 0);
	fake_driver_start(&f->driver);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 1);
	put(f, VIRTIO_MMIO_QUEUE_SEL, 1);
	put(f, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 0);
	bring_up(f, ALL_FEATURES);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 2);
	put(f, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 0);
}

static void test_kick_before_driver_ok(void **state)
{
	struct fixture *f = *state;

	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	fake_driver_setup_queue(&f->driver, 0, QUEUE_SIZE);
	add(f, 0);
	for (unsigned i = 0; i < 1000; i++)
		fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 0), 0);
	/* A kick of a queue that is not set up. */
	fake_driver_kick(&f->driver, 1);
	assert_int_equal(errors(f), 1);
	/* What came too early is looked at now, without another kick. */
	fake_driver_start(&f->driver);
	fake_driver_kick(&f->driver, 1);
	assert_int_equal(errors(f), 2);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 0), 1);
}

static void test_kick_outlives_its_driver(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	add(f, 0);
	fake_driver_kick(&f->driver, 0);
	put(f, VIRTIO_MMIO_STATUS, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(f->toy->handled, 0);
	assert_int_equal(take_all(f, 0), 0);
}

static void test_reset_forgets_everything(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	f->toy->holds = true;
	add(f, 0);
	add(f, 1);
	fake_driver_kick(&f->driver, 0);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(f->toy->held_count, 2);
	virtio_config_changed(&f->toy->vdev);
	put(f, VIRTIO_MMIO_QUEUE_SEL, 1);
	put(f, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(f->toy->held_count, 0);
	assert_int_equal(get(f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(f->toy->vdev.accepted, 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		put(f, VIRTIO_MMIO_QUEUE_SEL, i);
		assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(take_all(f, i), 0);
	}
	f->toy->holds = false;
	bring_up(f, ALL_FEATURES);
	add(f, 0);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 0), 1);
}

static void test_stopping_a_queue_finishes_its_requests(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	f->toy->holds = true;
	add(f, 0);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	put(f, VIRTIO_MMIO_QUEUE_SEL, 0);
	put(f, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(take_all(f, 0), 1);
	/* The other one goes on. */
	f->toy->holds = false;
	add(f, 1);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 1), 1);
}

static void add_another(void *opaque)
{
	struct fixture *f = opaque;

	take_all(f, 0);
	add(f, 0);
}

static void test_restless_driver_leaves_the_loop_its_turns(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	f->toy->on_request = add_another;
	f->toy->opaque = f;
	add(f, 0);
	fake_driver_kick(&f->driver, 0);
	loop_run_once(f->fm->loop, 0);
	assert_int_equal(f->toy->handled, QUEUE_SIZE);
	/* It is not forgotten: the device has kicked itself. */
	loop_run_once(f->fm->loop, 0);
	assert_int_equal(f->toy->handled, 2 * QUEUE_SIZE);
	f->toy->on_request = NULL;
	fake_machine_run_loop(f->fm);
	assert_int_equal(f->toy->handled, 2 * QUEUE_SIZE + 1);
}

static void test_needs_reset_is_told_once(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	bring_up(f, ALL_FEATURES);
	before = errors(f);
	fake_vq_publish(&f->driver.queues[0], QUEUE_SIZE);
	for (unsigned i = 0; i < 3; i++) {
		virtio_break(&f->toy->vdev, "test");
		fake_machine_run_loop(f->fm);
	}
	assert_int_equal(errors(f) - before, 1);
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 1);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS),
		ACK | DRIVER | FEATURES_OK | DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
	/* A driver that adds to what it reads does not clear it. */
	put(f, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(get(f, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	put(f, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(f, VIRTIO_MMIO_STATUS), 0);
}

static void test_no_room_for_registers(void **state)
{
	const struct device_args args = {.name = "toy1"};
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct device *device;

	f->fm->platform.mmio_end = f->fm->platform.mmio_next;
	assert_int_equal(device_create(&device, &toy_class, &args, &err), 0);
	assert_true(device_realize(device, &f->fm->platform, &err) < 0);
	assert_true(err_is_set(&err));
	device_destroy(device);
}

static void test_destroy_without_realize(void **state)
{
	const struct device_args args = {.name = "toy1"};
	struct device *device;

	(void)state;
	assert_int_equal(device_create(&device, &toy_class, &args, NULL), 0);
	device_destroy(device);
}

/* ---- Queues that others work on ---- */

/* As the kernel does it: with a ring of its own at the same place. Returns where it ended. */
static uint16_t work_elsewhere(struct fixture *f, unsigned index, unsigned count)
{
	const struct virtio_queue *queue = &f->toy->vdev.queues[index];
	struct virtq other;
	struct virtq_req *req;
	uint16_t next;

	virtq_init(&other, &f->fm->mem, QUEUE_SIZE, sizeof(*req));
	assert_null(virtq_enable(&other, &queue->config, f->driver.features));
	virtq_resume(&other, queue->ring.last_avail);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(virtq_pop(&other, &req), 1);
		virtq_push(&other, req, 0);
	}
	next = other.last_avail;
	virtq_finish(&other);
	return next;
}

static void test_handed_over_queue_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *vdev = &f->toy->vdev;
	uint16_t next;

	bring_up(f, ALL_FEATURES);
	for (unsigned i = 0; i < 3; i++)
		add(f, 0);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 0), 3);
	fake_driver_ack(&f->driver);
	assert_true(virtio_interrupt_fd(vdev, 0) >= 0);
	virtio_hand_over(vdev, 0);
	assert_false(virtio_can_work(vdev, 0));
	/* Its kicks are not ours, and its interrupts always have a reason. */
	for (unsigned i = 0; i < 5; i++)
		add(f, 0);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(f->toy->handled, 3);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_VRING);
	/* The other queue works as ever. */
	add(f, 1);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(take_all(f, 1), 1);
	/* Back again: we go on where they ended, without another kick. */
	next = work_elsewhere(f, 0, 4);
	virtio_take_back(vdev, 0, next);
	fake_machine_run_loop(f->fm);
	assert_int_equal(f->toy->handled, 5);
	assert_int_equal(take_all(f, 0), 5);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(fake_driver_ack(&f->driver), 0);
	assert_int_equal(errors(f), 0);
}

static void test_handed_over_queue_ends_with_its_driver(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *vdev = &f->toy->vdev;

	bring_up(f, ALL_FEATURES);
	virtio_hand_over(vdev, 0);
	virtio_hand_over(vdev, 1);
	put(f, VIRTIO_MMIO_STATUS, 0);
	assert_false(vdev->queues[0].is_handed_over);
	assert_int_equal(fake_driver_ack(&f->driver), 0);
	/* A queue that is stopped is taken back as well. */
	bring_up(f, ALL_FEATURES);
	add(f, 0);
	virtio_hand_over(vdev, 0);
	f->toy->next = work_elsewhere(f, 0, 1);
	put(f, VIRTIO_MMIO_QUEUE_SEL, 0);
	put(f, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(get(f, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_false(vdev->queues[0].is_handed_over);
	virtio_hand_over(vdev, 1);
	/* teardown() destroys it so */
}

#define TEST(name)	 cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
#define TEST_BELLS(name) cmocka_unit_test_setup_teardown(test_##name, setup_doorbells, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(identity),
		TEST(resources),
		TEST(widths),
		TEST(unknown_registers),
		TEST(no_shared_memory),
		TEST(every_register_in_every_width),
		TEST(config_bounds),
		TEST(config_changes_count_up),
		TEST(status_order),
		TEST(features_refused),
		TEST(features_of_words_that_do_not_exist),
		TEST(failed_is_noted),
		TEST(queue_selector),
		TEST(queue_sizes),
		TEST(bad_ring_addresses),
		TEST(queue_before_features),
		TEST(set_up_when_live),
		TEST(echo),
		TEST_BELLS(echo),
		TEST_BELLS(doorbells_follow_the_driver),
		TEST(kick_before_driver_ok),
		TEST(kick_outlives_its_driver),
		TEST_BELLS(kick_outlives_its_driver),
		TEST(reset_forgets_everything),
		TEST(stopping_a_queue_finishes_its_requests),
		TEST(restless_driver_leaves_the_loop_its_turns),
		TEST(handed_over_queue_is_left_alone),
		TEST(handed_over_queue_ends_with_its_driver),
		TEST(needs_reset_is_told_once),
		TEST(no_room_for_registers),
		TEST(destroy_without_realize),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
