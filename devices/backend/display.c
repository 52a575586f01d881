/*
 * See display.h: the hub between those who draw and those who show. Knows neither a device nor a
 * window, and no pixel but in display_copy_image().
 *
 * Which source is on the screen follows from one number for each: the count of drawings at its
 * last one that counts (takes_over). A source that has to be looked at is found to have drawn only
 * when somebody looks, so before another takes the screen from it that look is taken.
 *
 * Threads: one mutex guards the lists, the sources' private parts and the viewers'. It is held
 * from display_begin_frame() to display_end_frame(). Owners and resize() are called on the loop's
 * thread without it, by tasks; two atomic values let display_poll_ns() do without.
 */
#include "devices/backend/display.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	NAME_BYTES = 72,
	/* Of a picture's height: a text cursor has less, a screen of text or its scrolling more. */
	TAKE_OVER_PART = 8,
};

struct display {
	struct loop *loop;
	pthread_mutex_t mutex;
	struct display_source *sources;
	struct display_viewer *viewers;
	struct display_source *seen; /* or NULL: no source has a picture */
	uint64_t drawings;
	uint64_t polled_ns; /* when sources were looked at last */
	char name[NAME_BYTES];
	bool paused;

	void (*request)(void *opaque, enum display_request request);
	void *opaque;
	unsigned requests; /* mask of 1 << enum display_request */
	struct loop_task request_task;
	uint32_t wanted_width, wanted_height;
	struct loop_task size_task;

	_Atomic uint64_t changed_ns;
	_Atomic bool needs_polling;
};

/* Never written, and not const: zeroes that the program's file need not hold. */
static struct display_cursor no_cursor;

/* ---- Rectangles ---- */

/* The part of `rect` that lies in a picture of that size; false when there is none. */
static bool clip(struct display_rect *rect, uint32_t width, uint32_t height)
{
	if (rect->x >= width || rect->y >= height || !rect->width || !rect->height)
		return false;
	rect->width = MIN(rect->width, width - rect->x);
	rect->height = MIN(rect->height, height - rect->y);
	return true;
}

static uint64_t area(const struct display_rect *rect)
{
	return (uint64_t)rect->width * rect->height;
}

static struct display_rect around(const struct display_rect *a, const struct display_rect *b)
{
	uint32_t x = MIN(a->x, b->x), y = MIN(a->y, b->y);

	return (struct display_rect){
		.x = x,
		.y = y,
		.width = MAX(a->x + a->width, b->x + b->width) - x,
		.height = MAX(a->y + a->height, b->y + b->height) - y,
	};
}

/* Pixels that neither has and the one around both would. Negative: they overlap by more. */
static int64_t waste(const struct display_rect *a, const struct display_rect *b)
{
	struct display_rect both = around(a, b);

	return (int64_t)area(&both) - (int64_t)(area(a) + area(b));
}

static void remove_rect(struct display_damage *damage, unsigned index)
{
	damage->rects[index] = damage->rects[--damage->count];
}

/* Of those that are there the two that lose least together become one. */
static void join_nearest(struct display_damage *damage)
{
	unsigned first = 0, second = 1;
	int64_t least = INT64_MAX;

	for (unsigned i = 0; i < damage->count; i++) {
		for (unsigned j = i + 1; j < damage->count; j++) {
			int64_t lost = waste(&damage->rects[i], &damage->rects[j]);

			if (lost >= least)
				continue;
			least = lost;
			first = i;
			second = j;
		}
	}
	damage->rects[first] = around(&damage->rects[first], &damage->rects[second]);
	remove_rect(damage, second);
}

void display_damage_add(struct display_damage *damage, const struct display_rect *rect)
{
	struct display_rect new = *rect;
	unsigned i = 0;

	if (!clip(&new, DISPLAY_WIDTH_MAX, DISPLAY_HEIGHT_MAX))
		return;
	/* What costs nothing to join is joined; the result may reach those passed already. */
	while (i < damage->count) {
		if (waste(&damage->rects[i], &new) > 0) {
			i++;
			continue;
		}
		new = around(&damage->rects[i], &new);
		remove_rect(damage, i);
		i = 0;
	}
	if (damage->count == DISPLAY_RECTS_MAX)
		join_nearest(damage);
	damage->rects[damage->count++] = new;
}

/* ---- What viewers hear ---- */

static void wake(struct display_viewer *viewer)
{
	if (!viewer->visible || viewer->woken)
		return;
	viewer->woken = true;
	viewer->wake(viewer->opaque);
}

static void damage_all(struct display *display, struct display_viewer *viewer)
{
	const struct display_source *seen = display->seen;

	viewer->damage.count = 0;
	if (seen)
		display_damage_add(&viewer->damage,
			&(struct display_rect){
				.width = seen->surface.width, .height = seen->surface.height});
}

/* Another picture, or another size of it. */
static void change_surface(struct display *display)
{
	for (struct display_viewer *v = display->viewers; v; v = v->next) {
		v->surface_changed = v->cursor_changed = true;
		damage_all(display, v);
		wake(v);
	}
}

static void note_change(struct display *display)
{
	atomic_store_explicit(&display->changed_ns, util_now_ns(), memory_order_relaxed);
}

/* ---- Which source is seen ---- */

static void choose_source(struct display *display)
{
	struct display_source *best = NULL;
	bool needs_polling = false;

	for (struct display_source *s = display->sources; s; s = s->next) {
		if (!s->surface.pixels)
			continue;
		needs_polling |= s->ops->poll != NULL;
		if (!best || s->drawn > best->drawn)
			best = s;
	}
	atomic_store_explicit(&display->needs_polling, needs_polling, memory_order_relaxed);
	if (best == display->seen)
		return;
	display->seen = best;
	change_surface(display);
}

/* May it take the screen, if another has it, with what it has drawn now? */
static bool takes_over(struct display_source *source, const struct display_rect *rect)
{
	const struct display_source *seen = source->display->seen;

	if (!seen || seen == source || !source->ops->poll)
		return true;
	source->unseen = source->unseen.height ? around(&source->unseen, rect) : *rect;
	return source->unseen.height > source->surface.height / TAKE_OVER_PART;
}

/* What others had drawn until now was too little to be seen. */
static void forget_unseen(struct display *display)
{
	for (struct display_source *s = display->sources; s; s = s->next)
		s->unseen.height = 0;
}

/* The source has drawn: it is seen from now on, and so is the damage. */
static void show_damage(struct display_source *source, const struct display_damage *damage)
{
	struct display *display = source->display;
	bool any = false;

	for (unsigned i = 0; i < damage->count; i++) {
		struct display_rect rect = damage->rects[i];

		if (!clip(&rect, source->surface.width, source->surface.height))
			continue;
		any |= takes_over(source, &rect);
		/* For one that is hidden everything will be damaged. */
		for (struct display_viewer *v = display->viewers; v; v = v->next)
			if (v->visible && source == display->seen)
				display_damage_add(&v->damage, &rect);
	}
	if (!any)
		return;
	note_change(display);
	source->drawn = ++display->drawings;
	forget_unseen(display);
	choose_source(display);
	for (struct display_viewer *v = display->viewers; v; v = v->next)
		wake(v);
}

static void poll_sources(struct display *display)
{
	display->polled_ns = util_now_ns();
	for (struct display_source *s = display->sources; s; s = s->next) {
		struct display_damage damage = {.count = 0};

		if (!s->surface.pixels || !s->ops->poll)
			continue;
		s->ops->poll(s->opaque, &damage);
		show_damage(s, &damage);
	}
}

/*
 * A source draws. What those that must be looked at have drawn before it is credited to them now,
 * or they would seem to have drawn after it. While it draws on, this is done now and then only.
 */
static void poll_others(const struct display_source *source)
{
	struct display *display = source->display;

	if (source->ops->poll)
		return;
	if (display->seen != source || util_now_ns() - display->polled_ns > DISPLAY_IDLE_NS)
		poll_sources(display);
}

/* ---- Sources ---- */

void display_add_source(struct display *display, struct display_source *source)
{
	source->display = display;
	source->surface = (struct display_surface){.pixels = NULL};
	source->drawn = 0;
	source->unseen.height = 0;
	source->cursor = no_cursor;
	source->cursor_x = source->cursor_y = 0;
	pthread_mutex_lock(&display->mutex);
	source->next = display->sources;
	display->sources = source;
	pthread_mutex_unlock(&display->mutex);
}

void display_remove_source(struct display_source *source)
{
	struct display *display = source->display;
	struct display_source **link = &display->sources;

	pthread_mutex_lock(&display->mutex);
	while (*link != source)
		link = &(*link)->next;
	*link = source->next;
	source->surface.pixels = NULL;
	choose_source(display);
	pthread_mutex_unlock(&display->mutex);
	source->display = NULL;
}

void display_set_surface(struct display_source *source, const struct display_surface *surface)
{
	struct display *display = source->display;
	struct display_surface old;
	const struct display_surface none = {.pixels = NULL};
	struct display_damage all = {.count = 1};

	if (!surface || !surface->pixels)
		surface = &none;
	ASSERT(!surface->pixels ||
		(surface->width && surface->width <= DISPLAY_WIDTH_MAX && surface->height &&
			surface->height <= DISPLAY_HEIGHT_MAX &&
			surface->stride >= surface->width * DISPLAY_PIXEL_BYTES));
	all.rects[0] = (struct display_rect){.width = surface->width, .height = surface->height};
	pthread_mutex_lock(&display->mutex);
	old = source->surface;
	if (surface->pixels)
		poll_others(source);
	source->surface = *surface;
	if (display->seen == source && surface->pixels &&
		(old.width != surface->width || old.height != surface->height))
		change_surface(display);
	if (surface->pixels)
		show_damage(source, &all);
	choose_source(display);
	pthread_mutex_unlock(&display->mutex);
}

void display_add_damage(struct display_source *source, const struct display_rect *rect)
{
	struct display_damage damage = {.rects = {*rect}, .count = 1};

	pthread_mutex_lock(&source->display->mutex);
	if (source->surface.pixels) {
		poll_others(source);
		show_damage(source, &damage);
	}
	pthread_mutex_unlock(&source->display->mutex);
}

void display_lock(struct display_source *source)
{
	pthread_mutex_lock(&source->display->mutex);
}

void display_unlock(struct display_source *source)
{
	pthread_mutex_unlock(&source->display->mutex);
}

void display_set_cursor(struct display_source *source, const struct display_cursor *cursor)
{
	struct display *display = source->display;

	ASSERT(cursor->width <= DISPLAY_CURSOR_SIDE && cursor->height <= DISPLAY_CURSOR_SIDE);
	pthread_mutex_lock(&display->mutex);
	source->cursor = *cursor;
	for (struct display_viewer *v = display->viewers; v && source == display->seen;
		v = v->next) {
		v->cursor_changed = true;
		wake(v);
	}
	pthread_mutex_unlock(&display->mutex);
}

void display_move_cursor(struct display_source *source, int32_t x, int32_t y)
{
	struct display *display = source->display;

	pthread_mutex_lock(&display->mutex);
	/* Where nothing of it is seen one place is as good as another, and sums stay small. */
	source->cursor_x = MAX(MIN(x, (int32_t)DISPLAY_WIDTH_MAX), -(int32_t)DISPLAY_CURSOR_SIDE);
	source->cursor_y = MAX(MIN(y, (int32_t)DISPLAY_HEIGHT_MAX), -(int32_t)DISPLAY_CURSOR_SIDE);
	for (struct display_viewer *v = display->viewers; v && source == display->seen; v = v->next)
		wake(v);
	pthread_mutex_unlock(&display->mutex);
}

/* ---- Viewers ---- */

/* Nothing of what it may know holds any more. */
static void refresh(struct display *display, struct display_viewer *viewer)
{
	viewer->surface_changed = viewer->cursor_changed = viewer->state_changed = true;
	damage_all(display, viewer);
	wake(viewer);
}

void display_add_viewer(struct display *display, struct display_viewer *viewer)
{
	viewer->display = display;
	viewer->visible = true;
	viewer->woken = false;
	pthread_mutex_lock(&display->mutex);
	viewer->next = display->viewers;
	display->viewers = viewer;
	refresh(display, viewer);
	pthread_mutex_unlock(&display->mutex);
}

void display_remove_viewer(struct display_viewer *viewer)
{
	struct display *display = viewer->display;
	struct display_viewer **link = &display->viewers;

	pthread_mutex_lock(&display->mutex);
	while (*link != viewer)
		link = &(*link)->next;
	*link = viewer->next;
	pthread_mutex_unlock(&display->mutex);
	viewer->display = NULL;
}

void display_set_visible(struct display_viewer *viewer, bool visible)
{
	struct display *display = viewer->display;

	pthread_mutex_lock(&display->mutex);
	if (visible != viewer->visible) {
		viewer->visible = visible;
		viewer->woken = false;
		note_change(display);
		refresh(display, viewer);
	}
	pthread_mutex_unlock(&display->mutex);
}

void display_begin_frame(struct display_viewer *viewer, struct display_frame *frame)
{
	struct display *display = viewer->display;
	const struct display_source *seen;

	pthread_mutex_lock(&display->mutex);
	/* It is looking already: what the poll finds needs no waking. */
	viewer->woken = true;
	if (viewer->visible)
		poll_sources(display);
	viewer->woken = false;
	seen = display->seen;
	*frame = (struct display_frame){
		.surface_changed = viewer->surface_changed,
		.damage = viewer->damage,
		.cursor = &no_cursor,
		.cursor_changed = viewer->cursor_changed,
		.state_changed = viewer->state_changed,
		.name = display->name,
		.paused = display->paused,
	};
	if (seen) {
		frame->surface = seen->surface;
		frame->cursor = &seen->cursor;
		frame->cursor_x = seen->cursor_x;
		frame->cursor_y = seen->cursor_y;
	}
	viewer->damage.count = 0;
	viewer->surface_changed = viewer->cursor_changed = viewer->state_changed = false;
}

void display_end_frame(struct display_viewer *viewer)
{
	pthread_mutex_unlock(&viewer->display->mutex);
}

/* A quarter of the time since the last change, so that a blinking cursor keeps nothing awake. */
uint64_t display_poll_ns(const struct display *display)
{
	uint64_t changed_ns = atomic_load_explicit(&display->changed_ns, memory_order_relaxed);
	uint64_t now_ns = util_now_ns(), still_ns = now_ns > changed_ns ? now_ns - changed_ns : 0;

	if (!atomic_load_explicit(&display->needs_polling, memory_order_relaxed))
		return UINT64_MAX;
	return MIN(MAX(still_ns / 4, DISPLAY_FRAME_NS), DISPLAY_IDLE_NS);
}

void display_expect_change(struct display *display)
{
	note_change(display);
}

/* ---- What is asked for ---- */

static void pass_requests(void *opaque)
{
	struct display *display = opaque;
	unsigned requests;

	pthread_mutex_lock(&display->mutex);
	requests = display->requests;
	display->requests = 0;
	pthread_mutex_unlock(&display->mutex);
	for (unsigned i = 0; requests >> i; i++)
		if (requests >> i & 1 && display->request)
			display->request(display->opaque, (enum display_request)i);
}

static void pass_size(void *opaque)
{
	struct display *display = opaque;
	uint32_t width, height;

	pthread_mutex_lock(&display->mutex);
	width = display->wanted_width;
	height = display->wanted_height;
	pthread_mutex_unlock(&display->mutex);
	/* Sources come and go on this thread only. */
	for (struct display_source *s = display->sources; s; s = s->next) {
		if (!s->ops->resize)
			continue;
		pthread_mutex_lock(s->lock);
		s->ops->resize(s->opaque, width, height);
		pthread_mutex_unlock(s->lock);
	}
}

void display_request(struct display *display, enum display_request request)
{
	pthread_mutex_lock(&display->mutex);
	display->requests |= 1u << request;
	pthread_mutex_unlock(&display->mutex);
	loop_post(display->loop, &display->request_task);
}

void display_request_size(struct display *display, uint32_t width, uint32_t height)
{
	pthread_mutex_lock(&display->mutex);
	display->wanted_width =
		MIN(MAX(width, (uint32_t)DISPLAY_WIDTH_MIN), (uint32_t)DISPLAY_WIDTH_MAX);
	display->wanted_height =
		MIN(MAX(height, (uint32_t)DISPLAY_HEIGHT_MIN), (uint32_t)DISPLAY_HEIGHT_MAX);
	pthread_mutex_unlock(&display->mutex);
	loop_post(display->loop, &display->size_task);
}

void display_set_owner(struct display *display,
	void (*request)(void *opaque, enum display_request request), void *opaque)
{
	display->request = request;
	display->opaque = opaque;
}

/* ---- Name and state ---- */

static void change_state(struct display *display)
{
	for (struct display_viewer *v = display->viewers; v; v = v->next) {
		v->state_changed = true;
		wake(v);
	}
}

void display_set_name(struct display *display, const char *name)
{
	pthread_mutex_lock(&display->mutex);
	snprintf(display->name, sizeof(display->name), "%s", name);
	change_state(display);
	pthread_mutex_unlock(&display->mutex);
}

void display_set_paused(struct display *display, bool paused)
{
	pthread_mutex_lock(&display->mutex);
	if (display->paused != paused) {
		display->paused = paused;
		change_state(display);
	}
	pthread_mutex_unlock(&display->mutex);
}

/* ---- One picture ---- */

static int copy_surface(const struct display_surface *surface, struct display_image *image)
{
	size_t row = (size_t)surface->width * DISPLAY_PIXEL_BYTES;

	image->width = surface->width;
	image->height = surface->height;
	image->xrgb = malloc(row * surface->height);
	if (!image->xrgb)
		return -ENOMEM;
	for (uint32_t y = 0; y < surface->height; y++)
		memcpy(image->xrgb + (size_t)y * surface->width,
			surface->pixels + (size_t)y * surface->stride, row);
	return 0;
}

int display_copy_image(struct display *display, struct display_image *image)
{
	int ret = -ENODATA;

	*image = (struct display_image){.xrgb = NULL};
	pthread_mutex_lock(&display->mutex);
	poll_sources(display);
	if (display->seen)
		ret = copy_surface(&display->seen->surface, image);
	pthread_mutex_unlock(&display->mutex);
	return ret;
}

void display_image_finish(struct display_image *image)
{
	free(image->xrgb);
	image->xrgb = NULL;
}

bool display_find_size(struct display *display, uint32_t *width, uint32_t *height)
{
	bool is_there;

	pthread_mutex_lock(&display->mutex);
	poll_sources(display);
	is_there = display->seen;
	if (is_there) {
		*width = display->seen->surface.width;
		*height = display->seen->surface.height;
	}
	pthread_mutex_unlock(&display->mutex);
	return is_there;
}

/* ---- Life ---- */

int display_create(struct display **out, struct loop *loop, struct err *err)
{
	struct display *display = calloc(1, sizeof(*display));

	if (!display)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the screen");
	display->loop = loop;
	pthread_mutex_init(&display->mutex, NULL);
	display->request_task = (struct loop_task){.fn = pass_requests, .opaque = display};
	display->size_task = (struct loop_task){.fn = pass_size, .opaque = display};
	*out = display;
	return 0;
}

void display_destroy(struct display *display)
{
	if (!display)
		return;
	ASSERT(!display->sources && !display->viewers);
	loop_unpost(display->loop, &display->request_task);
	loop_unpost(display->loop, &display->size_task);
	pthread_mutex_destroy(&display->mutex);
	free(display);
}
