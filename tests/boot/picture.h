/*
 * The pictures that are drawn in a guest (kms.c) and looked for in its screenshot (picture.c): every
 * pixel is another one than its neighbours, and no two numbers make the same.
 */
#pragma once

#include <stdint.h>

/* As XRGB8888. */
static inline uint32_t picture_pixel(unsigned number, uint32_t x, uint32_t y)
{
	uint32_t value = (x * 2654435761u) ^ (y * 2246822519u) ^ (number * 3266489917u);

	return (value ^ value >> 15) & 0xffffff;
}
