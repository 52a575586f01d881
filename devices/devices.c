/*
 * The table of device classes, made from device-list.def.
 */
#include "vmm/core/device.h"

#define DEVICE(name) extern const struct device_class name##_class;
#include "devices/device-list.def"
#undef DEVICE

const struct device_class *const device_classes[] = {
#define DEVICE(name) &name##_class,
#include "devices/device-list.def"
#undef DEVICE
	NULL,
};
