/*
 * See exit_ring.h. One writer, the vCPU's thread, so a count is loaded and
 * stored, not exchanged.
 */
#include "vmm/kvm/exit_ring.h"

#include <stdio.h>

#include "vmm/base/util.h"

static void add_one(_Atomic uint64_t *count)
{
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
}

struct exit_record *exit_ring_push(struct exit_ring *ring, enum exit_kind kind)
{
	struct exit_record *record = &ring->records[ring->total++ % EXIT_RING_SIZE];

	*record = (struct exit_record){.kind = kind, .count = 1};
	add_one(&ring->counts[kind]);
	return record;
}

void exit_ring_count(struct exit_ring *ring, enum exit_kind kind)
{
	add_one(&ring->counts[kind]);
}

void exit_ring_note_unclaimed(struct exit_ring *ring, struct exit_record *record)
{
	record->unclaimed = true;
	add_one(&ring->unclaimed);
}

const struct exit_record *exit_ring_latest(const struct exit_ring *ring, size_t nth)
{
	if (nth >= EXIT_RING_SIZE || nth >= ring->total)
		return NULL;
	return &ring->records[(ring->total - 1 - nth) % EXIT_RING_SIZE];
}

const char *exit_kind_name(enum exit_kind kind)
{
#define EXIT_KIND_TEXT(name, text) [name] = text,
	static const char *const texts[] = {EXIT_KIND_TABLE(EXIT_KIND_TEXT)};
#undef EXIT_KIND_TEXT

	return kind < EXIT_KIND_COUNT ? texts[kind] : "?";
}

static bool is_access(enum exit_kind kind)
{
	return kind == EXIT_KIND_PIO_READ || kind == EXIT_KIND_PIO_WRITE ||
		kind == EXIT_KIND_MMIO_READ || kind == EXIT_KIND_MMIO_WRITE;
}

void exit_record_print(const struct exit_record *record, char *text, size_t size)
{
	char rip[32] = "", count[32] = "", detail[80] = "";

	if (record->rip)
		snprintf(rip, sizeof(rip), " at RIP 0x%llx", (unsigned long long)record->rip);
	if (record->count != 1)
		snprintf(count, sizeof(count), ", %u times", record->count);
	if (is_access(record->kind))
		snprintf(detail, sizeof(detail), " 0x%llx, %u byte%s, 0x%0*llx",
			(unsigned long long)record->addr, record->size,
			record->size == 1 ? "" : "s", record->size * 2,
			(unsigned long long)record->value);
	else if (record->kind == EXIT_KIND_OTHER || record->kind == EXIT_KIND_SYSTEM_EVENT ||
		record->kind == EXIT_KIND_INTERNAL_ERROR || record->kind == EXIT_KIND_FAIL_ENTRY)
		snprintf(detail, sizeof(detail), " %llu", (unsigned long long)record->addr);
	snprintf(text, size, "%s%s%s%s%s", exit_kind_name(record->kind), detail, count, rip,
		record->unclaimed ? " (no device there)" : "");
}
