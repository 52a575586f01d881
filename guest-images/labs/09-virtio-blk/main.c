/*
 * Calls the driver as the test asks by a word of the command line, and tells what it found. Not the
 * student's.
 */
#include "blk.h"

enum {
	LINE_BYTES = 64, /* of the disk of most tests, sectors.txt: 8 lines in each of 8 sectors */
	READS = 40,
	BUFFER_SECTORS = 8,
	UNTOUCHED = 0xa5,
};

/* With a margin in front and behind. */
static uint8_t memory[(BUFFER_SECTORS + 2) * SECTOR_BYTES];
static uint8_t *const buffer = memory + SECTOR_BYTES;

static int fail(const char *why)
{
	print(why);
	print("\n");
	return 1;
}

static void set_untouched(void)
{
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i] = UNTOUCHED;
}

static bool is_untouched(const uint8_t *bytes, unsigned size)
{
	unsigned i = 0;

	while (i < size && bytes[i] == UNTOUCHED)
		i++;
	return i == size;
}

/* Whether only `bytes` of the buffer have been written. */
static bool is_inside(unsigned bytes)
{
	return is_untouched(memory, SECTOR_BYTES) &&
		is_untouched(buffer + bytes, (unsigned)sizeof(memory) - SECTOR_BYTES - bytes);
}

static void print_status(const char *what, uint8_t status)
{
	print(what);
	print(": status ");
	print_number(status);
	print("\n");
}

static void print_bytes(const uint8_t *bytes, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		print_char((char)bytes[i]);
}

/* ---- What each word asks for ---- */

static int show_size(void)
{
	print_number(blk_sectors());
	print(" sectors\n");
	return 0;
}

/* Prints the first and the last line of these sectors. */
static int read(uint64_t sector, unsigned sectors)
{
	uint8_t status;

	set_untouched();
	status = blk_read(sector, buffer, sectors);
	if (status != BLK_OK) {
		print_status("read", status);
		return 1;
	}
	if (!is_inside(sectors * SECTOR_BYTES))
		return fail("something was written beside the buffer");
	print_bytes(buffer, LINE_BYTES);
	print_bytes(buffer + sectors * SECTOR_BYTES - LINE_BYTES, LINE_BYTES);
	return 0;
}

/* More than any ring has entries; the sector's number is the eighth character. */
static int read_often(void)
{
	for (unsigned n = 0; n < READS; n++) {
		set_untouched();
		if (blk_read(n % 8, buffer, 1) != BLK_OK)
			return fail("a read failed");
		if (buffer[7] != '0' + n % 8 || !is_inside(SECTOR_BYTES))
			return fail("a read brought another sector");
	}
	print_number(READS);
	print(" reads\n");
	return 0;
}

/* The disk is read-only, and has 8 sectors. */
static int be_refused(void)
{
	print_status("beyond the end", blk_read(8, buffer, 1));
	print_status("across the end", blk_read(7, buffer, 2));
	print_status("write", blk_write(0, buffer, 1));
	return read(7, 1);
}

static int write(void)
{
	for (unsigned i = 0; i < 2 * SECTOR_BYTES; i++)
		buffer[i] = (uint8_t)('A' + i / SECTOR_BYTES);
	print_status("write", blk_write(3, buffer, 2));
	return read(3, 2);
}

static int show_file(const char *name)
{
	long size;

	set_untouched();
	size = file_read(name, buffer, BUFFER_SECTORS * SECTOR_BYTES);
	print(name);
	if (size < 0) {
		print(": no such file\n");
		return 0;
	}
	print(", ");
	print_number((uint64_t)size);
	print(" bytes:\n");
	if (size > BUFFER_SECTORS * SECTOR_BYTES)
		size = BUFFER_SECTORS * SECTOR_BYTES;
	if (!is_inside((unsigned)size))
		return fail("something was written behind the file's bytes");
	print_bytes(buffer, (unsigned)size);
	return 0;
}

static int show_files(void)
{
	static const char *const names[] = {"motd", "notes/long.txt", "motd.old", "not-here"};
	int status = 0;

	for (unsigned i = 0; !status && i < sizeof(names) / sizeof(*names); i++)
		status = show_file(names[i]);
	return status;
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)boot_params;
	if (!blk_init())
		return fail("no disk");
	if (has_word(words, "size"))
		return show_size();
	if (has_word(words, "several"))
		return read(4, 3);
	if (has_word(words, "often"))
		return read_often();
	if (has_word(words, "refused"))
		return be_refused();
	if (has_word(words, "write"))
		return write();
	if (has_word(words, "files"))
		return show_files();
	return read(2, 1);
}
