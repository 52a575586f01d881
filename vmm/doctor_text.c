/*
 * See doctor_text.h. No state.
 */
#include "vmm/doctor_text.h"

#include <stdarg.h>

/*
 * Below this many million instructions a second no processor runs the guest: its
 * code is interpreted. Real ones are above a thousand, software emulation of a whole
 * host still runs at hundreds; a stock kernel needs about a thousand million
 * instructions to its first process.
 */
#define INTERPRETED_BELOW_MIPS 20.0

/* Without a wait KVM takes a tenth of a millisecond, with one a few ticks of the host's clock. */
#define LONG_MAKING_NS UINT64_C(3000000)

enum {
	LABEL_WIDTH = 20
};

static bool any_failed(const struct doctor_facts *facts)
{
	for (int i = 0; i < PROBE_COUNT; i++)
		if (facts->probes[i].outcome == PROBE_FAILED)
			return true;
	return false;
}

enum doctor_verdict doctor_judge(const struct doctor_facts *facts)
{
	const struct probe_result *loop = &facts->probes[PROBE_LOOP];

	if (err_is_set(&facts->trouble))
		return DOCTOR_NO_KVM;
	if (loop->outcome == PROBE_OK && loop->mips < INTERPRETED_BELOW_MIPS)
		return DOCTOR_EMULATED;
	/* A probe that was skipped or came to no end means that time ran out: not usable either. */
	if (loop->outcome != PROBE_OK || any_failed(facts))
		return DOCTOR_BROKEN;
	for (int i = 0; i < PROBE_COUNT; i++)
		if (facts->probes[i].outcome == PROBE_SKIPPED)
			return DOCTOR_BROKEN;
	return DOCTOR_USABLE;
}

/* ---- The verdict ---- */

struct text {
	char *buf;
	size_t size, used;
};

PRINTF_LIKE(2, 3)
static void add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	if (text->used + 1 >= text->size)
		return;
	va_start(args, format);
	n = vsnprintf(text->buf + text->used, text->size - text->used, format, args);
	va_end(args);
	if (n > 0)
		text->used = MIN(text->used + (size_t)n, text->size - 1);
}

static void add_unusable(struct text *text, const struct doctor_facts *facts)
{
	unsigned count = 0;

	for (int i = 0; i < PROBE_COUNT; i++)
		if (facts->probes[i].outcome == PROBE_FAILED ||
			facts->probes[i].outcome == PROBE_SKIPPED)
			add(text, "%s%s", count++ ? ", " : "", probe_name((enum probe_id)i));
}

static void add_rate(struct text *text, double mips)
{
	add(text,
		mips < 10 ? "%.1f million instructions a second"
			  : "%.0f million instructions a second",
		mips);
}

void doctor_describe(const struct doctor_facts *facts, char *text, size_t size)
{
	struct text out = {.buf = text, .size = size};
	double mips = facts->probes[PROBE_LOOP].mips;

	if (!size)
		return;
	text[0] = '\0';
	switch (doctor_judge(facts)) {
	case DOCTOR_NO_KVM:
		add(&out, "not usable: %s", facts->trouble.text);
		break;
	case DOCTOR_EMULATED:
		add(&out, "emulated: this host's KVM (%s) interprets guest kernel code at ",
			facts->host.modules[0] ? facts->host.modules : "of an unknown kind");
		add_rate(&out, mips);
		add(&out, ", so stock kernels can't boot on it");
		if (any_failed(facts)) {
			add(&out, "; it also fails at ");
			add_unusable(&out, facts);
		}
		break;
	case DOCTOR_BROKEN:
		add(&out, "not usable: this host's KVM fails at ");
		add_unusable(&out, facts);
		break;
	case DOCTOR_USABLE:
		add(&out, "usable: guest kernel code runs at ");
		add_rate(&out, mips);
		add(&out, " and all that stock kernels need was seen to work");
		break;
	}
}

void doctor_advise(const struct doctor_facts *facts, char *text, size_t size)
{
	struct text out = {.buf = text, .size = size};

	if (!size)
		return;
	text[0] = '\0';
	switch (doctor_judge(facts)) {
	case DOCTOR_NO_KVM:
		add(&out, "%s", facts->trouble.hint);
		break;
	case DOCTOR_EMULATED:
		add(&out,
			"run vmm through scripts/with-kvm, which brings a host of its own, or on "
			"a machine with hardware virtualization");
		break;
	case DOCTOR_BROKEN:
		add(&out,
			"try a newer host kernel; if this host is itself a virtual machine, its "
			"hypervisor's nested virtualization may be at fault. scripts/with-kvm "
			"brings a host of its own");
		break;
	case DOCTOR_USABLE:
		break;
	}
}

/* ---- The table ---- */

PRINTF_LIKE(3, 4)
static void row(FILE *out, const char *label, const char *format, ...)
{
	va_list args;

	fprintf(out, "  %-*s ", LABEL_WIDTH, label);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
}

static const char *or_unknown(const char *text)
{
	return text[0] ? text : "not known";
}

static const char *virtualization_text(const struct host_facts *host)
{
	if (host->off_in_firmware)
		return "switched off in the firmware";
	if (host->has_virt_flag)
		return host->cpu == HOST_CPU_INTEL ? "VT-x (vmx)" : "AMD-V (svm)";
	return "not offered (no vmx or svm flag)";
}

/* Linux 6.0 to 6.13: KVM_CREATE_VM moves a thread into our cgroup, under a lock that waits for RCU. */
static void print_making(const struct doctor_facts *facts, FILE *out)
{
	const struct host_facts *host = &facts->host;

	row(out, "making a machine", "%.1f ms", (double)facts->making_ns / 1e6);
	if (facts->making_ns < LONG_MAKING_NS || !host->cgroups[0] || host->cgroups_are_quick)
		return;
	row(out, "", "root can make it shorter, and forks and exits a little longer, by");
	row(out, "", "mount -o remount,favordynmods %s", host->cgroups);
}

static void print_host(const struct doctor_facts *facts, FILE *out)
{
	const struct host_facts *host = &facts->host;

	fprintf(out, "Host\n");
	row(out, "processor", "%s, %u CPU%s%s", or_unknown(host->cpu_model), host->cpu_count,
		host->cpu_count == 1 ? "" : "s",
		host->is_guest ? "; this host is itself a virtual machine" : "");
	row(out, "virtualization", "%s", virtualization_text(host));
	row(out, "kernel", "%s", or_unknown(host->kernel));
	row(out, "KVM in the kernel", "%s", host->modules[0] ? host->modules : "none");
	row(out, "memory", "%.1f GiB, %.1f GiB free", (double)host->memory_bytes / (double)GIB,
		(double)host->memory_free_bytes / (double)GIB);
	row(out, "huge pages", "transparent: %s; reserved and free: %llu of 2 MiB",
		or_unknown(host->thp), (unsigned long long)host->hugepages_free);
	row(out, "/dev/net/tun", "%s",
		host->has_tun ? "can be opened" : "can't be opened (TAP networking needs it)");
	if (host->node_exists)
		row(out, "/dev/kvm", "group %s, mode %04o; user %s %s it", host->node_group,
			host->node_mode, host->user, facts->was_opened ? "opened" : "can't open");
	else
		row(out, "/dev/kvm", "does not exist");
	if (!facts->was_opened)
		return;
	row(out, "KVM's interface", "version 12; at most %u processors a guest", facts->vcpus_max);
	if (facts->tsc_khz)
		row(out, "guests' TSC", "%.3f MHz", facts->tsc_khz / 1000.0);
	if (facts->making_ns)
		print_making(facts, out);
}

static void print_probe(enum probe_id id, const struct probe_result *result, FILE *out)
{
	switch (result->outcome) {
	case PROBE_OK:
		if (id == PROBE_LOOP)
			row(out, probe_name(id), "ok      %.1f million instructions a second",
				result->mips);
		else
			row(out, probe_name(id), "ok      %s", probe_meaning(id));
		break;
	case PROBE_ABSENT:
		row(out, probe_name(id), "absent  not offered, so guests do without");
		break;
	case PROBE_FAILED:
		row(out, probe_name(id), "FAILED  %s", probe_meaning(id));
		row(out, "", "        %s", result->detail);
		break;
	case PROBE_SKIPPED:
		row(out, probe_name(id), "-       %s",
			result->detail[0] ? result->detail : "not tried");
		break;
	}
}

void doctor_print(const struct doctor_facts *facts, FILE *out)
{
	char text[1300];

	print_host(facts, out);
	if (facts->was_opened) {
		fprintf(out, "Probes, by running small guests\n");
		for (int i = 0; i < PROBE_COUNT; i++)
			print_probe((enum probe_id)i, &facts->probes[i], out);
	}
	doctor_describe(facts, text, sizeof(text));
	fprintf(out, "Verdict\n  %s.\n", text);
	doctor_advise(facts, text, sizeof(text));
	if (text[0])
		fprintf(out, "  What to do: %s.\n", text);
}
