/*
 * See guest_driver.h. The options are those of Linux's Kconfig.
 */
#include "vmm/guest_driver.h"

#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>

#include "devices/virtio/virtio.h"

enum guest_driver guest_driver_of_status(uint8_t status)
{
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		return GUEST_DRIVER_READY;
	if (status & VIRTIO_CONFIG_S_DRIVER)
		return GUEST_DRIVER_STARTING;
	return status ? GUEST_DRIVER_NONE : GUEST_DRIVER_NO_BUS;
}

enum guest_driver guest_driver_of(struct device *device)
{
	uint8_t status;

	pthread_mutex_lock(&device->lock);
	status = virtio_of(device)->status;
	pthread_mutex_unlock(&device->lock);
	return guest_driver_of_status(status);
}

static const char *option_of(const char *class_name)
{
	static const struct {
		const char *class_name, *option;
	} options[] = {
		{"virtio-blk", "CONFIG_VIRTIO_BLK"},
		{"virtio-net", "CONFIG_VIRTIO_NET"},
		{"virtio-console", "CONFIG_VIRTIO_CONSOLE"},
		{"virtio-rng", "CONFIG_HW_RANDOM_VIRTIO"},
		{"virtio-balloon", "CONFIG_VIRTIO_BALLOON"},
		{"virtio-vsock", "CONFIG_VIRTIO_VSOCKETS"},
		{"virtio-gpu", "CONFIG_DRM_VIRTIO_GPU"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].class_name, class_name))
			return options[i].option;
	return "CONFIG_VIRTIO_INPUT";
}

void guest_driver_advise(enum guest_driver driver, const char *class_name, char *text, size_t size)
{
	const char *option = option_of(class_name);

	switch (driver) {
	case GUEST_DRIVER_NO_BUS:
		snprintf(text, size,
			"the kernel needs CONFIG_VIRTIO_MMIO and %s, built in (=y) or as modules "
			"in an --initrd",
			option);
		break;
	case GUEST_DRIVER_NONE:
		snprintf(text, size,
			"the kernel needs %s, built in (=y) or as a module in an --initrd", option);
		break;
	case GUEST_DRIVER_STARTING:
		snprintf(text, size, "its driver (%s) has begun and not ended its start", option);
		break;
	case GUEST_DRIVER_READY:
		snprintf(text, size, "its driver (%s) works", option);
		break;
	}
}
