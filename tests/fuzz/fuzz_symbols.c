/*
 * A file of any bytes asked for the name of an address: the name is text that fits, and the address
 * is one before. The first eight bytes of the input are the address, the rest is the file.
 */
#include <stdlib.h>
#include <string.h>

#include "firmware/symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes;
	struct source source;
	struct symbol symbol;
	uint64_t address;
	uint8_t *copy;

	if (size < 8)
		return 0;
	address = load_le64(data);
	/* A buffer of the exact size lets the sanitizer see a step too far. */
	copy = malloc(size - 8 + 1);
	ASSERT(copy);
	memcpy(copy, data + 8, size - 8);
	bytes = (struct source_bytes){.data = copy, .size = size - 8};
	source = source_from_bytes(&bytes);
	if (symbols_find(&source, address, &symbol)) {
		ASSERT(symbol.address <= address && symbol.name[0]);
		ASSERT(strnlen(symbol.name, sizeof(symbol.name)) < sizeof(symbol.name));
		for (const char *c = symbol.name; *c; c++)
			ASSERT(*c > 0x20 && *c < 0x7f);
	}
	free(copy);
	return 0;
}
