/*
 * The ephemeral overlay: the guest sees what it wrote, the base is never touched, and
 * nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/backend/blk_memory.h"
#include "devices/backend/blk_overlay.h"
#include "vmm/base/util.h"

enum {
	SECTORS = 300, /* not a multiple of the bitmap's words */
	DISK_BYTES = SECTORS * 512,
};

struct fixture {
	char dir[64];
	struct loop *loop;
	struct blk *base, *blk;
	uint8_t *shadow; /* what the disk should read as */
	uint8_t *base_before;
	uint32_t seed;
};

static void on_completed(void *opaque)
{
	(void)opaque;
}

static int setup(void **state)
{
	const struct blk_client client = {.completed = on_completed};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/test-blk-overlay-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	setenv("TMPDIR", f->dir, 1);
	assert_int_equal(loop_create(&f->loop, NULL), 0);
	f->base = blk_memory_create(DISK_BYTES, f->loop);
	assert_non_null(f->base);
	f->shadow = malloc(DISK_BYTES);
	f->base_before = malloc(DISK_BYTES);
	assert_non_null(f->shadow);
	assert_non_null(f->base_before);
	for (unsigned i = 0; i < DISK_BYTES; i++)
		blk_memory_bytes(f->base)[i] = (uint8_t)(i * 13 + i / 512);
	blk_memory_info(f->base)->read_only = true;
	memcpy(f->shadow, blk_memory_bytes(f->base), DISK_BYTES);
	memcpy(f->base_before, f->shadow, DISK_BYTES);
	assert_int_equal(blk_overlay_create(&f->blk, f->base, f->loop, NULL), 0);
	blk_attach(f->blk, &client);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	/* The base is the overlay's by now. */
	blk_close(f->blk);
	loop_destroy(f->loop);
	unsetenv("TMPDIR");
	assert_int_equal(rmdir(f->dir), 0);
	free(f->shadow);
	free(f->base_before);
	free(f);
	return 0;
}

static int run(struct fixture *f, struct blk_request *req)
{
	blk_submit(f->blk, req);
	blk_drain(f->blk);
	assert_ptr_equal(blk_reap(f->blk), req);
	return req->result;
}

/* In three pieces that end at no sector. */
static int transfer(struct fixture *f, enum blk_op op, unsigned sector, unsigned count, void *buf)
{
	uint64_t len = count * UINT64_C(512), first = MIN(len, (uint64_t)100),
		 second = (len - first) / 2;
	uint8_t *bytes = buf;
	struct iovec iov[] = {{bytes, first}, {bytes + first, second},
		{bytes + first + second, len - first - second}};
	struct blk_request req = {
		.op = op, .offset = sector * UINT64_C(512), .len = len, .iov = iov, .iov_count = 3};

	return run(f, &req);
}

static int simple(struct fixture *f, enum blk_op op, unsigned sector, unsigned count)
{
	struct blk_request req = {
		.op = op, .offset = sector * UINT64_C(512), .len = count * UINT64_C(512)};

	return run(f, &req);
}

static void expect_shadow(struct fixture *f, unsigned sector, unsigned count)
{
	uint8_t *found = malloc(count * (size_t)512);

	assert_non_null(found);
	memset(found, 0xcc, count * (size_t)512);
	assert_int_equal(transfer(f, BLK_READ, sector, count, found), 0);
	assert_memory_equal(found, f->shadow + (size_t)sector * 512, count * (size_t)512);
	free(found);
}

static void write_pattern(struct fixture *f, unsigned sector, unsigned count, int value)
{
	memset(f->shadow + (size_t)sector * 512, value, count * (size_t)512);
	assert_int_equal(
		transfer(f, BLK_WRITE, sector, count, f->shadow + (size_t)sector * 512), 0);
}

static void test_reads_come_from_the_base(void **state)
{
	struct fixture *f = *state;

	expect_shadow(f, 0, SECTORS);
	expect_shadow(f, 7, 1);
	assert_false(blk_info(f->blk)->read_only);
	assert_int_equal(blk_info(f->blk)->size, DISK_BYTES);
}

static void test_writes_stay_above(void **state)
{
	struct fixture *f = *state;

	write_pattern(f, 10, 1, 0x11);
	write_pattern(f, 63, 2, 0x22);
	write_pattern(f, 120, 100, 0x33);
	write_pattern(f, SECTORS - 1, 1, 0x44);
	expect_shadow(f, 0, SECTORS);
	expect_shadow(f, 10, 1);
	expect_shadow(f, 9, 3);
	expect_shadow(f, 62, 4);
	expect_shadow(f, 150, 20);
	assert_int_equal(blk_memory_executed(f->base, BLK_WRITE), 0);
	assert_memory_equal(blk_memory_bytes(f->base), f->base_before, DISK_BYTES);
}

static void test_zeroes_hide_the_base(void **state)
{
	struct fixture *f = *state;

	write_pattern(f, 20, 20, 0x55);
	memset(f->shadow + 30 * 512, 0, 50 * 512);
	assert_int_equal(simple(f, BLK_WRITE_ZEROES, 30, 50), 0);
	expect_shadow(f, 0, SECTORS);
	memset(f->shadow + 100 * 512, 0, 3 * 512);
	assert_int_equal(simple(f, BLK_DISCARD, 100, 3), 0);
	expect_shadow(f, 98, 8);
	write_pattern(f, 101, 1, 0x66);
	expect_shadow(f, 0, SECTORS);
	assert_int_equal(blk_memory_executed(f->base, BLK_DISCARD), 0);
	assert_int_equal(blk_memory_executed(f->base, BLK_WRITE_ZEROES), 0);
	assert_memory_equal(blk_memory_bytes(f->base), f->base_before, DISK_BYTES);
}

static void test_flush_does_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(simple(f, BLK_FLUSH, 0, 0), 0);
	assert_int_equal(blk_memory_executed(f->base, BLK_FLUSH), 0);
}

static uint32_t next_random(struct fixture *f)
{
	f->seed = f->seed * 1664525 + 1013904223;
	return f->seed >> 8;
}

static void test_random_work_reads_back(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 1000; i++) {
		unsigned sector = next_random(f) % SECTORS;
		unsigned count = 1 + next_random(f) % MIN(80U, SECTORS - sector);

		switch (next_random(f) % 4) {
		case 0:
			write_pattern(f, sector, count, (int)i);
			break;
		case 1:
			memset(f->shadow + (size_t)sector * 512, 0, count * (size_t)512);
			assert_int_equal(simple(f, BLK_WRITE_ZEROES, sector, count), 0);
			break;
		default:
			expect_shadow(f, sector, count);
		}
	}
	expect_shadow(f, 0, SECTORS);
	assert_memory_equal(blk_memory_bytes(f->base), f->base_before, DISK_BYTES);
}

static void test_errors_of_the_base_are_passed_on(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[1024];

	write_pattern(f, 0, 1, 0x11);
	blk_memory_set_error(f->base, BLK_READ, EIO);
	assert_int_equal(transfer(f, BLK_READ, 0, 1, bytes), 0);
	assert_int_equal(transfer(f, BLK_READ, 0, 2, bytes), -EIO);
}

static void test_no_name_is_left(void **state)
{
	struct fixture *f = *state;
	struct dirent *entry;
	DIR *dir = opendir(f->dir);

	write_pattern(f, 0, 10, 0x11);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		assert_int_equal(entry->d_name[0], '.');
	closedir(dir);
}

/* Whole files through blk_open(): two overlays of one image do not see each other. */
static void test_two_over_one_file(void **state)
{
	struct fixture *f = *state;
	struct blk *blk[2];
	char path[128];
	uint8_t bytes[512];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct blk_request req = {.op = BLK_WRITE, .len = 512, .iov = &iov, .iov_count = 1};
	const struct blk_config config = {.path = path, .ephemeral = true};
	int fd;

	snprintf(path, sizeof(path), "%s/disk.img", f->dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(util_pwrite_full(fd, f->base_before, 5000, 0), 5000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(blk_open(&blk[i], &config, f->loop, NULL), 0);
	for (int i = 0; i < 2; i++) {
		memset(bytes, 0x70 + i, sizeof(bytes));
		req.offset = 512 * (unsigned)i;
		blk_submit(blk[i], &req);
		blk_drain(blk[i]);
		assert_ptr_equal(blk_reap(blk[i]), &req);
		assert_int_equal(req.result, 0);
	}
	assert_int_equal(blk_read_sync(blk[0], 0, bytes, 1), 1);
	assert_int_equal(bytes[0], 0x70);
	assert_int_equal(blk_read_sync(blk[0], 512, bytes, 512), 512);
	assert_memory_equal(bytes, f->base_before + 512, 512);
	assert_int_equal(blk_read_sync(blk[1], 512, bytes, 1), 1);
	assert_int_equal(bytes[0], 0x71);
	/* The odd end of the file. */
	assert_int_equal(blk_read_sync(blk[1], 4999, bytes, 2), 2);
	assert_int_equal(bytes[0], f->base_before[4999]);
	assert_int_equal(bytes[1], 0);
	for (int i = 0; i < 2; i++)
		blk_close(blk[i]);
	assert_int_equal(util_pread_full(fd, bytes, 512, 0), 512);
	assert_memory_equal(bytes, f->base_before, 512);
	close(fd);
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_come_from_the_base),
		TEST(writes_stay_above),
		TEST(zeroes_hide_the_base),
		TEST(flush_does_nothing),
		TEST(random_work_reads_back),
		TEST(errors_of_the_base_are_passed_on),
		TEST(no_name_is_left),
		TEST(two_over_one_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
