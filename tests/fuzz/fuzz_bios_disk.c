/*
 * Arbitrary requests to bios-disk, with a request block anywhere: nothing outside guest memory and
 * the disks is touched, and every request is answered.
 */
#include "devices/backend/blk_memory.h"
#include "devices/legacy/bios_disk.h"
#include "tests/fake/fake_machine.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	RAM_BYTES = 256 * 1024,
	OPERATIONS_MAX = 200,
};

extern const struct device_class bios_disk_class;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_machine *fm;
static struct device *dev;
static struct blk *drives[2];

static void set_up(void)
{
	struct device_args args = {.name = "bios-disk0", .drives = drives, .drive_count = 2};
	int ret;

	log_set_level(LOG_ERROR);
	fm = fake_machine_create(RAM_BYTES);
	drives[0] = blk_memory_create(2880 * BLK_SECTOR_BYTES, fm->loop);
	drives[1] = blk_memory_create(100 * BLK_SECTOR_BYTES, fm->loop);
	ASSERT(drives[0] && drives[1]);
	ret = device_create(&dev, &bios_disk_class, &args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(dev, &fm->platform, NULL);
	ASSERT(ret == 0);
}

static void ask(struct fuzz_input *input)
{
	uint8_t request[16], flags = (uint8_t)fuzz_take(input, 1);
	uint32_t address = flags & 1 ? (uint32_t)fuzz_take(input, 4) : 0x1000;
	unsigned size = flags & 2 ? fuzz_take(input, 1) % 8 + 1 : 4;

	fuzz_take_bytes(input, request, sizeof(request));
	gmem_write(&fm->mem, address, request, sizeof(request));
	blk_memory_info(drives[1])->read_only = flags & 4;
	fake_machine_out(fm, (uint16_t)(BIOS_DISK_PORT + (flags >> 6)), size, address);
	ASSERT(fake_machine_in(fm, BIOS_DISK_PORT, 1) <= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .left = size};

	if (!fm)
		set_up();
	for (int i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		ask(&input);
	device_reset(dev);
	return 0;
}
