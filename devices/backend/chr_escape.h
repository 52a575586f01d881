/*
 * The escape keys of a console on a terminal: Ctrl-a, then
 *   x              quit
 *   d              detach
 *   b              send a break
 *   a or Ctrl-a    send one Ctrl-a
 *   h, ? and all else   help
 * A pure state machine over bytes; it knows neither terminals nor guests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHR_ESCAPE_CHAR = 0x01 /* Ctrl-a */
};

enum chr_escape_key {
	CHR_ESCAPE_NONE,
	CHR_ESCAPE_QUIT,
	CHR_ESCAPE_HELP,
	CHR_ESCAPE_BREAK,
	CHR_ESCAPE_DETACH,
};

/* A zeroed struct is ready. */
struct chr_escape {
	bool armed; /* Ctrl-a was the last key */
};

/*
 * Takes keys from `in` up to and with the first that asks for something, and puts
 * what is meant for the guest into `out`, which has room for `len` bytes (it may
 * be `in` itself). Returns how many bytes of `in` were used; *out_len says how many
 * were put, *key what was asked for (CHR_ESCAPE_NONE: nothing, and all of `in` is used).
 */
size_t chr_escape_feed(struct chr_escape *escape, const uint8_t *in, size_t len, uint8_t *out,
	size_t *out_len, enum chr_escape_key *key);
