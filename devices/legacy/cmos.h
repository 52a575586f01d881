/*
 * What others may ask of the real-time clock.
 */
#pragma once

#include <stdint.h>

struct device;

/* Where the century stands, for the FADT's CENTURY field. */
#define CMOS_CENTURY 0x32

/*
 * Lets a device of class cmos take its time from `now_ns`, in nanoseconds since 1970, instead of
 * the host: for tests. Before realize.
 */
void cmos_set_clock(struct device *device, uint64_t (*now_ns)(void *opaque), void *opaque);
