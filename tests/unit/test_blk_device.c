/*
 * The raw backend on block devices, with a loop device over a file: sizes, discards and
 * zeroes as device commands, the claim on the device. Skipped where no loop device can be
 * had, as for ordinary users and in most containers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/backend/blk.h"
#include "vmm/base/util.h"

enum {
	DISK_BYTES = 1 << 20
};

struct fixture {
	char file[64], path[64];
	int loop_fd; /* -1: there is no loop device */
	struct loop *loop;
	struct blk *blk;
	struct err err;
};

static int attach(struct fixture *f, int file_fd, unsigned block_size, unsigned flags)
{
	struct loop_config config = {.fd = (uint32_t)file_fd,
		.block_size = block_size,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | flags};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	/* Somebody else may take the free one first. */
	for (int tries = 0; control >= 0 && f->loop_fd < 0 && tries < 5; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			break;
		snprintf(f->path, sizeof(f->path), "/dev/loop%d", number);
		f->loop_fd = open(f->path, O_RDWR | O_CLOEXEC);
		if (f->loop_fd >= 0 && ioctl(f->loop_fd, LOOP_CONFIGURE, &config) < 0) {
			close(f->loop_fd);
			f->loop_fd = -1;
		}
	}
	if (control >= 0)
		close(control);
	return f->loop_fd;
}

static struct fixture *make(unsigned block_size, unsigned flags)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	assert_non_null(f);
	f->loop_fd = -1;
	snprintf(f->file, sizeof(f->file), "/tmp/test-blk-device-XXXXXX");
	fd = mkostemp(f->file, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	assert_int_equal(loop_create(&f->loop, NULL), 0);
	(void)attach(f, fd, block_size, flags);
	close(fd);
	return f;
}

static int setup(void **state)
{
	*state = make(512, 0);
	return 0;
}

static int setup_4096(void **state)
{
	*state = make(4096, 0);
	return 0;
}

static int setup_read_only(void **state)
{
	*state = make(512, LO_FLAGS_READ_ONLY);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blk_close(f->blk);
	if (f->loop_fd >= 0)
		close(f->loop_fd);
	loop_destroy(f->loop);
	unlink(f->file);
	free(f);
	return 0;
}

static int try_open(struct fixture *f, struct blk **blk, bool read_only)
{
	const struct blk_config config = {.path = f->path, .read_only = read_only};

	if (f->loop_fd < 0) {
		print_message("skip: no loop device can be had here\n");
		skip();
	}
	f->err = (struct err)ERR_INIT;
	return blk_open(blk, &config, f->loop, &f->err);
}

static int run(struct fixture *f, enum blk_op op, uint64_t offset, uint64_t len, void *buf)
{
	struct iovec iov = {buf, len};
	struct blk_request req = {
		.op = op, .offset = offset, .len = len, .iov = &iov, .iov_count = 1, .unmap = true};

	blk_submit(f->blk, &req);
	blk_drain(f->blk);
	assert_ptr_equal(blk_reap(f->blk), &req);
	return req.result;
}

static void check_work(struct fixture *f)
{
	static const uint8_t zeroes[4096];
	uint8_t bytes[8192];

	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(run(f, BLK_WRITE, 4096, sizeof(bytes), bytes), 0);
	assert_int_equal(run(f, BLK_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(run(f, BLK_WRITE_ZEROES, 4096, 4096, NULL), 0);
	assert_int_equal(run(f, BLK_WRITE_ZEROES, 8192 + 512, 1024, NULL), 0);
	assert_int_equal(run(f, BLK_READ, 4096, sizeof(bytes), bytes), 0);
	assert_memory_equal(bytes, zeroes, 4096);
	assert_int_equal(bytes[4096 + 511], 0x5a);
	assert_memory_equal(bytes + 4096 + 512, zeroes, 1024);
	assert_int_equal(bytes[4096 + 1536], 0x5a);
	/* Whatever unit the device wants. */
	assert_int_equal(run(f, BLK_DISCARD, 4096, 4096, NULL), 0);
	assert_int_equal(run(f, BLK_DISCARD, 512, 512, NULL), 0);
}

static void test_device_is_a_disk(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, &f->blk, false), 0);
	assert_int_equal(blk_info(f->blk)->size, DISK_BYTES);
	assert_int_equal(blk_info(f->blk)->block_size, 512);
	check_work(f);
}

static void test_large_blocks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, &f->blk, false), 0);
	assert_int_equal(blk_info(f->blk)->block_size, 4096);
	check_work(f);
}

static void test_write_protected_device(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, &f->blk, false), -EROFS);
	assert_non_null(strstr(f->err.text, "read-only"));
	assert_non_null(strstr(f->err.hint, ",ro"));
	assert_int_equal(try_open(f, &f->blk, true), 0);
}

static void test_claimed_device(void **state)
{
	struct fixture *f = *state;
	struct blk *other;
	int claim;

	assert_int_equal(try_open(f, &f->blk, false), 0);
	assert_int_equal(try_open(f, &other, false), -EBUSY);
	assert_non_null(strstr(f->err.text, "twice"));
	blk_close(f->blk);
	f->blk = NULL;
	/* As a mount does it. */
	claim = open(f->path, O_RDWR | O_EXCL | O_CLOEXEC);
	assert_true(claim >= 0);
	assert_int_equal(try_open(f, &other, false), -EBUSY);
	assert_non_null(strstr(f->err.text, "mounted"));
	assert_int_equal(try_open(f, &f->blk, true), 0);
	close(claim);
}

#define TEST(name, how) cmocka_unit_test_setup_teardown(test_##name, how, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device_is_a_disk, setup),
		TEST(large_blocks, setup_4096),
		TEST(write_protected_device, setup_read_only),
		TEST(claimed_device, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
