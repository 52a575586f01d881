/* See blk.h. VIRTIO 1.2, 5.2: the configuration space (5.2.4), requests (5.2.6). */
#include "blk.h"
#include "virtio.h"

enum {
	ID_BLOCK = 2,
	CONFIG_CAPACITY = VIRTIO_CONFIG, /* low word, high word */
	CONFIG_GENERATION = 0x0fc / 4,

	TYPE_IN = 0,
	TYPE_OUT = 1,
	STATUS_UNWRITTEN = 0xff,
};

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

static volatile uint32_t *device;
static struct virtio_queue queue;
static uint16_t seen; /* how many used elements have been taken */

bool blk_init(void)
{
	device = virtio_find(ID_BLOCK);
	return device && virtio_start(device, &queue);
}

/* 64 bits in two reads: the generation tells whether they belong together (2.5). */
uint64_t blk_sectors(void)
{
	uint32_t generation, low, high;

	do {
		generation = device[CONFIG_GENERATION];
		low = device[CONFIG_CAPACITY];
		high = device[CONFIG_CAPACITY + 1];
	} while (generation != device[CONFIG_GENERATION]);
	return (uint64_t)high << 32 | low;
}

static void set_descriptor(unsigned number, const void *bytes, uint32_t length, unsigned flags)
{
	queue.descriptors[number] = (struct virtio_descriptor){
		.address = (uint64_t)bytes,
		.length = length,
		.flags = (uint16_t)flags,
		.next = (uint16_t)(number + 1),
	};
}

static void submit_and_wait(void)
{
	queue.available.ring[queue.available.index % VIRTIO_QUEUE_SIZE] = 0;
	memory_barrier(); /* the entry before the index that announces it */
	queue.available.index++;
	memory_barrier(); /* the index before the notification */
	device[VIRTIO_QUEUE_NOTIFY] = 0;
	do
		memory_barrier();
	while (queue.used.index == seen);
	seen++;
}

/* One request at a time, in descriptors 0 to 2: header, data, status. */
static uint8_t transfer(uint32_t type, uint64_t sector, const void *buffer, unsigned sectors)
{
	static struct header header;
	static volatile uint8_t status;

	header = (struct header){.type = type, .sector = sector};
	status = STATUS_UNWRITTEN;
	set_descriptor(0, &header, sizeof(header), VIRTIO_NEXT);
	set_descriptor(1, buffer, sectors * SECTOR_BYTES,
		VIRTIO_NEXT | (type == TYPE_IN ? VIRTIO_WRITE : 0));
	set_descriptor(2, (const void *)&status, 1, VIRTIO_WRITE);
	submit_and_wait();
	return status;
}

uint8_t blk_read(uint64_t sector, void *buffer, unsigned sectors)
{
	return transfer(TYPE_IN, sector, buffer, sectors);
}

uint8_t blk_write(uint64_t sector, const void *buffer, unsigned sectors)
{
	return transfer(TYPE_OUT, sector, buffer, sectors);
}
