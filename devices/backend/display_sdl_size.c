/*
 * See display_sdl_impl.h. The window's size, and the guest's: the window follows the guest until a
 * person has chosen a size for it; then the guest is told how much room there is.
 */
#include "devices/backend/display_sdl_impl.h"

enum {
	ZOOM_MAX = 8,
	NORMAL_DPI = 96,
};

/* A person who pulls at the window's edge is not done yet. */
#define TELL_DELAY_NS UINT64_C(250000000)

bool display_sdl_refit(struct display_sdl *self)
{
	const unsigned factor = self->fit.factor;

	self->fit = display_scale_fit(self->guest_width, self->guest_height, self->canvas.width,
		self->canvas.height, self->is_smooth);
	self->all_dirty = true;
	return self->fit.factor != factor && self->cursor.width;
}

/* The room that the desktop has for a window's inside, in the window's units; false: unknown. */
static bool find_room(struct display_sdl *self, int *width, int *height)
{
	int top = 0, left = 0, bottom = 0, right = 0, index = 0;
	SDL_Rect room;

	if (self->window) {
		index = self->sdl.GetWindowDisplayIndex(self->window);
		self->sdl.GetWindowBordersSize(self->window, &top, &left, &bottom, &right);
	}
	if (self->sdl.GetDisplayUsableBounds(MAX(index, 0), &room) < 0)
		return false;
	*width = room.w - left - right;
	*height = room.h - top - bottom;
	return *width > 0 && *height > 0;
}

/* Units of the window for pixels of it: they differ where the desktop enlarges programs. */
static int to_units(const struct display_sdl *self, uint32_t pixels)
{
	if (!self->canvas.width || !self->width)
		return (int)pixels;
	return (int)((uint64_t)pixels * (unsigned)self->width / self->canvas.width);
}

static bool has_room(struct display_sdl *self, unsigned zoom)
{
	int width, height;

	return !find_room(self, &width, &height) ||
		(to_units(self, self->guest_width * zoom) <= width &&
			to_units(self, self->guest_height * zoom) <= height);
}

/* In full, or as large as the desktop has room for. */
static void fit_into_room(struct display_sdl *self, int *width, int *height)
{
	int room_width, room_height;

	*width = to_units(
		self, (self->guest_width ? self->guest_width : DISPLAY_WIDTH_DEFAULT) * self->zoom);
	*height = to_units(self,
		(self->guest_height ? self->guest_height : DISPLAY_HEIGHT_DEFAULT) * self->zoom);
	if (!find_room(self, &room_width, &room_height) ||
		(*width <= room_width && *height <= room_height))
		return;
	if ((int64_t)*width * room_height > (int64_t)*height * room_width) {
		*height = (int)((int64_t)*height * room_width / *width);
		*width = room_width;
	} else {
		*width = (int)((int64_t)*width * room_height / *height);
		*height = room_height;
	}
}

/* The size for the guest's picture. What the window can't be it must not be asked to be. */
static void wanted_size(struct display_sdl *self, int *width, int *height)
{
	fit_into_room(self, width, height);
	*width = MAX(*width, DISPLAY_SDL_WIDTH_MIN);
	*height = MAX(*height, DISPLAY_SDL_HEIGHT_MIN);
}

void display_sdl_follow_guest(struct display_sdl *self)
{
	while (self->zoom > 1 && !has_room(self, self->zoom))
		self->zoom--;
	wanted_size(self, &self->asked_width, &self->asked_height);
	self->sdl.SetWindowSize(self->window, self->asked_width, self->asked_height);
	display_sdl_handle_size(self);
}

void display_sdl_handle_size(struct display_sdl *self)
{
	int width, height;

	self->sdl.GetWindowSize(self->window, &width, &height);
	if (!self->is_full_screen && (width != self->width || height != self->height) &&
		(width != self->asked_width || height != self->asked_height))
		self->is_resized = true;
	self->width = width;
	self->height = height;
	self->canvas.pixels = NULL;
	self->all_dirty = true;
	self->tell_ns = util_now_ns() + TELL_DELAY_NS;
}

static uint32_t clamp_side(uint32_t side, uint32_t min, uint32_t max)
{
	return side < min ? min : side > max ? max : side;
}

void display_sdl_tell_size(struct display_sdl *self, uint64_t now_ns)
{
	uint32_t width, height;

	if (!self->tell_ns || now_ns < self->tell_ns || !self->canvas.pixels)
		return;
	self->tell_ns = 0;
	width = clamp_side(self->canvas.width / self->zoom, DISPLAY_WIDTH_MIN, DISPLAY_WIDTH_MAX);
	height = clamp_side(
		self->canvas.height / self->zoom, DISPLAY_HEIGHT_MIN, DISPLAY_HEIGHT_MAX);
	if (width == self->told_width && height == self->told_height)
		return;
	self->told_width = width;
	self->told_height = height;
	display_request_size(self->display, width, height);
}

void display_sdl_set_zoom(struct display_sdl *self, unsigned zoom)
{
	if (self->is_full_screen)
		display_sdl_note(self, "Full screen: Ctrl+Alt+F leaves it");
	else if (zoom < 1)
		display_sdl_note(self, "The window shows each pixel of the guest once already");
	else if (zoom > ZOOM_MAX || (zoom > self->zoom && !has_room(self, zoom)))
		display_sdl_note(self, "There is no room for a larger window");
	else {
		self->zoom = zoom;
		self->is_resized = false;
		display_sdl_follow_guest(self);
	}
}

void display_sdl_set_full_screen(struct display_sdl *self, bool full_screen)
{
	self->is_full_screen = full_screen;
	if (self->sdl.SetWindowFullscreen(
		    self->window, full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0) < 0) {
		self->is_full_screen = !full_screen;
		display_sdl_note(self, "The desktop allows no change of full screen");
		return;
	}
	self->sdl.SetWindowKeyboardGrab(
		self->window, full_screen || self->is_grabbed ? SDL_TRUE : SDL_FALSE);
	display_sdl_handle_size(self);
	if (full_screen)
		display_sdl_note(self, "Ctrl+Alt+F leaves full screen");
}

void display_sdl_set_smooth(struct display_sdl *self, bool smooth)
{
	self->is_smooth = smooth;
	if (display_sdl_refit(self))
		display_sdl_show_cursor(self);
	display_sdl_note(self,
		smooth ? "Smooth: the picture fills the window"
		       : "Sharp: pixels are enlarged by whole numbers");
}

void display_sdl_map(
	const struct display_sdl *self, int x, int y, int32_t *picture_x, int32_t *picture_y)
{
	int64_t pixel_x = x, pixel_y = y;

	if (self->width > 0 && self->height > 0 && self->canvas.width) {
		pixel_x = pixel_x * self->canvas.width / self->width;
		pixel_y = pixel_y * self->canvas.height / self->height;
	}
	display_scale_point(&self->fit, (int32_t)pixel_x, (int32_t)pixel_y, picture_x, picture_y);
}

/* The guest's size now, and as many pixels for each of its own as suit a fine screen. */
void display_sdl_choose_size(struct display_sdl *self)
{
	float dpi = 0;

	self->told_width = self->guest_width;
	self->told_height = self->guest_height;
	self->zoom = 1;
	if (self->sdl.GetDisplayDPI(0, NULL, &dpi, NULL) == 0 && dpi >= 2 * NORMAL_DPI)
		self->zoom = MIN((unsigned)dpi / NORMAL_DPI, (unsigned)ZOOM_MAX);
	while (self->zoom > 1 && !has_room(self, self->zoom))
		self->zoom--;
	wanted_size(self, &self->asked_width, &self->asked_height);
}
