/*
 * See watch_judge.h: the sentences.
 */
#include <stdio.h>
#include <string.h>

#include "vmm/base/util.h"
#include "vmm/panic_watch.h"
#include "vmm/watch_judge.h"
#include "vmm/watch_words.h"

#define END_IT "Ctrl-a x or vmm kill ends it"

bool watch_find_word(const char *line, const char *name, unsigned nth, char *value, size_t size)
{
	size_t len = strlen(name);

	for (const char *at = line; at && *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		if (strncmp(at, name, len) != 0 || at[len] != '=' || nth--)
			continue;
		at += len + 1;
		snprintf(value, size, "%.*s", (int)MIN(strcspn(at, " "), size), at);
		return true;
	}
	return false;
}

void watch_clean(const char *text, char *out, size_t size)
{
	size_t used = 0;

	for (; *text && used + 1 < size; text++)
		out[used++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
	out[used] = '\0';
}

/* ---- Processors ---- */

static void say_halted(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, char *text, char *hint)
{
	bool is_several = facts->cpu_count > 1;

	if (strstr(facts->last_line, "System halted")) {
		snprintf(text, WATCH_TEXT_MAX,
			"the guest has halted the machine for good, as halt(8) does");
		snprintf(hint, WATCH_TEXT_MAX, END_IT "; poweroff in the guest does it by itself");
		return;
	}
	snprintf(text, WATCH_TEXT_MAX,
		"halted with interrupts off: %s is in HLT at %s with IF=0, so nothing but a reset "
		"can wake it",
		is_several ? "every processor that was started" : "the processor", place);
	if (facts->is_linux)
		snprintf(hint, WATCH_TEXT_MAX,
			"Linux stops like this after a panic or a halt: look for the last lines "
			"on its console; " END_IT);
	else
		snprintf(hint, WATCH_TEXT_MAX,
			"in a kernel of your own, let interrupts in (sti) right before "
			"hlt; " END_IT);
	(void)verdict;
}

static void say_storm(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, char *text, char *hint)
{
	const struct watch_cpu *cpu = &facts->cpus[verdict->cpu];
	const struct exit_record *access = &cpu->last.last;
	bool is_read = access->kind == EXIT_KIND_PIO_READ || access->kind == EXIT_KIND_MMIO_READ;
	bool is_port = access->kind == EXIT_KIND_PIO_READ || access->kind == EXIT_KIND_PIO_WRITE;

	snprintf(text, WATCH_TEXT_MAX,
		"CPU %u %s %s 0x%llx over and over at %s, and there is no device%s", verdict->cpu,
		is_read ? "reads" : "writes to", is_port ? "port" : "address",
		(unsigned long long)access->addr, place,
		is_read ? ": it reads as all ones" : ": nobody hears it");
	snprintf(hint, WATCH_TEXT_MAX,
		"the loop waits for hardware that this machine lacks: leave that driver out, or "
		"give the loop an end");
}

static void say_spins(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, char *text, char *hint)
{
	const struct watch_cpu *cpu = &facts->cpus[verdict->cpu];
	uint64_t span = cpu->code_high - cpu->code_low + 1;
	bool is_deaf = !cpu->interrupts_on;

	snprintf(text, WATCH_TEXT_MAX,
		"spinning: CPU %u goes round at %s, within %llu byte%s of code, with interrupts "
		"%s, "
		"and nothing comes of it",
		verdict->cpu, place, (unsigned long long)span, span == 1 ? "" : "s",
		is_deaf ? "off" : "on");
	if (is_deaf)
		snprintf(hint, WATCH_TEXT_MAX,
			"with interrupts off nobody can end such a loop: it waits for a lock or a "
			"flag that only an interrupt or another processor would change");
	else
		snprintf(hint, WATCH_TEXT_MAX,
			"it is an endless loop, or it waits for something in memory that does not "
			"come; hlt would wait for an interrupt at no cost");
}

/* ---- Root and consoles ---- */

static void say_waits(const struct watch_facts *facts, const struct watch_verdict *verdict,
	char *text, char *hint)
{
	char line[100], quoted[110] = "", root[60] = "";
	unsigned disk = verdict->disk < 0 ? 0 : (unsigned)verdict->disk;

	watch_clean(facts->last_line, line, sizeof(line));
	if (watch_says_waiting(facts->last_line))
		snprintf(quoted, sizeof(quoted), " (\"%s\")", line);
	watch_find_word(facts->cmdline, "root", 0, root, sizeof(root));
	watch_clean(root, root, sizeof(root));
	if (disk >= facts->disk_count) {
		snprintf(text, WATCH_TEXT_MAX,
			"the guest waits for its root file system%s, and root=%s is a disk "
			"that the machine does not have: it has %u",
			quoted, root, facts->disk_count);
		snprintf(hint, WATCH_TEXT_MAX, "add --disk FILE, or correct root=");
		return;
	}
	snprintf(text, WATCH_TEXT_MAX,
		"the guest waits for its root file system%s, and the disk vd%c has %s", quoted,
		'a' + (int)disk,
		facts->disk_drivers[disk] == GUEST_DRIVER_READY
			? "its driver"
			: "no driver: none has set DRIVER_OK");
	if (facts->disk_drivers[disk] == GUEST_DRIVER_READY)
		snprintf(hint, WATCH_TEXT_MAX,
			"root=%s names no partition of it: vmm inspect on the disk shows what is "
			"there",
			root);
	else
		guest_driver_advise(facts->disk_drivers[disk], "virtio-blk", hint, WATCH_TEXT_MAX);
}

static void list_shown(const struct watch_facts *facts, char *names, size_t size)
{
	size_t len = 0;

	snprintf(names, size, "none");
	for (unsigned i = 0; i < facts->console_count && len < size; i++)
		if (facts->consoles[i].is_shown)
			len += (size_t)snprintf(names + len, size - len, "%s%s", len ? ", " : "",
				facts->consoles[i].name);
}

static void say_unknown_console(const struct watch_facts *facts, char *text, char *hint)
{
	char word[40] = "", shown[60], last[40] = "";

	list_shown(facts, shown, sizeof(shown));
	for (unsigned i = 0; watch_find_word(facts->cmdline, "console", i, word, sizeof(word)); i++)
		watch_clean(word, last, sizeof(last));
	snprintf(text, WATCH_TEXT_MAX,
		"the guest runs, but its kernel prints to console=%s, which is not shown (shown: "
		"%s)",
		last, shown);
	snprintf(hint, WATCH_TEXT_MAX,
		"leave console= out of --append, or say console=ttyS0 (with --console hvc0: "
		"console=hvc0)");
}

static void say_console(const struct watch_facts *facts, const struct watch_verdict *verdict,
	char *text, char *hint)
{
	const struct watch_console *console = &facts->consoles[verdict->console];

	if (verdict->kind == WATCH_CONSOLE_ELSEWHERE) {
		snprintf(text, WATCH_TEXT_MAX,
			"the guest runs and has printed %llu byte%s, but to %s, whose host side is "
			"'%s': nothing of it is shown here",
			(unsigned long long)console->bytes, console->bytes == 1 ? "" : "s",
			console->name, console->host_side);
		snprintf(hint, WATCH_TEXT_MAX,
			"vmm console NAME shows it; say console= in --append, --console, or "
			"--serial and --hvc0 to have it here");
		return;
	}
	snprintf(text, WATCH_TEXT_MAX,
		"the guest runs, but its kernel has printed nothing to %s: it has no driver for "
		"that console",
		console->name);
	if (!strcmp(console->name, "hvc0"))
		guest_driver_advise(console->driver, "virtio-console", hint, WATCH_TEXT_MAX);
	else
		snprintf(hint, WATCH_TEXT_MAX,
			"the kernel needs CONFIG_SERIAL_8250 and CONFIG_SERIAL_8250_CONSOLE built "
			"in (=y)");
}

/* ---- Guests in good health: for whoever ends one ---- */

static void say_idle(const struct watch_facts *facts, char *text)
{
	char line[120];

	watch_clean(facts->last_line, line, sizeof(line));
	snprintf(text, WATCH_TEXT_MAX,
		"it was idle: its processors slept, with interrupts on%s%s%s",
		*line ? "; the last words on its console are \"" : "", line, *line ? "\"" : "");
}

static void say_busy(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, char *text)
{
	const struct watch_cpu *cpu = &facts->cpus[verdict->cpu];

	snprintf(text, WATCH_TEXT_MAX, "it was busy: CPU %u %s at %s", verdict->cpu,
		cpu->last.in_user ? "ran a program" : "ran its kernel", place);
}

static void say_polls(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, const char *device, char *text)
{
	const struct exit_record *access = &facts->cpus[verdict->cpu].last.last;

	snprintf(text, WATCH_TEXT_MAX,
		"it was asking %s again and again: CPU %u read %s 0x%llx at %s",
		device ? device : "a device", verdict->cpu,
		access->kind == EXIT_KIND_PIO_READ ? "port" : "address",
		(unsigned long long)access->addr, place);
}

void watch_explain(const struct watch_facts *facts, const struct watch_verdict *verdict,
	const char *place, const char *device, char text[WATCH_TEXT_MAX], char hint[WATCH_TEXT_MAX])
{
	char reason[PANIC_WATCH_LINE_MAX];
	int disk = verdict->disk < 0 ? 0 : verdict->disk;

	text[0] = hint[0] = '\0';
	place = place ? place : "an unknown place";
	switch (verdict->kind) {
	case WATCH_PANIC:
		watch_clean(facts->panic_reason, reason, sizeof(reason));
		snprintf(text, WATCH_TEXT_MAX, "the guest's kernel panicked: %s", reason);
		panic_watch_hint(facts->panic_reason, facts->disk_count > 0, facts->has_initrd,
			facts->disk_count > (unsigned)disk ? facts->disk_drivers[disk]
							   : GUEST_DRIVER_READY,
			hint, WATCH_TEXT_MAX);
		break;
	case WATCH_HALTED:
		say_halted(facts, verdict, place, text, hint);
		break;
	case WATCH_STORM:
		say_storm(facts, verdict, place, text, hint);
		break;
	case WATCH_INTERPRETED:
		snprintf(text, WATCH_TEXT_MAX,
			"this host's KVM has no hardware virtualization and interprets the guest, "
			"a hundred times slower and without some instructions; CPU %u is at %s",
			verdict->cpu, place);
		snprintf(hint, WATCH_TEXT_MAX,
			"stock kernels stop at int3 or xsave here: vmm doctor says what this KVM "
			"can do");
		break;
	case WATCH_SPINS:
		say_spins(facts, verdict, place, text, hint);
		break;
	case WATCH_WAITS_FOR_ROOT:
		say_waits(facts, verdict, text, hint);
		break;
	case WATCH_CONSOLE_UNKNOWN:
		say_unknown_console(facts, text, hint);
		break;
	case WATCH_CONSOLE_ELSEWHERE:
	case WATCH_CONSOLE_DRIVER:
		say_console(facts, verdict, text, hint);
		break;
	case WATCH_IDLE:
		say_idle(facts, text);
		break;
	case WATCH_BUSY:
		say_busy(facts, verdict, place, text);
		break;
	case WATCH_POLLS:
		say_polls(facts, verdict, place, device, text);
		break;
	case WATCH_UNKNOWN:
		break;
	}
}
