/*
 * See exit_ring.h.
 */
#include "vmm/kvm/exit_ring.h"

#include <stdio.h>

#include "vmm/base/util.h"

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
