/*
 * loop: what is called, in which order, on which thread, and what a callback may undo.
 * No test waits for a time to pass: deadlines are so near that the loop waits itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/loop.h"

/* Long enough to be a failure and not a slow machine. */
enum {
	WAIT_MS = 20000
};

struct order {
	char text[32];
	size_t len;
};

static struct loop *make(void)
{
	struct err err = ERR_INIT;
	struct loop *loop;

	assert_int_equal(loop_create(&loop, &err), 0);
	return loop;
}

/* ---- File descriptors ---- */

struct pipe_watch {
	struct loop_fd watch;
	int fds[2];
	unsigned calls;
	uint32_t events;
	struct loop_fd *victim; /* removed by the callback */
};

static void on_readable(void *opaque, uint32_t events)
{
	struct pipe_watch *pw = opaque;
	char byte;

	pw->calls++;
	pw->events = events;
	if (events & EPOLLIN)
		assert_int_equal(read(pw->fds[0], &byte, 1), 1);
	if (pw->victim)
		loop_fd_remove(pw->victim);
}

static void watch_pipe(struct loop *loop, struct pipe_watch *pw)
{
	*pw = (struct pipe_watch){0};
	assert_int_equal(pipe2(pw->fds, O_CLOEXEC | O_NONBLOCK), 0);
	pw->watch = (struct loop_fd){
		.fd = pw->fds[0], .events = EPOLLIN, .fn = on_readable, .opaque = pw};
	assert_int_equal(loop_fd_add(loop, &pw->watch), 0);
}

static void close_pipe(struct pipe_watch *pw)
{
	loop_fd_remove(&pw->watch);
	close(pw->fds[0]);
	if (pw->fds[1] >= 0)
		close(pw->fds[1]);
}

static void poke(struct pipe_watch *pw)
{
	assert_int_equal(write(pw->fds[1], "x", 1), 1);
}

static void test_fd_is_called_when_ready(void **state)
{
	struct loop *loop = make();
	struct pipe_watch pw;

	(void)state;
	watch_pipe(loop, &pw);
	loop_run_once(loop, 0);
	assert_int_equal(pw.calls, 0);
	poke(&pw);
	poke(&pw);
	loop_run_once(loop, WAIT_MS);
	loop_run_once(loop, WAIT_MS);
	assert_int_equal(pw.calls, 2);
	loop_run_once(loop, 0);
	assert_int_equal(pw.calls, 2);
	close_pipe(&pw);
	loop_destroy(loop);
}

static void test_fd_without_events_is_left_alone(void **state)
{
	struct loop *loop = make();
	struct pipe_watch pw;

	(void)state;
	watch_pipe(loop, &pw);
	loop_fd_set_events(&pw.watch, 0);
	poke(&pw);
	/* Not even a hang-up counts now. */
	close(pw.fds[1]);
	pw.fds[1] = -1;
	loop_run_once(loop, 0);
	assert_int_equal(pw.calls, 0);
	loop_fd_set_events(&pw.watch, EPOLLIN);
	loop_run_once(loop, WAIT_MS);
	assert_int_equal(pw.calls, 1);
	loop_run_once(loop, WAIT_MS);
	assert_int_equal(pw.calls, 2);
	assert_true(pw.events & EPOLLHUP);
	close_pipe(&pw);
	loop_destroy(loop);
}

static void test_callback_removes_itself_and_others(void **state)
{
	struct loop *loop = make();
	struct pipe_watch a, b;

	(void)state;
	watch_pipe(loop, &a);
	watch_pipe(loop, &b);
	/* Both are ready in one turn; whoever comes first takes the other away. */
	a.victim = &b.watch;
	b.victim = &a.watch;
	poke(&a);
	poke(&b);
	loop_run_once(loop, WAIT_MS);
	assert_int_equal(a.calls + b.calls, 1);
	loop_run_once(loop, 0);
	assert_int_equal(a.calls + b.calls, 1);
	loop_fd_remove(&a.watch);
	loop_fd_remove(&a.watch);
	close_pipe(&a);
	close_pipe(&b);

	watch_pipe(loop, &a);
	a.victim = &a.watch;
	poke(&a);
	poke(&a);
	loop_run_once(loop, WAIT_MS);
	loop_run_once(loop, 0);
	assert_int_equal(a.calls, 1);
	close_pipe(&a);
	loop_destroy(loop);
}

static void test_regular_file_is_refused(void **state)
{
	struct loop *loop = make();
	char path[] = "/tmp/vmm-test-loop-XXXXXX";
	struct loop_fd watch = {.events = EPOLLIN, .fn = on_readable};

	(void)state;
	watch.fd = mkstemp(path);
	assert_true(watch.fd >= 0);
	unlink(path);
	assert_int_equal(loop_fd_add(loop, &watch), -EPERM);
	loop_fd_remove(&watch);
	close(watch.fd);
	assert_int_equal(loop_fd_add(loop, &watch), -EBADF);
	loop_destroy(loop);
}

/* ---- Timers ---- */

struct letter {
	struct loop_timer timer;
	struct loop_task task;
	struct order *order;
	char name;
	struct loop *loop;
	unsigned again; /* how often it arms or posts itself once more */
	struct loop_timer *cancels;
};

static void write_letter(struct letter *letter)
{
	assert_true(letter->order->len + 1 < sizeof(letter->order->text));
	letter->order->text[letter->order->len++] = letter->name;
}

static void on_timer(void *opaque)
{
	struct letter *letter = opaque;

	write_letter(letter);
	if (letter->cancels)
		loop_timer_cancel(letter->cancels);
	if (letter->again && letter->again--)
		loop_timer_arm(letter->loop, &letter->timer, 0);
}

static void make_letters(struct loop *loop, struct order *order, struct letter *letters, size_t n)
{
	*order = (struct order){0};
	for (size_t i = 0; i < n; i++) {
		struct letter *letter = &letters[i];

		*letter = (struct letter){.order = order, .name = (char)('a' + i), .loop = loop};
		letter->timer.fn = on_timer;
		letter->timer.opaque = letter;
	}
}

static void run_until(struct loop *loop, const struct order *order, size_t len)
{
	while (order->len < len)
		assert_true(loop_run_once(loop, WAIT_MS));
}

static void test_timers_fire_in_order_of_deadline(void **state)
{
	struct loop *loop = make();
	struct letter l[4];
	struct order order;

	(void)state;
	make_letters(loop, &order, l, 4);
	loop_timer_arm(loop, &l[0].timer, 3000000);
	loop_timer_arm(loop, &l[1].timer, 1000000);
	loop_timer_arm(loop, &l[2].timer, 2000000);
	/* Armed again it moves; only the last deadline counts. */
	loop_timer_arm(loop, &l[3].timer, 1);
	loop_timer_arm(loop, &l[3].timer, 4000000);
	run_until(loop, &order, 4);
	loop_run_once(loop, 0);
	assert_int_equal(order.len, 4);
	/* bcad, unless this thread had to wait for a processor between the calls above. */
	for (unsigned i = 1; i < 4; i++)
		assert_true(l[order.text[i - 1] - 'a'].timer.deadline_ns <=
			l[order.text[i] - 'a'].timer.deadline_ns);
	loop_destroy(loop);
}

static void test_timer_never_fires_early(void **state)
{
	struct loop *loop = make();
	struct letter letter;
	struct order order;
	uint64_t start_ns;

	(void)state;
	make_letters(loop, &order, &letter, 1);
	start_ns = util_now_ns();
	loop_timer_arm(loop, &letter.timer, 2500000);
	run_until(loop, &order, 1);
	assert_true(util_now_ns() - start_ns >= 2500000);
	loop_destroy(loop);
}

static void test_cancelled_timer_does_not_fire(void **state)
{
	struct loop *loop = make();
	struct letter l[3];
	struct order order;

	(void)state;
	make_letters(loop, &order, l, 3);
	l[0].cancels = &l[1].timer; /* due in the same turn */
	for (unsigned i = 0; i < 3; i++)
		loop_timer_arm(loop, &l[i].timer, i);
	run_until(loop, &order, 2);
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "ac");
	loop_timer_cancel(&l[1].timer);
	loop_destroy(loop);
}

static void test_timer_may_arm_itself_again(void **state)
{
	struct loop *loop = make();
	struct letter letter;
	struct order order;

	(void)state;
	make_letters(loop, &order, &letter, 1);
	letter.again = 3;
	loop_timer_arm(loop, &letter.timer, 0);
	run_until(loop, &order, 4);
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "aaaa");
	loop_destroy(loop);
}

static void test_deadline_beyond_all_time(void **state)
{
	struct loop *loop = make();
	struct letter l[2];
	struct order order;

	(void)state;
	make_letters(loop, &order, l, 2);
	loop_timer_arm(loop, &l[0].timer, UINT64_MAX);
	loop_timer_arm(loop, &l[1].timer, 0);
	run_until(loop, &order, 1);
	assert_string_equal(order.text, "b");
	loop_timer_cancel(&l[0].timer);
	loop_destroy(loop);
}

/* ---- Tasks ---- */

static void on_task(void *opaque)
{
	struct letter *letter = opaque;

	write_letter(letter);
	if (letter->again && letter->again--)
		loop_post(letter->loop, &letter->task);
}

static void make_tasks(struct loop *loop, struct order *order, struct letter *letters, size_t n)
{
	make_letters(loop, order, letters, n);
	for (size_t i = 0; i < n; i++) {
		letters[i].task.fn = on_task;
		letters[i].task.opaque = &letters[i];
	}
}

static void test_tasks_run_once_in_order(void **state)
{
	struct loop *loop = make();
	struct letter l[3];
	struct order order;

	(void)state;
	make_tasks(loop, &order, l, 3);
	for (unsigned i = 0; i < 3; i++)
		loop_post(loop, &l[i].task);
	loop_post(loop, &l[0].task);
	loop_run_once(loop, WAIT_MS);
	assert_string_equal(order.text, "abc");
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "abc");
	loop_destroy(loop);
}

static void test_posted_by_a_task_waits_for_the_next_turn(void **state)
{
	struct loop *loop = make();
	struct letter l[2];
	struct order order;

	(void)state;
	make_tasks(loop, &order, l, 2);
	l[0].again = 2;
	loop_post(loop, &l[0].task);
	loop_post(loop, &l[1].task);
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "ab");
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "aba");
	loop_run_once(loop, 0);
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "abaa");
	loop_destroy(loop);
}

static void test_task_can_be_taken_back(void **state)
{
	struct loop *loop = make();
	struct letter l[3];
	struct order order;

	(void)state;
	make_tasks(loop, &order, l, 3);
	assert_false(loop_unpost(loop, &l[0].task));
	for (unsigned i = 0; i < 3; i++)
		loop_post(loop, &l[i].task);
	assert_true(loop_unpost(loop, &l[2].task)); /* the last: its end pointer moves */
	assert_true(loop_unpost(loop, &l[0].task));
	loop_post(loop, &l[0].task);
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "ba");
	assert_false(loop_unpost(loop, &l[1].task));
	loop_destroy(loop);
}

/* ---- Stop, locks, threads ---- */

struct stopper {
	struct loop *loop;
	struct loop_task task;
};

static void on_stop(void *opaque)
{
	struct stopper *stopper = opaque;

	loop_stop(stopper->loop, 7);
	loop_stop(stopper->loop, 8); /* the first value counts */
}

static void test_stop_ends_run_and_run_goes_on_later(void **state)
{
	struct loop *loop = make();
	struct stopper stopper = {.loop = loop, .task = {.fn = on_stop, .opaque = &stopper}};
	struct letter letter;
	struct order order;

	(void)state;
	make_tasks(loop, &order, &letter, 1);
	loop_post(loop, &stopper.task);
	assert_int_equal(loop_run(loop), 7);
	loop_post(loop, &letter.task);
	loop_run_once(loop, 0);
	assert_string_equal(order.text, "a");
	loop_post(loop, &stopper.task);
	assert_int_equal(loop_run(loop), 7);
	loop_destroy(loop);
}

struct locked {
	pthread_mutex_t lock;
	unsigned held; /* calls that had the lock */
	int fds[2];
};

static void note_lock(struct locked *locked)
{
	if (pthread_mutex_trylock(&locked->lock) == EBUSY)
		locked->held++;
	else
		pthread_mutex_unlock(&locked->lock);
}

static void on_locked(void *opaque)
{
	note_lock(opaque);
}

static void on_locked_fd(void *opaque, uint32_t events)
{
	struct locked *locked = opaque;
	char byte;

	(void)events;
	assert_int_equal(read(locked->fds[0], &byte, 1), 1);
	note_lock(locked);
}

static void test_callbacks_have_their_lock(void **state)
{
	struct loop *loop = make();
	struct locked locked = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct loop_task task = {.fn = on_locked, .opaque = &locked, .lock = &locked.lock};
	struct loop_timer timer = {.fn = on_locked, .opaque = &locked, .lock = &locked.lock};
	struct loop_fd watch = {.events = EPOLLIN, .fn = on_locked_fd, .opaque = &locked};

	(void)state;
	assert_int_equal(pipe2(locked.fds, O_CLOEXEC), 0);
	watch.fd = locked.fds[0];
	watch.lock = &locked.lock;
	assert_int_equal(loop_fd_add(loop, &watch), 0);
	assert_int_equal(write(locked.fds[1], "x", 1), 1);
	loop_post(loop, &task);
	loop_timer_arm(loop, &timer, 0);
	while (locked.held < 3)
		assert_true(loop_run_once(loop, WAIT_MS));
	loop_fd_remove(&watch);
	close(locked.fds[0]);
	close(locked.fds[1]);
	loop_destroy(loop);
}

enum {
	POSTERS = 4,
	POSTS = 200
};

struct crowd {
	struct loop *loop;
	pthread_mutex_t lock;
	unsigned runs; /* guarded by lock */
	struct poster {
		struct crowd *crowd;
		struct loop_task task;
		struct loop_timer timer;
		pthread_t thread;
		unsigned asked, run; /* run is guarded by the crowd's lock */
	} posters[POSTERS];
};

static void on_poster(void *opaque)
{
	struct poster *poster = opaque;

	poster->run++;
	poster->crowd->runs++;
}

/* Posts and waits for its run each time, so that nothing is merged, with timers in between. */
static void *post_often(void *opaque)
{
	struct poster *poster = opaque;
	struct crowd *crowd = poster->crowd;

	for (unsigned i = 0; i < POSTS; i++) {
		bool ran = false;

		if (i % 2)
			loop_post(crowd->loop, &poster->task);
		else
			loop_timer_arm(crowd->loop, &poster->timer, i);
		while (!ran) {
			pthread_mutex_lock(&crowd->lock);
			ran = poster->run == i + 1;
			pthread_mutex_unlock(&crowd->lock);
			if (!ran)
				usleep(50);
		}
	}
	return NULL;
}

static void test_nothing_posted_from_threads_is_lost(void **state)
{
	struct crowd crowd = {.loop = make(), .lock = PTHREAD_MUTEX_INITIALIZER};
	bool done = false;

	(void)state;
	for (unsigned i = 0; i < POSTERS; i++) {
		struct poster *poster = &crowd.posters[i];

		poster->crowd = &crowd;
		poster->task =
			(struct loop_task){.fn = on_poster, .opaque = poster, .lock = &crowd.lock};
		poster->timer =
			(struct loop_timer){.fn = on_poster, .opaque = poster, .lock = &crowd.lock};
		assert_int_equal(pthread_create(&poster->thread, NULL, post_often, poster), 0);
	}
	while (!done) {
		assert_true(loop_run_once(crowd.loop, WAIT_MS));
		pthread_mutex_lock(&crowd.lock);
		done = crowd.runs == POSTERS * POSTS;
		pthread_mutex_unlock(&crowd.lock);
	}
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(crowd.posters[i].thread, NULL);
	loop_destroy(crowd.loop);
}

static void *stop_from_outside(void *opaque)
{
	loop_stop(opaque, 42);
	return NULL;
}

static void test_stop_from_another_thread_wakes_the_loop(void **state)
{
	struct loop *loop = make();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, stop_from_outside, loop), 0);
	assert_int_equal(loop_run(loop), 42);
	pthread_join(thread, NULL);
	loop_destroy(loop);
	loop_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fd_is_called_when_ready),
		cmocka_unit_test(test_fd_without_events_is_left_alone),
		cmocka_unit_test(test_callback_removes_itself_and_others),
		cmocka_unit_test(test_regular_file_is_refused),
		cmocka_unit_test(test_timers_fire_in_order_of_deadline),
		cmocka_unit_test(test_timer_never_fires_early),
		cmocka_unit_test(test_cancelled_timer_does_not_fire),
		cmocka_unit_test(test_timer_may_arm_itself_again),
		cmocka_unit_test(test_deadline_beyond_all_time),
		cmocka_unit_test(test_tasks_run_once_in_order),
		cmocka_unit_test(test_posted_by_a_task_waits_for_the_next_turn),
		cmocka_unit_test(test_task_can_be_taken_back),
		cmocka_unit_test(test_stop_ends_run_and_run_goes_on_later),
		cmocka_unit_test(test_callbacks_have_their_lock),
		cmocka_unit_test(test_nothing_posted_from_threads_is_lost),
		cmocka_unit_test(test_stop_from_another_thread_wakes_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
