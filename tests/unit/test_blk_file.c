/*
 * The raw backend: whole transfers whatever the kernel does, durability, zeroes and
 * discards with and without the host's help, and its workers.
 *
 * The system calls that it makes are played by functions of this file, which pass on to the
 * kernel and can interrupt, shorten or fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/backend/blk.h"
#include "vmm/base/util.h"

/* ---- Played system calls ---- */

static struct {
	_Atomic int sync_errno, write_errno, fallocate_errno, now_errno;
	_Atomic unsigned interrupt; /* that many calls fail with EINTR first */
	_Atomic size_t at_most;	    /* bytes per call, 0 = all */
	_Atomic unsigned syncs, reads_now, fallocates, durable_writes;
} play;

static bool is_interrupted(void)
{
	unsigned left = play.interrupt;

	while (left && !atomic_compare_exchange_weak(&play.interrupt, &left, left - 1))
		;
	return left;
}

static ssize_t move(long number, int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	struct iovec one = iov[0];

	if (is_interrupted()) {
		errno = EINTR;
		return -1;
	}
	if (play.at_most && count) {
		one.iov_len = MIN(one.iov_len, (size_t)play.at_most);
		return syscall(number, fd, &one, 1L, at, 0L, flags);
	}
	return syscall(number, fd, iov, (long)count, at, 0L, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	if (flags & RWF_NOWAIT) {
		play.reads_now++;
		if (play.now_errno) {
			errno = play.now_errno;
			return -1;
		}
		flags &= ~RWF_NOWAIT; /* not every file system can */
	}
	return move(SYS_preadv2, fd, iov, count, at, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	if (play.write_errno) {
		errno = play.write_errno;
		return -1;
	}
	if (flags & RWF_DSYNC)
		play.durable_writes++;
	return move(SYS_pwritev2, fd, iov, count, at, flags);
}

int fdatasync(int fd)
{
	play.syncs++;
	if (is_interrupted()) {
		errno = EINTR;
		return -1;
	}
	if (play.sync_errno) {
		errno = play.sync_errno;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	play.fallocates++;
	if (play.fallocate_errno) {
		errno = play.fallocate_errno;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

/* ---- The fixture ---- */

enum {
	DISK_BYTES = 1 << 20,
	MANY = 400,
};

struct fixture {
	char path[64];
	struct loop *loop;
	struct blk *blk;
	pthread_mutex_t lock;
	unsigned completed;	 /* calls of completed() */
	uint8_t *bytes, *shadow; /* DISK_BYTES each */
};

static void on_completed(void *opaque)
{
	((struct fixture *)opaque)->completed++;
}

static void reopen(struct fixture *f, bool read_only)
{
	const struct blk_config config = {.path = f->path, .read_only = read_only};
	const struct blk_client client = {on_completed, f, &f->lock};

	blk_close(f->blk);
	assert_int_equal(blk_open(&f->blk, &config, f->loop, NULL), 0);
	blk_attach(f->blk, &client);
}

static int setup_size(void **state, off_t size)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	assert_non_null(f);
	memset(&play, 0, sizeof(play));
	snprintf(f->path, sizeof(f->path), "/tmp/test-blk-file-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	f->bytes = calloc(1, DISK_BYTES);
	f->shadow = malloc(DISK_BYTES);
	assert_non_null(f->bytes);
	assert_non_null(f->shadow);
	for (unsigned i = 0; i < DISK_BYTES; i++)
		f->shadow[i] = (uint8_t)(i * 31 + i / 512);
	assert_int_equal(util_pwrite_full(fd, f->shadow, (uint64_t)size, 0), size);
	close(fd);
	pthread_mutex_init(&f->lock, NULL);
	assert_int_equal(loop_create(&f->loop, NULL), 0);
	reopen(f, false);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_size(state, DISK_BYTES);
}

/* Ends in the middle of a sector. */
static int setup_odd(void **state)
{
	return setup_size(state, 10000);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blk_close(f->blk);
	loop_destroy(f->loop);
	unlink(f->path);
	pthread_mutex_destroy(&f->lock);
	free(f->bytes);
	free(f->shadow);
	free(f);
	return 0;
}

/* Runs the loop until a request can be reaped. */
static struct blk_request *wait_one(struct fixture *f)
{
	uint64_t end_ns = util_now_ns() + UINT64_C(20000000000);

	for (;;) {
		struct blk_request *req = blk_reap(f->blk);

		if (req)
			return req;
		assert_true(util_now_ns() < end_ns);
		loop_run_once(f->loop, 100);
	}
}

static int run(struct fixture *f, struct blk_request *req)
{
	blk_submit(f->blk, req);
	blk_kick(f->blk);
	assert_ptr_equal(wait_one(f), req);
	return req->result;
}

static int transfer(struct fixture *f, enum blk_op op, uint64_t offset, uint64_t len, bool durable)
{
	struct iovec iov = {f->bytes, len};
	struct blk_request req = {.op = op,
		.offset = offset,
		.len = len,
		.iov = &iov,
		.iov_count = 1,
		.durable = durable};

	return run(f, &req);
}

static int simple(struct fixture *f, enum blk_op op, uint64_t offset, uint64_t len, bool unmap)
{
	struct blk_request req = {.op = op, .offset = offset, .len = len, .unmap = unmap};

	return run(f, &req);
}

/* The same through another door, so that what is compared is what is in the file. */
static void expect_file(struct fixture *f, uint64_t offset, const void *bytes, uint64_t len)
{
	uint8_t *found = malloc(len);
	int fd = open(f->path, O_RDONLY);

	assert_non_null(found);
	assert_int_equal(util_pread_full(fd, found, len, offset), (int64_t)len);
	assert_memory_equal(found, bytes, len);
	close(fd);
	free(found);
}

/* ---- Transfers ---- */

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(transfer(f, BLK_READ, 1024, 100 * 512, false), 0);
	assert_memory_equal(f->bytes, f->shadow + 1024, 100 * 512);
	memset(f->bytes, 0xa5, 1024);
	assert_int_equal(transfer(f, BLK_WRITE, DISK_BYTES - 1024, 1024, false), 0);
	expect_file(f, DISK_BYTES - 1024, f->bytes, 1024);
	expect_file(f, 0, f->shadow, DISK_BYTES - 1024);
}

static void test_pieces_of_any_length(void **state)
{
	static const size_t lengths[] = {1, 510, 513, 4096, 3, 2000, 1, 1068};
	struct fixture *f = *state;
	struct iovec iov[ARRAY_SIZE(lengths)];
	struct blk_request req = {.op = BLK_READ, .offset = 512, .iov = iov};
	uint64_t len = 0;

	/* Kernel calls that move as little as one byte, with interruptions. */
	static const size_t at_most[] = {0, 1, 7, 512, 5000};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		iov[i] = (struct iovec){f->bytes + len, lengths[i]};
		len += lengths[i];
	}
	assert_int_equal(len % 512, 0);
	req.len = len;
	req.iov_count = ARRAY_SIZE(lengths);
	for (size_t i = 0; i < ARRAY_SIZE(at_most); i++) {
		play.at_most = at_most[i];
		play.interrupt = 5;
		memset(f->bytes, 0, len);
		req.op = BLK_READ;
		assert_int_equal(run(f, &req), 0);
		assert_memory_equal(f->bytes, f->shadow + 512, len);
		memset(f->bytes, (int)i, len);
		req.op = BLK_WRITE;
		play.interrupt = 5;
		assert_int_equal(run(f, &req), 0);
		expect_file(f, 512, f->bytes, len);
		memcpy(f->bytes, f->shadow + 512, len);
		assert_int_equal(run(f, &req), 0);
	}
}

static void test_end_in_the_middle_of_a_sector(void **state)
{
	static const uint8_t zeroes[512];
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(blk_info(f->blk)->size, 10240);
	memset(f->bytes, 0xff, 1024);
	assert_int_equal(transfer(f, BLK_READ, 9216, 1024, false), 0);
	assert_memory_equal(f->bytes, f->shadow + 9216, 10000 - 9216);
	assert_memory_equal(f->bytes + (10000 - 9216), zeroes, 240);
	/* A write to the last sector makes the file whole. */
	memset(f->bytes, 0x11, 512);
	assert_int_equal(transfer(f, BLK_WRITE, 9728, 512, false), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 10240);
	expect_file(f, 9728, f->bytes, 512);
}

static void test_file_cut_behind_our_back(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, 4096), 0);
	assert_int_equal(transfer(f, BLK_READ, 8192, 512, false), -EIO);
	assert_int_equal(transfer(f, BLK_READ, 3584, 1024, false), -EIO);
	assert_int_equal(transfer(f, BLK_READ, 3584, 512, false), 0);
}

static void test_errors_are_passed_on(void **state)
{
	struct fixture *f = *state;

	play.write_errno = ENOSPC;
	assert_int_equal(transfer(f, BLK_WRITE, 0, 512, false), -ENOSPC);
	play.write_errno = 0;
	assert_int_equal(transfer(f, BLK_WRITE, 0, 512, false), 0);
}

static void test_file_size_limit_is_no_signal(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(transfer(f, BLK_WRITE, 8192, 512, false), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;

	reopen(f, true);
	assert_int_equal(transfer(f, BLK_READ, 0, 512, false), 0);
	assert_int_equal(transfer(f, BLK_WRITE, 0, 512, false), -EROFS);
	assert_int_equal(simple(f, BLK_DISCARD, 0, 512, false), -EROFS);
	assert_int_equal(simple(f, BLK_WRITE_ZEROES, 0, 512, false), -EROFS);
	assert_int_equal(simple(f, BLK_FLUSH, 0, 0, false), 0);
	assert_int_equal(play.syncs, 0);
	expect_file(f, 0, f->shadow, DISK_BYTES);
}

/* ---- Reads from the page cache ---- */

static void test_cached_reads_need_no_worker(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = {f->bytes, 4096};
	struct blk_request req = {
		.op = BLK_READ, .offset = 4096, .len = 4096, .iov = &iov, .iov_count = 1};

	blk_submit(f->blk, &req);
	blk_kick(f->blk);
	/* Without any turn of the loop. */
	assert_ptr_equal(blk_reap(f->blk), &req);
	assert_memory_equal(f->bytes, f->shadow + 4096, 4096);
	assert_int_equal(play.reads_now, 1);
	/* A long one is not tried. */
	assert_int_equal(transfer(f, BLK_READ, 0, 131072, false), 0);
	assert_int_equal(play.reads_now, 1);
}

static void test_misses_make_it_try_less(void **state)
{
	struct fixture *f = *state;

	play.now_errno = EAGAIN;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(transfer(f, BLK_READ, 0, 512, false), 0);
	assert_in_range(play.reads_now, 5, 20);
	/* It does not give up: when they hit again, all hit. */
	play.now_errno = 0;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(transfer(f, BLK_READ, 0, 512, false), 0);
	assert_in_range(play.reads_now, 130, 220);
}

static void test_file_system_that_can_not(void **state)
{
	struct fixture *f = *state;

	play.now_errno = EOPNOTSUPP;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(transfer(f, BLK_READ, 0, 512, false), 0);
	assert_int_equal(play.reads_now, 1);
}

/* ---- Durability ---- */

static void test_flush(void **state)
{
	struct fixture *f = *state;

	play.interrupt = 3;
	assert_int_equal(simple(f, BLK_FLUSH, 0, 0, false), 0);
	assert_int_equal(play.syncs, 4);
}

static void test_failed_flush_is_never_forgotten(void **state)
{
	struct fixture *f = *state;

	play.sync_errno = EIO;
	assert_int_equal(simple(f, BLK_FLUSH, 0, 0, false), -EIO);
	/* The kernel would now say that all is well. */
	play.sync_errno = 0;
	assert_int_equal(simple(f, BLK_FLUSH, 0, 0, false), -EIO);
	assert_int_equal(play.syncs, 1);
	assert_int_equal(transfer(f, BLK_READ, 0, 512, false), 0);
}

static void test_durable_requests(void **state)
{
	struct fixture *f = *state;
	struct blk_request zeroes = {.op = BLK_WRITE_ZEROES, .len = 512, .durable = true};

	assert_int_equal(transfer(f, BLK_WRITE, 0, 512, false), 0);
	assert_int_equal(play.durable_writes, 0);
	assert_int_equal(transfer(f, BLK_WRITE, 0, 512, true), 0);
	assert_int_equal(play.durable_writes, 1);
	assert_int_equal(run(f, &zeroes), 0);
	assert_int_equal(play.syncs, 1);
}

/* A sector that can't be read says nothing of what was written. */
static void test_failed_read_fails_no_flush(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, 4096), 0);
	assert_int_equal(transfer(f, BLK_READ, 8192, 512, true), -EIO);
	assert_int_equal(simple(f, BLK_FLUSH, 0, 0, false), 0);
}

/* ---- Zeroes and discards ---- */

static void check_zeroes(struct fixture *f, bool unmap)
{
	static const uint8_t zeroes[300 * 1024];

	assert_int_equal(simple(f, BLK_WRITE_ZEROES, 512 * 3, sizeof(zeroes), unmap), 0);
	expect_file(f, 512 * 3, zeroes, sizeof(zeroes));
	expect_file(f, 0, f->shadow, 512 * 3);
	expect_file(f, 512 * 3 + sizeof(zeroes), f->shadow + 512 * 3 + sizeof(zeroes),
		DISK_BYTES - 512 * 3 - sizeof(zeroes));
}

static void test_write_zeroes(void **state)
{
	check_zeroes(*state, false);
}

static void test_write_zeroes_unmapped(void **state)
{
	check_zeroes(*state, true);
}

static void test_write_zeroes_without_the_hosts_help(void **state)
{
	struct fixture *f = *state;

	play.fallocate_errno = EOPNOTSUPP;
	check_zeroes(f, true);
	assert_int_equal(play.fallocates, 2);
	play.at_most = 1000;
	check_zeroes(f, true);
	assert_int_equal(play.fallocates, 2);
}

static void test_write_zeroes_reports_a_full_disk(void **state)
{
	struct fixture *f = *state;

	play.fallocate_errno = ENOSPC;
	assert_int_equal(simple(f, BLK_WRITE_ZEROES, 0, 512, false), -ENOSPC);
}

static void test_discard_gives_room_back(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	int fd = open(f->path, O_RDWR);
	long can =
		syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0L, 4096L);

	close(fd);
	if (can < 0) {
		print_message("skip: /tmp is on a file system without holes\n");
		skip();
	}
	assert_int_equal(simple(f, BLK_FLUSH, 0, 0, false), 0);
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(simple(f, BLK_DISCARD, 0, DISK_BYTES / 2, false), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_int_equal(after.st_size, DISK_BYTES);
	assert_true(after.st_blocks < before.st_blocks);
	expect_file(f, DISK_BYTES / 2, f->shadow + DISK_BYTES / 2, DISK_BYTES / 2);
}

static void test_discard_is_only_a_hint(void **state)
{
	struct fixture *f = *state;

	play.fallocate_errno = EOPNOTSUPP;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(simple(f, BLK_DISCARD, 0, 4096, false), 0);
	assert_int_equal(play.fallocates, 1);
	expect_file(f, 0, f->shadow, DISK_BYTES);
}

/* ---- Many at once ---- */

struct many {
	struct blk_request req[MANY];
	struct iovec iov[MANY];
};

static struct many *make_many(struct fixture *f)
{
	struct many *many = calloc(1, sizeof(*many));

	assert_non_null(many);
	for (unsigned i = 0; i < MANY; i++) {
		many->iov[i] = (struct iovec){f->bytes + (size_t)i * 2048, 2048};
		many->req[i] = (struct blk_request){.op = i % 3 ? BLK_WRITE : BLK_READ,
			.offset = (uint64_t)i * 2048,
			.len = 2048,
			.iov = &many->iov[i],
			.iov_count = 1,
			.result = 1};
		memset(f->bytes + (size_t)i * 2048, (int)i, 2048);
	}
	return many;
}

static void submit_many(struct fixture *f, struct many *many)
{
	for (unsigned i = 0; i < MANY; i++) {
		blk_submit(f->blk, &many->req[i]);
		if (i % 7 == 6)
			blk_kick(f->blk);
	}
	blk_kick(f->blk);
}

static void check_many(struct fixture *f)
{
	uint8_t block[2048];

	for (unsigned i = 0; i < MANY; i++) {
		const uint8_t *old = f->shadow + (size_t)i * 2048;

		memset(block, (int)i, sizeof(block));
		assert_memory_equal(f->bytes + (size_t)i * 2048, i % 3 ? block : old, 2048);
		expect_file(f, (uint64_t)i * 2048, i % 3 ? block : old, 2048);
	}
}

static void test_many_requests(void **state)
{
	struct fixture *f = *state;
	struct many *many = make_many(f);

	play.now_errno = EAGAIN;
	submit_many(f, many);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(wait_one(f)->result, 0);
	assert_null(blk_reap(f->blk));
	check_many(f);
	free(many);
}

static void test_drain_waits_for_all(void **state)
{
	struct fixture *f = *state;
	struct many *many = make_many(f);

	submit_many(f, many);
	blk_drain(f->blk);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(many->req[i].result, 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_non_null(blk_reap(f->blk));
	assert_null(blk_reap(f->blk));
	check_many(f);
	free(many);
}

static void test_abort_returns_everything(void **state)
{
	struct fixture *f = *state;
	struct many *many = make_many(f);
	unsigned reaped = 0;
	struct blk_request *req;

	submit_many(f, many);
	blk_abort(f->blk);
	while ((req = blk_reap(f->blk))) {
		assert_true(req->result == 0 || req->result == -ECANCELED);
		reaped++;
	}
	assert_int_equal(reaped, MANY);
	/* And it goes on. */
	assert_int_equal(transfer(f, BLK_READ, 0, 512, false), 0);
	free(many);
}

static void test_client_is_told_once_for_a_batch(void **state)
{
	struct fixture *f = *state;
	struct many *many = make_many(f);

	submit_many(f, many);
	blk_drain(f->blk);
	for (unsigned i = 0; i < 10; i++)
		loop_run_once(f->loop, 0);
	assert_in_range(f->completed, 1, 1);
	while (blk_reap(f->blk))
		;
	free(many);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
#define TEST_ODD(name) cmocka_unit_test_setup_teardown(test_##name, setup_odd, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(read_and_write),
		TEST(pieces_of_any_length),
		TEST_ODD(end_in_the_middle_of_a_sector),
		TEST(file_cut_behind_our_back),
		TEST(errors_are_passed_on),
		TEST(file_size_limit_is_no_signal),
		TEST(read_only),
		TEST(cached_reads_need_no_worker),
		TEST(misses_make_it_try_less),
		TEST(file_system_that_can_not),
		TEST(flush),
		TEST(failed_flush_is_never_forgotten),
		TEST(durable_requests),
		TEST(failed_read_fails_no_flush),
		TEST(write_zeroes),
		TEST(write_zeroes_unmapped),
		TEST(write_zeroes_without_the_hosts_help),
		TEST(write_zeroes_reports_a_full_disk),
		TEST(discard_gives_room_back),
		TEST(discard_is_only_a_hint),
		TEST(many_requests),
		TEST(drain_waits_for_all),
		TEST(abort_returns_everything),
		TEST(client_is_told_once_for_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
