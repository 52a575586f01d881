/*
 * A PS/2 keyboard as its controller sees it: takes command bytes, answers, and tells of keys in
 * scan code set 1, 2 or 3. Knows neither ports nor interrupts nor time.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)".
 * No lock of its own: its controller's guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/ring.h"

enum {
	PS2_KEYBOARD_QUEUE = 16,
	PS2_KEYBOARD_KEYS = 256,

	/* Lamps, as in the command that sets them */
	PS2_LED_SCROLL = 0x01,
	PS2_LED_NUM = 0x02,
	PS2_LED_CAPS = 0x04,
};

struct ps2_keyboard {
	struct ring answers; /* to the controller, before `keys` */
	struct ring keys;
	uint8_t answer_bytes[PS2_KEYBOARD_QUEUE];
	uint8_t key_bytes[PS2_KEYBOARD_QUEUE];
	uint8_t last;	     /* for "resend" */
	uint8_t argument_of; /* the command that waits for its argument, or 0 */
	uint8_t scan_set;
	uint8_t leds;
	uint8_t rate;	   /* of the repeat, as the guest wrote it */
	bool is_scanning;  /* keys are reported */
	bool is_addressed; /* a driver has sent something since power-on */
	bool overran;	   /* the code for lost keys is in `keys` */
	bool is_down[PS2_KEYBOARD_KEYS];
	unsigned down_bytes; /* that the releases of those will take */
	unsigned repeated;   /* the key that is repeated, or 0 */
	uint16_t sysrq;	     /* as which PrintScreen was pressed */
};

/* In the caller's memory; nothing to undo. */
void ps2_keyboard_init(struct ps2_keyboard *keyboard);

/* Back to what it is after power-on, with nothing in the queues. */
void ps2_keyboard_reset(struct ps2_keyboard *keyboard);

/* A byte from the controller. What does not fit into the queue is dropped. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte);

/* The next byte for the controller; false when there is none. */
bool ps2_keyboard_read(struct ps2_keyboard *keyboard, uint8_t *byte);

/*
 * KEY_* goes down or up; what this keyboard does not have is ignored. False: no room now, or a
 * command is being given; later, when bytes have been read or written, it may be told again.
 */
bool ps2_keyboard_key(struct ps2_keyboard *keyboard, unsigned key, bool down);

/* Milliseconds from the press of a key to its first repeat, and from one repeat to the next. */
unsigned ps2_keyboard_delay_ms(const struct ps2_keyboard *keyboard);
unsigned ps2_keyboard_period_ms(const struct ps2_keyboard *keyboard);

/* The time has come: the key that was pressed last is told of again. False: there is none. */
bool ps2_keyboard_repeat(struct ps2_keyboard *keyboard);
