/*
 * See aml.h. Knows nothing of the machine's devices. All that comes in was
 * declared by our own code; only the amount is not known, so writes are bounded.
 */
#include "firmware/aml.h"

#include <string.h>

#include "vmm/base/util.h"

enum {
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_DWORD = 0x0c,
	AML_STRING = 0x0d,
	AML_QWORD = 0x0e,
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_EXTENDED = 0x5b,
	AML_DEVICE = 0x82, /* after AML_EXTENDED */

	RES_IO = 0x47,
	RES_IRQ_NO_FLAGS = 0x22,
	RES_END = 0x79,
	RES_MEMORY32_FIXED = 0x86,
	RES_EXTENDED_IRQ = 0x89,
	RES_QWORD_ADDRESS = 0x8a,

	ISA_IRQS = 16,
	NAME_CHARS = 4,
};

static void put_bytes(struct aml *aml, const void *data, size_t len)
{
	if (aml->used <= aml->room && len <= aml->room - aml->used)
		memcpy(aml->buf + aml->used, data, len);
	aml->used += len;
}

static void put8(struct aml *aml, uint8_t value)
{
	put_bytes(aml, &value, sizeof(value));
}

static void put16(struct aml *aml, uint16_t value)
{
	put_bytes(aml, &value, sizeof(value));
}

static void put32(struct aml *aml, uint32_t value)
{
	put_bytes(aml, &value, sizeof(value));
}

static void put64(struct aml *aml, uint64_t value)
{
	put_bytes(aml, &value, sizeof(value));
}

static void put_name(struct aml *aml, const char *name)
{
	ASSERT(strlen(name) == NAME_CHARS);
	put_bytes(aml, name, NAME_CHARS);
}

static void put_integer(struct aml *aml, uint64_t value)
{
	if (value <= 1) {
		put8(aml, (uint8_t)value); /* ZeroOp, OneOp */
	} else if (value <= UINT8_MAX) {
		put8(aml, AML_BYTE);
		put8(aml, (uint8_t)value);
	} else if (value <= UINT16_MAX) {
		put8(aml, AML_WORD);
		put16(aml, (uint16_t)value);
	} else if (value <= UINT32_MAX) {
		put8(aml, AML_DWORD);
		put32(aml, (uint32_t)value);
	} else {
		put8(aml, AML_QWORD);
		put64(aml, value);
	}
}

/* 20.2.4: the length counts its own bytes; the first one holds two bits of how many follow. */
static size_t encode_length(uint8_t out[4], size_t content)
{
	size_t total = content + 1;

	if (total < 1 << 6) {
		out[0] = (uint8_t)total;
		return 1;
	}
	for (size_t more = 1; more <= 3; more++) {
		total = content + 1 + more;
		if (total >= (size_t)1 << (4 + 8 * more))
			continue;
		out[0] = (uint8_t)(more << 6 | (total & 0xf));
		for (size_t i = 1; i <= more; i++)
			out[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
		return 1 + more;
	}
	return 0; /* beyond 256 MiB: does not fit anyway */
}

/* What was put since `at` moves up to make room for `bytes` in front of it. */
static void insert(struct aml *aml, size_t at, const void *data, size_t bytes)
{
	if (aml->used + bytes <= aml->room) {
		memmove(aml->buf + at + bytes, aml->buf + at, aml->used - at);
		memcpy(aml->buf + at, data, bytes);
	}
	aml->used += bytes;
}

void aml_close(struct aml *aml, size_t opened)
{
	uint8_t length[4];
	size_t bytes = encode_length(length, aml->used - opened);

	insert(aml, opened, length, bytes);
}

size_t aml_scope(struct aml *aml, const char *name)
{
	size_t opened;

	put8(aml, AML_SCOPE);
	opened = aml->used;
	put_name(aml, name);
	return opened;
}

size_t aml_device(struct aml *aml, const char *name)
{
	size_t opened;

	put8(aml, AML_EXTENDED);
	put8(aml, AML_DEVICE);
	opened = aml->used;
	put_name(aml, name);
	return opened;
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
	put8(aml, AML_NAME);
	put_name(aml, name);
	put_integer(aml, value);
}

void aml_name_package(struct aml *aml, const char *name, const uint8_t *values, uint8_t count)
{
	size_t opened;

	put8(aml, AML_NAME);
	put_name(aml, name);
	put8(aml, AML_PACKAGE);
	opened = aml->used;
	put8(aml, count);
	for (uint8_t i = 0; i < count; i++)
		put_integer(aml, values[i]);
	aml_close(aml, opened);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 19.3.4: three letters of five bits, then four hex digits, big-endian. False: not of that form. */
static bool eisa_id(const char *text, uint32_t *id)
{
	uint32_t value = 0;

	if (strlen(text) != 7)
		return false;
	for (int i = 0; i < 3; i++) {
		if (text[i] < 'A' || text[i] > 'Z')
			return false;
		value = value << 5 | (uint32_t)(text[i] - '@');
	}
	for (int i = 3; i < 7; i++) {
		if (hex_digit(text[i]) < 0)
			return false;
		value = value << 4 | (uint32_t)hex_digit(text[i]);
	}
	*id = __builtin_bswap32(value);
	return true;
}

void aml_name_hid(struct aml *aml, const char *hid)
{
	uint32_t id;

	put8(aml, AML_NAME);
	put_name(aml, "_HID");
	if (eisa_id(hid, &id)) {
		put8(aml, AML_DWORD);
		put32(aml, id);
	} else {
		put8(aml, AML_STRING);
		put_bytes(aml, hid, strlen(hid) + 1);
	}
}

size_t aml_crs_begin(struct aml *aml)
{
	put8(aml, AML_NAME);
	put_name(aml, "_CRS");
	put8(aml, AML_BUFFER);
	return aml->used;
}

void aml_crs_end(struct aml *aml, size_t opened)
{
	uint8_t size[9];
	struct aml integer = {.buf = size, .room = sizeof(size)};

	put8(aml, RES_END);
	put8(aml, 0); /* no checksum */
	put_integer(&integer, aml->used - opened);
	insert(aml, opened, size, integer.used);
	aml_close(aml, opened);
}

void aml_crs_io(struct aml *aml, uint16_t base, uint8_t size)
{
	put8(aml, RES_IO);
	put8(aml, 1); /* decodes 16 bits */
	put16(aml, base);
	put16(aml, base);
	put8(aml, 1); /* alignment */
	put8(aml, size);
}

void aml_crs_memory32(struct aml *aml, uint32_t base, uint32_t size)
{
	put8(aml, RES_MEMORY32_FIXED);
	put16(aml, 9);
	put8(aml, 1); /* writable */
	put32(aml, base);
	put32(aml, size);
}

void aml_crs_memory64(struct aml *aml, uint64_t base, uint64_t size)
{
	put8(aml, RES_QWORD_ADDRESS);
	put16(aml, 43);
	put8(aml, 0);	 /* memory */
	put8(aml, 0x0d); /* consumer, both ends fixed */
	put8(aml, 1);	 /* writable, not cacheable */
	put64(aml, 0);	 /* granularity */
	put64(aml, base);
	put64(aml, base + size - 1);
	put64(aml, 0); /* translation */
	put64(aml, size);
}

void aml_crs_irq(struct aml *aml, uint32_t gsi, bool level, bool shared)
{
	if (gsi < ISA_IRQS && !level && !shared) {
		/* What the ISA bus means by an interrupt: edge, active high, one device. */
		put8(aml, RES_IRQ_NO_FLAGS);
		put16(aml, (uint16_t)(1u << gsi));
		return;
	}
	put8(aml, RES_EXTENDED_IRQ);
	put16(aml, 6);
	/* Consumer; edge or level; active high. */
	put8(aml, (uint8_t)(0x01 | (level ? 0 : 0x02) | (shared ? 0x08 : 0)));
	put8(aml, 1);
	put32(aml, gsi);
}
