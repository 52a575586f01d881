/*
 * See top_view.h.
 */
#include "vmm/tools/top_view.h"

#include <string.h>

#include "vmm/base/util.h"
#include "vmm/tools/stat_text.h"

/* ---- Rates ---- */

struct view {
	const struct top_machine *machine;
	double seconds;
	FILE *out;
};

/* Counters of processors begin anew with a reset: then all there is was counted since. */
static double rate(const struct view *view, const char *prefix, const char *key)
{
	const struct top_machine *machine = view->machine;
	uint64_t now = stat_text_number(machine->text, prefix, key), before = 0;

	if (machine->before)
		before = stat_text_number(machine->before, prefix, key);
	return (double)(now < before ? now : now - before) / view->seconds;
}

void top_view_short(double value, char *text, size_t size)
{
	static const char units[] = " KMGTPE";
	unsigned unit = 0;

	while (value >= 999.5 && units[unit + 1]) {
		value /= 1000;
		unit++;
	}
	if (unit && value < 9.95)
		snprintf(text, size, "%.1f%c", value, units[unit]);
	else
		snprintf(text, size, "%.0f%.1s", value, unit ? &units[unit] : "");
}

static void put(const struct view *view, int width, double value)
{
	char text[16];

	top_view_short(value, text, sizeof(text));
	fprintf(view->out, "%*s", width, text);
}

/* Bytes, of which people count 1024. */
static void put_size(const struct view *view, const char *title, const char *key)
{
	double mib = (double)stat_text_number(view->machine->text, "", key) / (1024 * 1024);

	fprintf(view->out, "  %s %.*f MiB", title, mib < 10 ? 1 : 0, mib);
}

/* ---- Lines ---- */

static double percent(double ns_per_s)
{
	return ns_per_s / 1e7;
}

static void put_value(const struct view *view, const char *key)
{
	const char *at = view->machine->text;
	size_t len = strlen(key);

	for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, key, len))
			break;
	at = at && *at ? at + len : "?\n";
	for (unsigned i = 0; i < 16 && at[i] && at[i] != '\n'; i++)
		fputc(at[i] >= 0x20 && at[i] < 0x7f ? at[i] : '?', view->out);
}

static void put_head(const struct view *view)
{
	unsigned long long uptime_s =
		stat_text_number(view->machine->text, "", "uptime_ns") / 1000000000;

	fprintf(view->out, "%s  ", view->machine->name);
	put_value(view, "state=");
	fprintf(view->out, "  up %llu:%02llu:%02llu  CPU %.1f %%", uptime_s / 3600,
		uptime_s / 60 % 60, uptime_s % 60, percent(rate(view, "", "cpu_ns")));
	put_size(view, "RSS", "rss");
	put_size(view, "PSS", "pss");
	put_size(view, "of", "memory");
	fputc('\n', view->out);
}

/* In the order of the heading. */
static const char *const cpu_keys[] = {"port_reads", "port_writes", "mmio_reads", "mmio_writes",
	"interrupted", "kvm_exits", "kvm_halts", "kvm_irqs"};

static void put_cpu(const struct view *view, const char *prefix)
{
	double run = percent(rate(view, prefix, "run_ns"));
	double wait = percent(rate(view, prefix, "wait_ns"));

	/* "cpu.3." */
	fprintf(view->out, "  %-4.*s%6.1f%6.1f%6.1f", (int)strcspn(prefix + 4, "."), prefix + 4,
		run, wait, run + wait > 100 ? 0 : 100 - run - wait);
	for (size_t i = 0; i < ARRAY_SIZE(cpu_keys); i++)
		put(view, 7, rate(view, prefix, cpu_keys[i]));
	fputc('\n', view->out);
}

static void put_disk(const struct view *view, const char *prefix)
{
	fprintf(view->out, "  %-6.*s", (int)strcspn(prefix + 5, "."), prefix + 5);
	put(view, 7, rate(view, prefix, "reads"));
	put(view, 7, rate(view, prefix, "read_bytes"));
	put(view, 8, rate(view, prefix, "writes"));
	put(view, 7, rate(view, prefix, "written_bytes"));
	put(view, 8, rate(view, prefix, "flushes"));
	put(view, 7, rate(view, prefix, "kicks"));
	put(view, 7, rate(view, prefix, "interrupts"));
	fputc('\n', view->out);
}

static void put_nic(const struct view *view, const char *prefix)
{
	fprintf(view->out, "  net%-3.*s", (int)strcspn(prefix + 4, "."), prefix + 4);
	put(view, 7, rate(view, prefix, "received_frames"));
	put(view, 7, rate(view, prefix, "received_bytes"));
	put(view, 8, rate(view, prefix, "sent_frames"));
	put(view, 7, rate(view, prefix, "sent_bytes"));
	put(view, 8, rate(view, prefix, "dropped"));
	put(view, 7, rate(view, prefix, "kicks"));
	put(view, 7, rate(view, prefix, "interrupts"));
	fputc('\n', view->out);
}

static void put_device(const struct view *view, const char *prefix)
{
	/* "device.virtio-rng0." */
	fprintf(view->out, "  %-36.*s", (int)strcspn(prefix + 7, "."), prefix + 7);
	put(view, 8, rate(view, prefix, "requests"));
	put(view, 7, rate(view, prefix, "kicks"));
	put(view, 7, rate(view, prefix, "interrupts"));
	fputc('\n', view->out);
}

static void put_group(const struct view *view, const char *group, const char *heading,
	void (*line)(const struct view *view, const char *prefix))
{
	char prefix[STAT_KEY_MAX];

	for (unsigned i = 0; stat_text_group(view->machine->text, group, i, prefix); i++) {
		if (i == 0)
			fprintf(view->out, "%s\n", heading);
		for (char *c = prefix; *c; c++)
			*c = *c >= 0x20 && *c < 0x7f ? *c : '?';
		line(view, prefix);
	}
}

void top_view_machine(const struct top_machine *machine, FILE *out)
{
	struct view view = {.machine = machine, .out = out};
	uint64_t ns;

	if (!machine->text) {
		fprintf(out, "%s  does not answer\n", machine->name);
		return;
	}
	ns = machine->before ? machine->asked_ns - machine->before_ns
			     : stat_text_number(machine->text, "", "uptime_ns");
	view.seconds = ns ? (double)ns / 1e9 : 1;
	put_head(&view);
	put_group(&view, "cpu.",
		"  cpu   RUN% WAIT% HALT% PORT R PORT W MMIO R MMIO W   INTR    KVM  HALTS   IRQS",
		put_cpu);
	put_group(&view, "disk.", "  disk     READS  BYTES  WRITES  BYTES FLUSHES  KICKS   IRQS",
		put_disk);
	put_group(&view, "nic.", "  card  RECEIVED  BYTES    SENT  BYTES DROPPED  KICKS   IRQS",
		put_nic);
	put_group(&view, "device.", "  device                              REQUESTS  KICKS   IRQS",
		put_device);
}
