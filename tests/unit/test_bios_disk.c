/*
 * bios-disk: requests as the BIOS of boot sectors makes them, and as a hostile guest does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>

#include "devices/backend/blk_memory.h"
#include "devices/legacy/bios_disk.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class bios_disk_class;

enum {
	RAM_BYTES = 1 << 20,
	REQUEST = 0x1000,
	BUFFER = 0x8000,
	FLOPPY_SECTORS = 2880,
	DISK_SECTORS = 4096,

	INFO = 0,
	READ = 1,
	WRITE = 2,
	CHS = 0x10,
};

struct fixture {
	struct fake_machine *fm;
	struct blk *drives[2];
	struct device *dev;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_args args = {.name = "bios-disk0", .drives = f->drives, .drive_count = 2};

	f->fm = fake_machine_create(RAM_BYTES);
	f->drives[0] = blk_memory_create(FLOPPY_SECTORS * BLK_SECTOR_BYTES, f->fm->loop);
	f->drives[1] = blk_memory_create(DISK_SECTORS * BLK_SECTOR_BYTES, f->fm->loop);
	for (unsigned i = 0; i < FLOPPY_SECTORS; i++)
		store_le32(blk_memory_bytes(f->drives[0]) + i * BLK_SECTOR_BYTES, i);
	for (unsigned i = 0; i < DISK_SECTORS; i++)
		store_le32(blk_memory_bytes(f->drives[1]) + i * BLK_SECTOR_BYTES, 100000 + i);
	assert_int_equal(device_create(&f->dev, &bios_disk_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->dev, &f->fm->platform, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->dev);
	blk_close(f->drives[0]);
	blk_close(f->drives[1]);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

/* The status. */
static uint64_t ask(struct fixture *f, uint8_t op, uint8_t drive, uint16_t count, uint32_t buffer,
	uint64_t place)
{
	uint8_t request[16] = {op, drive};

	store_le16(request + 2, count);
	store_le32(request + 4, buffer);
	store_le64(request + 8, place);
	assert_int_equal(gmem_write(&f->fm->mem, REQUEST, request, sizeof(request)), 0);
	fake_machine_out(f->fm, BIOS_DISK_PORT, 4, REQUEST);
	return fake_machine_in(f->fm, BIOS_DISK_PORT, 1);
}

static uint32_t word_at(struct fixture *f, gpa_t gpa)
{
	return load_le32(gmem_ptr(&f->fm->mem, gpa, 4));
}

static uint64_t chs(unsigned cylinder, unsigned head, unsigned sector)
{
	return (cylinder & 0xff) << 8 | (cylinder >> 2 & 0xc0) | sector | head << 16;
}

static void test_bios_disk_reads(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, READ, 0x80, 2, BUFFER, 7), 0);
	assert_int_equal(word_at(f, BUFFER), 7);
	assert_int_equal(word_at(f, BUFFER + BLK_SECTOR_BYTES), 8);
	assert_int_equal(ask(f, READ, 0x81, 1, BUFFER, DISK_SECTORS - 1), 0);
	assert_int_equal(word_at(f, BUFFER), 100000 + DISK_SECTORS - 1);
	/* A floppy drive's number is the same disk. */
	assert_int_equal(ask(f, READ, 0, 1, BUFFER, 9), 0);
	assert_int_equal(word_at(f, BUFFER), 9);
	assert_int_equal(ask(f, READ, 0xff, 1, BUFFER, 0), 1);
}

static void test_bios_disk_knows_geometry(void **state)
{
	struct fixture *f = *state;
	const uint8_t *answer = gmem_ptr(&f->fm->mem, BUFFER, 16);

	assert_int_equal(ask(f, INFO, 0x80, 0, BUFFER, 0), 0);
	assert_int_equal(load_le64(answer), FLOPPY_SECTORS);
	assert_int_equal(load_le16(answer + 8), 80);
	assert_int_equal(load_le16(answer + 10), 2);
	assert_int_equal(load_le16(answer + 12), 18);
	assert_int_equal(answer[14], 2);
	assert_int_equal(answer[15], 4);
	assert_int_equal(ask(f, INFO, 0x81, 0, BUFFER, 0), 0);
	assert_int_equal(load_le16(answer + 8), 5);
	assert_int_equal(load_le16(answer + 10), 16);
	assert_int_equal(load_le16(answer + 12), 63);
	assert_int_equal(answer[15], 0);

	assert_int_equal(ask(f, READ | CHS, 0x80, 1, BUFFER, chs(3, 1, 4)), 0);
	assert_int_equal(word_at(f, BUFFER), (3 * 2 + 1) * 18 + 3);
	assert_int_equal(ask(f, READ | CHS, 0x80, 1, BUFFER, chs(0, 0, 0)), 4);
	assert_int_equal(ask(f, READ | CHS, 0x80, 1, BUFFER, chs(0, 0, 19)), 4);
	assert_int_equal(ask(f, READ | CHS, 0x80, 1, BUFFER, chs(0, 2, 1)), 4);
	assert_int_equal(ask(f, READ | CHS, 0x80, 1, BUFFER, chs(80, 0, 1)), 4);
	assert_int_equal(ask(f, READ | CHS, 0x81, 1, BUFFER, chs(4, 1, 1)), 0);
	assert_int_equal(word_at(f, BUFFER), 100000 + 65 * 63);
}

/* The largest disks have all that CHS can say, and no more. */
static void test_bios_disk_geometry_of_large_disks(void **state)
{
	static const struct {
		uint64_t sectors;
		unsigned cylinders, heads;
	} cases[] = {
		{1, 1, 16},
		{63 * 16 * 1024, 1024, 16},
		{63 * 16 * 1024 + 1, 513, 32},
		{63 * 128 * 1024, 1024, 128},
		{63 * 128 * 1024 + 1, 515, 255},
		{UINT64_C(1) << 40, 1024, 255},
	};
	struct fixture *f = *state;
	const uint8_t *answer = gmem_ptr(&f->fm->mem, BUFFER, 16);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		blk_memory_info(f->drives[0])->size = cases[i].sectors * BLK_SECTOR_BYTES;
		assert_int_equal(ask(f, INFO, 0x80, 0, BUFFER, 0), 0);
		assert_int_equal(load_le64(answer), cases[i].sectors);
		assert_int_equal(load_le16(answer + 8), cases[i].cylinders);
		assert_int_equal(load_le16(answer + 10), cases[i].heads);
	}
	blk_memory_info(f->drives[0])->size = FLOPPY_SECTORS * BLK_SECTOR_BYTES;
}

static void test_bios_disk_stays_inside(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, READ, 0x80, 0, BUFFER, 0), 1);
	assert_int_equal(ask(f, READ, 0x80, 256, BUFFER, 0), 0);
	assert_int_equal(ask(f, READ, 0x80, 257, BUFFER, 0), 1);
	assert_int_equal(ask(f, READ, 0x80, 65535, BUFFER, 0), 1);
	assert_int_equal(ask(f, READ, 0x80, 1, BUFFER, FLOPPY_SECTORS), 4);
	assert_int_equal(ask(f, READ, 0x80, 2, BUFFER, FLOPPY_SECTORS - 1), 4);
	assert_int_equal(ask(f, READ, 0x80, 1, BUFFER, UINT64_MAX), 4);
	assert_int_equal(ask(f, READ, 0x80, 1, BUFFER, UINT64_MAX / 512 + 1), 4);
}

static void test_bios_disk_refuses_bad_requests(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, READ, 0x82, 1, BUFFER, 0), 1);
	assert_int_equal(ask(f, READ, 0x7f, 1, BUFFER, 0), 1);
	assert_int_equal(ask(f, 3, 0x80, 1, BUFFER, 0), 1);
	fake_machine_out(f->fm, BIOS_DISK_PORT, 4, RAM_BYTES - 8);
	assert_int_equal(fake_machine_in(f->fm, BIOS_DISK_PORT, 1), 1);
	fake_machine_out(f->fm, BIOS_DISK_PORT, 4, UINT32_MAX);
	assert_int_equal(fake_machine_in(f->fm, BIOS_DISK_PORT, 1), 1);
	/* Other widths and places do nothing, and the status stays. */
	assert_int_equal(ask(f, READ, 0x80, 1, BUFFER, 5), 0);
	fake_machine_out(f->fm, BIOS_DISK_PORT, 2, 0xffff);
	fake_machine_out(f->fm, BIOS_DISK_PORT + 1, 1, 0xff);
	assert_int_equal(fake_machine_in(f->fm, BIOS_DISK_PORT, 1), 0);
	assert_int_equal(f->dev->guest_errors.total, 4);
}

static void test_bios_disk_refuses_bad_buffers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, READ, 0x80, 1, RAM_BYTES - 511, 0), 9);
	assert_int_equal(ask(f, READ, 0x80, 1, RAM_BYTES - 512, 0), 0);
	assert_int_equal(ask(f, READ, 0x80, 256, UINT32_MAX, 0), 9);
	assert_int_equal(ask(f, INFO, 0x80, 0, RAM_BYTES - 8, 0), 9);
}

static void test_bios_disk_writes(void **state)
{
	struct fixture *f = *state;

	store_le32(gmem_ptr(&f->fm->mem, BUFFER, 4), 4711);
	assert_int_equal(ask(f, WRITE, 0x80, 1, BUFFER, 3), 0);
	assert_int_equal(load_le32(blk_memory_bytes(f->drives[0]) + 3 * BLK_SECTOR_BYTES), 4711);
	blk_memory_info(f->drives[0])->read_only = true;
	assert_int_equal(ask(f, WRITE, 0x80, 1, BUFFER, 4), 3);
	assert_int_equal(load_le32(blk_memory_bytes(f->drives[0]) + 4 * BLK_SECTOR_BYTES), 4);
	blk_memory_info(f->drives[0])->read_only = false;
	blk_memory_set_error(f->drives[0], BLK_WRITE, 5);
	assert_int_equal(ask(f, WRITE, 0x80, 1, BUFFER, 4), 0x20);
	device_reset(f->dev);
	assert_int_equal(fake_machine_in(f->fm, BIOS_DISK_PORT, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(bios_disk_reads),
		T(bios_disk_knows_geometry),
		T(bios_disk_geometry_of_large_disks),
		T(bios_disk_stays_inside),
		T(bios_disk_refuses_bad_requests),
		T(bios_disk_refuses_bad_buffers),
		T(bios_disk_writes),
#undef T
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
