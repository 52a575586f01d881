/*
 * Keys and pointers: the meeting place of what people touch (a window, VNC) and of the devices by
 * which the guest hears of it (virtio-input, the PS/2 keyboard and mouse). One per machine.
 *
 * Codes are those of linux/input-event-codes.h: keys are places on a keyboard (KEY_*), not
 * characters; buttons are BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA.
 *
 * An event goes to one device of its kind only: of those whose driver is ready the one of highest
 * rank (virtio before PS/2). A key is released on the device on which it was pressed.
 *
 * Between the two stand rings of INPUT_RING events, one for keys and one for the pointer. A guest
 * that does not listen costs nothing else: motion is merged, and when a ring is full new presses and
 * steps of the wheel are dropped (counted, told once); a release never is, so that no key stays
 * down.
 *
 * Threads: the viewers' side on any thread, never blocks. The devices' side on the loop's thread,
 * with the device's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

struct input;

enum {
	INPUT_RING = 256,
	/* Positions of an absolute pointer: 0 is the first pixel, this the last one. */
	INPUT_ABS_MAX = 32767,
	/* The wheel in the unit of REL_WHEEL_HI_RES: 120 is one notch. */
	INPUT_NOTCH = 120,
};

/* Error: -errno and a sentence. input_destroy(NULL) is legal; the sinks are gone by then. */
int input_create(struct input **input, struct loop *loop, struct err *err);
void input_destroy(struct input *input);

/*
 * The machine is reset: what waits was for the guest that was. A key that is down now goes up
 * without the new one hearing of it. On the loop's thread.
 */
void input_reset(struct input *input);

/* ---- The viewers' side ---- */

/* KEY_* and BTN_*. Repeats are the guest's business: a press of a key that is down is ignored. */
void input_key(struct input *input, unsigned code, bool down);

/* The pointer is on pixel (x, y) of a picture of that size; values outside are moved inside. */
void input_point(struct input *input, int32_t x, int32_t y, uint32_t width, uint32_t height);

/* The pointer was moved by so many pixels. */
void input_move(struct input *input, int32_t dx, int32_t dy);

/* Up and right are positive, in INPUT_NOTCH per notch. */
void input_wheel(struct input *input, int32_t vertical, int32_t horizontal);

/* All keys and buttons that are down go up: the window has lost the focus. */
void input_release_all(struct input *input);

/* Ctrl-Alt-Del, pressed and released: what the desktop would keep to itself. */
void input_press_ctrl_alt_del(struct input *input);

/* Does the guest take positions now? Else a viewer grabs the pointer and moves: input_move(). */
bool input_takes_positions(const struct input *input);

/* Lamps as a mask of 1 << LED_NUML, LED_CAPSL, LED_SCROLLL, of the keyboard in use. */
unsigned input_leds(const struct input *input);

/* Events that no device has taken yet: keys (INPUT_KEYBOARD in `kinds`), the pointer's (any other). */
unsigned input_waiting(const struct input *input, unsigned kinds);

/* Presses, steps and motions for which there was no room, since the start. */
uint64_t input_dropped(const struct input *input);

/*
 * On the loop's thread, when lamps or input_takes_positions() are new. One listener; NULL: none.
 * Set on the loop's thread, or while it does not run.
 */
void input_set_listener(struct input *input, void (*changed)(void *opaque), void *opaque);

/* ---- The devices' side ---- */

enum input_kind {
	INPUT_KEYBOARD = 1,
	INPUT_POSITION = 2, /* an absolute pointer with its buttons and wheel */
	INPUT_MOTION = 4,   /* a relative one */
};

/* Of several that are ready the highest. */
enum {
	INPUT_RANK_PS2 = 1,
	INPUT_RANK_VIRTIO = 2,
};

enum input_event_type {
	INPUT_EVENT_KEY,   /* code, value 1 or 0 */
	INPUT_EVENT_POINT, /* x, y from 0 to INPUT_ABS_MAX */
	INPUT_EVENT_MOVE,  /* x, y */
	INPUT_EVENT_WHEEL, /* x horizontal, y vertical */
};

struct input_event {
	enum input_event_type type;
	unsigned code;
	int32_t value, x, y;
};

/* The device's memory; stays in place from add to remove. */
struct input_sink {
	unsigned kinds; /* mask of enum input_kind */
	unsigned rank;	/* INPUT_RANK_… */
	/* Is there a driver that listens? */
	bool (*is_ready)(void *opaque);
	/*
	 * Takes one event, whole. false: no room now; it and those behind it wait until
	 * input_sink_wake().
	 */
	bool (*take)(void *opaque, const struct input_event *event);
	void *opaque;
	pthread_mutex_t *lock; /* the device's: held in both calls */
	/* private to input.c */
	struct input *input;
	struct input_sink *next;
	bool ready;
	unsigned leds;
};

/* On the loop's thread, or while it does not run. Removing one that was not added is legal. */
void input_add_sink(struct input *input, struct input_sink *sink);
void input_remove_sink(struct input_sink *sink);

/* The sink has room again, or its driver has come or gone. Any thread, with the device's lock. */
void input_sink_wake(struct input_sink *sink);

/* The guest has set the lamps of this keyboard. Any thread, with the device's lock. */
void input_sink_set_leds(struct input_sink *sink, unsigned leds);
