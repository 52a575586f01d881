/*
 * Takes numbers and bytes from a fuzzer's input; behind its end there are zeroes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vmm/base/util.h"

struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

static inline bool fuzz_is_empty(const struct fuzz_input *input)
{
	return !input->left;
}

/* The result says how many there were; the rest of `bytes` is zero. */
static inline size_t fuzz_take_bytes(struct fuzz_input *input, void *bytes, size_t len)
{
	size_t got = MIN(len, input->left);

	memset(bytes, 0, len);
	if (got)
		memcpy(bytes, input->data, got);
	input->data += got;
	input->left -= got;
	return got;
}

static inline uint64_t fuzz_take(struct fuzz_input *input, unsigned bytes)
{
	uint64_t value = 0;

	fuzz_take_bytes(input, &value, bytes);
	return value;
}
