/*
 * Partition tables: MBR with logical partitions, and GPT. For disk_probe.c.
 */
#pragma once

#include "firmware/disk_probe.h"
#include "firmware/source.h"

/*
 * Each adds the partitions to info->volumes (start, size, number, type texts and
 * flags) and says whether there is such a table. GPT has to be tried first: its disks
 * have an MBR too, which protects it.
 */
bool disk_read_gpt(const struct source *source, struct disk_info *info);
bool disk_read_mbr(const struct source *source, struct disk_info *info);

/* The next free volume, zeroed, or NULL when there are too many. */
struct disk_volume *disk_add_volume(
	struct disk_info *info, unsigned number, uint64_t start, uint64_t size);
