/*
 * --machine: what a profile has, what follows from it for other options, and the machine on paper.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config.h"
#include "vmm/machine_paper.h"
#include "vmm/machine_cmdline.h"
#include "vmm/machine_profile.h"

enum {
	WORDS_MAX = 40,
	TREE_BYTES = 128 * 1024
};

#define NO_INITCALLS "initcall_blacklist=ftrace_check_for_weak_functions,pci_arch_init"
#define SLEEP	     " tsc=nowatchdog"
#define CPU1	     " nox2apic sysctl.vm.compaction_proactiveness=0 rcupdate.rcu_expedited=1"

static char words_text[1024];
static char *words[WORDS_MAX];
static struct vm_config config;
static struct err err;

static int parse(const char *text)
{
	int argc = 0;
	char *save;

	snprintf(words_text, sizeof(words_text), "%s", text);
	for (char *w = strtok_r(words_text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[argc++] = w;
	err = (struct err)ERR_INIT;
	return config_parse(argc, words, &config, &err);
}

static void micro_has_what_is_asked_for(void **state)
{
	(void)state;
	assert_int_equal(parse("--kernel k --machine micro"), 0);
	assert_int_equal(config.profile, PROFILE_MICRO);
	assert_int_equal(config.console, CONSOLE_HVC0);
	assert_string_equal(config.serial, "none");
	assert_string_equal(config.hvc0, "stdio");
	assert_int_equal(config.nic_count, 0);
	assert_true(config.no_rng && config.no_balloon);
	config_choose_window(&config, true);
	assert_false(config.display.has_screen);
	config_finish(&config);

	assert_int_equal(
		parse("--machine micro --kernel k --console serial -p 1:2 --balloon 64M"), 0);
	assert_int_equal(config.console, CONSOLE_SERIAL);
	assert_string_equal(config.serial, "stdio");
	assert_int_equal(config.nic_count, 1);
	assert_false(config.no_balloon);
	config_finish(&config);

	/* What it has not may be said to be absent. */
	assert_int_equal(parse("--kernel k --machine micro --net user --debugcon none "
			       "--rtc-base utc --no-rng --no-balloon"),
		0);
	assert_int_equal(config.nic_count, 1);
	config_finish(&config);
}

static void pc_is_the_default(void **state)
{
	(void)state;
	assert_int_equal(parse("--kernel k"), 0);
	assert_int_equal(config.profile, PROFILE_PC);
	assert_int_equal(config.nic_count, 1);
	assert_false(config.no_rng || config.no_balloon);
	assert_string_equal(machine_profile_words(&config)[0], "cryptomgr.notests");
	config_finish(&config);
}

static void words_for_a_fast_start(void **state)
{
	char text[300];

	(void)state;
	assert_int_equal(parse("--kernel k --cpus 1"), 0);
	machine_cmdline_describe_words(&config, text, sizeof(text));
	assert_string_equal(text, "cryptomgr.notests pci=off pmtmr=0 " NO_INITCALLS SLEEP CPU1);
	machine_cmdline_describe_words(&config, text, 8);
	assert_string_equal(text, "cryptom");
	config_finish(&config);
	/* A person's word of the same name is the one that counts. */
	assert_int_equal(parse("--kernel k --cpus 1 --append pci=conf1"), 0);
	machine_cmdline_describe_words(&config, text, sizeof(text));
	assert_string_equal(text, "cryptomgr.notests pmtmr=0 " NO_INITCALLS SLEEP CPU1);
	config_finish(&config);
	assert_int_equal(parse("--kernel k --cpus 1 --append initcall_blacklist=pcspkr_init"), 0);
	machine_cmdline_describe_words(&config, text, sizeof(text));
	assert_string_equal(text, "cryptomgr.notests pci=off pmtmr=0" SLEEP CPU1);
	config_finish(&config);
	assert_int_equal(parse("--kernel k --cpus 2"), 0);
	machine_cmdline_describe_words(&config, text, sizeof(text));
	assert_string_equal(text, "cryptomgr.notests pci=off pmtmr=0 " NO_INITCALLS SLEEP);
	config_finish(&config);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			parse(i ? "--kernel k --machine micro" : "--kernel k --no-boot-words"), 0);
		machine_cmdline_describe_words(&config, text, sizeof(text));
		assert_string_equal(text, "");
		config_finish(&config);
	}
}

static void what_can_not_go_together(void **state)
{
	static const char *const lines[] = {
		"--kernel k --machine mikro",
		"--kernel k --machine micro --display vnc=:1",
		"--kernel k --machine micro --display none",
		"--kernel k --machine micro --pointer mouse",
		"--kernel k --machine micro --rtc-base 0",
		"--kernel k --machine micro --debugcon stdio",
		"--machine micro",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (parse(lines[i]) >= 0)
			fail_msg("%s is taken", lines[i]);
		assert_int_equal(err.kind, EXIT_CODE_USAGE);
		config_finish(&config);
	}
	parse(lines[0]);
	assert_string_equal(err.hint, "Did you mean micro?");
	config_finish(&config);
}

static void classes_of_a_profile(void **state)
{
	static const char *const in_micro[] = {"power", "reset-port", "serial", "virtio-blk",
		"virtio-net", "virtio-rng", "virtio-balloon", "virtio-vsock", "virtio-console"};
	static const char *const not_in_micro[] = {
		"acpi-pm", "cmos", "i8042", "port92", "debug-console", "debug-exit", "pvpanic"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in_micro); i++)
		assert_true(machine_profile_allows(PROFILE_MICRO, device_class_find(in_micro[i])));
	for (size_t i = 0; i < ARRAY_SIZE(not_in_micro); i++) {
		const struct device_class *class = device_class_find(not_in_micro[i]);

		assert_non_null(class);
		assert_false(machine_profile_allows(PROFILE_MICRO, class));
		assert_true(machine_profile_allows(PROFILE_PC, class));
	}
	assert_false(machine_profile_allows(PROFILE_PC, device_class_find("power")));
}

/* ---- On paper ---- */

static uint8_t tree[TREE_BYTES] __attribute__((aligned(8)));

static void dump(const char *options)
{
	char path[] = "/tmp/test-dump-XXXXXX", line[512];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	snprintf(line, sizeof(line), "%s --dump-dtb %s", options, path);
	assert_int_equal(parse(line), 0);
	if (machine_paper_run(&config, &err) < 0)
		fail_msg("%s: %s", options, err.text);
	memset(tree, 0, sizeof(tree));
	assert_true(read(fd, tree, sizeof(tree)) > 0);
	close(fd);
	unlink(path);
	config_finish(&config);
	assert_int_equal(fdt_check_header(tree), 0);
}

static unsigned count_compatible(const char *compatible)
{
	unsigned count = 0;

	for (int node = fdt_node_offset_by_compatible(tree, -1, compatible); node >= 0;
		node = fdt_node_offset_by_compatible(tree, node, compatible))
		count++;
	return count;
}

static void dump_of_any_machine(void **state)
{
	(void)state;
	dump("--machine micro --serial null --hvc0 null --cpus 3 -m 5G");
	assert_int_equal(count_compatible("virtio,mmio"), 1);
	assert_int_equal(count_compatible("syscon-poweroff"), 1);
	assert_int_equal(count_compatible("ns16550a"), 1);
	assert_true(fdt_path_offset(tree, "/cpus/cpu@2") > 0);
	dump("--machine micro --hvc0 null --cpus 1");
	assert_int_equal(count_compatible("ns16550a"), 0);
	/* On paper nothing is taken from the pool, so that it may be empty. */
	dump("--machine micro --hvc0 null --hugepages");
	dump("--display none --serial null");
	dump("--serial null --net none");
	assert_int_equal(count_compatible("virtio,mmio"), 2);
	assert_int_equal(count_compatible("syscon-poweroff"), 0);
	assert_int_equal(count_compatible("ns16550a"), 1);
}

static void words_of_micro(void **state)
{
	const char *bootargs;

	(void)state;
	dump("--machine micro --hvc0 null --append reboot=t");
	bootargs = fdt_getprop(tree, fdt_path_offset(tree, "/chosen"), "bootargs", NULL);
	assert_non_null(bootargs);
	assert_non_null(strstr(bootargs, "console=hvc0"));
	/* The person knows better. */
	assert_non_null(strstr(bootargs, "reboot=t"));
	assert_null(strstr(bootargs, "reboot=p,"));
	assert_non_null(strstr(bootargs, "8250.nr_uarts=0"));
	dump("--machine micro --hvc0 null --serial null --cpus 1");
	bootargs = fdt_getprop(tree, fdt_path_offset(tree, "/chosen"), "bootargs", NULL);
	assert_non_null(strstr(bootargs, "reboot=p,force"));
	assert_null(strstr(bootargs, "8250."));
	assert_non_null(
		strstr(bootargs, "tsc=nowatchdog noreplace-smp percpu_alloc=page nox2apic"));
	/* With another processor the kernel needs what these leave out. */
	dump("--machine micro --hvc0 null --cpus 2");
	bootargs = fdt_getprop(tree, fdt_path_offset(tree, "/chosen"), "bootargs", NULL);
	assert_non_null(strstr(bootargs, "8250.nr_uarts=0"));
	assert_null(strstr(bootargs, "noreplace-smp"));
	assert_null(strstr(bootargs, "percpu_alloc"));
	assert_null(strstr(bootargs, "nox2apic"));
	dump("--machine micro --hvc0 null --cpus 1 --no-boot-words");
	bootargs = fdt_getprop(tree, fdt_path_offset(tree, "/chosen"), "bootargs", NULL);
	assert_non_null(strstr(bootargs, "reboot=p,force"));
	assert_null(strstr(bootargs, "8250."));
	assert_null(strstr(bootargs, "tsc="));
	assert_null(strstr(bootargs, "noreplace-smp"));
}

static void dump_that_can_not_be_written(void **state)
{
	(void)state;
	assert_int_equal(parse("--machine micro --hvc0 null --dump-dtb /nowhere/at/all"), 0);
	assert_true(machine_paper_run(&config, &err) < 0);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	config_finish(&config);
	if (access("/dev/full", W_OK) < 0)
		return;
	assert_int_equal(parse("--machine micro --hvc0 null --dump-dtb /dev/full"), 0);
	assert_true(machine_paper_run(&config, &err) < 0);
	config_finish(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(micro_has_what_is_asked_for),
		cmocka_unit_test(pc_is_the_default),
		cmocka_unit_test(words_for_a_fast_start),
		cmocka_unit_test(what_can_not_go_together),
		cmocka_unit_test(classes_of_a_profile),
		cmocka_unit_test(dump_of_any_machine),
		cmocka_unit_test(words_of_micro),
		cmocka_unit_test(dump_that_can_not_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
