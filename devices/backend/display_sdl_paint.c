/*
 * See display_sdl_impl.h. The picture in the window: it goes into memory that the window's server
 * reads (a shared segment, with X11), in the rectangles that have changed and no others, and the
 * server is told of these. There is no graphics driver in between: loading one takes longer than
 * all of vmm's start, and for a screen of text it would copy whole frames.
 *
 * The display's lock is held only for copying in memory, never while the server is spoken to.
 */
#include "devices/backend/display_sdl_impl.h"

#include <stdio.h>

/* ---- The window's memory ---- */

static bool has_our_pixels(const SDL_Surface *surface)
{
	return surface->format->format == SDL_PIXELFORMAT_RGB888 ||
		surface->format->format == SDL_PIXELFORMAT_ARGB8888;
}

/* Asks for it where the window has changed. False: it can't be painted now. */
static bool get_canvas(struct display_sdl *self)
{
	SDL_Surface *surface;

	if (self->canvas.pixels)
		return true;
	if (self->beside)
		self->sdl.FreeSurface(self->beside);
	self->beside = NULL;
	surface = self->surface = self->sdl.GetWindowSurface(self->window);
	if (!surface)
		return false;
	if (!has_our_pixels(surface)) {
		surface = self->beside = self->sdl.CreateRGBSurfaceWithFormat(
			0, surface->w, surface->h, 32, SDL_PIXELFORMAT_RGB888);
		if (!surface)
			return false;
	}
	self->canvas = (struct display_canvas){surface->pixels, (uint32_t)surface->w,
		(uint32_t)surface->h, (uint32_t)surface->pitch};
	if (display_sdl_refit(self))
		display_sdl_show_cursor(self);
	return true;
}

static void present(struct display_sdl *self, const struct display_damage *painted)
{
	SDL_Rect rects[DISPLAY_RECTS_MAX];
	uint64_t pixels = 0;
	int ret;

	for (unsigned i = 0; i < painted->count; i++) {
		const struct display_rect *rect = &painted->rects[i];

		rects[i] =
			(SDL_Rect){(int)rect->x, (int)rect->y, (int)rect->width, (int)rect->height};
		pixels += (uint64_t)rect->width * rect->height;
		if (self->beside)
			self->sdl.UpperBlit(self->beside, &rects[i], self->surface, &rects[i]);
	}
	ret = self->sdl.UpdateWindowSurfaceRects(self->window, rects, (int)painted->count);
	if (ret < 0) {
		/* The window has another size since then. */
		self->canvas.pixels = NULL;
		self->all_dirty = true;
		return;
	}
	atomic_fetch_add(&self->frames, 1);
	atomic_fetch_add(&self->bytes, pixels * DISPLAY_PIXEL_BYTES);
}

/* ---- Painting ---- */

/*
 * Where the guest's pointer is painted: only where the host's own is not in its place. It may hang
 * over the edge.
 */
struct sprite {
	bool is_seen;
	int64_t x, y;
	uint32_t factor;
};

static struct sprite find_sprite(const struct display_sdl *self)
{
	const struct display_rect *area = &self->fit.area;
	struct sprite sprite = {.factor = MAX(self->fit.factor, 1u)};

	sprite.is_seen = self->is_grabbed && self->cursor.width && self->fit.picture_width;
	if (!sprite.is_seen)
		return sprite;
	/* The guest has taken the hot spot off already. */
	sprite.x = area->x + (int64_t)self->cursor_x * area->width / self->fit.picture_width;
	sprite.y = area->y + (int64_t)self->cursor_y * area->height / self->fit.picture_height;
	return sprite;
}

static struct display_rect sprite_rect(const struct display_sdl *self, const struct sprite *sprite)
{
	const struct display_canvas *canvas = &self->canvas;
	int64_t left = MAX(sprite->x, INT64_C(0)), top = MAX(sprite->y, INT64_C(0));
	int64_t right = MIN(
		sprite->x + (int64_t)self->cursor.width * sprite->factor, (int64_t)canvas->width);
	int64_t bottom = MIN(
		sprite->y + (int64_t)self->cursor.height * sprite->factor, (int64_t)canvas->height);

	if (!sprite->is_seen || left >= right || top >= bottom)
		return (struct display_rect){0};
	return (struct display_rect){
		(uint32_t)left, (uint32_t)top, (uint32_t)(right - left), (uint32_t)(bottom - top)};
}

/* `argb` is premultiplied. */
static uint32_t blend(uint32_t below, uint32_t argb)
{
	uint32_t rest = 255 - (argb >> 24), mixed = 0;

	for (unsigned shift = 0; shift < 24; shift += 8) {
		uint32_t channel =
			(argb >> shift & 0xff) + ((below >> shift & 0xff) * rest + 127) / 255;

		mixed |= MIN(channel, 255u) << shift;
	}
	return mixed;
}

static void paint_sprite(struct display_sdl *self, const struct sprite *sprite)
{
	const struct display_rect *rect = &self->sprite_rect;

	for (uint32_t y = rect->y; y < rect->y + rect->height; y++) {
		uint32_t *row =
			(uint32_t *)(void *)(self->canvas.pixels + (size_t)y * self->canvas.stride);
		size_t from = (size_t)((y - sprite->y) / sprite->factor) * self->cursor.width;

		for (uint32_t x = rect->x; x < rect->x + rect->width; x++)
			row[x] = blend(row[x],
				self->cursor
					.argb[from + (size_t)((x - sprite->x) / sprite->factor)]);
	}
}

static bool touches(const struct display_damage *damage, const struct display_rect *rect)
{
	for (unsigned i = 0; i < damage->count; i++)
		if (display_scale_common(&damage->rects[i], rect).width)
			return true;
	return false;
}

/* The pointer is mixed with what is below it, which has to be painted anew each time. */
static void add_sprite(struct display_sdl *self, const struct sprite *sprite, bool is_new)
{
	const struct display_rect before = self->sprite_rect;

	self->sprite_rect = sprite_rect(self, sprite);
	if (before.width && (is_new || memcmp(&before, &self->sprite_rect, sizeof(before))))
		display_damage_add(&self->dirty, &before);
	if (self->sprite_rect.width &&
		(is_new || memcmp(&before, &self->sprite_rect, sizeof(before)) ||
			touches(&self->dirty, &self->sprite_rect)))
		display_damage_add(&self->dirty, &self->sprite_rect);
}

static void collect_dirty(
	struct display_sdl *self, const struct display_frame *frame, const struct sprite *sprite)
{
	const struct display_rect all = {0, 0, self->canvas.width, self->canvas.height};

	if (self->all_dirty) {
		self->all_dirty = false;
		self->sprite_rect = sprite_rect(self, sprite);
		self->dirty = (struct display_damage){.rects = {all}, .count = 1};
		return;
	}
	for (unsigned i = 0; i < frame->damage.count; i++) {
		struct display_rect rect = display_scale_rect(&self->fit, &frame->damage.rects[i]);

		if (rect.width)
			display_damage_add(&self->dirty, &rect);
	}
	add_sprite(self, sprite, frame->cursor_changed);
}

static void paint(struct display_sdl *self, const struct display_frame *frame)
{
	const struct sprite sprite = find_sprite(self);
	struct display_rect panels[DISPLAY_OVERLAY_RECTS];
	unsigned count;

	collect_dirty(self, frame, &sprite);
	for (unsigned i = 0; i < self->dirty.count; i++)
		display_scale_paint(
			&self->fit, &frame->surface, &self->canvas, &self->dirty.rects[i]);
	if (touches(&self->dirty, &self->sprite_rect))
		paint_sprite(self, &sprite);
	count = display_overlay_rects(
		&self->overlay, self->canvas.width, self->canvas.height, panels);
	for (unsigned i = 0; i < count; i++)
		if (touches(&self->dirty, &panels[i])) {
			display_overlay_draw(&self->overlay, &self->canvas);
			break;
		}
}

/* ---- Looking ---- */

/* What is new beside the picture. True: the guest's picture has another size. */
bool display_sdl_take_frame(struct display_sdl *self, const struct display_frame *frame)
{
	const struct display_surface *surface = &frame->surface;
	uint32_t width = surface->pixels ? surface->width : 0;
	uint32_t height = surface->pixels ? surface->height : 0;
	bool is_other = width != self->guest_width || height != self->guest_height;

	if (frame->state_changed) {
		snprintf(self->name, sizeof(self->name), "%s", frame->name ? frame->name : "");
		self->is_paused = frame->paused;
	}
	if (frame->cursor_changed) {
		self->cursor = *frame->cursor;
		self->guest_had_cursor |= self->cursor.width > 0;
	}
	self->cursor_x = frame->cursor_x;
	self->cursor_y = frame->cursor_y;
	self->guest_width = width;
	self->guest_height = height;
	return is_other;
}

/* Anything here speaks to the server, and so comes after the display's lock. */
static void show_rest(struct display_sdl *self, bool title, bool cursor, bool size)
{
	if (title)
		display_sdl_show_title(self);
	if (cursor)
		display_sdl_show_cursor(self);
	if (size && self->guest_width && !self->is_resized && !self->is_full_screen)
		display_sdl_follow_guest(self);
}

bool display_sdl_look(struct display_sdl *self)
{
	struct display_frame frame;
	bool is_other_size, title, cursor, is_painted, had_canvas = self->canvas.pixels;

	atomic_fetch_add(&self->looks, 1);
	self->last_look_ns = util_now_ns();
	if (!get_canvas(self))
		return true;
	atomic_store(&self->is_woken, false);
	display_begin_frame(&self->viewer, &frame);
	title = frame.state_changed;
	cursor = frame.cursor_changed;
	is_other_size = display_sdl_take_frame(self, &frame);
	/* Another source may be of the same size and all of it damaged. */
	if (is_other_size)
		cursor |= display_sdl_refit(self);
	paint(self, &frame);
	is_painted = self->dirty.count > 0;
	display_end_frame(&self->viewer);
	if (is_painted) {
		const struct display_damage painted = self->dirty;

		self->dirty.count = 0;
		present(self, &painted);
	}
	show_rest(self, title, cursor, is_other_size);
	return !had_canvas || is_painted || title || cursor || is_other_size;
}

uint64_t display_sdl_next_look_ns(struct display_sdl *self)
{
	uint64_t poll_ns;

	if (!self->is_visible)
		return UINT64_MAX;
	if (self->all_dirty || atomic_load(&self->is_woken))
		return self->last_look_ns + DISPLAY_FRAME_NS;
	poll_ns = display_poll_ns(self->display);
	return poll_ns == UINT64_MAX ? poll_ns : self->last_look_ns + poll_ns;
}
