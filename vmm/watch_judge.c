/*
 * See watch_judge.h: the decision. The sentences are in watch_explain.c.
 */
#include "vmm/watch_judge.h"

#include <stdlib.h>
#include <string.h>

#include "firmware/cmdline.h"
#include "vmm/base/util.h"
#include "vmm/watch_words.h"

/* ---- One processor ---- */

static bool is_same_access(const struct exit_record *a, const struct exit_record *b)
{
	return a->kind == b->kind && a->addr == b->addr && a->unclaimed == b->unclaimed;
}

static void add_running(struct watch_cpu *cpu, const struct vcpu_sample *sample, bool is_first)
{
	if (is_first) {
		cpu->code_low = cpu->code_high = sample->code;
		return;
	}
	cpu->code_low = MIN(cpu->code_low, sample->code);
	cpu->code_high = MAX(cpu->code_high, sample->code);
	for (unsigned i = 0; i < VCPU_SAMPLE_REGS; i++)
		if (sample->regs[i] != cpu->last.regs[i])
			cpu->regs_changed |= 1u << i;
}

void watch_cpu_add(struct watch_cpu *cpu, const struct vcpu_sample *sample)
{
	cpu->answers++;
	if (sample->is_off)
		return;
	if (!cpu->samples)
		cpu->first = *sample;
	else if (!is_same_access(&sample->last, &cpu->last.last))
		cpu->access_differs = true;
	if (sample->is_halted)
		cpu->halted++;
	else
		add_running(cpu, sample, cpu->samples == cpu->halted);
	cpu->samples++;
	cpu->interrupts_on += sample->interrupts_on;
	cpu->in_user += sample->in_user;
	cpu->last = *sample;
}

static bool is_asleep(const struct watch_cpu *cpu)
{
	return cpu->samples && cpu->halted == cpu->samples;
}

static bool never_sleeps(const struct watch_cpu *cpu)
{
	return cpu->samples >= WATCH_SAMPLES_MIN && !cpu->halted;
}

static uint64_t per_second(uint64_t count, uint64_t window_ns)
{
	return window_ns ? (uint64_t)((double)count * 1e9 / (double)window_ns) : 0;
}

/* Most of what it does is one access, again and again. */
static bool repeats_access(const struct watch_cpu *cpu)
{
	return never_sleeps(cpu) && !cpu->access_differs && cpu->last.last.kind != EXIT_KIND_OTHER;
}

static bool storms(const struct watch_cpu *cpu, uint64_t window_ns)
{
	return repeats_access(cpu) && cpu->last.last.unclaimed &&
		per_second(cpu->last.unclaimed - cpu->first.unclaimed, window_ns) >=
		WATCH_STORM_PER_S;
}

static bool polls(const struct watch_cpu *cpu, uint64_t window_ns)
{
	enum exit_kind kind = cpu->last.last.kind;

	return repeats_access(cpu) && !cpu->last.last.unclaimed &&
		(kind == EXIT_KIND_PIO_READ || kind == EXIT_KIND_MMIO_READ) &&
		per_second(cpu->last.exits - cpu->first.exits, window_ns) >= WATCH_POLLS_PER_S;
}

/* Linux polls by itself in place of sleeping when it was told to. */
static bool may_poll(const struct watch_facts *facts)
{
	return facts->is_linux && cmdline_has(facts->cmdline, "idle");
}

/*
 * A loop that counts, or waits for a change in memory, moves one register or none. Linux does not
 * compute for long with interrupts off, so there it need not be looked at how many move.
 */
static bool spins(const struct watch_cpu *cpu, uint64_t window_ns, const struct watch_facts *facts)
{
	uint64_t span = cpu->code_high - cpu->code_low;
	bool few_change = __builtin_popcount(cpu->regs_changed) <= 1;

	if (!never_sleeps(cpu) || cpu->in_user || polls(cpu, window_ns))
		return false;
	if (!cpu->interrupts_on)
		return span <= WATCH_LOOP_OFF_BYTES && (few_change || facts->is_linux);
	return span <= WATCH_LOOP_BYTES && few_change && !may_poll(facts);
}

/* ---- All processors ---- */

bool watch_is_asleep(const struct watch_cpu *cpus, unsigned count)
{
	unsigned started = 0;

	for (unsigned i = 0; i < count; i++) {
		started += cpus[i].samples > 0;
		if (cpus[i].samples && !is_asleep(&cpus[i]))
			return false;
	}
	return started;
}

static bool all_deaf(const struct watch_facts *facts)
{
	for (unsigned i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].interrupts_on)
			return false;
	return watch_is_asleep(facts->cpus, facts->cpu_count);
}

static void set_place(const struct watch_facts *facts, struct watch_verdict *verdict, unsigned cpu)
{
	verdict->cpu = cpu;
	verdict->code = facts->cpus[cpu].last.code;
	verdict->has_place = true;
}

/* The first processor that runs, else the first that was started. */
static void find_place(const struct watch_facts *facts, struct watch_verdict *verdict)
{
	for (unsigned i = facts->cpu_count; i-- > 0;)
		if (facts->cpus[i].samples)
			set_place(facts, verdict, i);
	for (unsigned i = facts->cpu_count; i-- > 0;)
		if (facts->cpus[i].samples && !is_asleep(&facts->cpus[i]))
			set_place(facts, verdict, i);
}

/* What one processor's behaviour tells; UNKNOWN: nothing. */
static enum watch_kind judge_cpus(const struct watch_facts *facts, struct watch_verdict *verdict)
{
	enum watch_kind kind = WATCH_UNKNOWN;

	for (unsigned i = facts->cpu_count; i-- > 0;) {
		const struct watch_cpu *cpu = &facts->cpus[i];
		enum watch_kind found = storms(cpu, facts->window_ns) ? WATCH_STORM
			: spins(cpu, facts->window_ns, facts)	      ? WATCH_SPINS
								      : WATCH_UNKNOWN;

		if (found == WATCH_UNKNOWN)
			continue;
		kind = found;
		set_place(facts, verdict, i);
	}
	return kind;
}

/* ---- Disks and consoles ---- */

int watch_root_disk(const char *cmdline)
{
	char root[40];

	if (!watch_find_word(cmdline, "root", 0, root, sizeof(root)) ||
		strncmp(root, "/dev/vd", 7) != 0 || root[7] < 'a' || root[7] > 'z')
		return -1;
	return root[7] - 'a';
}

bool watch_says_waiting(const char *line)
{
	return strstr(line, "aiting for root") || strstr(line, "aiting for /dev/") ||
		strstr(line, "aiting up to");
}

/*
 * It says so; or it is quiet, was told to wait for a disk that it can't have, and has no initrd
 * that could have found another root.
 */
static bool waits_for_root(const struct watch_facts *facts)
{
	int root = watch_root_disk(facts->cmdline);

	if (watch_says_waiting(facts->last_line))
		return true;
	return root >= 0 && !facts->has_initrd && cmdline_has(facts->cmdline, "rootwait") &&
		watch_is_asleep(facts->cpus, facts->cpu_count) &&
		((unsigned)root >= facts->disk_count ||
			facts->disk_drivers[root] != GUEST_DRIVER_READY);
}

static bool is_named(const struct watch_facts *facts, const struct watch_console *console)
{
	char word[40];

	for (unsigned i = 0; watch_find_word(facts->cmdline, "console", i, word, sizeof(word));
		i++) {
		word[strcspn(word, ",")] = '\0';
		if (!strcmp(word, console->name))
			return true;
	}
	return false;
}

/* It has got as far as to sleep or to run programs: a kernel that prints would have printed. */
static bool has_started(const struct watch_facts *facts)
{
	for (unsigned i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].in_user)
			return true;
	return watch_is_asleep(facts->cpus, facts->cpu_count);
}

static enum watch_kind judge_consoles(
	const struct watch_facts *facts, struct watch_verdict *verdict)
{
	enum watch_kind kind = WATCH_UNKNOWN;
	bool is_quiet =
		cmdline_has(facts->cmdline, "quiet") || cmdline_has(facts->cmdline, "loglevel");

	for (unsigned i = 0; i < facts->console_count; i++)
		if (facts->consoles[i].is_shown && facts->consoles[i].bytes)
			return WATCH_UNKNOWN;
	for (unsigned i = 0; i < facts->console_count; i++) {
		if (facts->consoles[i].is_shown || !facts->consoles[i].bytes)
			continue;
		verdict->console = i;
		return WATCH_CONSOLE_ELSEWHERE;
	}
	if (!facts->is_linux || !facts->console_count || !has_started(facts))
		return WATCH_UNKNOWN;
	kind = WATCH_CONSOLE_UNKNOWN;
	for (unsigned i = 0; i < facts->console_count; i++) {
		const struct watch_console *console = &facts->consoles[i];

		if (!console->is_shown || !is_named(facts, console))
			continue;
		/* What is on the screen is not known here. */
		if (console->is_screen)
			return WATCH_UNKNOWN;
		/* One that works may be silent because there is nothing to say. */
		if (console->driver == GUEST_DRIVER_READY && is_quiet)
			return WATCH_UNKNOWN;
		verdict->console = i;
		kind = WATCH_CONSOLE_DRIVER;
	}
	return kind;
}

/* ---- The verdict ---- */

void watch_judge(const struct watch_facts *facts, struct watch_verdict *verdict)
{
	bool asleep = watch_is_asleep(facts->cpus, facts->cpu_count), polling = false;
	enum watch_kind kind;

	*verdict = (struct watch_verdict){.kind = WATCH_PANIC, .disk = -1};
	find_place(facts, verdict);
	if (facts->panic_reason)
		return;
	verdict->kind = WATCH_UNKNOWN;
	if (!verdict->has_place)
		return;
	verdict->kind = WATCH_HALTED;
	if (all_deaf(facts))
		return;
	kind = judge_cpus(facts, verdict);
	if (facts->is_linux && facts->is_interpreted && !asleep && kind != WATCH_STORM)
		kind = WATCH_INTERPRETED;
	if (kind == WATCH_UNKNOWN && waits_for_root(facts)) {
		kind = WATCH_WAITS_FOR_ROOT;
		verdict->disk = watch_root_disk(facts->cmdline);
	}
	if (kind == WATCH_UNKNOWN)
		kind = judge_consoles(facts, verdict);
	for (unsigned i = 0; kind == WATCH_UNKNOWN && i < facts->cpu_count; i++) {
		polling = polls(&facts->cpus[i], facts->window_ns);
		if (!polling)
			continue;
		kind = WATCH_POLLS;
		set_place(facts, verdict, i);
	}
	if (kind == WATCH_UNKNOWN)
		kind = asleep ? WATCH_IDLE : WATCH_BUSY;
	verdict->kind = kind;
}

bool watch_is_trouble(enum watch_kind kind)
{
	return kind >= WATCH_PANIC;
}

bool watch_is_hung(enum watch_kind kind)
{
	return kind == WATCH_PANIC || kind == WATCH_HALTED || kind == WATCH_STORM ||
		kind == WATCH_SPINS || kind == WATCH_WAITS_FOR_ROOT;
}
