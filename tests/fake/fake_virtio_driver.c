/*
 * See fake_virtio_driver.h. VIRTIO 1.2: 3.1.1 initialization, 2.7.13 adding buffers, 2.7.14
 * taking used ones, 4.2.3 virtio-mmio.
 */
#include "tests/fake/fake_virtio_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "vmm/base/util.h"

enum {
	FLAGS = 0,
	IDX = 1,
	RING = 2,
	USED_WORDS = 4
};

void *fake_driver_host(const struct fake_driver *driver, gpa_t gpa, uint64_t len)
{
	void *host = gmem_ptr(&driver->fm->mem, gpa, len);

	ASSERT(host);
	return host;
}

gpa_t fake_driver_alloc(struct fake_driver *driver, uint64_t bytes, uint64_t align)
{
	gpa_t gpa = util_align_up(driver->heap, align);

	ASSERT(gpa + bytes <= driver->heap_end);
	driver->heap = gpa + bytes;
	memset(fake_driver_host(driver, gpa, bytes), 0, bytes);
	return gpa;
}

void fake_driver_init(struct fake_driver *driver, struct fake_machine *fm,
	const struct device *device, gpa_t heap, uint64_t bytes)
{
	*driver = (struct fake_driver){.fm = fm,
		.base = device_find_res(device, DEVICE_RES_MMIO, 0)->base,
		.gsi = (unsigned)device_find_res(device, DEVICE_RES_IRQ, 0)->base,
		.heap = heap,
		.heap_end = heap + bytes};
}

uint32_t fake_driver_read(struct fake_driver *driver, unsigned reg)
{
	return (uint32_t)fake_machine_mmio_read(driver->fm, driver->base + reg, 4);
}

void fake_driver_write(struct fake_driver *driver, unsigned reg, uint32_t value)
{
	fake_machine_mmio_write(driver->fm, driver->base + reg, 4, value);
}

/* ---- Set-up ---- */

static void add_status(struct fake_driver *driver, uint32_t bit)
{
	fake_driver_write(
		driver, VIRTIO_MMIO_STATUS, fake_driver_read(driver, VIRTIO_MMIO_STATUS) | bit);
}

uint64_t fake_driver_offered(struct fake_driver *driver)
{
	uint64_t offered;

	fake_driver_write(driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	offered = (uint64_t)fake_driver_read(driver, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	fake_driver_write(driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return offered | fake_driver_read(driver, VIRTIO_MMIO_DEVICE_FEATURES);
}

bool fake_driver_negotiate(struct fake_driver *driver, uint64_t wanted)
{
	fake_driver_write(driver, VIRTIO_MMIO_STATUS, 0);
	add_status(driver, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(driver, VIRTIO_CONFIG_S_DRIVER);
	driver->features = fake_driver_offered(driver) & wanted;
	for (unsigned word = 0; word < 2; word++) {
		fake_driver_write(driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		fake_driver_write(driver, VIRTIO_MMIO_DRIVER_FEATURES,
			(uint32_t)(driver->features >> word * 32));
	}
	add_status(driver, VIRTIO_CONFIG_S_FEATURES_OK);
	return fake_driver_read(driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void write_address(struct fake_driver *driver, unsigned low_reg, gpa_t gpa)
{
	fake_driver_write(driver, low_reg, (uint32_t)gpa);
	fake_driver_write(driver, low_reg + 4, (uint32_t)(gpa >> 32));
}

void fake_driver_place_queue(struct fake_driver *driver, unsigned queue)
{
	const struct fake_vq *vq = &driver->queues[queue];

	fake_driver_write(driver, VIRTIO_MMIO_QUEUE_SEL, queue);
	fake_driver_write(driver, VIRTIO_MMIO_QUEUE_NUM, vq->size);
	write_address(driver, VIRTIO_MMIO_QUEUE_DESC_LOW, vq->desc_gpa);
	write_address(driver, VIRTIO_MMIO_QUEUE_AVAIL_LOW, vq->avail_gpa);
	write_address(driver, VIRTIO_MMIO_QUEUE_USED_LOW, vq->used_gpa);
	fake_driver_write(driver, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fake_vq_create(struct fake_driver *driver, unsigned queue, unsigned size)
{
	struct fake_vq *vq = &driver->queues[queue];
	uint64_t desc_bytes = size * sizeof(struct vring_desc);
	uint64_t avail_bytes = (RING + size + 1) * sizeof(uint16_t);
	uint64_t used_bytes = (RING + size * USED_WORDS + 1) * sizeof(uint16_t);

	*vq = (struct fake_vq){.size = size, .free_count = size};
	vq->desc_gpa = fake_driver_alloc(driver, desc_bytes, VRING_DESC_ALIGN_SIZE);
	vq->avail_gpa = fake_driver_alloc(driver, avail_bytes, VRING_AVAIL_ALIGN_SIZE);
	vq->used_gpa = fake_driver_alloc(driver, used_bytes, VRING_USED_ALIGN_SIZE);
	vq->desc = fake_driver_host(driver, vq->desc_gpa, desc_bytes);
	vq->avail = fake_driver_host(driver, vq->avail_gpa, avail_bytes);
	vq->used = fake_driver_host(driver, vq->used_gpa, used_bytes);
	for (unsigned i = 0; i < size; i++)
		vq->desc[i].next = (uint16_t)(i + 1);
}

void fake_driver_setup_queue(struct fake_driver *driver, unsigned queue, unsigned size)
{
	fake_vq_create(driver, queue, size);
	fake_driver_place_queue(driver, queue);
}

void fake_driver_start(struct fake_driver *driver)
{
	add_status(driver, VIRTIO_CONFIG_S_DRIVER_OK);
}

void fake_driver_bring_up(
	struct fake_driver *driver, uint64_t wanted, unsigned queues, unsigned size)
{
	bool agreed = fake_driver_negotiate(driver, wanted | UINT64_C(1) << VIRTIO_F_VERSION_1);

	ASSERT(agreed);
	for (unsigned i = 0; i < queues; i++)
		fake_driver_setup_queue(driver, i, size);
	fake_driver_start(driver);
}

/* ---- Adding ---- */

static void fill_desc(
	struct vring_desc *desc, const struct fake_buffer *buffer, bool last, uint16_t next)
{
	*desc = (struct vring_desc){.addr = buffer->gpa,
		.len = buffer->len,
		.flags = (uint16_t)((buffer->writable ? VRING_DESC_F_WRITE : 0) |
			(last ? 0 : VRING_DESC_F_NEXT)),
		.next = next};
}

static unsigned add_direct(struct fake_vq *vq, const struct fake_buffer *buffers, unsigned count)
{
	unsigned head = vq->free_head, at = head;

	ASSERT(count && count <= vq->free_count);
	vq->free_count -= count;
	for (unsigned i = 0; i < count; i++) {
		uint16_t next = vq->desc[at].next;

		fill_desc(&vq->desc[at], &buffers[i], i == count - 1, next);
		at = next;
	}
	vq->free_head = (uint16_t)at;
	return head;
}

static unsigned add_indirect(struct fake_driver *driver, struct fake_vq *vq,
	const struct fake_buffer *buffers, unsigned count, gpa_t table_gpa)
{
	struct vring_desc *table =
		fake_driver_host(driver, table_gpa, count * sizeof(struct vring_desc));
	unsigned head = vq->free_head;
	uint16_t next = vq->desc[head].next;

	ASSERT(vq->free_count);
	vq->free_count--;
	vq->free_head = next;
	for (unsigned i = 0; i < count; i++)
		fill_desc(&table[i], &buffers[i], i == count - 1, (uint16_t)(i + 1));
	vq->desc[head] = (struct vring_desc){.addr = table_gpa,
		.len = (uint32_t)(count * sizeof(*table)),
		.flags = VRING_DESC_F_INDIRECT,
		.next = next};
	return head;
}

void fake_vq_publish(struct fake_vq *vq, uint16_t head)
{
	__atomic_store_n(&vq->avail[RING + vq->avail_idx % vq->size], head, __ATOMIC_RELAXED);
	vq->avail_idx++;
	/* Pairs with the device's acquire of idx. */
	__atomic_store_n(&vq->avail[IDX], vq->avail_idx, __ATOMIC_RELEASE);
}

unsigned fake_vq_add(struct fake_driver *driver, unsigned queue, const struct fake_buffer *buffers,
	unsigned count, gpa_t indirect_gpa)
{
	struct fake_vq *vq = &driver->queues[queue];
	unsigned head = indirect_gpa ? add_indirect(driver, vq, buffers, count, indirect_gpa)
				     : add_direct(vq, buffers, count);

	fake_vq_publish(vq, (uint16_t)head);
	return head;
}

bool fake_vq_needs_kick(struct fake_driver *driver, unsigned queue)
{
	struct fake_vq *vq = &driver->queues[queue];
	uint16_t old = vq->kicked_idx;

	vq->kicked_idx = vq->avail_idx;
	__asm__ volatile("mfence" ::: "memory");
	if (driver->features >> VIRTIO_RING_F_EVENT_IDX & 1)
		return vring_need_event(
			__atomic_load_n(&vq->used[RING + vq->size * USED_WORDS], __ATOMIC_RELAXED),
			vq->avail_idx, old);
	return !(__atomic_load_n(&vq->used[FLAGS], __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
}

void fake_driver_kick(struct fake_driver *driver, unsigned queue)
{
	fake_driver_write(driver, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* ---- Taking ---- */

unsigned fake_vq_used_count(const struct fake_vq *vq)
{
	/* Pairs with the device's release of idx. */
	return (uint16_t)(__atomic_load_n(&vq->used[IDX], __ATOMIC_ACQUIRE) - vq->used_idx);
}

static void free_chain(struct fake_vq *vq, unsigned head)
{
	unsigned last = head;

	vq->free_count++;
	while (vq->desc[last].flags & VRING_DESC_F_NEXT) {
		last = vq->desc[last].next;
		vq->free_count++;
	}
	vq->desc[last].next = vq->free_head;
	vq->free_head = (uint16_t)head;
}

bool fake_vq_take(struct fake_driver *driver, unsigned queue, unsigned *head, uint32_t *len)
{
	struct fake_vq *vq = &driver->queues[queue];
	struct vring_used_elem elem;

	if (!fake_vq_used_count(vq))
		return false;
	memcpy(&elem, vq->used + RING + vq->used_idx % vq->size * USED_WORDS, sizeof(elem));
	vq->used_idx++;
	ASSERT(elem.id < vq->size);
	free_chain(vq, elem.id);
	*head = elem.id;
	*len = elem.len;
	return true;
}

struct used_wait {
	const struct fake_vq *vq;
	unsigned count;
};

static bool has_used(void *opaque)
{
	const struct used_wait *wait = opaque;

	return fake_vq_used_count(wait->vq) >= wait->count;
}

bool fake_driver_wait_used(struct fake_driver *driver, unsigned queue, unsigned count)
{
	struct used_wait wait = {&driver->queues[queue], count};

	return fake_machine_run_until(driver->fm, has_used, &wait);
}

uint32_t fake_driver_ack(struct fake_driver *driver)
{
	uint32_t status = fake_driver_read(driver, VIRTIO_MMIO_INTERRUPT_STATUS);

	fake_driver_write(driver, VIRTIO_MMIO_INTERRUPT_ACK, status);
	return status;
}
