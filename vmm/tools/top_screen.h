/*
 * The terminal of vmm top: a picture in place of the one before, keys without Enter, and everything
 * as it was on every way out. Where standard output is no terminal, or one that can't place the
 * cursor (TERM=dumb), pictures go below each other and there are no keys.
 *
 * One per process, for there is one set of signal handlers. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void top_screen_open(void);
void top_screen_close(void);

/* Shows a text of lines; what does not fit is cut. */
void top_screen_show(char *text);

enum top_wish {
	TOP_WISH_NEXT, /* time is over: the next picture */
	TOP_WISH_QUIT, /* q, or the end of the input */
	TOP_WISH_SIGNAL,
};

/* Waits for a key, a signal, or so long. *signal says which. */
enum top_wish top_screen_wait(unsigned ms, int *signal);
