/*
 * virtio-input: a keyboard, and a tablet whose positions are places on the screen (VIRTIO 1.2,
 * 5.8). Knows nothing of windows: events come from the hub of input.h.
 *
 * What belongs together (both coordinates, a notch of the wheel in both its units) ends with a
 * SYN_REPORT, and is written as a whole or not at all: where the driver has too few buffers
 * the event waits in the hub until it has more.
 *
 * The tablet has neither INPUT_PROP_DIRECT nor touch: so a desktop takes it for a mouse that jumps,
 * shows a cursor, and does not scroll by dragging.
 *
 * Threads: register accesses on vCPUs, all else on the loop's, with the device's lock.
 *
 * Threats
 *   what the guest can send           limit                           where            test
 *   any select and subsel             what is unknown is empty        fill_config      unknown_selects…
 *   writes elsewhere in there         counted, ignored                config_write     configuration_is…
 *   event buffers shorter than one    counted, given back             take_buffer      short_buffers
 *   readable event buffers            the same                        take_buffer      short_buffers
 *   no or few event buffers           the hub's ring, then drops      take_group       waits_for_buffers
 *   status events of any kind         all but three lamps ignored     set_lamp         odd_status
 *   status requests of any length     the first event counts          take_status      odd_status
 *   a reset in the middle of a group  the group was whole or waits    take_group       reset_while…
 */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_input.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/backend/input.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/virtio.h"
#include "vmm/base/util.h"

enum {
	QUEUE_EVENTS,
	QUEUE_STATUS,
	QUEUE_COUNT,
	QUEUE_SIZE = 64,
	GROUP_MAX = 5, /* both wheels in both units, and the end */
	KEYS_LAST = KEY_MICMUTE,
	/* As in linux/input.h, whose struct input_event is another one. */
	ID_BUS_VIRTUAL = 0x06,
	/* Product numbers */
	PRODUCT_KEYBOARD = 1,
	PRODUCT_TABLET = 2,
	ID_VENDOR = VIRTIO_MMIO_VENDOR & 0xffff,
	ID_VERSION = 1,
};

struct virtio_input {
	struct virtio_dev vdev;
	struct input_sink sink;
	struct input *input; /* borrowed; NULL: nobody types */
	bool is_tablet;
	struct virtio_input_config config;
	unsigned leds;
	/* Parts of a notch, which REL_WHEEL does not know. */
	int32_t vertical_rest, horizontal_rest;
};

extern const struct device_class virtio_keyboard_class, virtio_tablet_class;

static struct virtio_input *input_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_input, vdev);
}

/* ---- Configuration space ---- */

static void set_string(struct virtio_input_config *config, const char *text)
{
	config->size = (uint8_t)snprintf(config->u.string, sizeof(config->u.string), "%s", text);
}

static void set_bit(struct virtio_input_config *config, unsigned bit)
{
	config->u.bitmap[bit / 8] |= (uint8_t)(1U << bit % 8);
	config->size = MAX(config->size, (uint8_t)(bit / 8 + 1));
}

static void set_bits(struct virtio_input_config *config, unsigned first, unsigned last)
{
	for (unsigned bit = first; bit <= last; bit++)
		set_bit(config, bit);
}

static void set_ids(struct virtio_input *dev)
{
	dev->config.size = sizeof(dev->config.u.ids);
	dev->config.u.ids = (struct virtio_input_devids){.bustype = ID_BUS_VIRTUAL,
		.vendor = ID_VENDOR,
		.product = dev->is_tablet ? PRODUCT_TABLET : PRODUCT_KEYBOARD,
		.version = ID_VERSION};
}

static void set_keyboard_bits(struct virtio_input_config *config, unsigned type)
{
	switch (type) {
	case EV_KEY:
		set_bits(config, KEY_ESC, KEYS_LAST);
		break;
	case EV_LED:
		set_bits(config, LED_NUML, LED_SCROLLL);
		break;
	case EV_REP:
		/* The guest repeats keys by itself. */
		set_bits(config, REP_DELAY, REP_PERIOD);
		break;
	default:
		break;
	}
}

static void set_tablet_bits(struct virtio_input_config *config, unsigned type)
{
	switch (type) {
	case EV_KEY:
		set_bits(config, BTN_LEFT, BTN_EXTRA);
		break;
	case EV_REL:
		set_bit(config, REL_WHEEL);
		set_bit(config, REL_WHEEL_HI_RES);
		set_bit(config, REL_HWHEEL);
		set_bit(config, REL_HWHEEL_HI_RES);
		break;
	case EV_ABS:
		set_bits(config, ABS_X, ABS_Y);
		break;
	default:
		break;
	}
}

static void set_range(struct virtio_input_config *config, unsigned axis)
{
	if (axis > ABS_Y)
		return;
	config->size = sizeof(config->u.abs);
	config->u.abs.max = INPUT_ABS_MAX;
}

/* What `select` and `subsel` ask for; what there is not has the size 0. */
static void fill_config(struct virtio_input *dev)
{
	struct virtio_input_config *config = &dev->config;

	config->size = 0;
	memset(&config->u, 0, sizeof(config->u));
	if (config->select == VIRTIO_INPUT_CFG_EV_BITS && dev->is_tablet)
		set_tablet_bits(config, config->subsel);
	else if (config->select == VIRTIO_INPUT_CFG_EV_BITS)
		set_keyboard_bits(config, config->subsel);
	else if (config->select == VIRTIO_INPUT_CFG_ABS_INFO && dev->is_tablet)
		set_range(config, config->subsel);
	else if (config->subsel)
		return;
	else if (config->select == VIRTIO_INPUT_CFG_ID_NAME)
		set_string(config, dev->is_tablet ? "vmm tablet" : "vmm keyboard");
	else if (config->select == VIRTIO_INPUT_CFG_ID_SERIAL)
		set_string(config, dev->vdev.dev.name);
	else if (config->select == VIRTIO_INPUT_CFG_ID_DEVIDS)
		set_ids(dev);
}

static void config_write(struct virtio_dev *vdev, unsigned offset, unsigned size, uint64_t value)
{
	struct virtio_input *dev = input_of(vdev);

	if (offset + size > offsetof(struct virtio_input_config, size)) {
		device_guest_error(&vdev->dev, "write of its configuration at 0x%x", offset);
		return;
	}
	memcpy((uint8_t *)&dev->config + offset, &value, size);
	fill_config(dev);
}

/* ---- Events ---- */

struct group {
	struct virtio_input_event events[GROUP_MAX];
	unsigned count;
};

static void add_event(struct group *group, unsigned type, unsigned code, int32_t value)
{
	ASSERT(group->count < GROUP_MAX);
	group->events[group->count++] = (struct virtio_input_event){
		.type = (uint16_t)type, .code = (uint16_t)code, .value = (uint32_t)value};
}

/* `rest` is what lacked for a notch, and is what will lack. */
static void add_wheel(
	struct group *group, unsigned code, unsigned fine_code, int32_t amount, int32_t *rest)
{
	int64_t sum = (int64_t)*rest + amount;

	if (!amount)
		return;
	if (sum / INPUT_NOTCH)
		add_event(group, EV_REL, code, (int32_t)(sum / INPUT_NOTCH));
	add_event(group, EV_REL, fine_code, amount);
	*rest = (int32_t)(sum % INPUT_NOTCH);
}

static bool has_key(const struct virtio_input *dev, unsigned code)
{
	if (dev->is_tablet)
		return code >= BTN_LEFT && code <= BTN_EXTRA;
	return code <= KEYS_LAST;
}

/* Empty: this device has no such thing. */
static void make_group(const struct virtio_input *dev, const struct input_event *event,
	struct group *group, int32_t *vertical_rest, int32_t *horizontal_rest)
{
	switch (event->type) {
	case INPUT_EVENT_KEY:
		if (has_key(dev, event->code))
			add_event(group, EV_KEY, event->code, event->value);
		break;
	case INPUT_EVENT_POINT:
		add_event(group, EV_ABS, ABS_X, event->x);
		add_event(group, EV_ABS, ABS_Y, event->y);
		break;
	case INPUT_EVENT_WHEEL:
		add_wheel(group, REL_WHEEL, REL_WHEEL_HI_RES, event->y, vertical_rest);
		add_wheel(group, REL_HWHEEL, REL_HWHEEL_HI_RES, event->x, horizontal_rest);
		break;
	case INPUT_EVENT_MOVE:
		break;
	}
	if (group->count)
		add_event(group, EV_SYN, SYN_REPORT, 0);
}

/* The driver's next buffer with room for an event. NULL: it kicks when there is one. */
static struct virtq_req *take_buffer(struct virtio_dev *vdev)
{
	/* Bounded by the ring, as what goes back comes again only by the driver. */
	for (unsigned i = 0; i < QUEUE_SIZE; i++) {
		struct virtq_req *req = virtio_pop(vdev, QUEUE_EVENTS);

		if (!req)
			return NULL;
		if (!req->readable_count &&
			req->writable_bytes >= sizeof(struct virtio_input_event))
			return req;
		device_guest_error(&vdev->dev, "a buffer that no event fits into");
		virtio_push(vdev, QUEUE_EVENTS, req, 0);
	}
	virtio_kick_self(vdev, QUEUE_EVENTS);
	return NULL;
}

static bool take_buffers(struct virtio_dev *vdev, struct virtq_req **reqs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		reqs[i] = take_buffer(vdev);
		if (reqs[i])
			continue;
		while (i--)
			virtio_untake(vdev, QUEUE_EVENTS, reqs[i]);
		return false;
	}
	return true;
}

static bool send_group(struct virtio_dev *vdev, const struct group *group)
{
	struct virtq_req *reqs[GROUP_MAX];
	bool sent = take_buffers(vdev, reqs, group->count);

	if (sent) {
		for (unsigned i = 0; i < group->count; i++) {
			virtq_copy_to(reqs[i], 0, &group->events[i], sizeof(group->events[i]));
			virtio_fill(vdev, QUEUE_EVENTS, reqs[i], sizeof(group->events[i]));
		}
		virtio_publish(vdev, QUEUE_EVENTS);
	}
	virtio_notify(vdev);
	return sent;
}

static bool take(void *opaque, const struct input_event *event)
{
	struct virtio_input *dev = opaque;
	int32_t vertical_rest = dev->vertical_rest, horizontal_rest = dev->horizontal_rest;
	struct group group = {.count = 0};

	make_group(dev, event, &group, &vertical_rest, &horizontal_rest);
	if (group.count && !send_group(&dev->vdev, &group))
		return false;
	dev->vertical_rest = vertical_rest;
	dev->horizontal_rest = horizontal_rest;
	return true;
}

static bool is_ready(void *opaque)
{
	return virtio_can_work(&((struct virtio_input *)opaque)->vdev, QUEUE_EVENTS);
}

/* ---- Lamps ---- */

static void set_lamp(struct virtio_input *dev, const struct virtio_input_event *event)
{
	unsigned bit;

	if (dev->is_tablet || event->type != EV_LED || event->code > LED_SCROLLL)
		return;
	bit = 1U << event->code;
	dev->leds = event->value ? dev->leds | bit : dev->leds & ~bit;
	input_sink_set_leds(&dev->sink, dev->leds);
}

static void take_status(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtio_input_event event;

	if (virtq_copy_from(req, 0, &event, sizeof(event)) == sizeof(event))
		set_lamp(input_of(vdev), &event);
	else
		device_guest_error(&vdev->dev, "a status request that is no event");
	virtio_push(vdev, index, req, 0);
}

/* ---- The driver ---- */

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	if (index == QUEUE_EVENTS) {
		input_sink_wake(&input_of(vdev)->sink);
		return;
	}
	virtio_take_requests(vdev, index, take_status);
	virtio_notify(vdev);
}

static void start(struct virtio_dev *vdev)
{
	input_sink_wake(&input_of(vdev)->sink);
}

/* No request is kept. The driver is about to go, or one queue of it, and the hub looks anew. */
static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_input *dev = input_of(vdev);

	input_sink_wake(&dev->sink);
	if (!abort)
		return;
	dev->leds = 0;
	dev->vertical_rest = 0;
	dev->horizontal_rest = 0;
	input_sink_set_leds(&dev->sink, 0);
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_INPUT,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.start = start,
	.handle_queue = handle_queue,
	.drain = drain,
	.config_write = config_write,
};

/* ---- Life cycle ---- */

static int create(struct device **device, const struct device_class *device_class,
	const struct device_args *args, struct err *err)
{
	struct virtio_input *dev = calloc(1, sizeof(*dev));
	int ret;

	if (!dev)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	ret = virtio_init(&dev->vdev, device_class, args,
		&(struct virtio_config){.class = &class,
			.queue_count = QUEUE_COUNT,
			.config = &dev->config,
			.config_size = sizeof(dev->config)},
		err);
	if (ret < 0) {
		free(dev);
		return ret;
	}
	dev->is_tablet = device_class == &virtio_tablet_class;
	dev->input = args->input;
	dev->sink = (struct input_sink){
		.kinds = dev->is_tablet ? INPUT_POSITION : INPUT_KEYBOARD,
		.rank = INPUT_RANK_VIRTIO,
		.is_ready = is_ready,
		.take = take,
		.opaque = dev,
		.lock = &dev->vdev.dev.lock,
	};
	*device = &dev->vdev.dev;
	return 0;
}

static int create_keyboard(struct device **device, const struct device_args *args, struct err *err)
{
	return create(device, &virtio_keyboard_class, args, err);
}

static int create_tablet(struct device **device, const struct device_args *args, struct err *err)
{
	return create(device, &virtio_tablet_class, args, err);
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_input *dev = input_of(virtio_of(device));
	int ret = virtio_realize(&dev->vdev, err);

	(void)platform;
	if (ret >= 0)
		ret = virtio_mmio_connect(&dev->vdev, err);
	if (ret >= 0 && dev->input)
		input_add_sink(dev->input, &dev->sink);
	return ret;
}

static void reset(struct device *device)
{
	struct virtio_input *dev = input_of(virtio_of(device));

	virtio_reset(&dev->vdev);
	dev->config = (struct virtio_input_config){.select = VIRTIO_INPUT_CFG_UNSET};
}

static void destroy(struct device *device)
{
	struct virtio_input *dev = input_of(virtio_of(device));

	input_remove_sink(&dev->sink);
	virtio_finish(&dev->vdev);
	free(dev);
}

const struct device_class virtio_keyboard_class = {
	.name = "virtio-keyboard",
	.description = "virtio keyboard",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create_keyboard,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};

const struct device_class virtio_tablet_class = {
	.name = "virtio-tablet",
	.description = "virtio absolute pointer",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create_tablet,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
