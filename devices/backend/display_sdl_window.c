/*
 * See display_sdl_impl.h. The window itself: opening and closing, title, icon, cursors and notes.
 * Knows nothing of keys.
 */
#include "devices/backend/display_sdl_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CURSOR_FACTOR_MAX = 4,
	ICON_SIDE = 64,
	DOT_SIDE = 5,
};

/* ---- Notes and title ---- */

void display_sdl_note(struct display_sdl *self, const char *format, ...)
{
	char text[DISPLAY_OVERLAY_TEXT * 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	display_overlay_note(&self->overlay, util_now_ns(), "%s", text);
	self->all_dirty = true;
}

void display_sdl_show_title(struct display_sdl *self)
{
	char title[DISPLAY_SDL_NAME_MAX + 60];

	snprintf(title, sizeof(title), "%s%svmm%s%s", self->name, self->name[0] ? " \u2014 " : "",
		self->is_paused ? " [paused]" : "", self->is_grabbed ? " (Ctrl+Alt releases)" : "");
	display_sdl_lib_set_title(&self->sdl, self->window, title);
}

/* ---- Cursors ---- */

static SDL_Cursor *make_cursor(
	struct display_sdl *self, uint32_t *argb, uint32_t side_x, uint32_t side_y, int x, int y)
{
	SDL_Surface *surface = self->sdl.CreateRGBSurfaceWithFormatFrom(argb, (int)side_x,
		(int)side_y, 32, (int)side_x * DISPLAY_PIXEL_BYTES, SDL_PIXELFORMAT_ARGB8888);
	SDL_Cursor *cursor = surface ? self->sdl.CreateColorCursor(surface, x, y) : NULL;

	if (surface)
		self->sdl.FreeSurface(surface);
	return cursor;
}

/* For a guest that shows no pointer, or draws its own: marks the place and hides little. */
static SDL_Cursor *make_dot(struct display_sdl *self)
{
	uint32_t argb[DOT_SIDE * DOT_SIDE];

	for (unsigned i = 0; i < ARRAY_SIZE(argb); i++) {
		unsigned x = i % DOT_SIDE, y = i / DOT_SIDE;
		bool is_edge = !x || !y || x == DOT_SIDE - 1 || y == DOT_SIDE - 1;

		argb[i] = is_edge ? 0xffffffff : 0xff000000;
	}
	return make_cursor(self, argb, DOT_SIDE, DOT_SIDE, DOT_SIDE / 2, DOT_SIDE / 2);
}

/* As large as the picture's pixels are now. */
static SDL_Cursor *make_guest_cursor(struct display_sdl *self)
{
	const struct display_cursor *cursor = &self->cursor;
	uint32_t k = self->fit.factor ? MIN(self->fit.factor, (unsigned)CURSOR_FACTOR_MAX) : 1;
	uint32_t width = cursor->width * k, height = cursor->height * k;
	uint32_t *argb = malloc((size_t)width * height * sizeof(*argb));
	SDL_Cursor *made;

	if (!argb)
		return NULL;
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			argb[y * width + x] = cursor->argb[y / k * cursor->width + x / k];
	made = make_cursor(self, argb, width, height,
		(int)(MIN(cursor->hot_x, cursor->width - 1) * k),
		(int)(MIN(cursor->hot_y, cursor->height - 1) * k));
	free(argb);
	return made;
}

/* Who gave up waiting for the window to open has taken the input away. */
static bool takes_positions(struct display_sdl *self)
{
	bool takes;

	pthread_mutex_lock(&self->lock);
	takes = !atomic_load(&self->must_end) && self->input && input_takes_positions(self->input);
	pthread_mutex_unlock(&self->lock);
	return takes;
}

/*
 * Where the guest takes positions the host's pointer is the guest's. One that had a pointer and has
 * none now hides it, as for typing.
 */
void display_sdl_show_cursor(struct display_sdl *self)
{
	const bool is_guests = takes_positions(self);
	SDL_Cursor *before = self->guest_cursor, *now = self->arrow_cursor;

	self->guest_cursor = NULL;
	if (is_guests && self->cursor.width)
		now = self->guest_cursor = make_guest_cursor(self);
	else if (is_guests)
		now = self->dot_cursor;
	if (now)
		self->sdl.SetCursor(now);
	if (before)
		self->sdl.FreeCursor(before);
	self->sdl.ShowCursor(is_guests && !self->cursor.width && self->guest_had_cursor
			? SDL_DISABLE
			: SDL_ENABLE);
}

void display_sdl_set_grab(struct display_sdl *self, bool grab)
{
	if (grab == self->is_grabbed)
		return;
	self->is_grabbed = grab;
	self->sdl.SetRelativeMouseMode(grab ? SDL_TRUE : SDL_FALSE);
	/* The desktop's own keys too, for as long as the guest has the pointer. */
	self->sdl.SetWindowKeyboardGrab(
		self->window, grab || self->is_full_screen ? SDL_TRUE : SDL_FALSE);
	self->all_dirty = true; /* the guest's pointer has to be painted, or no more */
	display_sdl_show_title(self);
	if (!grab)
		display_sdl_show_cursor(self);
}

void display_sdl_set_visible(struct display_sdl *self, bool visible)
{
	if (visible == self->is_visible)
		return;
	self->is_visible = visible;
	self->all_dirty |= visible;
	display_set_visible(&self->viewer, visible);
}

/* ---- Opening and closing ---- */

/* A screen with a prompt on it. */
static void set_icon(struct display_sdl *self)
{
	static const char *const rows[] = {
		"................",
		".bbbbbbbbbbbbbb.",
		".bddddddddddddb.",
		".bdgddddddddddb.",
		".bddgdddddddddb.",
		".bdddgddddddddb.",
		".bddgdddddddddb.",
		".bdgddgggdddddb.",
		".bddddddddddddb.",
		".bddddddddddddb.",
		".bbbbbbbbbbbbbb.",
		"......bbbb......",
		"......bbbb......",
		"...bbbbbbbbbb...",
		"................",
		"................",
	};
	const uint32_t k = ICON_SIDE / ARRAY_SIZE(rows);
	uint32_t argb[ICON_SIDE * ICON_SIDE];
	SDL_Surface *surface;

	for (uint32_t i = 0; i < ARRAY_SIZE(argb); i++) {
		char c = rows[i / ICON_SIDE / k][i % ICON_SIDE / k];

		argb[i] = c == 'b' ? 0xff8fa3b8 : c == 'd' ? 0xff161b22 : c == 'g' ? 0xff7ee787 : 0;
	}
	surface = self->sdl.CreateRGBSurfaceWithFormatFrom(argb, ICON_SIDE, ICON_SIDE, 32,
		ICON_SIDE * DISPLAY_PIXEL_BYTES, SDL_PIXELFORMAT_ARGB8888);
	if (!surface)
		return;
	self->sdl.SetWindowIcon(self->window, surface);
	self->sdl.FreeSurface(surface);
}

static bool has_server(const char *variable)
{
	const char *value = getenv(variable);

	return value && value[0];
}

static void set_hints(const struct display_sdl_lib *sdl)
{
	/* Signals are vmm's business, and so is its end. */
	sdl->SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
	sdl->SetHint(SDL_HINT_QUIT_ON_LAST_WINDOW_CLOSE, "0");
	/* Never a console of the host's, which it would take away from others. */
	sdl->SetHint(SDL_HINT_VIDEODRIVER, has_server("DISPLAY") ? "x11" : "wayland");
	/* No graphics driver for a picture that is in memory. */
	sdl->SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
	/* The desktop goes on as if this were any other program. */
	sdl->SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
	sdl->SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
	sdl->SetHint(SDL_HINT_VIDEO_MINIMIZE_ON_FOCUS_LOSS, "0");
	sdl->SetHint(SDL_HINT_APP_NAME, "vmm");
}

static int refuse_no_desktop(struct err *err)
{
	err_set(err, EXIT_CODE_DEVICE, ENODEV,
		"can't open a window: there is no desktop here, for neither DISPLAY nor "
		"WAYLAND_DISPLAY is set");
	err_hint(err, "start vmm from a graphical session, or use --display none");
	return -ENODEV;
}

static int refuse_desktop(const struct display_sdl *self, struct err *err)
{
	err_set(err, EXIT_CODE_DEVICE, ENODEV, "can't open a window on the display %s: %s",
		getenv(has_server("DISPLAY") ? "DISPLAY" : "WAYLAND_DISPLAY"),
		self->sdl.GetError());
	err_hint(err, "see whether other programs of this user can, or use --display none");
	return -ENODEV;
}

static void ignore_events(const struct display_sdl_lib *sdl)
{
	static const uint32_t unused[] = {SDL_TEXTINPUT, SDL_TEXTEDITING, SDL_KEYMAPCHANGED,
		SDL_DROPFILE, SDL_DROPTEXT, SDL_DROPBEGIN, SDL_DROPCOMPLETE, SDL_FINGERMOTION,
		SDL_FINGERDOWN, SDL_FINGERUP, SDL_CLIPBOARDUPDATE};

	for (size_t i = 0; i < ARRAY_SIZE(unused); i++)
		sdl->EventState(unused[i], SDL_IGNORE);
	/* Else dead keys would be kept back until the next one. */
	sdl->StopTextInput();
}

static int create_window(struct display_sdl *self, struct err *err)
{
	const uint32_t flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;

	self->window = self->sdl.CreateWindow("vmm", SDL_WINDOWPOS_UNDEFINED,
		SDL_WINDOWPOS_UNDEFINED, self->asked_width, self->asked_height, flags);
	if (!self->window)
		return refuse_desktop(self, err);
	self->connection_fd = display_sdl_lib_connection(&self->sdl, self->window);
	if (self->connection_fd >= 0)
		self->hang_up_fd = fcntl(self->connection_fd, F_DUPFD_CLOEXEC, 0);
	self->sdl.GetWindowSize(self->window, &self->width, &self->height);
	self->sdl.SetWindowMinimumSize(self->window, DISPLAY_SDL_WIDTH_MIN, DISPLAY_SDL_HEIGHT_MIN);
	return 0;
}

/*
 * The picture's size, before there is a window. False: who waited for the window has gone, and
 * the display may have too.
 */
static bool look_first(struct display_sdl *self)
{
	struct display_frame frame;
	bool is_wanted;

	pthread_mutex_lock(&self->lock);
	is_wanted = !atomic_load(&self->must_end);
	if (is_wanted) {
		display_begin_frame(&self->viewer, &frame);
		display_sdl_take_frame(self, &frame);
		display_end_frame(&self->viewer);
	}
	pthread_mutex_unlock(&self->lock);
	return is_wanted;
}

int display_sdl_open_window(
	struct display_sdl *self, const struct display_sdl_config *config, struct err *err)
{
	int ret;

	self->connection_fd = -1;
	self->is_visible = true;
	self->is_smooth = config->smooth;
	if (!has_server("DISPLAY") && !has_server("WAYLAND_DISPLAY"))
		return refuse_no_desktop(err);
	set_hints(&self->sdl);
	ret = self->sdl.Init(SDL_INIT_VIDEO);
	if (ret < 0)
		return refuse_desktop(self, err);
	if (!look_first(self))
		ret = -ECANCELED;
	if (ret >= 0) {
		display_sdl_choose_size(self);
		ret = create_window(self, err);
	}
	if (ret < 0) {
		self->sdl.Quit();
		return ret;
	}
	set_icon(self);
	ignore_events(&self->sdl);
	self->arrow_cursor = self->sdl.CreateSystemCursor(SDL_SYSTEM_CURSOR_ARROW);
	self->dot_cursor = make_dot(self);
	display_sdl_show_title(self);
	display_sdl_show_cursor(self);
	self->all_dirty = true;
	if (config->full_screen)
		display_sdl_set_full_screen(self, true);
	if (!config->hide_hint)
		display_sdl_note(self, "Ctrl+Alt+H shows the keys of this window");
	return 0;
}

void display_sdl_close_window(struct display_sdl *self)
{
	SDL_Cursor *const cursors[] = {self->guest_cursor, self->dot_cursor, self->arrow_cursor};

	for (size_t i = 0; i < ARRAY_SIZE(cursors); i++)
		if (cursors[i])
			self->sdl.FreeCursor(cursors[i]);
	if (self->beside)
		self->sdl.FreeSurface(self->beside);
	self->sdl.DestroyWindow(self->window);
	self->sdl.Quit();
}
