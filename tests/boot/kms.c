/*
 * kms - runs in the guest: a screen through the kernel's mode setting, without a library.
 *
 *	kms
 *
 * Puts a picture on the screen in the preferred mode and says so, then does what each line on
 * standard input says, and answers each with a line:
 *
 *	draw N      another picture, in the buffer that is seen, told by a dirty rectangle
 *	flip N      the same in another buffer, by a page flip
 *	cursor      a cursor, at 100, 50
 *	follow      waits until the preferred mode is another one, and sets it with picture 9
 *	quit
 *
 * The picture number N is the one of picture.c. Exit status 1 with a sentence: something failed.
 */
#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/boot/picture.h"

#define CARD "/dev/dri/card0"

enum {
	CURSOR_SIDE = 64,
	FOLLOW_S = 60,
};

struct buffer {
	uint32_t handle, id, pitch, width, height;
	uint64_t bytes;
	uint8_t *pixels;
};

static int card;
static uint32_t connector, crtc;
static struct drm_mode_modeinfo mode;
static struct buffer buffers[2];
static unsigned seen;

static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	printf("kms: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The first connector and CRTC, of which this card has one each. */
static void find_screen(void)
{
	struct drm_mode_card_res counts = {.count_connectors = 1, .count_crtcs = 1};
	uint32_t connectors[1] = {0}, crtcs[1] = {0};

	counts.connector_id_ptr = (uintptr_t)connectors;
	counts.crtc_id_ptr = (uintptr_t)crtcs;
	must(ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &counts), "resources");
	connector = connectors[0];
	crtc = crtcs[0];
	printf("kms: %u connector, %u crtc\n", counts.count_connectors, counts.count_crtcs);
}

/* Sets `mode` to the preferred one. Asking for the number of modes first makes the kernel look. */
static void find_mode(void)
{
	static struct drm_mode_modeinfo modes[128];
	struct drm_mode_get_connector get = {.connector_id = connector};

	must(ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &get), "connector");
	if (get.connection != 1 || !get.count_modes || get.count_modes > 128) {
		printf("kms: connection %u, %u modes\n", get.connection, get.count_modes);
		exit(1);
	}
	get = (struct drm_mode_get_connector){.connector_id = connector,
		.count_modes = get.count_modes,
		.modes_ptr = (uintptr_t)modes};
	must(ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &get), "modes");
	mode = modes[0];
	for (unsigned i = get.count_modes; i--;)
		if (modes[i].type & DRM_MODE_TYPE_PREFERRED)
			mode = modes[i];
}

static void make_buffer(struct buffer *buffer, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb dumb = {.width = width, .height = height, .bpp = 32};
	struct drm_mode_map_dumb map = {0};

	must(ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), "buffer");
	map.handle = dumb.handle;
	must(ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map), "map");
	*buffer = (struct buffer){.handle = dumb.handle,
		.pitch = dumb.pitch,
		.bytes = dumb.size,
		.width = width,
		.height = height};
	buffer->pixels =
		mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t)map.offset);
	must(buffer->pixels == MAP_FAILED ? -1 : 0, "mmap");
}

static void make_frame(struct buffer *buffer)
{
	struct drm_mode_fb_cmd add = {.width = buffer->width,
		.height = buffer->height,
		.pitch = buffer->pitch,
		.bpp = 32,
		.depth = 24,
		.handle = buffer->handle};

	must(ioctl(card, DRM_IOCTL_MODE_ADDFB, &add), "frame buffer");
	buffer->id = add.fb_id;
}

static void drop_buffer(struct buffer *buffer)
{
	struct drm_mode_destroy_dumb destroy = {.handle = buffer->handle};

	if (!buffer->handle)
		return;
	munmap(buffer->pixels, buffer->bytes);
	must(ioctl(card, DRM_IOCTL_MODE_RMFB, &buffer->id), "frame buffer's end");
	must(ioctl(card, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy), "buffer's end");
}

static void paint(struct buffer *buffer, unsigned number)
{
	for (uint32_t y = 0; y < buffer->height; y++) {
		uint32_t *row = (uint32_t *)(void *)(buffer->pixels + (size_t)y * buffer->pitch);

		for (uint32_t x = 0; x < buffer->width; x++)
			row[x] = picture_pixel(number, x, y);
	}
}

static void set_mode(unsigned number)
{
	struct drm_mode_crtc set = {.crtc_id = crtc,
		.set_connectors_ptr = (uintptr_t)&connector,
		.count_connectors = 1,
		.mode_valid = 1,
		.mode = mode};
	struct buffer old[2];

	memcpy(old, buffers, sizeof(old));
	for (unsigned i = 0; i < 2; i++) {
		make_buffer(&buffers[i], mode.hdisplay, mode.vdisplay);
		make_frame(&buffers[i]);
	}
	seen = 0;
	paint(&buffers[0], number);
	set.fb_id = buffers[0].id;
	must(ioctl(card, DRM_IOCTL_MODE_SETCRTC, &set), "mode");
	for (unsigned i = 0; i < 2; i++)
		drop_buffer(&old[i]);
	printf("kms: mode %ux%u\n", mode.hdisplay, mode.vdisplay);
}

/* ---- What is asked for ---- */

static void draw(unsigned number)
{
	struct drm_clip_rect all = {0, 0, (uint16_t)mode.hdisplay, (uint16_t)mode.vdisplay};
	struct drm_mode_fb_dirty_cmd dirty = {
		.fb_id = buffers[seen].id, .num_clips = 1, .clips_ptr = (uintptr_t)&all};

	paint(&buffers[seen], number);
	must(ioctl(card, DRM_IOCTL_MODE_DIRTYFB, &dirty), "dirty rectangle");
	printf("kms: drawn %u\n", number);
}

static void flip(unsigned number)
{
	struct drm_mode_crtc_page_flip command = {
		.crtc_id = crtc, .flags = DRM_MODE_PAGE_FLIP_EVENT};
	struct drm_event_vblank event;

	seen = !seen;
	paint(&buffers[seen], number);
	command.fb_id = buffers[seen].id;
	must(ioctl(card, DRM_IOCTL_MODE_PAGE_FLIP, &command), "page flip");
	must(read(card, &event, sizeof(event)) == sizeof(event) ? 0 : -1, "flip event");
	printf("kms: flipped %u\n", number);
}

static void show_cursor(void)
{
	struct drm_mode_cursor2 command = {.flags = DRM_MODE_CURSOR_BO | DRM_MODE_CURSOR_MOVE,
		.crtc_id = crtc,
		.x = 100,
		.y = 50,
		.width = CURSOR_SIDE,
		.height = CURSOR_SIDE};
	struct buffer picture;

	make_buffer(&picture, CURSOR_SIDE, CURSOR_SIDE);
	memset(picture.pixels, 0xff, picture.bytes);
	command.handle = picture.handle;
	must(ioctl(card, DRM_IOCTL_MODE_CURSOR2, &command), "cursor");
	printf("kms: cursor\n");
}

static void follow(void)
{
	uint16_t width = mode.hdisplay, height = mode.vdisplay;

	for (time_t end = time(NULL) + FOLLOW_S; time(NULL) < end; usleep(100000)) {
		find_mode();
		if (mode.hdisplay != width || mode.vdisplay != height) {
			set_mode(9);
			return;
		}
	}
	printf("kms: still %ux%u\n", width, height);
}

int main(void)
{
	char line[64];
	unsigned number;

	setvbuf(stdout, NULL, _IOLBF, 0);
	card = open(CARD, O_RDWR | O_CLOEXEC);
	must(card, CARD);
	find_screen();
	find_mode();
	set_mode(1);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "draw %u", &number) == 1)
			draw(number);
		else if (sscanf(line, "flip %u", &number) == 1)
			flip(number);
		else if (!strncmp(line, "cursor", 6))
			show_cursor();
		else if (!strncmp(line, "follow", 6))
			follow();
		else if (!strncmp(line, "quit", 4))
			break;
	}
	return 0;
}
