/*
 * The pool of workers on a host that gives it no thread. What it does with threads is
 * tested with the backends that use it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "devices/backend/blk_pool.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	REQUESTS = 100
};

/* In place of the C library's: no thread for anybody. */
int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
	void *(*fn)(void *), void *restrict opaque)
{
	(void)thread, (void)attr, (void)fn, (void)opaque;
	return EAGAIN;
}

static unsigned executed;

static int execute(struct blk *blk, const struct blk_request *req)
{
	(void)blk, (void)req;
	executed++;
	return 0;
}

static const struct blk_ops ops = {.execute = execute};

/* Runs `fn` with stderr in a file and returns the number of lines in it. */
static unsigned count_lines(void (*fn)(void))
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO), c;
	unsigned lines = 0;

	assert_non_null(file);
	assert_true(saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static void run_requests(void)
{
	struct blk blk = {.ops = NULL};
	struct blk_pool pool;

	blk_init(&blk, &ops, NULL);
	blk_pool_init(&pool, &blk);
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct blk_request req = {.op = BLK_FLUSH, .result = -EIO};

		blk_pool_submit(&pool, &req);
		blk_pool_kick(&pool);
		assert_ptr_equal(blk_reap(&blk), &req);
		assert_int_equal(req.result, 0);
	}
	blk_pool_drain(&pool, false);
	blk_pool_finish(&pool);
	blk_finish(&blk);
}

/* The submitter works itself, and the guest, which says how often, can't fill the log. */
static void test_without_threads(void **state)
{
	(void)state;
	assert_in_range(count_lines(run_requests), 1, LOG_GUEST_BURST + 1);
	assert_int_equal(executed, REQUESTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
