/*
 * virtio-gpu, formats of pixels (VIRTIO 1.2, 5.7.6.8, enum virtio_gpu_formats). Their names give
 * the order of the bytes in memory. All are turned into the display's, where blue comes first.
 *
 * Knows nothing of devices. No state, any thread.
 */
#include "devices/virtio/gpu_impl.h"

/* Alpha comes first in memory, blue last. */
static void turn_around(uint32_t *pixels, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		pixels[i] = __builtin_bswap32(pixels[i]);
}

/* Red comes first, alpha last. */
static void swap_red_and_blue(uint32_t *pixels, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		pixels[i] = (pixels[i] & 0xff00ff00) | (pixels[i] >> 16 & 0xff) |
			(pixels[i] & 0xff) << 16;
}

/* Alpha comes first, then blue. */
static void move_alpha(uint32_t *pixels, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		pixels[i] = pixels[i] >> 8 | pixels[i] << 24;
}

const struct gpu_format *gpu_format_find(uint32_t format)
{
	static const struct gpu_format formats[] = {
		{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, true, NULL},
		{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, false, NULL},
		{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, true, turn_around},
		{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, false, turn_around},
		{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, true, swap_red_and_blue},
		{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, false, swap_red_and_blue},
		{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, true, move_alpha},
		{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, false, move_alpha},
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].format == format)
			return &formats[i];
	return NULL;
}
