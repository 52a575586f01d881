/*
 * explain: lines come out as they were said, nothing is said when nobody listens; what stands in
 * guest memory is told by the names of its specifications.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/acpi.h"
#include "firmware/acpi_files.h"
#include "firmware/boot_explain.h"
#include "firmware/cmdline.h"
#include "firmware/entry.h"
#include "firmware/layout.h"
#include "firmware/setup_fields.h"
#include "vmm/core/explain.h"
#include "vmm/kvm/kvm_call.h"

enum {
	TEXT_BYTES = 32768
};

static char text[TEXT_BYTES], path[] = "/tmp/test-explain-XXXXXX";
static struct gmem mem;
static const uint32_t apic_ids[] = {0, 1};
static const struct boot_machine some_machine = {.cmdline = "quiet",
	.apic_ids = apic_ids,
	.cpu_count = 2,
	.lapic_base = 0xfee00000,
	.ioapic_base = 0xfec00000,
	.reset_port = 0xcf9,
	.reset_value = 6,
	.pit_gsi = 2};

static void listen(void)
{
	struct err err = ERR_INIT;

	assert_int_equal(explain_start(path, STDERR_FILENO, &err), 0);
	assert_true(explain_is_on());
}

static void read_text(void)
{
	FILE *file = fopen(path, "r");
	size_t len;

	explain_stop();
	assert_false(explain_is_on());
	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
}

static void assert_said(const char *words)
{
	if (!strstr(text, words))
		fail_msg("not said: %s\n%s", words, text);
}

/* ---- The sink ---- */

static void lines_and_headings(void **state)
{
	(void)state;
	explain_head("nobody listens");
	listen();
	explain_head("One");
	explain("a\tb\x1b[31m%d", 7);
	explain_detail("%s", explain_size(3 * MIB / 2));
	explain_hold(true);
	explain("not this");
	explain_hold(false);
	explain_head("Two");
	read_text();
	assert_string_equal(text, "One\n  a\tb?[31m7\n      1.5 MiB\n\nTwo\n");
}

static void a_long_line_is_cut(void **state)
{
	static char much[5000];

	(void)state;
	memset(much, 'x', sizeof(much) - 1);
	listen();
	explain("%s", much);
	explain("next");
	read_text();
	assert_true(strlen(text) < 1500);
	assert_said("x\n  next\n");
}

static void a_file_that_can_not_be_made(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_true(explain_start("/nowhere/at/all", STDERR_FILENO, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_USAGE);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	assert_false(explain_is_on());
}

static void what_does_not_arrive_is_told(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(explain_start("/dev/full", STDERR_FILENO, &err), 0);
	explain("one");
	explain("two");
	assert_int_equal(explain_stop(), -ENOSPC);
	listen();
	explain("three");
	assert_int_equal(explain_stop(), 0);
}

static void sizes_for_people(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {{0, "0 bytes"}, {1, "1 byte"}, {1023, "1023 bytes"}, {1024, "1 KiB"},
		{1536, "1.5 KiB"}, {64 * MIB, "64 MiB"}, {3 * GIB / 2, "1.5 GiB"},
		{UINT64_MAX, "16 EiB"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_string_equal(explain_size(sizes[i].bytes), sizes[i].text);
}

/* ---- Steps ---- */

static void where_words_come_from(void **state)
{
	static const char *const more[] = {"reboot=p,force", "8250.nr_uarts=0", NULL};
	const struct cmdline_request request = {.user = "panic=7 \"a b\" 8250.nr_uarts=2",
		.console = "ttyS0",
		.root = "/dev/vda1",
		.more = more};
	char line[200];

	(void)state;
	listen();
	assert_int_equal(cmdline_build(&request, line, sizeof(line), NULL), 0);
	read_text();
	assert_said("  console=ttyS0    vmm: ");
	assert_said("  root=/dev/vda1   vmm: found by looking into the disk");
	assert_said("  panic            left to --append");
	assert_said("  reboot=p,force   the machine's profile");
	assert_null(strstr(text, "nr_uarts=0"));
	assert_said("  panic=7          --append\n  \"a b\"            --append\n");
}

static void calls_of_kvm(void **state)
{
	struct kvm_userspace_memory_region region = {.slot = 1,
		.guest_phys_addr = 4 * GIB,
		.memory_size = GIB,
		.flags = KVM_MEM_READONLY};
	struct kvm_regs regs = {.rip = 0x1000000, .rsi = 0x9000};
	struct kvm_irqfd irqfd = {.fd = 12, .gsi = 16};

	(void)state;
	listen();
	kvm_call_explain(KVM_CREATE_VM, 0, 5);
	kvm_call_explain(KVM_SET_USER_MEMORY_REGION, (uintptr_t)&region, 0);
	kvm_call_explain(KVM_IRQFD, (uintptr_t)&irqfd, 0);
	errno = ENOMEM;
	kvm_call_explain(KVM_CREATE_VCPU, 3, -1);
	assert_int_equal(errno, ENOMEM);
	kvm_call_explain(KVM_SET_REGS, (uintptr_t)&regs, 0);
	kvm_call_explain(KVM_RUN, 0, 0);
	read_text();
	assert_said("  KVM_CREATE_VM [4.2] = 5: a machine");
	assert_said("slot 1: guest 0x100000000 to 0x13fffffff, 1 GiB read-only, is host 0x0");
	assert_said("      KVM_IRQFD [4.75] = 0: a write to file 12 is an interrupt at pin 16");
	assert_said("  KVM_CREATE_VCPU [4.7] = -1 (Cannot allocate memory): processor 3");
	assert_said("      RIP 0x1000000  RSP 0x0  ");
	assert_said("RSI 0x9000");
	assert_null(strstr(text, "KVM_RUN"));
}

/* ---- Guest memory ---- */

static void build(struct entry_params *params, struct e820_map *map)
{
	size_t used;

	gmem_discard_all(&mem);
	assert_int_equal(e820_build(map, &mem, NULL, 0), 0);
	assert_int_equal(
		acpi_build(&some_machine, FW_ACPI_BASE, gmem_ptr(&mem, FW_ACPI_BASE, FW_ACPI_BYTES),
			FW_ACPI_BYTES, &used, NULL),
		0);
	*params = (struct entry_params){.map = map,
		.cmdline = "console=ttyS0",
		.rsdp = FW_ACPI_BASE,
		.initrd = 0x1000000,
		.initrd_bytes = 5 * MIB / 2};
}

static void linux_in_long_mode(void **state)
{
	const struct boot_screen screen = {
		.base = 0xc0000000, .width = 800, .height = 600, .stride = 3200};
	struct setup_data tree = {.type = SETUP_DTB, .len = 2048};
	struct entry_params params;
	struct cpu_entry entry;
	struct e820_map map;

	(void)state;
	build(&params, &map);
	params.screen = &screen;
	params.setup_data = FW_TREE_BASE;
	assert_int_equal(gmem_write(&mem, FW_TREE_BASE, &tree, sizeof(tree)), 0);
	assert_int_equal(entry_linux64(&mem, &params, 0x200000, &entry), 0);
	listen();
	boot_explain(&mem, &entry);
	read_text();
	assert_said("0x1000      GDT, 4 descriptors [SDM 3A, 3.4.5]");
	assert_said("0x10 = 0x00af9b000000ffff: 64-bit code, readable, base 0x0, limit 0xffffffff");
	assert_said("0x18 = 0x00cf93000000ffff: data, writable");
	assert_said("2048 pages of 2 MiB: linear 0x0 to 0xffffffff is physical memory at the same");
	assert_said("+0x070 acpi_rsdp_addr   0xe0000");
	assert_said("a framebuffer at 0xc0000000: 800x600, 32 bits a pixel, 3200 bytes a row");
	assert_said(".ramdisk_image 0x1000000: the initrd's address");
	assert_said("0x0000000000 to 0x000009fbff    639 KiB  usable");
	assert_said("0x10000     the command line, 13 characters");
	assert_said("0xc0000     setup_data of type 2: the device tree");
	assert_said("0x1000000   the initrd, 2.5 MiB, up to 0x127ffff");
	assert_said("0xe0000     RSDP");
	assert_said("hardware-reduced");
	assert_said("processors: 2; IOAPICs: 1;");
	assert_said("RIP 0x200000, long mode");
	assert_said("RSI 0x9000, struct boot_params");
}

static void linux_in_protected_mode(void **state)
{
	struct entry_params params;
	struct cpu_entry entry;
	struct e820_map map;

	(void)state;
	build(&params, &map);
	params.rsdp = 0;
	params.initrd_bytes = 0;
	gmem_fill(&mem, FW_ACPI_BASE, 0, 8);
	assert_int_equal(entry_linux32(&mem, &params, 0x200000, &entry), 0);
	listen();
	boot_explain(&mem, &entry);
	read_text();
	assert_said("32-bit code");
	assert_said("RIP 0x200000, protected mode without paging [boot.rst");
	assert_null(strstr(text, "page tables"));
	assert_null(strstr(text, "RSDP,"));
	assert_null(strstr(text, "the initrd,"));
}

static void pvh(void **state)
{
	struct entry_params params;
	struct cpu_entry entry;
	struct e820_map map;

	(void)state;
	build(&params, &map);
	assert_int_equal(entry_pvh(&mem, &params, 0x200000, &entry), 0);
	listen();
	boot_explain(&mem, &entry);
	read_text();
	assert_said("0x9000      struct hvm_start_info");
	assert_said("magic 0x336ec578, version 1, 1 module, RSDP at 0xe0000");
	assert_said("0x0000100000 to 0x0001ffffff     31 MiB  usable");
	assert_said("0x1000000   the initrd, 2.5 MiB");
	assert_said("RBX 0x9000, struct hvm_start_info");
}

static void put32(gpa_t at, uint32_t value)
{
	assert_int_equal(gmem_write(&mem, at, &value, sizeof(value)), 0);
}

static void multiboot(void **state)
{
	struct cpu_entry entry = {.mode = CPU_ENTRY_PROT32,
		.rip = 0x100000,
		.rax = 0x36d76289,
		.rbx = 0x20000,
		.rdi = 0xc0000};
	struct entry_params params;
	struct e820_map map;

	(void)state;
	build(&params, &map);
	put32(0x20000, 40);
	put32(0x20008, 6);
	put32(0x2000c, 13); /* fills up to 16 */
	put32(0x20018, 99);
	put32(0x2001c, 8);
	put32(0x20020, 3);
	put32(0x20024, 4); /* shorter than itself */
	listen();
	boot_explain(&mem, &entry);
	read_text();
	assert_said("0x20000     Multiboot information, 40 bytes of tags");
	assert_said("tag 6  memory map                   13 bytes");
	assert_said("tag 99 ");
	assert_null(strstr(text, "module"));
	assert_said("0xe0000     RSDP");
	assert_said("RAX 0x36d76289, the boot loader's mark");
	assert_said("RDI 0xc0000, the device tree");

	entry.rax = 0x2badb002;
	put32(0x20000, 0x4f);
	put32(0x20004, 639);
	listen();
	boot_explain(&mem, &entry);
	entry.rbx = UINT64_MAX - 2;
	boot_explain(&mem, &entry);
	read_text();
	assert_said("flags 0x4f; memory 639 KiB below 1 MiB");
}

/* What points out of memory is left out. */
static void tables_of_nonsense(void **state)
{
	struct entry_params params;
	struct cpu_entry entry;
	struct e820_map map;

	(void)state;
	build(&params, &map);
	assert_int_equal(entry_linux64(&mem, &params, 0x200000, &entry), 0);
	gmem_fill(&mem, 0x1000, 0xff, 0x30000);
	gmem_fill(&mem, FW_ACPI_BASE + 24, 0xff, 8);
	listen();
	boot_explain(&mem, &entry);
	entry.gdt_base = entry.cr3 = entry.rsi = UINT64_MAX - 4;
	boot_explain(&mem, &entry);
	read_text();
	assert_said("RIP 0x200000, long mode");
}

static int count_table(void *opaque, const char *name, const uint8_t *table, size_t len)
{
	static const char *const names[] = {
		"xsdt.dat", "facp.dat", "dsdt.aml", "facs.dat", "apic.dat"};
	unsigned *count = opaque;

	assert_true(*count < ARRAY_SIZE(names));
	assert_string_equal(name, names[*count]);
	assert_int_equal(load_le32(table + 4), len);
	return ++*count == 0;
}

static void tables_as_files(void **state)
{
	struct err err = ERR_INIT;
	unsigned count = 0;

	(void)state;
	assert_int_equal(acpi_write_files(&some_machine, count_table, &count, &err), 0);
	assert_int_equal(count, 5);
}

static void fields_of_the_header(void **state)
{
	struct setup_header header = {.version = 0x020f, .pref_address = 0x123456789abc};
	unsigned end = 0x1f1;

	(void)state;
	for (const struct setup_field *field = setup_fields; *field->name; field++) {
		assert_int_equal(field->offset, end);
		end += field->size;
		if (!strcmp(field->name, "version"))
			assert_int_equal(setup_field_value(&header, field), 0x020f);
		if (!strcmp(field->name, "pref_address"))
			assert_int_equal(setup_field_value(&header, field), 0x123456789abc);
	}
	/* No gap, and nothing is missing at the end. */
	assert_int_equal(end, 0x1f1 + sizeof(header));
}

static int set_up(void **state)
{
	const struct gmem_config config = {
		.size = 32 * MIB, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return gmem_init(&mem, &config, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	gmem_finish(&mem);
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_headings),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(a_file_that_can_not_be_made),
		cmocka_unit_test(what_does_not_arrive_is_told),
		cmocka_unit_test(sizes_for_people),
		cmocka_unit_test(where_words_come_from),
		cmocka_unit_test(calls_of_kvm),
		cmocka_unit_test(linux_in_long_mode),
		cmocka_unit_test(linux_in_protected_mode),
		cmocka_unit_test(pvh),
		cmocka_unit_test(multiboot),
		cmocka_unit_test(tables_of_nonsense),
		cmocka_unit_test(tables_as_files),
		cmocka_unit_test(fields_of_the_header),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
