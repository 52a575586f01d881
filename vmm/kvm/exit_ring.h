/*
 * The last exits of one vCPU, and how many there were of each kind. Written by
 * the vCPU's thread at each exit without a system call or lock. The counts may be read by
 * any thread; the ring only on the vCPU's thread or while it is parked.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_KIND_TABLE(X)                                                                         \
	X(EXIT_KIND_PIO_READ, "port read")                                                         \
	X(EXIT_KIND_PIO_WRITE, "port write")                                                       \
	X(EXIT_KIND_MMIO_READ, "MMIO read")                                                        \
	X(EXIT_KIND_MMIO_WRITE, "MMIO write")                                                      \
	X(EXIT_KIND_HALT, "halt")                                                                  \
	X(EXIT_KIND_SHUTDOWN, "shutdown")                                                          \
	X(EXIT_KIND_SYSTEM_EVENT, "system event")                                                  \
	X(EXIT_KIND_INTERRUPTED, "interrupted")                                                    \
	X(EXIT_KIND_INTERNAL_ERROR, "internal error")                                              \
	X(EXIT_KIND_FAIL_ENTRY, "failed entry")                                                    \
	X(EXIT_KIND_DEBUG, "debug stop")                                                           \
	X(EXIT_KIND_OTHER, "other")

#define EXIT_KIND_ENUM(name, text) name,
enum exit_kind {
	EXIT_KIND_TABLE(EXIT_KIND_ENUM) EXIT_KIND_COUNT
};
#undef EXIT_KIND_ENUM

enum {
	EXIT_RING_SIZE = 16
};

struct exit_record {
	enum exit_kind kind;
	uint64_t addr;	/* port or guest-physical address; the reason's number for OTHER */
	uint64_t value; /* read or written; of a string access the first element */
	uint64_t rip;	/* after the exit, as KVM hands it out; 0 = not known */
	uint32_t count; /* elements of a string access, else 1 */
	uint8_t size;	/* bytes of an element */
	bool unclaimed; /* no device answered */
};

struct exit_ring {
	struct exit_record records[EXIT_RING_SIZE];
	uint64_t total; /* exits recorded in the ring; the last is at (total - 1) % size */
	_Atomic uint64_t counts[EXIT_KIND_COUNT];
	_Atomic uint64_t unclaimed; /* accesses that no device answered */
};

/* One writer, the vCPU's thread, so a count is loaded and stored, not exchanged. */
static inline void exit_ring_add_one(_Atomic uint64_t *count)
{
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* A zeroed struct is an empty ring. The record is to be filled by the caller, who alone writes. */
static inline struct exit_record *exit_ring_push(struct exit_ring *ring, enum exit_kind kind)
{
	struct exit_record *record = &ring->records[ring->total++ % EXIT_RING_SIZE];

	*record = (struct exit_record){.kind = kind, .count = 1};
	exit_ring_add_one(&ring->counts[kind]);
	return record;
}

/* Counts without a record (for what happens too often to tell anything). */
static inline void exit_ring_count(struct exit_ring *ring, enum exit_kind kind)
{
	exit_ring_add_one(&ring->counts[kind]);
}

/* No device answered the access of this record. */
static inline void exit_ring_note_unclaimed(struct exit_ring *ring, struct exit_record *record)
{
	record->unclaimed = true;
	exit_ring_add_one(&ring->unclaimed);
}

/* The n-th latest, 0 = the last; NULL when there is none. */
const struct exit_record *exit_ring_latest(const struct exit_ring *ring, size_t nth);

/* "port write", … */
const char *exit_kind_name(enum exit_kind kind);

/* One line without newline: "port write 0x3f8 1 byte 0x41 at RIP 0x…". Cut to fit. */
void exit_record_print(const struct exit_record *record, char *text, size_t size);
