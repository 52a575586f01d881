/*
 * Disks for the machine's own BIOS (firmware/bios_rom.S), which serves INT 13h with it: a request in
 * guest memory, the write of its address to port 0x5c0, and it is done; the port then reads as the
 * status that INT 13h returns in AH. A machine has it only when it starts a boot sector.
 *
 *	offset	bytes	request
 *	0	1	operation: 0 tells about the drive, 1 reads, 2 writes; +0x10: place is CX and DH
 *	1	1	drive as in DL: 0x80 and up; 0 and up stand for the same
 *	2	2	sectors of 512 bytes
 *	4	4	guest-physical address of the buffer
 *	8	8	place: the first sector's number; or CX in bytes 8 and 9, DH in byte 10
 *
 *	offset	bytes	answer of operation 0, written to the buffer
 *	0	8	sectors
 *	8	2, 2, 2	cylinders, heads, sectors per track
 *	14	1	drives
 *	15	1	type of a floppy disk (INT 13h 08h), 0 if it has another size
 *
 * A disk with the size of a floppy disk has its geometry. Others have 63 sectors a track and as few
 * heads of 16, 32, 64, 128, 255 as do.
 *
 * Threads: vCPUs, under the device's lock. A request blocks its vCPU: boot sectors know no other
 * way, and it is 128 KiB at most.
 *
 * Threats
 *   what the guest can send           limit                         where          test
 *   a request that is no RAM          status 1                      read_request   bios_disk_refuses_bad_requests
 *   a request that changes meanwhile  it is copied once             read_request   -
 *   any drive, operation              those there are; status 1     execute        bios_disk_refuses_bad_requests
 *   sectors beyond the end, wrapping  status 4                      transfer       bios_disk_stays_inside
 *   0 or 65535 sectors                1 to SECTORS_MAX; status 1    transfer       bios_disk_stays_inside
 *   a buffer outside RAM              status 9                      transfer       bios_disk_refuses_bad_buffers
 *   head or sector beyond geometry    status 4                      find_sector    bios_disk_knows_geometry
 *   writes to a read-only disk        status 3                      transfer       bios_disk_writes
 */
#include "devices/legacy/bios_disk.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/backend/blk.h"
#include "vmm/core/device.h"

enum {
	PORTS = 4,
	FIRST_DRIVE = 0x80,
	SECTORS_MAX = 256,

	OP_INFO = 0,
	OP_READ = 1,
	OP_WRITE = 2,
	OP_MASK = 0x0f,
	OP_CHS = 0x10,

	/* As INT 13h returns them in AH. */
	STATUS_OK = 0x00,
	STATUS_BAD_REQUEST = 0x01,
	STATUS_READ_ONLY = 0x03,
	STATUS_NO_SECTOR = 0x04,
	STATUS_BAD_BUFFER = 0x09,
	STATUS_FAILED = 0x20,
};

struct bios_disk_request {
	uint8_t operation, drive;
	uint16_t sectors;
	uint32_t buffer;
	uint64_t place;
};
_Static_assert(sizeof(struct bios_disk_request) == 16, "as bios_rom.S lays it out");

struct bios_disk_answer {
	uint64_t sectors;
	uint16_t cylinders, heads, sectors_a_track;
	uint8_t drives, floppy_type;
};
_Static_assert(sizeof(struct bios_disk_answer) == 16, "as bios_rom.S lays it out");

struct bios_disk {
	struct device device;
	struct blk *const *drives; /* borrowed */
	unsigned drive_count;
	uint8_t status;
};

extern const struct device_class bios_disk_class;

/* ---- Geometry ---- */

static void find_geometry(const struct blk *blk, struct bios_disk_answer *answer)
{
	static const struct {
		uint16_t sectors, cylinders;
		uint8_t heads, sectors_a_track, type;
	} floppies[] = {
		{720, 40, 2, 9, 1},
		{1440, 80, 2, 9, 3},
		{2400, 80, 2, 15, 2},
		{2880, 80, 2, 18, 4},
		{5760, 80, 2, 36, 5},
	};
	const unsigned cylinders_max = 1024, sectors_a_track = 63;
	uint64_t sectors = blk_info(blk)->size / BLK_SECTOR_BYTES;
	uint64_t tracks = (sectors + sectors_a_track - 1) / sectors_a_track;
	unsigned heads = 16;

	answer->sectors = sectors;
	for (size_t i = 0; i < ARRAY_SIZE(floppies); i++)
		if (floppies[i].sectors == sectors) {
			answer->cylinders = floppies[i].cylinders;
			answer->heads = floppies[i].heads;
			answer->sectors_a_track = floppies[i].sectors_a_track;
			answer->floppy_type = floppies[i].type;
			return;
		}
	while (heads < 128 && tracks > (uint64_t)cylinders_max * heads)
		heads *= 2;
	if (tracks > (uint64_t)cylinders_max * heads)
		heads = 255;
	answer->cylinders = (uint16_t)MIN((tracks + heads - 1) / heads, (uint64_t)cylinders_max);
	answer->heads = (uint16_t)heads;
	answer->sectors_a_track = sectors_a_track;
}

/* CX has the cylinder's ten bits and the sector, from 1 on; DH the head. False: there is none. */
static bool find_sector(const struct blk *blk, uint64_t place, uint64_t *sector)
{
	struct bios_disk_answer geometry = {0};
	unsigned nth = place & 0x3f, head = place >> 16 & 0xff;
	unsigned cylinder = (place >> 8 & 0xff) | (place & 0xc0) << 2;

	find_geometry(blk, &geometry);
	if (!nth || nth > geometry.sectors_a_track || head >= geometry.heads)
		return false;
	*sector = ((uint64_t)cylinder * geometry.heads + head) * geometry.sectors_a_track + nth - 1;
	return true;
}

/* ---- Requests ---- */

static int tell(struct bios_disk *self, struct blk *blk, const struct bios_disk_request *request)
{
	struct bios_disk_answer answer = {.drives = (uint8_t)self->drive_count};
	int ret;

	find_geometry(blk, &answer);
	ret = gmem_write(self->device.platform->mem, request->buffer, &answer, sizeof(answer));
	return ret < 0 ? STATUS_BAD_BUFFER : STATUS_OK;
}

static int transfer(
	struct bios_disk *self, struct blk *blk, const struct bios_disk_request *request)
{
	bool is_write = (request->operation & OP_MASK) == OP_WRITE;
	uint64_t bytes = (uint64_t)request->sectors * BLK_SECTOR_BYTES;
	uint64_t sector = request->place;
	struct iovec iov = {.iov_len = bytes};
	struct blk_request disk_request = {
		.op = is_write ? BLK_WRITE : BLK_READ, .len = bytes, .iov = &iov, .iov_count = 1};

	if (!request->sectors || request->sectors > SECTORS_MAX)
		return STATUS_BAD_REQUEST;
	if (request->operation & OP_CHS && !find_sector(blk, request->place, &sector))
		return STATUS_NO_SECTOR;
	if (!util_range_inside(sector, request->sectors, blk_info(blk)->size / BLK_SECTOR_BYTES))
		return STATUS_NO_SECTOR;
	iov.iov_base = gmem_ptr(self->device.platform->mem, request->buffer, bytes);
	if (!iov.iov_base)
		return STATUS_BAD_BUFFER;
	if (is_write && blk_info(blk)->read_only)
		return STATUS_READ_ONLY;
	disk_request.offset = sector * BLK_SECTOR_BYTES;
	return blk_execute_sync(blk, &disk_request) < 0 ? STATUS_FAILED : STATUS_OK;
}

static int execute(struct bios_disk *self, const struct bios_disk_request *request)
{
	/* Programs of old days take drive 0 for granted: a floppy disk. It is the first disk. */
	unsigned nth = request->drive % FIRST_DRIVE;
	struct blk *blk = nth < self->drive_count ? self->drives[nth] : NULL;

	if (!blk)
		return STATUS_BAD_REQUEST;
	switch (request->operation & OP_MASK) {
	case OP_INFO:
		return tell(self, blk, request);
	case OP_READ:
	case OP_WRITE:
		return transfer(self, blk, request);
	default:
		return STATUS_BAD_REQUEST;
	}
}

/* ---- The port ---- */

static uint64_t read_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)offset, (void)size;
	return ((struct bios_disk *)opaque)->status;
}

static void write_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct bios_disk *self = opaque;
	struct bios_disk_request request;

	if (offset || size != sizeof(uint32_t)) {
		device_guest_error(&self->device, "not a double word at port 0x%x", BIOS_DISK_PORT);
		return;
	}
	self->status = STATUS_BAD_REQUEST;
	if (gmem_read(self->device.platform->mem, value, &request, sizeof(request)) < 0)
		device_guest_error(&self->device, "a request outside memory");
	else
		self->status = (uint8_t)execute(self, &request);
}

static const struct bus_ops ops = {.read = read_port, .write = write_port};

/* ---- Life cycle ---- */

static int bios_disk_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct bios_disk *self = calloc(1, sizeof(*self));

	if (!self)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&self->device, &bios_disk_class, args);
	self->drives = args->drives;
	self->drive_count = args->drive_count;
	*device = &self->device;
	return 0;
}

static int bios_disk_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device_claim_pio(
		device, BIOS_DISK_PORT, PORTS, &ops, (struct bios_disk *)device, err);
}

static void bios_disk_reset(struct device *device)
{
	((struct bios_disk *)device)->status = STATUS_OK;
}

static void bios_disk_destroy(struct device *device)
{
	device_finish(device);
	free(device);
}

const struct device_class bios_disk_class = {
	.name = "bios-disk",
	.description = "port 0x5c0: disks for the BIOS that starts boot sectors",
	.create = bios_disk_create,
	.realize = bios_disk_realize,
	.reset = bios_disk_reset,
	.destroy = bios_disk_destroy,
};
