/* The driver and the reader of archives that this lab is about: blk.c and file.c. */
#pragma once

#include "lab.h"

enum {
	SECTOR_BYTES = 512,

	/* What a request comes to (VIRTIO 1.2, 5.2.6) */
	BLK_OK = 0,
	BLK_ERROR = 1,
	BLK_UNSUPPORTED = 2,
};

/* ---- blk.c ---- */

/* Finds the first disk and brings it up; false where there is none. */
bool blk_init(void);

/* How many sectors the disk has. */
uint64_t blk_sectors(void);

/* Reads or writes so many sectors. Waits for the device. Returns its status, BLK_.... */
uint8_t blk_read(uint64_t sector, void *buffer, unsigned sectors);
uint8_t blk_write(uint64_t sector, const void *buffer, unsigned sectors);

/* ---- file.c ---- */

/*
 * Reads a file of the ustar archive on the disk: at most `size` bytes of it. Returns how many bytes
 * the file has, or -1 where there is no such file, no archive, or the disk does not work.
 */
long file_read(const char *name, void *buffer, unsigned size);
