/*
 * A PS/2 keyboard as its controller sees it: takes command bytes, answers with
 * bytes in a queue. Knows neither ports nor interrupts.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)".
 * No lock of its own: its controller's guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/ring.h"

enum {
	PS2_KEYBOARD_QUEUE = 16
};

struct ps2_keyboard {
	struct ring queue; /* to the controller */
	uint8_t queue_bytes[PS2_KEYBOARD_QUEUE];
	uint8_t last;	     /* for "resend" */
	uint8_t argument_of; /* the command that waits for its argument, or 0 */
	uint8_t scan_set;
	uint8_t leds;
	bool is_scanning; /* keys are reported */
};

/* In the caller's memory; nothing to undo. */
void ps2_keyboard_init(struct ps2_keyboard *keyboard);

/* Back to what it is after power-on, with nothing in the queue. */
void ps2_keyboard_reset(struct ps2_keyboard *keyboard);

/* A byte from the controller. What does not fit into the queue is dropped. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte);

/* The next byte for the controller; false when there is none. */
bool ps2_keyboard_read(struct ps2_keyboard *keyboard, uint8_t *byte);
