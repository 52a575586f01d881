/*
 * See chr_escape.h. No state of its own, safe from any thread.
 */
#include "devices/backend/chr_escape.h"

static enum chr_escape_key key_after_escape(uint8_t byte)
{
	switch (byte) {
	case 'x':
	case 'X':
		return CHR_ESCAPE_QUIT;
	case 'd':
	case 'D':
		return CHR_ESCAPE_DETACH;
	case 'b':
	case 'B':
		return CHR_ESCAPE_BREAK;
	case 'a':
	case CHR_ESCAPE_CHAR:
		return CHR_ESCAPE_NONE;
	default:
		/* A wrong guess must not reach the guest as half a key. */
		return CHR_ESCAPE_HELP;
	}
}

size_t chr_escape_feed(struct chr_escape *escape, const uint8_t *in, size_t len, uint8_t *out,
	size_t *out_len, enum chr_escape_key *key)
{
	size_t used = 0;

	*out_len = 0;
	*key = CHR_ESCAPE_NONE;
	while (used < len && *key == CHR_ESCAPE_NONE) {
		uint8_t byte = in[used++];

		if (!escape->armed && byte == CHR_ESCAPE_CHAR) {
			escape->armed = true;
			continue;
		}
		if (escape->armed) {
			escape->armed = false;
			*key = key_after_escape(byte);
			if (*key != CHR_ESCAPE_NONE)
				break;
			byte = CHR_ESCAPE_CHAR;
		}
		out[(*out_len)++] = byte;
	}
	return used;
}
