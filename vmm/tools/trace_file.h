/*
 * Reads a file that --trace wrote (vmm/core/trace_format.h). The file may be anything: what it says
 * is checked here once, so that who goes through the events finds no number out of its range.
 *
 * One thread; a loaded trace does not change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/core/trace_format.h"

enum {
	TRACE_FACTS_MAX = 1024,
	TRACE_DEVICES_MAX = 256,
};

#define TRACE_FILE_BYTES_MAX (4 * GIB)

struct trace_fact {
	const char *key, *value; /* printable ASCII */
};

struct trace_file {
	struct trace_header header;
	struct trace_fact facts[TRACE_FACTS_MAX];
	unsigned fact_count;
	const struct trace_device *devices[TRACE_DEVICES_MAX]; /* by number; NULL: there is none */
	unsigned device_count;				       /* the highest number and one */

	/*
	 * All records with a time, in its order: TRACE_EXIT to TRACE_END. Their devices are in
	 * `devices` or TRACE_DEVICE_NONE, reasons below TRACE_REASON_COUNT, sources below
	 * header.cpus or TRACE_SOURCE_HOST.
	 */
	const struct trace_record **events;
	size_t event_count;
	uint64_t end_ns; /* the last time that anything has */

	/*
	 * The recording, in its order. Devices are in `devices`; only requests and resets have
	 * none. Kinds are below TRACE_TAPE_KINDS, sizes of accesses are 1, 2, 4 or 8.
	 */
	const struct trace_tape **tape;
	size_t tape_count;

	uint64_t lost;	/* records that were not written */
	size_t unknown; /* records of kinds that this reader does not know */
	bool is_cut;	/* the last record is not whole */
	bool has_ended; /* the machine's end is in it */
	uint8_t *bytes; /* owned: all the others lie in it */
	size_t byte_count;
	char *texts; /* owned: the facts */
};

/*
 * Loads the file of that name, - is standard input. Error: -errno and a sentence of kind
 * EXIT_CODE_IMAGE. trace_file_free() is due only after success.
 */
int trace_file_load(struct trace_file *file, const char *path, struct err *err);

/* The same from memory, which is copied; `name` is for the sentence. */
int trace_file_parse(struct trace_file *file, const char *name, const void *bytes, size_t count,
	struct err *err);
void trace_file_free(struct trace_file *file);

/* The value of the first fact of that name, or NULL. */
const char *trace_file_fact(const struct trace_file *file, const char *key);

/* "serial0"; "" for TRACE_DEVICE_NONE. */
const char *trace_file_device_name(const struct trace_file *file, unsigned number);

/* The number of the device of that name, or TRACE_DEVICE_NONE. */
unsigned trace_file_find_device(const struct trace_file *file, const char *name);

/* Of one of `events`. */
uint64_t trace_event_time_ns(const struct trace_record *event);

/* The device of an exit, interrupt or kick, else TRACE_DEVICE_NONE. */
unsigned trace_event_device(const struct trace_record *event);

/* How long it took, of an exit or kick, else 0. */
uint32_t trace_event_took_ns(const struct trace_record *event);

/* For an exit that is a guest's mark (a write to the boot-mark device): true and its number. */
bool trace_event_mark(
	const struct trace_file *file, const struct trace_record *event, unsigned *number);

/* In words and as a word: "port write", "pio-write". */
const char *trace_reason_text(unsigned reason);
const char *trace_reason_key(unsigned reason);
