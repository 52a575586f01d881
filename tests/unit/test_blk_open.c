/*
 * blk_open(): each thing that can't be a disk has its own sentence; the lock works and
 * names who holds it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/backend/blk.h"
#include "vmm/base/util.h"

struct fixture {
	char dir[64];
	char path[128]; /* of the image in question */
	struct loop *loop;
	struct err err;
	struct blk *blk;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/test-blk-open-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/disk.img", f->dir);
	assert_int_equal(loop_create(&f->loop, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blk_close(f->blk);
	loop_destroy(f->loop);
	/* What lies at the path may be any kind of file. */
	if (rmdir(f->path) < 0)
		unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void make_image(struct fixture *f, const void *bytes, size_t len, off_t size)
{
	int fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static int try_open(struct fixture *f, bool read_only, bool ephemeral)
{
	const struct blk_config config = {
		.path = f->path, .read_only = read_only, .ephemeral = ephemeral};

	blk_close(f->blk);
	f->blk = NULL;
	f->err = (struct err)ERR_INIT;
	return blk_open(&f->blk, &config, f->loop, &f->err);
}

static void expect_error(struct fixture *f, int ret, int errnum, const char *words)
{
	assert_int_equal(ret, -errnum);
	assert_null(f->blk);
	assert_int_equal(f->err.kind, EXIT_CODE_IMAGE);
	if (!strstr(f->err.text, words) || !strstr(f->err.text, f->path))
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, words);
}

/* ---- What is no disk ---- */

static void test_missing(void **state)
{
	struct fixture *f = *state;

	expect_error(f, try_open(f, false, false), ENOENT, "there is no disk image");
	assert_non_null(strstr(f->err.hint, "truncate"));
}

static void test_directory(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->path, 0755), 0);
	expect_error(f, try_open(f, false, false), EINVAL, "is a directory");
	expect_error(f, try_open(f, true, false), EINVAL, "is a directory");
}

static void test_fifo_does_not_block(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifo(f->path, 0644), 0);
	expect_error(f, try_open(f, true, false), EINVAL, "FIFO");
}

static void test_socket(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	expect_error(f, try_open(f, false, false), EINVAL, "is a socket");
}

static void test_character_device(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlink("/dev/null", f->path), 0);
	expect_error(f, try_open(f, false, false), EINVAL, "character device");
}

static void test_empty(void **state)
{
	struct fixture *f = *state;

	make_image(f, "", 0, 0);
	expect_error(f, try_open(f, false, false), EINVAL, "is empty");
	assert_non_null(strstr(f->err.hint, "truncate -s 1G"));
}

/* Without root's privilege, which no mode stops. */
static int try_open_as_nobody(struct fixture *f, bool read_only)
{
	bool root = geteuid() == 0;
	int ret;

	if (root)
		assert_int_equal(seteuid(65534), 0);
	ret = try_open(f, read_only, false);
	if (root)
		assert_int_equal(seteuid(0), 0);
	return ret;
}

static void test_no_permission(void **state)
{
	struct fixture *f = *state;

	make_image(f, "x", 1, 4096);
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(chmod(f->path, 0444), 0);
	expect_error(f, try_open_as_nobody(f, false), EACCES, "no permission to open disk image");
	assert_non_null(strstr(f->err.text, "reading and writing"));
	assert_int_equal(try_open_as_nobody(f, true), 0);
	blk_close(f->blk);
	f->blk = NULL;
	assert_int_equal(chmod(f->path, 0), 0);
	expect_error(f, try_open_as_nobody(f, true), EACCES, "for reading");
	assert_int_equal(chmod(f->dir, 0), 0);
	expect_error(f, try_open_as_nobody(f, true), EACCES, "no permission to enter");
	assert_int_equal(chmod(f->dir, 0700), 0);
}

static void test_other_formats(void **state)
{
	static const struct {
		const char *name;
		unsigned offset;
		const char *bytes;
		unsigned len;
	} formats[] = {
		{"qcow2", 0, "QFI\xfb\0\0\0\3", 8},
		{"VMDK", 0, "KDMV\1\0\0\0", 8},
		{"VMDK", 0, "# Disk DescriptorFile\nversion=1\n", 32},
		{"VHDX", 0, "vhdxfile", 8},
		{"VHD", 0, "conectix", 8},
		{"VDI", 64, "\x7f\x10\xda\xbe", 4},
		{"QED", 0, "QED\0", 4},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		uint8_t head[128] = {0};

		memcpy(head + formats[i].offset, formats[i].bytes, formats[i].len);
		make_image(f, head, sizeof(head), 65536);
		expect_error(f, try_open(f, false, false), EINVAL, formats[i].name);
		assert_non_null(strstr(f->err.hint, "qemu-img convert -O raw"));
		assert_non_null(strstr(f->err.hint, f->path));
	}
}

static void test_compressed_images_are_disks_all_the_same(void **state)
{
	struct fixture *f = *state;

	make_image(f, "\x1f\x8b\x08", 3, 65536);
	assert_int_equal(try_open(f, false, false), 0);
}

static void test_temporary_folder_that_is_not_there(void **state)
{
	struct fixture *f = *state;

	make_image(f, "x", 1, 65536);
	setenv("TMPDIR", "/nonexistent/folder", 1);
	assert_int_equal(try_open(f, false, true), -ENOENT);
	unsetenv("TMPDIR");
	assert_non_null(strstr(f->err.text, "/nonexistent/folder"));
	assert_non_null(strstr(f->err.hint, "TMPDIR"));
}

/* ---- What is known of a disk ---- */

static void test_info(void **state)
{
	struct fixture *f = *state;
	char id[BLK_ID_BYTES + 1];

	make_image(f, "x", 1, 1536);
	assert_int_equal(try_open(f, false, false), 0);
	assert_int_equal(blk_info(f->blk)->size, 1536);
	assert_int_equal(blk_info(f->blk)->block_size, 512);
	assert_int_equal(blk_info(f->blk)->io_size, 4096);
	assert_false(blk_info(f->blk)->read_only);
	snprintf(id, sizeof(id), "%s", blk_info(f->blk)->id);
	assert_int_equal(strlen(id), BLK_ID_BYTES);
	/* The identity stays, read-only or not, and is not the same for another file. */
	assert_int_equal(try_open(f, true, false), 0);
	assert_string_equal(blk_info(f->blk)->id, id);
	assert_true(blk_info(f->blk)->read_only);
	assert_int_equal(try_open(f, false, true), 0);
	assert_string_equal(blk_info(f->blk)->id, id);
	assert_false(blk_info(f->blk)->read_only);
}

static void test_odd_size_is_rounded_up(void **state)
{
	struct fixture *f = *state;

	make_image(f, "x", 1, 1025);
	assert_int_equal(try_open(f, false, false), 0);
	assert_int_equal(blk_info(f->blk)->size, 1536);
}

static void test_read_sync(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[20000], all[20000];

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 7 + i / 256);
	make_image(f, all, sizeof(all), sizeof(all));
	for (int way = 0; way < 2; way++) {
		assert_int_equal(try_open(f, way == 0, way == 1), 0);
		assert_int_equal(blk_read_sync(f->blk, 0, bytes, sizeof(all)), sizeof(all));
		assert_memory_equal(bytes, all, sizeof(all));
		assert_int_equal(blk_read_sync(f->blk, 511, bytes, 2), 2);
		assert_memory_equal(bytes, all + 511, 2);
		assert_int_equal(blk_read_sync(f->blk, 1025, bytes, 9999), 9999);
		assert_memory_equal(bytes, all + 1025, 9999);
		assert_int_equal(blk_read_sync(f->blk, 0, bytes, 0), 0);
		/* The rest of the last sector is there, and is zero. */
		assert_int_equal(blk_read_sync(f->blk, sizeof(all), bytes, 1), 1);
		assert_int_equal(bytes[0], 0);
		assert_int_equal(blk_read_sync(f->blk, 20480, bytes, 1), -EINVAL);
		assert_int_equal(blk_read_sync(f->blk, UINT64_MAX, bytes, 2), -EINVAL);
	}
}

/* ---- The lock ---- */

struct holder {
	pid_t pid;
	int to_child;
};

/* A child that opens the image and keeps it until holder_end(). */
static struct holder holder_start(struct fixture *f, bool read_only)
{
	struct holder holder;
	int ready[2], stop[2];
	char byte = 0;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(stop), 0);
	holder.pid = fork();
	assert_true(holder.pid >= 0);
	if (holder.pid == 0) {
		int fd = open(f->path, O_RDWR | O_CLOEXEC);
		struct flock lock = {.l_type = read_only ? F_RDLCK : F_WRLCK};

		close(stop[1]);
		byte = fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0;
		if (write(ready[1], &byte, 1) != 1 || read(stop[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(stop[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	close(ready[0]);
	holder.to_child = stop[1];
	return holder;
}

static void holder_end(struct holder holder)
{
	int status;

	close(holder.to_child);
	assert_int_equal(waitpid(holder.pid, &status, 0), holder.pid);
	assert_int_equal(status, 0);
}

static void test_in_use_names_the_writer(void **state)
{
	struct fixture *f = *state;
	struct holder holder;
	char words[64], program[17] = "";

	make_image(f, "x", 1, 65536);
	holder = holder_start(f, false);
	snprintf(words, sizeof(words), "(process %d)", (int)holder.pid);
	expect_error(f, try_open(f, false, false), EBUSY, words);
	assert_int_equal(prctl(PR_GET_NAME, program), 0);
	assert_non_null(strstr(f->err.text, program));
	expect_error(f, try_open(f, true, false), EBUSY, words);
	expect_error(f, try_open(f, false, true), EBUSY, words);
	assert_non_null(strstr(f->err.hint, "end that program"));
	holder_end(holder);
	assert_int_equal(try_open(f, false, false), 0);
}

static void test_in_use_by_a_reader(void **state)
{
	struct fixture *f = *state;
	struct holder holder;

	make_image(f, "x", 1, 65536);
	holder = holder_start(f, true);
	expect_error(f, try_open(f, false, false), EBUSY, "only reads it");
	assert_non_null(strstr(f->err.hint, ",ephemeral"));
	assert_int_equal(try_open(f, true, false), 0);
	assert_int_equal(try_open(f, false, true), 0);
	holder_end(holder);
}

static void test_given_twice(void **state)
{
	struct fixture *f = *state;
	const struct blk_config writer = {.path = f->path};
	const struct blk_config reader = {.path = f->path, .read_only = true};
	struct blk *other;

	make_image(f, "x", 1, 65536);
	assert_int_equal(try_open(f, false, false), 0);
	assert_int_equal(blk_open(&other, &writer, f->loop, &f->err), -EBUSY);
	assert_non_null(strstr(f->err.text, "twice"));
	/* Readers may be several. */
	assert_int_equal(try_open(f, true, false), 0);
	assert_int_equal(blk_open(&other, &reader, f->loop, NULL), 0);
	blk_close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(missing),
		TEST(directory),
		TEST(fifo_does_not_block),
		TEST(socket),
		TEST(character_device),
		TEST(empty),
		TEST(no_permission),
		TEST(other_formats),
		TEST(compressed_images_are_disks_all_the_same),
		TEST(temporary_folder_that_is_not_there),
		TEST(info),
		TEST(odd_size_is_rounded_up),
		TEST(read_sync),
		TEST(in_use_names_the_writer),
		TEST(in_use_by_a_reader),
		TEST(given_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
