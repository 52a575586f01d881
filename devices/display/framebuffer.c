/*
 * A linear framebuffer: memory of its own at a fixed guest-physical address, 32 bits for a pixel,
 * rows without a gap. The guest writes to it as to any memory and without an exit; what it has
 * drawn is learned from the host's record of written pages, and only when somebody looks.
 *
 * There is no register: place and size are told to the kernel by its loader (screen_info), and
 * stay. It knows neither who looks nor how the record is kept (struct platform_ops).
 *
 * A page written means all the rows that lie in it, as a whole: at 1024 pixels one row is one page.
 * So a line of text that is drawn is the rows of that line and no others.
 *
 * The memory is the host's only as far as the guest has written to it, and zero again after a
 * reset. It is no RAM for the other devices: a transfer to or from it is refused by gmem.
 *
 * Threads: poll() is called by those who look, with the display's lock and no other. It touches
 * only what stays from realize to destroy, and the bitmap, which that lock guards.
 *
 * What the guest can do              limit                            where        test
 * write any pixel at any time        a torn frame, and the next look  poll()       writes_become_rows
 * write all of it without end        one bitmap; at most 16 areas     poll()       many_rows_are_few_areas
 * write while the machine is reset   zeroed and all damaged after it  reset()      reset_clears_all
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "devices/backend/display.h"
#include "vmm/base/util.h"
#include "vmm/core/device.h"

enum {
	PAGE_BYTES = 4096,
	BITS = 64,
};

struct framebuffer {
	struct device device;
	struct display *display; /* borrowed */
	struct display_source source;
	bool is_source;
	struct display_surface surface;
	uint64_t base, bytes; /* bytes: whole pages */
	uint8_t *memory;      /* MAP_FAILED: not there yet */
	int number;	      /* of the platform's mapping, -1: none */
	size_t words;
	uint64_t *dirty; /* a bit for each page */
};

extern const struct device_class framebuffer_class;

static struct framebuffer *from_device(struct device *device)
{
	return CONTAINER_OF(device, struct framebuffer, device);
}

/* ---- What was drawn ---- */

/* The rows that have a byte in pages [first, end). */
static void add_rows(
	const struct framebuffer *fb, uint64_t first, uint64_t end, struct display_damage *damage)
{
	uint64_t top = first * PAGE_BYTES / fb->surface.stride;
	uint64_t bottom = (end * PAGE_BYTES - 1) / fb->surface.stride;

	/* The last page may reach beyond the last row. */
	bottom = MIN(bottom, (uint64_t)fb->surface.height - 1);
	if (top > bottom)
		return;
	display_damage_add(damage,
		&(struct display_rect){.y = (uint32_t)top,
			.width = fb->surface.width,
			.height = (uint32_t)(bottom - top + 1)});
}

static bool is_dirty(const struct framebuffer *fb, uint64_t page)
{
	return fb->dirty[page / BITS] >> (page % BITS) & 1;
}

static void poll_pages(void *opaque, struct display_damage *damage)
{
	struct framebuffer *fb = opaque;
	const struct platform *platform = fb->device.platform;
	uint64_t pages = fb->bytes / PAGE_BYTES, page = 0;

	/* Fails while the machine is being reset: after that all is damaged. */
	if (platform->ops->memory_take_dirty(platform->opaque, fb->number, fb->dirty) < 0)
		return;
	while (page < pages) {
		uint64_t first = page;

		if (!fb->dirty[page / BITS]) {
			page = util_align_down(page, BITS) + BITS;
			continue;
		}
		while (page < pages && is_dirty(fb, page))
			page++;
		if (page > first)
			add_rows(fb, first, page, damage);
		else
			page++;
	}
}

static const struct display_source_ops source_ops = {.poll = poll_pages};

/* ---- Life ---- */

static int create(struct device **out, const struct device_args *args, struct err *err)
{
	struct framebuffer *fb;

	ASSERT(args->display && args->width && args->width <= DISPLAY_WIDTH_MAX && args->height &&
		args->height <= DISPLAY_HEIGHT_MAX);
	fb = calloc(1, sizeof(*fb));
	if (!fb)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&fb->device, &framebuffer_class, args);
	fb->display = args->display;
	fb->base = args->base;
	fb->surface = (struct display_surface){.width = args->width,
		.height = args->height,
		.stride = args->width * DISPLAY_PIXEL_BYTES};
	fb->bytes = util_align_up((uint64_t)fb->surface.stride * args->height, PAGE_BYTES);
	fb->words = (fb->bytes / PAGE_BYTES + BITS - 1) / BITS;
	fb->memory = MAP_FAILED;
	fb->number = -1;
	*out = &fb->device;
	return 0;
}

static int fail_memory(const struct framebuffer *fb, struct err *err)
{
	return err_set(err, EXIT_CODE_DEVICE, ENOMEM,
		"this host has no %llu KiB of memory for a screen of %ux%u pixels",
		(unsigned long long)(fb->bytes / KIB), fb->surface.width, fb->surface.height);
}

static int realize(struct device *device, struct platform *platform, struct err *err)
{
	struct framebuffer *fb = from_device(device);

	fb->dirty = calloc(fb->words, sizeof(*fb->dirty));
	if (!fb->dirty)
		return fail_memory(fb, err);
	/* A page of the host's is taken when it is first written. */
	fb->memory = mmap(NULL, fb->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fb->memory == MAP_FAILED)
		return fail_memory(fb, err);
	fb->number =
		platform->ops->memory_map(platform->opaque, fb->base, fb->memory, fb->bytes, err);
	if (fb->number < 0)
		return fb->number;
	fb->surface.pixels = fb->memory;
	fb->source =
		(struct display_source){.ops = &source_ops, .opaque = fb, .lock = &fb->device.lock};
	display_add_source(fb->display, &fb->source);
	fb->is_source = true;
	display_set_surface(&fb->source, &fb->surface);
	return 0;
}

/* Fresh pages of zeros take the place of the old ones; the mapping stays where it is. */
static void reset(struct device *device)
{
	struct framebuffer *fb = from_device(device);

	display_lock(&fb->source);
	if (madvise(fb->memory, fb->bytes, MADV_DONTNEED) < 0)
		memset(fb->memory, 0, fb->bytes);
	display_unlock(&fb->source);
	display_set_surface(&fb->source, &fb->surface);
}

static void destroy(struct device *device)
{
	struct framebuffer *fb = from_device(device);
	const struct platform *platform = device->platform;

	if (fb->is_source)
		display_remove_source(&fb->source);
	if (fb->number >= 0)
		platform->ops->memory_unmap(platform->opaque, fb->number);
	if (fb->memory != MAP_FAILED)
		munmap(fb->memory, fb->bytes);
	free(fb->dirty);
	device_finish(&fb->device);
	free(fb);
}

const struct device_class framebuffer_class = {
	.name = "framebuffer",
	.description = "linear framebuffer that the kernel prints to from its first line",
	.create = create,
	.realize = realize,
	.reset = reset,
	.destroy = destroy,
};
