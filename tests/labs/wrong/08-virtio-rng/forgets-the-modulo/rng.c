/* Looks behind the used ring's end from the ninth answer on. */
#include "rng.h"

enum {
	/* Registers of virtio-mmio, by their places in an array of 32-bit words */
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
	QUEUE_NOTIFY = 0x050 / 4,
	INTERRUPT_STATUS = 0x060 / 4,
	INTERRUPT_ACKNOWLEDGE = 0x064 / 4,
	STATUS = 0x070 / 4,
	QUEUE_DESCRIPTORS = 0x080 / 4, /* these three: low word, high word */
	QUEUE_AVAILABLE = 0x090 / 4,
	QUEUE_USED = 0x0a0 / 4,

	MAGIC = 0x74726976,
	ID_ENTROPY = 4,

	/* Device status, 2.1 */
	ACKNOWLEDGE = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
	FEATURES_OK = 8,

	VERSION_1_WORD = 1, /* feature 32: bit 0 of word 1 */
	VERSION_1_BIT = 1,

	DESCRIPTOR_WRITE = 2,
	RING_SIZE = 8,
};

/* vmm's places for virtio-mmio devices; guest-images/README.md */
#define FIRST_DEVICE UINT64_C(0xd0000000)
#define END_DEVICES  UINT64_C(0xd0100000)

enum {
	DEVICE_BYTES = 0x1000,
	FIRST_PIN = 16,
	PINS = 8,
};

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

static struct {
	struct descriptor descriptors[RING_SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags, index, ring[RING_SIZE];
	} available;
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, length;
		} ring[RING_SIZE];
	} used __attribute__((aligned(4)));
} queue;

static volatile uint32_t *device;
static uint16_t seen; /* how many used elements have been taken */

/* Neither the compiler nor the processor moves an access of memory across this. */
static void memory_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

volatile uint32_t *rng_find(unsigned *pin)
{
	for (uint64_t base = FIRST_DEVICE; base < END_DEVICES; base += DEVICE_BYTES) {
		volatile uint32_t *registers = (volatile uint32_t *)base;

		if (registers[MAGIC_VALUE] != MAGIC)
			break; /* no device here, and none behind it */
		if (registers[VERSION] == 2 && registers[DEVICE_ID] == ID_ENTROPY) {
			*pin = FIRST_PIN + (unsigned)((base - FIRST_DEVICE) / DEVICE_BYTES) % PINS;
			return registers;
		}
	}
	return NULL;
}

static void set_address(unsigned number, const void *address)
{
	device[number] = (uint32_t)(uint64_t)address;
	device[number + 1] = (uint32_t)((uint64_t)address >> 32);
}

static bool init_queue(void)
{
	device[QUEUE_SELECT] = 0;
	if (device[QUEUE_READY] || device[QUEUE_SIZE_MAX] < RING_SIZE)
		return false;
	device[QUEUE_SIZE] = RING_SIZE;
	set_address(QUEUE_DESCRIPTORS, queue.descriptors);
	set_address(QUEUE_AVAILABLE, &queue.available);
	set_address(QUEUE_USED, &queue.used);
	device[QUEUE_READY] = 1;
	return true;
}

bool rng_init(volatile uint32_t *registers)
{
	device = registers;
	device[STATUS] = 0;
	device[STATUS] = ACKNOWLEDGE;
	device[STATUS] = ACKNOWLEDGE | DRIVER;
	device[DEVICE_FEATURES_SELECT] = VERSION_1_WORD;
	if (!(device[DEVICE_FEATURES] & VERSION_1_BIT))
		return false;
	/* Nothing but that: the rings' other features change what the driver has to do. */
	device[DRIVER_FEATURES_SELECT] = 0;
	device[DRIVER_FEATURES] = 0;
	device[DRIVER_FEATURES_SELECT] = VERSION_1_WORD;
	device[DRIVER_FEATURES] = VERSION_1_BIT;
	device[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	if (!(device[STATUS] & FEATURES_OK) || !init_queue())
		return false;
	device[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
	return true;
}

/* One request at a time, so descriptor 0 is free. */
void rng_ask(void *bytes, unsigned size)
{
	queue.descriptors[0] = (struct descriptor){
		.address = (uint64_t)bytes,
		.length = size,
		.flags = DESCRIPTOR_WRITE,
	};
	queue.available.ring[queue.available.index % RING_SIZE] = 0;
	memory_barrier(); /* the entry before the index that announces it */
	queue.available.index++;
	memory_barrier(); /* the index before the notification */
	device[QUEUE_NOTIFY] = 0;
}

bool rng_take(unsigned *size)
{
	memory_barrier(); /* the device may have written since the last look */
	if (queue.used.index == seen)
		return false;
	memory_barrier(); /* the index before the element that it announces */
	*size = (&queue.used.ring[0])[seen].length;
	seen++;
	return true;
}

void rng_interrupt(void)
{
	device[INTERRUPT_ACKNOWLEDGE] = device[INTERRUPT_STATUS];
}
