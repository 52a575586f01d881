/*
 * See ps2_keyboard.h. Bytes arrive from a guest: any byte at any time is legal.
 *
 * A key's bytes are put whole or not at all. While nobody has spoken to the keyboard there may be
 * nobody who reads it either, or a driver that empties it once before it begins and gives up
 * when that does not end (Linux: after 16 bytes). So until then keys that are too many are lost
 * as on a real keyboard, and room is kept for the releases of the others.
 *
 * Left out: the shift codes around the grey keys that keep a driver of 1981 right while NumLock
 * is on, and in set 3 the keys' own types: all tell of press, repeat and release.
 *
 * Threats
 *   what the guest can send          limit                            where      test
 *   commands without end             queue of 16, the rest dropped    answer     keyboard_flood
 *   never to read                    queue of 16, then "no room"      put        keys_without_reader
 */
#include "devices/legacy/ps2_keyboard.h"

#include <linux/input-event-codes.h>
#include <string.h>

#include "devices/legacy/ps2_codes.h"
#include "vmm/base/util.h"

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
	KBD_OVERRUN = 0x00,
	KBD_OVERRUN_SET1 = 0xff,

	SCAN_SET_DEFAULT = 2,
	SCAN_SET_MAX = 3,
	RATE_DEFAULT = 0x2b, /* 10.9 a second after half a second */

	/* What PrintScreen is with Alt, and what goes before it when it is alone. */
	CODE_SYSRQ = 0x84,
	CODE_PRINT = PS2_CODE_E0 | 0x7c,
	CODE_PRINT_ALONE = PS2_CODE_SPECIAL | 0x7c,
	CODE_FAKE_SHIFT = PS2_CODE_E0 | 0x12,

	SEQUENCE_MAX = 8,
	/* Before a driver has spoken: with the overrun code less than Linux throws away at once. */
	UNREAD_MAX = PS2_KEYBOARD_QUEUE - 2,
};

void ps2_keyboard_init(struct ps2_keyboard *keyboard)
{
	ring_init(&keyboard->answers, keyboard->answer_bytes, sizeof(keyboard->answer_bytes));
	ring_init(&keyboard->keys, keyboard->key_bytes, sizeof(keyboard->key_bytes));
	ps2_keyboard_reset(keyboard);
}

static void clear_keys(struct ps2_keyboard *keyboard)
{
	ring_clear(&keyboard->keys);
	keyboard->overran = false;
	keyboard->repeated = 0;
}

static void set_defaults(struct ps2_keyboard *keyboard)
{
	keyboard->argument_of = 0;
	keyboard->scan_set = SCAN_SET_DEFAULT;
	keyboard->rate = RATE_DEFAULT;
	keyboard->leds = 0;
	clear_keys(keyboard);
}

static void forget_keys(struct ps2_keyboard *keyboard)
{
	memset(keyboard->is_down, 0, sizeof(keyboard->is_down));
	keyboard->down_bytes = 0;
}

void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
	ring_clear(&keyboard->answers);
	keyboard->last = 0;
	keyboard->is_scanning = true;
	keyboard->is_addressed = false;
	forget_keys(keyboard);
	set_defaults(keyboard);
}

/* ---- Commands ---- */

static void answer(struct ps2_keyboard *keyboard, uint8_t byte)
{
	ring_put(&keyboard->answers, &byte, 1);
}

static void take_argument(struct ps2_keyboard *keyboard, uint8_t command, uint8_t byte)
{
	answer(keyboard, KBD_ACK);
	if (command == KBD_SET_LEDS) {
		keyboard->leds = byte;
	} else if (command == KBD_SET_RATE) {
		keyboard->rate = byte;
	} else if (command == KBD_SCAN_SET) {
		if (!byte) {
			answer(keyboard, keyboard->scan_set);
		} else if (byte <= SCAN_SET_MAX) {
			keyboard->scan_set = byte;
			clear_keys(keyboard);
		}
	}
	/* The types of single keys have no effect. */
}

static void run_reset(struct ps2_keyboard *keyboard)
{
	ps2_keyboard_reset(keyboard);
	keyboard->is_addressed = true;
	answer(keyboard, KBD_ACK);
	answer(keyboard, KBD_PASSED);
}

static void take_command(struct ps2_keyboard *keyboard, uint8_t command)
{
	switch (command) {
	case KBD_ECHO:
		answer(keyboard, KBD_ECHO);
		return;
	case KBD_RESEND:
		answer(keyboard, keyboard->last);
		return;
	case KBD_RESET:
		run_reset(keyboard);
		return;
	case KBD_IDENTIFY:
		answer(keyboard, KBD_ACK);
		answer(keyboard, KBD_ID_1);
		answer(keyboard, KBD_ID_2);
		return;
	case KBD_SET_LEDS:
	case KBD_SCAN_SET:
	case KBD_SET_RATE:
	case KBD_KEY_FIRST ... KBD_KEY_LAST:
		keyboard->argument_of = command;
		break;
	case KBD_ENABLE:
		clear_keys(keyboard);
		keyboard->is_scanning = true;
		break;
	case KBD_DISABLE:
		set_defaults(keyboard);
		/* What happens from now on is not seen: a release may be missed. */
		forget_keys(keyboard);
		keyboard->is_scanning = false;
		break;
	case KBD_DEFAULTS:
		set_defaults(keyboard);
		break;
	case KBD_ALL_KEYS_FIRST ... KBD_ALL_KEYS_LAST:
		break;
	default:
		answer(keyboard, KBD_AGAIN);
		return;
	}
	answer(keyboard, KBD_ACK);
}

void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte)
{
	uint8_t command = keyboard->argument_of;

	keyboard->argument_of = 0;
	keyboard->is_addressed = true;
	/* A command where an argument is due starts anew. */
	if (command && byte < KBD_SET_LEDS)
		take_argument(keyboard, command, byte);
	else
		take_command(keyboard, byte);
}

bool ps2_keyboard_read(struct ps2_keyboard *keyboard, uint8_t *byte)
{
	if (!ring_get(&keyboard->answers, byte, 1) && !ring_get(&keyboard->keys, byte, 1))
		return false;
	if (!ring_used(&keyboard->keys))
		keyboard->overran = false;
	keyboard->last = *byte;
	return true;
}

/* ---- Keys ---- */

struct sequence {
	uint8_t bytes[SEQUENCE_MAX];
	unsigned count;
};

static void add_byte(struct sequence *sequence, uint8_t byte)
{
	sequence->bytes[sequence->count++] = byte;
}

static void add_code(struct sequence *sequence, unsigned code, bool down)
{
	if (code & PS2_CODE_E0)
		add_byte(sequence, 0xe0);
	if (!down)
		add_byte(sequence, PS2_BREAK);
	add_byte(sequence, (uint8_t)code);
}

static bool is_held(const struct ps2_keyboard *keyboard, unsigned left, unsigned right)
{
	return keyboard->is_down[left] || keyboard->is_down[right];
}

/* PrintScreen hides three keys of the keyboard of 1981, by what is held with it. */
static uint16_t choose_sysrq(const struct ps2_keyboard *keyboard)
{
	if (is_held(keyboard, KEY_LEFTALT, KEY_RIGHTALT))
		return CODE_SYSRQ;
	if (is_held(keyboard, KEY_LEFTCTRL, KEY_RIGHTCTRL) ||
		is_held(keyboard, KEY_LEFTSHIFT, KEY_RIGHTSHIFT))
		return CODE_PRINT;
	return CODE_PRINT_ALONE;
}

static void add_sysrq(struct sequence *sequence, uint16_t code, bool down)
{
	if (code != CODE_PRINT_ALONE) {
		add_code(sequence, code, down);
		return;
	}
	add_code(sequence, down ? CODE_FAKE_SHIFT : CODE_PRINT, down);
	add_code(sequence, down ? CODE_PRINT : CODE_FAKE_SHIFT, down);
}

/* Pause is Ctrl with NumLock, or Ctrl with ScrollLock; pressed and released at once. */
static void add_pause(const struct ps2_keyboard *keyboard, struct sequence *sequence)
{
	static const uint8_t pause[] = {0xe1, 0x14, 0x77, 0xe1, PS2_BREAK, 0x14, PS2_BREAK, 0x77};

	if (is_held(keyboard, KEY_LEFTCTRL, KEY_RIGHTCTRL)) {
		add_code(sequence, PS2_CODE_E0 | 0x7e, true);
		add_code(sequence, PS2_CODE_E0 | 0x7e, false);
		return;
	}
	memcpy(sequence->bytes, pause, sizeof(pause));
	sequence->count = sizeof(pause);
}

static void to_set1(struct sequence *sequence)
{
	unsigned count = 0;
	bool broken = false;

	for (unsigned i = 0; i < sequence->count; i++) {
		uint8_t byte = sequence->bytes[i];

		if (ps2_translate(&byte, &broken))
			sequence->bytes[count++] = byte;
	}
	sequence->count = count;
}

/* What the keyboard says of a key that it has; empty when it says nothing. */
static struct sequence describe(const struct ps2_keyboard *keyboard, unsigned key, bool down)
{
	const struct ps2_code *code = ps2_code_find(key);
	struct sequence sequence = {.count = 0};

	if (keyboard->scan_set == 3) {
		if (code->set3)
			add_code(&sequence, code->set3, down);
		return sequence;
	}
	if (key == KEY_SYSRQ)
		add_sysrq(&sequence, keyboard->sysrq, down);
	else if (key == KEY_PAUSE && down)
		add_pause(keyboard, &sequence);
	else if (key != KEY_PAUSE &&
		(down || (code->set2 != PS2_CODE_HANJA && code->set2 != PS2_CODE_HANGEUL)))
		add_code(&sequence, code->set2, down);
	if (keyboard->scan_set == 1)
		to_set1(&sequence);
	return sequence;
}

static bool put(struct ps2_keyboard *keyboard, const struct sequence *sequence)
{
	if (ring_free(&keyboard->keys) < sequence->count)
		return false;
	ring_put(&keyboard->keys, sequence->bytes, sequence->count);
	return true;
}

/* Lost, and the guest may know. */
static void overrun(struct ps2_keyboard *keyboard)
{
	struct sequence sequence = {.count = 1};

	if (keyboard->overran)
		return;
	sequence.bytes[0] = keyboard->scan_set == 1 ? KBD_OVERRUN_SET1 : KBD_OVERRUN;
	keyboard->overran = put(keyboard, &sequence);
}

static bool press(struct ps2_keyboard *keyboard, unsigned key)
{
	struct sequence sequence;
	unsigned release_bytes;

	if (key == KEY_SYSRQ)
		keyboard->sysrq = choose_sysrq(keyboard);
	sequence = describe(keyboard, key, true);
	release_bytes = describe(keyboard, key, false).count;
	if (!keyboard->is_addressed &&
		ring_used(&keyboard->keys) + sequence.count + keyboard->down_bytes + release_bytes >
			UNREAD_MAX) {
		overrun(keyboard);
		return true;
	}
	if (!put(keyboard, &sequence))
		return false;
	keyboard->is_down[key] = true;
	keyboard->down_bytes += release_bytes;
	/* Pause does not repeat, nor does what has no release. */
	keyboard->repeated = release_bytes ? key : 0;
	return true;
}

static bool release(struct ps2_keyboard *keyboard, unsigned key)
{
	struct sequence sequence = describe(keyboard, key, false);

	if (!put(keyboard, &sequence))
		return false;
	keyboard->is_down[key] = false;
	keyboard->down_bytes -= MIN(keyboard->down_bytes, sequence.count);
	if (keyboard->repeated == key)
		keyboard->repeated = 0;
	return true;
}

bool ps2_keyboard_key(struct ps2_keyboard *keyboard, unsigned key, bool down)
{
	if (!ps2_code_find(key) || keyboard->is_down[key] == down)
		return true;
	/* Keys rest while a command is being given. */
	if (keyboard->argument_of)
		return false;
	return down ? press(keyboard, key) : release(keyboard, key);
}

/* ---- The repeat ---- */

unsigned ps2_keyboard_delay_ms(const struct ps2_keyboard *keyboard)
{
	return ((keyboard->rate >> 5 & 3) + 1U) * 250;
}

unsigned ps2_keyboard_period_ms(const struct ps2_keyboard *keyboard)
{
	unsigned unit = 8U + (keyboard->rate & 7), doublings = keyboard->rate >> 3 & 3;

	/* In units of 1/240 s */
	return (unit << doublings) * 1000 / 240;
}

bool ps2_keyboard_repeat(struct ps2_keyboard *keyboard)
{
	struct sequence sequence = {.count = 0};

	if (!keyboard->repeated || !keyboard->is_scanning)
		return false;
	/* A guest that does not read gets no more of the same. */
	if (ring_used(&keyboard->keys) || keyboard->argument_of)
		return true;
	if (keyboard->repeated == KEY_SYSRQ && keyboard->scan_set != 3) {
		/* Without what goes before it */
		add_code(&sequence, keyboard->sysrq == CODE_SYSRQ ? CODE_SYSRQ : CODE_PRINT, true);
		if (keyboard->scan_set == 1)
			to_set1(&sequence);
	} else {
		sequence = describe(keyboard, keyboard->repeated, true);
	}
	put(keyboard, &sequence);
	return true;
}
