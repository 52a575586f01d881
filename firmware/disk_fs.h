/*
 * Which file system begins at some place of a disk. For disk_probe.c and
 * disk_tables.c; other code sees disk_probe.h only.
 */
#pragma once

#include "firmware/disk_probe.h"
#include "firmware/source.h"

/* Looks into [volume->start, + volume->size) and fills fs, label and uuid. */
void disk_fs_probe(const struct source *source, struct disk_volume *volume);

/* Text of a 16-byte UUID, "01234567-…", into 37 bytes. */
void disk_uuid_text(const uint8_t uuid[16], char text[37]);

/* Copies printable ASCII up to a NUL or `len`; other characters become '?'; trailing blanks go. */
void disk_copy_text(char *to, size_t to_size, const uint8_t *from, size_t len);
