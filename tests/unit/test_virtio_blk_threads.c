/*
 * virtio-blk over a real file with everything at once: a thread for each queue that plays a
 * driver, one that looks at registers and resets, the loop, and the backend's workers. What it
 * is for is the thread sanitizer; without it, it checks the data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/backend/blk.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_blk_class;

#define RAM_BYTES   (16 * MIB)
#define QUEUE_BYTES (1 * MIB) /* of the disk, for each queue */

enum {
	QUEUES = 3,
	SIZE = 64,
	IN_FLIGHT = 8,
	BLOCK_BYTES = 8192,
	ROUNDS = 60,
	SLOT_BYTES = BLOCK_BYTES + 512,
	STATUS_OFFSET = 16,
	DATA_OFFSET = 512,
	NO_ANSWER = 0xee,
};

struct player {
	struct fixture *f;
	unsigned queue;
	gpa_t slots; /* IN_FLIGHT of header, status, data */
	_Atomic bool done;
	unsigned answers;
	uint32_t seed;
};

struct fixture {
	char path[64];
	bool ephemeral;
	struct fake_machine *fm;
	struct blk *disk;
	struct device *device;
	struct fake_driver driver;
	struct player players[QUEUES];
	_Atomic bool stopping; /* answers may stay out from now on */
};

static void make_disk(struct fixture *f)
{
	int fd = mkstemp(f->path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, QUEUES * QUEUE_BYTES), 0);
	close(fd);
}

static int make(void **state, bool doorbells, bool ephemeral)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct blk_config config = {.path = f->path, .ephemeral = ephemeral};
	struct device_args args = {.name = "virtio-blk0", .queues = QUEUES};

	assert_non_null(f);
	snprintf(f->path, sizeof(f->path), "/tmp/test-virtio-blk-XXXXXX");
	make_disk(f);
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = doorbells;
	assert_int_equal(blk_open(&f->disk, &config, f->fm->loop, NULL), 0);
	args.blk = f->disk;
	assert_int_equal(device_create(&f->device, &virtio_blk_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, NULL), 0);
	fake_driver_init(&f->driver, f->fm, f->device, 4096, RAM_BYTES - 4096);
	for (unsigned i = 0; i < QUEUES; i++)
		f->players[i] = (struct player){.f = f,
			.queue = i,
			.slots = fake_driver_alloc(&f->driver, IN_FLIGHT * SLOT_BYTES, 512)};
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return make(state, true, false);
}

static int setup_bus(void **state)
{
	return make(state, false, false);
}

static int setup_ephemeral(void **state)
{
	return make(state, true, true);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	blk_close(f->disk);
	fake_machine_destroy(f->fm);
	unlink(f->path);
	free(f);
	return 0;
}

/* ---- A driver thread. No assertions of cmocka in here: they belong to the main thread. ---- */

static uint8_t *slot(struct player *player, unsigned n)
{
	return fake_driver_host(
		&player->f->driver, player->slots + (uint64_t)n * SLOT_BYTES, SLOT_BYTES);
}

/* Each slot works on a block of its own, which it writes and reads in turn. */
static void add(struct player *player, unsigned n, bool write, unsigned round)
{
	gpa_t gpa = player->slots + (uint64_t)n * SLOT_BYTES;
	uint64_t offset = player->queue * QUEUE_BYTES + (uint64_t)n * BLOCK_BYTES;
	struct virtio_blk_outhdr header = {
		.type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, .sector = offset / 512};
	const struct fake_buffer buffers[] = {{gpa, sizeof(header), false},
		{gpa + DATA_OFFSET, BLOCK_BYTES, !write}, {gpa + STATUS_OFFSET, 1, true}};

	memcpy(slot(player, n), &header, sizeof(header));
	slot(player, n)[STATUS_OFFSET] = NO_ANSWER;
	memset(slot(player, n) + DATA_OFFSET, write ? (int)(round + n) : 0, BLOCK_BYTES);
	fake_vq_add(&player->f->driver, player->queue, buffers, 3, 0);
}

/* False when the device was reset under the driver. */
static bool wait_for_all(struct player *player)
{
	unsigned head, got = 0;
	uint32_t len;

	while (got < IN_FLIGHT) {
		if (fake_vq_take(&player->f->driver, player->queue, &head, &len)) {
			got++;
			continue;
		}
		if (player->f->stopping)
			return false;
		usleep(50);
	}
	player->answers += got;
	return true;
}

static bool play_round(struct player *player, unsigned round, bool write)
{
	for (unsigned n = 0; n < IN_FLIGHT; n++) {
		add(player, n, write, round);
		if (fake_vq_needs_kick(&player->f->driver, player->queue))
			fake_driver_kick(&player->f->driver, player->queue);
	}
	if (!wait_for_all(player))
		return false;
	for (unsigned n = 0; n < IN_FLIGHT; n++) {
		const uint8_t *bytes = slot(player, n);

		ASSERT(bytes[STATUS_OFFSET] == VIRTIO_BLK_S_OK);
		for (unsigned i = 0; i < BLOCK_BYTES; i += 511)
			ASSERT(bytes[DATA_OFFSET + i] == (uint8_t)(round + n));
	}
	return true;
}

static void *play(void *opaque)
{
	struct player *player = opaque;

	for (unsigned round = 0; round < ROUNDS; round++)
		if (!play_round(player, round, true) || !play_round(player, round, false))
			break;
	player->done = true;
	return NULL;
}

/* A processor that looks at registers all the time. */
static void *look(void *opaque)
{
	struct fixture *f = opaque;
	bool done = false;

	while (!done) {
		fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG_GENERATION);
		fake_driver_ack(&f->driver);
		usleep(20);
		done = true;
		for (unsigned i = 0; i < QUEUES; i++)
			done &= f->players[i].done;
	}
	return NULL;
}

static bool all_done(void *opaque)
{
	struct fixture *f = opaque;

	for (unsigned i = 0; i < QUEUES; i++)
		if (!f->players[i].done)
			return false;
	return true;
}

static void run_all(struct fixture *f, void *(*other)(void *), bool whole)
{
	pthread_t threads[QUEUES + 1];

	fake_driver_bring_up(&f->driver, ~UINT64_C(0), QUEUES, SIZE);
	f->stopping = false;
	for (unsigned i = 0; i < QUEUES; i++) {
		f->players[i].done = false;
		f->players[i].answers = 0;
		assert_int_equal(pthread_create(&threads[i], NULL, play, &f->players[i]), 0);
	}
	assert_int_equal(pthread_create(&threads[QUEUES], NULL, other, f), 0);
	assert_true(fake_machine_run_until(f->fm, all_done, f));
	for (unsigned i = 0; i <= QUEUES; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; whole && i < QUEUES; i++)
		assert_int_equal(f->players[i].answers, 2 * ROUNDS * IN_FLIGHT);
}

static void test_all_queues_at_once(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[BLOCK_BYTES];

	run_all(f, look, true);
	assert_int_equal(f->device->guest_errors.total, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		for (unsigned n = 0; n < IN_FLIGHT; n++) {
			uint64_t offset = i * QUEUE_BYTES + (uint64_t)n * BLOCK_BYTES;

			assert_int_equal(
				blk_read_sync(f->disk, offset, bytes, BLOCK_BYTES), BLOCK_BYTES);
			assert_int_equal(bytes[0], (uint8_t)(ROUNDS - 1 + n));
			assert_int_equal(bytes[BLOCK_BYTES - 1], (uint8_t)(ROUNDS - 1 + n));
		}
}

/* A reset by one processor while the others are at work. */
static void *reset_soon(void *opaque)
{
	struct fixture *f = opaque;

	usleep(10000);
	fake_driver_write(&f->driver, VIRTIO_MMIO_STATUS, 0);
	f->stopping = true;
	return NULL;
}

static void test_reset_under_load(void **state)
{
	struct fixture *f = *state;
	gpa_t heap = f->driver.heap;

	for (unsigned i = 0; i < 5; i++) {
		f->driver.heap = heap;
		run_all(f, reset_soon, false);
		assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_STATUS), 0);
	}
	f->driver.heap = heap;
	run_all(f, look, true);
}

#define TEST(name, how) cmocka_unit_test_setup_teardown(test_##name, how, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_queues_at_once, setup),
		TEST(all_queues_at_once, setup_bus),
		TEST(all_queues_at_once, setup_ephemeral),
		TEST(reset_under_load, setup),
		TEST(reset_under_load, setup_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
