/*
 * See ps2_keyboard.h. Bytes arrive from a guest: any byte at any time is legal.
 *
 * Threats
 *   what the guest can send          limit                            where    test
 *   commands without end             queue of 16, the rest dropped    put      keyboard_flood
 */
#include "devices/legacy/ps2_keyboard.h"

enum {
	/* From the controller */
	KBD_SET_LEDS = 0xed,
	KBD_ECHO = 0xee,
	KBD_SCAN_SET = 0xf0,
	KBD_IDENTIFY = 0xf2,
	KBD_SET_RATE = 0xf3,
	KBD_ENABLE = 0xf4,
	KBD_DISABLE = 0xf5,
	KBD_DEFAULTS = 0xf6,
	KBD_ALL_KEYS_FIRST = 0xf7, /* to 0xfa: all keys typematic, make/break, ... */
	KBD_ALL_KEYS_LAST = 0xfa,
	KBD_KEY_FIRST = 0xfb, /* to 0xfd: one key, named by the argument */
	KBD_KEY_LAST = 0xfd,
	KBD_RESEND = 0xfe,
	KBD_RESET = 0xff,

	/* To the controller */
	KBD_ACK = 0xfa,
	KBD_PASSED = 0xaa,
	KBD_AGAIN = 0xfe,
	KBD_ID_1 = 0xab,
	KBD_ID_2 = 0x83,

	SCAN_SET_DEFAULT = 2,
	SCAN_SET_MAX = 3,
};

void ps2_keyboard_init(struct ps2_keyboard *keyboard)
{
	ring_init(&keyboard->queue, keyboard->queue_bytes, sizeof(keyboard->queue_bytes));
	ps2_keyboard_reset(keyboard);
}

static void set_defaults(struct ps2_keyboard *keyboard)
{
	keyboard->argument_of = 0;
	keyboard->scan_set = SCAN_SET_DEFAULT;
	keyboard->leds = 0;
}

void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
	ring_clear(&keyboard->queue);
	keyboard->last = 0;
	keyboard->is_scanning = true;
	set_defaults(keyboard);
}

static void put(struct ps2_keyboard *keyboard, uint8_t byte)
{
	ring_put(&keyboard->queue, &byte, 1);
}

static void take_argument(struct ps2_keyboard *keyboard, uint8_t command, uint8_t byte)
{
	put(keyboard, KBD_ACK);
	if (command == KBD_SET_LEDS) {
		keyboard->leds = byte;
	} else if (command == KBD_SCAN_SET) {
		if (!byte)
			put(keyboard, keyboard->scan_set);
		else if (byte <= SCAN_SET_MAX)
			keyboard->scan_set = byte;
	}
	/* Repeat rate and the types of single keys have no effect. */
}

static void run_reset(struct ps2_keyboard *keyboard)
{
	ps2_keyboard_reset(keyboard);
	put(keyboard, KBD_ACK);
	put(keyboard, KBD_PASSED);
}

static void take_command(struct ps2_keyboard *keyboard, uint8_t command)
{
	switch (command) {
	case KBD_ECHO:
		put(keyboard, KBD_ECHO);
		return;
	case KBD_RESEND:
		put(keyboard, keyboard->last);
		return;
	case KBD_RESET:
		run_reset(keyboard);
		return;
	case KBD_IDENTIFY:
		put(keyboard, KBD_ACK);
		put(keyboard, KBD_ID_1);
		put(keyboard, KBD_ID_2);
		return;
	case KBD_SET_LEDS:
	case KBD_SCAN_SET:
	case KBD_SET_RATE:
	case KBD_KEY_FIRST ... KBD_KEY_LAST:
		keyboard->argument_of = command;
		break;
	case KBD_ENABLE:
		keyboard->is_scanning = true;
		break;
	case KBD_DISABLE:
		set_defaults(keyboard);
		keyboard->is_scanning = false;
		break;
	case KBD_DEFAULTS:
		set_defaults(keyboard);
		break;
	case KBD_ALL_KEYS_FIRST ... KBD_ALL_KEYS_LAST:
		break;
	default:
		put(keyboard, KBD_AGAIN);
		return;
	}
	put(keyboard, KBD_ACK);
}

void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte)
{
	uint8_t command = keyboard->argument_of;

	keyboard->argument_of = 0;
	/* A command where an argument is due starts anew. */
	if (command && byte < KBD_SET_LEDS)
		take_argument(keyboard, command, byte);
	else
		take_command(keyboard, byte);
}

bool ps2_keyboard_read(struct ps2_keyboard *keyboard, uint8_t *byte)
{
	if (!ring_get(&keyboard->queue, byte, 1))
		return false;
	keyboard->last = *byte;
	return true;
}
