/*
 * The file that --trace writes and that vmm trace and vmm replay read.
 *
 * It begins with a struct trace_header; records follow to the end of the file. All numbers are
 * little-endian, records begin at multiples of 8 bytes, and each begins with a struct trace_record
 * that says how long it is, so that a reader steps over kinds it does not know. A file may end
 * anywhere: the program was killed, or the disk was full; what is whole is good.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC since trace_header.zero_ns. The records of one source
 * (a processor, or TRACE_SOURCE_HOST for all other threads) are in the order in which they
 * happened; those of several sources come in pieces, and their times say what was when.
 *
 * The structs are the format: they have no holes, their fields lie at multiples of their size, and
 * their lengths are asserted below. A change that an old reader would read wrongly is another
 * TRACE_VERSION.
 */
#pragma once

#include <stdint.h>

#define TRACE_MAGIC "vmmtrace"

enum {
	TRACE_MAGIC_BYTES = 8,
	TRACE_VERSION = 1,
	TRACE_CPUS_MAX = 1024,
	TRACE_SOURCE_HOST = 0xffff,
	TRACE_DEVICE_NONE = 0xffff,
	TRACE_NAME_BYTES = 24,
	TRACE_RECORD_BYTES_MAX = 1 << 17,
};

struct trace_header {
	char magic[TRACE_MAGIC_BYTES];
	uint32_t version;
	uint32_t
		header_bytes; /* the first record is there; more than this struct in later versions */
	uint64_t zero_ns;     /* CLOCK_MONOTONIC */
	uint64_t realtime_ns; /* CLOCK_REALTIME at the same moment */
	uint32_t cpus;
	uint32_t flags; /* TRACE_FLAG_* */
};

enum {
	TRACE_FLAG_RECORD = 1 << 0, /* has what vmm replay needs */
};

enum trace_type {
	TRACE_FACT = 1,	  /* text: KEY=VALUE, without a NUL */
	TRACE_DEVICE = 2, /* struct trace_device, then its resources */
	TRACE_EXIT = 3,	  /* struct trace_exit */
	TRACE_IRQ = 4,	  /* struct trace_irq */
	TRACE_KICK = 5,	  /* struct trace_kick */
	TRACE_LOST = 6,	  /* struct trace_lost */
	TRACE_RESET = 7,  /* struct trace_moment: the machine starts afresh */
	TRACE_TAPE = 9,	  /* struct trace_tape: for vmm replay */
	TRACE_END = 8,	  /* struct trace_moment: the machine has ended; the last record */
};

/* Opens each record. */
struct trace_record {
	uint8_t type; /* enum trace_type */
	uint8_t zero;
	uint16_t
		source; /* number of the processor on whose thread it happened, or TRACE_SOURCE_HOST */
	uint32_t bytes; /* of the whole record without what fills it up to a multiple of 8 */
};

enum trace_res_kind {
	TRACE_RES_PIO = 0,
	TRACE_RES_MMIO = 1,
	TRACE_RES_IRQ = 2,
};

struct trace_res {
	uint32_t kind;	/* enum trace_res_kind */
	uint32_t level; /* 1: a level-triggered interrupt */
	uint64_t base;	/* first port or address, or the interrupt's number */
	uint64_t size;
};

/* All devices stand before the first record with a time. */
struct trace_device {
	struct trace_record record;
	uint16_t number; /* what `device` in other records means; counts from 0 */
	uint16_t res_count;
	uint32_t zero;
	char name
		[TRACE_NAME_BYTES]; /* "serial0"; filled up with NUL, of which there is at least one */
	char class_name[TRACE_NAME_BYTES]; /* "serial" */
	struct trace_res res[];
};

/* X(name, key, text) */
#define TRACE_REASON_TABLE(X)                                                                      \
	X(TRACE_PIO_READ, "pio-read", "port read")                                                 \
	X(TRACE_PIO_WRITE, "pio-write", "port write")                                              \
	X(TRACE_MMIO_READ, "mmio-read", "MMIO read")                                               \
	X(TRACE_MMIO_WRITE, "mmio-write", "MMIO write")                                            \
	X(TRACE_HALT, "halt", "halt")                                                              \
	X(TRACE_SHUTDOWN, "shutdown", "shutdown")                                                  \
	X(TRACE_SYSTEM_EVENT, "system-event", "system event")                                      \
	X(TRACE_INTERRUPTED, "interrupted", "interrupted")                                         \
	X(TRACE_INTERNAL_ERROR, "internal-error", "internal error")                                \
	X(TRACE_FAIL_ENTRY, "fail-entry", "failed entry")                                          \
	X(TRACE_OTHER, "other", "other")                                                           \
	X(TRACE_DEBUG, "debug", "debug stop")

#define TRACE_REASON_ENUM(name, key, text) name,
enum trace_reason {
	TRACE_REASON_TABLE(TRACE_REASON_ENUM) TRACE_REASON_COUNT
};
#undef TRACE_REASON_ENUM

enum {
	TRACE_EXIT_UNCLAIMED = 1 << 0, /* no device answered */
};

/* The guest came out of KVM, and went back `took_ns` later. */
struct trace_exit {
	struct trace_record record;
	uint64_t time_ns;
	uint64_t rip;	  /* 0 = not known */
	uint64_t addr;	  /* port, guest-physical address, or a number of KVM's that says more */
	uint64_t value;	  /* read or written; of a string instruction the first element */
	uint32_t took_ns; /* in the handler, at most UINT32_MAX */
	uint32_t count;	  /* elements of a string instruction, else 1 */
	uint16_t device;  /* that answered, or TRACE_DEVICE_NONE */
	uint8_t reason;	  /* enum trace_reason */
	uint8_t size;	  /* bytes of an element, 0 to 8 */
	uint32_t flags;	  /* TRACE_EXIT_* */
};

enum trace_irq_what {
	TRACE_IRQ_LOW = 0,
	TRACE_IRQ_HIGH = 1,
	TRACE_IRQ_PULSE = 2,
};

/* A device moved its interrupt line. */
struct trace_irq {
	struct trace_record record;
	uint64_t time_ns;
	uint16_t device;
	uint16_t gsi;
	uint32_t what; /* enum trace_irq_what */
};

/* A device begins to look at a queue that its driver kicked. */
struct trace_kick {
	struct trace_record record;
	uint64_t time_ns;
	uint32_t took_ns;
	uint16_t device;
	uint16_t queue;
};

/* Here `count` records of this source are missing: nobody wrote them out in time. */
struct trace_lost {
	struct trace_record record;
	uint64_t time_ns; /* of the first */
	uint64_t count;
};

/*
 * What vmm replay needs: all that devices were told, and what they answered. `seq` is the order of
 * all of these on all threads, without a gap when nothing was lost. What a device was told by an
 * access stands behind it.
 */
enum trace_tape_kind {
	/* An access as its device saw it: TRACE_PIO_READ to TRACE_MMIO_WRITE, `addr`, `size`, `value`. */
	TRACE_TAPE_ACCESS_LAST = TRACE_MMIO_WRITE,
	TRACE_TAPE_VALUE,    /* what the host's clock said to the device */
	TRACE_TAPE_TIMER,    /* its timer fired */
	TRACE_TAPE_BYTES,    /* bytes came in from its host side */
	TRACE_TAPE_BREAK,    /* a break condition came in */
	TRACE_TAPE_ROOM,     /* its host side takes output again, which it had not */
	TRACE_TAPE_LINE,     /* what it did with its interrupt `addr`: enum trace_irq_what */
	TRACE_TAPE_FEATURES, /* virtio, at the start: what it offers */
	TRACE_TAPE_CONFIG,   /* virtio: its configuration space, with its generation */
	TRACE_TAPE_CAUSE,   /* virtio: it interrupted, for reason 1 (queues) or 2 (configuration) */
	TRACE_TAPE_BROKEN,  /* virtio: it asks for a reset */
	TRACE_TAPE_BUTTON,  /* its button was pressed */
	TRACE_TAPE_REQUEST, /* of no device: the guest asked for `addr`, enum machine_request */
	TRACE_TAPE_RESET,   /* of no device: all were reset */
	TRACE_TAPE_KINDS,
};

struct trace_tape {
	struct trace_record record;
	uint64_t seq;
	uint64_t addr;
	uint64_t value;
	uint16_t device; /* or TRACE_DEVICE_NONE */
	uint8_t kind;	 /* enum trace_reason of an access, enum trace_tape_kind */
	uint8_t size;
	uint32_t zero;
	uint8_t bytes[]; /* to the end of the record */
};

struct trace_moment {
	struct trace_record record;
	uint64_t time_ns;
};

_Static_assert(sizeof(struct trace_header) == 40, "the format's");
_Static_assert(sizeof(struct trace_record) == 8, "the format's");
_Static_assert(sizeof(struct trace_res) == 24, "the format's");
_Static_assert(sizeof(struct trace_device) == 64, "the format's");
_Static_assert(sizeof(struct trace_exit) == 56, "the format's");
_Static_assert(sizeof(struct trace_irq) == 24, "the format's");
_Static_assert(sizeof(struct trace_kick) == 24, "the format's");
_Static_assert(sizeof(struct trace_lost) == 24, "the format's");
_Static_assert(sizeof(struct trace_tape) == 40, "the format's");
_Static_assert(sizeof(struct trace_moment) == 16, "the format's");
