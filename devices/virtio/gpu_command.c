/*
 * virtio-gpu, the control queue (VIRTIO 1.2, 5.7.6.7 and 5.7.6.8): takes a command, checks it, has
 * it done and answers it. All is done when the answer is given, and answers come in the order of
 * commands, so that a fence costs nothing more than its number.
 *
 * Threats: see gpu.c and gpu_resource.c.
 */
#include "devices/virtio/gpu_edid.h"
#include "devices/virtio/gpu_impl.h"
#include "vmm/base/util.h"

struct command {
	struct virtio_gpu *gpu;
	struct virtq_req *req; /* what follows the command can still be read from it */
	union {
		struct virtio_gpu_ctrl_hdr header;
		struct virtio_gpu_cmd_get_edid get_edid;
		struct virtio_gpu_resource_create_2d create;
		struct virtio_gpu_resource_unref unref;
		struct virtio_gpu_resource_attach_backing attach;
		struct virtio_gpu_resource_detach_backing detach;
		struct virtio_gpu_set_scanout set_scanout;
		struct virtio_gpu_resource_flush flush;
		struct virtio_gpu_transfer_to_host_2d transfer;
	} in;
	union {
		struct virtio_gpu_ctrl_hdr header;
		struct virtio_gpu_resp_display_info display_info;
		struct virtio_gpu_resp_edid edid;
	} out;
	size_t out_bytes;
};

/* ---- What the screen is like ---- */

static uint32_t get_display_info(struct command *command)
{
	struct virtio_gpu_display_one *mode = &command->out.display_info.pmodes[0];

	mode->r.width = command->gpu->width;
	mode->r.height = command->gpu->height;
	mode->enabled = 1;
	command->out_bytes = sizeof(command->out.display_info);
	return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

static uint32_t get_edid(struct command *command)
{
	const struct virtio_gpu *gpu = command->gpu;

	if (!virtio_has_feature(&gpu->vdev, VIRTIO_GPU_F_EDID))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (command->in.get_edid.scanout)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	command->out.edid.size = GPU_EDID_BYTES;
	gpu_edid_fill(command->out.edid.edid, gpu->width, gpu->height);
	command->out_bytes = sizeof(command->out.edid);
	return VIRTIO_GPU_RESP_OK_EDID;
}

/* ---- Pictures ---- */

static uint32_t create(struct command *command)
{
	return gpu_resource_create(&command->gpu->resources, &command->in.create);
}

static uint32_t unref(struct command *command)
{
	struct virtio_gpu *gpu = command->gpu;
	struct gpu_resource *resource =
		gpu_resource_find(&gpu->resources, command->in.unref.resource_id);

	if (!resource)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	/* First nobody may look at it any more. */
	gpu_scanout_drop(gpu, resource);
	gpu->turn_cost += resource->bytes / 4;
	gpu_resource_destroy(&gpu->resources, resource);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t attach(struct command *command)
{
	struct virtio_gpu *gpu = command->gpu;
	struct gpu_resource *resource =
		gpu_resource_find(&gpu->resources, command->in.attach.resource_id);
	uint32_t count = command->in.attach.nr_entries;

	if (!resource)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	gpu->turn_cost += MIN(count, (uint32_t)GPU_ENTRIES_MAX) * GPU_ENTRY_COST;
	return gpu_resource_attach(
		&gpu->resources, resource, gpu->vdev.dev.platform->mem, command->req, count);
}

static uint32_t detach(struct command *command)
{
	struct virtio_gpu *gpu = command->gpu;
	struct gpu_resource *resource =
		gpu_resource_find(&gpu->resources, command->in.detach.resource_id);

	if (!resource)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!resource->is_backed)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	gpu_resource_detach(&gpu->resources, resource);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t transfer(struct command *command)
{
	struct virtio_gpu *gpu = command->gpu;
	const struct virtio_gpu_rect *rect = &command->in.transfer.r;
	struct gpu_resource *resource =
		gpu_resource_find(&gpu->resources, command->in.transfer.resource_id);
	bool is_seen;

	if (!resource)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!resource->is_backed)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (!gpu_resource_has_rect(resource, rect) ||
		!gpu_resource_is_backed(resource, rect, command->in.transfer.offset))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	gpu->turn_cost += (uint64_t)rect->width * rect->height * DISPLAY_PIXEL_BYTES;
	is_seen = gpu->scanout.resource == resource && gpu->scanout.is_shown;
	if (is_seen)
		display_lock(&gpu->source);
	gpu_resource_transfer(resource, rect, command->in.transfer.offset);
	if (is_seen)
		display_unlock(&gpu->source);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- The screen ---- */

static uint32_t set_scanout(struct command *command)
{
	struct virtio_gpu *gpu = command->gpu;
	const struct virtio_gpu_rect *rect = &command->in.set_scanout.r;
	struct gpu_resource *resource;

	if (command->in.set_scanout.scanout_id)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (!command->in.set_scanout.resource_id) {
		gpu_scanout_drop(gpu, NULL);
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
	resource = gpu_resource_find(&gpu->resources, command->in.set_scanout.resource_id);
	if (!resource)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!gpu_resource_has_rect(resource, rect) || !rect->width || !rect->height ||
		rect->width > DISPLAY_WIDTH_MAX || rect->height > DISPLAY_HEIGHT_MAX)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	gpu_scanout_set(gpu, resource, rect);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t flush(struct command *command)
{
	struct virtio_gpu *gpu = command->gpu;
	const struct virtio_gpu_rect *rect = &command->in.flush.r;
	const struct gpu_resource *resource =
		gpu_resource_find(&gpu->resources, command->in.flush.resource_id);

	if (!resource)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!gpu_resource_has_rect(resource, rect))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	gpu_scanout_flush(gpu, resource, rect);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* ---- Commands ---- */

struct command_type {
	uint32_t (*run)(struct command *command);
	size_t bytes;
};

static const struct command_type *find_type(uint32_t type)
{
	static const struct command_type types[] = {
		{get_display_info, sizeof(struct virtio_gpu_ctrl_hdr)},
		{create, sizeof(struct virtio_gpu_resource_create_2d)},
		{unref, sizeof(struct virtio_gpu_resource_unref)},
		{set_scanout, sizeof(struct virtio_gpu_set_scanout)},
		{flush, sizeof(struct virtio_gpu_resource_flush)},
		{transfer, sizeof(struct virtio_gpu_transfer_to_host_2d)},
		{attach, sizeof(struct virtio_gpu_resource_attach_backing)},
		{detach, sizeof(struct virtio_gpu_resource_detach_backing)},
	};
	static const struct command_type edid = {get_edid, sizeof(struct virtio_gpu_cmd_get_edid)};
	uint32_t index = type - VIRTIO_GPU_CMD_GET_DISPLAY_INFO;

	if (type == VIRTIO_GPU_CMD_GET_EDID)
		return &edid;
	return index < ARRAY_SIZE(types) ? &types[index] : NULL;
}

static uint32_t run(struct command *command)
{
	const struct command_type *type;

	if (virtq_copy_from(command->req, 0, &command->in.header, sizeof(command->in.header)) !=
		sizeof(command->in.header))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	type = find_type(command->in.header.type);
	if (!type)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (command->req->readable_bytes < type->bytes)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	/* The header stays the one that was looked at. */
	virtq_copy_from(command->req, sizeof(command->in.header), &command->in.header + 1,
		type->bytes - sizeof(command->in.header));
	virtq_skip_readable(command->req, type->bytes);
	return type->run(command);
}

void gpu_answer(struct virtio_gpu *gpu, unsigned queue, struct virtq_req *req,
	const struct virtio_gpu_ctrl_hdr *request, uint32_t type,
	struct virtio_gpu_ctrl_hdr *answer, size_t bytes)
{
	answer->type = type;
	if (request->flags & VIRTIO_GPU_FLAG_FENCE) {
		answer->flags = VIRTIO_GPU_FLAG_FENCE;
		answer->fence_id = request->fence_id;
		answer->ctx_id = request->ctx_id;
	}
	virtio_push(&gpu->vdev, queue, req, (uint32_t)virtq_copy_to(req, 0, answer, bytes));
}

void gpu_command_run(struct virtio_gpu *gpu, struct virtq_req *req)
{
	struct command command = {.gpu = gpu,
		.req = req,
		.in.header.type = VIRTIO_GPU_UNDEFINED,
		.out_bytes = sizeof(command.out.header)};
	uint32_t result;

	memset(&command.out, 0, sizeof(command.out));
	result = run(&command);
	if (result >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		device_guest_error(&gpu->vdev.dev, "command 0x%x refused with 0x%x",
			command.in.header.type, result);
	else if (req->writable_bytes < command.out_bytes)
		device_guest_error(&gpu->vdev.dev, "no room for the answer to command 0x%x",
			command.in.header.type);
	gpu_answer(gpu, GPU_QUEUE_CONTROL, req, &command.in.header, result, &command.out.header,
		command.out_bytes);
}
