/*
 * What a monitor says of itself: an EDID 1.4 block (VESA E-EDID Release A2) for a screen of any
 * size, which a driver asks for with GET_EDID (VIRTIO 1.2, 5.7.6.8).
 */
#pragma once

#include <stdint.h>

enum {
	GPU_EDID_BYTES = 128,
	GPU_EDID_SIDE_MAX = 4095, /* a detailed timing has 12 bits for each side */
};

/* Sides from 1 to GPU_EDID_SIDE_MAX: the preferred mode, and the first of the list. */
void gpu_edid_fill(uint8_t edid[GPU_EDID_BYTES], uint32_t width, uint32_t height);
