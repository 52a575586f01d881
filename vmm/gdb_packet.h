/*
 * The frames of gdb's remote serial protocol: bytes of a client to packets, answers to bytes. It
 * knows no command. Everything has a fixed size: nothing that a client sends makes it larger.
 *
 *   $data#cs       data with '}' before a byte that is sent XOR 0x20; cs: the sum of all bytes
 *   + -            the last packet came whole, or has to be sent again; until QStartNoAckMode
 *   0x03           stop the machine
 *
 * Threats
 *   what a client can send or do   limit                                  where          test
 *   a packet without an end        GDB_PACKET_MAX, the rest is dropped    gdb_input      too_long
 *   a wrong sum                    asked for again                        gdb_input      wrong_sum
 *   something else than gdb's      GDB_INPUT_STRANGE: the client is cut   gdb_input      strangers
 *   (a browser's request)          off
 *   requests, no answer read       GDB_OUT_MAX, no more is read           gdb.c          never_reads
 *
 * Threads: none of its own.
 * Source: Debugging with GDB, appendix "GDB Remote Serial Protocol", Overview.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/util.h"

enum {
	GDB_PACKET_MAX = 8192, /* of data, from the client */
	GDB_OUT_MAX = 65536,
};

enum gdb_input_event {
	GDB_INPUT_NONE,
	GDB_INPUT_PACKET, /* gdb_input.data, .len; a zero byte stands behind it */
	GDB_INPUT_BAD,	  /* a packet with a wrong sum */
	GDB_INPUT_LONG,	  /* a packet of more than GDB_PACKET_MAX bytes */
	GDB_INPUT_STOP,
	GDB_INPUT_AGAIN, /* '-' */
	GDB_INPUT_STRANGE,
};

enum gdb_input_state {
	GDB_INPUT_BETWEEN,
	GDB_INPUT_DATA,
	GDB_INPUT_ESCAPED,
	GDB_INPUT_SUM_HIGH,
	GDB_INPUT_SUM_LOW,
};

/* Zero is one that has seen nothing. */
struct gdb_input {
	enum gdb_input_state state;
	uint8_t sum, sum_high;
	bool is_long, is_bad;
	size_t len;
	uint8_t data[GDB_PACKET_MAX + 1];
};

/* Takes one byte of the client's. */
enum gdb_input_event gdb_input_take(struct gdb_input *input, uint8_t byte);

/* Bytes for the client. A packet is in it whole or not at all. Zero is empty. */
struct gdb_out {
	size_t len, sent;
	size_t last, last_len; /* the last packet, to send again */
	size_t start;	       /* of the packet being made */
	bool is_full;	       /* the packet being made did not fit */
	uint8_t sum;
	uint8_t bytes[GDB_OUT_MAX];
};

/* A byte outside of packets: '+' or '-'. */
void gdb_out_ack(struct gdb_out *out, char byte);

void gdb_out_begin(struct gdb_out *out);
void gdb_out_put(struct gdb_out *out, const void *bytes, size_t len); /* escaped where needed */
void gdb_out_text(struct gdb_out *out, const char *format, ...) PRINTF_LIKE(2, 3);
void gdb_out_hex(struct gdb_out *out, const void *bytes, size_t len);
/* False when it did not fit: nothing of it will be sent. */
bool gdb_out_end(struct gdb_out *out);

/* A whole packet of text. */
void gdb_out_packet(struct gdb_out *out, const char *text);

/* The last packet once more, if there still is one and nothing else is due. */
void gdb_out_again(struct gdb_out *out);

/*
 * Reads a hexadecimal number of 1 to 16 digits and moves *text behind it; false when there is none
 * or it is longer.
 */
bool gdb_read_hex(const char **text, uint64_t *value);

/* As before, and the byte `delimiter` behind it, which is passed too. */
bool gdb_read_hex_to(const char **text, char delimiter, uint64_t *value);

/* 2 * len hexadecimal digits to bytes; false when there are fewer or others. */
bool gdb_read_bytes(const char *text, void *bytes, size_t len);
