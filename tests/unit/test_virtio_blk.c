/*
 * virtio-blk, through its registers and rings, over a disk in memory; at the end with
 * several driver threads over a real file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/backend/blk_memory.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_blk_class;

#define ALL_FEATURES (~UINT64_C(0))
#define BIT(n)	     (UINT64_C(1) << (n))
#define DISK_BYTES   (1 * MIB)
#define RAM_BYTES    (16 * MIB)

enum {
	SECTORS = DISK_BYTES / 512,
	QUEUE_SIZE = 64,
	NOT_WRITTEN = 0xee,
	STATUS_OFFSET = 32,
};

struct fixture {
	struct fake_machine *fm;
	struct blk *disk;
	struct device *device;
	struct fake_driver driver;
	gpa_t header;	  /* struct virtio_blk_outhdr, then the status byte */
	gpa_t data;	  /* DISK_BYTES */
	uint32_t written; /* of the last answer */
};

static struct device *make_device(
	struct fixture *f, struct blk *disk, unsigned queues, const char *serial)
{
	const struct device_args args = {
		.name = "virtio-blk0", .blk = disk, .queues = queues, .serial = serial};
	struct device *device;

	assert_int_equal(device_create(&device, &virtio_blk_class, &args, NULL), 0);
	assert_int_equal(device_realize(device, &f->fm->platform, NULL), 0);
	return device;
}

static struct fixture *make_machine(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = true;
	return f;
}

static void find_device(struct fixture *f)
{
	fake_driver_init(&f->driver, f->fm, f->device, 4096, RAM_BYTES - 4096);
	f->header = fake_driver_alloc(&f->driver, 64, 16);
	f->data = fake_driver_alloc(&f->driver, DISK_BYTES + 4096, 4096);
}

static int setup(void **state)
{
	struct fixture *f = make_machine();

	f->disk = blk_memory_create(DISK_BYTES, f->fm->loop);
	assert_non_null(f->disk);
	for (unsigned i = 0; i < DISK_BYTES; i++)
		blk_memory_bytes(f->disk)[i] = (uint8_t)(i / 512 + i);
	f->device = make_device(f, f->disk, 2, "serial-number");
	find_device(f);
	*state = f;
	return 0;
}

/* A disk that can't be written, and no doorbells: kicks come over the bus. */
static int setup_read_only(void **state)
{
	struct fixture *f = make_machine();

	f->fm->plays_doorbells = false;
	f->disk = blk_memory_create(DISK_BYTES, f->fm->loop);
	assert_non_null(f->disk);
	blk_memory_info(f->disk)->read_only = true;
	f->device = make_device(f, f->disk, 0, NULL);
	find_device(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	blk_close(f->disk);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static struct virtio_dev *vdev_of(struct fixture *f)
{
	return virtio_of(f->device);
}

static uint64_t guest_errors(struct fixture *f)
{
	return f->device->guest_errors.total;
}

static uint8_t *host(struct fixture *f, gpa_t gpa, uint64_t len)
{
	return fake_driver_host(&f->driver, gpa, len);
}

static uint8_t *status_of(struct fixture *f)
{
	return host(f, f->header + STATUS_OFFSET, 1);
}

static void bring_up(struct fixture *f, uint64_t features)
{
	fake_driver_bring_up(&f->driver, features, vdev_of(f)->queue_count, QUEUE_SIZE);
}

static void put_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(host(f, f->header, sizeof(header)), &header, sizeof(header));
	*status_of(f) = NOT_WRITTEN;
}

/* Adds header, data in pieces of `piece` bytes, status; does not kick. */
static unsigned add_request(struct fixture *f, unsigned queue, uint32_t type, uint64_t sector,
	uint32_t bytes, uint32_t piece, bool data_writable)
{
	struct fake_buffer buffers[QUEUE_SIZE];
	unsigned count = 0;

	put_header(f, type, sector);
	buffers[count++] = (struct fake_buffer){f->header, sizeof(struct virtio_blk_outhdr), false};
	for (uint32_t done = 0; done < bytes; done += piece)
		buffers[count++] = (struct fake_buffer){
			f->data + done, MIN(piece, bytes - done), data_writable};
	buffers[count++] = (struct fake_buffer){f->header + STATUS_OFFSET, 1, true};
	return fake_vq_add(&f->driver, queue, buffers, count, 0);
}

static uint8_t finish(struct fixture *f, unsigned queue)
{
	unsigned head;

	fake_driver_kick(&f->driver, queue);
	fake_machine_run_loop(f->fm);
	assert_true(fake_vq_take(&f->driver, queue, &head, &f->written));
	return *status_of(f);
}

static uint8_t do_read(struct fixture *f, uint64_t sector, uint32_t bytes)
{
	add_request(f, 0, VIRTIO_BLK_T_IN, sector, bytes, 4096, true);
	return finish(f, 0);
}

static uint8_t do_write(struct fixture *f, uint64_t sector, uint32_t bytes)
{
	add_request(f, 0, VIRTIO_BLK_T_OUT, sector, bytes, 4096, false);
	return finish(f, 0);
}

static uint8_t do_range(
	struct fixture *f, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = {
		.sector = sector, .num_sectors = sectors, .flags = flags};

	memcpy(host(f, f->data, sizeof(range)), &range, sizeof(range));
	add_request(f, 0, type, 0, sizeof(range), sizeof(range), false);
	return finish(f, 0);
}

/* ---- What the driver finds ---- */

static void test_device_describes_itself(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_config config;
	uint64_t offered = fake_driver_offered(&f->driver);

	for (unsigned i = 0; i < sizeof(config); i++)
		((uint8_t *)&config)[i] = (uint8_t)fake_machine_mmio_read(
			f->fm, f->driver.base + VIRTIO_MMIO_CONFIG + i, 1);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(config.capacity, SECTORS);
	assert_int_equal(config.blk_size, 512);
	assert_int_equal(config.physical_block_exp, 3);
	assert_int_equal(config.seg_max, 254);
	assert_int_equal(config.num_queues, 2);
	assert_int_equal(config.max_discard_seg, 1);
	assert_int_equal(config.discard_sector_alignment, 8);
	assert_true(offered & BIT(VIRTIO_BLK_F_FLUSH));
	assert_true(offered & BIT(VIRTIO_BLK_F_MQ));
	assert_true(offered & BIT(VIRTIO_BLK_F_DISCARD));
	assert_true(offered & BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	assert_false(offered & BIT(VIRTIO_BLK_F_RO));
	assert_false(offered & BIT(VIRTIO_BLK_F_SECURE_ERASE));
}

static void test_read_only_disk_describes_itself(void **state)
{
	struct fixture *f = *state;
	uint64_t offered = fake_driver_offered(&f->driver);

	assert_true(offered & BIT(VIRTIO_BLK_F_RO));
	assert_false(offered & BIT(VIRTIO_BLK_F_MQ));
	assert_false(offered & (BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES)));
}

/* ---- Good requests ---- */

static void test_read(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_read(f, 3, 10000 / 512 * 512), VIRTIO_BLK_S_OK);
	assert_int_equal(f->written, 10000 / 512 * 512 + 1);
	assert_memory_equal(
		host(f, f->data, 9728), blk_memory_bytes(f->disk) + (size_t)3 * 512, 9728);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(guest_errors(f), 0);
}

static void test_write(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	memset(host(f, f->data, 8192), 0x5a, 8192);
	assert_int_equal(do_write(f, SECTORS - 16, 8192), VIRTIO_BLK_S_OK);
	assert_int_equal(f->written, 1);
	assert_memory_equal(host(f, f->data, 8192),
		blk_memory_bytes(f->disk) + (size_t)(SECTORS - 16) * 512, 8192);
	assert_false(blk_memory_was_durable(f->disk));
}

static void test_flush(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	add_request(f, 0, VIRTIO_BLK_T_FLUSH, 0, 0, 1, false);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_memory_executed(f->disk, BLK_FLUSH), 1);
}

static void test_requests_are_counted(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_stats stats;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_read(f, 3, 9728), VIRTIO_BLK_S_OK);
	assert_int_equal(do_write(f, 0, 8192), VIRTIO_BLK_S_OK);
	assert_int_equal(do_write(f, 0, 512), VIRTIO_BLK_S_OK);
	add_request(f, 0, VIRTIO_BLK_T_FLUSH, 0, 0, 1, false);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
	/* One that is refused reaches no disk; one that fails there is an error. */
	assert_int_equal(do_read(f, SECTORS, 512), VIRTIO_BLK_S_IOERR);
	blk_memory_set_error(f->disk, BLK_READ, EIO);
	assert_int_equal(do_read(f, 0, 512), VIRTIO_BLK_S_IOERR);
	virtio_blk_get_stats(f->device, &stats);
	assert_int_equal(stats.reads, 1);
	assert_int_equal(stats.read_bytes, 9728);
	assert_int_equal(stats.writes, 2);
	assert_int_equal(stats.written_bytes, 8704);
	assert_int_equal(stats.flushes, 1);
	assert_int_equal(stats.errors, 1);
	assert_int_equal(stats.kicks, 6);
	assert_true(stats.interrupts >= 1);
}

static void test_without_flush_writes_are_durable(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ~BIT(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(do_write(f, 0, 512), VIRTIO_BLK_S_OK);
	assert_true(blk_memory_was_durable(f->disk));
}

static void test_cache_mode_can_be_changed(void **state)
{
	struct fixture *f = *state;
	uint64_t wce =
		f->driver.base + VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce);

	bring_up(f, ALL_FEATURES);
	assert_int_equal(fake_machine_mmio_read(f->fm, wce, 1), 1);
	fake_machine_mmio_write(f->fm, wce, 1, 0);
	assert_int_equal(fake_machine_mmio_read(f->fm, wce, 1), 0);
	assert_int_equal(do_write(f, 0, 512), VIRTIO_BLK_S_OK);
	assert_true(blk_memory_was_durable(f->disk));
	/* No other value, width or place. */
	fake_machine_mmio_write(f->fm, wce, 1, 2);
	fake_machine_mmio_write(f->fm, wce, 2, 1);
	fake_machine_mmio_write(f->fm, wce - 1, 1, 1);
	assert_int_equal(fake_machine_mmio_read(f->fm, wce, 1), 0);
	assert_int_equal(guest_errors(f), 3);
}

/* What the mode is has to be right when a driver looks, which it does before DRIVER_OK. */
static void test_cache_mode_starts_anew(void **state)
{
	struct fixture *f = *state;
	uint64_t wce =
		f->driver.base + VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce);

	bring_up(f, ALL_FEATURES);
	fake_machine_mmio_write(f->fm, wce, 1, 0);
	/* The next driver does not inherit it. */
	assert_true(fake_driver_negotiate(&f->driver, ALL_FEATURES));
	assert_int_equal(fake_machine_mmio_read(f->fm, wce, 1), 1);
	/* It may choose for itself, and that stays. */
	fake_machine_mmio_write(f->fm, wce, 1, 0);
	fake_driver_setup_queue(&f->driver, 0, QUEUE_SIZE);
	fake_driver_start(&f->driver);
	assert_int_equal(fake_machine_mmio_read(f->fm, wce, 1), 0);
	assert_int_equal(do_write(f, 0, 512), VIRTIO_BLK_S_OK);
	assert_true(blk_memory_was_durable(f->disk));
	/* Without flushes there is no other mode. */
	assert_true(fake_driver_negotiate(&f->driver, ~BIT(VIRTIO_BLK_F_FLUSH)));
	assert_int_equal(fake_machine_mmio_read(f->fm, wce, 1), 0);
	assert_int_equal(guest_errors(f), 0);
}

static void test_get_id(void **state)
{
	static const char padded[VIRTIO_BLK_ID_BYTES] = "serial-number";
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	memset(host(f, f->data, 32), NOT_WRITTEN, 32);
	add_request(f, 0, VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, 7, true);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(f->written, VIRTIO_BLK_ID_BYTES + 1);
	assert_memory_equal(host(f, f->data, 20), padded, 20);
	assert_int_equal(*host(f, f->data + 20, 1), NOT_WRITTEN);
}

static void test_id_without_serial_is_the_backends(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	add_request(f, 0, VIRTIO_BLK_T_GET_ID, 0, 4, 4, true);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
	assert_memory_equal(host(f, f->data, 4), "memo", 4);
}

static void test_discard(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 8, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_memory_executed(f->disk, BLK_DISCARD), 1);
}

static void test_write_zeroes(void **state)
{
	static const uint8_t zeroes[1024];
	struct fixture *f = *state;
	const uint8_t *disk = blk_memory_bytes(f->disk);
	uint8_t before = disk[7 * 512 + 511], after = disk[10 * 512];

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 8, 1, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(
		do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 9, 1, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
		VIRTIO_BLK_S_OK);
	assert_memory_equal(disk + (size_t)8 * 512, zeroes, 1024);
	assert_int_equal(disk[7 * 512 + 511], before);
	assert_int_equal(disk[10 * 512], after);
}

static void test_odd_layouts(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffers[32];
	unsigned count = 0;

	bring_up(f, ALL_FEATURES);
	/* The header byte by byte, the data in odd pieces, the status behind data in one buffer. */
	put_header(f, VIRTIO_BLK_T_IN, 5);
	for (unsigned i = 0; i < sizeof(struct virtio_blk_outhdr); i++)
		buffers[count++] = (struct fake_buffer){f->header + i, 1, false};
	buffers[count++] = (struct fake_buffer){f->data, 511, true};
	buffers[count++] = (struct fake_buffer){f->data + 511, 514, true};
	fake_vq_add(&f->driver, 0, buffers, count, 0);
	finish(f, 0);
	assert_int_equal(*host(f, f->data + 1024, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(f->written, 1025);
	assert_memory_equal(
		host(f, f->data, 1024), blk_memory_bytes(f->disk) + (size_t)5 * 512, 1024);
	/* Header and data to write in one buffer. */
	put_header(f, VIRTIO_BLK_T_OUT, 6);
	memset(host(f, f->header + 512, 16), 0, 16);
	memcpy(host(f, f->data, 16), host(f, f->header, 16), 16);
	memset(host(f, f->data + 16, 512), 0x77, 512);
	buffers[0] = (struct fake_buffer){f->data, 16 + 512, false};
	buffers[1] = (struct fake_buffer){f->header + STATUS_OFFSET, 1, true};
	fake_vq_add(&f->driver, 0, buffers, 2, 0);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_memory_bytes(f->disk)[6 * 512], 0x77);
	assert_int_equal(blk_memory_bytes(f->disk)[7 * 512 - 1], 0x77);
}

static void test_indirect_with_most_segments(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffers[256];
	gpa_t table;

	/* A short queue: with a table a request may still have all 254 segments. */
	bring_up(f, ALL_FEATURES);
	table = fake_driver_alloc(&f->driver, 256 * sizeof(struct vring_desc), 16);
	put_header(f, VIRTIO_BLK_T_IN, 1);
	buffers[0] = (struct fake_buffer){f->header, sizeof(struct virtio_blk_outhdr), false};
	for (unsigned i = 0; i < 254; i++)
		buffers[1 + i] = (struct fake_buffer){f->data + i * 512, 512, true};
	buffers[255] = (struct fake_buffer){f->header + STATUS_OFFSET, 1, true};
	fake_vq_add(&f->driver, 1, buffers, 256, table);
	assert_int_equal(finish(f, 1), VIRTIO_BLK_S_OK);
	assert_memory_equal(
		host(f, f->data, 254 * 512), blk_memory_bytes(f->disk) + 512, 254 * 512);
}

static void test_nothing_to_transfer_is_no_error(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_read(f, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(f->written, 1);
	assert_int_equal(do_write(f, SECTORS, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_memory_executed(f->disk, BLK_READ), 0);
}

/* ---- Wrong requests ---- */

static void test_ranges(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t sectors;
	} bad[] = {{SECTORS, 1}, {SECTORS - 1, 2}, {SECTORS + 1, 1}, {UINT64_MAX, 1},
		{UINT64_MAX - 1, 2}, {UINT64_MAX / 512 + 1, 1}, {UINT64_C(1) << 55, 1}};
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t sector = bad[i].sector;

		assert_int_equal(do_read(f, sector, bad[i].sectors * 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(f->written, 0);
		assert_int_equal(do_write(f, sector, bad[i].sectors * 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, sector, bad[i].sectors, 0),
			VIRTIO_BLK_S_IOERR);
		assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, sector, bad[i].sectors, 0),
			VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(guest_errors(f), 4 * ARRAY_SIZE(bad));
	assert_int_equal(do_read(f, SECTORS - 1, 512), VIRTIO_BLK_S_OK);
}

static void test_lengths(void **state)
{
	static const uint32_t bad[] = {1, 511, 513, 1000};
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(do_read(f, 0, bad[i]), VIRTIO_BLK_S_IOERR);
		assert_int_equal(do_write(f, 0, bad[i]), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(blk_memory_executed(f->disk, BLK_READ), 0);
	assert_int_equal(blk_memory_executed(f->disk, BLK_WRITE), 0);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffers[QUEUE_SIZE];
	unsigned count = 0;

	/* 60 buffers of 8 MiB, all the same memory, and a disk that would be large enough. */
	device_destroy(f->device);
	blk_memory_info(f->disk)->size = UINT64_C(1) << 50;
	f->device = make_device(f, f->disk, 1, NULL);
	find_device(f);
	bring_up(f, ALL_FEATURES);
	put_header(f, VIRTIO_BLK_T_IN, 0);
	buffers[count++] = (struct fake_buffer){f->header, sizeof(struct virtio_blk_outhdr), false};
	while (count < 60)
		buffers[count++] = (struct fake_buffer){8 * MIB, 8 * MIB, true};
	buffers[count++] = (struct fake_buffer){f->header + STATUS_OFFSET, 1, true};
	fake_vq_add(&f->driver, 0, buffers, count, 0);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_memory_executed(f->disk, BLK_READ), 0);
}

static void test_unknown_types(void **state)
{
	static const uint32_t types[] = {
		2, 3, 5, 6, 7, 9, 10, 12, VIRTIO_BLK_T_SECURE_ERASE, 15, 0x80000000, UINT32_MAX};
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		add_request(f, 0, types[i], 0, 512, 512, true);
		assert_int_equal(finish(f, 0), VIRTIO_BLK_S_UNSUPP);
	}
	assert_int_equal(guest_errors(f), ARRAY_SIZE(types));
}

static void test_types_not_negotiated(void **state)
{
	struct fixture *f = *state;

	bring_up(f, 0);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
}

static void test_short_headers(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	for (uint32_t len = 0; len < sizeof(struct virtio_blk_outhdr); len += 3) {
		const struct fake_buffer buffers[] = {
			{f->header, len, false}, {f->header + STATUS_OFFSET, 1, true}};

		put_header(f, VIRTIO_BLK_T_FLUSH, 0);
		fake_vq_add(&f->driver, 0, buffers, 2, 0);
		assert_int_equal(finish(f, 0), VIRTIO_BLK_S_IOERR);
	}
}

static void test_no_status_byte(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->header, sizeof(struct virtio_blk_outhdr), false};

	bring_up(f, ALL_FEATURES);
	put_header(f, VIRTIO_BLK_T_FLUSH, 0);
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	assert_int_equal(finish(f, 0), NOT_WRITTEN);
	assert_int_equal(f->written, 0);
	assert_int_equal(guest_errors(f), 1);
	assert_int_equal(do_read(f, 0, 512), VIRTIO_BLK_S_OK);
}

static void test_discard_limits(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 0x20001, 0), VIRTIO_BLK_S_IOERR);
	/* Two ranges, or a part of one. */
	add_request(f, 0, VIRTIO_BLK_T_DISCARD, 0, 32, 32, false);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_IOERR);
	add_request(f, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 15, 15, false);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_memory_executed(f->disk, BLK_DISCARD), 0);
}

static void test_discard_flags(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 3), VIRTIO_BLK_S_UNSUPP);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_write(f, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(guest_errors(f), 1);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_read(f, 0, 512), VIRTIO_BLK_S_OK);
	add_request(f, 0, VIRTIO_BLK_T_FLUSH, 0, 0, 1, false);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
}

static void test_host_errors_reach_the_guest(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	blk_memory_set_error(f->disk, BLK_READ, EIO);
	blk_memory_set_error(f->disk, BLK_WRITE, ENOSPC);
	blk_memory_set_error(f->disk, BLK_FLUSH, EIO);
	assert_int_equal(do_read(f, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(f->written, 0);
	assert_int_equal(do_write(f, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(f->written, 1);
	add_request(f, 0, VIRTIO_BLK_T_FLUSH, 0, 0, 1, false);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_IOERR);
	/* None of it is the guest's fault. */
	assert_int_equal(guest_errors(f), 0);
}

/* ---- Several in flight ---- */

/* A read of sector `n` to its own place, with a status byte of its own behind it. */
static unsigned add_nth_read(struct fixture *f, unsigned queue, unsigned n)
{
	gpa_t slot = f->data + n * 1024;
	const struct fake_buffer buffers[] = {{slot, sizeof(struct virtio_blk_outhdr), false},
		{slot + 16, 512, true}, {slot + 600, 1, true}};
	struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = n};

	memcpy(host(f, slot, sizeof(header)), &header, sizeof(header));
	*host(f, slot + 600, 1) = NOT_WRITTEN;
	return fake_vq_add(&f->driver, queue, buffers, 3, 0);
}

static void check_nth_read(struct fixture *f, unsigned n)
{
	assert_int_equal(*host(f, f->data + n * 1024 + 600, 1), VIRTIO_BLK_S_OK);
	assert_memory_equal(host(f, f->data + n * 1024 + 16, 512),
		blk_memory_bytes(f->disk) + (size_t)n * 512, 512);
}

static void test_a_batch_has_one_interrupt(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ~BIT(VIRTIO_RING_F_EVENT_IDX));
	blk_memory_set_mode(f->disk, BLK_MEMORY_LOOP);
	for (unsigned i = 0; i < 20; i++)
		add_nth_read(f, i % 2, i);
	fake_driver_kick(&f->driver, 0);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[0]), 10);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[1]), 10);
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 1);
	for (unsigned i = 0; i < 20; i++)
		check_nth_read(f, i);
}

static void test_completion_out_of_order(void **state)
{
	struct fixture *f = *state;
	unsigned heads[4], head;
	uint32_t len;

	bring_up(f, ALL_FEATURES);
	blk_memory_set_mode(f->disk, BLK_MEMORY_HOLD);
	for (unsigned i = 0; i < 4; i++)
		heads[i] = add_nth_read(f, 0, i);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_int_equal(blk_memory_held(f->disk), 4);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[0]), 0);
	for (unsigned i = 4; i-- > 0;) {
		blk_memory_release(f->disk, i);
		fake_machine_run_loop(f->fm);
		assert_true(fake_vq_take(&f->driver, 0, &head, &len));
		assert_int_equal(head, heads[i]);
		check_nth_read(f, i);
	}
}

static void test_reset_in_flight(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	blk_memory_set_mode(f->disk, BLK_MEMORY_HOLD);
	for (unsigned i = 0; i < 4; i++)
		add_nth_read(f, 0, i);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	/* One has completed and waits to be reaped, three are held. */
	blk_memory_release(f->disk, 0);
	fake_driver_write(&f->driver, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(blk_memory_held(f->disk), 0);
	fake_machine_run_loop(f->fm);
	/* Nothing is told to a driver that is gone, and the buffers are left alone. */
	assert_int_equal(fake_vq_used_count(&f->driver.queues[0]), 0);
	assert_int_equal(*host(f, f->data + 1024 + 600, 1), NOT_WRITTEN);
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 0);
	/* And the device works again. */
	blk_memory_set_mode(f->disk, BLK_MEMORY_NOW);
	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_read(f, 1, 512), VIRTIO_BLK_S_OK);
}

static void test_queue_stop_in_flight(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	blk_memory_set_mode(f->disk, BLK_MEMORY_HOLD);
	for (unsigned i = 0; i < 4; i++)
		add_nth_read(f, 0, i);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	fake_driver_write(&f->driver, VIRTIO_MMIO_QUEUE_SEL, 0);
	fake_driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_QUEUE_READY), 0);
	/* All were finished before the driver could read that. */
	assert_int_equal(fake_vq_used_count(&f->driver.queues[0]), 4);
	for (unsigned i = 0; i < 4; i++)
		check_nth_read(f, i);
}

static void test_device_reset_and_destroy_in_flight(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	blk_memory_set_mode(f->disk, BLK_MEMORY_HOLD);
	add_nth_read(f, 0, 0);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	device_reset(f->device);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 0);
	bring_up(f, ALL_FEATURES);
	assert_int_equal(fake_machine_doorbell_count(f->fm), 2);
	add_nth_read(f, 1, 0);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(blk_memory_held(f->disk), 1);
	/* teardown() destroys it with a request held */
}

static void test_broken_ring_asks_for_reset_once(void **state)
{
	struct fixture *f = *state;
	uint64_t errors;

	bring_up(f, ALL_FEATURES);
	blk_memory_set_mode(f->disk, BLK_MEMORY_HOLD);
	add_nth_read(f, 1, 1);
	fake_driver_kick(&f->driver, 1);
	fake_machine_run_loop(f->fm);
	fake_vq_publish(&f->driver.queues[0], 0xffff);
	fake_driver_kick(&f->driver, 0);
	fake_machine_run_loop(f->fm);
	assert_true(fake_driver_read(&f->driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_CONFIG);
	errors = guest_errors(f);
	assert_int_equal(errors, 1);
	for (unsigned i = 0; i < 100; i++) {
		fake_driver_kick(&f->driver, i % 2);
		fake_machine_run_loop(f->fm);
	}
	assert_int_equal(guest_errors(f), errors);
	assert_int_equal(fake_machine_irq_count(f->fm, f->driver.gsi), 1);
	/* What was in flight on the other queue still ends. */
	blk_memory_release(f->disk, 0);
	fake_machine_run_loop(f->fm);
	check_nth_read(f, 1);
	blk_memory_set_mode(f->disk, BLK_MEMORY_NOW);
	bring_up(f, ALL_FEATURES);
	assert_int_equal(do_read(f, 1, 512), VIRTIO_BLK_S_OK);
}

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	const struct virtio_stats *stats = &vdev_of(f)->stats;

	bring_up(f, ALL_FEATURES);
	do_read(f, 0, 512);
	do_read(f, 0, 512);
	assert_int_equal(stats->kicks, 2);
	assert_int_equal(stats->requests, 2);
	assert_int_equal(stats->interrupts, fake_machine_irq_count(f->fm, f->driver.gsi));
	assert_int_equal(stats->resets, 1);
}

static void test_long_serial_fills_the_id(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	f->device = make_device(f, f->disk, 1, "0123456789abcdefghijXYZ");
	find_device(f);
	bring_up(f, ALL_FEATURES);
	add_request(f, 0, VIRTIO_BLK_T_GET_ID, 0, 32, 32, true);
	assert_int_equal(finish(f, 0), VIRTIO_BLK_S_OK);
	assert_memory_equal(host(f, f->data, 20), "0123456789abcdefghij", 20);
	assert_int_equal(f->written, 20);
}

#define TEST(name)    cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
#define TEST_RO(name) cmocka_unit_test_setup_teardown(test_##name, setup_read_only, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device_describes_itself),
		TEST_RO(read_only_disk_describes_itself),
		TEST(read),
		TEST(write),
		TEST(flush),
		TEST(requests_are_counted),
		TEST(without_flush_writes_are_durable),
		TEST(cache_mode_can_be_changed),
		TEST(cache_mode_starts_anew),
		TEST(get_id),
		TEST_RO(id_without_serial_is_the_backends),
		TEST(long_serial_fills_the_id),
		TEST(discard),
		TEST(write_zeroes),
		TEST(odd_layouts),
		TEST(indirect_with_most_segments),
		TEST(nothing_to_transfer_is_no_error),
		TEST(ranges),
		TEST(lengths),
		TEST(too_long),
		TEST(unknown_types),
		TEST(types_not_negotiated),
		TEST(short_headers),
		TEST(no_status_byte),
		TEST(discard_limits),
		TEST(discard_flags),
		TEST_RO(read_only),
		TEST(host_errors_reach_the_guest),
		TEST(a_batch_has_one_interrupt),
		TEST(completion_out_of_order),
		TEST(reset_in_flight),
		TEST(queue_stop_in_flight),
		TEST(device_reset_and_destroy_in_flight),
		TEST(broken_ring_asks_for_reset_once),
		TEST(statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
