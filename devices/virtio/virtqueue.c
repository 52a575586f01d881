/*
 * See virtqueue.h. VIRTIO 1.2: 2.7.5 descriptor table, 2.7.6 available ring, 2.7.7
 * used buffer notification suppression, 2.7.8 used ring, 2.7.10 available buffer notification
 * suppression, 2.7.13 and 2.7.14 order of memory accesses.
 *
 * Layout of the rings in 16-bit words:
 *	available: flags, idx, ring[size], used_event
 *	used:      flags, idx, {id, id, len, len}[size], avail_event
 *
 * Threats, each of which leaves the ring broken (tests: hostile_descriptors and others)
 *   what the guest can write            limit                                      where
 *   indices out of range                compared with the table's size             walk_chain, take
 *   loops, endless chains               length of the queue, of the longest table  walk_chain
 *   buffers outside RAM, over the hole  gmem_ptr() with the length                 add_buffer
 *   tables in tables, odd tables        refused                                    enter_indirect
 *   idx that runs ahead                 at most one ring                           virtq_pop
 *   a head that is still in use         one slot for each head                     take
 *   changes after the check             each descriptor is copied once             copy_once
 */
#include "devices/virtio/virtqueue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "vmm/base/util.h"

enum {
	FLAGS = 0, /* words */
	IDX = 1,
	RING = 2,
	USED_WORDS = sizeof(struct vring_used_elem) / 2,
};

/* The words of guest memory: the compiler must not fetch one twice or store it in parts. */
static uint16_t load_word(const uint16_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store_word(uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Pairs with the driver's write barrier before it raises idx: what the entries say is there. */
static uint16_t load_avail_idx(const struct virtq *queue)
{
	return __atomic_load_n(&queue->avail[IDX], __ATOMIC_ACQUIRE);
}

/* A copy that is made here and not fetched again later from memory the guest may change. */
static void copy_once(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ volatile("" ::: "memory");
}

/*
 * No load after it passes a store before it. As Linux does it on x86: cheaper than mfence,
 * and not a fence that a thread sanitizer would have to understand.
 */
static void full_barrier(void)
{
	__asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
}

static struct virtq_req *slot(const struct virtq *queue, unsigned head)
{
	return (struct virtq_req *)(void *)(queue->slots + head * queue->request_bytes);
}

/* ---- Setting up ---- */

void virtq_init(
	struct virtq *queue, const struct gmem *mem, unsigned max_size, size_t request_bytes)
{
	ASSERT(util_is_power_of_two(max_size) && max_size <= VIRTQ_SIZE_MAX);
	ASSERT(request_bytes >= sizeof(struct virtq_req));
	*queue = (struct virtq){.mem = mem,
		.max_size = max_size,
		.request_bytes = util_align_up(request_bytes, _Alignof(max_align_t))};
}

void virtq_finish(struct virtq *queue)
{
	free(queue->slots);
	free(queue->iovecs);
	queue->slots = NULL;
	queue->iovecs = NULL;
}

/* Large and mostly never touched: not even by zeros, the host fills in the pages that get used. */
static bool make_slots(struct virtq *queue)
{
	if (queue->slots)
		return true;
	queue->slots = calloc(queue->max_size, queue->request_bytes);
	queue->iovecs = reallocarray(
		NULL, (size_t)queue->max_size * queue->max_size, sizeof(*queue->iovecs));
	if (queue->slots && queue->iovecs)
		return true;
	virtq_finish(queue);
	return false;
}

static void *map_area(const struct virtq *queue, gpa_t gpa, uint64_t align, uint64_t len)
{
	return gpa % align ? NULL : gmem_ptr(queue->mem, gpa, len);
}

const char *virtq_enable(struct virtq *queue, const struct virtq_config *config, uint64_t features)
{
	bool event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	/* The words for the event indices are there only if they are used. */
	uint64_t event_bytes = event_idx ? sizeof(uint16_t) : 0, size = config->size;

	ASSERT(!queue->ready && !queue->in_flight);
	if (!util_is_power_of_two(size) || size > queue->max_size)
		return "its size is no power of two or too large";
	queue->desc = map_area(
		queue, config->desc, VRING_DESC_ALIGN_SIZE, size * sizeof(struct vring_desc));
	queue->avail = map_area(queue, config->avail, VRING_AVAIL_ALIGN_SIZE,
		(RING + size) * sizeof(uint16_t) + event_bytes);
	queue->used = map_area(queue, config->used, VRING_USED_ALIGN_SIZE,
		RING * sizeof(uint16_t) + size * sizeof(struct vring_used_elem) + event_bytes);
	if (!queue->desc || !queue->avail || !queue->used)
		return "a ring is not in RAM or not aligned";
	if (!make_slots(queue))
		return "the host has no memory for it";
	queue->size = config->size;
	queue->event_idx = event_idx;
	queue->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	queue->last_avail = 0;
	queue->next_used = 0;
	queue->signalled_valid = false;
	queue->broken = NULL;
	queue->ready = true;
	return NULL;
}

void virtq_resume(struct virtq *queue, uint16_t next)
{
	ASSERT(queue->ready && !queue->in_flight);
	/* All that was taken was given back, so that both rings are equally far. */
	queue->last_avail = next;
	queue->next_used = next;
	queue->signalled_valid = false;
}

void virtq_disable(struct virtq *queue)
{
	ASSERT(!queue->in_flight);
	queue->ready = false;
	queue->broken = NULL;
}

/* ---- Taking requests ---- */

/* The table that a chain is being followed in: the queue's, or an indirect one. */
struct table {
	const uint8_t *descs;
	unsigned count;
	bool is_indirect;
};

static const char *enter_indirect(
	const struct virtq *queue, const struct vring_desc *desc, struct table *table)
{
	unsigned count = desc->len / (unsigned)sizeof(*desc);

	if (!queue->indirect)
		return "an indirect descriptor, which was not negotiated";
	if (table->is_indirect)
		return "an indirect table inside an indirect table";
	if (desc->flags & VRING_DESC_F_NEXT)
		return "a descriptor that is indirect and goes on";
	if (!count || desc->len % sizeof(*desc) || count > queue->max_size)
		return "an indirect table of a wrong length";
	table->descs = gmem_ptr(queue->mem, desc->addr, desc->len);
	if (!table->descs)
		return "an indirect table that is not in RAM";
	table->count = count;
	table->is_indirect = true;
	return NULL;
}

static const char *add_buffer(
	const struct virtq *queue, struct virtq_req *req, const struct vring_desc *desc)
{
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	struct iovec *iov = &req->readable[req->readable_count + req->writable_count];
	void *host;

	if (!writable && req->writable_count)
		return "a readable buffer behind a writable one";
	/* Nothing to transfer, so the address means nothing. */
	if (!desc->len)
		return NULL;
	host = gmem_ptr(queue->mem, desc->addr, desc->len);
	if (!host)
		return "a buffer that is not in RAM";
	*iov = (struct iovec){host, desc->len};
	if (writable) {
		req->writable_count++;
		req->writable_bytes += desc->len;
	} else {
		req->readable_count++;
		req->readable_bytes += desc->len;
	}
	return NULL;
}

/*
 * Follows the chain from `head`. A loop in it ends the walk as soon as it is longer than a
 * chain can be: the queue, or with an indirect table, which drivers make longer than a
 * short queue, the longest queue.
 */
static const char *walk_chain(const struct virtq *queue, struct virtq_req *req, unsigned head)
{
	struct table table = {.descs = queue->desc, .count = queue->size};
	unsigned index = head, walked = 0;
	struct vring_desc desc;
	const char *wrong;

	for (;;) {
		if (index >= table.count)
			return "a descriptor index out of range";
		copy_once(&desc, table.descs + index * sizeof(desc), sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			wrong = enter_indirect(queue, &desc, &table);
			if (wrong)
				return wrong;
			index = 0;
			continue;
		}
		if (++walked > (table.is_indirect ? queue->max_size : queue->size))
			return "a chain that is too long or a loop";
		wrong = add_buffer(queue, req, &desc);
		if (wrong)
			return wrong;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return NULL;
		index = desc.next;
	}
}

static const char *take(struct virtq *queue, unsigned head, struct virtq_req **out)
{
	struct virtq_req *req;
	const char *wrong;

	if (head >= queue->size)
		return "an available entry out of range";
	req = slot(queue, head);
	if (req->busy)
		return "a descriptor that is still in use";
	req->readable = queue->iovecs + (size_t)head * queue->max_size;
	req->readable_count = req->writable_count = 0;
	req->readable_bytes = req->writable_bytes = 0;
	req->head = (uint16_t)head;
	wrong = walk_chain(queue, req, head);
	if (wrong)
		return wrong;
	req->writable = req->readable + req->readable_count;
	req->busy = true;
	*out = req;
	return NULL;
}

int virtq_pop(struct virtq *queue, struct virtq_req **req)
{
	uint16_t waiting;

	ASSERT(queue->ready);
	if (queue->broken)
		return -EPROTO;
	waiting = (uint16_t)(load_avail_idx(queue) - queue->last_avail);
	if (!waiting)
		return 0;
	if (waiting > queue->size)
		queue->broken = "more requests than the ring has room for";
	else
		queue->broken = take(queue,
			load_word(&queue->avail[RING + queue->last_avail % queue->size]), req);
	if (queue->broken)
		return -EPROTO;
	(*req)->position = queue->last_avail;
	queue->last_avail++;
	queue->in_flight++;
	return 1;
}

/* ---- Giving them back ---- */

void virtq_forget(struct virtq *queue, struct virtq_req *req)
{
	ASSERT(queue->ready && req->busy && queue->in_flight);
	req->busy = false;
	queue->in_flight--;
}

bool virtq_can_unpop(const struct virtq *queue, const struct virtq_req *req)
{
	return req->position == (uint16_t)(queue->last_avail - 1);
}

void virtq_unpop(struct virtq *queue, struct virtq_req *req)
{
	/* Ours alone: the guest's rings have no say in it. */
	ASSERT(virtq_can_unpop(queue, req));
	virtq_forget(queue, req);
	queue->last_avail--;
}

void virtq_fill(struct virtq *queue, struct virtq_req *req, uint32_t written)
{
	uint16_t *entry = queue->used + RING + queue->next_used % queue->size * USED_WORDS;
	struct vring_used_elem elem = {.id = req->head, .len = written};

	virtq_forget(queue, req);
	memcpy(entry, &elem, sizeof(elem));
	queue->next_used++;
}

void virtq_publish(struct virtq *queue)
{
	/* Pairs with the driver's read barrier after it reads idx: entries and data are there. */
	__atomic_store_n(&queue->used[IDX], queue->next_used, __ATOMIC_RELEASE);
}

void virtq_push(struct virtq *queue, struct virtq_req *req, uint32_t written)
{
	virtq_fill(queue, req, written);
	virtq_publish(queue);
}

bool virtq_should_notify(struct virtq *queue)
{
	uint16_t old = queue->signalled_used;
	bool valid = queue->signalled_valid;

	/*
	 * Pairs with the driver's full barrier between asking for interrupts and looking at
	 * idx again: either it sees our idx, or we see that it wants to be told.
	 */
	full_barrier();
	if (!queue->event_idx)
		return !(load_word(&queue->avail[FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	queue->signalled_used = queue->next_used;
	queue->signalled_valid = true;
	return !valid ||
		vring_need_event(
			load_word(&queue->avail[RING + queue->size]), queue->next_used, old);
}

void virtq_disable_kicks(struct virtq *queue)
{
	/* With event indices the one told last lies behind by now, which says the same. */
	if (!queue->event_idx)
		store_word(&queue->used[FLAGS], VRING_USED_F_NO_NOTIFY);
}

bool virtq_enable_kicks(struct virtq *queue)
{
	if (queue->event_idx)
		store_word(&queue->used[RING + queue->size * USED_WORDS], queue->last_avail);
	else
		store_word(&queue->used[FLAGS], 0);
	/* Pairs with the driver's full barrier between raising idx and looking whether to kick. */
	full_barrier();
	return !queue->broken && load_avail_idx(queue) != queue->last_avail;
}

/* ---- Bytes of a request ---- */

static uint64_t copy(const struct iovec *iov, unsigned count, uint64_t offset, void *buf,
	uint64_t len, bool to_guest)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < count && done < len; i++) {
		uint64_t piece;
		uint8_t *host;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		host = (uint8_t *)iov[i].iov_base + offset;
		piece = MIN(iov[i].iov_len - offset, len - done);
		if (to_guest)
			memcpy(host, (uint8_t *)buf + done, piece);
		else
			copy_once((uint8_t *)buf + done, host, piece);
		done += piece;
		offset = 0;
	}
	return done;
}

uint64_t virtq_copy_from(const struct virtq_req *req, uint64_t offset, void *buf, uint64_t len)
{
	return copy(req->readable, req->readable_count, offset, buf, len, false);
}

uint64_t virtq_copy_to(const struct virtq_req *req, uint64_t offset, const void *buf, uint64_t len)
{
	return copy(req->writable, req->writable_count, offset, (void *)(uintptr_t)buf, len, true);
}

uint64_t virtq_copy_out(const struct virtq_req *req, uint64_t offset, void *buf, uint64_t len)
{
	return copy(req->writable, req->writable_count, offset, buf, len, false);
}

void virtq_skip_readable(struct virtq_req *req, uint64_t bytes)
{
	bytes = MIN(bytes, req->readable_bytes);
	req->readable_bytes -= bytes;
	while (bytes && bytes >= req->readable->iov_len) {
		bytes -= req->readable->iov_len;
		req->readable++;
		req->readable_count--;
	}
	if (bytes) {
		req->readable->iov_base = (uint8_t *)req->readable->iov_base + bytes;
		req->readable->iov_len -= bytes;
	}
}

void virtq_cut_writable(struct virtq_req *req, uint64_t bytes)
{
	bytes = MIN(bytes, req->writable_bytes);
	req->writable_bytes -= bytes;
	while (bytes && bytes >= req->writable[req->writable_count - 1].iov_len)
		bytes -= req->writable[--req->writable_count].iov_len;
	if (bytes)
		req->writable[req->writable_count - 1].iov_len -= bytes;
}
