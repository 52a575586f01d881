/*
 * virtio-vsock: sockets between the guest and programs of the host, without a network
 * (VIRTIO 1.2, 5.10). This half has the queues and the packets; vsock_stream.c the connections.
 *
 * Streams with something to send stand in line, and each sends one packet in its turn into a
 * buffer of the guest. Where there is no buffer they wait: what a stream has to say is a
 * handful of flags, and its data stays in the host's socket. So a guest that gives no buffers
 * costs no memory.
 *
 * Threads: the loop's, and vCPUs that reset the device; all with the device's lock.
 *
 * Threats
 *   what the guest can send       limit                           where         test
 *   a header cut or spread        copied whole, else ignored      take_packet   odd_packets
 *   wrong length, cid, type       ignored, ignored, reset         take_packet   odd_packets
 *   unknown connections, ops      reset, VSOCK_RESETS_MAX         reset_peer    resets_are_bounded
 *   more than its credit          the stream is cut off           take_data     credit_is_enforced
 *   streams without end           VSOCK_STREAMS_MAX               make_stream   too_many_streams
 *   a credit of its own that lies no more than its buffers        credit_of     lying_credit
 *   credit after the host is gone nothing is read for it          reads_host    credit_after_…
 *   no buffers, tiny buffers      waits; counted, given back      send_one      tiny_buffers
 *   never answers, never reads    data stays with the host        emit_data     guest_does_not_read
 *   reset with streams open       all closed                      drain         reset_closes_all
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>

#include "devices/virtio/mmio.h"
#include "devices/virtio/vsock_impl.h"
#include "vmm/base/util.h"

enum {
	QUEUE_RX,
	QUEUE_TX,
	QUEUE_EVENT,
	QUEUE_COUNT,
	QUEUE_SIZE = 256,
	FIRST_HOST_PORT = 1 << 30, /* of connections that the host makes */
};

extern const struct device_class virtio_vsock_class;

static struct virtio_vsock *vsock_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_vsock, vdev);
}

unsigned vsock_pieces(const struct iovec *from, unsigned count, uint64_t skip, uint64_t len,
	struct iovec *to, unsigned max)
{
	unsigned used = 0;

	for (unsigned i = 0; i < count && len && used < max; i++) {
		uint64_t here = from[i].iov_len;

		if (skip >= here) {
			skip -= here;
			continue;
		}
		here = MIN(here - skip, len);
		to[used++] = (struct iovec){(uint8_t *)from[i].iov_base + skip, here};
		len -= here;
		skip = 0;
	}
	return used;
}

/* ---- To the guest ---- */

void vsock_reset_peer(struct virtio_vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
	unsigned at = (vsock->resets_start + vsock->resets_used) % VSOCK_RESETS_MAX;

	if (vsock->resets_used == VSOCK_RESETS_MAX) {
		device_guest_error(&vsock->vdev.dev, "takes no answers to its connections");
		return;
	}
	vsock->resets[at] = (struct vsock_ports){guest_port, host_port};
	vsock->resets_used++;
}

static void emit_reset(struct virtio_vsock *vsock, struct virtio_vsock_hdr *header)
{
	const struct vsock_ports *ports = &vsock->resets[vsock->resets_start];

	*header = (struct virtio_vsock_hdr){
		.op = VIRTIO_VSOCK_OP_RST, .src_port = ports->host, .dst_port = ports->guest};
	vsock->resets_start = (vsock->resets_start + 1) % VSOCK_RESETS_MAX;
	vsock->resets_used--;
}

/* The next in line that has a packet; it goes to the end of the line if it has more. */
static bool emit_stream(
	struct virtio_vsock *vsock, struct virtio_vsock_hdr *header, const struct virtq_req *req)
{
	struct vsock_stream *stream;

	while ((stream = TAILQ_FIRST(&vsock->busy))) {
		bool sent = vsock_stream_emit(stream, header, req);

		TAILQ_REMOVE(&vsock->busy, stream, in_busy);
		stream->queued = false;
		vsock_stream_queue(stream);
		if (sent)
			return true;
	}
	return false;
}

/* False: nothing was sent, and the buffer stays in the ring. */
static bool send_one(struct virtio_vsock *vsock, struct virtq_req *req)
{
	struct virtio_dev *vdev = &vsock->vdev;
	struct virtio_vsock_hdr header;

	if (req->writable_bytes <= sizeof(header)) {
		device_guest_error(&vdev->dev, "a buffer of %llu bytes for packets",
			(unsigned long long)req->writable_bytes);
		virtio_push(vdev, QUEUE_RX, req, 0);
		return true;
	}
	if (vsock->resets_used) {
		emit_reset(vsock, &header);
	} else if (!emit_stream(vsock, &header, req)) {
		virtio_untake(vdev, QUEUE_RX, req);
		return false;
	}
	header.src_cid = VSOCK_HOST_CID;
	header.dst_cid = vsock->config.guest_cid;
	header.type = VIRTIO_VSOCK_TYPE_STREAM;
	virtq_copy_to(req, 0, &header, sizeof(header));
	virtio_push(vdev, QUEUE_RX, req, (uint32_t)sizeof(header) + header.len);
	return true;
}

static bool is_idle(const struct virtio_vsock *vsock)
{
	return !vsock->resets_used && TAILQ_EMPTY(&vsock->busy);
}

void vsock_pump(struct virtio_vsock *vsock)
{
	struct virtio_dev *vdev = &vsock->vdev;
	unsigned budget = QUEUE_SIZE;
	struct virtq_req *req;

	/* Kicks are wanted only while something waits for a buffer. */
	while (!is_idle(vsock) && virtio_can_work(vdev, QUEUE_RX)) {
		virtio_disable_kicks(vdev, QUEUE_RX);
		if (!budget--) {
			virtio_kick_self(vdev, QUEUE_RX);
			break;
		}
		if (virtio_take(vdev, QUEUE_RX, &req)) {
			if (!send_one(vsock, req))
				break;
		} else if (!virtio_can_work(vdev, QUEUE_RX) ||
			!virtio_enable_kicks(vdev, QUEUE_RX)) {
			break;
		}
	}
	virtio_notify(vdev);
}

static void send_event(struct virtio_vsock *vsock)
{
	const struct virtio_vsock_event event = {.id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};
	struct virtq_req *req;

	if (!vsock->tell_reset || !virtio_take(&vsock->vdev, QUEUE_EVENT, &req))
		return;
	vsock->tell_reset = false;
	virtio_push(&vsock->vdev, QUEUE_EVENT, req,
		(uint32_t)virtq_copy_to(req, 0, &event, sizeof(event)));
	virtio_notify(&vsock->vdev);
}

/* ---- From the guest ---- */

/* NULL, or why the packet is worth nothing, not even an answer. */
static const char *check_header(const struct virtio_vsock *vsock,
	const struct virtio_vsock_hdr *header, const struct virtq_req *req, uint64_t got)
{
	if (got != sizeof(*header))
		return "a packet without a whole header";
	if (header->len > req->readable_bytes - sizeof(*header))
		return "a packet shorter than it says";
	if (header->src_cid != vsock->config.guest_cid)
		return "a packet from another's cid";
	if (header->dst_cid != VSOCK_HOST_CID)
		return "a packet to nobody here";
	return NULL;
}

static void route(struct virtio_vsock *vsock, const struct virtio_vsock_hdr *header,
	const struct virtq_req *req)
{
	struct vsock_stream *stream = NULL;

	if (header->type == VIRTIO_VSOCK_TYPE_STREAM)
		stream = vsock_stream_find(vsock, header->src_port, header->dst_port);
	if (stream)
		vsock_stream_take(stream, header, req);
	else if (header->type == VIRTIO_VSOCK_TYPE_STREAM && header->op == VIRTIO_VSOCK_OP_REQUEST)
		vsock_stream_request(vsock, header);
	else if (header->op != VIRTIO_VSOCK_OP_RST)
		vsock_reset_peer(vsock, header->src_port, header->dst_port);
}

static void take_packet(struct virtio_dev *vdev, unsigned index, struct virtq_req *req)
{
	struct virtio_vsock *vsock = vsock_of(vdev);
	struct virtio_vsock_hdr header;
	uint64_t got = virtq_copy_from(req, 0, &header, sizeof(header));
	const char *wrong = check_header(vsock, &header, req, got);

	if (wrong)
		device_guest_error(&vdev->dev, "%s", wrong);
	else
		route(vsock, &header, req);
	virtio_push(vdev, index, req, 0);
}

static void handle_queue(struct virtio_dev *vdev, unsigned index)
{
	struct virtio_vsock *vsock = vsock_of(vdev);

	if (index == QUEUE_EVENT) {
		send_event(vsock);
		return;
	}
	if (index == QUEUE_TX)
		virtio_take_requests(vdev, index, take_packet);
	vsock_pump(vsock);
}

/* No request outlives handle_queue(), but connections do. */
static void drain(struct virtio_dev *vdev, bool abort)
{
	struct virtio_vsock *vsock = vsock_of(vdev);

	if (!abort)
		return;
	vsock->tell_reset |= !LIST_EMPTY(&vsock->all);
	while (!LIST_EMPTY(&vsock->all))
		vsock_stream_destroy(LIST_FIRST(&vsock->all));
	vsock->resets_used = 0;
}

static const struct virtio_class class = {
	.device_id = VIRTIO_ID_VSOCK,
	.queue_size = QUEUE_SIZE,
	.request_bytes = sizeof(struct virtq_req),
	.handle_queue = handle_queue,
	.drain = drain,
};

/* ---- Host ---- */

static bool handle_asked(void *opaque, struct vsock_sock *sock, uint32_t port)
{
	struct virtio_vsock *vsock = opaque;

	/* Without a driver nobody would ever answer. */
	if (!virtio_can_work(&vsock->vdev, QUEUE_RX) || !vsock_stream_asked(vsock, sock, port))
		return false;
	loop_post(vsock->vdev.dev.platform->loop, &vsock->pump_task);
	return true;
}

/* Sent is after the loop has looked at all sockets, so that they share the buffers. */
static void handle_ready(void *opaque, struct vsock_sock *sock, uint32_t events)
{
	struct virtio_vsock *vsock = opaque;

	vsock_stream_ready(sock->owner, events);
	loop_post(vsock->vdev.dev.platform->loop, &vsock->pump_task);
}

static void handle_task(void *opaque)
{
	vsock_pump(opaque);
}

/* ---- Life cycle ---- */

static int create(struct device **device, const struct device_args *args, struct err *err)
{
	struct virtio_vsock *vsock = calloc(1, sizeof(*vsock));
	int ret;

	ASSERT(args->vsock);
	if (!vsock)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	vsock->host = args->vsock;
	vsock->config.guest_cid = args->vsock_cid;
	vsock->next_host_port = FIRST_HOST_PORT;
	TAILQ_INIT(&vsock->busy);
	vsock->pump_task = (struct loop_task){
		.fn = handle_task, .opaque = vsock, .lock = &vsock->vdev.dev.lock};
	ret = virtio_init(&vsock->vdev, &virtio_vsock_class, args,
		&(struct virtio_config){.class = &class,
			.queue_count = QUEUE_COUNT,
			.config = &vsock->config,
			.config_size = sizeof(vsock->config)},
		err);
	if (ret < 0) {
		free(vsock);
		return ret;
	}
	*device = &vsock->vdev.dev;
	return 0;
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct virtio_vsock *vsock = vsock_of(virtio_of(device));
	const struct vsock_client client = {.asked = handle_asked,
		.ready = handle_ready,
		.opaque = vsock,
		.lock = &device->lock};
	int ret = virtio_realize(&vsock->vdev, err);

	(void)platform;
	if (ret >= 0)
		ret = virtio_mmio_connect(&vsock->vdev, err);
	if (ret < 0)
		return ret;
	ret = vsock_attach(vsock->host, &client, err);
	vsock->attached = ret >= 0;
	return ret;
}

static void reset(struct device *device)
{
	virtio_reset(virtio_of(device));
}

static void destroy(struct device *device)
{
	struct virtio_vsock *vsock = vsock_of(virtio_of(device));

	if (vsock->attached)
		loop_unpost(device->platform->loop, &vsock->pump_task);
	/* Streams close their sockets, before the back end closes what is left. */
	virtio_finish(&vsock->vdev);
	if (vsock->attached)
		vsock_detach(vsock->host);
	free(vsock);
}

const struct device_class virtio_vsock_class = {
	.name = "virtio-vsock",
	.description = "sockets between the guest and programs of the host",
	.acpi_hid = VIRTIO_MMIO_ACPI_HID,
	.dt_compatible = VIRTIO_MMIO_DT_COMPATIBLE,
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
