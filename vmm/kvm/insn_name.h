/*
 * Names for the few x86 instructions that some KVM can't emulate, so that a
 * person need not decode bytes. No disassembler. No state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "cmpxchg16b", "int3", "an AVX instruction", …; NULL when it is none of those known. */
const char *insn_name(const uint8_t *bytes, size_t len);
