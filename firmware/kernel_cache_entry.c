/*
 * See kernel_cache_entry.h.
 *
 * What the file can say                   limit                      where            test
 * header or pages cut or damaged          their sums                 is_whole()       cache_finds_every_damage
 * extents outside of RAM or the segments  refused                    check_extents()  cache_finds_every_damage
 * sizes that wrap                         util_range_inside()        check_extents()  cache_finds_every_damage
 */
#include "firmware/kernel_cache_entry.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/kernel_cache.h"

enum {
	PAGE_BYTES = 4096,
	EXTENTS_MAX = 512,
	SETTLE_S = 2, /* two writes within one tick of a file system's clock look the same */
	/* Shorter runs of zeros are kept, for fewer extents. */
	GAP_PAGES = 8,
	LANES = 4,
	/* Read and added up while it is in the processor's cache. */
	PIECE_BYTES = 256 * 1024,
};

typedef uint64_t lane_t __attribute__((vector_size(16), may_alias));

/* "vmmkern" and the version of what follows. */
#define MAGIC UINT64_C(0x016e72656b6d6d76)

struct extent {
	uint64_t gpa, bytes; /* multiples of a page */
};

struct sum {
	uint64_t low, high;
};

struct header {
	uint64_t magic, header_sum; /* of all that follows */
	uint64_t total_bytes;	    /* of the file */
	struct sum sum;		    /* of the pages */
	struct kernel_identity identity;
	struct elf_image image;
	uint64_t extent_count;
	struct extent extents[EXTENTS_MAX];
};

#define PAGES_OFFSET ((sizeof(struct header) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)

/* ---- Identity ---- */

bool kernel_identity_read(struct kernel_identity *identity, int fd, uint64_t offset)
{
	struct stat st;

	memset(identity, 0, sizeof(*identity));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < KERNEL_SAMPLE_BYTES)
		return false;
	identity->device = st.st_dev;
	identity->inode = st.st_ino;
	identity->bytes = (uint64_t)st.st_size;
	identity->mtime_s = st.st_mtim.tv_sec;
	identity->mtime_ns = st.st_mtim.tv_nsec;
	identity->ctime_s = st.st_ctim.tv_sec;
	identity->ctime_ns = st.st_ctim.tv_nsec;
	identity->offset = offset;
	return util_pread_full(fd, identity->begin, KERNEL_SAMPLE_BYTES, 0) ==
		KERNEL_SAMPLE_BYTES &&
		util_pread_full(fd, identity->end, KERNEL_SAMPLE_BYTES,
			identity->bytes - KERNEL_SAMPLE_BYTES) == KERNEL_SAMPLE_BYTES;
}

bool kernel_identity_is_settled(const struct kernel_identity *identity, int64_t read_s)
{
	return identity->ctime_ns && identity->mtime_s + SETTLE_S < read_s &&
		identity->ctime_s + SETTLE_S < read_s;
}

/* No secret and no strength: what it names is compared as a whole. */
static uint64_t mix(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = UINT64_C(0xcbf29ce484222325), word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 29;
	}
	return sum;
}

uint64_t kernel_identity_number(const struct kernel_identity *identity)
{
	return mix(identity, offsetof(struct kernel_identity, begin));
}

/* ---- Pages ---- */

/* Adds up whole pages, 256 bytes at a time. Finds damage; no secret would make it stronger. */
static void add_pages(const uint8_t *pages, uint64_t len, struct sum *sum)
{
	for (const uint8_t *p = pages; p < pages + len; p += PAGE_BYTES) {
		const lane_t *lane = (const lane_t *)p, *end = (const lane_t *)(p + PAGE_BYTES);
		lane_t sums[LANES] = {{0}};

		for (; lane < end; lane += 4 * LANES) {
			sums[0] += lane[0] + lane[4] + lane[8] + lane[12];
			sums[1] += lane[1] + lane[5] + lane[9] + lane[13];
			sums[2] += lane[2] + lane[6] + lane[10] + lane[14];
			sums[3] += lane[3] + lane[7] + lane[11] + lane[15];
		}
		sum->low = (sum->low + mix(sums, sizeof(sums))) * UINT64_C(0x9e3779b97f4a7c15);
		sum->high += sum->low ^ sum->low >> 31;
	}
}

/* ---- Writing ---- */

/* False when there are more than there is room for. */
static bool add_page(struct header *header, uint64_t gpa)
{
	struct extent *last =
		header->extent_count ? &header->extents[header->extent_count - 1] : NULL;

	if (last && gpa < last->gpa + last->bytes)
		return true; /* two segments on one page */
	if (last && gpa - (last->gpa + last->bytes) <= GAP_PAGES * (uint64_t)PAGE_BYTES) {
		last->bytes = gpa + PAGE_BYTES - last->gpa;
		return true;
	}
	if (header->extent_count == EXTENTS_MAX)
		return false;
	header->extents[header->extent_count++] = (struct extent){gpa, PAGE_BYTES};
	return true;
}

static int find_extents(struct header *header, const struct gmem *mem)
{
	uint64_t start = util_align_down(header->image.lowest, PAGE_BYTES);
	uint64_t end = util_align_up(header->image.end, PAGE_BYTES);

	for (uint64_t gpa = start; gpa < end; gpa += PAGE_BYTES) {
		const uint8_t *page = gmem_ptr(mem, gpa, PAGE_BYTES);

		if (!page)
			return -EFAULT;
		if (!util_is_zero(page, PAGE_BYTES) && !add_page(header, gpa))
			return -E2BIG;
	}
	return 0;
}

static int write_all(int fd, const void *data, uint64_t len, uint64_t offset)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t got = pwrite(fd, p, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		p += got;
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

static uint64_t sum_header(const struct header *header)
{
	const size_t start = offsetof(struct header, total_bytes);

	return mix((const uint8_t *)header + start,
		offsetof(struct header, extents) - start +
			header->extent_count * sizeof(struct extent));
}

static int write_pages(int fd, struct header *header, const struct gmem *mem)
{
	uint64_t at = PAGES_OFFSET;

	for (unsigned i = 0; i < header->extent_count; i++) {
		const struct extent *extent = &header->extents[i];
		const uint8_t *pages = gmem_ptr(mem, extent->gpa, extent->bytes);
		int ret = pages ? write_all(fd, pages, extent->bytes, at) : -EFAULT;

		if (ret < 0)
			return ret;
		add_pages(pages, extent->bytes, &header->sum);
		at += extent->bytes;
	}
	header->total_bytes = at;
	return 0;
}

int kernel_entry_write(int fd, const struct kernel_identity *identity, const struct gmem *mem,
	const struct elf_image *image)
{
	struct header *header = calloc(1, sizeof(*header));
	int ret;

	if (!header)
		return -ENOMEM;
	header->magic = MAGIC;
	header->identity = *identity;
	header->image = *image;
	ret = find_extents(header, mem);
	if (ret == 0)
		ret = write_pages(fd, header, mem);
	header->header_sum = sum_header(header);
	if (ret == 0)
		ret = write_all(fd, header, sizeof(*header), 0);
	free(header);
	return ret;
}

/* ---- Loading ---- */

/* Each inside the kernel's own memory, and all of them as long as the file. */
static bool check_extents(const struct header *header)
{
	uint64_t start = util_align_down(header->image.lowest, PAGE_BYTES);
	uint64_t end = util_align_up(header->image.end, PAGE_BYTES), bytes = PAGES_OFFSET;

	for (unsigned i = 0; i < header->extent_count; i++) {
		const struct extent *extent = &header->extents[i];

		if ((extent->gpa | extent->bytes) % PAGE_BYTES || extent->gpa < start ||
			!util_range_inside(extent->gpa - start, extent->bytes, end - start))
			return false;
		bytes += extent->bytes;
	}
	return bytes == header->total_bytes;
}

static bool is_whole(
	const struct header *header, uint64_t bytes, const struct kernel_identity *identity)
{
	return header->magic == MAGIC && header->total_bytes == bytes &&
		header->extent_count <= EXTENTS_MAX &&
		header->image.segment_count <= ELF_SEGMENTS_MAX &&
		header->header_sum == sum_header(header) &&
		!memcmp(&header->identity, identity, sizeof(*identity)) && check_extents(header);
}

static bool read_extent(int fd, uint64_t offset, uint8_t *to, uint64_t bytes, struct sum *sum)
{
	for (uint64_t done = 0; done < bytes;) {
		uint64_t part = MIN(bytes - done, (uint64_t)PIECE_BYTES);

		if (util_pread_full(fd, to + done, part, offset + done) != (int64_t)part)
			return false;
		add_pages(to + done, part, sum);
		done += part;
	}
	return true;
}

/* False: the pages are not what the header says, and memory is zero as before. */
static bool read_pages(int fd, const struct header *header, struct gmem *mem)
{
	uint64_t offset = PAGES_OFFSET;
	struct sum sum = {0, 0};
	bool is_good = true;

	for (unsigned i = 0; i < header->extent_count && is_good; i++) {
		const struct extent *extent = &header->extents[i];
		uint8_t *to = gmem_ptr(mem, extent->gpa, extent->bytes);

		is_good = to && read_extent(fd, offset, to, extent->bytes, &sum);
		offset += extent->bytes;
	}
	if (is_good && !memcmp(&sum, &header->sum, sizeof(sum)))
		return true;
	for (unsigned i = 0; i < header->extent_count; i++)
		(void)gmem_fill(mem, header->extents[i].gpa, 0, header->extents[i].bytes);
	return false;
}

int kernel_entry_load(int fd, uint64_t bytes, const struct kernel_identity *identity,
	const struct packed_kernel *packed, struct gmem *mem, struct elf_image *image,
	struct err *err)
{
	struct header *header = malloc(sizeof(*header));
	int ret = KERNEL_CACHE_MISS;

	if (header && bytes >= PAGES_OFFSET &&
		util_pread_full(fd, header, sizeof(*header), 0) == (int64_t)sizeof(*header) &&
		is_whole(header, bytes, identity)) {
		*image = header->image;
		ret = packed->accept(packed->opaque, image, err);
		if (ret == 0 && !read_pages(fd, header, mem))
			ret = KERNEL_CACHE_MISS;
	}
	free(header);
	return ret;
}
