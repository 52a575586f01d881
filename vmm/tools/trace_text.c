/*
 * See trace_text.h.
 */
#include "vmm/tools/trace_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
	SLICES = 24,
	BAR_CHARACTERS = 40,
	SLOWEST_MAX = 10000,
};

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static double us(uint64_t ns)
{
	return (double)ns / 1e3;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* ---- One event ---- */

static bool is_access(const struct trace_exit *exit)
{
	return exit->reason <= TRACE_MMIO_WRITE;
}

static void print_exit(
	const struct trace_file *file, const struct trace_exit *exit, char *text, size_t size)
{
	char detail[96] = "", count[24] = "", rip[32] = "";
	unsigned mark;

	if (is_access(exit))
		snprintf(detail, sizeof(detail), " 0x%" PRIx64 ", %u byte%s, 0x%0*" PRIx64,
			exit->addr, exit->size, plural(exit->size), exit->size * 2, exit->value);
	else if (exit->addr)
		snprintf(detail, sizeof(detail), " %" PRIu64, exit->addr);
	if (exit->count != 1)
		snprintf(count, sizeof(count), ", %u times", exit->count);
	if (exit->rip)
		snprintf(rip, sizeof(rip), " at RIP 0x%" PRIx64, exit->rip);
	snprintf(text, size, "%s%s%s%s%s%s%s", trace_reason_text(exit->reason), detail, count, rip,
		exit->device == TRACE_DEVICE_NONE ? "" : " ",
		trace_file_device_name(file, exit->device),
		exit->flags & TRACE_EXIT_UNCLAIMED ? " (no device there)" : "");
	if (trace_event_mark(file, &exit->record, &mark))
		snprintf(text, size, "the guest's mark %u", mark);
}

void trace_text_event(
	const struct trace_file *file, const struct trace_record *event, char *text, size_t size)
{
	static const char *const moves[] = {
		[TRACE_IRQ_LOW] = "down", [TRACE_IRQ_HIGH] = "up", [TRACE_IRQ_PULSE] = "pulse"};
	const struct trace_irq *irq = (const struct trace_irq *)event;
	const struct trace_kick *kick = (const struct trace_kick *)event;

	switch (event->type) {
	case TRACE_EXIT:
		print_exit(file, (const struct trace_exit *)event, text, size);
		break;
	case TRACE_IRQ:
		snprintf(text, size, "interrupt %u %s by %s", irq->gsi,
			irq->what < ARRAY_SIZE(moves) ? moves[irq->what] : "?",
			trace_file_device_name(file, irq->device));
		break;
	case TRACE_KICK:
		snprintf(text, size, "kick of queue %u of %s", kick->queue,
			trace_file_device_name(file, kick->device));
		break;
	case TRACE_LOST:
		snprintf(text, size, "%" PRIu64 " events lost",
			((const struct trace_lost *)event)->count);
		break;
	case TRACE_RESET:
		snprintf(text, size, "the machine starts afresh");
		break;
	default:
		snprintf(text, size, "the machine has ended");
	}
}

static void print_source(const struct trace_record *event, char *text, size_t size)
{
	if (event->source == TRACE_SOURCE_HOST)
		snprintf(text, size, "host");
	else
		snprintf(text, size, "vcpu%u", event->source);
}

static void print_event(const struct trace_file *file, const struct trace_record *event, FILE *out)
{
	char text[300], source[16], took[24] = "";
	uint32_t took_ns = trace_event_took_ns(event);

	trace_text_event(file, event, text, sizeof(text));
	print_source(event, source, sizeof(source));
	if (event->type == TRACE_EXIT || event->type == TRACE_KICK)
		snprintf(took, sizeof(took), "%.1f", us(took_ns));
	fprintf(out, "%14.6f %10s  %-7s %s\n", ms(trace_event_time_ns(event)), took, source, text);
}

void trace_text_list(const struct trace_view *view, FILE *out)
{
	fprintf(out, "%14s %10s  %-7s %s\n", "TIME ms", "TOOK us", "ON", "WHAT");
	TRACE_VIEW_EACH(view, i)
	print_event(view->file, view->file->events[i], out);
}

/* ---- What it is ---- */

static void print_sums(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	double span_s = (double)trace_view_span_ns(view) / 1e9;

	fprintf(out, "%.3f s; %" PRIu64 " exit%s", span_s, sums->exits, plural(sums->exits));
	if (span_s > 0)
		fprintf(out, " (%.0f a second)", (double)sums->exits / span_s);
	fprintf(out, ", %.1f %% of one processor's time in their handlers\n",
		percent(sums->took_ns, trace_view_span_ns(view)));
	fprintf(out, "%" PRIu64 " interrupt%s, %" PRIu64 " queue%s looked at after a kick",
		sums->irqs, plural(sums->irqs), sums->kicks, plural(sums->kicks));
	if (sums->unclaimed)
		fprintf(out, ", %" PRIu64 " access%s where no device is", sums->unclaimed,
			sums->unclaimed == 1 ? "" : "es");
	if (sums->resets)
		fprintf(out, ", %" PRIu64 " reset%s", sums->resets, plural(sums->resets));
	fputc('\n', out);
}

static void print_doubts(const struct trace_file *file, FILE *out)
{
	if (file->lost)
		fprintf(out, "%" PRIu64 " events were lost: the disk did not keep up\n",
			file->lost);
	if (!file->has_ended)
		fputs(file->is_cut ? "the trace ends in the middle of a record\n"
				   : "the trace has no end: vmm runs on, was killed, or the disk "
				     "was full\n",
			out);
	if (file->unknown)
		fprintf(out, "%zu record%s of kinds that this program does not show\n",
			file->unknown, plural(file->unknown));
}

static void print_head(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	const char *machine = trace_file_fact(view->file, "machine");

	if (machine)
		fprintf(out, "%s\n", machine);
	print_sums(view, sums, out);
	print_doubts(view->file, out);
}

/* ---- Tables ---- */

static void print_histogram(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	fputs("\nExits by reason and device\n     EXITS     %    TIME ms     %   MEAN us     MAX us"
	      "  REASON       DEVICE\n",
		out);
	for (size_t i = 0; i < sums->tally_count; i++) {
		const struct trace_tally *tally = &sums->tallies[i];

		fprintf(out, "%10" PRIu64 " %5.1f %10.2f %5.1f %9.1f %10.1f  %-12s %s\n",
			tally->exits, percent(tally->exits, sums->exits), ms(tally->took_ns),
			percent(tally->took_ns, sums->took_ns),
			us(tally->took_ns) / (double)tally->exits, us(tally->longest_ns),
			trace_reason_text(tally->reason),
			tally->device == TRACE_DEVICE_NONE
				? "-"
				: trace_file_device_name(view->file, tally->device));
	}
}

static void print_cpus(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	if (view->file->header.cpus < 2)
		return;
	fputs("\nExits by processor\n     EXITS     %    TIME ms  PROCESSOR\n", out);
	for (unsigned i = 0; i < view->file->header.cpus; i++)
		fprintf(out, "%10" PRIu64 " %5.1f %10.2f  vcpu%u\n", sums->cpu_exits[i],
			percent(sums->cpu_exits[i], sums->exits), ms(sums->cpu_took_ns[i]), i);
}

struct slice {
	uint64_t exits, irqs;
	uint64_t *by_device;
};

static unsigned busiest(const struct slice *slice, unsigned device_count)
{
	unsigned found = device_count;

	for (unsigned i = 0; i < device_count; i++)
		if (slice->by_device[i] &&
			(found == device_count || slice->by_device[i] > slice->by_device[found]))
			found = i;
	return found == device_count ? TRACE_DEVICE_NONE : found;
}

static void fill_slices(const struct trace_view *view, struct slice *slices, uint64_t slice_ns)
{
	const struct trace_file *file = view->file;

	TRACE_VIEW_EACH(view, i)
	{
		const struct trace_record *event = file->events[i];
		uint64_t nth = (trace_event_time_ns(event) - view->from_ns) / slice_ns;
		struct slice *slice = &slices[MIN(nth, (uint64_t)SLICES - 1)];
		unsigned device = trace_event_device(event);

		slice->exits += event->type == TRACE_EXIT;
		slice->irqs += event->type == TRACE_IRQ &&
			((const struct trace_irq *)event)->what != TRACE_IRQ_LOW;
		if (event->type == TRACE_EXIT && device != TRACE_DEVICE_NONE)
			slice->by_device[device]++;
	}
}

static void print_slices(
	const struct trace_view *view, const struct slice *slices, uint64_t slice_ns, FILE *out)
{
	static const char bar[BAR_CHARACTERS + 1] = "########################################";
	uint64_t most = 1;

	for (unsigned i = 0; i < SLICES; i++)
		most = MAX(most, slices[i].exits);
	fputs("\nTimeline\n      AT ms      EXITS       IRQS\n", out);
	for (unsigned i = 0; i < SLICES; i++) {
		unsigned device = busiest(&slices[i], view->file->device_count);
		int length = (int)(slices[i].exits * BAR_CHARACTERS / most);

		fprintf(out, "%11.1f %10" PRIu64 " %10" PRIu64 "%s%.*s%s%s\n",
			ms(view->from_ns + i * slice_ns), slices[i].exits, slices[i].irqs,
			length ? "  " : "", length, bar, device == TRACE_DEVICE_NONE ? "" : "  ",
			trace_file_device_name(view->file, device));
	}
}

static int print_timeline(const struct trace_view *view, FILE *out)
{
	uint64_t slice_ns = trace_view_span_ns(view) / SLICES + 1;
	unsigned devices = view->file->device_count;
	uint64_t *counts = calloc((size_t)SLICES * (devices + 1), sizeof(*counts));
	struct slice slices[SLICES] = {0};

	if (!counts)
		return -ENOMEM;
	for (unsigned i = 0; i < SLICES; i++)
		slices[i].by_device = counts + (size_t)i * devices;
	fill_slices(view, slices, slice_ns);
	print_slices(view, slices, slice_ns, out);
	free(counts);
	return 0;
}

static void print_marks(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	uint64_t before_ns = view->from_ns;
	unsigned number;

	if (!sums->marks)
		return;
	fputs("\nThe guest's marks\n      AT ms   SINCE ms  MARK\n", out);
	TRACE_VIEW_EACH(view, i)
	{
		const struct trace_record *event = view->file->events[i];
		uint64_t time_ns = trace_event_time_ns(event);

		if (!trace_event_mark(view->file, event, &number))
			continue;
		fprintf(out, "%11.3f %10.3f  %u\n", ms(time_ns), ms(time_ns - before_ns), number);
		before_ns = time_ns;
	}
}

static int print_slowest(const struct trace_view *view, size_t wanted, FILE *out)
{
	size_t max = MIN(wanted, (size_t)SLOWEST_MAX), count;
	const struct trace_exit **slowest = calloc(max + 1, sizeof(const struct trace_exit *));

	if (!slowest)
		return -ENOMEM;
	count = trace_view_slowest(view, slowest, max);
	if (count)
		fprintf(out, "\nThe slowest exits\n%14s %10s  %-7s %s\n", "TIME ms", "TOOK us",
			"ON", "WHAT");
	for (size_t i = 0; i < count; i++)
		print_event(view->file, &slowest[i]->record, out);
	free(slowest);
	return 0;
}

int trace_text_print(const struct trace_view *view, size_t slowest, FILE *out)
{
	struct trace_sums *sums;
	int ret = trace_sums_make(&sums, view);

	if (ret < 0)
		return ret;
	print_head(view, sums, out);
	if (sums->exits)
		print_histogram(view, sums, out);
	print_cpus(view, sums, out);
	print_marks(view, sums, out);
	ret = print_timeline(view, out);
	if (ret == 0)
		ret = print_slowest(view, slowest, out);
	trace_sums_free(sums);
	return ret;
}
