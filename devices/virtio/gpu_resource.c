/*
 * virtio-gpu, pictures and the guest's memory behind them (VIRTIO 1.2, 5.7.6.8). The guest draws in
 * its own memory, in pieces that it names once (backing), and asks for copies of what has changed.
 *
 * Pixels are mapped when a picture is made and use memory as they are drawn. The pieces of the
 * backing are checked when they are attached and kept as host addresses: guest RAM stays in its place
 * as long as the machine.
 *
 * Threats (see also gpu.c)
 *   what the guest can send      limit                           where        test
 *   no width or height           refused                         create       create_limits
 *   width * height * 4 too big   64 bits, GPU_PICTURE_BYTES_MAX  create       create_limits
 *   millions of rows             GPU_SIDE_MAX                    create       create_limits
 *   too much of all together     GPU_PIXEL_BYTES_MAX             create       memory_limit
 *   thousands of pictures        GPU_RESOURCES_MAX               create       too_many_resources
 *   a number that is in use, 0   refused                         create       create_limits
 *   2^32 entries                 GPU_ENTRIES_MAX                 attach       entry_limits
 *   lists without end            GPU_ENTRIES_MAX_IN_ALL          attach       entry_limits
 *   a list cut short             refused                         attach       entry_limits
 *   entries outside RAM          refused, nothing is attached    read_entries entries_outside_ram
 *   copies beyond either end     refused, no overflow            has_rect, is_backed  transfer_limits
 *   pixels that change meanwhile they are pixels                 -            -
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "devices/virtio/gpu_impl.h"
#include "vmm/base/util.h"

enum {
	ENTRIES_AT_ONCE = 256,
};

/* ---- Pictures ---- */

static struct gpu_resource **list_of(struct gpu_resources *resources, uint32_t id)
{
	return &resources->lists[id % GPU_RESOURCE_LISTS];
}

struct gpu_resource *gpu_resource_find(const struct gpu_resources *resources, uint32_t id)
{
	struct gpu_resource *resource = resources->lists[id % GPU_RESOURCE_LISTS];

	while (resource && resource->id != id)
		resource = resource->next;
	return resource;
}

static bool map_pixels(struct gpu_resource *resource)
{
	void *map = mmap(NULL, resource->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return false;
	resource->pixels = map;
	return true;
}

static void add(struct gpu_resources *resources, struct gpu_resource *resource)
{
	struct gpu_resource **list = list_of(resources, resource->id);

	resource->next = *list;
	*list = resource;
	resources->count++;
	resources->bytes += resource->bytes;
}

uint32_t gpu_resource_create(
	struct gpu_resources *resources, const struct virtio_gpu_resource_create_2d *wanted)
{
	const struct gpu_format *format = gpu_format_find(wanted->format);
	/* 2 * 32 bits and 2 more need not fit. */
	uint64_t pixels = (uint64_t)wanted->width * wanted->height;
	struct gpu_resource *resource;

	if (!wanted->resource_id || gpu_resource_find(resources, wanted->resource_id))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!format || !pixels)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (resources->count == GPU_RESOURCES_MAX ||
		pixels > GPU_PICTURE_BYTES_MAX / DISPLAY_PIXEL_BYTES ||
		pixels > (GPU_PIXEL_BYTES_MAX - resources->bytes) / DISPLAY_PIXEL_BYTES)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (wanted->width > GPU_SIDE_MAX || wanted->height > GPU_SIDE_MAX)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	resource = calloc(1, sizeof(*resource));
	if (!resource)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	*resource = (struct gpu_resource){.id = wanted->resource_id,
		.width = wanted->width,
		.height = wanted->height,
		.format = format,
		.bytes = pixels * DISPLAY_PIXEL_BYTES};
	if (!map_pixels(resource)) {
		free(resource);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	add(resources, resource);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The first of a list is taken out of it and freed. */
static void destroy_first(struct gpu_resources *resources, struct gpu_resource **list)
{
	struct gpu_resource *resource = *list;

	*list = resource->next;
	gpu_resource_detach(resources, resource);
	resources->count--;
	resources->bytes -= resource->bytes;
	munmap(resource->pixels, resource->bytes);
	free(resource);
}

void gpu_resource_destroy(struct gpu_resources *resources, struct gpu_resource *resource)
{
	struct gpu_resource **link = list_of(resources, resource->id);

	while (*link != resource)
		link = &(*link)->next;
	destroy_first(resources, link);
}

void gpu_resource_destroy_all(struct gpu_resources *resources)
{
	for (unsigned i = 0; i < GPU_RESOURCE_LISTS; i++)
		while (resources->lists[i])
			destroy_first(resources, &resources->lists[i]);
}

/* ---- Backing ---- */

static bool add_entry(struct gpu_resource *resource, const struct gmem *mem,
	const struct virtio_gpu_mem_entry *wanted)
{
	struct gpu_entry *entry = &resource->entries[resource->entry_count];

	/* Empty ones would only be in the way of a search. */
	if (!wanted->length)
		return true;
	entry->host = gmem_ptr(mem, wanted->addr, wanted->length);
	if (!entry->host)
		return false;
	entry->len = wanted->length;
	entry->offset = resource->backing_bytes;
	resource->backing_bytes += entry->len;
	resource->entry_count++;
	return true;
}

static bool read_entries(struct gpu_resource *resource, const struct gmem *mem,
	struct virtq_req *req, uint32_t count)
{
	struct virtio_gpu_mem_entry entries[ENTRIES_AT_ONCE];

	while (count) {
		uint32_t some = MIN(count, (uint32_t)ENTRIES_AT_ONCE);

		virtq_copy_from(req, 0, entries, some * sizeof(entries[0]));
		virtq_skip_readable(req, some * sizeof(entries[0]));
		for (uint32_t i = 0; i < some; i++)
			if (!add_entry(resource, mem, &entries[i]))
				return false;
		count -= some;
	}
	return true;
}

static void free_entries(struct gpu_resource *resource)
{
	free(resource->entries);
	resource->entries = NULL;
	resource->entry_count = 0;
	resource->backing_bytes = 0;
}

uint32_t gpu_resource_attach(struct gpu_resources *resources, struct gpu_resource *resource,
	const struct gmem *mem, struct virtq_req *req, uint32_t count)
{
	if (resource->is_backed)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (count > GPU_ENTRIES_MAX || count > GPU_ENTRIES_MAX_IN_ALL - resources->entry_count)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (req->readable_bytes < count * sizeof(struct virtio_gpu_mem_entry))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	resource->entries = calloc(MAX(count, 1U), sizeof(*resource->entries));
	if (!resource->entries)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (!read_entries(resource, mem, req, count)) {
		free_entries(resource);
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	resources->entry_count += resource->entry_count;
	resource->is_backed = true;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void gpu_resource_detach(struct gpu_resources *resources, struct gpu_resource *resource)
{
	resources->entry_count -= resource->entry_count;
	free_entries(resource);
	resource->is_backed = false;
}

/* ---- Copies ---- */

bool gpu_resource_has_rect(const struct gpu_resource *resource, const struct virtio_gpu_rect *rect)
{
	return util_range_inside(rect->x, rect->width, resource->width) &&
		util_range_inside(rect->y, rect->height, resource->height);
}

static uint64_t stride_of(const struct gpu_resource *resource)
{
	return (uint64_t)resource->width * DISPLAY_PIXEL_BYTES;
}

/* The rectangle is inside the picture, which has GPU_PIXEL_BYTES_MAX at most: no overflow. */
bool gpu_resource_is_backed(
	const struct gpu_resource *resource, const struct virtio_gpu_rect *rect, uint64_t offset)
{
	if (!rect->width || !rect->height)
		return true;
	return util_range_inside(offset,
		(rect->height - 1) * stride_of(resource) +
			(uint64_t)rect->width * DISPLAY_PIXEL_BYTES,
		resource->backing_bytes);
}

/* The entry with the byte at `offset`, which lies inside the backing. */
static const struct gpu_entry *find_entry(const struct gpu_resource *resource, uint64_t offset)
{
	unsigned low = 0, high = resource->entry_count - 1;

	while (low < high) {
		unsigned middle = (low + high + 1) / 2;

		if (resource->entries[middle].offset <= offset)
			low = middle;
		else
			high = middle - 1;
	}
	return &resource->entries[low];
}

/* `entry` is the one where the last copy ended; offsets only grow. */
static void copy_from_backing(
	const struct gpu_entry **entry, uint64_t offset, uint8_t *to, uint64_t len)
{
	while (len) {
		uint64_t inside, some;

		while (offset >= (*entry)->offset + (*entry)->len)
			(*entry)++;
		inside = offset - (*entry)->offset;
		some = MIN(len, (*entry)->len - inside);
		memcpy(to, (*entry)->host + inside, some);
		to += some;
		offset += some;
		len -= some;
	}
}

static bool is_black(const uint32_t *pixels, uint64_t count)
{
	uint32_t all = 0;

	for (uint64_t i = 0; i < count; i++)
		all |= pixels[i];
	return !(all & 0x00ffffff);
}

static void copy_run(struct gpu_resource *resource, const struct gpu_entry **entry, uint64_t offset,
	uint64_t first_pixel, uint64_t count)
{
	uint32_t *pixels = (uint32_t *)(void *)resource->pixels + first_pixel;

	copy_from_backing(entry, offset, (uint8_t *)pixels, count * DISPLAY_PIXEL_BYTES);
	if (resource->format->convert)
		resource->format->convert(pixels, count);
	if (!resource->is_drawn)
		resource->is_drawn = !is_black(pixels, count);
}

/* Rows that follow each other without a gap are one. */
void gpu_resource_transfer(
	struct gpu_resource *resource, const struct virtio_gpu_rect *rect, uint64_t offset)
{
	uint64_t first = (uint64_t)rect->y * resource->width + rect->x;
	uint64_t count = rect->width;
	uint32_t rows = rect->height;
	const struct gpu_entry *entry;

	if (!count || !rows)
		return;
	entry = find_entry(resource, offset);
	if (count == resource->width) {
		count *= rows;
		rows = 1;
	}
	for (uint32_t i = 0; i < rows; i++)
		copy_run(resource, &entry, offset + i * stride_of(resource),
			first + (uint64_t)i * resource->width, count);
}
