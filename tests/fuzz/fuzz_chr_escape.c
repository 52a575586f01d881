/*
 * The escape keys: any bytes, cut into any pieces, give what they give in one piece,
 * and never more bytes than came in.
 */
#include <stdlib.h>

#include "devices/backend/chr_escape.h"
#include "tests/fuzz/fuzz_input.h"

struct result {
	uint8_t *bytes;
	size_t len;
	enum chr_escape_key *keys;
	size_t key_count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct result run(const uint8_t *in, size_t len, size_t step)
{
	struct result result = {
		.bytes = malloc(len + 1), .keys = calloc(len + 1, sizeof(*result.keys))};
	struct chr_escape escape = {0};

	ASSERT(result.bytes && result.keys);
	for (size_t at = 0; at < len;) {
		size_t n = MIN(step, len - at), put;
		enum chr_escape_key key;
		size_t used =
			chr_escape_feed(&escape, in + at, n, result.bytes + result.len, &put, &key);

		ASSERT(used > 0 && used <= n && put <= used);
		ASSERT(key != CHR_ESCAPE_NONE || used == n);
		if (key != CHR_ESCAPE_NONE)
			result.keys[result.key_count++] = key;
		result.len += put;
		at += used;
	}
	return result;
}

static void finish(struct result *result)
{
	free(result->bytes);
	free(result->keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .left = size};
	size_t step = fuzz_take(&input, 1) + 1;
	struct result whole = run(input.data, input.left, input.left + 1);
	struct result pieces = run(input.data, input.left, step);

	ASSERT(whole.len <= input.left && whole.len == pieces.len);
	ASSERT(!memcmp(whole.bytes, pieces.bytes, whole.len));
	ASSERT(whole.key_count == pieces.key_count);
	ASSERT(!memcmp(whole.keys, pieces.keys, whole.key_count * sizeof(*whole.keys)));
	finish(&whole);
	finish(&pieces);
	return 0;
}
