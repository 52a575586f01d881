/*
 * See vhost.h. The only file that knows <linux/vhost.h>. Knows nothing of the guest's driver: the
 * rings and the features are the caller's.
 *
 * The kernel checks what it finds in rings and descriptors against the table of memory, which
 * has guest RAM and nothing else.
 *
 * Source: the kernel's <linux/vhost.h>; drivers that use it follow the same order of calls.
 */
#include "devices/backend/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/util.h"

struct vhost {
	int fd;
	const struct gmem *mem; /* borrowed */
	uint64_t features;
	struct vhost_client client;
	int error_fd;
	struct loop_fd error_watch;
};

static int call(const struct vhost *vhost, unsigned long request, const void *argument)
{
	return ioctl(vhost->fd, request, argument) < 0 ? -errno : 0;
}

/* ---- Opening ---- */

static void handle_error(void *opaque, uint32_t events)
{
	struct vhost *vhost = opaque;

	(void)events;
	vhost->client.broken(vhost->client.opaque);
}

static int watch_errors(struct vhost *vhost, struct loop *loop)
{
	vhost->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vhost->error_fd < 0)
		return -errno;
	/* Edge-triggered: the kernel may repeat itself, and nobody reads the counter. */
	vhost->error_watch = (struct loop_fd){.fd = vhost->error_fd,
		.events = EPOLLIN | EPOLLET,
		.fn = handle_error,
		.opaque = vhost,
		.lock = vhost->client.lock};
	return loop_fd_add(loop, &vhost->error_watch);
}

int vhost_net_open(struct vhost **out, const struct gmem *mem, struct loop *loop,
	const struct vhost_client *client)
{
	struct vhost *vhost = calloc(1, sizeof(*vhost));
	int ret;

	if (!vhost)
		return -ENOMEM;
	vhost->mem = mem;
	vhost->client = *client;
	vhost->error_fd = -1;
	vhost->fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	ret = vhost->fd < 0 ? -errno : call(vhost, VHOST_SET_OWNER, NULL);
	if (ret == 0)
		ret = call(vhost, VHOST_GET_FEATURES, &vhost->features);
	if (ret == 0)
		ret = watch_errors(vhost, loop);
	if (ret < 0) {
		vhost_net_close(vhost);
		return ret;
	}
	*out = vhost;
	return 0;
}

void vhost_net_close(struct vhost *vhost)
{
	if (!vhost)
		return;
	loop_fd_remove(&vhost->error_watch);
	if (vhost->error_fd >= 0)
		close(vhost->error_fd);
	if (vhost->fd >= 0)
		close(vhost->fd);
	free(vhost);
}

uint64_t vhost_net_features(const struct vhost *vhost)
{
	return vhost->features;
}

/* ---- Starting ---- */

static int set_memory(const struct vhost *vhost)
{
	union {
		struct vhost_memory table;
		uint8_t bytes[sizeof(struct vhost_memory) +
			GMEM_REGIONS_MAX * sizeof(struct vhost_memory_region)];
	} memory = {.table.nregions = vhost->mem->region_count};

	for (unsigned i = 0; i < vhost->mem->region_count; i++) {
		const struct gmem_region *region = &vhost->mem->regions[i];

		memory.table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = region->base,
			.memory_size = region->size,
			.userspace_addr = (uintptr_t)region->host,
		};
	}
	return call(vhost, VHOST_SET_MEM_TABLE, &memory);
}

static int set_file(const struct vhost *vhost, unsigned long request, unsigned index, int fd)
{
	struct vhost_vring_file file = {.index = index, .fd = fd};

	return call(vhost, request, &file);
}

static int set_ring(const struct vhost *vhost, unsigned index, const struct vhost_ring *ring)
{
	struct vhost_vring_state size = {.index = index, .num = ring->size};
	struct vhost_vring_state base = {.index = index, .num = ring->next};
	struct vhost_vring_addr addr = {.index = index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used};
	int ret = call(vhost, VHOST_SET_VRING_NUM, &size);

	if (ret == 0)
		ret = call(vhost, VHOST_SET_VRING_BASE, &base);
	if (ret == 0)
		ret = call(vhost, VHOST_SET_VRING_ADDR, &addr);
	if (ret == 0)
		ret = set_file(vhost, VHOST_SET_VRING_ERR, index, vhost->error_fd);
	if (ret == 0)
		ret = set_file(vhost, VHOST_SET_VRING_CALL, index, ring->interrupt_fd);
	if (ret == 0)
		ret = set_file(vhost, VHOST_SET_VRING_KICK, index, ring->kick_fd);
	return ret;
}

/* Legal at any point of starting. Without its kick the kernel sleeps through what follows. */
static void unbind(const struct vhost *vhost)
{
	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		(void)set_file(vhost, VHOST_NET_SET_BACKEND, i, VHOST_FILE_UNBIND);
		(void)set_file(vhost, VHOST_SET_VRING_KICK, i, VHOST_FILE_UNBIND);
		(void)set_file(vhost, VHOST_SET_VRING_CALL, i, VHOST_FILE_UNBIND);
	}
}

int vhost_net_start(struct vhost *vhost, uint64_t features,
	const struct vhost_ring rings[VHOST_RINGS], int tap_fd)
{
	int ret;

	features &= vhost->features;
	ret = call(vhost, VHOST_SET_FEATURES, &features);
	if (ret == 0)
		ret = set_memory(vhost);
	for (unsigned i = 0; ret == 0 && i < VHOST_RINGS; i++)
		ret = set_ring(vhost, i, &rings[i]);
	for (unsigned i = 0; ret == 0 && i < VHOST_RINGS; i++)
		ret = set_file(vhost, VHOST_NET_SET_BACKEND, i, tap_fd);
	if (ret < 0) {
		unbind(vhost);
		return ret;
	}
	/* What the driver has put there before now was not kicked for. */
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		(void)eventfd_write(rings[i].kick_fd, 1);
	return 0;
}

void vhost_net_stop(struct vhost *vhost, uint16_t next[VHOST_RINGS])
{
	unbind(vhost);
	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		struct vhost_vring_state state = {.index = i};
		int ret = call(vhost, VHOST_GET_VRING_BASE, &state);

		ASSERT(ret == 0);
		next[i] = (uint16_t)state.num;
	}
}
