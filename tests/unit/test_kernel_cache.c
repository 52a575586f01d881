/*
 * kernel_cache: what is found again, and that nothing that somebody did to the folder, an entry or
 * the kernel makes another kernel of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "firmware/kernel_cache.h"
#include "firmware/kernel_cache_entry.h"
#include "vmm/base/util.h"

enum {
	KERNEL_BYTES = 10000, /* of the file: what is in it plays no part here */
	ENTRY = 16 << 20,
};

struct fixture {
	char folder[40], kernels[96], kernel[64];
	int kernel_fd;
	struct gmem mem;
	struct elf_image image;
};

static int accept_all(void *opaque, const struct elf_image *image, struct err *err)
{
	(void)opaque, (void)image, (void)err;
	return 0;
}

static const struct packed_kernel packed = {.name = "test", .accept = accept_all};

static int64_t later_s(void)
{
	return time(NULL) + 60;
}

static void write_kernel(struct fixture *f, uint8_t fill)
{
	uint8_t bytes[KERNEL_BYTES];
	int fd;

	memset(bytes, fill, sizeof(bytes));
	unlink(f->kernel);
	fd = open(f->kernel, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	if (f->kernel_fd >= 0)
		close(f->kernel_fd);
	f->kernel_fd = open(f->kernel, O_RDONLY | O_CLOEXEC);
	assert_true(f->kernel_fd >= 0);
}

/* Memory as after unpacking: two segments with a hole of zero pages, the second ends in a page. */
static void fill_memory(struct fixture *f)
{
	f->image = (struct elf_image){.entry = ENTRY,
		.lowest = ENTRY,
		.end = ENTRY + 400 * 1024 + 100,
		.segment_count = 2,
		.segments = {{.paddr = ENTRY, .file_size = 300 * 1024, .mem_size = 300 * 1024},
			{.paddr = ENTRY + 300 * 1024,
				.file_size = 100 * 1024 + 100,
				.mem_size = 100 * 1024 + 100}}};
	for (uint32_t at = 0; at < 400 * 1024; at += 4)
		if (at < 50 * 1024 || at > 200 * 1024)
			assert_int_equal(gmem_write(&f->mem, ENTRY + at, &at, sizeof(at)), 0);
	assert_int_equal(gmem_fill(&f->mem, ENTRY + 400 * 1024, 0x77, 100), 0);
}

static void assert_memory_is_filled(const struct fixture *f)
{
	for (uint32_t at = 0; at < 400 * 1024; at += 4) {
		uint32_t wanted = at < 50 * 1024 || at > 200 * 1024 ? at : 0, word;

		assert_int_equal(gmem_read(&f->mem, ENTRY + at, &word, sizeof(word)), 0);
		assert_int_equal(word, wanted);
	}
	assert_int_equal(*(uint8_t *)gmem_ptr(&f->mem, ENTRY + 400 * 1024 + 99, 1), 0x77);
	assert_int_equal(*(uint8_t *)gmem_ptr(&f->mem, ENTRY + 400 * 1024 + 100, 1), 0);
}

static void assert_memory_is_zero(const struct fixture *f)
{
	static const uint8_t zeros[4096];

	for (gpa_t gpa = ENTRY; gpa < ENTRY + 1 * MIB; gpa += sizeof(zeros))
		assert_memory_equal(gmem_ptr(&f->mem, gpa, sizeof(zeros)), zeros, sizeof(zeros));
}

static int setup(void **state)
{
	const struct gmem_config config = {
		.size = 24 * MIB, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test-kernel-cache-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->kernels, sizeof(f->kernels), "%s/vmm/kernels", f->folder);
	snprintf(f->kernel, sizeof(f->kernel), "%s/kernel", f->folder);
	setenv("XDG_CACHE_HOME", f->folder, 1);
	f->kernel_fd = -1;
	write_kernel(f, 1);
	assert_int_equal(gmem_init(&f->mem, &config, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[160];

	gmem_finish(&f->mem);
	close(f->kernel_fd);
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", f->folder, f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* Puts the kernel there. */
static void store(struct fixture *f)
{
	struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);

	fill_memory(f);
	kernel_cache_store(cache, &f->mem, &f->image, later_s());
	kernel_cache_close(cache);
	gmem_discard_all(&f->mem);
}

static int load(struct fixture *f)
{
	struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);
	struct elf_image image;
	struct err err = ERR_INIT;
	int ret = kernel_cache_load(cache, &packed, &f->mem, &image, &err);

	if (ret == 0) {
		assert_int_equal(image.entry, ENTRY);
		assert_memory_is_filled(f);
	} else {
		assert_memory_is_zero(f);
	}
	kernel_cache_close(cache);
	gmem_discard_all(&f->mem);
	return ret;
}

/* The number of files there; the path of the last one. */
static unsigned find_entry(const struct fixture *f, char *path, size_t size)
{
	DIR *dir = opendir(f->kernels);
	unsigned count = 0;
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.') {
			snprintf(path, size, "%s/%.60s", f->kernels, d->d_name);
			count++;
		}
	if (dir)
		closedir(dir);
	return count;
}

static void test_cache_finds_what_it_stored(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[200];

	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	store(f);
	assert_int_equal(load(f), 0);
	assert_int_equal(load(f), 0);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Pages of zeros are not kept. */
	assert_true(st.st_size < 300 * 1024);
	assert_int_equal(stat(f->kernels, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_cache_knows_another_kernel(void **state)
{
	struct fixture *f = *state;
	struct timespec times[2];
	struct stat st;

	store(f);
	/* The same bytes with the same times in another file. */
	assert_int_equal(fstat(f->kernel_fd, &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	write_kernel(f, 1);
	assert_int_equal(futimens(f->kernel_fd, times), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	store(f);
	assert_int_equal(load(f), 0);
	/* Changed in place. */
	assert_int_equal(chmod(f->kernel, 0640), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	/* The packed data elsewhere in it. */
	store(f);
	{
		struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 512);

		assert_non_null(cache);
		assert_false(kernel_cache_has(cache));
		kernel_cache_close(cache);
	}
}

static void test_cache_waits_for_the_writer(void **state)
{
	struct fixture *f = *state;
	struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);
	char path[200];

	fill_memory(f);
	kernel_cache_store(cache, &f->mem, &f->image, time(NULL));
	kernel_cache_close(cache);
	assert_int_equal(find_entry(f, path, sizeof(path)), 0);
}

/* Cut at every page and a few more places, and each page and each word of the header changed. */
static void test_cache_finds_every_damage(void **state)
{
	struct fixture *f = *state;
	uint8_t *good, byte;
	char path[200];
	struct stat st;
	int fd;

	store(f);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	assert_int_equal(stat(path, &st), 0);
	good = malloc((size_t)st.st_size);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(read(fd, good, (size_t)st.st_size), st.st_size);
	for (off_t cut = 0; cut < st.st_size; cut += 4096 - 8) {
		assert_int_equal(ftruncate(fd, cut), 0);
		assert_int_equal(load(f), KERNEL_CACHE_MISS);
		assert_int_equal(pwrite(fd, good, (size_t)st.st_size, 0), st.st_size);
	}
	assert_int_equal(load(f), 0);
	for (off_t at = 0; at < st.st_size; at += at < 6500 ? 8 : 4096) {
		/* Room for more extents, and up to the first page: never looked at. */
		if (!good[at] && at >= 6304 && at < 20480)
			continue;
		byte = good[at] ^ 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(load(f), KERNEL_CACHE_MISS);
		assert_int_equal(pwrite(fd, &good[at], 1, at), 1);
	}
	assert_int_equal(load(f), 0);
	/* And it is replaced. */
	assert_int_equal(ftruncate(fd, 5000), 0);
	close(fd);
	{
		struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);
		struct elf_image image;

		assert_int_equal(kernel_cache_load(cache, &packed, &f->mem, &image, NULL),
			KERNEL_CACHE_MISS);
		fill_memory(f);
		kernel_cache_store(cache, &f->mem, &f->image, later_s());
		kernel_cache_close(cache);
		gmem_discard_all(&f->mem);
	}
	assert_int_equal(load(f), 0);
	free(good);
}

/* Another kernel's whole and healthy entry in the place of this one's. */
static void test_cache_refuses_a_foreign_entry(void **state)
{
	struct fixture *f = *state;
	char mine[200], other[200];

	store(f);
	assert_int_equal(find_entry(f, mine, sizeof(mine)), 1);
	assert_int_equal(unlink(mine), 0);
	write_kernel(f, 2);
	store(f);
	assert_int_equal(find_entry(f, other, sizeof(other)), 1);
	write_kernel(f, 3);
	{
		struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);

		fill_memory(f);
		kernel_cache_store(cache, &f->mem, &f->image, later_s());
		kernel_cache_close(cache);
		gmem_discard_all(&f->mem);
	}
	assert_int_equal(load(f), 0);
	{
		DIR *dir = opendir(f->kernels);
		struct dirent *d;
		char path[200];

		while ((d = readdir(dir))) {
			snprintf(path, sizeof(path), "%s/%.60s", f->kernels, d->d_name);
			if (d->d_name[0] != '.' && strcmp(path, other) != 0)
				assert_int_equal(rename(other, path), 0);
		}
		closedir(dir);
	}
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
}

static void test_cache_follows_no_links(void **state)
{
	struct fixture *f = *state;
	char path[200], elsewhere[80];

	store(f);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->folder);
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	/* A pipe would make a careless reader wait for ever. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(elsewhere, path), 0);
	assert_int_equal(load(f), 0);
	/* The folder itself. */
	assert_int_equal(rename(f->kernels, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, f->kernels), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
}

static void test_cache_refuses_others(void **state)
{
	struct fixture *f = *state;
	char path[200];

	store(f);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(load(f), 0);
	assert_int_equal(chmod(f->kernels, 0777), 0);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	assert_int_equal(chmod(f->kernels, 0700), 0);
	/* Only root can give something away. */
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1234, 1234), 0);
		assert_int_equal(load(f), KERNEL_CACHE_MISS);
		assert_int_equal(chown(path, 0, 0), 0);
		assert_int_equal(chown(f->kernels, 1234, 1234), 0);
		assert_int_equal(load(f), KERNEL_CACHE_MISS);
		assert_int_equal(chown(f->kernels, 0, 0), 0);
	}
	assert_int_equal(load(f), 0);
}

static void test_cache_lives_without_room(void **state)
{
	struct fixture *f = *state;
	char path[200];
	int fd;

	/* No such folder, no absolute one, none at all, a file in its place. */
	setenv("XDG_CACHE_HOME", "/proc/none/here", 1);
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	setenv("XDG_CACHE_HOME", "relative", 1);
	unsetenv("HOME");
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	unsetenv("XDG_CACHE_HOME");
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	setenv("XDG_CACHE_HOME", f->kernel, 1);
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	/* HOME alone will do. */
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", f->folder, 1);
	store(f);
	assert_int_equal(load(f), 0);
	/* Something that can't be replaced stands in an entry's place: nothing is left behind. */
	setenv("XDG_CACHE_HOME", f->folder, 1);
	store(f);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	assert_int_equal(rmdir(path), 0);
	/* A read-only folder holds nobody up but root. */
	assert_int_equal(chmod(f->kernels, 0500), 0);
	store(f);
	assert_int_equal(load(f), geteuid() ? KERNEL_CACHE_MISS : 0);
	/* No kernel has this little. */
	fd = open(f->kernel, O_WRONLY | O_TRUNC | O_CLOEXEC);
	close(fd);
	assert_null(kernel_cache_open(f->kernel_fd, 0));
}

static void test_cache_removes_the_oldest(void **state)
{
	struct fixture *f = *state;
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char first[200], path[200], left_over[120];
	struct stat st;
	int fd;

	store(f);
	assert_int_equal(find_entry(f, first, sizeof(first)), 1);
	assert_int_equal(utimensat(AT_FDCWD, first, old, 0), 0);
	snprintf(left_over, sizeof(left_over), "%s/new-1-2", f->kernels);
	fd = open(left_over, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(futimens(fd, old), 0);
	close(fd);
	for (unsigned i = 0; i < 10; i++) {
		write_kernel(f, (uint8_t)(i + 2));
		store(f);
	}
	assert_int_equal(find_entry(f, path, sizeof(path)), 8);
	assert_int_equal(stat(first, &st), -1);
	assert_int_equal(stat(left_over, &st), -1);
	assert_int_equal(load(f), 0);
}

/* One that was opened before another took its place boots what it opened. */
static void test_cache_entries_are_never_changed(void **state)
{
	struct fixture *f = *state;
	struct kernel_cache *cache;
	struct elf_image image;
	char path[200];

	store(f);
	cache = kernel_cache_open(f->kernel_fd, 0);
	assert_int_equal(find_entry(f, path, sizeof(path)), 1);
	assert_int_equal(unlink(path), 0);
	store(f);
	assert_int_equal(kernel_cache_load(cache, &packed, &f->mem, &image, NULL), 0);
	assert_memory_is_filled(f);
	kernel_cache_close(cache);
}

/* The file system's clock has gone on since `then`. */
static void pass_tick(const struct fixture *f, struct timespec then)
{
	char path[80];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/clock", f->folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	do {
		assert_int_equal(write(fd, "", 1), 1);
		assert_int_equal(fstat(fd, &st), 0);
	} while (st.st_ctim.tv_nsec == then.tv_nsec && st.st_ctim.tv_sec == then.tv_sec);
	close(fd);
}

/* A program that wrote to a page before goes on doing so after the entry was made. */
static void test_cache_sees_mapped_writes(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->kernel, O_RDWR | O_CLOEXEC);
	struct kernel_cache *cache;
	struct elf_image image;
	volatile uint8_t *map;
	struct statfs fs;
	struct stat st;

	map = mmap(NULL, KERNEL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	map[KERNEL_BYTES / 2] = 2;
	assert_int_equal(fstatfs(fd, &fs), 0);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	pass_tick(f, st.st_ctim);
	cache = kernel_cache_open(f->kernel_fd, 0);
	assert_int_equal(
		kernel_cache_load(cache, &packed, &f->mem, &image, NULL), KERNEL_CACHE_MISS);
	fill_memory(f);
	kernel_cache_store(cache, &f->mem, &f->image, later_s());
	kernel_cache_close(cache);
	gmem_discard_all(&f->mem);
	assert_int_equal(load(f), 0);
	map[KERNEL_BYTES / 2] = 3;
	/* Where a mapping's pages go to a disk of this very file system. */
	if (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
		fs.f_type == BTRFS_SUPER_MAGIC)
		assert_int_equal(load(f), KERNEL_CACHE_MISS);
	munmap((void *)map, KERNEL_BYTES);
}

/* Between being recognised and being unpacked: the entry would hold what its name does not mean. */
static void test_cache_notices_a_change(void **state)
{
	struct fixture *f = *state;
	struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);
	char path[200];
	int fd = open(f->kernel, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "new", 3, KERNEL_BYTES / 2), 3);
	close(fd);
	fill_memory(f);
	kernel_cache_store(cache, &f->mem, &f->image, later_s());
	kernel_cache_close(cache);
	assert_int_equal(find_entry(f, path, sizeof(path)), 0);
}

static void test_identity_wants_a_clock(void **state)
{
	struct kernel_identity identity = {.mtime_s = 1000, .ctime_s = 1000, .ctime_ns = 250000000};

	(void)state;
	assert_true(kernel_identity_is_settled(&identity, 1003));
	assert_false(kernel_identity_is_settled(&identity, 1002));
	identity.mtime_s = 2000;
	assert_false(kernel_identity_is_settled(&identity, 1003));
	identity.mtime_s = 1000;
	/* Whole seconds: another image at this place may have a file of the same times. */
	identity.ctime_ns = 0;
	assert_false(kernel_identity_is_settled(&identity, 5000));
}

/* Of memory that was never written to: what is too large is not even looked at. */
static void test_cache_has_a_limit(void **state)
{
	const struct gmem_config config = {
		.size = 1 * GIB, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	struct fixture *f = *state;
	struct kernel_cache *cache = kernel_cache_open(f->kernel_fd, 0);
	char path[200];

	gmem_finish(&f->mem);
	assert_int_equal(gmem_init(&f->mem, &config, NULL), 0);
	f->image = (struct elf_image){.lowest = ENTRY, .end = ENTRY + 512 * MIB + 1};
	kernel_cache_store(cache, &f->mem, &f->image, later_s());
	kernel_cache_close(cache);
	assert_int_equal(find_entry(f, path, sizeof(path)), 0);
	assert_int_equal(gmem_held_bytes(&f->mem), 0);
}

/* A file system of its own needs root, and is not to be had in every container. */
static void test_cache_leaves_room(void **state)
{
	struct fixture *f = *state;
	char small[80], path[200];
	unsigned count;

	snprintf(small, sizeof(small), "%s/small", f->folder);
	assert_int_equal(mkdir(small, 0700), 0);
	if (mount("none", small, "tmpfs", 0, "size=1m") < 0)
		return;
	setenv("XDG_CACHE_HOME", small, 1);
	snprintf(f->kernels, sizeof(f->kernels), "%s/vmm/kernels", small);
	store(f);
	count = find_entry(f, path, sizeof(path));
	if (mount("none", small, "tmpfs", MS_REMOUNT, "size=4m") == 0) {
		store(f);
		count += 10 * find_entry(f, path, sizeof(path));
	}
	umount2(small, MNT_DETACH);
	assert_int_equal(count, 10);
}

/* As with sudo, which may leave HOME the other user's. Only root can give something away. */
static void test_cache_makes_nothing_for_others(void **state)
{
	struct fixture *f = *state;
	char path[80];
	struct stat st;

	if (geteuid() != 0)
		return;
	assert_int_equal(chown(f->folder, 1234, 1234), 0);
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", f->folder, 1);
	store(f);
	assert_int_equal(load(f), KERNEL_CACHE_MISS);
	snprintf(path, sizeof(path), "%s/vmm", f->folder);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof(path), "%s/.cache", f->folder);
	assert_int_equal(stat(path, &st), -1);
	setenv("XDG_CACHE_HOME", path, 1);
	store(f);
	assert_int_equal(stat(path, &st), -1);
	/* What is ours is used wherever it is. */
	assert_int_equal(mkdir(path, 0700), 0);
	store(f);
	assert_int_equal(load(f), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_cache_finds_what_it_stored),
		TEST(test_cache_knows_another_kernel),
		TEST(test_cache_waits_for_the_writer),
		TEST(test_cache_finds_every_damage),
		TEST(test_cache_refuses_a_foreign_entry),
		TEST(test_cache_follows_no_links),
		TEST(test_cache_refuses_others),
		TEST(test_cache_lives_without_room),
		TEST(test_cache_removes_the_oldest),
		TEST(test_cache_entries_are_never_changed),
		TEST(test_cache_sees_mapped_writes),
		TEST(test_cache_notices_a_change),
		TEST(test_cache_has_a_limit),
		TEST(test_cache_leaves_room),
		TEST(test_cache_makes_nothing_for_others),
		TEST(test_identity_wants_a_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
