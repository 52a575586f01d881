/* See virtio.h. VIRTIO 1.2: 4.2.2 (registers), 3.1.1 (order). */
#include "virtio.h"

enum {
	/* Registers, by their places in an array of 32-bit words */
	MAGIC_VALUE = 0x000 / 4,
	VERSION = 0x004 / 4,
	DEVICE_ID = 0x008 / 4,
	DEVICE_FEATURES = 0x010 / 4,
	DEVICE_FEATURES_SELECT = 0x014 / 4,
	DRIVER_FEATURES = 0x020 / 4,
	DRIVER_FEATURES_SELECT = 0x024 / 4,
	QUEUE_SELECT = 0x030 / 4,
	QUEUE_SIZE_MAX = 0x034 / 4,
	QUEUE_SIZE = 0x038 / 4,
	QUEUE_READY = 0x044 / 4,
	STATUS = 0x070 / 4,
	QUEUE_DESCRIPTORS = 0x080 / 4, /* these three: low word, high word */
	QUEUE_AVAILABLE = 0x090 / 4,
	QUEUE_USED = 0x0a0 / 4,

	MAGIC = 0x74726976,

	/* Device status, 2.1 */
	ACKNOWLEDGE = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
	FEATURES_OK = 8,

	DEVICES_MAX = 256,
	DEVICE_BYTES = 0x1000,
};

/* vmm's place for the first virtio-mmio device; guest-images/README.md */
#define FIRST_DEVICE UINT64_C(0xd0000000)

volatile uint32_t *virtio_find(uint32_t device_id)
{
	for (uint64_t n = 0; n < DEVICES_MAX; n++) {
		volatile uint32_t *registers =
			(volatile uint32_t *)(FIRST_DEVICE + n * DEVICE_BYTES);

		if (registers[MAGIC_VALUE] != MAGIC)
			break;
		if (registers[VERSION] == 2 && registers[DEVICE_ID] == device_id)
			return registers;
	}
	return NULL;
}

static void set_address(volatile uint32_t *registers, unsigned number, const void *address)
{
	registers[number] = (uint32_t)(uint64_t)address;
	registers[number + 1] = (uint32_t)((uint64_t)address >> 32);
}

bool virtio_start(volatile uint32_t *registers, struct virtio_queue *queue)
{
	registers[STATUS] = 0;
	registers[STATUS] = ACKNOWLEDGE;
	registers[STATUS] = ACKNOWLEDGE | DRIVER;
	/* VIRTIO_F_VERSION_1 is bit 0 of word 1. */
	registers[DEVICE_FEATURES_SELECT] = 1;
	if (!(registers[DEVICE_FEATURES] & 1))
		return false;
	registers[DRIVER_FEATURES_SELECT] = 0;
	registers[DRIVER_FEATURES] = 0;
	registers[DRIVER_FEATURES_SELECT] = 1;
	registers[DRIVER_FEATURES] = 1;
	registers[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	registers[QUEUE_SELECT] = 0;
	if (!(registers[STATUS] & FEATURES_OK) || registers[QUEUE_SIZE_MAX] < VIRTIO_QUEUE_SIZE)
		return false;
	registers[QUEUE_SIZE] = VIRTIO_QUEUE_SIZE;
	set_address(registers, QUEUE_DESCRIPTORS, queue->descriptors);
	set_address(registers, QUEUE_AVAILABLE, &queue->available);
	set_address(registers, QUEUE_USED, &queue->used);
	registers[QUEUE_READY] = 1;
	registers[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
	return true;
}
