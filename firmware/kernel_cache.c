/*
 * See kernel_cache.h. The folder, who may have written there, and the entry's file; what stands in
 * it is kernel_cache_entry.c's business.
 *
 * What may be there                        what becomes of it        where            test
 * a folder or entry of another user        not used                  is_ours()        cache_refuses_others
 * one that others may write to             not used                  is_ours()        cache_refuses_others
 * a symbolic link in the place of either   not followed              O_NOFOLLOW       cache_follows_no_links
 * a cache folder of another user           nothing is made in it     open_base()      cache_makes_nothing_for_others
 * no folder, no room, no permission        no cache                  open_folder()    cache_lives_without_room
 * a kernel that is being written           no entry                  ..._is_settled() cache_waits_for_the_writer
 * one changed before it was unpacked       no entry                  is_still_same()  cache_notices_a_change
 * one that is written to by a mapping      its times show it         start_write()    cache_sees_mapped_writes
 * one whose times are no clock's           no entry                  ..._is_settled() identity_wants_a_clock
 * one larger than BYTES_MAX                no entry                  has_room()       cache_has_a_limit
 * a disk that is almost full               no entry                  has_room()       cache_leaves_room
 * more than ENTRIES_MAX or BYTES_MAX       the oldest go             remove_old()     cache_removes_the_oldest
 */
#include "firmware/kernel_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "firmware/kernel_cache_entry.h"
#include "vmm/base/log.h"

enum {
	ENTRIES_MAX = 8,
	NAME_BYTES = 32,
	LEFT_OVER_S = 3600,
	ROOM_PART = 4, /* of what is free an entry takes so small a part at most */
};

#define BYTES_MAX (512 * MIB)
#define SUFFIX	  ".kernel"

struct kernel_cache {
	struct kernel_identity identity;
	int kernel_fd;		 /* borrowed */
	int folder_fd, entry_fd; /* -1: none */
	uint64_t entry_bytes;
	char name[NAME_BYTES];
};

/* ---- The folder ---- */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Opens the folder `name` in `parent`, made if need be. */
static int open_folder(int parent, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(parent, name, flags);

	if (fd < 0 && errno == ENOENT && mkdirat(parent, name, 0700) == 0)
		fd = openat(parent, name, flags);
	return fd;
}

/* The folder inside of `parent`, which is closed; -1 where it can't be or is not ours. */
static int enter_folder(int parent, const char *name)
{
	int fd = parent < 0 ? -1 : open_folder(parent, name);
	struct stat st;

	if (parent >= 0)
		close(parent);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !is_ours(&st))) {
		log_debug("kernels are not cached: other users may write to the folder %s", name);
		close(fd);
		fd = -1;
	}
	return fd;
}

/*
 * Under sudo HOME may be another user's: a folder of root's there would lock him out of his own
 * cache.
 */
static bool may_make_in(const struct stat *st)
{
	return st->st_uid == geteuid() || st->st_uid == 0;
}

static void make_base(char *path)
{
	char *last = strrchr(path, '/');
	struct stat st;
	bool may_make;

	*last = '\0';
	may_make = stat(*path ? path : "/", &st) == 0 && may_make_in(&st);
	*last = '/';
	if (may_make)
		(void)mkdir(path, 0700);
}

/* The folder of all programs' caches. */
static int open_base(void)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	const char *home = getenv("HOME"), *base = getenv("XDG_CACHE_HOME");
	char path[4096];
	struct stat st;
	int fd;

	if (base && base[0] == '/')
		snprintf(path, sizeof(path), "%s", base);
	else if (home && home[0] == '/')
		snprintf(path, sizeof(path), "%s/.cache", home);
	else
		return -1;
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT) {
		make_base(path);
		fd = open(path, flags);
	}
	if (fd < 0 || (fstat(fd, &st) == 0 && may_make_in(&st)))
		return fd;
	log_debug("kernels are not cached: %s is another user's", path);
	close(fd);
	return -1;
}

static int open_kernels_folder(void)
{
	return enter_folder(enter_folder(open_base(), "vmm"), "kernels");
}

/* ---- The entry's file ---- */

static void open_entry(struct kernel_cache *cache)
{
	struct stat st;

	cache->entry_fd = openat(
		cache->folder_fd, cache->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (cache->entry_fd < 0)
		return;
	if (fstat(cache->entry_fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_ours(&st)) {
		close(cache->entry_fd);
		cache->entry_fd = -1;
		return;
	}
	cache->entry_bytes = (uint64_t)st.st_size;
}

struct kernel_cache *kernel_cache_open(int kernel_fd, uint64_t offset)
{
	struct kernel_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->kernel_fd = kernel_fd;
	cache->entry_fd = -1;
	cache->folder_fd = open_kernels_folder();
	if (cache->folder_fd < 0 || !kernel_identity_read(&cache->identity, kernel_fd, offset)) {
		kernel_cache_close(cache);
		return NULL;
	}
	snprintf(cache->name, sizeof(cache->name), "%016llx" SUFFIX,
		(unsigned long long)kernel_identity_number(&cache->identity));
	open_entry(cache);
	return cache;
}

void kernel_cache_close(struct kernel_cache *cache)
{
	if (!cache)
		return;
	if (cache->entry_fd >= 0)
		close(cache->entry_fd);
	if (cache->folder_fd >= 0)
		close(cache->folder_fd);
	free(cache);
}

bool kernel_cache_has(const struct kernel_cache *cache)
{
	return cache && cache->entry_fd >= 0;
}

/*
 * Who maps a file and writes to a page leaves a trace in its times once, and again only when the
 * page has been sent to the disk. So that is begun, and not waited for, before the file is read for
 * an entry. In memory file systems it never happens.
 */
static void start_write(const struct kernel_cache *cache)
{
	(void)sync_file_range(cache->kernel_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int load_entry(struct kernel_cache *cache, const struct packed_kernel *packed,
	struct gmem *mem, struct elf_image *image, struct err *err)
{
	int ret;

	if (!kernel_cache_has(cache))
		return KERNEL_CACHE_MISS;
	ret = kernel_entry_load(
		cache->entry_fd, cache->entry_bytes, &cache->identity, packed, mem, image, err);
	if (ret == KERNEL_CACHE_MISS) {
		log_debug("the cached kernel %s can't be used: it is replaced", cache->name);
		close(cache->entry_fd);
		cache->entry_fd = -1;
	}
	return ret;
}

int kernel_cache_load(struct kernel_cache *cache, const struct packed_kernel *packed,
	struct gmem *mem, struct elf_image *image, struct err *err)
{
	int ret = load_entry(cache, packed, mem, image, err);

	if (cache && ret == KERNEL_CACHE_MISS)
		start_write(cache);
	return ret;
}

/* ---- Room ---- */

struct old {
	char name[NAME_BYTES];
	time_t used_s;
	uint64_t bytes;
};

/* Files that a killed vmm left behind while it wrote. */
static bool is_left_over(const char *name, const struct stat *st)
{
	return !strncmp(name, "new-", 4) && st->st_mtime + LEFT_OVER_S < time(NULL);
}

static unsigned list_entries(DIR *dir, int folder_fd, struct old *list, unsigned room)
{
	const size_t suffix_len = strlen(SUFFIX);
	unsigned count = 0;
	struct dirent *d;
	struct stat st;

	while ((d = readdir(dir)) && count < room) {
		size_t len = strlen(d->d_name);

		if (len >= NAME_BYTES ||
			fstatat(folder_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (is_left_over(d->d_name, &st))
			unlinkat(folder_fd, d->d_name, 0);
		if (len <= suffix_len || strcmp(d->d_name + len - suffix_len, SUFFIX) != 0)
			continue;
		list[count].used_s = MAX(st.st_mtime, st.st_atime);
		list[count].bytes = (uint64_t)st.st_blocks * 512;
		memcpy(list[count++].name, d->d_name, len + 1);
	}
	return count;
}

static int compare_age(const void *a, const void *b)
{
	const struct old *one = a, *other = b;

	return one->used_s > other->used_s ? -1 : one->used_s < other->used_s;
}

/* All but the newest that fit; never the one that was just made. */
static void remove_old(const struct kernel_cache *cache)
{
	struct old list[4 * ENTRIES_MAX];
	uint64_t bytes = 0;
	unsigned count, kept = 0;
	int fd = openat(cache->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	count = list_entries(dir, cache->folder_fd, list, ARRAY_SIZE(list));
	qsort(list, count, sizeof(*list), compare_age);
	for (unsigned i = 0; i < count; i++) {
		bool is_new = !strcmp(list[i].name, cache->name);

		bytes += list[i].bytes;
		if (is_new || (++kept < ENTRIES_MAX && bytes <= BYTES_MAX))
			continue;
		unlinkat(cache->folder_fd, list[i].name, 0);
		bytes -= list[i].bytes;
	}
	closedir(dir);
}

/* ---- Storing ---- */

/* False: what was unpacked is not what was recognised. */
static bool is_still_same(const struct kernel_cache *cache)
{
	struct kernel_identity now;

	return kernel_identity_read(&now, cache->kernel_fd, cache->identity.offset) &&
		!memcmp(&now, &cache->identity, sizeof(now));
}

/* An entry that fills the disk, for a moment even, would be in the way of other machines' disks. */
static bool has_room(const struct kernel_cache *cache, const struct elf_image *image)
{
	uint64_t bytes = image->end - image->lowest;
	struct statvfs fs;

	if (bytes > BYTES_MAX)
		return false;
	/* Some file systems don't tell. */
	if (fstatvfs(cache->folder_fd, &fs) < 0 || !fs.f_blocks)
		return true;
	return (uint64_t)fs.f_bavail * fs.f_frsize / ROOM_PART >= bytes;
}

void kernel_cache_store(struct kernel_cache *cache, const struct gmem *mem,
	const struct elf_image *image, int64_t read_s)
{
	char name[NAME_BYTES];
	int fd, ret;

	if (!cache || cache->entry_fd >= 0 || !has_room(cache, image) ||
		!kernel_identity_is_settled(&cache->identity, read_s) || !is_still_same(cache))
		return;
	snprintf(name, sizeof(name), "new-%d-%08x", (int)getpid(), (unsigned)util_now_ns());
	fd = openat(
		cache->folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		log_debug("the unpacked kernel can't be cached: %s", strerror(errno));
		return;
	}
	ret = kernel_entry_write(fd, &cache->identity, mem, image);
	if (ret == 0 && renameat(cache->folder_fd, name, cache->folder_fd, cache->name) < 0)
		ret = -errno;
	close(fd);
	if (ret < 0) {
		log_debug("the unpacked kernel can't be cached: %s", strerror(-ret));
		unlinkat(cache->folder_fd, name, 0);
		return;
	}
	/* The next reset finds it. */
	open_entry(cache);
	remove_old(cache);
}
