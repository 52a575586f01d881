/*
 * How far a guest's driver of a virtio device has come, as the device's status register tells
 * (VIRTIO 1.2, 2.1), and what a Linux kernel needs to get there. No state; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct device;

enum guest_driver {
	GUEST_DRIVER_READY,   /* DRIVER_OK: it works */
	GUEST_DRIVER_NO_BUS,  /* nothing has touched the device: not even its bus is known */
	GUEST_DRIVER_NONE,    /* the bus found the device, and no driver took it */
	GUEST_DRIVER_STARTING /* a driver took it and has not finished, or failed */
};

enum guest_driver guest_driver_of_status(uint8_t status);

/* Of a device whose class is named "virtio-…"; takes its lock. */
enum guest_driver guest_driver_of(struct device *device);

/*
 * What to do about a driver that is not ready, as the end of a sentence: "the kernel needs
 * CONFIG_…". `class_name` is the device's: "virtio-blk".
 */
void guest_driver_advise(enum guest_driver driver, const char *class_name, char *text, size_t size);
