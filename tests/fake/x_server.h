/*
 * An X server of the test's own, whose screen nobody sees (Xvfb), and hands on its keyboard and
 * mouse (xdotool). One at a time in a process; DISPLAY names it while it runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/base/util.h"

struct x_server {
	pid_t pid; /* 0: none */
	pid_t manager_pid;
	unsigned number; /* of the display */
	char folder[64];
	const uint8_t *screen; /* the server's own memory of it, as xwd writes it */
	size_t screen_bytes;
};

/* `depth` of the screen is 24 as a rule. False: Xvfb or xdotool is not here. */
bool x_server_start(struct x_server *server, unsigned width, unsigned height, unsigned depth);
void x_server_stop(struct x_server *server);

/* Runs a window manager (openbox) until the server stops; false: it is not here. */
bool x_server_manage_windows(struct x_server *server);

/* A pixel of the screen. */
uint32_t x_server_pixel(const struct x_server *server, unsigned x, unsigned y);

/* Runs `xdotool WORDS`; false when it failed. */
bool x_server_do(const char *format, ...) PRINTF_LIKE(1, 2);
/* Its output as a number, -1: none. */
long x_server_ask(const char *format, ...) PRINTF_LIKE(1, 2);

/* What a window manager sends for the close button. */
void x_server_close_window(unsigned long window);
