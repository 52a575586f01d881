/*
 * gdb_regs: what gdb is told of the registers, and the places in the struct that it reaches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <asm/processor-flags.h>
#include <cmocka.h>

#include "vmm/base/util.h"
#include "vmm/gdb_regs.h"

static char xml[GDB_XML_MAX];

static unsigned count_in(const char *text, const char *word)
{
	unsigned count = 0;

	for (; (text = strstr(text, word)); text++)
		count++;
	return count;
}

/* The number of a register by its place in the description. */
static unsigned find(enum cpu_mode mode, const char *name)
{
	char word[40];
	const char *at;
	unsigned nth = 0;

	gdb_regs_describe(mode, xml, sizeof(xml));
	snprintf(word, sizeof(word), "<reg name=\"%s\"", name);
	at = strstr(xml, word);
	assert_non_null(at);
	for (const char *p = xml; (p = strstr(p, "<reg ")) && p < at; p++)
		nth++;
	return nth;
}

static uint64_t get(enum cpu_mode mode, const char *name, const struct cpu_regs *regs)
{
	uint8_t bytes[GDB_REG_BYTES_MAX];
	unsigned nth = find(mode, name);

	gdb_reg_get(mode, nth, regs, bytes);
	return util_low_bytes(load_le64(bytes), gdb_reg_bytes(mode, nth) >= 8 ? 8 : 4);
}

static void set(enum cpu_mode mode, const char *name, struct cpu_regs *regs, uint64_t value)
{
	uint8_t bytes[GDB_REG_BYTES_MAX] = {0};

	store_le64(bytes, value);
	gdb_reg_set(mode, find(mode, name), regs, bytes);
}

static const enum cpu_mode modes[] = {CPU_MODE_16, CPU_MODE_32, CPU_MODE_64};

static void description_fits_the_registers(void **state)
{
	static const char *const names[] = {
		"<architecture>i8086<", "<architecture>i386<", "<architecture>i386:x86-64<"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		size_t len = gdb_regs_describe(modes[i], xml, sizeof(xml)), bits = 0;

		assert_int_equal(len, strlen(xml));
		assert_true(len < sizeof(xml) - 1000);
		assert_int_equal(count_in(xml, "<reg "), gdb_regs_count(modes[i]));
		assert_non_null(strstr(xml, names[i]));
		assert_int_equal(count_in(xml, "<feature "), count_in(xml, "</feature>"));
		for (const char *p = xml; (p = strstr(p, "bitsize=\"")); p++) {
			unsigned width = 0;

			assert_int_equal(sscanf(p, "bitsize=\"%u\"", &width), 1);
			bits += width;
		}
		assert_int_equal(bits, gdb_regs_bytes(modes[i]) * 8);
		assert_true(gdb_regs_bytes(modes[i]) <= GDB_REGS_BYTES_MAX);
		/* A cut one is cut inside its buffer. */
		assert_int_equal(gdb_regs_describe(modes[i], xml, 100), 99);
	}
}

/* gdb knows these by their places. */
static void order_is_gdbs(void **state)
{
	static const char *const order64[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp",
		"rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags", "cs",
		"ss", "ds", "es", "fs", "gs", "st0"};
	static const char *const order32[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi",
		"edi", "eip", "eflags", "cs", "ss", "ds", "es", "fs", "gs", "st0"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(order64); i++)
		assert_int_equal(find(CPU_MODE_64, order64[i]), i);
	for (unsigned i = 0; i < ARRAY_SIZE(order32); i++) {
		assert_int_equal(find(CPU_MODE_32, order32[i]), i);
		assert_int_equal(find(CPU_MODE_16, order32[i]), i);
	}
}

static void every_register_is_written_and_read(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
		for (unsigned i = 0; i < gdb_regs_count(modes[m]); i++) {
			struct cpu_regs regs = {.cr0 = X86_CR0_PE}, before = regs;
			uint8_t bytes[GDB_REG_BYTES_MAX], got[GDB_REG_BYTES_MAX];

			gdb_reg_get(modes[m], i, &regs, bytes);
			gdb_reg_set(modes[m], i, &regs, bytes);
			assert_memory_equal(&regs, &before, sizeof(regs));
			bytes[0] ^= 0xff;
			gdb_reg_set(modes[m], i, &regs, bytes);
			assert_memory_not_equal(&regs, &before, sizeof(regs));
			gdb_reg_get(modes[m], i, &regs, got);
			assert_memory_equal(got, bytes, gdb_reg_bytes(modes[m], i));
		}
	}
}

static void program_counter_is_linear(void **state)
{
	struct cpu_regs regs = {
		.rip = 0xfff0, .segments[CPU_CS] = {.selector = 0xf000, .base = 0xffff0000}};

	(void)state;
	assert_int_equal(gdb_regs_mode(&regs), CPU_MODE_16);
	assert_string_equal(gdb_regs_mode_name(&regs), "16-bit real mode");
	assert_int_equal(get(CPU_MODE_16, "eip", &regs), 0xfffffff0);
	assert_int_equal(get(CPU_MODE_16, "pc_offset", &regs), 0xfff0);
	set(CPU_MODE_16, "eip", &regs, 0xffff0100);
	assert_int_equal(regs.rip, 0x100);
	/* The selector takes its base along; the address of the program counter moves. */
	set(CPU_MODE_16, "cs", &regs, 0x7c0);
	assert_int_equal(regs.segments[CPU_CS].base, 0x7c00);
	assert_int_equal(get(CPU_MODE_16, "eip", &regs), 0x7d00);
	/* In protected mode a selector is only a number. */
	regs.cr0 = X86_CR0_PE;
	regs.segments[CPU_CS].access = CPU_ACCESS_BIG;
	assert_int_equal(gdb_regs_mode(&regs), CPU_MODE_32);
	set(CPU_MODE_32, "cs", &regs, 0x8);
	assert_int_equal(regs.segments[CPU_CS].base, 0x7c00);
	regs.efer = 1 << 10;
	regs.segments[CPU_CS].access = CPU_ACCESS_LONG;
	regs.rip = UINT64_C(0xffffffff81000000);
	assert_int_equal(gdb_regs_mode(&regs), CPU_MODE_64);
	assert_true(gdb_regs_linear_pc(&regs) == regs.rip);
	assert_true(get(CPU_MODE_64, "rip", &regs) == regs.rip);
}

/* A description of 32-bit code shows halves; writing one back unchanged keeps the rest. */
static void halves_are_kept(void **state)
{
	struct cpu_regs regs = {.cr0 = X86_CR0_PE, .gpr[CPU_RAX] = UINT64_C(0x1122334455667788)};
	uint8_t bytes[GDB_REG_BYTES_MAX];

	(void)state;
	gdb_reg_get(CPU_MODE_32, 0, &regs, bytes);
	assert_int_equal(load_le32(bytes), 0x55667788);
	gdb_reg_set(CPU_MODE_32, 0, &regs, bytes);
	assert_true(regs.gpr[CPU_RAX] == UINT64_C(0x1122334455667788));
}

static void floating_point_has_gdbs_form(void **state)
{
	struct cpu_regs regs = {
		.cr0 = X86_CR0_PE, .ftw = 0x81, .fip = UINT64_C(0x1234567890abcdef)};

	(void)state;
	assert_int_equal(get(CPU_MODE_64, "ftag", &regs), 0x3ffc);
	set(CPU_MODE_64, "ftag", &regs, 0xffff);
	assert_int_equal(regs.ftw, 0);
	assert_int_equal(get(CPU_MODE_64, "fioff", &regs), 0x90abcdef);
	assert_int_equal(get(CPU_MODE_64, "fiseg", &regs), 0x12345678);
	set(CPU_MODE_64, "fiseg", &regs, 1);
	assert_true(regs.fip == UINT64_C(0x190abcdef));
	memset(regs.st[7], 0xa5, 10);
	assert_true(get(CPU_MODE_64, "st7", &regs) == UINT64_C(0xa5a5a5a5a5a5a5a5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(description_fits_the_registers),
		cmocka_unit_test(order_is_gdbs),
		cmocka_unit_test(every_register_is_written_and_read),
		cmocka_unit_test(program_counter_is_linear),
		cmocka_unit_test(halves_are_kept),
		cmocka_unit_test(floating_point_has_gdbs_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
