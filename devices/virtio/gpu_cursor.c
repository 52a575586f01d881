/*
 * virtio-gpu, the cursor queue (VIRTIO 1.2, 5.7.6.10). The display gets a copy of the cursor's
 * picture, so that the guest may do with its own what it likes.
 *
 * Linux leaves no room for answers on this queue, and wants none.
 *
 * Threats (see also gpu.c)
 *   what the guest can send       limit                     test
 *   another screen                refused                   cursor_limits
 *   pictures larger than 64x64    refused                   cursor_limits
 *   a picture that is not there   refused                   cursor_limits
 *   hot spots outside             moved to the edge         cursor_limits
 *   any position                  the display cuts it off   cursor_limits
 */
#include "devices/virtio/gpu_impl.h"
#include "vmm/base/util.h"

#define OPAQUE UINT32_C(0xff000000)

static void copy_picture(struct display_cursor *cursor, const struct gpu_resource *resource,
	const struct virtio_gpu_update_cursor *wanted)
{
	uint64_t pixels = resource->bytes / DISPLAY_PIXEL_BYTES;

	cursor->width = resource->width;
	cursor->height = resource->height;
	cursor->hot_x = MIN(wanted->hot_x, resource->width - 1);
	cursor->hot_y = MIN(wanted->hot_y, resource->height - 1);
	memcpy(cursor->argb, resource->pixels, resource->bytes);
	for (uint64_t i = 0; i < pixels && !resource->format->has_alpha; i++)
		cursor->argb[i] |= OPAQUE;
}

static uint32_t update(struct virtio_gpu *gpu, const struct virtio_gpu_update_cursor *wanted)
{
	struct display_cursor cursor = {.width = 0};

	if (wanted->resource_id) {
		const struct gpu_resource *resource =
			gpu_resource_find(&gpu->resources, wanted->resource_id);

		if (!resource)
			return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
		if (resource->width > DISPLAY_CURSOR_SIDE || resource->height > DISPLAY_CURSOR_SIDE)
			return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
		copy_picture(&cursor, resource, wanted);
	}
	display_set_cursor(&gpu->source, &cursor);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t run(struct virtio_gpu *gpu, const struct virtio_gpu_update_cursor *wanted)
{
	uint32_t result = VIRTIO_GPU_RESP_OK_NODATA;

	if (wanted->hdr.type != VIRTIO_GPU_CMD_UPDATE_CURSOR &&
		wanted->hdr.type != VIRTIO_GPU_CMD_MOVE_CURSOR)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (wanted->pos.scanout_id)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (wanted->hdr.type == VIRTIO_GPU_CMD_UPDATE_CURSOR)
		result = update(gpu, wanted);
	/* What lies left of the screen or above has wrapped around. */
	if (result == VIRTIO_GPU_RESP_OK_NODATA)
		display_move_cursor(&gpu->source, (int32_t)wanted->pos.x, (int32_t)wanted->pos.y);
	return result;
}

void gpu_cursor_run(struct virtio_gpu *gpu, struct virtq_req *req)
{
	struct virtio_gpu_update_cursor wanted = {.hdr.type = VIRTIO_GPU_UNDEFINED};
	struct virtio_gpu_ctrl_hdr answer = {0};
	uint32_t result = VIRTIO_GPU_RESP_ERR_UNSPEC;

	if (virtq_copy_from(req, 0, &wanted, sizeof(wanted)) == sizeof(wanted))
		result = run(gpu, &wanted);
	if (result != VIRTIO_GPU_RESP_OK_NODATA)
		device_guest_error(&gpu->vdev.dev, "cursor command 0x%x refused with 0x%x",
			wanted.hdr.type, result);
	gpu_answer(gpu, GPU_QUEUE_CURSOR, req, &wanted.hdr, result, &answer, sizeof(answer));
}
