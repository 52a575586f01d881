/*
 * virtio-gpu, which picture is on the screen (VIRTIO 1.2, 5.7.6.8: SET_SCANOUT, RESOURCE_FLUSH).
 *
 * A picture on which nothing but black was ever drawn is not shown: then the display shows
 * whatever else there is. Linux puts one on the screen whenever the last program that drew has gone,
 * as the memory of a console that it has on another device; that one has the text.
 *
 * Threads: the loop's and vCPUs, with the device's lock; takes the display's inside.
 */
#include "devices/virtio/gpu_impl.h"
#include "vmm/base/util.h"

static void show(struct virtio_gpu *gpu)
{
	const struct gpu_scanout *scanout = &gpu->scanout;
	const struct gpu_resource *resource = scanout->resource;
	struct display_surface surface = {.width = scanout->rect.width,
		.height = scanout->rect.height,
		.stride = resource->width * DISPLAY_PIXEL_BYTES};

	surface.pixels = resource->pixels + (uint64_t)scanout->rect.y * surface.stride +
		(uint64_t)scanout->rect.x * DISPLAY_PIXEL_BYTES;
	gpu->scanout.is_shown = true;
	display_set_surface(&gpu->source, &surface);
}

static void hide(struct virtio_gpu *gpu)
{
	if (!gpu->scanout.is_shown)
		return;
	gpu->scanout.is_shown = false;
	display_set_surface(&gpu->source, NULL);
}

static bool is_same(const struct gpu_scanout *scanout, const struct gpu_resource *resource,
	const struct virtio_gpu_rect *rect)
{
	return scanout->resource == resource && scanout->rect.x == rect->x &&
		scanout->rect.y == rect->y && scanout->rect.width == rect->width &&
		scanout->rect.height == rect->height;
}

void gpu_scanout_set(
	struct virtio_gpu *gpu, struct gpu_resource *resource, const struct virtio_gpu_rect *rect)
{
	/* The display would draw all of it anew. */
	if (is_same(&gpu->scanout, resource, rect) && gpu->scanout.is_shown)
		return;
	gpu->scanout.resource = resource;
	gpu->scanout.rect = (struct display_rect){rect->x, rect->y, rect->width, rect->height};
	if (resource->is_drawn)
		show(gpu);
	else
		hide(gpu);
}

void gpu_scanout_drop(struct virtio_gpu *gpu, const struct gpu_resource *resource)
{
	if (resource && gpu->scanout.resource != resource)
		return;
	hide(gpu);
	gpu->scanout.resource = NULL;
}

/* Both lie inside the picture: no overflow. False when they have nothing in common. */
static bool intersect(const struct display_rect *screen, const struct virtio_gpu_rect *rect,
	struct display_rect *common)
{
	uint32_t left = MAX(screen->x, rect->x);
	uint32_t top = MAX(screen->y, rect->y);
	uint32_t right = MIN(screen->x + screen->width, rect->x + rect->width);
	uint32_t bottom = MIN(screen->y + screen->height, rect->y + rect->height);

	if (left >= right || top >= bottom)
		return false;
	*common = (struct display_rect){
		left - screen->x, top - screen->y, right - left, bottom - top};
	return true;
}

void gpu_scanout_flush(struct virtio_gpu *gpu, const struct gpu_resource *resource,
	const struct virtio_gpu_rect *rect)
{
	struct display_rect common;

	if (gpu->scanout.resource != resource || !resource->is_drawn)
		return;
	if (!gpu->scanout.is_shown)
		show(gpu);
	else if (intersect(&gpu->scanout.rect, rect, &common))
		display_add_damage(&gpu->source, &common);
}
