/*
 * The guest's side of virtio-gpu in a machine with a screen: sends commands, one at a time, and
 * gives the type of each answer.
 *
 * What goes wrong in here is a bug of the test and aborts it.
 *
 * Threads: one; with fake_gpu.is_looped the loop runs on another one, and answers are waited for.
 */
#pragma once

#include <linux/virtio_gpu.h>

#include "devices/backend/display.h"
#include "tests/fake/fake_virtio_driver.h"

#define FAKE_GPU_RAM (32 * MIB)

enum {
	FAKE_GPU_WIDTH = 640,
	FAKE_GPU_HEIGHT = 400,
	FAKE_GPU_QUEUES = 2,
	FAKE_GPU_ENTRIES_BYTES = 1 << 20,
};

struct fake_gpu {
	struct fake_machine *fm;
	struct display *display;
	struct device *device;
	struct fake_driver driver;
	gpa_t command, answer, entries; /* one page each, and FAKE_GPU_ENTRIES_BYTES */
	gpa_t pixels;			/* the rest of RAM from here on */
	uint32_t answer_bytes;		/* room for each; sizeof(struct virtio_gpu_resp_edid) */
	uint32_t written;		/* of the last answer */
	bool is_looped;
};

struct fake_gpu *fake_gpu_create(void);
void fake_gpu_destroy(struct fake_gpu *gpu);

/* The driver starts, with EDID. */
void fake_gpu_bring_up(struct fake_gpu *gpu);

/* Host address in guest RAM. */
void *fake_gpu_host(struct fake_gpu *gpu, gpa_t gpa, uint64_t len);

/* Any bytes as a command, followed by `more` bytes at `entries`; the type of the answer, or 0. */
uint32_t fake_gpu_send(
	struct fake_gpu *gpu, unsigned queue, const void *bytes, uint32_t len, uint32_t more);

/* The whole answer to the last command. */
const void *fake_gpu_answer(struct fake_gpu *gpu);

uint32_t fake_gpu_make(
	struct fake_gpu *gpu, uint32_t id, uint32_t format, uint32_t width, uint32_t height);
uint32_t fake_gpu_unref(struct fake_gpu *gpu, uint32_t id);

/* Says that there are `count`; `present` of them are there. */
uint32_t fake_gpu_attach_list(struct fake_gpu *gpu, uint32_t id,
	const struct virtio_gpu_mem_entry *entries, uint32_t count, uint32_t present);
uint32_t fake_gpu_attach(struct fake_gpu *gpu, uint32_t id, gpa_t gpa, uint32_t len);
uint32_t fake_gpu_detach(struct fake_gpu *gpu, uint32_t id);
uint32_t fake_gpu_transfer(
	struct fake_gpu *gpu, uint32_t id, struct virtio_gpu_rect rect, uint64_t offset);
uint32_t fake_gpu_scanout(
	struct fake_gpu *gpu, uint32_t screen, uint32_t id, struct virtio_gpu_rect rect);
uint32_t fake_gpu_flush(struct fake_gpu *gpu, uint32_t id, struct virtio_gpu_rect rect);

/* A command of the cursor queue. */
uint32_t fake_gpu_cursor(struct fake_gpu *gpu, const struct virtio_gpu_update_cursor *command);
