/*
 * See boot_timer.h. Knows nothing of what the steps are made of.
 */
#include "vmm/core/boot_timer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "vmm/base/util.h"

/* One line of the report. */
struct event {
	uint64_t at_ns;
	uint64_t cpu_ns;
	const char *key, *text; /* key NULL: the guest's mark `number` */
	unsigned number;
};

enum {
	EVENTS_MAX = BOOT_STEP_COUNT + BOOT_MARKS_MAX
};

static uint64_t cpu_now_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * UINT64_C(1000000000) + (uint64_t)used.tv_nsec;
}

void boot_timer_init(struct boot_timer *timer, uint64_t main_ns)
{
	memset(timer, 0, sizeof(*timer));
	timer->zero_ns = util_now_ns() - cpu_now_ns();
	/* It waited for something since main(): then the time before was less than that. */
	timer->zero_ns = MIN(timer->zero_ns, main_ns - 1);
	timer->at_ns[BOOT_STEP_MAIN] = timer->cpu_ns[BOOT_STEP_MAIN] = main_ns - timer->zero_ns;
	boot_timer_note(timer, BOOT_STEP_OPTIONS);
}

void boot_timer_note(struct boot_timer *timer, enum boot_step step)
{
	uint64_t none = 0;

	if (timer && !atomic_load(&timer->at_ns[step]) &&
		atomic_compare_exchange_strong(
			&timer->at_ns[step], &none, util_now_ns() - timer->zero_ns))
		timer->cpu_ns[step] = cpu_now_ns();
}

void boot_timer_mark(struct boot_timer *timer, uint8_t number)
{
	unsigned nth = timer->mark_count;

	if (nth < BOOT_MARKS_MAX)
		timer->marks[nth] = (struct boot_mark){util_now_ns() - timer->zero_ns, number};
	if (nth < UINT32_MAX)
		timer->mark_count = nth + 1;
}

/* ---- The report ---- */

static int compare_events(const void *a, const void *b)
{
	const struct event *one = a, *other = b;

	if (one->at_ns != other->at_ns)
		return one->at_ns < other->at_ns ? -1 : 1;
	return one < other ? -1 : one > other;
}

static unsigned gather(const struct boot_timer *timer, struct event *events)
{
#define BOOT_STEP_TEXT(name, key, text) {key, text},
	static const char *const steps[][2] = {BOOT_STEP_TABLE(BOOT_STEP_TEXT)};
#undef BOOT_STEP_TEXT
	unsigned count = 0, marks = MIN(timer->mark_count, (unsigned)BOOT_MARKS_MAX);

	for (unsigned i = 0; i < BOOT_STEP_COUNT; i++)
		if (timer->at_ns[i])
			events[count++] = (struct event){.at_ns = timer->at_ns[i],
				.cpu_ns = timer->cpu_ns[i],
				.key = steps[i][0],
				.text = steps[i][1]};
	for (unsigned i = 0; i < marks; i++)
		events[count++] = (struct event){
			.at_ns = timer->marks[i].at_ns, .number = timer->marks[i].number};
	qsort(events, count, sizeof(*events), compare_events);
	return count;
}

static void print_table(
	const struct boot_timer *timer, const struct event *events, unsigned count, FILE *out)
{
	uint64_t before_ns = 0;

	fputs("boot timer: milliseconds since the start of vmm, since the line above, and of "
	      "processor time\n",
		out);
	for (unsigned i = 0; i < count; i++) {
		const struct event *event = &events[i];

		fprintf(out, "%11.3f %11.3f ", (double)event->at_ns / 1e6,
			(double)(event->at_ns - before_ns) / 1e6);
		if (event->key)
			fprintf(out, "%11.3f  ", (double)event->cpu_ns / 1e6);
		if (!event->key)
			fprintf(out, "%11s  guest's mark %u\n", "", event->number);
		else if (!strcmp(event->key, "kernel_loaded") && timer->kernel_source)
			fprintf(out, "%s (%s)\n", event->text, timer->kernel_source);
		else
			fprintf(out, "%s\n", event->text);
		before_ns = event->at_ns;
	}
}

static void print_json(
	const struct boot_timer *timer, const struct event *events, unsigned count, FILE *out)
{
	const char *comma = "";

	fprintf(out, "{\"unit\":\"ns\",\"zero_monotonic\":%" PRIu64, timer->zero_ns);
	if (timer->kernel_source)
		fprintf(out, ",\"kernel_source\":\"%s\"", timer->kernel_source);
	fputs(",\"steps\":{", out);
	for (unsigned i = 0; i < count; i++)
		if (events[i].key) {
			fprintf(out, "%s\"%s\":{\"at\":%" PRIu64 ",\"cpu\":%" PRIu64 "}", comma,
				events[i].key, events[i].at_ns, events[i].cpu_ns);
			comma = ",";
		}
	fputs("},\"marks\":[", out);
	comma = "";
	for (unsigned i = 0; i < count; i++)
		if (!events[i].key) {
			fprintf(out, "%s{\"number\":%u,\"at\":%" PRIu64 "}", comma,
				events[i].number, events[i].at_ns);
			comma = ",";
		}
	fprintf(out, "],\"marks_seen\":%u}\n", timer->mark_count);
}

void boot_timer_print(const struct boot_timer *timer, bool as_json, FILE *out)
{
	struct event events[EVENTS_MAX];
	unsigned count = gather(timer, events);

	if (as_json)
		print_json(timer, events, count, out);
	else
		print_table(timer, events, count, out);
	if (!as_json && timer->mark_count > BOOT_MARKS_MAX)
		fprintf(out, "%35s  %u more of the guest's marks\n", "",
			timer->mark_count - BOOT_MARKS_MAX);
}
