/*
 * Keys and buttons by the names that people type: those of linux/input-event-codes.h in lower case,
 * "a", "f1", "leftctrl", "kpenter", "volumeup", and some that are shorter or better known, "ctrl",
 * "del", "win". No state.
 */
#pragma once

#include <stddef.h>

enum {
	KEY_CHORD_MAX = 8
};

/* KEY_…, or 0: there is no key of that name. Capitals are as good. */
unsigned key_find(const char *name, size_t len);

/* BTN_… of "left", "right", "middle", "side", "extra", or 0. */
unsigned key_find_button(const char *name);

/*
 * "ctrl-alt-delete": the keys of a chord in the order in which they are pressed. Returns how many,
 * or 0: `text` is none. *bad is then the name that was not understood.
 */
unsigned key_parse_chord(
	const char *text, unsigned codes[KEY_CHORD_MAX], const char **bad, size_t *bad_len);

/*
 * The chord that types a character on a US keyboard: "shift-a" for 'A'. NULL: there is none.
 */
const char *key_type(char character);
