/*
 * What virtio-gpu is made of; for the files gpu*.c only.
 *
 *	gpu.c           features, configuration, queues and their turns, size, life cycle
 *	gpu_command.c   the commands of the control queue and their answers
 *	gpu_scanout.c   which picture is on the screen
 *	gpu_cursor.c    the commands of the cursor queue
 *	gpu_resource.c  pictures: their memory, the guest's memory behind them, copies between both
 *	gpu_format.c    formats of pixels
 *	gpu_edid.c      what the monitor says of itself
 *
 * Threads: everything with the device's lock held.
 */
#pragma once

#include <linux/virtio_gpu.h>

#include "devices/backend/display.h"
#include "devices/virtio/virtio.h"

enum {
	GPU_QUEUE_CONTROL,
	GPU_QUEUE_CURSOR,
	GPU_QUEUES,
	/* Also the longest chain: a list of 32768 entries in pages of their own makes 128. */
	GPU_QUEUE_SIZE = 256,

	GPU_RESOURCES_MAX = 1024,
	/* Of a picture, in pixels: a copy goes row by row, and millions of rows take long. */
	GPU_SIDE_MAX = 16384,
	GPU_RESOURCE_LISTS = 64,
	/* The largest mode, 7680x4320, in pages of 4 KiB has 32400. */
	GPU_ENTRIES_MAX = 32768,
	GPU_ENTRIES_MAX_IN_ALL = 65536,
};

/*
 * Of the host's memory for all pictures: two of the largest mode. It is used as far as pictures
 * are drawn on.
 */
#define GPU_PIXEL_BYTES_MAX (256 * MIB)

/* Of one picture, and so of one copy: the largest mode, 127 MiB. */
#define GPU_PICTURE_BYTES_MAX                                                                      \
	((uint64_t)DISPLAY_WIDTH_MAX * DISPLAY_HEIGHT_MAX * DISPLAY_PIXEL_BYTES)

/*
 * How much one turn may cost, in bytes copied, before the loop's other work goes on; what is not a
 * copy is counted as if it were. The command that reaches it is still done whole.
 */
#define GPU_TURN_COST	 (16 * MIB)
#define GPU_COMMAND_COST (4 * KIB)
#define GPU_ENTRY_COST	 UINT64_C(64)

/* ---- Pictures ---- */

struct gpu_format {
	uint32_t format; /* VIRTIO_GPU_FORMAT_… */
	bool has_alpha;
	/* To XRGB8888 or ARGB8888, in place; NULL: it is that already. */
	void (*convert)(uint32_t *pixels, uint64_t count);
};

/* A piece of guest memory behind a picture. */
struct gpu_entry {
	const uint8_t *host;
	uint64_t len;
	uint64_t offset; /* of its first byte behind the picture */
};

struct gpu_resource {
	struct gpu_resource *next; /* of its list */
	uint32_t id, width, height;
	const struct gpu_format *format;
	uint8_t *pixels; /* owned; ARGB8888, rows without gaps */
	uint64_t bytes;
	bool is_drawn; /* something that is not black has been copied to it */

	bool is_backed;
	struct gpu_entry *entries; /* owned */
	unsigned entry_count;
	uint64_t backing_bytes;
};

struct gpu_resources {
	struct gpu_resource *lists[GPU_RESOURCE_LISTS]; /* by id */
	unsigned count, entry_count;
	uint64_t bytes;
};

/* The part of one picture that is the screen. */
struct gpu_scanout {
	struct gpu_resource *resource; /* NULL: off */
	struct display_rect rect;
	bool is_shown; /* the display has it */
};

struct virtio_gpu {
	struct virtio_dev vdev;
	struct virtio_gpu_config config;
	struct display *display; /* borrowed */
	struct display_source source;
	bool is_source;		/* added to the display */
	uint32_t width, height; /* the size that a driver is told */
	struct gpu_resources resources;
	struct gpu_scanout scanout;
	uint64_t turn_cost;
};

static inline struct virtio_gpu *gpu_of(struct virtio_dev *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_gpu, vdev);
}

/* ---- gpu_format.c ---- */

/* NULL: there is no such format. */
const struct gpu_format *gpu_format_find(uint32_t format);

/* ---- gpu_resource.c: results are VIRTIO_GPU_RESP_… ---- */

/* NULL: there is none of that number. */
struct gpu_resource *gpu_resource_find(const struct gpu_resources *resources, uint32_t id);

uint32_t gpu_resource_create(
	struct gpu_resources *resources, const struct virtio_gpu_resource_create_2d *wanted);
void gpu_resource_destroy(struct gpu_resources *resources, struct gpu_resource *resource);
void gpu_resource_destroy_all(struct gpu_resources *resources);

/* `req` has `count` of struct virtio_gpu_mem_entry to read, and is changed. */
uint32_t gpu_resource_attach(struct gpu_resources *resources, struct gpu_resource *resource,
	const struct gmem *mem, struct virtq_req *req, uint32_t count);
void gpu_resource_detach(struct gpu_resources *resources, struct gpu_resource *resource);

/* True when the rectangle lies inside the picture. */
bool gpu_resource_has_rect(const struct gpu_resource *resource, const struct virtio_gpu_rect *rect);

/* True when all rows of a rectangle that is inside the picture, from `offset` on, are backed. */
bool gpu_resource_is_backed(
	const struct gpu_resource *resource, const struct virtio_gpu_rect *rect, uint64_t offset);

/* Copies them from the guest. The caller has asked the two above. */
void gpu_resource_transfer(
	struct gpu_resource *resource, const struct virtio_gpu_rect *rect, uint64_t offset);

/* ---- gpu_scanout.c ---- */

/* `rect` lies inside the resource, and has sides that the display takes. */
void gpu_scanout_set(
	struct virtio_gpu *gpu, struct gpu_resource *resource, const struct virtio_gpu_rect *rect);

/* Off, if it shows that picture; NULL: any. */
void gpu_scanout_drop(struct virtio_gpu *gpu, const struct gpu_resource *resource);

/* The picture has changed there. */
void gpu_scanout_flush(struct virtio_gpu *gpu, const struct gpu_resource *resource,
	const struct virtio_gpu_rect *rect);

/* ---- gpu_command.c and gpu_cursor.c ---- */

/* Runs one request and gives it back. */
void gpu_command_run(struct virtio_gpu *gpu, struct virtq_req *req);
void gpu_cursor_run(struct virtio_gpu *gpu, struct virtq_req *req);

/*
 * The answer to `request`, whose header `answer` begins with: its type and what a fence needs are
 * filled in here. Where there is less room it is cut.
 */
void gpu_answer(struct virtio_gpu *gpu, unsigned queue, struct virtq_req *req,
	const struct virtio_gpu_ctrl_hdr *request, uint32_t type,
	struct virtio_gpu_ctrl_hdr *answer, size_t bytes);
