/*
 * virtio-gpu through its registers and rings: what a driver finds, pictures and their limits, what
 * a viewer then sees, the cursor, other sizes, and what a driver does wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <unistd.h>

#include "devices/virtio/virtio.h"
#include "tests/fake/fake_gpu.h"
#include "vmm/base/util.h"

#define RECT(x, y, w, h) ((struct virtio_gpu_rect){x, y, w, h})
#define WHOLE		 RECT(0, 0, WIDTH, HEIGHT)

enum {
	OK = VIRTIO_GPU_RESP_OK_NODATA,
	UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
	NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	BAD_SCREEN = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
	BAD_ID = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	BAD_PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	BGRX = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
	BGRA = VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,

	WIDTH = 64,
	HEIGHT = 32,
	BYTES = WIDTH * HEIGHT * 4,
	RESOURCES_MAX = 1024,
	ENTRIES_MAX = 32768,
};

static int setup(void **state)
{
	struct fake_gpu *gpu = fake_gpu_create();

	fake_gpu_bring_up(gpu);
	*state = gpu;
	return 0;
}

static int teardown(void **state)
{
	fake_gpu_destroy(*state);
	return 0;
}

static uint64_t guest_errors(struct fake_gpu *gpu)
{
	return gpu->device->guest_errors.total;
}

static uint32_t config(struct fake_gpu *gpu, unsigned offset)
{
	return fake_driver_read(&gpu->driver, VIRTIO_MMIO_CONFIG + offset);
}

static uint32_t *pixels_of(struct fake_gpu *gpu)
{
	return fake_gpu_host(gpu, gpu->pixels, BYTES);
}

/* Every pixel another one, none black. */
static uint32_t colour(unsigned i)
{
	return 0x010203 + i * 7;
}

static void paint(struct fake_gpu *gpu)
{
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		pixels_of(gpu)[i] = colour(i);
}

/* A picture of WIDTH by HEIGHT with its backing at gpu->pixels. */
static void make_backed(struct fake_gpu *gpu, uint32_t id)
{
	assert_int_equal(fake_gpu_make(gpu, id, BGRX, WIDTH, HEIGHT), OK);
	assert_int_equal(fake_gpu_attach(gpu, id, gpu->pixels, BYTES), OK);
}

/* The same, painted and on the screen. */
static void show_picture(struct fake_gpu *gpu, uint32_t id)
{
	make_backed(gpu, id);
	paint(gpu);
	assert_int_equal(fake_gpu_transfer(gpu, id, WHOLE, 0), OK);
	assert_int_equal(fake_gpu_scanout(gpu, 0, id, WHOLE), OK);
}

static void expect_image(
	struct fake_gpu *gpu, uint32_t width, uint32_t height, uint32_t x, uint32_t y)
{
	struct display_image image;

	assert_int_equal(display_copy_image(gpu->display, &image), 0);
	assert_int_equal(image.width, width);
	assert_int_equal(image.height, height);
	for (uint32_t i = 0; i < width * height; i++)
		assert_int_equal(image.xrgb[i] & 0xffffff,
			colour((y + i / width) * WIDTH + x + i % width) & 0xffffff);
	display_image_finish(&image);
}

static void expect_nothing(struct fake_gpu *gpu)
{
	struct display_image image;

	assert_true(display_copy_image(gpu->display, &image) < 0);
}

/* ---- A viewer ---- */

struct watcher {
	struct display_viewer viewer;
	struct display_frame frame;
	struct display_cursor cursor;
	unsigned wakes;
};

static void note_wake(void *opaque)
{
	((struct watcher *)opaque)->wakes++;
}

static void watch(struct fake_gpu *gpu, struct watcher *watcher)
{
	*watcher = (struct watcher){.viewer = {.wake = note_wake, .opaque = watcher}};
	display_add_viewer(gpu->display, &watcher->viewer);
}

static const struct display_frame *look(struct watcher *watcher)
{
	display_begin_frame(&watcher->viewer, &watcher->frame);
	watcher->cursor = *watcher->frame.cursor;
	display_end_frame(&watcher->viewer);
	return &watcher->frame;
}

/* ---- What the driver finds ---- */

static void test_device_describes_itself(void **state)
{
	struct fake_gpu *gpu = *state;

	assert_int_equal(fake_driver_read(&gpu->driver, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_GPU);
	assert_int_equal(config(gpu, offsetof(struct virtio_gpu_config, num_scanouts)), 1);
	assert_int_equal(config(gpu, offsetof(struct virtio_gpu_config, num_capsets)), 0);
	assert_int_equal(config(gpu, offsetof(struct virtio_gpu_config, events_read)), 0);
	assert_int_equal(fake_driver_offered(&gpu->driver) & 0xff, 1 << VIRTIO_GPU_F_EDID);
}

static struct virtio_gpu_display_one get_mode(struct fake_gpu *gpu)
{
	const struct virtio_gpu_ctrl_hdr command = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	const struct virtio_gpu_resp_display_info *answer = fake_gpu_answer(gpu);

	assert_int_equal(fake_gpu_send(gpu, 0, &command, sizeof(command), 0),
		VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(gpu->written, sizeof(*answer));
	for (unsigned i = 1; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		assert_int_equal(answer->pmodes[i].enabled, 0);
	return answer->pmodes[0];
}

static void test_display_info(void **state)
{
	struct virtio_gpu_display_one mode = get_mode(*state);

	assert_int_equal(mode.enabled, 1);
	assert_int_equal(mode.r.width, FAKE_GPU_WIDTH);
	assert_int_equal(mode.r.height, FAKE_GPU_HEIGHT);
	assert_int_equal(mode.r.x | mode.r.y, 0);
}

static const uint8_t *get_edid(struct fake_gpu *gpu)
{
	const struct virtio_gpu_cmd_get_edid command = {.hdr.type = VIRTIO_GPU_CMD_GET_EDID};
	const struct virtio_gpu_resp_edid *answer = fake_gpu_answer(gpu);

	assert_int_equal(
		fake_gpu_send(gpu, 0, &command, sizeof(command), 0), VIRTIO_GPU_RESP_OK_EDID);
	assert_int_equal(answer->size, 128);
	return answer->edid;
}

static void expect_edid(const uint8_t *edid, uint32_t width, uint32_t height)
{
	static const uint8_t header[8] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};
	const uint8_t *timing = edid + 54;
	uint32_t all_pixels, all_lines;
	uint8_t sum = 0;

	for (unsigned i = 0; i < 128; i++)
		sum = (uint8_t)(sum + edid[i]);
	assert_int_equal(sum, 0);
	assert_memory_equal(edid, header, sizeof(header));
	assert_int_equal(edid[18], 1);
	assert_int_equal(edid[19], 4);
	assert_int_equal(edid[126], 0);
	assert_int_equal(timing[2] | (timing[4] & 0xf0) << 4, width);
	assert_int_equal(timing[5] | (timing[7] & 0xf0) << 4, height);
	all_pixels = width + (timing[3] | (timing[4] & 0x0fu) << 8);
	all_lines = height + (timing[6] | (timing[7] & 0x0fu) << 8);
	assert_in_range(load_le16(timing) * UINT64_C(10000) / (all_pixels * all_lines), 24, 60);
	assert_memory_equal(edid + 72, "\0\0\0\xfc\0vmm\n         ", 18);
}

static void resize(struct fake_gpu *gpu, uint32_t width, uint32_t height)
{
	display_request_size(gpu->display, width, height);
	fake_machine_run_loop(gpu->fm);
}

static void test_edid(void **state)
{
	static const uint32_t sizes[][2] = {
		{1024, 768}, {1366, 768}, {320, 200}, {3840, 2160}, {4095, 4095}, {801, 1203}};
	struct virtio_gpu_cmd_get_edid other = {.hdr.type = VIRTIO_GPU_CMD_GET_EDID, .scanout = 1};
	struct fake_gpu *gpu = *state;

	expect_edid(get_edid(gpu), FAKE_GPU_WIDTH, FAKE_GPU_HEIGHT);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		resize(gpu, sizes[i][0], sizes[i][1]);
		expect_edid(get_edid(gpu), sizes[i][0], sizes[i][1]);
	}
	assert_int_equal(fake_gpu_send(gpu, 0, &other, sizeof(other), 0), BAD_SCREEN);
	/* A driver that did not take the feature does not know it. */
	assert_true(fake_driver_negotiate(&gpu->driver, UINT64_C(1) << VIRTIO_F_VERSION_1));
	fake_driver_setup_queue(&gpu->driver, 0, 16);
	fake_driver_start(&gpu->driver);
	other.scanout = 0;
	assert_int_equal(fake_gpu_send(gpu, 0, &other, sizeof(other), 0), UNSPEC);
}

static void test_resize(void **state)
{
	struct fake_gpu *gpu = *state;

	fake_driver_ack(&gpu->driver);
	resize(gpu, FAKE_GPU_WIDTH, FAKE_GPU_HEIGHT);
	assert_int_equal(fake_driver_ack(&gpu->driver), 0);
	resize(gpu, 800, 602);
	assert_int_equal(fake_driver_ack(&gpu->driver), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(config(gpu, 0), VIRTIO_GPU_EVENT_DISPLAY);
	assert_int_equal(get_mode(gpu).r.width, 800);
	assert_int_equal(get_mode(gpu).r.height, 602);
	/* Bits that are not set are not cleared; nothing else can be written. */
	fake_driver_write(&gpu->driver, VIRTIO_MMIO_CONFIG + 4, 0xfe);
	assert_int_equal(config(gpu, 0), VIRTIO_GPU_EVENT_DISPLAY);
	fake_driver_write(&gpu->driver, VIRTIO_MMIO_CONFIG + 4, VIRTIO_GPU_EVENT_DISPLAY);
	assert_int_equal(config(gpu, 0), 0);
	assert_int_equal(config(gpu, 4), 0);
	fake_driver_write(&gpu->driver, VIRTIO_MMIO_CONFIG + 8, 7);
	fake_driver_write(&gpu->driver, VIRTIO_MMIO_CONFIG, 1);
	assert_int_equal(config(gpu, 8), 1);
	assert_int_equal(config(gpu, 0), 0);
	assert_int_equal(guest_errors(gpu), 2);
	/* What no EDID can say. */
	resize(gpu, 7680, 4320);
	assert_int_equal(get_mode(gpu).r.width, 4095);
	assert_int_equal(get_mode(gpu).r.height, 4095);
}

/* ---- Pictures on the screen ---- */

static void test_picture(void **state)
{
	struct fake_gpu *gpu = *state;

	show_picture(gpu, 7);
	expect_image(gpu, WIDTH, HEIGHT, 0, 0);
	/* A part of it. */
	assert_int_equal(fake_gpu_scanout(gpu, 0, 7, RECT(5, 3, 20, 10)), OK);
	expect_image(gpu, 20, 10, 5, 3);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 0, RECT(0, 0, 0, 0)), OK);
	expect_nothing(gpu);
	assert_int_equal(guest_errors(gpu), 0);
}

static void test_picture_changes_where_it_is_told(void **state)
{
	struct fake_gpu *gpu = *state;
	struct display_image image;

	show_picture(gpu, 1);
	memset(pixels_of(gpu), 0xaa, BYTES);
	assert_int_equal(fake_gpu_transfer(gpu, 1, RECT(10, 4, 3, 2), (4 * WIDTH + 10) * 4), OK);
	assert_int_equal(display_copy_image(gpu->display, &image), 0);
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++) {
		bool inside = i % WIDTH >= 10 && i % WIDTH < 13 && i / WIDTH >= 4 && i / WIDTH < 6;

		assert_int_equal(image.xrgb[i], inside ? 0xaaaaaaaa : colour(i));
	}
	display_image_finish(&image);
}

static void expect_damage(struct watcher *watcher, struct display_rect rect)
{
	const struct display_frame *frame = look(watcher);

	assert_int_equal(frame->damage.count, 1);
	assert_memory_equal(&frame->damage.rects[0], &rect, sizeof(rect));
}

static void test_flush(void **state)
{
	struct fake_gpu *gpu = *state;
	struct watcher watcher;

	watch(gpu, &watcher);
	assert_null(look(&watcher)->surface.pixels);
	show_picture(gpu, 1);
	expect_damage(&watcher, (struct display_rect){0, 0, WIDTH, HEIGHT});
	make_backed(gpu, 2);
	assert_int_equal(fake_gpu_flush(gpu, 1, RECT(5, 6, 7, 8)), OK);
	expect_damage(&watcher, (struct display_rect){5, 6, 7, 8});
	/* Only what can be seen counts. */
	assert_int_equal(fake_gpu_flush(gpu, 2, WHOLE), OK);
	assert_int_equal(look(&watcher)->damage.count, 0);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, RECT(10, 10, 20, 12)), OK);
	look(&watcher);
	assert_int_equal(fake_gpu_flush(gpu, 1, RECT(8, 9, 4, 4)), OK);
	expect_damage(&watcher, (struct display_rect){0, 0, 2, 3});
	assert_int_equal(fake_gpu_flush(gpu, 1, RECT(0, 0, 10, 10)), OK);
	assert_int_equal(look(&watcher)->damage.count, 0);
	/* The same once more draws nothing anew. */
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, RECT(10, 10, 20, 12)), OK);
	assert_int_equal(look(&watcher)->damage.count, 0);
	assert_int_equal(fake_gpu_flush(gpu, 1, RECT(1, 1, WIDTH, 1)), BAD_PARAMETER);
	display_remove_viewer(&watcher.viewer);
}

/* What nobody has drawn on leaves the screen to others. */
static void test_black_is_no_picture(void **state)
{
	struct fake_gpu *gpu = *state;
	struct display_image image;

	make_backed(gpu, 1);
	memset(pixels_of(gpu), 0, BYTES);
	pixels_of(gpu)[9] = 0xff000000;
	assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, 0), OK);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, WHOLE), OK);
	assert_int_equal(fake_gpu_flush(gpu, 1, WHOLE), OK);
	expect_nothing(gpu);
	paint(gpu);
	assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, 0), OK);
	assert_int_equal(fake_gpu_flush(gpu, 1, RECT(0, 0, 1, 1)), OK);
	expect_image(gpu, WIDTH, HEIGHT, 0, 0);
	/* A picture that turns black later is one, another that never was takes its place away. */
	memset(pixels_of(gpu), 0, BYTES);
	assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, 0), OK);
	assert_int_equal(fake_gpu_flush(gpu, 1, WHOLE), OK);
	assert_int_equal(display_copy_image(gpu->display, &image), 0);
	display_image_finish(&image);
	assert_int_equal(fake_gpu_make(gpu, 2, BGRX, WIDTH, HEIGHT), OK);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 2, WHOLE), OK);
	expect_nothing(gpu);
}

static void test_formats(void **state)
{
	static const struct {
		uint32_t format;
		uint8_t bytes[4];
	} formats[] = {
		{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, {3, 2, 1, 9}},
		{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, {3, 2, 1, 9}},
		{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, {9, 1, 2, 3}},
		{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, {9, 1, 2, 3}},
		{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, {1, 2, 3, 9}},
		{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, {1, 2, 3, 9}},
		{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, {9, 3, 2, 1}},
		{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, {9, 3, 2, 1}},
	};
	struct fake_gpu *gpu = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		struct display_image image;

		assert_int_equal(fake_gpu_make(gpu, i + 1, formats[i].format, 2, 2), OK);
		assert_int_equal(fake_gpu_attach(gpu, i + 1, gpu->pixels, 16), OK);
		for (unsigned pixel = 0; pixel < 4; pixel++)
			memcpy(pixels_of(gpu) + pixel, formats[i].bytes, 4);
		assert_int_equal(fake_gpu_transfer(gpu, i + 1, RECT(0, 0, 2, 2), 0), OK);
		assert_int_equal(fake_gpu_scanout(gpu, 0, i + 1, RECT(0, 0, 2, 2)), OK);
		assert_int_equal(display_copy_image(gpu->display, &image), 0);
		for (unsigned pixel = 0; pixel < 4; pixel++)
			assert_int_equal(image.xrgb[pixel], 0x09010203);
		display_image_finish(&image);
	}
}

/* Pieces of all lengths that even cut through pixels, out of order in memory. */
static void test_backing_in_pieces(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_mem_entry entries[400];
	unsigned count = 0;

	paint(gpu);
	for (uint32_t done = 0, len; done < BYTES; done += len) {
		gpa_t place = gpu->pixels + BYTES + (399 - count) * 128;

		len = MIN(count % 7 ? (uint32_t)count % 41 : 0, BYTES - done);
		if (count == 399)
			len = BYTES - done, place = gpu->pixels + BYTES + 400 * 128;
		memcpy(fake_gpu_host(gpu, place, len), (uint8_t *)pixels_of(gpu) + done, len);
		entries[count++] = (struct virtio_gpu_mem_entry){.addr = place, .length = len};
	}
	assert_int_equal(count, 400);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, WIDTH, HEIGHT), OK);
	assert_int_equal(fake_gpu_attach_list(gpu, 1, entries, count, count), OK);
	assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, 0), OK);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, WHOLE), OK);
	expect_image(gpu, WIDTH, HEIGHT, 0, 0);
	/* Every row by itself, from the last on, into another picture. */
	assert_int_equal(fake_gpu_make(gpu, 2, BGRX, WIDTH, HEIGHT), OK);
	assert_int_equal(fake_gpu_attach_list(gpu, 2, entries, count, count), OK);
	for (uint32_t y = HEIGHT; y--;) {
		assert_int_equal(fake_gpu_transfer(gpu, 2, RECT(0, y, 10, 1), y * WIDTH * 4), OK);
		assert_int_equal(
			fake_gpu_transfer(gpu, 2, RECT(10, y, WIDTH - 10, 1), (y * WIDTH + 10) * 4),
			OK);
	}
	assert_int_equal(fake_gpu_scanout(gpu, 0, 2, WHOLE), OK);
	expect_image(gpu, WIDTH, HEIGHT, 0, 0);
}

static void test_fences(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_ctrl_hdr command = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
		.flags = VIRTIO_GPU_FLAG_FENCE,
		.fence_id = UINT64_C(0x123456789a),
		.ctx_id = 5};
	const struct virtio_gpu_ctrl_hdr *answer = fake_gpu_answer(gpu);

	fake_gpu_send(gpu, 0, &command, sizeof(command), 0);
	assert_int_equal(answer->flags, VIRTIO_GPU_FLAG_FENCE);
	assert_true(answer->fence_id == command.fence_id);
	assert_int_equal(answer->ctx_id, 5);
	/* Of a command that fails as well; and without the flag there is no number. */
	command.type = 0x999;
	assert_int_equal(fake_gpu_send(gpu, 0, &command, sizeof(command), 0), UNSPEC);
	assert_true(answer->fence_id == command.fence_id);
	command.flags = 0;
	assert_int_equal(fake_gpu_send(gpu, 0, &command, sizeof(command), 0), UNSPEC);
	assert_true(answer->fence_id == 0 && answer->flags == 0);
}

/* ---- Limits ---- */

static void test_create_limits(void **state)
{
	struct fake_gpu *gpu = *state;

	assert_int_equal(fake_gpu_make(gpu, 0, BGRX, 8, 8), BAD_ID);
	assert_int_equal(fake_gpu_make(gpu, 1, 0, 8, 8), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 1, 5, 8, 8), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 0, 8), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 8, 0), BAD_PARAMETER);
	/* In 32 bits these are nothing, or little. */
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 0x10000, 0x10000), NO_MEMORY);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 0x40000001, 1), NO_MEMORY);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, UINT32_MAX, UINT32_MAX), NO_MEMORY);
	/* Little memory, and rows without end. */
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 2, 16385), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 16385, 2), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 2, 16384), OK);
	assert_int_equal(fake_gpu_make(gpu, UINT32_MAX, BGRX, 8, 8), OK);
	assert_int_equal(fake_gpu_make(gpu, UINT32_MAX, BGRX, 8, 8), BAD_ID);
	assert_int_equal(guest_errors(gpu), 11);
}

static void test_memory_limit(void **state)
{
	struct fake_gpu *gpu = *state;

	/* One: the largest mode. */
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 7681, 4320), NO_MEMORY);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 7680, 4320), OK);
	/* All together: 256 MiB. */
	assert_int_equal(fake_gpu_make(gpu, 2, BGRX, 4320, 7680), OK);
	assert_int_equal(fake_gpu_make(gpu, 3, BGRX, 184, 4097), NO_MEMORY);
	assert_int_equal(fake_gpu_make(gpu, 3, BGRX, 184, 4096), OK);
	assert_int_equal(fake_gpu_make(gpu, 4, BGRX, 1, 1), NO_MEMORY);
	assert_int_equal(fake_gpu_unref(gpu, 2), OK);
	assert_int_equal(fake_gpu_make(gpu, 4, BGRX, 1, 1), OK);
}

static void test_too_many_resources(void **state)
{
	struct fake_gpu *gpu = *state;

	for (uint32_t id = 1; id <= RESOURCES_MAX; id++)
		assert_int_equal(fake_gpu_make(gpu, id * 64, BGRX, 1, 1), OK);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 1, 1), NO_MEMORY);
	assert_int_equal(fake_gpu_unref(gpu, 500 * 64), OK);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 1, 1), OK);
	assert_int_equal(fake_gpu_make(gpu, 2, BGRX, 1, 1), NO_MEMORY);
}

static void test_entry_limits(void **state)
{
	static struct virtio_gpu_mem_entry entries[ENTRIES_MAX + 1];
	struct fake_gpu *gpu = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] = (struct virtio_gpu_mem_entry){.addr = gpu->pixels, .length = 1};
	for (uint32_t id = 1; id <= 4; id++)
		assert_int_equal(fake_gpu_make(gpu, id, BGRX, 4, 4), OK);
	assert_int_equal(fake_gpu_attach_list(gpu, 1, entries, UINT32_MAX, 2), NO_MEMORY);
	assert_int_equal(
		fake_gpu_attach_list(gpu, 1, entries, ENTRIES_MAX + 1, ENTRIES_MAX + 1), NO_MEMORY);
	assert_int_equal(fake_gpu_attach_list(gpu, 1, entries, 3, 2), BAD_PARAMETER);
	assert_int_equal(fake_gpu_attach_list(gpu, 1, entries, 1, 0), BAD_PARAMETER);
	assert_int_equal(fake_gpu_attach_list(gpu, 1, entries, ENTRIES_MAX, ENTRIES_MAX), OK);
	assert_int_equal(fake_gpu_attach_list(gpu, 1, entries, 1, 1), UNSPEC);
	assert_int_equal(fake_gpu_attach_list(gpu, 2, entries, ENTRIES_MAX, ENTRIES_MAX), OK);
	/* All together. */
	assert_int_equal(fake_gpu_attach_list(gpu, 3, entries, 1, 1), NO_MEMORY);
	assert_int_equal(fake_gpu_detach(gpu, 1), OK);
	assert_int_equal(fake_gpu_detach(gpu, 1), UNSPEC);
	assert_int_equal(fake_gpu_attach_list(gpu, 3, entries, 1, 1), OK);
	assert_int_equal(fake_gpu_attach_list(gpu, 4, entries, 0, 0), OK);
	assert_int_equal(fake_gpu_transfer(gpu, 4, RECT(0, 0, 1, 1), 0), BAD_PARAMETER);
	assert_int_equal(fake_gpu_transfer(gpu, 4, RECT(0, 0, 0, 0), 0), OK);
}

static void test_entries_outside_ram(void **state)
{
	struct fake_gpu *gpu = *state;
	const struct virtio_gpu_mem_entry bad[] = {
		{.addr = FAKE_GPU_RAM, .length = 1},
		{.addr = FAKE_GPU_RAM - 1, .length = 2},
		{.addr = UINT64_MAX, .length = 1},
		{.addr = UINT64_MAX - 10, .length = UINT32_MAX},
		{.addr = 0, .length = UINT32_MAX},
		{.addr = UINT64_C(1) << 63, .length = 4},
	};

	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, WIDTH, HEIGHT), OK);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct virtio_gpu_mem_entry list[] = {
			{.addr = gpu->pixels, .length = BYTES}, bad[i]};

		assert_int_equal(fake_gpu_attach_list(gpu, 1, list, 2, 2), BAD_PARAMETER);
		/* None of it is attached. */
		assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, 0), UNSPEC);
	}
	assert_int_equal(fake_gpu_attach(gpu, 1, gpu->pixels, BYTES), OK);
}

static void test_transfer_limits(void **state)
{
	static const struct virtio_gpu_rect outside[] = {
		{0, 0, WIDTH + 1, 1},
		{0, 0, 1, HEIGHT + 1},
		{WIDTH, 0, 1, 1},
		{0, HEIGHT, 1, 1},
		{UINT32_MAX, 0, 2, 1},
		{1, 0, UINT32_MAX, 1},
		{0, UINT32_MAX, 1, UINT32_MAX},
		{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
	};
	static const uint64_t offsets[] = {4, 1, BYTES, UINT64_MAX, UINT64_MAX - BYTES + 1,
		UINT64_C(1) << 32, UINT64_C(1) << 63};
	struct fake_gpu *gpu = *state;

	make_backed(gpu, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(outside); i++)
		assert_int_equal(fake_gpu_transfer(gpu, 1, outside[i], 0), BAD_PARAMETER);
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
		assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, offsets[i]), BAD_PARAMETER);
	/* To the last byte, and one behind it. */
	assert_int_equal(fake_gpu_transfer(gpu, 1, RECT(0, 0, 1, 1), BYTES - 4), OK);
	assert_int_equal(fake_gpu_transfer(gpu, 1, RECT(0, 0, 1, 1), BYTES - 3), BAD_PARAMETER);
	assert_int_equal(fake_gpu_transfer(gpu, 1, RECT(0, 0, 1, 2), BYTES - 4 - WIDTH * 4), OK);
	assert_int_equal(
		fake_gpu_transfer(gpu, 1, RECT(0, 0, 1, 2), BYTES - WIDTH * 4), BAD_PARAMETER);
	/* A picture larger than what is behind it. */
	assert_int_equal(fake_gpu_make(gpu, 2, BGRX, WIDTH, HEIGHT), OK);
	assert_int_equal(fake_gpu_attach(gpu, 2, gpu->pixels, BYTES - 1), OK);
	assert_int_equal(fake_gpu_transfer(gpu, 2, WHOLE, 0), BAD_PARAMETER);
	assert_int_equal(fake_gpu_transfer(gpu, 2, RECT(0, 0, WIDTH, HEIGHT - 1), 0), OK);
}

static void test_scanout_limits(void **state)
{
	struct fake_gpu *gpu = *state;

	show_picture(gpu, 1);
	assert_int_equal(fake_gpu_scanout(gpu, 1, 1, WHOLE), BAD_SCREEN);
	assert_int_equal(fake_gpu_scanout(gpu, UINT32_MAX, 0, WHOLE), BAD_SCREEN);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, RECT(0, 0, 0, HEIGHT)), BAD_PARAMETER);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, RECT(1, 0, WIDTH, 1)), BAD_PARAMETER);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 1, RECT(UINT32_MAX, 0, 2, 1)), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 2, BGRX, 8000, 8), OK);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 2, RECT(0, 0, 7681, 8)), BAD_PARAMETER);
	expect_image(gpu, WIDTH, HEIGHT, 0, 0);
	assert_int_equal(fake_gpu_scanout(gpu, 0, 2, RECT(0, 0, 7680, 8)), OK);
}

static void test_ids_that_are_not_there(void **state)
{
	static const uint32_t ids[] = {0, 2, 65, UINT32_MAX};
	struct fake_gpu *gpu = *state;

	make_backed(gpu, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_int_equal(fake_gpu_unref(gpu, ids[i]), BAD_ID);
		assert_int_equal(fake_gpu_attach(gpu, ids[i], gpu->pixels, 4), BAD_ID);
		assert_int_equal(fake_gpu_detach(gpu, ids[i]), BAD_ID);
		assert_int_equal(fake_gpu_transfer(gpu, ids[i], WHOLE, 0), BAD_ID);
		assert_int_equal(fake_gpu_flush(gpu, ids[i], WHOLE), BAD_ID);
		assert_int_equal(fake_gpu_scanout(gpu, 0, ids[i], WHOLE), ids[i] ? BAD_ID : OK);
	}
}

static void test_unref_on_screen(void **state)
{
	struct fake_gpu *gpu = *state;

	show_picture(gpu, 1);
	assert_int_equal(fake_gpu_unref(gpu, 1), OK);
	expect_nothing(gpu);
	assert_int_equal(fake_gpu_flush(gpu, 1, WHOLE), BAD_ID);
	/* Another one of that number is another one. */
	make_backed(gpu, 1);
	assert_int_equal(fake_gpu_transfer(gpu, 1, WHOLE, 0), OK);
	assert_int_equal(fake_gpu_flush(gpu, 1, WHOLE), OK);
	expect_nothing(gpu);
}

static void test_unknown_commands(void **state)
{
	static const uint32_t types[] = {0, VIRTIO_GPU_CMD_GET_CAPSET_INFO,
		VIRTIO_GPU_CMD_GET_CAPSET, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
		VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, VIRTIO_GPU_CMD_CTX_CREATE,
		VIRTIO_GPU_CMD_SUBMIT_3D, VIRTIO_GPU_CMD_UPDATE_CURSOR, 0x1100, 0xff, UINT32_MAX};
	struct fake_gpu *gpu = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		struct virtio_gpu_ctrl_hdr command[8] = {{.type = types[i]}};

		assert_int_equal(fake_gpu_send(gpu, 0, command, sizeof(command), 0), UNSPEC);
		assert_int_equal(gpu->written, sizeof(command[0]));
	}
}

static void test_cut_commands(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_transfer_to_host_2d command = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, .resource_id = 1};

	make_backed(gpu, 1);
	for (uint32_t len = 0; len < sizeof(command); len++)
		assert_int_equal(fake_gpu_send(gpu, 0, &command, len, 0),
			len < sizeof(command.hdr) ? UNSPEC : BAD_PARAMETER);
	assert_int_equal(fake_gpu_send(gpu, 0, &command, sizeof(command), 0), OK);
}

static void test_no_room_for_an_answer(void **state)
{
	struct fake_gpu *gpu = *state;
	const struct virtio_gpu_ctrl_hdr command = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};

	gpu->answer_bytes = 0;
	assert_int_equal(fake_gpu_send(gpu, 0, &command, sizeof(command), 0), 0);
	assert_int_equal(gpu->written, 0);
	gpu->answer_bytes = 30;
	assert_int_equal(fake_gpu_send(gpu, 0, &command, sizeof(command), 0),
		VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(gpu->written, 30);
	assert_int_equal(guest_errors(gpu), 2);
}

/* Copies of 4 MiB: more than one turn takes; all are answered in the end. */
static void test_turns_end(void **state)
{
	const struct virtio_gpu_transfer_to_host_2d command = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = {0, 0, 1024, 1024},
		.resource_id = 1};
	struct fake_gpu *gpu = *state;

	assert_int_equal(fake_gpu_make(gpu, 1, BGRX, 1024, 1024), OK);
	assert_int_equal(fake_gpu_attach(gpu, 1, gpu->pixels, 4 * MIB), OK);
	memcpy(fake_gpu_host(gpu, gpu->command, sizeof(command)), &command, sizeof(command));
	for (unsigned i = 0; i < 8; i++) {
		const struct fake_buffer buffers[] = {{gpu->command, sizeof(command), false},
			{gpu->answer, sizeof(struct virtio_gpu_ctrl_hdr), true}};

		fake_vq_add(&gpu->driver, 0, buffers, 2, 0);
	}
	fake_driver_kick(&gpu->driver, 0);
	assert_true(loop_run_once(gpu->fm->loop, 0));
	assert_in_range(fake_vq_used_count(&gpu->driver.queues[0]), 1, 7);
	fake_machine_run_loop(gpu->fm);
	assert_int_equal(fake_vq_used_count(&gpu->driver.queues[0]), 8);
}

/* ---- The cursor ---- */

static struct virtio_gpu_update_cursor cursor_command(uint32_t type, uint32_t id)
{
	return (struct virtio_gpu_update_cursor){.hdr.type = type,
		.pos = {.x = 100, .y = 50},
		.resource_id = id,
		.hot_x = 3,
		.hot_y = 4};
}

static void make_cursor(struct fake_gpu *gpu, uint32_t id, uint32_t format)
{
	assert_int_equal(fake_gpu_make(gpu, id, format, 64, 64), OK);
	assert_int_equal(fake_gpu_attach(gpu, id, gpu->pixels, 64 * 64 * 4), OK);
	for (unsigned i = 0; i < 64 * 64; i++)
		((uint32_t *)fake_gpu_host(gpu, gpu->pixels, 64 * 64 * 4))[i] = colour(i);
	assert_int_equal(fake_gpu_transfer(gpu, id, RECT(0, 0, 64, 64), 0), OK);
}

static void test_cursor(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_update_cursor command = cursor_command(VIRTIO_GPU_CMD_UPDATE_CURSOR, 2);
	struct watcher watcher;

	show_picture(gpu, 1);
	make_cursor(gpu, 2, BGRA);
	watch(gpu, &watcher);
	assert_int_equal(look(&watcher)->cursor->width, 0);
	assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
	assert_true(look(&watcher)->cursor_changed);
	assert_int_equal(watcher.cursor.width, 64);
	assert_int_equal(watcher.cursor.hot_x, 3);
	assert_int_equal(watcher.cursor.hot_y, 4);
	assert_int_equal(watcher.frame.cursor_x, 100);
	assert_int_equal(watcher.frame.cursor_y, 50);
	for (unsigned i = 0; i < 64 * 64; i++)
		assert_int_equal(watcher.cursor.argb[i], colour(i));
	/* Moved only: its picture is of no interest then. Left of the screen and above. */
	command = cursor_command(VIRTIO_GPU_CMD_MOVE_CURSOR, 77);
	command.pos.x = (uint32_t)-5;
	command.pos.y = (uint32_t)-6;
	assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
	assert_false(look(&watcher)->cursor_changed);
	assert_int_equal(watcher.frame.cursor_x, -5);
	assert_int_equal(watcher.frame.cursor_y, -6);
	/* Away. */
	command = cursor_command(VIRTIO_GPU_CMD_UPDATE_CURSOR, 0);
	assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
	assert_int_equal(look(&watcher)->cursor->width, 0);
	/* Without alpha all of it is seen. */
	make_cursor(gpu, 3, BGRX);
	command.resource_id = 3;
	assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
	look(&watcher);
	assert_int_equal(watcher.cursor.argb[9], colour(9) | 0xff000000);
	display_remove_viewer(&watcher.viewer);
	assert_int_equal(guest_errors(gpu), 0);
}

static void test_cursor_limits(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_update_cursor command = cursor_command(VIRTIO_GPU_CMD_UPDATE_CURSOR, 1);
	struct watcher watcher;

	show_picture(gpu, 2);
	watch(gpu, &watcher);
	assert_int_equal(fake_gpu_cursor(gpu, &command), BAD_ID);
	assert_int_equal(fake_gpu_make(gpu, 1, BGRA, 65, 64), OK);
	assert_int_equal(fake_gpu_cursor(gpu, &command), BAD_PARAMETER);
	assert_int_equal(fake_gpu_make(gpu, 3, BGRA, 1, 4096), OK);
	command.resource_id = 3;
	assert_int_equal(fake_gpu_cursor(gpu, &command), BAD_PARAMETER);
	command.pos.scanout_id = 1;
	assert_int_equal(fake_gpu_cursor(gpu, &command), BAD_SCREEN);
	command.hdr.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
	assert_int_equal(fake_gpu_cursor(gpu, &command), UNSPEC);
	assert_int_equal(fake_gpu_send(gpu, 1, &command, 40, 0), UNSPEC);
	assert_int_equal(look(&watcher)->cursor->width, 0);
	/* A small one, with its hot spot outside. */
	command = cursor_command(VIRTIO_GPU_CMD_UPDATE_CURSOR, 4);
	command.hot_x = UINT32_MAX;
	command.pos.x = INT32_MAX;
	assert_int_equal(fake_gpu_make(gpu, 4, BGRA, 2, 3), OK);
	assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
	look(&watcher);
	assert_int_equal(watcher.cursor.width, 2);
	assert_int_equal(watcher.cursor.hot_x, 1);
	assert_int_equal(watcher.cursor.hot_y, 2);
	/* As Linux asks: without an answer. */
	gpu->answer_bytes = 0;
	fake_gpu_cursor(gpu, &command);
	assert_int_equal(gpu->written, 0);
	assert_int_equal(guest_errors(gpu), 6);
	display_remove_viewer(&watcher.viewer);
}

static void test_unref_of_the_cursor(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_update_cursor command = cursor_command(VIRTIO_GPU_CMD_UPDATE_CURSOR, 2);
	struct watcher watcher;

	show_picture(gpu, 1);
	make_cursor(gpu, 2, BGRA);
	watch(gpu, &watcher);
	assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
	assert_int_equal(fake_gpu_unref(gpu, 2), OK);
	look(&watcher);
	assert_int_equal(watcher.cursor.argb[5], colour(5));
	display_remove_viewer(&watcher.viewer);
}

/* ---- Reset ---- */

static long mapped_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = -1;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld", &pages), 1);
	fclose(file);
	return pages;
}

static void test_reset_gives_back(void **state)
{
	struct fake_gpu *gpu = *state;
	struct virtio_gpu_update_cursor command = cursor_command(VIRTIO_GPU_CMD_UPDATE_CURSOR, 2);
	struct watcher watcher;
	long before = mapped_pages();

	watch(gpu, &watcher);
	for (unsigned round = 0; round < 3; round++) {
		show_picture(gpu, 1);
		make_cursor(gpu, 2, BGRA);
		assert_int_equal(fake_gpu_make(gpu, 3, BGRX, 7000, 4000), OK);
		assert_int_equal(fake_gpu_cursor(gpu, &command), OK);
		resize(gpu, 900 + round, 700);
		assert_int_equal(look(&watcher)->cursor->width, 64);
		fake_driver_write(&gpu->driver, VIRTIO_MMIO_STATUS, 0);
		assert_null(look(&watcher)->surface.pixels);
		assert_true(mapped_pages() < before + 7000 * 4000 / 4096 * 4);
		fake_gpu_bring_up(gpu);
		assert_int_equal(config(gpu, 0), 0);
		/* The window has still its size. */
		assert_int_equal(get_mode(gpu).r.width, 900 + round);
	}
	show_picture(gpu, 1);
	display_remove_viewer(&watcher.viewer);
	/* teardown() destroys it with a picture on the screen */
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device_describes_itself),
		TEST(display_info),
		TEST(edid),
		TEST(resize),
		TEST(picture),
		TEST(picture_changes_where_it_is_told),
		TEST(flush),
		TEST(black_is_no_picture),
		TEST(formats),
		TEST(backing_in_pieces),
		TEST(fences),
		TEST(create_limits),
		TEST(memory_limit),
		TEST(too_many_resources),
		TEST(entry_limits),
		TEST(entries_outside_ram),
		TEST(transfer_limits),
		TEST(scanout_limits),
		TEST(ids_that_are_not_there),
		TEST(unref_on_screen),
		TEST(unknown_commands),
		TEST(cut_commands),
		TEST(no_room_for_an_answer),
		TEST(turns_end),
		TEST(cursor),
		TEST(cursor_limits),
		TEST(unref_of_the_cursor),
		TEST(reset_gives_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
