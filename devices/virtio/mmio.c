/*
 * See mmio.h. Decodes registers and nothing else; what a value means, and whether the driver
 * may write it now, the core decides. Register names are those of the kernel's header.
 *
 * The registers of the legacy interface (version 1) read as zero, like all that do not exist.
 *
 * Threads: vCPUs, and the loop for interrupts; always with the device's lock.
 *
 * Threats
 *   what the guest can send    limit                  where         test
 *   any width or alignment     32-bit registers only  is_register   widths
 *   a queue that is not there  looked up, no index    virtio.c      queue_selector
 *   rings outside RAM          checked when enabled   virtq_enable  bad_ring_addresses
 *   states out of order        refused, counted       virtio.c      status_order
 *   set-up of a live queue     refused, counted       virtio.c      set_up_when_live
 *   kicks without end          they merge; turns end  virtio.c      restless_driver_…
 *   config out of bounds       zero, ignored          virtio.c      config_bounds
 *   reset while at work        drained, wait bounded  virtio_reset  reset_forgets_…
 *   broken rings               NEEDS_RESET, once      virtio_break  needs_reset_…
 */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "vmm/base/util.h"

enum {
	MAGIC = 0x74726976, /* "virt" */
	VERSION = 2,
};

struct virtio_mmio {
	struct virtio_dev *vdev;
	struct irq_line irq;
	uint64_t base;
	uint32_t interrupt_status;
	uint64_t handed_over; /* queues, one bit for each */
	uint32_t offered_sel, accepted_sel, queue_sel;
};

/* ---- Reads ---- */

static uint32_t read_queue_register(struct virtio_mmio *mmio, uint64_t offset)
{
	const struct virtio_queue *queue = virtio_find_queue(mmio->vdev, mmio->queue_sel);

	if (!queue)
		return 0;
	return offset == VIRTIO_MMIO_QUEUE_READY ? queue->ring.ready
						 : mmio->vdev->class->queue_size;
}

/*
 * Whoever else works on a queue can't set a bit here. So its bit reads as set all the time: the
 * driver looks into its rings, which costs little, and never misses what is in them.
 */
static uint32_t interrupt_status(const struct virtio_mmio *mmio)
{
	return mmio->interrupt_status | (mmio->handed_over ? VIRTIO_MMIO_INT_VRING : 0);
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	const struct virtio_dev *vdev = mmio->vdev;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return vdev->class->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VIRTIO_MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_offered_word(vdev, mmio->offered_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_READY:
		return read_queue_register(mmio, offset);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return interrupt_status(mmio);
	case VIRTIO_MMIO_STATUS:
		return vdev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* the length -1 says: no such region */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return vdev->config_generation;
	default:
		return 0;
	}
}

/* 4.2.2.2: the driver uses only aligned 32-bit accesses below the configuration space. */
static bool is_register(struct virtio_mmio *mmio, uint64_t offset, unsigned size)
{
	if (size == 4 && offset % 4 == 0)
		return true;
	device_guest_error(&mmio->vdev->dev, "access of %u bytes to register 0x%llx", size,
		(unsigned long long)offset);
	return false;
}

static uint64_t read_mmio(void *opaque, uint64_t offset, unsigned size)
{
	struct virtio_mmio *mmio = opaque;

	if (offset >= VIRTIO_MMIO_CONFIG)
		return virtio_config_read(mmio->vdev, offset - VIRTIO_MMIO_CONFIG, size);
	return is_register(mmio, offset, size) ? read_register(mmio, offset) : 0;
}

/* ---- Writes ---- */

static void write_address(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	enum virtio_ring_part part;

	switch (offset) {
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		part = VIRTIO_RING_DESC;
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		part = VIRTIO_RING_AVAIL;
		break;
	default:
		part = VIRTIO_RING_USED;
	}
	/* Each pair of registers starts at a multiple of 16: the lower half first. */
	virtio_set_queue_address(mmio->vdev, mmio->queue_sel, part, offset & 4, value);
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtio_dev *vdev = mmio->vdev;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->offered_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_accept_word(vdev, mmio->accepted_sel, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->accepted_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		virtio_set_queue_size(vdev, mmio->queue_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		virtio_set_queue_ready(vdev, mmio->queue_sel, value & 1);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_kick(vdev, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		mmio->interrupt_status &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_set_status(vdev, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_address(mmio, offset, value);
		break;
	case VIRTIO_MMIO_SHM_SEL:
		break; /* no region is any other than the rest */
	default:
		device_guest_error(&vdev->dev, "write to register 0x%llx, which can't be written",
			(unsigned long long)offset);
	}
}

static void write_mmio(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *mmio = opaque;

	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_config_write(mmio->vdev, offset - VIRTIO_MMIO_CONFIG, size, value);
	else if (is_register(mmio, offset, size))
		write_register(mmio, offset, (uint32_t)value);
}

static const struct bus_ops mmio_ops = {.read = read_mmio, .write = write_mmio};

/* ---- What the core asks for ---- */

/*
 * The status is set before the pulse, so the driver finds it. A pulse is sent even when the
 * status was set already: on an edge-triggered line a lost one would never come again.
 */
static void interrupt(struct virtio_mmio *mmio, uint32_t cause)
{
	device_note(&mmio->vdev->dev, TRACE_TAPE_CAUSE, cause, NULL, 0);
	mmio->interrupt_status |= cause;
	irq_pulse(&mmio->irq);
}

static void interrupt_queues(void *transport, uint64_t queues)
{
	(void)queues;
	interrupt(transport, VIRTIO_MMIO_INT_VRING);
}

static void interrupt_config(void *transport)
{
	interrupt(transport, VIRTIO_MMIO_INT_CONFIG);
}

static int interrupt_fd(void *transport, unsigned queue)
{
	const struct virtio_mmio *mmio = transport;

	(void)queue;
	return mmio->irq.pulse_fd ? mmio->irq.pulse_fd(&mmio->irq) : -1;
}

static void handed_over(void *transport, unsigned queue, bool on)
{
	struct virtio_mmio *mmio = transport;
	uint64_t bit = UINT64_C(1) << queue;

	mmio->handed_over = on ? mmio->handed_over | bit : mmio->handed_over & ~bit;
	/* An interrupt of theirs may still be on its way, and finds its reason. */
	if (!on)
		mmio->interrupt_status |= VIRTIO_MMIO_INT_VRING;
}

/* Where it can't be had kicks arrive as register writes and signal the same eventfd. */
static void set_doorbell(void *transport, unsigned queue, bool on)
{
	struct virtio_mmio *mmio = transport;
	struct virtio_dev *vdev = mmio->vdev;

	(void)device_ioeventfd(&vdev->dev, false, mmio->base + VIRTIO_MMIO_QUEUE_NOTIFY,
		sizeof(uint32_t), queue, vdev->queues[queue].kick_fd, on);
}

static void reset(void *transport)
{
	struct virtio_mmio *mmio = transport;

	mmio->interrupt_status = 0;
	mmio->offered_sel = mmio->accepted_sel = mmio->queue_sel = 0;
}

static void destroy(void *transport)
{
	free(transport);
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt_queues = interrupt_queues,
	.interrupt_config = interrupt_config,
	.interrupt_fd = interrupt_fd,
	.handed_over = handed_over,
	.set_doorbell = set_doorbell,
	.reset = reset,
	.destroy = destroy,
};

int virtio_mmio_connect(struct virtio_dev *vdev, struct err *err)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));
	int ret;

	if (!mmio)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", vdev->dev.name);
	mmio->vdev = vdev;
	virtio_connect(vdev, &transport_ops, mmio);
	ret = device_claim_mmio(&vdev->dev, &mmio->base, VIRTIO_MMIO_BYTES, &mmio_ops, mmio, err);
	if (ret < 0)
		return ret;
	return device_claim_irq(&vdev->dev, DEVICE_IRQ_ANY, false, &mmio->irq, err);
}
