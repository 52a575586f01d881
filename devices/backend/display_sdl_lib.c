/*
 * See display_sdl_lib.h. The only file that loads SDL, and that knows which window system is below
 * it. Knows nothing of displays or guests.
 *
 * Libraries of the window system are the ones that SDL has loaded or will load at once.
 */
#include "devices/backend/display_sdl_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <SDL2/SDL_syswm.h>

#include "devices/backend/display_sdl.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

#define SDL_LIBRARY	"libSDL2-2.0.so.0"
#define X11_LIBRARY	"libX11.so.6"
#define WAYLAND_LIBRARY "libwayland-client.so.0"

/* The first with a wheel that moves by less than a notch. */
#define SDL_OLDEST SDL_VERSIONNUM(2, 0, 18)

int display_sdl_lib_load(struct display_sdl_lib *lib, struct err *err)
{
	const struct {
		const char *name;
		void *slot;
	} symbols[] = {
#define SYMBOL(function) {"SDL_" #function, &lib->function},
		DISPLAY_SDL_FUNCTIONS(SYMBOL) SYMBOL(GetWindowWMInfo)
#undef SYMBOL
	};
	void *handle = dlopen(SDL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	SDL_version version;
	bool is_old;

	if (!handle) {
		err_set(err, EXIT_CODE_DEVICE, ENOENT,
			"a window needs the library " SDL_LIBRARY ", which is not here");
		err_hint(err, "install " DISPLAY_SDL_PACKAGE ", or use --display none");
		return -ENOENT;
	}
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *address = dlsym(handle, symbols[i].name);

		memcpy(symbols[i].slot, &address, sizeof(address));
		is_old = !address;
		if (is_old)
			break;
	}
	if (!is_old) {
		lib->GetVersion(&version);
		is_old = SDL_VERSIONNUM(version.major, version.minor, version.patch) < SDL_OLDEST;
	}
	if (!is_old)
		return 0;
	err_set(err, EXIT_CODE_DEVICE, ENOSYS,
		"a window needs the library " SDL_LIBRARY " of version 2.0.18 or later");
	err_hint(err, "install a newer " DISPLAY_SDL_PACKAGE ", or use --display none");
	return -ENOSYS;
}

/* ---- X11 ---- */

static struct {
	__typeof__(&XSetErrorHandler) set_error_handler;
	__typeof__(&XSetIOErrorHandler) set_loss_handler;
	__typeof__(&XInternAtom) intern_atom;
	__typeof__(&XChangeProperty) change_property;
} x11;

/* The handlers of Xlib are the process's and have no room for an argument. */
static struct {
	void (*fn)(void *opaque);
	void *opaque;
} on_loss;

static int ignore_error(Display *display, XErrorEvent *event)
{
	(void)display;
	log_debug("the X server refused request %u.%u: error %u", event->request_code,
		event->minor_code, event->error_code);
	return 0;
}

static int handle_loss(Display *display)
{
	(void)display;
	on_loss.fn(on_loss.opaque);
	return 0;
}

static bool load_x11(void)
{
	const struct {
		const char *name;
		void *slot;
	} symbols[] = {
		{"XSetErrorHandler", &x11.set_error_handler},
		{"XSetIOErrorHandler", &x11.set_loss_handler},
		{"XInternAtom", &x11.intern_atom},
		{"XChangeProperty", &x11.change_property},
	};
	void *handle = dlopen(X11_LIBRARY, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; handle && i < ARRAY_SIZE(symbols); i++) {
		void *address = dlsym(handle, symbols[i].name);

		if (!address)
			return false;
		memcpy(symbols[i].slot, &address, sizeof(address));
	}
	return handle;
}

void display_sdl_lib_watch_server(void (*lost)(void *opaque), void *opaque)
{
	on_loss.fn = lost;
	on_loss.opaque = opaque;
	/* Where there is no X server, its library would be loaded for nothing. */
	if (!getenv("DISPLAY") || !load_x11())
		return;
	x11.set_error_handler(ignore_error);
	x11.set_loss_handler(handle_loss);
}

/*
 * In the C locale, which vmm has on purpose, SDL sets no title that is not plain ASCII: Xlib
 * refuses to convert it, though nothing has to be converted.
 */
void display_sdl_lib_set_title(
	const struct display_sdl_lib *lib, SDL_Window *window, const char *title)
{
	static const char *const names[] = {"_NET_WM_NAME", "WM_NAME"};
	SDL_SysWMinfo info;
	Atom utf8;

	lib->SetWindowTitle(window, title);
	SDL_VERSION(&info.version);
	if (!lib->GetWindowWMInfo(window, &info) || info.subsystem != SDL_SYSWM_X11 ||
		!x11.change_property)
		return;
	utf8 = x11.intern_atom(info.info.x11.display, "UTF8_STRING", False);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		x11.change_property(info.info.x11.display, info.info.x11.window,
			x11.intern_atom(info.info.x11.display, names[i], False), utf8, 8,
			PropModeReplace, (const unsigned char *)title, (int)strlen(title));
}

/* ---- What to wait for ---- */

static int x11_connection(const SDL_SysWMinfo *info)
{
	return ConnectionNumber(info->info.x11.display);
}

static int wayland_connection(const SDL_SysWMinfo *info)
{
	int (*get_fd)(struct wl_display * display);
	void *handle = dlopen(WAYLAND_LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
	void *address = handle ? dlsym(handle, "wl_display_get_fd") : NULL;

	memcpy(&get_fd, &address, sizeof(address));
	return address ? get_fd(info->info.wl.display) : -1;
}

int display_sdl_lib_connection(const struct display_sdl_lib *lib, SDL_Window *window)
{
	SDL_SysWMinfo info;

	SDL_VERSION(&info.version);
	if (!lib->GetWindowWMInfo(window, &info))
		return -1;
	switch (info.subsystem) {
	case SDL_SYSWM_X11:
		return x11_connection(&info);
	case SDL_SYSWM_WAYLAND:
		return wayland_connection(&info);
	default:
		return -1;
	}
}
