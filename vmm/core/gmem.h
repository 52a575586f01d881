/*
 * Guest memory: the only door to the guest's RAM.
 *
 * One mapping, 2 MiB aligned and lazily populated, shown to the guest as up to two regions:
 * [0, hole) and, if there is more, [4 GiB, ...). It is anonymous memory: most hosts give huge
 * pages on demand to that alone, not to memory files, and a guest that gets them starts with a
 * hundredth of the page faults. The host's pool of huge pages (--hugepages) is a memory file.
 * Every access carries a length and is whole or an error: no access can leave
 * RAM, wrap, or be cut. The guest may change any byte at any time: copy a
 * structure once, check the copy, use the copy.
 *
 * Made and destroyed by one thread; accesses are safe from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

/* A guest-physical address. */
typedef uint64_t gpa_t;

enum {
	GMEM_REGIONS_MAX = 2
};

struct gmem_region {
	gpa_t base;
	uint64_t size;	      /* bytes, a multiple of 4 KiB */
	uint8_t *host;	      /* the mapping of `base` */
	uint64_t file_offset; /* of `base` in all of RAM */
};

struct gmem {
	struct gmem_region regions[GMEM_REGIONS_MAX]; /* ascending, disjoint */
	unsigned region_count;
	uint64_t size;	     /* bytes of RAM in all */
	int fd;		     /* memfd of huge pages, owned; or -1 */
	uint8_t *map;	     /* owned reserved range, NULL when not made */
	uint64_t map_offset; /* bytes of alignment before RAM in the reserved range */
	uint64_t map_size;   /* bytes reserved */
	bool hugepages;
};

struct gmem_config {
	uint64_t size;	  /* bytes, a multiple of 4 KiB (2 MiB with hugepages), > 0 */
	gpa_t hole_start; /* RAM below 4 GiB ends here at the latest */
	gpa_t high_base;  /* the rest of RAM starts here */
	bool hugepages;	  /* back by hugetlbfs pages of 2 MiB: fails when there are not enough */
};

/*
 * Makes guest memory in the caller's struct. Error: -errno and a sentence of
 * kind EXIT_CODE_INTERNAL (no memory, no huge pages). gmem_finish() undoes it; it
 * is legal on a struct that is zero but for fd = -1.
 */
int gmem_init(struct gmem *mem, const struct gmem_config *config, struct err *err);
void gmem_finish(struct gmem *mem);

/*
 * For a guest that will touch few of the first 2 MiB's pages, before any is touched: to zero them
 * all, as the host does with a huge page, would cost such a start more than a fault for each.
 */
void gmem_use_small_pages_below_2m(struct gmem *mem);

/*
 * RAM reads as zero afterwards. All pages go back to the host, but huge ones, which stay reserved
 * for this machine. vCPUs are stopped.
 */
void gmem_discard_all(struct gmem *mem);

/*
 * Gives the host's pages that lie wholly inside [gpa, gpa + len) back to the host; they read as
 * zero afterwards. The guest may be running. With hugepages a page has 2 MiB, so that less than
 * one is never given back. Returns how many bytes were, or -EFAULT when the range is not wholly
 * inside one region, or the host's -errno.
 */
int64_t gmem_discard(struct gmem *mem, gpa_t gpa, uint64_t len);

/* Of the host's pages behind guest RAM. */
uint64_t gmem_page_bytes(const struct gmem *mem);

/* How much of RAM the host has given pages for, in bytes; 0 when that can't be found out. */
uint64_t gmem_held_bytes(const struct gmem *mem);

/*
 * The guest-physical address of a byte in guest RAM that gmem_ptr() has given; false for another
 * address.
 */
bool gmem_gpa(const struct gmem *mem, const void *host, gpa_t *gpa);

/*
 * The host address of [gpa, gpa + len), or NULL when it is not wholly inside
 * one region. `len` 0 is legal for an address inside RAM. The bytes belong to
 * the guest and may change at any time.
 */
void *gmem_ptr(const struct gmem *mem, gpa_t gpa, uint64_t len);

/* Copies whole or returns -EFAULT and touches nothing. */
int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, uint64_t len);
int gmem_write(struct gmem *mem, gpa_t gpa, const void *buf, uint64_t len);

/* Fills with a byte value, whole or -EFAULT. */
int gmem_fill(struct gmem *mem, gpa_t gpa, int value, uint64_t len);
