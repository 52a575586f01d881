/*
 * See virtio.h. VIRTIO 1.2: 2.1 status, 2.2 features, 2.3 notifications, 2.4 reset, 2.5
 * configuration space, 3.1 initialization. Knows no register and no kind of device.
 *
 * Reset is synchronous, because Linux's virtio-mmio driver writes 0 and does not wait
 * for it to be read back: it drains the class before the write returns. The class
 * waits for its host threads only, and these never take the device's lock, so that the
 * wait, with the lock held, always ends.
 */
#include "devices/virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/util.h"
#include "vmm/core/trace.h"

#define CORE_FEATURES                                                                              \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |        \
		VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX))

/* Bits that the driver sets, in the order in which it has to. */
enum {
	DRIVER_BITS = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED,
};

static bool is_live(const struct virtio_dev *vdev)
{
	return vdev->status & VIRTIO_CONFIG_S_DRIVER_OK &&
		!(vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* ---- Queues ---- */

struct virtio_queue *virtio_find_queue(struct virtio_dev *vdev, uint32_t queue)
{
	return queue < vdev->queue_count ? &vdev->queues[queue] : NULL;
}

/* Queues are set up between reset and DRIVER_OK, and rings stay in place while in use. */
static struct virtio_queue *find_idle_queue(struct virtio_dev *vdev, uint32_t index)
{
	struct virtio_queue *queue = virtio_find_queue(vdev, index);

	if (queue && !queue->ring.ready)
		return queue;
	device_guest_error(&vdev->dev,
		queue ? "set-up of queue %u, which is in use"
		      : "set-up of queue %u, which does not exist",
		index);
	return NULL;
}

void virtio_set_queue_size(struct virtio_dev *vdev, uint32_t index, uint32_t size)
{
	struct virtio_queue *queue = find_idle_queue(vdev, index);

	if (!queue)
		return;
	if (!util_is_power_of_two(size) || size > vdev->class->queue_size)
		device_guest_error(&vdev->dev, "queue %u: %u is no size for it", index, size);
	else
		queue->config.size = size;
}

void virtio_set_queue_address(struct virtio_dev *vdev, uint32_t index, enum virtio_ring_part part,
	bool high, uint32_t value)
{
	struct virtio_queue *queue = find_idle_queue(vdev, index);
	gpa_t *gpa;

	if (!queue)
		return;
	gpa = part == VIRTIO_RING_DESC	    ? &queue->config.desc
		: part == VIRTIO_RING_AVAIL ? &queue->config.avail
					    : &queue->config.used;
	*gpa = high ? (*gpa & UINT32_MAX) | (uint64_t)value << 32
		    : (*gpa & ~(uint64_t)UINT32_MAX) | value;
}

static void set_doorbell(struct virtio_queue *queue, bool on)
{
	struct virtio_dev *vdev = queue->vdev;

	if (queue->has_doorbell == on)
		return;
	queue->has_doorbell = on;
	vdev->transport_ops->set_doorbell(vdev->transport, queue->index, on);
}

static bool is_prompt(const struct virtio_dev *vdev, unsigned queue)
{
	return vdev->class->prompt_queues >> queue & 1;
}

static void disable_queue(struct virtio_queue *queue)
{
	ASSERT(!queue->is_handed_over);
	set_doorbell(queue, false);
	virtq_disable(&queue->ring);
	queue->pushed = false;
	queue->kicked_early = false;
}

static void enable_queue(struct virtio_dev *vdev, struct virtio_queue *queue)
{
	const char *wrong;

	if (!(vdev->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
		vdev->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) {
		device_guest_error(
			&vdev->dev, "queue %u enabled in status 0x%x", queue->index, vdev->status);
		return;
	}
	wrong = virtq_enable(&queue->ring, &queue->config, vdev->accepted);
	if (wrong)
		device_guest_error(&vdev->dev, "queue %u can't be used: %s", queue->index, wrong);
}

void virtio_set_queue_ready(struct virtio_dev *vdev, uint32_t index, bool ready)
{
	struct virtio_queue *queue = virtio_find_queue(vdev, index);

	if (!queue) {
		device_guest_error(&vdev->dev, "there is no queue %u to enable", index);
		return;
	}
	if (queue->ring.ready == ready)
		return;
	if (ready) {
		enable_queue(vdev, queue);
		return;
	}
	/* Once the driver reads 0 back the ring is its own again: nothing may be in flight. */
	if ((queue->ring.in_flight || queue->is_handed_over) && vdev->class->drain)
		vdev->class->drain(vdev, false);
	disable_queue(queue);
}

void virtio_kick(struct virtio_dev *vdev, uint32_t index)
{
	struct virtio_queue *queue = virtio_find_queue(vdev, index);

	/* Against 3.1.1, but Linux's balloon driver does it: looked at with DRIVER_OK. */
	if (queue && queue->ring.ready && !(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		queue->kicked_early = true;
		return;
	}
	if (!queue || !queue->ring.ready || !is_live(vdev)) {
		device_guest_error(
			&vdev->dev, "kick of queue %u in status 0x%x", index, vdev->status);
		return;
	}
	if (is_prompt(vdev, index)) {
		vdev->stats.kicks++;
		vdev->class->handle_queue(vdev, index);
		return;
	}
	/* Fails only when 2^64 - 2 kicks wait. */
	(void)eventfd_write(queue->kick_fd, 1);
}

static void handle_traced(struct virtio_dev *vdev, unsigned index)
{
	struct trace *trace = vdev->dev.platform->trace;
	uint64_t began_ns = trace_now_ns(trace);

	vdev->class->handle_queue(vdev, index);
	trace_note_kick(trace, &vdev->dev, index, began_ns);
}

static void handle_kick(void *opaque, uint32_t events)
{
	struct virtio_queue *queue = opaque;
	struct virtio_dev *vdev = queue->vdev;

	(void)events;
	/* A kick may outlive its queue on the way here. */
	if (!queue->ring.ready || queue->is_handed_over || !is_live(vdev))
		return;
	vdev->stats.kicks++;
	if (__builtin_expect(!vdev->dev.platform->trace, 1))
		vdev->class->handle_queue(vdev, queue->index);
	else
		handle_traced(vdev, queue->index);
}

/* ---- Status ---- */

static void start(struct virtio_dev *vdev)
{
	vdev->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	for (unsigned i = 0; i < vdev->queue_count; i++) {
		struct virtio_queue *queue = &vdev->queues[i];

		if (queue->ring.ready && !is_prompt(vdev, i))
			set_doorbell(queue, true);
		if (queue->kicked_early)
			(void)eventfd_write(queue->kick_fd, 1);
		queue->kicked_early = false;
	}
	if (vdev->class->start)
		vdev->class->start(vdev);
}

static bool features_are_good(const struct virtio_dev *vdev)
{
	return !(vdev->accepted & ~vdev->offered) && virtio_has_feature(vdev, VIRTIO_F_VERSION_1);
}

static void agree_on_features(struct virtio_dev *vdev)
{
	vdev->status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (vdev->class->activate)
		vdev->class->activate(vdev);
}

/* What is left of the bits that the driver wants to add, in the order of 3.1.1. */
static void add_status(struct virtio_dev *vdev, uint8_t wanted)
{
	const uint8_t before_features = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	vdev->status |= wanted & (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	if (wanted & VIRTIO_CONFIG_S_FEATURES_OK) {
		if ((vdev->status & before_features) == before_features && features_are_good(vdev))
			agree_on_features(vdev);
		else
			device_guest_error(&vdev->dev, "features 0x%llx refused in status 0x%x",
				(unsigned long long)vdev->accepted, vdev->status);
	}
	if (wanted & VIRTIO_CONFIG_S_DRIVER_OK) {
		if (vdev->status & VIRTIO_CONFIG_S_FEATURES_OK)
			start(vdev);
		else
			device_guest_error(
				&vdev->dev, "started before its features were agreed on");
	}
	if (wanted & VIRTIO_CONFIG_S_FAILED) {
		vdev->status |= VIRTIO_CONFIG_S_FAILED;
		device_guest_error(&vdev->dev, "the driver gave up on the device");
	}
}

void virtio_set_status(struct virtio_dev *vdev, uint32_t value)
{
	uint8_t driver_bits = vdev->status & DRIVER_BITS;

	if (value == 0) {
		virtio_reset(vdev);
		return;
	}
	/* Only a reset takes bits away. NEEDS_RESET is ours, and the driver writes it back. */
	if ((value & driver_bits) != driver_bits) {
		device_guest_error(
			&vdev->dev, "status 0x%x written in status 0x%x", value, vdev->status);
		return;
	}
	add_status(vdev, (uint8_t)(value & DRIVER_BITS & ~driver_bits));
}

void virtio_reset(struct virtio_dev *vdev)
{
	if (vdev->class->drain)
		vdev->class->drain(vdev, true);
	for (unsigned i = 0; i < vdev->queue_count; i++) {
		struct virtio_queue *queue = &vdev->queues[i];

		disable_queue(queue);
		queue->config = (struct virtq_config){.size = vdev->class->queue_size};
	}
	if (vdev->transport)
		vdev->transport_ops->reset(vdev->transport);
	vdev->status = 0;
	vdev->accepted = 0;
	vdev->stats.resets++;
}

void virtio_break(struct virtio_dev *vdev, const char *why)
{
	if (vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	device_note(&vdev->dev, TRACE_TAPE_BROKEN, 0, NULL, 0);
	device_guest_error(&vdev->dev, "stands still until it is reset: %s", why);
	vdev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (vdev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_config_changed(vdev);
}

/* ---- Features ---- */

bool virtio_has_feature(const struct virtio_dev *vdev, unsigned bit)
{
	return vdev->accepted >> bit & 1;
}

uint32_t virtio_offered_word(const struct virtio_dev *vdev, uint32_t word)
{
	return word < 2 ? (uint32_t)(vdev->offered >> word * 32) : 0;
}

void virtio_accept_word(struct virtio_dev *vdev, uint32_t word, uint32_t value)
{
	unsigned shift = word * 32;

	if (vdev->status & VIRTIO_CONFIG_S_FEATURES_OK || (word >= 2 && value)) {
		device_guest_error(&vdev->dev, "features 0x%x of word %u accepted in status 0x%x",
			value, word, vdev->status);
		return;
	}
	if (word < 2)
		vdev->accepted = (vdev->accepted & ~((uint64_t)UINT32_MAX << shift)) |
			(uint64_t)value << shift;
}

/* ---- Configuration space ---- */

uint64_t virtio_config_read(struct virtio_dev *vdev, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset < vdev->config_size)
		memcpy(&value, (uint8_t *)vdev->config + offset,
			MIN((uint64_t)size, vdev->config_size - offset));
	return value;
}

void virtio_config_write(struct virtio_dev *vdev, uint64_t offset, unsigned size, uint64_t value)
{
	if (vdev->class->config_write && util_range_inside(offset, size, vdev->config_size))
		vdev->class->config_write(vdev, (unsigned)offset, size, value);
	else
		device_guest_error(&vdev->dev, "write of its configuration at 0x%llx",
			(unsigned long long)offset);
}

void virtio_config_changed(struct virtio_dev *vdev)
{
	vdev->config_generation++;
	device_note(&vdev->dev, TRACE_TAPE_CONFIG, vdev->config_generation, vdev->config,
		vdev->config_size);
	if (!(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	vdev->stats.interrupts++;
	vdev->transport_ops->interrupt_config(vdev->transport);
}

/* ---- Requests ---- */

bool virtio_can_work(const struct virtio_dev *vdev, unsigned index)
{
	const struct virtio_queue *queue = &vdev->queues[index];

	return queue->ring.ready && !queue->is_handed_over && is_live(vdev);
}

bool virtio_take(struct virtio_dev *vdev, unsigned index, struct virtq_req **req)
{
	struct virtq *ring = &vdev->queues[index].ring;
	int ret = virtq_pop(ring, req);

	if (ret < 0)
		virtio_break(vdev, ring->broken);
	if (ret <= 0)
		return false;
	vdev->stats.requests++;
	return true;
}

void virtio_untake(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtq *ring = &vdev->queues[index].ring;

	if (!virtq_can_unpop(ring, req)) {
		virtio_push(vdev, index, req, 0);
		return;
	}
	virtq_unpop(ring, req);
	vdev->stats.requests--;
}

void virtio_disable_kicks(struct virtio_dev *vdev, unsigned index)
{
	virtq_disable_kicks(&vdev->queues[index].ring);
}

bool virtio_enable_kicks(struct virtio_dev *vdev, unsigned index)
{
	return virtq_enable_kicks(&vdev->queues[index].ring);
}

/* True when the budget is used up and more may wait. */
static bool take_some(struct virtio_dev *vdev, struct virtio_queue *queue, unsigned *budget,
	void (*fn)(struct virtio_dev *vdev, unsigned index, struct virtq_req *req))
{
	struct virtq_req *req;

	for (;;) {
		if (!*budget)
			return true;
		if (!virtio_take(vdev, queue->index, &req))
			return false;
		(*budget)--;
		fn(vdev, queue->index, req);
		/* The class may have found the driver at fault. */
		if (!is_live(vdev))
			return false;
	}
}

void virtio_take_requests(struct virtio_dev *vdev, unsigned index,
	void (*fn)(struct virtio_dev *vdev, unsigned index, struct virtq_req *req))
{
	struct virtio_queue *queue = &vdev->queues[index];
	unsigned budget = queue->ring.size;

	do {
		virtq_disable_kicks(&queue->ring);
		if (take_some(vdev, queue, &budget, fn)) {
			(void)eventfd_write(queue->kick_fd, 1);
			return;
		}
	} while (is_live(vdev) && virtq_enable_kicks(&queue->ring));
}

struct virtq_req *virtio_pop(struct virtio_dev *vdev, unsigned index)
{
	struct virtq_req *req;

	while (virtio_can_work(vdev, index)) {
		if (virtio_take(vdev, index, &req))
			return req;
		if (!virtio_can_work(vdev, index) || !virtio_enable_kicks(vdev, index))
			return NULL;
	}
	return NULL;
}

void virtio_kick_self(struct virtio_dev *vdev, unsigned index)
{
	/* Fails only when 2^64 - 2 kicks wait. */
	(void)eventfd_write(vdev->queues[index].kick_fd, 1);
}

int virtio_interrupt_fd(const struct virtio_dev *vdev, unsigned index)
{
	const struct virtio_transport_ops *ops = vdev->transport_ops;

	return ops->interrupt_fd ? ops->interrupt_fd(vdev->transport, index) : -1;
}

static void set_handed_over(struct virtio_queue *queue, bool on)
{
	struct virtio_dev *vdev = queue->vdev;

	queue->is_handed_over = on;
	loop_fd_set_events(&queue->watch, on ? 0 : EPOLLIN | EPOLLET);
	vdev->transport_ops->handed_over(vdev->transport, queue->index, on);
}

void virtio_hand_over(struct virtio_dev *vdev, unsigned index)
{
	struct virtio_queue *queue = &vdev->queues[index];

	ASSERT(queue->ring.ready && !queue->ring.in_flight && !queue->is_handed_over);
	set_handed_over(queue, true);
}

void virtio_take_back(struct virtio_dev *vdev, unsigned index, uint16_t next)
{
	struct virtio_queue *queue = &vdev->queues[index];

	ASSERT(queue->is_handed_over);
	set_handed_over(queue, false);
	virtq_resume(&queue->ring, next);
}

void virtio_push(struct virtio_dev *vdev, unsigned index, struct virtq_req *req, uint32_t written)
{
	virtq_push(&vdev->queues[index].ring, req, written);
	vdev->queues[index].pushed = true;
}

void virtio_fill(struct virtio_dev *vdev, unsigned index, struct virtq_req *req, uint32_t written)
{
	virtq_fill(&vdev->queues[index].ring, req, written);
	vdev->queues[index].pushed = true;
}

void virtio_publish(struct virtio_dev *vdev, unsigned index)
{
	virtq_publish(&vdev->queues[index].ring);
}

void virtio_forget(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	virtq_forget(&vdev->queues[index].ring, req);
}

void virtio_notify(struct virtio_dev *vdev)
{
	uint64_t wanted = 0;

	for (unsigned i = 0; i < vdev->queue_count; i++) {
		struct virtio_queue *queue = &vdev->queues[i];

		if (queue->pushed && virtq_should_notify(&queue->ring))
			wanted |= UINT64_C(1) << i;
		queue->pushed = false;
	}
	if (!wanted)
		return;
	vdev->stats.interrupts++;
	vdev->transport_ops->interrupt_queues(vdev->transport, wanted);
}

/* ---- Life cycle ---- */

void virtio_connect(
	struct virtio_dev *vdev, const struct virtio_transport_ops *ops, void *transport)
{
	vdev->transport_ops = ops;
	vdev->transport = transport;
}

int virtio_init(struct virtio_dev *vdev, const struct device_class *device_class,
	const struct device_args *args, const struct virtio_config *config, struct err *err)
{
	ASSERT(config->queue_count && config->queue_count <= VIRTIO_QUEUES_MAX);
	vdev->queues = calloc(config->queue_count, sizeof(*vdev->queues));
	if (!vdev->queues)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the queues of %s",
			args->name);
	device_init(&vdev->dev, device_class, args);
	vdev->class = config->class;
	vdev->offered = config->features | CORE_FEATURES;
	vdev->config = config->config;
	vdev->config_size = config->config_size;
	vdev->queue_count = config->queue_count;
	for (unsigned i = 0; i < vdev->queue_count; i++)
		vdev->queues[i] = (struct virtio_queue){.vdev = vdev,
			.index = i,
			.config.size = config->class->queue_size,
			.kick_fd = -1};
	return 0;
}

/*
 * Edge-triggered: each kick is an event, and the counter of the eventfd need never be
 * read, which saves a system call for every kick.
 */
static int watch_kicks(struct virtio_queue *queue)
{
	struct virtio_dev *vdev = queue->vdev;

	queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->kick_fd < 0)
		return -errno;
	queue->watch = (struct loop_fd){.fd = queue->kick_fd,
		.events = EPOLLIN | EPOLLET,
		.fn = handle_kick,
		.opaque = queue,
		.lock = &vdev->dev.lock};
	return loop_fd_add(vdev->dev.platform->loop, &queue->watch);
}

int virtio_realize(struct virtio_dev *vdev, struct err *err)
{
	for (unsigned i = 0; i < vdev->queue_count; i++) {
		int ret;

		virtq_init(&vdev->queues[i].ring, vdev->dev.platform->mem, vdev->class->queue_size,
			vdev->class->request_bytes);
		ret = watch_kicks(&vdev->queues[i]);
		if (ret < 0) {
			err_set(err, EXIT_CODE_DEVICE, -ret, "%s: can't watch for its kicks: %s",
				vdev->dev.name, strerror(-ret));
			err_hint(err, "look at the limit on open files: ulimit -n");
			return ret;
		}
	}
	return 0;
}

void virtio_finish(struct virtio_dev *vdev)
{
	if (vdev->transport)
		virtio_reset(vdev);
	for (unsigned i = 0; i < vdev->queue_count; i++) {
		struct virtio_queue *queue = &vdev->queues[i];

		loop_fd_remove(&queue->watch);
		if (queue->kick_fd >= 0)
			close(queue->kick_fd);
		virtq_finish(&queue->ring);
	}
	if (vdev->transport)
		vdev->transport_ops->destroy(vdev->transport);
	free(vdev->queues);
	device_finish(&vdev->dev);
}
