/*
 * The ring of frames: order, wrapping, gaps, fullness; two threads at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/backend/net_ring.h"
#include "vmm/base/util.h"

static struct net_ring ring;

static int setup(void **state)
{
	(void)state;
	return net_ring_init(&ring, 4096);
}

static int teardown(void **state)
{
	(void)state;
	net_ring_finish(&ring);
	return 0;
}

static bool put(uint32_t number, size_t len)
{
	uint8_t *room = net_ring_room(&ring, len);

	if (!room)
		return false;
	memset(room, (int)(number & 0xff), len);
	net_ring_put(&ring, len);
	return true;
}

static void take(uint32_t number, size_t len)
{
	size_t got;
	const uint8_t *frame = net_ring_peek(&ring, &got);

	assert_non_null(frame);
	assert_int_equal(got, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(frame[i], number & 0xff);
	net_ring_take(&ring);
}

static void test_frames_come_out_whole_and_in_order(void **state)
{
	uint32_t first = 0, next = 0;
	size_t len;

	(void)state;
	/* Lengths that bring the end of the ring to every place inside a frame. */
	for (int round = 0; round < 5000; round++) {
		while (put(next, next * 37 % 1021))
			next++;
		assert_true(next > first);
		for (unsigned n = next * 7 % 5 + 1; n && first < next; n--, first++)
			take(first, first * 37 % 1021);
	}
	for (; first < next; first++)
		take(first, first * 37 % 1021);
	assert_null(net_ring_peek(&ring, &len));
	assert_int_equal(net_ring_used(&ring), 0);
}

static void test_a_full_ring_takes_no_more(void **state)
{
	(void)state;
	assert_null(net_ring_room(&ring, 4093));
	assert_true(put(1, 4092));
	assert_int_equal(net_ring_used(&ring), 4096);
	assert_false(put(2, 0));
	take(1, 4092);
	assert_true(put(3, 0));
	take(3, 0);
}

static void test_who_waits_is_woken_once(void **state)
{
	(void)state;
	assert_false(net_ring_wakes(&ring.taker_waits));
	net_ring_wait(&ring.taker_waits);
	assert_true(net_ring_wakes(&ring.taker_waits));
	assert_false(net_ring_wakes(&ring.taker_waits));
}

/* ---- Two threads ---- */

enum {
	FRAMES = 20000
};

static int putter_fd, taker_fd;

static void sleep_on(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	uint64_t count;

	/* A wake that is lost would last for ever; this ends it as a failure. */
	assert_int_equal(poll(&pollfd, 1, 60000), 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
}

static void wake(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void *put_all(void *opaque)
{
	(void)opaque;
	for (uint32_t n = 0; n < FRAMES; n++) {
		while (!put(n, n * 31 % 900)) {
			net_ring_wait(&ring.putter_waits);
			if (!net_ring_room(&ring, n * 31 % 900))
				sleep_on(putter_fd);
		}
		if (net_ring_wakes(&ring.taker_waits))
			wake(taker_fd);
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	pthread_t thread;
	size_t len;

	(void)state;
	putter_fd = eventfd(0, 0);
	taker_fd = eventfd(0, 0);
	assert_int_equal(pthread_create(&thread, NULL, put_all, NULL), 0);
	for (uint32_t n = 0; n < FRAMES; n++) {
		while (!net_ring_peek(&ring, &len)) {
			net_ring_wait(&ring.taker_waits);
			if (!net_ring_peek(&ring, &len))
				sleep_on(taker_fd);
		}
		take(n, n * 31 % 900);
		if (net_ring_wakes(&ring.putter_waits))
			wake(putter_fd);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(putter_fd);
	close(taker_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_frames_come_out_whole_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_ring_takes_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_waits_is_woken_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_threads, setup, teardown),
	};

	return cmocka_run_group_tests_name("net_ring", tests, NULL, NULL);
}
