/*
 * PNG: what is written is read again here, chunk by chunk, and is the same picture; files come
 * whole or not at all.
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
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "devices/backend/png.h"

static char folder[] = "/tmp/test_png.XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.png", folder);
	return 0;
}

static unsigned count_files(void)
{
	DIR *dir = opendir(folder);
	unsigned count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

/* Colours without and with a pattern, and a highest byte that means nothing. */
static struct display_image make_image(uint32_t width, uint32_t height)
{
	struct display_image image = {.width = width, .height = height};
	uint32_t seed = 1;

	image.xrgb = malloc((size_t)width * height * 4);
	assert_non_null(image.xrgb);
	for (size_t i = 0; i < (size_t)width * height; i++) {
		seed = seed * 1664525 + 1013904223;
		image.xrgb[i] = i / width % 3 ? seed : 0xff102030;
	}
	return image;
}

static uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint8_t *read_file(const char *name, size_t *size)
{
	FILE *file = fopen(name, "rb");
	uint8_t *data = malloc(8 << 20);

	assert_non_null(file);
	assert_non_null(data);
	*size = fread(data, 1, 8 << 20, file);
	fclose(file);
	return data;
}

/* Reads it as any decoder must, and compares. */
static void assert_png(const char *name, const struct display_image *image)
{
	static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	size_t size, at = 8, row = 1 + (size_t)image->width * 3;
	uint8_t *data = read_file(name, &size), *raw = malloc(row * image->height);
	z_stream z = {.next_out = raw, .avail_out = (uInt)(row * image->height)};
	int status = Z_OK;
	unsigned heads = 0, ends = 0;

	assert_non_null(raw);
	assert_true(size > 8 && !memcmp(data, signature, 8));
	assert_int_equal(inflateInit(&z), Z_OK);
	while (at < size) {
		uint32_t len = load_be32(data + at);
		const uint8_t *type = data + at + 4, *body = type + 4;

		assert_true(!ends && len <= size - at - 12);
		assert_int_equal(load_be32(body + len), crc32(0, type, len + 4));
		if (!memcmp(type, "IHDR", 4)) {
			static const uint8_t rest[] = {8, 2, 0, 0, 0};

			assert_true(at == 8 && len == 13 && !heads++);
			assert_int_equal(load_be32(body), image->width);
			assert_int_equal(load_be32(body + 4), image->height);
			assert_memory_equal(body + 8, rest, sizeof(rest));
		} else if (!memcmp(type, "IDAT", 4)) {
			assert_int_equal(status, Z_OK);
			z.next_in = (uint8_t *)body;
			z.avail_in = len;
			status = inflate(&z, Z_NO_FLUSH);
		} else {
			assert_memory_equal(type, "IEND", 4);
			assert_int_equal(len, 0);
			ends++;
		}
		at += 12 + len;
	}
	assert_int_equal(ends, 1);
	assert_int_equal(status, Z_STREAM_END);
	assert_int_equal(z.avail_out, 0);
	inflateEnd(&z);
	for (uint32_t y = 0; y < image->height; y++) {
		assert_int_equal(raw[y * row], 0);
		for (uint32_t x = 0; x < image->width; x++) {
			const uint8_t *rgb = raw + y * row + 1 + (size_t)x * 3;
			uint32_t pixel = image->xrgb[(size_t)y * image->width + x];

			assert_int_equal(rgb[0] << 16 | rgb[1] << 8 | rgb[2], pixel & 0xffffff);
		}
	}
	free(raw);
	free(data);
}

static void pictures_of_all_sizes(void **state)
{
	static const uint32_t sizes[][2] = {
		{1, 1}, {1, 300}, {300, 1}, {320, 200}, {641, 479}, {1024, 768}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct display_image image = make_image(sizes[i][0], sizes[i][1]);
		struct err err = ERR_INIT;

		assert_int_equal(png_save(path, &image, &err), 0);
		assert_png(path, &image);
		assert_int_equal(count_files(), 1);
		display_image_finish(&image);
	}
}

static void an_old_file_is_replaced_as_a_whole(void **state)
{
	struct display_image image = make_image(320, 200), small = make_image(5, 5);
	struct err err = ERR_INIT;
	struct stat st;
	mode_t mask = umask(027);

	(void)state;
	assert_int_equal(png_save(path, &image, &err), 0);
	assert_int_equal(png_save(path, &small, &err), 0);
	umask(mask);
	assert_png(path, &small);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	display_image_finish(&image);
	display_image_finish(&small);
}

static void trouble_leaves_nothing(void **state)
{
	struct display_image image = make_image(320, 200);
	struct err err = ERR_INIT;
	char name[96];

	(void)state;
	snprintf(name, sizeof(name), "%s/none/a.png", folder);
	assert_int_equal(png_save(name, &image, &err), -ENOENT);
	assert_non_null(strstr(err.text, "none/a.png"));
	err = (struct err)ERR_INIT;
	assert_int_equal(png_save("/dev/full", &image, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "/dev/full"));
	err = (struct err)ERR_INIT;
	assert_int_equal(png_save(folder, &image, &err), -EISDIR);
	assert_int_equal(count_files(), 0);
	display_image_finish(&image);
}

static void what_is_no_file_stays_what_it_is(void **state)
{
	struct display_image image = make_image(7, 3);
	struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(png_save("/dev/null", &image, &err), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	display_image_finish(&image);
}

static void an_open_file_is_written_to(void **state)
{
	struct display_image image = make_image(33, 44);
	struct err err = ERR_INIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(png_write(fd, "standard output", &image, &err), 0);
	close(fd);
	assert_png(path, &image);
	display_image_finish(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pictures_of_all_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_old_file_is_replaced_as_a_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(trouble_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_file_stays_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(an_open_file_is_written_to, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
