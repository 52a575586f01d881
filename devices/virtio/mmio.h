/*
 * The virtio-mmio transport, version 2 (VIRTIO 1.2, 4.2.2): registers in one page of guest-
 * physical memory and one edge-triggered interrupt.
 *
 * In the ACPI tables such a device is LNRO0005, in a device tree "virtio,mmio".
 */
#pragma once

#include "devices/virtio/virtio.h"

#define VIRTIO_MMIO_ACPI_HID	  "LNRO0005"
#define VIRTIO_MMIO_DT_COMPATIBLE "virtio,mmio"

enum {
	VIRTIO_MMIO_BYTES = 0x200,	 /* registers, and as much configuration space */
	VIRTIO_MMIO_VENDOR = 0x314d4d56, /* "VMM1" */
};

/*
 * For realize() of a class, after virtio_realize(): claims registers and interrupt and connects
 * itself; virtio_finish() undoes it. Error: -errno and a sentence.
 */
int virtio_mmio_connect(struct virtio_dev *vdev, struct err *err);
