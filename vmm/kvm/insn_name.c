/*
 * See insn_name.h. Intel SDM vol. 2, appendix A (opcode maps).
 */
#include "vmm/kvm/insn_name.h"

#include <stdbool.h>

#include "vmm/base/util.h"

enum {
	ANY = -1
};

struct insn {
	uint8_t map; /* 1: one-byte opcodes, 2: after 0F */
	uint8_t opcode;
	int8_t reg;   /* bits 3 to 5 of ModRM, or ANY */
	int8_t rex_w; /* 0, 1 or ANY */
	const char *name;
};

static const struct insn known[] = {
	{2, 0xc7, 1, 1, "cmpxchg16b"},
	{2, 0xc7, 1, 0, "cmpxchg8b"},
	{2, 0xc7, 3, ANY, "xrstors"},
	{2, 0xc7, 4, ANY, "xsavec"},
	{2, 0xc7, 5, ANY, "xsaves"},
	{2, 0xae, 0, ANY, "fxsave"},
	{2, 0xae, 1, ANY, "fxrstor"},
	{2, 0xae, 4, ANY, "xsave"},
	{2, 0xae, 5, ANY, "xrstor"},
	{2, 0xae, 6, ANY, "xsaveopt"},
	{2, 0xa2, ANY, ANY, "cpuid"},
	{2, 0x05, ANY, ANY, "syscall"},
	{2, 0x07, ANY, ANY, "sysret"},
	{2, 0x0b, ANY, ANY, "ud2"},
	{2, 0x30, ANY, ANY, "wrmsr"},
	{2, 0x31, ANY, ANY, "rdtsc"},
	{2, 0x32, ANY, ANY, "rdmsr"},
	{1, 0xcc, ANY, ANY, "int3"},
	{1, 0xcd, ANY, ANY, "int"},
	{1, 0xcf, ANY, ANY, "iret"},
	{1, 0xf4, ANY, ANY, "hlt"},
};

static bool is_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

const char *insn_name(const uint8_t *bytes, size_t len)
{
	int rex_w = 0, reg = ANY;
	uint8_t map = 1;
	size_t at = 0;

	while (at < len && is_prefix(bytes[at]))
		at++;
	if (at < len && (bytes[at] & 0xf0) == 0x40)
		rex_w = bytes[at++] >> 3 & 1;
	if (at < len && (bytes[at] == 0xc4 || bytes[at] == 0xc5))
		return "an AVX instruction";
	if (at < len && bytes[at] == 0x62)
		return "an AVX-512 instruction";
	if (at < len && bytes[at] == 0x0f) {
		map = 2;
		at++;
	}
	if (at >= len)
		return NULL;
	if (at + 1 < len)
		reg = bytes[at + 1] >> 3 & 7;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].map == map && known[i].opcode == bytes[at] &&
			(known[i].reg == ANY || known[i].reg == reg) &&
			(known[i].rex_w == ANY || known[i].rex_w == rex_w))
			return known[i].name;
	return NULL;
}
