/*
 * What stands in guest memory before the first instruction, read back from there and told by
 * --explain (vmm/core/explain.h): GDT, page tables, boot_params or PVH start info, ACPI tables, the
 * state of the processor. Knows nothing of how it came there.
 */
#pragma once

#include "vmm/core/cpu_entry.h"
#include "vmm/core/gmem.h"

/* Reads guest memory only; what can't be read is left out. */
void boot_explain(const struct gmem *mem, const struct cpu_entry *entry);
