/*
 * See trace_view.h.
 */
#include "vmm/tools/trace_view.h"

#include <errno.h>
#include <stdlib.h>

void trace_view_init(struct trace_view *view, const struct trace_file *file)
{
	*view = (struct trace_view){
		.file = file, .cpu = TRACE_ALL, .device = TRACE_ALL, .to_ns = UINT64_MAX};
}

static bool is_seen(const struct trace_view *view, const struct trace_record *event)
{
	uint64_t time_ns = trace_event_time_ns(event);

	return time_ns >= view->from_ns && time_ns < view->to_ns &&
		(view->cpu == TRACE_ALL || view->cpu == (int)event->source) &&
		(view->device == TRACE_ALL || view->device == (int)trace_event_device(event));
}

size_t trace_view_next(const struct trace_view *view, size_t at)
{
	const struct trace_file *file = view->file;

	while (at < file->event_count && !is_seen(view, file->events[at]))
		at++;
	return at;
}

uint64_t trace_view_span_ns(const struct trace_view *view)
{
	uint64_t end_ns = MIN(view->to_ns, view->file->end_ns);

	return end_ns > view->from_ns ? end_ns - view->from_ns : 0;
}

/* ---- Sums ---- */

static void add_exit(struct trace_sums *sums, const struct trace_file *file,
	const struct trace_exit *exit, struct trace_tally *tallies)
{
	unsigned place = exit->device == TRACE_DEVICE_NONE ? file->device_count : exit->device;
	struct trace_tally *tally = &tallies[place * TRACE_REASON_COUNT + exit->reason];
	unsigned number;

	tally->reason = exit->reason;
	tally->device = exit->device;
	tally->exits++;
	tally->took_ns += exit->took_ns;
	tally->longest_ns = MAX(tally->longest_ns, exit->took_ns);
	sums->exits++;
	sums->took_ns += exit->took_ns;
	sums->unclaimed += exit->flags & TRACE_EXIT_UNCLAIMED ? 1 : 0;
	sums->marks += trace_event_mark(file, &exit->record, &number);
	if (exit->record.source != TRACE_SOURCE_HOST) {
		sums->cpu_exits[exit->record.source]++;
		sums->cpu_took_ns[exit->record.source] += exit->took_ns;
	}
}

static int compare_tallies(const void *a, const void *b)
{
	const struct trace_tally *one = a, *other = b;

	if (one->took_ns != other->took_ns)
		return one->took_ns > other->took_ns ? -1 : 1;
	return one->exits > other->exits ? -1 : one->exits < other->exits;
}

static void add_event(struct trace_sums *sums, const struct trace_file *file,
	const struct trace_record *event, struct trace_tally *tallies)
{
	switch (event->type) {
	case TRACE_EXIT:
		add_exit(sums, file, (const struct trace_exit *)event, tallies);
		break;
	case TRACE_IRQ:
		/* A line that goes down interrupts nobody. */
		sums->irqs += ((const struct trace_irq *)event)->what != TRACE_IRQ_LOW;
		break;
	case TRACE_KICK:
		sums->kicks++;
		break;
	case TRACE_RESET:
		sums->resets++;
		break;
	case TRACE_LOST:
		if (util_add_overflows(
			    sums->lost, ((const struct trace_lost *)event)->count, &sums->lost))
			sums->lost = UINT64_MAX;
		break;
	default:
		break;
	}
}

int trace_sums_make(struct trace_sums **out, const struct trace_view *view)
{
	const struct trace_file *file = view->file;
	size_t places = (file->device_count + 1) * (size_t)TRACE_REASON_COUNT;
	struct trace_sums *sums = calloc(1, sizeof(*sums));
	struct trace_tally *tallies = calloc(places, sizeof(*tallies));

	*out = sums;
	if (!sums || !tallies) {
		free(tallies);
		free(sums);
		return -ENOMEM;
	}
	TRACE_VIEW_EACH(view, i)
	add_event(sums, file, file->events[i], tallies);
	sums->tallies = tallies;
	for (size_t i = 0; i < places; i++)
		if (tallies[i].exits)
			tallies[sums->tally_count++] = tallies[i];
	qsort(tallies, sums->tally_count, sizeof(*tallies), compare_tallies);
	return 0;
}

void trace_sums_free(struct trace_sums *sums)
{
	if (sums)
		free(sums->tallies);
	free(sums);
}

/* ---- The slowest ---- */

/* Puts it in its place among `count` that are in order; the last falls off the end. */
static void insert(const struct trace_exit **slowest, size_t count, const struct trace_exit *exit)
{
	size_t at = count - 1;

	while (at && slowest[at - 1]->took_ns < exit->took_ns) {
		slowest[at] = slowest[at - 1];
		at--;
	}
	slowest[at] = exit;
}

size_t trace_view_slowest(
	const struct trace_view *view, const struct trace_exit **slowest, size_t max)
{
	size_t count = 0;

	TRACE_VIEW_EACH(view, i)
	{
		const struct trace_exit *exit = (const struct trace_exit *)view->file->events[i];

		if (exit->record.type != TRACE_EXIT)
			continue;
		if (count < max)
			count++;
		else if (!max || exit->took_ns <= slowest[max - 1]->took_ns)
			continue;
		insert(slowest, count, exit);
	}
	return count;
}
