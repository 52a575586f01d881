/*
 * See gdb_session.h: what "monitor" in gdb can ask of this program: things that gdb itself has no
 * words for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gdb_session.h"

enum {
	WORDS_MAX = 4,
	PHYS_DEFAULT = 64,
	PHYS_MAX = 1024,
	PHYS_LINE = 16,
};

struct call {
	struct gdb_session *session;
	FILE *out;
	unsigned word_count;
	const char *words[WORDS_MAX]; /* behind the command */
};

/* A number as in C, or $ and a register of the thread; false and a sentence when it is neither. */
static bool read_number(struct call *call, unsigned nth, uint64_t *value)
{
	struct gdb_session *session = call->session;
	const char *word = call->words[nth];
	const struct cpu_regs *regs;
	char *end;

	if (nth >= call->word_count) {
		fprintf(call->out, "A number is missing; monitor help lists the commands.\n");
		return false;
	}
	regs = *word == '$' ? gdb_session_regs(session, session->cpu) : NULL;
	if (regs && gdb_reg_find(session->mode, word + 1, regs, value))
		return true;
	errno = 0;
	*value = strtoull(word, &end, 0);
	if (!errno && *end == '\0' && *word >= '0' && *word <= '9')
		return true;
	fprintf(call->out, "'%.40s' is neither a number nor $ and the name of a register.\n", word);
	return false;
}

/* The processor that a word names, or the one that gdb looks at. */
static bool read_cpu(struct call *call, unsigned *cpu)
{
	const struct gdb_target *target = call->session->target;
	uint64_t value = call->session->cpu;

	if (call->word_count && !read_number(call, 0, &value))
		return false;
	if (value >= target->ops->cpu_count(target->opaque)) {
		fprintf(call->out, "There is no CPU %" PRIu64 ".\n", value);
		return false;
	}
	*cpu = (unsigned)value;
	return true;
}

static void dump(FILE *out, uint64_t address, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += PHYS_LINE) {
		size_t count = MIN(len - i, (size_t)PHYS_LINE);

		fprintf(out, "%012" PRIx64 " ", address + i);
		for (size_t j = 0; j < count; j++)
			fprintf(out, " %02x", bytes[i + j]);
		fprintf(out, "%*s  ", (int)(PHYS_LINE - count) * 3, "");
		for (size_t j = 0; j < count; j++)
			fputc(bytes[i + j] >= ' ' && bytes[i + j] <= '~' ? bytes[i + j] : '.', out);
		fputc('\n', out);
	}
}

static void run_phys(struct call *call)
{
	struct gdb_session *session = call->session;
	uint64_t address, len = PHYS_DEFAULT;
	uint8_t bytes[PHYS_MAX];

	if (!read_number(call, 0, &address) ||
		(call->word_count > 1 && !read_number(call, 1, &len)))
		return;
	if (!len || len > PHYS_MAX)
		fprintf(call->out, "From 1 to %d bytes can be shown.\n", PHYS_MAX);
	else if (gdb_breaks_read(&session->breaks, session->target, address, bytes, len) < 0)
		fprintf(call->out, "There is no memory of the guest's at 0x%" PRIx64 ".\n",
			address);
	else
		dump(call->out, address, bytes, len);
}

static void run_walk(struct call *call)
{
	const struct cpu_regs *regs = gdb_session_regs(call->session, call->session->cpu);
	struct page_walk_regs walk_regs;
	struct page_walk walk;
	uint64_t address;
	char text[1000];

	if (!read_number(call, 0, &address) || !regs)
		return;
	walk_regs = gdb_walk_regs(regs);
	page_walk(&walk, call->session->target->mem, &walk_regs, address);
	page_walk_print(&walk, text, sizeof(text));
	fputs(text, call->out);
}

static void run_explain(struct call *call)
{
	const struct gdb_target *target = call->session->target;
	unsigned cpu;

	if (read_cpu(call, &cpu))
		target->ops->explain(target->opaque, cpu, call->out);
}

static void run_exits(struct call *call)
{
	const struct gdb_target *target = call->session->target;
	const struct exit_ring *ring;
	unsigned cpu;

	if (!read_cpu(call, &cpu))
		return;
	ring = target->ops->exits(target->opaque, cpu);
	if (!ring)
		return;
	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++) {
		uint64_t count = atomic_load(&ring->counts[i]);

		if (count)
			fprintf(call->out, "%-16s %" PRIu64 "\n", exit_kind_name(i), count);
	}
	fprintf(call->out, "%-16s %" PRIu64 "\n", "unclaimed", atomic_load(&ring->unclaimed));
}

static void run_reset(struct call *call)
{
	const struct gdb_target *target = call->session->target;

	target->ops->reset(target->opaque);
	fprintf(call->out,
		"The guest stands at its first instruction again. To make gdb forget "
		"what it knew:\n  maintenance flush register-cache\n");
}

static void run_help(struct call *call);

static const struct {
	const char *name, *words, *text;
	void (*fn)(struct call *call);
} commands[] = {
	{"help", "", "this list", run_help},
	{"phys", "ADDRESS [BYTES]", "guest-physical memory", run_phys},
	{"walk", "ADDRESS", "the page tables on the way to an address", run_walk},
	{"explain", "[CPU]", "registers, code, page tables and last exits of a processor",
		run_explain},
	{"exits", "[CPU]", "how often it left the guest, by kind", run_exits},
	{"reset", "", "start the guest afresh", run_reset},
};

static void run_help(struct call *call)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(call->out, "monitor %s%s%s - %s\n", commands[i].name,
			*commands[i].words ? " " : "", commands[i].words, commands[i].text);
}

static void run_line(struct call *call, char *line)
{
	char *save = NULL;
	const char *name = strtok_r(line, " \t", &save), *word;

	while ((word = strtok_r(NULL, " \t", &save))) {
		if (call->word_count == WORDS_MAX) {
			fprintf(call->out, "These are more words than any command has.\n");
			return;
		}
		call->words[call->word_count++] = word;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (name && strcmp(name, commands[i].name) != 0)
			continue;
		commands[i].fn(call);
		return;
	}
	fprintf(call->out, "There is no command '%.40s'; monitor help lists them.\n", name);
}

void gdb_monitor_run(struct gdb_session *session, const char *line)
{
	struct call call = {.session = session};
	char copy[200], *text = NULL;
	size_t len = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	call.out = open_memstream(&text, &len);
	if (!call.out)
		return;
	run_line(&call, copy);
	if (fclose(call.out) == 0)
		gdb_session_say(session, text, MIN(len, (size_t)GDB_MONITOR_MAX));
	free(text);
}
