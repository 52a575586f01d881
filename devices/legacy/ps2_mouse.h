/*
 * A PS/2 mouse as its controller sees it: two buttons and a ball until the driver knocks for more,
 * then an IntelliMouse with a wheel, then an Explorer with five buttons and, knocked at once more,
 * a wheel that tilts. Knows neither ports nor interrupts nor time.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Mouse"; Microsoft, "IntelliMouse and
 * Five-Button Mouse Support" (Windows Hardware Dev Center, 2001).
 * No lock of its own: its controller's guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/ring.h"

enum {
	PS2_MOUSE_QUEUE = 16,
	PS2_MOUSE_KNOCKS = 3,
};

enum ps2_mouse_button {
	PS2_MOUSE_LEFT = 0x01,
	PS2_MOUSE_RIGHT = 0x02,
	PS2_MOUSE_MIDDLE = 0x04,
	PS2_MOUSE_SIDE = 0x08, /* Explorer only, as the next */
	PS2_MOUSE_EXTRA = 0x10,
};

struct ps2_mouse {
	struct ring answers; /* to the controller, before `packet` */
	struct ring packet;
	uint8_t answer_bytes[PS2_MOUSE_QUEUE];
	uint8_t packet_bytes[PS2_MOUSE_QUEUE];
	uint8_t last;	     /* for "resend" */
	uint8_t argument_of; /* the command that waits for its argument, or 0 */
	uint8_t id;
	uint8_t resolution, rate;
	uint8_t knocks[PS2_MOUSE_KNOCKS]; /* the latest rates, the newest last */
	bool is_remote, is_wrapped, is_enabled, is_doubling, tilts;

	/* What has not been told yet. */
	int32_t x, y, wheel, tilt; /* y: up is positive; wheels in notches, down and left are */
	uint8_t buttons, told_buttons;
	bool lost_packet; /* one was dropped: tell of the buttons again */
};

/* In the caller's memory; nothing to undo. */
void ps2_mouse_init(struct ps2_mouse *mouse);

/* Back to what it is after power-on, with nothing in the queues. */
void ps2_mouse_reset(struct ps2_mouse *mouse);

/* A byte from the controller. What does not fit into the queue is dropped. */
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);

/* The next byte for the controller; false when there is none. */
bool ps2_mouse_read(struct ps2_mouse *mouse, uint8_t *byte);

/* Does the driver want to hear of movements? */
bool ps2_mouse_is_listened_to(const struct ps2_mouse *mouse);

/*
 * Moved so far right and up; turned by so many notches down and left. False: not before the
 * buttons have been told of; later, when bytes have been read, it may be told again.
 */
bool ps2_mouse_move(struct ps2_mouse *mouse, int32_t x, int32_t y);
bool ps2_mouse_turn(struct ps2_mouse *mouse, int32_t wheel, int32_t tilt);

/* The same, and not before the movements have been told of. */
bool ps2_mouse_press(struct ps2_mouse *mouse, enum ps2_mouse_button button, bool down);
