/*
 * doctor and the KVM layer's sentences: each cause of trouble has its own text and
 * remedy, each kind of host its own verdict. The facts are made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "vmm/doctor_text.h"
#include "vmm/kvm/cause.h"
#include "vmm/kvm/insn_name.h"

/* A healthy AMD laptop whose user is in group kvm. */
static struct host_facts healthy_host(void)
{
	return (struct host_facts){.cpu = HOST_CPU_AMD,
		.cpu_model = "AMD Ryzen 7",
		.cpu_count = 8,
		.has_virt_flag = true,
		.kernel = "Linux 6.1.0",
		.modules = "kvm kvm_amd",
		.has_vendor_module = true,
		.node_exists = true,
		.node_is_device = true,
		.node_mode = 0660,
		.node_group = "kvm",
		.group_is_ours = true,
		.user = "joe",
		.uid = 1000,
		.memory_bytes = 16 * GIB,
		.memory_free_bytes = 8 * GIB,
		.thp = "madvise",
		.has_tun = true};
}

static struct doctor_facts healthy_facts(void)
{
	struct doctor_facts facts = {
		.host = healthy_host(), .was_opened = true, .vcpus_max = 1024, .tsc_khz = 2600000};

	for (int i = 0; i < PROBE_COUNT; i++)
		facts.probes[i].outcome = PROBE_OK;
	facts.probes[PROBE_LOOP].mips = 7800;
	return facts;
}

/* ---- Why /dev/kvm can't be opened ---- */

static void explain_open(const struct host_facts *host, int errnum, struct err *err)
{
	*err = (struct err)ERR_INIT;
	assert_int_equal(
		kvm_cause_explain(kvm_cause_of_open(host, errnum), host, errnum, "details", err),
		-errnum);
	assert_int_equal(err->kind, EXIT_CODE_KVM);
	assert_int_not_equal(err->hint[0], '\0');
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void test_module_not_loaded(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.node_exists = host.has_vendor_module = false;
	host.modules[0] = '\0';
	explain_open(&host, ENOENT, &err);
	assert_has(err.text, "kernel module kvm_amd is not loaded");
	assert_has(err.hint, "`sudo modprobe kvm_amd`");
	host.cpu = HOST_CPU_INTEL;
	explain_open(&host, ENODEV, &err);
	assert_has(err.hint, "`sudo modprobe kvm_intel`");
}

static void test_off_in_firmware(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.node_exists = host.has_vendor_module = false;
	host.off_in_firmware = true;
	explain_open(&host, ENOENT, &err);
	assert_has(err.text, "AMD-V (SVM) is switched off in this machine's firmware");
	/* Without the flag and on a real machine: the same advice, less certain. */
	host.off_in_firmware = host.has_virt_flag = false;
	host.cpu = HOST_CPU_INTEL;
	explain_open(&host, ENOENT, &err);
	assert_has(err.text, "offers no hardware virtualization");
	assert_has(err.hint, "switch Intel VT-x on in the firmware setup");
}

static void test_guest_without_nesting(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.node_exists = host.has_vendor_module = host.has_virt_flag = false;
	host.is_guest = true;
	explain_open(&host, ENOENT, &err);
	assert_has(err.text, "itself a virtual machine");
	assert_has(err.hint, "scripts/with-kvm");
}

static void test_container_hides_the_node(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.node_exists = false;
	host.in_container = true;
	explain_open(&host, ENOENT, &err);
	assert_has(err.text, "in this container");
	assert_has(err.hint, "--device /dev/kvm");
	host.in_container = false;
	explain_open(&host, ENOENT, &err);
	assert_has(err.hint, "mknod");
}

static void test_permission_names_the_group_command(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.group_is_ours = false;
	explain_open(&host, EACCES, &err);
	assert_has(err.text, "it is for group kvm (mode 0660), and user joe is not in that group");
	assert_string_equal(
		err.hint, "run `sudo usermod -aG kvm joe`, then log out and log in again");
	/* The node's real group, where it is another one. */
	strcpy(host.node_group, "virtualizers");
	explain_open(&host, EACCES, &err);
	assert_has(err.hint, "`sudo usermod -aG virtualizers joe`");
}

static void test_permission_after_usermod(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.group_is_ours = false;
	host.group_lists_us = true;
	explain_open(&host, EACCES, &err);
	assert_has(err.hint, "log out and log in again");
	assert_has(err.hint, "newgrp kvm");
	assert_null(strstr(err.hint, "usermod"));
}

static void test_permission_where_the_group_may_not(void **state)
{
	struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	host.node_mode = 0600;
	strcpy(host.node_group, "root");
	explain_open(&host, EACCES, &err);
	assert_has(err.text, "its mode 0600 lets no group in, and user joe is not its owner");
	assert_has(err.hint,
		"sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm && sudo usermod -aG "
		"kvm joe`, then log out");
}

static void test_sandbox(void **state)
{
	const struct host_facts host = healthy_host();
	struct err err;

	(void)state;
	explain_open(&host, EPERM, &err);
	assert_has(err.text, "forbidden");
	explain_open(&host, EMFILE, &err);
	assert_has(err.text, "KVM failed: details");
}

static void test_causes_after_opening(void **state)
{
	static const struct {
		enum kvm_cause cause;
		const char *detail, *text;
	} cases[] = {
		{KVM_CAUSE_NOT_KVM, NULL, "/dev/kvm is not KVM but another device"},
		{KVM_CAUSE_WRONG_API, "11", "version 11"},
		{KVM_CAUSE_MISSING_CAPABILITY, "KVM_CAP_IRQFD",
			"lacks what is needed: KVM_CAP_IRQFD"},
		{KVM_CAUSE_BUSY, NULL, "another hypervisor"},
		{KVM_CAUSE_OTHER, "KVM_CREATE_VM: no", "KVM failed: KVM_CREATE_VM: no"},
	};
	const struct host_facts host = healthy_host();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		kvm_cause_explain(cases[i].cause, &host, EBUSY, cases[i].detail, &err);
		assert_int_equal(err.kind, EXIT_CODE_KVM);
		assert_has(err.text, cases[i].text);
		assert_int_not_equal(err.hint[0], '\0');
	}
}

static void test_all_causes_differ(void **state)
{
	const struct host_facts host = healthy_host();
	char texts[KVM_CAUSE_OTHER + 1][600];

	(void)state;
	for (int i = 0; i <= KVM_CAUSE_OTHER; i++) {
		struct err err = ERR_INIT;

		kvm_cause_explain((enum kvm_cause)i, &host, EIO, "x", &err);
		strcpy(texts[i], err.text);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(texts[i], texts[k]);
	}
}

/* ---- Verdicts ---- */

static void test_usable(void **state)
{
	struct doctor_facts facts = healthy_facts();
	char text[600];

	(void)state;
	assert_int_equal(doctor_judge(&facts), DOCTOR_USABLE);
	doctor_describe(&facts, text, sizeof(text));
	assert_string_equal(text,
		"usable: guest kernel code runs at 7800 million instructions a "
		"second and all that stock kernels need was seen to work");
	doctor_advise(&facts, text, sizeof(text));
	assert_string_equal(text, "");
}

static void test_a_nested_host_is_usable(void **state)
{
	struct doctor_facts facts = healthy_facts();

	(void)state;
	facts.probes[PROBE_LOOP].mips = 150;
	facts.probes[PROBE_XSAVE].outcome = PROBE_ABSENT;
	assert_int_equal(doctor_judge(&facts), DOCTOR_USABLE);
}

static void test_emulated(void **state)
{
	struct doctor_facts facts = healthy_facts();
	char text[600];

	(void)state;
	strcpy(facts.host.modules, "kvm kvm_pvm");
	facts.probes[PROBE_LOOP].mips = 1.94;
	facts.probes[PROBE_CMPXCHG16B].outcome = PROBE_FAILED;
	facts.probes[PROBE_INT3].outcome = PROBE_FAILED;
	assert_int_equal(doctor_judge(&facts), DOCTOR_EMULATED);
	doctor_describe(&facts, text, sizeof(text));
	assert_string_equal(text,
		"emulated: this host's KVM (kvm kvm_pvm) interprets guest kernel code at 1.9 "
		"million instructions a second, so stock kernels can't boot on it; it also fails "
		"at "
		"cmpxchg16b, int3");
	doctor_advise(&facts, text, sizeof(text));
	assert_has(text, "scripts/with-kvm");
	/* Slow alone is enough. */
	facts.probes[PROBE_CMPXCHG16B].outcome = PROBE_OK;
	facts.probes[PROBE_INT3].outcome = PROBE_OK;
	assert_int_equal(doctor_judge(&facts), DOCTOR_EMULATED);
}

static void test_broken(void **state)
{
	struct doctor_facts facts = healthy_facts();
	char text[600];

	(void)state;
	facts.probes[PROBE_MSI].outcome = PROBE_FAILED;
	facts.probes[PROBE_IOEVENTFD_MMIO].outcome = PROBE_SKIPPED;
	assert_int_equal(doctor_judge(&facts), DOCTOR_BROKEN);
	doctor_describe(&facts, text, sizeof(text));
	assert_string_equal(text, "not usable: this host's KVM fails at MSI, MMIO ioeventfd");
	doctor_advise(&facts, text, sizeof(text));
	assert_has(text, "newer host kernel");
}

static void test_a_skipped_probe_is_no_pass(void **state)
{
	struct doctor_facts facts = healthy_facts();

	(void)state;
	facts.probes[PROBE_IRQFD].outcome = PROBE_SKIPPED;
	assert_int_equal(doctor_judge(&facts), DOCTOR_BROKEN);
}

static void test_a_loop_without_end_is_no_pass(void **state)
{
	struct doctor_facts facts = healthy_facts();

	(void)state;
	facts.probes[PROBE_LOOP] = (struct probe_result){.outcome = PROBE_FAILED, .mips = 0};
	assert_int_equal(doctor_judge(&facts), DOCTOR_BROKEN);
}

static void test_no_kvm(void **state)
{
	struct doctor_facts facts = {.host = healthy_host(), .trouble = ERR_INIT};
	char text[1300];

	(void)state;
	facts.host.group_is_ours = false;
	kvm_cause_explain(KVM_CAUSE_NO_PERMISSION, &facts.host, EACCES, NULL, &facts.trouble);
	assert_int_equal(doctor_judge(&facts), DOCTOR_NO_KVM);
	doctor_describe(&facts, text, sizeof(text));
	assert_has(text, "not usable: no permission to open /dev/kvm");
	doctor_advise(&facts, text, sizeof(text));
	assert_has(text, "sudo usermod -aG kvm joe");
}

/* ---- The report ---- */

static char *print(const struct doctor_facts *facts)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	doctor_print(facts, out);
	fclose(out);
	return text;
}

static void test_report_of_a_healthy_host(void **state)
{
	const struct doctor_facts facts = healthy_facts();
	char *text = print(&facts);

	(void)state;
	assert_has(text, "AMD Ryzen 7, 8 CPUs\n");
	assert_has(text, "group kvm, mode 0660; user joe opened it\n");
	assert_has(text, "at most 1024 processors a guest\n");
	for (int i = 0; i < PROBE_COUNT; i++)
		assert_has(text, probe_name((enum probe_id)i));
	assert_null(strstr(text, "FAILED"));
	assert_null(strstr(text, "What to do"));
	assert_has(text, "Verdict\n  usable: ");
	free(text);
}

static void test_report_says_what_makes_starts_long(void **state)
{
	struct doctor_facts facts = healthy_facts();
	char *text;

	(void)state;
	strcpy(facts.host.cgroups, "/sys/fs/cgroup");
	facts.making_ns = 120000;
	text = print(&facts);
	assert_has(text, "making a machine     0.1 ms\n");
	assert_null(strstr(text, "favordynmods"));
	free(text);
	facts.making_ns = 8200000;
	text = print(&facts);
	assert_has(text, "making a machine     8.2 ms\n");
	assert_has(text, "mount -o remount,favordynmods /sys/fs/cgroup\n");
	free(text);
	/* There already, or no such mount: something else makes it long. */
	facts.host.cgroups_are_quick = true;
	text = print(&facts);
	assert_null(strstr(text, "favordynmods"));
	free(text);
}

static void test_report_says_what_a_failure_means(void **state)
{
	struct doctor_facts facts = healthy_facts();
	char *text;

	(void)state;
	facts.probes[PROBE_INT3].outcome = PROBE_FAILED;
	strcpy(facts.probes[PROBE_INT3].detail, "KVM can't emulate the instruction cc (int3)");
	text = print(&facts);
	assert_has(text, "FAILED  Linux patches its own code with it at every boot\n");
	assert_has(text, "KVM can't emulate the instruction cc (int3)\n");
	assert_has(text, "  What to do: ");
	free(text);
}

static void test_report_without_kvm_shows_no_probes(void **state)
{
	struct doctor_facts facts = {.host = healthy_host(), .trouble = ERR_INIT};
	char *text;

	(void)state;
	facts.host.node_exists = facts.host.has_vendor_module = false;
	facts.host.modules[0] = '\0';
	kvm_cause_explain(KVM_CAUSE_NO_MODULE, &facts.host, ENOENT, NULL, &facts.trouble);
	text = print(&facts);
	assert_null(strstr(text, "Probes"));
	assert_has(text, "/dev/kvm             does not exist\n");
	assert_has(text, "  What to do: run `sudo modprobe kvm_amd`.\n");
	free(text);
}

/* ---- Names of instructions ---- */

static void test_instruction_names(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t len;
		const char *name;
	} cases[] = {
		{{0xf0, 0x48, 0x0f, 0xc7, 0x0f}, 5, "cmpxchg16b"},
		{{0xf0, 0x0f, 0xc7, 0x0f}, 4, "cmpxchg8b"},
		{{0x49, 0x0f, 0xc7, 0x4d, 0x00}, 5, "cmpxchg16b"},
		{{0xcc, 0x90}, 2, "int3"},
		{{0x0f, 0xae, 0x27}, 3, "xsave"},
		{{0x48, 0x0f, 0xae, 0x2f}, 4, "xrstor"},
		{{0x0f, 0xc7, 0x1f}, 3, "xrstors"},
		{{0xc5, 0xf8, 0x77}, 3, "an AVX instruction"},
	};
	const uint8_t nop[] = {0x90}, cut[] = {0xf0, 0x48, 0x0f};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(insn_name(cases[i].bytes, cases[i].len), cases[i].name);
	assert_null(insn_name(nop, sizeof(nop)));
	assert_null(insn_name(cut, sizeof(cut)));
	assert_null(insn_name(nop, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_module_not_loaded),
		cmocka_unit_test(test_off_in_firmware),
		cmocka_unit_test(test_guest_without_nesting),
		cmocka_unit_test(test_container_hides_the_node),
		cmocka_unit_test(test_permission_names_the_group_command),
		cmocka_unit_test(test_permission_after_usermod),
		cmocka_unit_test(test_permission_where_the_group_may_not),
		cmocka_unit_test(test_sandbox),
		cmocka_unit_test(test_causes_after_opening),
		cmocka_unit_test(test_all_causes_differ),
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_a_nested_host_is_usable),
		cmocka_unit_test(test_emulated),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_a_skipped_probe_is_no_pass),
		cmocka_unit_test(test_a_loop_without_end_is_no_pass),
		cmocka_unit_test(test_no_kvm),
		cmocka_unit_test(test_report_of_a_healthy_host),
		cmocka_unit_test(test_report_says_what_makes_starts_long),
		cmocka_unit_test(test_report_says_what_a_failure_means),
		cmocka_unit_test(test_report_without_kvm_shows_no_probes),
		cmocka_unit_test(test_instruction_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
