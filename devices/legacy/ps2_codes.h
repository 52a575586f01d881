/*
 * Scan codes: what a PS/2 keyboard sends for a key, and what the keyboard controller of a PC makes
 * of that. Codes of keys are KEY_* of linux/input-event-codes.h.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)". No state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	PS2_CODE_E0 = 0x100,	  /* behind a prefix of 0xe0 */
	PS2_CODE_SPECIAL = 0x200, /* a sequence of its own: PrintScreen and Pause */
	/* These two keys of Korean keyboards tell of their press only. */
	PS2_CODE_HANJA = 0xf1,
	PS2_CODE_HANGEUL = 0xf2,

	PS2_BREAK = 0xf0, /* sets 2 and 3: the code that follows was released */
	PS2_SET1_BREAK = 0x80,
};

struct ps2_code {
	uint16_t set2; /* 0: there is no such key */
	uint8_t set3;  /* 0: this set has no such key */
};

/* NULL: no PS/2 keyboard has that key. */
const struct ps2_code *ps2_code_find(unsigned key);

/* A byte of set 2 as the one of set 1. PS2_BREAK has none: see ps2_translate(). */
uint8_t ps2_code_to_set1(uint8_t set2);

/*
 * The controller's translation, byte for byte: false when there is none to pass on, because a
 * PS2_BREAK becomes a bit of what follows. *broken keeps that in between.
 */
bool ps2_translate(uint8_t *byte, bool *broken);
