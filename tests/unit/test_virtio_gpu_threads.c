/*
 * virtio-gpu with everything at once: a guest that makes, shows, changes and takes away pictures and
 * resets, a viewer that reads frames and asks for other sizes, one that comes and goes, and the
 * loop. What it is for is the sanitizers; without them it checks that each frame is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/fake/fake_gpu.h"
#include "vmm/base/util.h"

enum {
	ROUNDS = 150,
	SIDE_MAX = 96,
	BGRX = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
};

struct stage {
	struct fake_gpu *gpu;
	_Atomic bool done;
	_Atomic unsigned torn;
};

static void note_wake(void *opaque)
{
	(void)opaque;
}

/* Each picture has one colour at any time, as long as the lock is held. */
static void read_frame(struct stage *stage, struct display_viewer *viewer)
{
	struct display_frame frame;

	display_begin_frame(viewer, &frame);
	for (uint32_t y = 0; frame.surface.pixels && y < frame.surface.height; y++)
		if (memcmp(frame.surface.pixels + (size_t)y * frame.surface.stride,
			    frame.surface.pixels,
			    (size_t)frame.surface.width * DISPLAY_PIXEL_BYTES) != 0)
			stage->torn++;
	display_end_frame(viewer);
}

static void *watch(void *opaque)
{
	struct stage *stage = opaque;
	struct display_viewer viewer = {.wake = note_wake};
	uint32_t width = 400;

	display_add_viewer(stage->gpu->display, &viewer);
	while (!stage->done) {
		read_frame(stage, &viewer);
		display_request_size(stage->gpu->display, width, 300);
		width = width == 900 ? 400 : width + 1;
	}
	display_remove_viewer(&viewer);
	return NULL;
}

static void *come_and_go(void *opaque)
{
	struct stage *stage = opaque;

	while (!stage->done) {
		struct display_viewer viewer = {.wake = note_wake};
		struct display_image image;

		display_add_viewer(stage->gpu->display, &viewer);
		display_set_visible(&viewer, false);
		display_set_visible(&viewer, true);
		display_remove_viewer(&viewer);
		if (display_copy_image(stage->gpu->display, &image) == 0)
			display_image_finish(&image);
	}
	return NULL;
}

static void paint(struct fake_gpu *gpu, unsigned value)
{
	memset(fake_gpu_host(gpu, gpu->pixels, SIDE_MAX * SIDE_MAX * 4), (int)(value % 255 + 1),
		SIDE_MAX * SIDE_MAX * 4);
}

static void draw(struct fake_gpu *gpu, uint32_t id, struct virtio_gpu_rect all)
{
	for (unsigned i = 0; i < 4; i++) {
		paint(gpu, id + i);
		fake_gpu_transfer(gpu, id, all, 0);
		fake_gpu_flush(gpu, id, all);
	}
}

static void play_guest(struct stage *stage)
{
	struct fake_gpu *gpu = stage->gpu;
	struct virtio_gpu_update_cursor cursor = {.hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR};

	for (unsigned round = 0; round < ROUNDS; round++) {
		const uint32_t id = round % 3 + 1, width = round % SIDE_MAX + 1;
		const struct virtio_gpu_rect all = {0, 0, width, SIDE_MAX - width + 1};

		fake_gpu_make(gpu, id, BGRX, all.width, all.height);
		fake_gpu_attach(gpu, id, gpu->pixels, SIDE_MAX * SIDE_MAX * 4);
		paint(gpu, round);
		fake_gpu_transfer(gpu, id, all, 0);
		fake_gpu_scanout(gpu, 0, id, all);
		draw(gpu, id, all);
		cursor.resource_id = id;
		cursor.pos.x = round;
		fake_gpu_cursor(gpu, &cursor);
		/* Sometimes what is on the screen goes, sometimes all of it does. */
		if (round % 2)
			assert_int_equal(fake_gpu_unref(gpu, id), VIRTIO_GPU_RESP_OK_NODATA);
		if (round % 16 == 15)
			fake_gpu_bring_up(gpu);
		if (round % 16 == 15 || round % 2 == 0)
			fake_gpu_unref(gpu, id);
	}
}

static void *run_loop(void *opaque)
{
	struct stage *stage = opaque;

	while (!stage->done)
		loop_run_once(stage->gpu->fm->loop, 10);
	return NULL;
}

static void test_viewer_reads_while_the_guest_does_all(void **state)
{
	struct stage stage = {.gpu = fake_gpu_create()};
	pthread_t threads[3];

	(void)state;
	fake_gpu_bring_up(stage.gpu);
	stage.gpu->is_looped = true;
	assert_int_equal(pthread_create(&threads[0], NULL, run_loop, &stage), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, watch, &stage), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, come_and_go, &stage), 0);
	play_guest(&stage);
	stage.done = true;
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(stage.torn, 0);
	fake_gpu_destroy(stage.gpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_viewer_reads_while_the_guest_does_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
