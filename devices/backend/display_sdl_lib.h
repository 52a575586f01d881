/*
 * The functions of SDL 2 that the window uses, found in its library when there is to be a window;
 * and what of the window system below it has to be known. For display_sdl*.c only.
 *
 * Threads: the window's.
 */
#pragma once

#include <stdbool.h>

#include <SDL2/SDL.h>

#include "vmm/base/err.h"

/* One line per function, without its SDL_. */
#define DISPLAY_SDL_FUNCTIONS(F)                                                                   \
	F(CreateColorCursor)                                                                       \
	F(CreateRGBSurfaceWithFormat)                                                              \
	F(CreateRGBSurfaceWithFormatFrom)                                                          \
	F(CreateSystemCursor)                                                                      \
	F(CreateWindow)                                                                            \
	F(DestroyWindow)                                                                           \
	F(EventState)                                                                              \
	F(FreeCursor)                                                                              \
	F(FreeSurface)                                                                             \
	F(GetDisplayDPI)                                                                           \
	F(GetDisplayUsableBounds)                                                                  \
	F(GetError)                                                                                \
	F(GetVersion)                                                                              \
	F(GetWindowBordersSize)                                                                    \
	F(GetWindowDisplayIndex)                                                                   \
	F(GetWindowSize)                                                                           \
	F(GetWindowSurface)                                                                        \
	F(Init)                                                                                    \
	F(PollEvent)                                                                               \
	F(PumpEvents)                                                                              \
	F(Quit)                                                                                    \
	F(SetCursor)                                                                               \
	F(SetHint)                                                                                 \
	F(SetRelativeMouseMode)                                                                    \
	F(SetWindowFullscreen)                                                                     \
	F(SetWindowIcon)                                                                           \
	F(SetWindowKeyboardGrab)                                                                   \
	F(SetWindowMinimumSize)                                                                    \
	F(SetWindowSize)                                                                           \
	F(SetWindowTitle)                                                                          \
	F(ShowCursor)                                                                              \
	F(StopTextInput)                                                                           \
	F(UpdateWindowSurfaceRects)                                                                \
	F(UpperBlit)

struct SDL_SysWMinfo;

struct display_sdl_lib {
#define DISPLAY_SDL_MEMBER(name) __typeof__(&SDL_##name) name;
	DISPLAY_SDL_FUNCTIONS(DISPLAY_SDL_MEMBER)
#undef DISPLAY_SDL_MEMBER
	/* Declared where the window systems are. */
	SDL_bool(SDLCALL *GetWindowWMInfo)(SDL_Window *window, struct SDL_SysWMinfo *info);
};

/*
 * Loads the library, which stays: the toolkits below can't be unloaded. Error: -errno and a
 * sentence.
 */
int display_sdl_lib_load(struct display_sdl_lib *lib, struct err *err);

/*
 * X11's own way with an error is to end the program. From now on a request that fails is
 * ignored, and when the server is lost `lost` is called, on the thread that was speaking to it; it
 * must not return. Once before SDL's Init.
 */
void display_sdl_lib_watch_server(void (*lost)(void *opaque), void *opaque);

/* The descriptor on which the window's events arrive, borrowed; -1: it can't be told. */
int display_sdl_lib_connection(const struct display_sdl_lib *lib, SDL_Window *window);

/* The window's title, in UTF-8. */
void display_sdl_lib_set_title(
	const struct display_sdl_lib *lib, SDL_Window *window, const char *title);
