/*
 * Where something listens, from any text: what is taken fits its fields and says the same when it is
 * written out and read again; what is refused has a sentence.
 */
#include <stdio.h>
#include <stdlib.h>

#include "devices/backend/listen_address.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_out(const struct listen_address *address, char *text, size_t len)
{
	bool is_v6 = strchr(address->host, ':');

	if (address->path[0])
		snprintf(text, len, "unix:%s", address->path);
	else
		snprintf(text, len, "%s%s%s:%u", is_v6 ? "[" : "", address->host, is_v6 ? "]" : "",
			address->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct listen_address address, again;
	struct err err = ERR_INIT;
	char written[LISTEN_PATH_MAX + 16];
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (listen_address_parse(&address, "vnc", text, &err) < 0) {
		ASSERT(err.kind == EXIT_CODE_USAGE && err.text[0]);
	} else {
		ASSERT(!err_is_set(&err));
		ASSERT(strnlen(address.path, sizeof(address.path)) <= LISTEN_PATH_MAX);
		ASSERT(strnlen(address.host, sizeof(address.host)) <= LISTEN_HOST_MAX);
		ASSERT(!address.path[0] == !!address.port);
		write_out(&address, written, sizeof(written));
		ASSERT(listen_address_parse(&again, "vnc", written, &err) == 0);
		ASSERT(memcmp(&address, &again, sizeof(address)) == 0);
		ASSERT(listen_address_is_public(&address) == listen_address_is_public(&again));
	}
	free(text);
	return 0;
}
