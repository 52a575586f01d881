/*
 * See gdb_packet.h.
 */
#include "vmm/gdb_packet.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	BYTE_STOP = 0x03,
	ESCAPE_XOR = 0x20,
	TEXT_MAX = 1024, /* of one gdb_out_text() */
};

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* ---- Input ---- */

static enum gdb_input_event take_between(struct gdb_input *input, uint8_t byte)
{
	switch (byte) {
	case '$':
		input->state = GDB_INPUT_DATA;
		input->len = 0;
		input->sum = 0;
		input->is_long = input->is_bad = false;
		return GDB_INPUT_NONE;
	case '+':
		return GDB_INPUT_NONE;
	case '-':
		return GDB_INPUT_AGAIN;
	case BYTE_STOP:
		return GDB_INPUT_STOP;
	default:
		return GDB_INPUT_STRANGE;
	}
}

static void keep(struct gdb_input *input, uint8_t byte)
{
	if (input->len == GDB_PACKET_MAX)
		input->is_long = true;
	else
		input->data[input->len++] = byte;
}

static enum gdb_input_event finish_packet(struct gdb_input *input, uint8_t digit)
{
	input->state = GDB_INPUT_BETWEEN;
	input->data[input->len] = 0;
	if (hex_digit(input->sum_high) < 0 || hex_digit(digit) < 0 ||
		(hex_digit(input->sum_high) << 4 | hex_digit(digit)) != input->sum)
		return GDB_INPUT_BAD;
	return input->is_long ? GDB_INPUT_LONG : GDB_INPUT_PACKET;
}

enum gdb_input_event gdb_input_take(struct gdb_input *input, uint8_t byte)
{
	switch (input->state) {
	case GDB_INPUT_BETWEEN:
		return take_between(input, byte);
	case GDB_INPUT_SUM_HIGH:
		input->sum_high = byte;
		input->state = GDB_INPUT_SUM_LOW;
		return GDB_INPUT_NONE;
	case GDB_INPUT_SUM_LOW:
		return finish_packet(input, byte);
	default:
		break;
	}
	if (byte == '#') {
		input->state = GDB_INPUT_SUM_HIGH;
		return GDB_INPUT_NONE;
	}
	input->sum = (uint8_t)(input->sum + byte);
	if (input->state == GDB_INPUT_ESCAPED) {
		keep(input, byte ^ ESCAPE_XOR);
		input->state = GDB_INPUT_DATA;
	} else if (byte == '}') {
		input->state = GDB_INPUT_ESCAPED;
	} else {
		keep(input, byte);
	}
	return GDB_INPUT_NONE;
}

/* ---- Output ---- */

static void put_raw(struct gdb_out *out, uint8_t byte)
{
	/* Room for the end of the packet stays. */
	if (out->len + 3 >= sizeof(out->bytes)) {
		out->is_full = true;
		return;
	}
	out->bytes[out->len++] = byte;
	out->sum = (uint8_t)(out->sum + byte);
}

/* What is written at the begin takes the place of the packet that was sent last. */
static void forget_last(struct gdb_out *out)
{
	if (!out->len)
		out->last_len = 0;
}

void gdb_out_ack(struct gdb_out *out, char byte)
{
	forget_last(out);
	if (out->len < sizeof(out->bytes))
		out->bytes[out->len++] = (uint8_t)byte;
}

void gdb_out_begin(struct gdb_out *out)
{
	forget_last(out);
	out->start = out->len;
	out->is_full = false;
	put_raw(out, '$');
	out->sum = 0;
}

void gdb_out_put(struct gdb_out *out, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++) {
		bool is_special =
			from[i] == '$' || from[i] == '#' || from[i] == '}' || from[i] == '*';

		if (is_special)
			put_raw(out, '}');
		put_raw(out, is_special ? from[i] ^ ESCAPE_XOR : from[i]);
	}
}

void gdb_out_text(struct gdb_out *out, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (n > 0)
		gdb_out_put(out, text, MIN((size_t)n, sizeof(text) - 1));
}

static const char hex_digits[] = "0123456789abcdef";

void gdb_out_hex(struct gdb_out *out, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++) {
		put_raw(out, (uint8_t)hex_digits[from[i] >> 4]);
		put_raw(out, (uint8_t)hex_digits[from[i] & 15]);
	}
}

bool gdb_out_end(struct gdb_out *out)
{
	uint8_t sum = out->sum;

	if (out->is_full) {
		out->len = out->start;
		return false;
	}
	out->bytes[out->len++] = '#';
	out->bytes[out->len++] = (uint8_t)hex_digits[sum >> 4];
	out->bytes[out->len++] = (uint8_t)hex_digits[sum & 15];
	out->last = out->start;
	out->last_len = out->len - out->start;
	return true;
}

void gdb_out_packet(struct gdb_out *out, const char *text)
{
	gdb_out_begin(out);
	gdb_out_put(out, text, strlen(text));
	gdb_out_end(out);
}

void gdb_out_again(struct gdb_out *out)
{
	if (out->len || !out->last_len)
		return;
	memmove(out->bytes, out->bytes + out->last, out->last_len);
	out->last = 0;
	out->len = out->last_len;
	out->sent = 0;
}

/* ---- Numbers ---- */

bool gdb_read_hex(const char **text, uint64_t *value)
{
	unsigned digits = 0;

	*value = 0;
	for (; hex_digit((uint8_t) * *text) >= 0; (*text)++) {
		if (++digits > 16)
			return false;
		*value = *value << 4 | (unsigned)hex_digit((uint8_t) * *text);
	}
	return digits > 0;
}

bool gdb_read_hex_to(const char **text, char delimiter, uint64_t *value)
{
	if (!gdb_read_hex(text, value) || **text != delimiter)
		return false;
	(*text)++;
	return true;
}

bool gdb_read_bytes(const char *text, void *bytes, size_t len)
{
	uint8_t *to = bytes;

	for (size_t i = 0; i < len; i++) {
		int high = hex_digit((uint8_t)text[i * 2]);
		int low = high < 0 ? -1 : hex_digit((uint8_t)text[i * 2 + 1]);

		if (low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
