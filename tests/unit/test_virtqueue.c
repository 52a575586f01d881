/*
 * virtqueue: requests come out of guest memory checked, and no ring that breaks the rules
 * gets through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "devices/virtio/virtqueue.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

#define INDIRECT (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENTS	 (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)

enum {
	SIZE = 8,
	MAX_SIZE = 16,
	AVAIL_WORDS = 2,
	USED_WORDS = 4,
};

/* RAM in two pieces: [0, 1 MiB) and [2 MiB, 3 MiB). */
#define HOLE_START MIB
#define HIGH_BASE  (2 * MIB)
#define HIGH_END   (3 * MIB)

struct fixture {
	struct fake_machine *fm;
	struct fake_driver driver;
	struct fake_vq *vq;
	struct virtq queue;
	struct virtq_config config;
	gpa_t data;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fm = fake_machine_create_split(2 * MIB, HOLE_START, HIGH_BASE);
	f->driver = (struct fake_driver){.fm = f->fm, .heap = 4096, .heap_end = HOLE_START};
	f->vq = &f->driver.queues[0];
	fake_vq_create(&f->driver, 0, SIZE);
	f->data = fake_driver_alloc(&f->driver, 65536, 4096);
	f->config = (struct virtq_config){.size = SIZE,
		.desc = f->vq->desc_gpa,
		.avail = f->vq->avail_gpa,
		.used = f->vq->used_gpa};
	virtq_init(&f->queue, &f->fm->mem, MAX_SIZE, sizeof(struct virtq_req));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtq_finish(&f->queue);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static void enable(struct fixture *f, uint64_t features)
{
	f->driver.features = features;
	assert_null(virtq_enable(&f->queue, &f->config, features));
}

static void set_desc(struct vring_desc *desc, gpa_t addr, uint32_t len, int flags, uint16_t next)
{
	*desc = (struct vring_desc){
		.addr = addr, .len = len, .flags = (uint16_t)flags, .next = next};
}

static struct virtq_req *pop(struct fixture *f)
{
	struct virtq_req *req = NULL;

	assert_int_equal(virtq_pop(&f->queue, &req), 1);
	assert_non_null(req);
	return req;
}

static void expect_broken(struct fixture *f)
{
	struct virtq_req *req = NULL;

	assert_int_equal(virtq_pop(&f->queue, &req), -EPROTO);
	assert_null(req);
	assert_non_null(f->queue.broken);
	/* And it stays so, whatever comes. */
	fake_vq_publish(f->vq, 0);
	assert_int_equal(virtq_pop(&f->queue, &req), -EPROTO);
	assert_false(virtq_enable_kicks(&f->queue));
	assert_int_equal(f->queue.in_flight, 0);
}

/* ---- Enabling ---- */

static void test_bad_sizes_are_refused(void **state)
{
	static const unsigned sizes[] = {0, 3, 7, MAX_SIZE * 2, VIRTQ_SIZE_MAX, 1U << 31};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		f->config.size = sizes[i];
		assert_non_null(virtq_enable(&f->queue, &f->config, 0));
		assert_false(f->queue.ready);
	}
}

static void test_rings_lie_in_ram_and_aligned(void **state)
{
	static const gpa_t bad[] = {0x1001, HOLE_START, HOLE_START - 16, HIGH_BASE - 16, HIGH_END,
		UINT64_MAX - 15, UINT64_C(1) << 63};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct virtq_config config = f->config;

		config.desc = bad[i];
		assert_non_null(virtq_enable(&f->queue, &config, 0));
		config = f->config;
		config.avail = bad[i];
		assert_non_null(virtq_enable(&f->queue, &config, 0));
		config = f->config;
		config.used = bad[i];
		assert_non_null(virtq_enable(&f->queue, &config, 0));
	}
	f->config.used = f->vq->used_gpa + 2;
	assert_non_null(virtq_enable(&f->queue, &f->config, 0));
}

static void test_event_words_count_only_when_negotiated(void **state)
{
	struct fixture *f = *state;

	f->config.avail = HIGH_END - (AVAIL_WORDS + SIZE) * sizeof(uint16_t);
	assert_non_null(virtq_enable(&f->queue, &f->config, EVENTS));
	assert_null(virtq_enable(&f->queue, &f->config, 0));
}

/* ---- Good requests ---- */

static void test_chain_becomes_iovecs(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffers[] = {{f->data, 16, false}, {HIGH_BASE, 100, false},
		{f->data + 4096, 512, true}, {f->data + 8192, 1, true}};
	struct virtq_req *req;
	unsigned head, taken;
	uint32_t len;

	enable(f, 0);
	assert_int_equal(virtq_pop(&f->queue, &req), 0);
	head = fake_vq_add(&f->driver, 0, buffers, 4, 0);
	req = pop(f);
	assert_int_equal(req->readable_count, 2);
	assert_int_equal(req->writable_count, 2);
	assert_int_equal(req->readable_bytes, 116);
	assert_int_equal(req->writable_bytes, 513);
	assert_ptr_equal(req->readable[1].iov_base, fake_driver_host(&f->driver, HIGH_BASE, 100));
	assert_ptr_equal(
		req->writable[0].iov_base, fake_driver_host(&f->driver, f->data + 4096, 512));
	assert_int_equal(virtq_pop(&f->queue, &req), 0);
	virtq_push(&f->queue, req, 513);
	assert_true(fake_vq_take(&f->driver, 0, &taken, &len));
	assert_int_equal(taken, head);
	assert_int_equal(len, 513);
}

static void test_indirect_table_is_followed(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffers[MAX_SIZE];
	gpa_t table = fake_driver_alloc(&f->driver, sizeof(struct vring_desc) * MAX_SIZE, 1);
	struct virtq_req *req;

	/* Longer than the queue, as drivers make them, and at the longest that is possible. */
	for (unsigned i = 0; i < MAX_SIZE; i++)
		buffers[i] = (struct fake_buffer){f->data + i * 512, 512, i >= MAX_SIZE / 2};
	enable(f, INDIRECT);
	fake_vq_add(&f->driver, 0, buffers, MAX_SIZE, table);
	req = pop(f);
	assert_int_equal(req->readable_count, MAX_SIZE / 2);
	assert_int_equal(req->writable_count, MAX_SIZE / 2);
	virtq_push(&f->queue, req, 0);
}

static void test_direct_descriptors_may_lead_to_a_table(void **state)
{
	struct fixture *f = *state;
	struct vring_desc *table =
		fake_driver_host(&f->driver, f->data + 4096, sizeof(struct vring_desc));
	struct virtq_req *req;

	enable(f, INDIRECT);
	set_desc(&f->vq->desc[0], f->data, 16, VRING_DESC_F_NEXT, 3);
	/* The write flag of a table means nothing. */
	set_desc(&f->vq->desc[3], f->data + 4096, sizeof(*table),
		VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	set_desc(table, f->data + 8192, 32, 0, 0);
	fake_vq_publish(f->vq, 0);
	req = pop(f);
	assert_int_equal(req->readable_bytes, 48);
	assert_int_equal(req->writable_bytes, 0);
	virtq_push(&f->queue, req, 0);
}

static void test_empty_buffers_are_left_out(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffers[] = {
		{UINT64_MAX, 0, false}, {f->data, 5, false}, {HOLE_START, 0, true}};
	struct virtq_req *req;

	enable(f, 0);
	fake_vq_add(&f->driver, 0, buffers, 3, 0);
	req = pop(f);
	assert_int_equal(req->readable_count, 1);
	assert_int_equal(req->writable_count, 0);
	virtq_push(&f->queue, req, 0);
}

static void test_longest_chain_fits(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffers[SIZE];
	struct virtq_req *req;

	for (unsigned i = 0; i < SIZE; i++)
		buffers[i] = (struct fake_buffer){f->data, 1, false};
	enable(f, 0);
	fake_vq_add(&f->driver, 0, buffers, SIZE, 0);
	req = pop(f);
	assert_int_equal(req->readable_count, SIZE);
	virtq_push(&f->queue, req, 0);
}

static void test_guest_can_not_change_a_request_it_has_made(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, false};
	struct virtq_req *req;
	unsigned head;

	enable(f, 0);
	head = fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	req = pop(f);
	set_desc(&f->vq->desc[head], UINT64_MAX, UINT32_MAX, 0, 0);
	assert_int_equal(req->readable[0].iov_len, 16);
	assert_ptr_equal(req->readable[0].iov_base, fake_driver_host(&f->driver, f->data, 16));
	virtq_push(&f->queue, req, 0);
}

static void test_indices_wrap(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, true};
	struct virtq_req *req;
	unsigned head;
	uint32_t len;

	enable(f, EVENTS);
	for (unsigned i = 0; i < 70000; i++) {
		fake_vq_add(&f->driver, 0, &buffer, 1, 0);
		req = pop(f);
		virtq_push(&f->queue, req, i);
		assert_true(fake_vq_take(&f->driver, 0, &head, &len));
		assert_int_equal(len, i);
	}
	assert_int_equal(f->queue.in_flight, 0);
}

/* ---- Hostile rings ---- */

static void test_available_entry_out_of_range(void **state)
{
	struct fixture *f = *state;

	enable(f, 0);
	fake_vq_publish(f->vq, SIZE);
	expect_broken(f);
}

static void test_available_index_jumps(void **state)
{
	struct fixture *f = *state;

	enable(f, 0);
	f->vq->avail[1] = SIZE + 1;
	expect_broken(f);
}

static void test_descriptor_in_use_is_offered_again(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, false};
	struct virtq_req *req, *again = NULL;
	unsigned head;

	enable(f, 0);
	head = fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	req = pop(f);
	fake_vq_publish(f->vq, (uint16_t)head);
	assert_int_equal(virtq_pop(&f->queue, &again), -EPROTO);
	/* What is in flight can still be given back. */
	virtq_push(&f->queue, req, 0);
	assert_int_equal(fake_vq_used_count(f->vq), 1);
}

/* One descriptor, or two, that must never become a request. */
struct hostile {
	const char *name;
	uint64_t features;
	struct vring_desc desc[2];
};

static void test_hostile_descriptors(void **state)
{
	enum {
		NEXT = VRING_DESC_F_NEXT,
		WRITE = VRING_DESC_F_WRITE,
		TABLE = VRING_DESC_F_INDIRECT,
	};
	static const struct hostile cases[] = {
		{"next out of range", 0, {{0x8000, 16, NEXT, SIZE}}},
		{"next far out of range", 0, {{0x8000, 16, NEXT, 0xffff}}},
		{"chain to itself", 0, {{0x8000, 16, NEXT, 0}}},
		{"loop of two", 0, {{0x8000, 16, NEXT, 1}, {0x8000, 16, NEXT, 0}}},
		{"loop of empty ones", 0, {{0x8000, 0, NEXT, 1}, {0x8000, 0, NEXT, 0}}},
		{"readable behind writable", 0,
			{{0x8000, 16, NEXT | WRITE, 1}, {0x8000, 16, 0, 0}}},
		{"in the hole", 0, {{HOLE_START, 16, 0, 0}}},
		{"into the hole", 0, {{HOLE_START - 8, 16, 0, 0}}},
		{"out of the hole", 0, {{HIGH_BASE - 8, 16, 0, 0}}},
		{"over the hole", 0, {{HOLE_START - 8, 1 * MIB + 16, 0, 0}}},
		{"beyond the end", 0, {{HIGH_END - 8, 16, WRITE, 0}}},
		{"wraps", 0, {{UINT64_MAX - 7, 16, WRITE, 0}}},
		{"wraps by its length", 0, {{0x8000, UINT32_MAX, WRITE, 0}}},
		{"table not negotiated", 0, {{0x8000, 16, TABLE, 0}}},
		{"table and next", INDIRECT, {{0x8000, 16, TABLE | NEXT, 1}, {0x8000, 16, 0, 0}}},
		{"table without entries", INDIRECT, {{0x8000, 0, TABLE, 0}}},
		{"table with half an entry", INDIRECT, {{0x8000, 24, TABLE, 0}}},
		{"table too long", INDIRECT, {{0x8000, 16 * (MAX_SIZE + 1), TABLE, 0}}},
		{"table of 4 GiB", INDIRECT, {{0, UINT32_MAX & ~15U, TABLE, 0}}},
		{"table in the hole", INDIRECT, {{HOLE_START, 16, TABLE, 0}}},
		{"table into the hole", INDIRECT, {{HOLE_START - 16, 32, TABLE, 0}}},
		{"table wraps", INDIRECT, {{UINT64_MAX - 15, 32, TABLE, 0}}},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("  %s\n", cases[i].name);
		fake_vq_create(&f->driver, 0, SIZE);
		f->config.desc = f->vq->desc_gpa;
		f->config.avail = f->vq->avail_gpa;
		f->config.used = f->vq->used_gpa;
		enable(f, cases[i].features);
		memcpy(f->vq->desc, cases[i].desc, sizeof(cases[i].desc));
		fake_vq_publish(f->vq, 0);
		expect_broken(f);
		virtq_disable(&f->queue);
	}
}

static void test_hostile_tables(void **state)
{
	static const struct hostile cases[] = {
		{"table in a table", INDIRECT, {{0x8000, 16, VRING_DESC_F_INDIRECT, 0}}},
		{"next out of range", INDIRECT, {{0x8000, 16, VRING_DESC_F_NEXT, 2}}},
		{"loop", INDIRECT,
			{{0x8000, 16, VRING_DESC_F_NEXT, 1}, {0x8000, 16, VRING_DESC_F_NEXT, 0}}},
		{"not in RAM", INDIRECT, {{HOLE_START, 1, 0, 0}}},
		{"readable behind writable", INDIRECT,
			{{0x8000, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1},
				{0x8000, 16, 0, 0}}},
	};
	struct fixture *f = *state;
	struct vring_desc *table =
		fake_driver_host(&f->driver, f->data, 2 * sizeof(struct vring_desc));

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("  %s\n", cases[i].name);
		fake_vq_create(&f->driver, 0, SIZE);
		f->config.desc = f->vq->desc_gpa;
		f->config.avail = f->vq->avail_gpa;
		f->config.used = f->vq->used_gpa;
		enable(f, INDIRECT);
		memcpy(table, cases[i].desc, sizeof(cases[i].desc));
		set_desc(&f->vq->desc[0], f->data, sizeof(cases[i].desc), VRING_DESC_F_INDIRECT, 0);
		fake_vq_publish(f->vq, 0);
		expect_broken(f);
		virtq_disable(&f->queue);
	}
}

static void test_disabling_heals(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, false};

	enable(f, 0);
	fake_vq_publish(f->vq, SIZE);
	expect_broken(f);
	virtq_disable(&f->queue);
	fake_vq_create(&f->driver, 0, SIZE);
	f->config.desc = f->vq->desc_gpa;
	f->config.avail = f->vq->avail_gpa;
	f->config.used = f->vq->used_gpa;
	enable(f, 0);
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	virtq_push(&f->queue, pop(f), 0);
}

/* ---- Suppression ---- */

static void push_some(struct fixture *f, unsigned count)
{
	const struct fake_buffer buffer = {f->data, 16, true};
	unsigned head;
	uint32_t len;

	for (unsigned i = 0; i < count; i++) {
		fake_vq_add(&f->driver, 0, &buffer, 1, 0);
		virtq_push(&f->queue, pop(f), 0);
		assert_true(fake_vq_take(&f->driver, 0, &head, &len));
	}
}

static void test_interrupts_by_flag(void **state)
{
	struct fixture *f = *state;

	enable(f, 0);
	push_some(f, 1);
	assert_true(virtq_should_notify(&f->queue));
	f->vq->avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	push_some(f, 1);
	assert_false(virtq_should_notify(&f->queue));
}

static void test_interrupts_by_event_index(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event = &f->vq->avail[AVAIL_WORDS + SIZE];

	enable(f, EVENTS);
	/* The flag means nothing here. */
	f->vq->avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	push_some(f, 1);
	assert_true(virtq_should_notify(&f->queue));
	/* "When entry 3 is filled": not before, once, not again. */
	*used_event = 3;
	push_some(f, 2);
	assert_false(virtq_should_notify(&f->queue));
	push_some(f, 2);
	assert_true(virtq_should_notify(&f->queue));
	push_some(f, 1);
	assert_false(virtq_should_notify(&f->queue));
}

static void test_kicks_by_flag(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, true};

	enable(f, 0);
	virtq_disable_kicks(&f->queue);
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	assert_false(fake_vq_needs_kick(&f->driver, 0));
	/* It came while kicks were off, so there will be none. */
	assert_true(virtq_enable_kicks(&f->queue));
	virtq_push(&f->queue, pop(f), 0);
	assert_false(virtq_enable_kicks(&f->queue));
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	assert_true(fake_vq_needs_kick(&f->driver, 0));
}

static void test_kicks_by_event_index(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, true};

	enable(f, EVENTS);
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	assert_true(fake_vq_needs_kick(&f->driver, 0));
	virtq_disable_kicks(&f->queue);
	virtq_push(&f->queue, pop(f), 0);
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	assert_false(fake_vq_needs_kick(&f->driver, 0));
	assert_true(virtq_enable_kicks(&f->queue));
	virtq_push(&f->queue, pop(f), 0);
	assert_false(virtq_enable_kicks(&f->queue));
	fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	assert_true(fake_vq_needs_kick(&f->driver, 0));
}

/* ---- Bytes ---- */

static void test_copies_span_iovecs_and_stop_at_the_end(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffers[] = {{f->data, 3, false}, {f->data + 100, 5, false},
		{f->data + 200, 2, true}, {f->data + 300, 4, true}};
	uint8_t bytes[16] = {0};
	struct virtq_req *req;

	enable(f, 0);
	memcpy(fake_driver_host(&f->driver, f->data, 3), "abc", 3);
	memcpy(fake_driver_host(&f->driver, f->data + 100, 5), "defgh", 5);
	fake_vq_add(&f->driver, 0, buffers, 4, 0);
	req = pop(f);
	assert_int_equal(virtq_copy_from(req, 2, bytes, 4), 4);
	assert_memory_equal(bytes, "cdef", 4);
	assert_int_equal(virtq_copy_from(req, 6, bytes, sizeof(bytes)), 2);
	assert_int_equal(virtq_copy_from(req, 8, bytes, 1), 0);
	assert_int_equal(virtq_copy_from(req, UINT64_MAX, bytes, 1), 0);
	assert_int_equal(virtq_copy_to(req, 1, "12345678", 8), 5);
	assert_memory_equal(fake_driver_host(&f->driver, f->data + 200, 3), "\0001\0", 3);
	assert_memory_equal(fake_driver_host(&f->driver, f->data + 300, 5), "2345\0", 5);
	virtq_push(&f->queue, req, 0);
}

static void test_requests_can_be_trimmed(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffers[] = {{f->data, 3, false}, {f->data + 100, 5, false},
		{f->data + 200, 2, true}, {f->data + 300, 4, true}};
	struct virtq_req *req;

	enable(f, 0);
	fake_vq_add(&f->driver, 0, buffers, 4, 0);
	req = pop(f);
	virtq_skip_readable(req, 4);
	assert_int_equal(req->readable_count, 1);
	assert_int_equal(req->readable_bytes, 4);
	assert_ptr_equal(req->readable[0].iov_base, fake_driver_host(&f->driver, f->data + 101, 4));
	virtq_cut_writable(req, 1);
	assert_int_equal(req->writable[1].iov_len, 3);
	virtq_cut_writable(req, 3);
	assert_int_equal(req->writable_count, 1);
	assert_int_equal(req->writable_bytes, 2);
	virtq_cut_writable(req, 100);
	virtq_skip_readable(req, 100);
	assert_int_equal(req->writable_count + req->readable_count, 0);
	assert_int_equal(req->writable_bytes + req->readable_bytes, 0);
	virtq_push(&f->queue, req, 0);
}

/* ---- Back into the ring, and given back together ---- */

static void test_unpopped_requests_come_again(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, true};
	struct virtq_req *reqs[3];
	unsigned heads[3];

	enable(f, 0);
	/* Often enough for all indices to wrap. */
	for (unsigned round = 0; round < 30000; round++) {
		for (unsigned i = 0; i < 3; i++)
			heads[i] = fake_vq_add(&f->driver, 0, &buffer, 1, 0);
		for (unsigned i = 0; i < 3; i++)
			reqs[i] = pop(f);
		for (unsigned i = 3; i-- > 1;)
			virtq_unpop(&f->queue, reqs[i]);
		assert_int_equal(f->queue.in_flight, 1);
		for (unsigned i = 1; i < 3; i++) {
			reqs[i] = pop(f);
			assert_int_equal(reqs[i]->head, heads[i]);
			assert_int_equal(reqs[i]->writable_bytes, 16);
		}
		for (unsigned i = 0; i < 3; i++) {
			uint32_t len;

			virtq_push(&f->queue, reqs[i], 1);
			assert_true(fake_vq_take(&f->driver, 0, &heads[i], &len));
		}
	}
	assert_null(f->queue.broken);
}

/* The guest may have changed it meanwhile: what counts is there now, checked as ever. */
static void test_unpopped_request_is_checked_anew(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, true};
	struct virtq_req *req = NULL;
	unsigned head;

	enable(f, 0);
	head = fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	req = pop(f);
	virtq_unpop(&f->queue, req);
	f->vq->desc[head].len = 32;
	req = pop(f);
	assert_int_equal(req->writable_bytes, 32);
	virtq_unpop(&f->queue, req);
	assert_true(virtq_enable_kicks(&f->queue));
	virtq_disable(&f->queue);
	enable(f, 0);
	f->vq->avail[AVAIL_WORDS] = SIZE;
	req = NULL;
	expect_broken(f);
}

static void test_filled_requests_are_seen_together(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer buffer = {f->data, 16, true};
	struct virtq_req *reqs[3];

	enable(f, 0);
	for (unsigned i = 0; i < 3; i++)
		fake_vq_add(&f->driver, 0, &buffer, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		reqs[i] = pop(f);
	for (unsigned i = 0; i < 3; i++) {
		virtq_fill(&f->queue, reqs[i], 10 + i);
		assert_int_equal(fake_vq_used_count(f->vq), 0);
	}
	assert_int_equal(f->queue.in_flight, 0);
	virtq_publish(&f->queue);
	for (unsigned i = 0; i < 3; i++) {
		unsigned head;
		uint32_t len;

		assert_true(fake_vq_take(&f->driver, 0, &head, &len));
		assert_int_equal(len, 10 + i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_sizes_are_refused),
		TEST(rings_lie_in_ram_and_aligned),
		TEST(event_words_count_only_when_negotiated),
		TEST(chain_becomes_iovecs),
		TEST(indirect_table_is_followed),
		TEST(direct_descriptors_may_lead_to_a_table),
		TEST(empty_buffers_are_left_out),
		TEST(longest_chain_fits),
		TEST(guest_can_not_change_a_request_it_has_made),
		TEST(indices_wrap),
		TEST(available_entry_out_of_range),
		TEST(available_index_jumps),
		TEST(descriptor_in_use_is_offered_again),
		TEST(hostile_descriptors),
		TEST(hostile_tables),
		TEST(disabling_heals),
		TEST(interrupts_by_flag),
		TEST(interrupts_by_event_index),
		TEST(kicks_by_flag),
		TEST(kicks_by_event_index),
		TEST(unpopped_requests_come_again),
		TEST(unpopped_request_is_checked_anew),
		TEST(filled_requests_are_seen_together),
		TEST(copies_span_iovecs_and_stop_at_the_end),
		TEST(requests_can_be_trimmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
