/*
 * The raw backend: the disk is the file, byte for byte. For blk*.c; others use blk_open().
 */
#pragma once

#include "devices/backend/blk.h"

/* An opened, checked and locked image. */
struct blk_image {
	int fd;		  /* owned */
	const char *path; /* borrowed, for the time of the call */
	uint64_t end;	  /* bytes in the file; info.size is this in whole sectors */
	bool is_device;	  /* a block device, else a regular file */
	struct blk_info info;
};

/* Takes over image->fd, in case of an error too. Error: -ENOMEM with a sentence. */
int blk_file_create(
	struct blk **blk, const struct blk_image *image, struct loop *loop, struct err *err);
