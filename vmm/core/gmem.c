/*
 * See gmem.h. Knows nothing of KVM or of what stands where in guest memory.
 *
 * The mapping is aligned to 2 MiB in host and guest address, so that the host's
 * kernel can back it, and map it for the guest, with huge pages.
 */
#include "vmm/core/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES	 (2 * MIB)
#define SMALL_PAGE_BYTES (4 * KIB)

/* The host's pool of huge pages. */
static int open_memfd(const struct gmem_config *config, struct err *err)
{
	int fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd < 0) {
		int saved = errno;

		err_set(err, EXIT_CODE_INTERNAL, saved,
			"can't make a memory file for guest RAM: %s", strerror(saved));
		return -saved;
	}
	if (ftruncate(fd, (off_t)config->size) < 0) {
		int saved = errno;

		err_set(err, EXIT_CODE_INTERNAL, saved, "can't size guest RAM to %llu MiB: %s",
			(unsigned long long)(config->size / MIB), strerror(saved));
		err_hint(err, "ask for less with --memory");
		close(fd);
		return -saved;
	}
	return fd;
}

static int open_window(const struct gmem *mem, void *start)
{
	const int access = PROT_READ | PROT_WRITE;

	if (!mem->hugepages)
		return mprotect(start, mem->size, access);
	return mmap(start, mem->size, access, MAP_SHARED | MAP_FIXED, mem->fd, 0) == MAP_FAILED ? -1
												: 0;
}

static int map_memory(struct gmem *mem, struct err *err)
{
	int saved;
	uint8_t *area, *aligned;

	/* Reserve with room for the alignment; RAM is inside. */
	mem->map_size = mem->size + HUGE_PAGE_BYTES;
	area = mmap(
		NULL, mem->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED) {
		saved = errno;
		goto fail;
	}
	mem->map = area;
	aligned = (uint8_t *)util_align_up((uint64_t)(uintptr_t)area, HUGE_PAGE_BYTES);
	mem->map_offset = (uint64_t)(aligned - area);
	if (open_window(mem, aligned) < 0) {
		saved = errno;
		goto fail;
	}
	/* All are wishes: a kernel without the feature loses speed or a smaller core file only. */
	(void)madvise(aligned, mem->size, MADV_HUGEPAGE);
	(void)madvise(aligned, mem->size, MADV_DONTDUMP);
	(void)madvise(aligned, mem->size, MADV_DONTFORK);
	return 0;
fail:
	err_set(err, EXIT_CODE_INTERNAL, saved, "can't map %llu MiB of guest RAM%s: %s",
		(unsigned long long)(mem->size / MIB), mem->hugepages ? " on huge pages" : "",
		strerror(saved));
	if (mem->hugepages)
		err_hint(err, "reserve huge pages first: sysctl vm.nr_hugepages=%llu",
			(unsigned long long)(mem->size / HUGE_PAGE_BYTES));
	else
		err_hint(err,
			"ask for less with --memory, or look at ulimit -v, ulimit -d and "
			"/proc/sys/vm/overcommit_memory");
	return -saved;
}

int gmem_init(struct gmem *mem, const struct gmem_config *config, struct err *err)
{
	uint64_t low = MIN(config->size, config->hole_start);
	uint8_t *ram;
	int ret;

	ASSERT(config->size && !(config->size & 4095));
	*mem = (struct gmem){.fd = -1, .size = config->size, .hugepages = config->hugepages};
	if (config->hugepages) {
		ret = open_memfd(config, err);
		if (ret < 0)
			return ret;
		mem->fd = ret;
	}
	ret = map_memory(mem, err);
	if (ret < 0) {
		gmem_finish(mem);
		return ret;
	}
	ram = mem->map + mem->map_offset;
	mem->regions[mem->region_count++] =
		(struct gmem_region){.base = 0, .size = low, .host = ram};
	if (config->size > low)
		mem->regions[mem->region_count++] = (struct gmem_region){.base = config->high_base,
			.size = config->size - low,
			.host = ram + low,
			.file_offset = low};
	return 0;
}

void gmem_finish(struct gmem *mem)
{
	if (mem->map)
		munmap(mem->map, mem->map_size);
	if (mem->fd >= 0)
		close(mem->fd);
	*mem = (struct gmem){.fd = -1};
}

void gmem_use_small_pages_below_2m(struct gmem *mem)
{
	if (!mem->hugepages)
		(void)madvise(mem->map + mem->map_offset, MIN(mem->size, HUGE_PAGE_BYTES),
			MADV_NOHUGEPAGE);
}

void gmem_discard_all(struct gmem *mem)
{
	/* A huge page that went back to the pool could be another's when it is needed again. */
	if (mem->hugepages || madvise(mem->map + mem->map_offset, mem->size, MADV_DONTNEED) < 0)
		memset(mem->map + mem->map_offset, 0, mem->size);
}

uint64_t gmem_page_bytes(const struct gmem *mem)
{
	return mem->hugepages ? HUGE_PAGE_BYTES : SMALL_PAGE_BYTES;
}

uint64_t gmem_held_bytes(const struct gmem *mem)
{
	uint64_t pages = mem->size / SMALL_PAGE_BYTES, held = 0;
	unsigned char *is_held = malloc(pages);

	if (is_held && mincore(mem->map + mem->map_offset, mem->size, is_held) == 0)
		for (uint64_t i = 0; i < pages; i++)
			held += is_held[i] & 1;
	free(is_held);
	return held * SMALL_PAGE_BYTES;
}

static const struct gmem_region *find_region(const struct gmem *mem, gpa_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->region_count; i++) {
		const struct gmem_region *region = &mem->regions[i];

		if (gpa >= region->base && gpa - region->base < region->size &&
			util_range_inside(gpa - region->base, len, region->size))
			return region;
	}
	return NULL;
}

int64_t gmem_discard(struct gmem *mem, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *region = find_region(mem, gpa, len);
	uint64_t page = gmem_page_bytes(mem), start, end;
	int ret;

	if (!region)
		return -EFAULT;
	/* From the begin of RAM, where the pages are aligned. */
	start = util_align_up(region->file_offset + (gpa - region->base), page);
	end = util_align_down(region->file_offset + (gpa - region->base) + len, page);
	if (start >= end)
		return 0;
	if (mem->hugepages)
		ret = fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
			(off_t)(end - start));
	else
		ret = madvise(mem->map + mem->map_offset + start, end - start, MADV_DONTNEED);
	if (ret < 0)
		return -errno;
	return (int64_t)(end - start);
}

bool gmem_gpa(const struct gmem *mem, const void *host, gpa_t *gpa)
{
	for (unsigned i = 0; i < mem->region_count; i++) {
		const struct gmem_region *region = &mem->regions[i];
		uint64_t offset = (uint64_t)(uintptr_t)host - (uint64_t)(uintptr_t)region->host;

		if (offset >= region->size)
			continue;
		*gpa = region->base + offset;
		return true;
	}
	return false;
}

void *gmem_ptr(const struct gmem *mem, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *region = find_region(mem, gpa, len);

	return region ? region->host + (gpa - region->base) : NULL;
}

int gmem_read(const struct gmem *mem, gpa_t gpa, void *buf, uint64_t len)
{
	const void *host = gmem_ptr(mem, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(buf, host, len);
	return 0;
}

int gmem_write(struct gmem *mem, gpa_t gpa, const void *buf, uint64_t len)
{
	void *host = gmem_ptr(mem, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(host, buf, len);
	return 0;
}

int gmem_fill(struct gmem *mem, gpa_t gpa, int value, uint64_t len)
{
	void *host = gmem_ptr(mem, gpa, len);

	if (!host)
		return -EFAULT;
	memset(host, value, len);
	return 0;
}
