/*
 * See fake_net.h.
 */
#include "tests/fake/fake_net.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/util.h"

static struct fake_net *fake_of(const struct net *net)
{
	return CONTAINER_OF((struct net *)(uintptr_t)net, struct fake_net, net);
}

/* ---- Frames ---- */

static struct fake_net_frame *append(struct fake_net_list *list, size_t len)
{
	struct fake_net_frame *frame = calloc(1, sizeof(*frame) + len);

	ASSERT(frame && list->count < FAKE_NET_FRAMES_MAX);
	frame->len = len;
	*list->end = frame;
	list->end = &frame->next;
	list->count++;
	return frame;
}

/* The caller frees it. */
static struct fake_net_frame *remove_first(struct fake_net_list *list)
{
	struct fake_net_frame *frame = list->first;

	list->first = frame->next;
	if (!list->first)
		list->end = &list->first;
	list->count--;
	return frame;
}

static uint64_t bytes_of(const struct iovec *iov, unsigned count)
{
	uint64_t bytes = 0;

	ASSERT(count && count <= 1024);
	for (unsigned i = 0; i < count; i++) {
		ASSERT(iov[i].iov_len);
		bytes += iov[i].iov_len;
	}
	return bytes;
}

/* ---- Operations ---- */

static void start(struct net *net)
{
	ASSERT(!fake_of(net)->started);
	fake_of(net)->started = true;
	fake_of(net)->starts++;
}

static void stop(struct net *net)
{
	ASSERT(fake_of(net)->started);
	fake_of(net)->started = false;
	fake_of(net)->stops++;
}

static bool link_is_up(const struct net *net)
{
	return fake_of(net)->carrier;
}

static int set_offloads(struct net *net, uint64_t offloads)
{
	if (fake_of(net)->settings_error)
		return -fake_of(net)->settings_error;
	fake_of(net)->offloads = offloads;
	return 0;
}

static int set_queues(struct net *net, unsigned pairs)
{
	if (fake_of(net)->settings_error)
		return -fake_of(net)->settings_error;
	fake_of(net)->pairs = pairs;
	return 0;
}

/* What a host may rely on, whatever the guest sent. */
static void check_header(const struct fake_net *fake, const struct fake_net_frame *frame)
{
	struct virtio_net_hdr_v1 header;
	uint64_t offloads = fake->net.info.offloads;
	size_t len = frame->len - sizeof(header);

	memcpy(&header, frame->bytes, sizeof(header));
	ASSERT(!(header.flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM) && !header.num_buffers);
	if (header.flags) {
		ASSERT(offloads >> VIRTIO_NET_F_CSUM & 1);
		ASSERT(header.csum_start + header.csum_offset + 2u <= len);
	}
	if (header.gso_type) {
		ASSERT(header.flags && header.gso_size && header.hdr_len <= len);
		ASSERT(offloads >> VIRTIO_NET_F_HOST_TSO4 || offloads >> VIRTIO_NET_F_HOST_USO);
	}
}

static int send_frame(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
	struct fake_net *fake = fake_of(net);
	uint64_t len = bytes_of(iov, count);
	struct fake_net_frame *frame;
	size_t done = 0;

	ASSERT(fake->started && queue < fake->net.info.queues);
	ASSERT(len >= NET_HEADER_BYTES + 14 && len <= NET_HEADER_BYTES + NET_FRAME_BYTES_MAX);
	fake->sends++;
	if (fake->send_error)
		return -fake->send_error;
	if (!fake->room)
		return -EAGAIN;
	fake->room--;
	frame = append(&fake->sent[queue], len);
	for (unsigned i = 0; i < count; i++) {
		memcpy(frame->bytes + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	check_header(fake, frame);
	return 0;
}

static ssize_t receive(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
	struct fake_net *fake = fake_of(net);
	uint64_t room = bytes_of(iov, count);
	struct fake_net_frame *frame;
	size_t done = 0;
	ssize_t len;

	ASSERT(fake->started && queue < fake->net.info.queues);
	fake->receives++;
	if (fake->receive_error)
		return -fake->receive_error;
	for (;;) {
		if (!fake->to_guest[queue].first)
			return -EAGAIN;
		frame = remove_first(&fake->to_guest[queue]);
		if (frame->len <= room)
			break;
		fake->truncated++;
		free(frame);
	}
	for (unsigned i = 0; done < frame->len; i++) {
		size_t piece = MIN(iov[i].iov_len, frame->len - done);

		memcpy(iov[i].iov_base, frame->bytes + done, piece);
		done += piece;
	}
	len = (ssize_t)frame->len;
	free(frame);
	return len;
}

static void get_stats(struct net *net, struct net_stats *stats)
{
	(void)net;
	*stats = (struct net_stats){.sent_frames = 0};
}

static void destroy(struct net *net)
{
	struct fake_net *fake = fake_of(net);

	ASSERT(!fake->started && !net->front);
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		while (fake->to_guest[i].first)
			free(remove_first(&fake->to_guest[i]));
		while (fake->sent[i].first)
			free(remove_first(&fake->sent[i]));
	}
	free(fake);
}

static const struct net_ops ops = {
	.start = start,
	.stop = stop,
	.link_is_up = link_is_up,
	.set_offloads = set_offloads,
	.set_queues = set_queues,
	.send = send_frame,
	.receive = receive,
	.get_stats = get_stats,
	.close = destroy,
};

/* ---- For the test ---- */

struct fake_net *fake_net_create(struct loop *loop)
{
	struct fake_net *fake = calloc(1, sizeof(*fake));

	ASSERT(fake);
	fake->net = (struct net){.ops = &ops,
		.info = {.name = "fake", .queues = 1, .mtu = NET_MTU_DEFAULT},
		.loop = loop};
	fake->room = UINT32_MAX;
	fake->carrier = true;
	fake->pairs = 1;
	for (unsigned i = 0; i < NET_QUEUES_MAX; i++) {
		fake->to_guest[i].end = &fake->to_guest[i].first;
		fake->sent[i].end = &fake->sent[i].first;
	}
	return fake;
}

void fake_net_put(struct fake_net *fake, unsigned queue, const struct virtio_net_hdr_v1 *header,
	const void *frame, size_t len)
{
	struct fake_net_frame *added = append(&fake->to_guest[queue], sizeof(*header) + len);

	if (header)
		memcpy(added->bytes, header, sizeof(*header));
	memcpy(added->bytes + sizeof(*header), frame, len);
}

size_t fake_net_take(struct fake_net *fake, unsigned queue, void *bytes, size_t size)
{
	struct fake_net_frame *frame;
	size_t len;

	if (!fake->sent[queue].first)
		return 0;
	frame = remove_first(&fake->sent[queue]);
	len = MIN(frame->len, size);
	memcpy(bytes, frame->bytes, len);
	free(frame);
	return len;
}

void fake_net_drop(struct fake_net *fake, unsigned queue)
{
	free(remove_first(&fake->to_guest[queue]));
}

void fake_net_tell_readable(struct fake_net *fake, unsigned queue)
{
	net_tell_readable(&fake->net, queue);
}

void fake_net_make_room(struct fake_net *fake, unsigned queue, unsigned frames)
{
	fake->room = frames;
	net_tell_writable(&fake->net, queue);
}

void fake_net_set_carrier(struct fake_net *fake, bool up)
{
	fake->carrier = up;
	net_tell_link(&fake->net, up);
}
