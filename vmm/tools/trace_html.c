/*
 * See trace_html.h. The page is in here as it is in its file, put there by the assembler, and its
 * data stands where it says so. Columns of numbers are little-endian arrays in base64: a browser
 * reads them a hundred times faster than as many numbers in JSON.
 */
#include "vmm/tools/trace_html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "vmm/base/json.h"

__asm__(".pushsection .rodata\n"
	".globl trace_page, trace_page_end\n"
	"trace_page: .incbin \"vmm/tools/trace_page.html\"\n"
	"trace_page_end: .byte 0\n"
	".popsection\n");

extern const char trace_page[], trace_page_end[];

#define DATA_MARK "/*DATA*/null"

/* The kinds of events in the page: reasons of exits below these. */
enum {
	KIND_IRQ = 20, /* and what the line did */
	KIND_KICK = 23,
	KIND_LOST = 24,
	KIND_RESET = 25,
	KIND_END = 26,
	KIND_MARK = 27,
};

static unsigned kind_of(const struct trace_file *file, const struct trace_record *event)
{
	unsigned number;

	switch (event->type) {
	case TRACE_EXIT:
		return trace_event_mark(file, event, &number)
			? KIND_MARK
			: ((const struct trace_exit *)event)->reason;
	case TRACE_IRQ:
		return KIND_IRQ + MIN(((const struct trace_irq *)event)->what, 2u);
	case TRACE_KICK:
		return KIND_KICK;
	case TRACE_LOST:
		return KIND_LOST;
	case TRACE_RESET:
		return KIND_RESET;
	default:
		return KIND_END;
	}
}

/* ---- Base64 ---- */

static void put_base64(const char *name, const void *data, size_t bytes, FILE *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *at = data;

	fprintf(out, "%s:\"", name);
	for (size_t i = 0; i < bytes; i += 3) {
		size_t left = bytes - i;
		uint32_t bits = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
			(left > 2 ? at[i + 2] : 0);

		fputc(digits[bits >> 18], out);
		fputc(digits[bits >> 12 & 63], out);
		fputc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
		fputc(left > 2 ? digits[bits & 63] : '=', out);
	}
	fputs("\",", out);
}

/* ---- Columns: one field of all events at a time, so that one buffer does for all ---- */

enum column {
	COLUMN_T,
	COLUMN_TOOK,
	COLUMN_DEVICE,
	COLUMN_SOURCE,
	COLUMN_KIND,
	COLUMN_SIZE,
	COLUMN_COUNT,
	COLUMN_ADDR,
	COLUMN_LO,
	COLUMN_HI,
	COLUMN_RIPLO,
	COLUMN_RIPHI,
};

static const struct {
	const char *name;
	unsigned bytes;
} columns[] = {
	[COLUMN_T] = {"t", 8},
	[COLUMN_TOOK] = {"took", 4},
	[COLUMN_DEVICE] = {"device", 2},
	[COLUMN_SOURCE] = {"source", 2},
	[COLUMN_KIND] = {"kind", 1},
	[COLUMN_SIZE] = {"size", 1},
	[COLUMN_COUNT] = {"count", 4},
	[COLUMN_ADDR] = {"addr", 8},
	[COLUMN_LO] = {"lo", 4},
	[COLUMN_HI] = {"hi", 4},
	[COLUMN_RIPLO] = {"riplo", 4},
	[COLUMN_RIPHI] = {"riphi", 4},
};

/* What the page shows as the event's number: address, line, queue, how many. */
static uint64_t number_of(const struct trace_record *event)
{
	switch (event->type) {
	case TRACE_EXIT:
		return ((const struct trace_exit *)event)->addr;
	case TRACE_IRQ:
		return ((const struct trace_irq *)event)->gsi;
	case TRACE_KICK:
		return ((const struct trace_kick *)event)->queue;
	case TRACE_LOST:
		return ((const struct trace_lost *)event)->count;
	default:
		return 0;
	}
}

static void put_double(uint8_t *to, uint64_t value)
{
	double number = (double)value;

	memcpy(to, &number, sizeof(number));
}

static void fill_cell(const struct trace_file *file, const struct trace_record *event,
	enum column column, uint8_t *to)
{
	static const struct trace_exit none;
	const struct trace_exit *exit =
		event->type == TRACE_EXIT ? (const struct trace_exit *)event : &none;

	switch (column) {
	case COLUMN_T:
		put_double(to, trace_event_time_ns(event));
		break;
	case COLUMN_TOOK:
		store_le32(to, trace_event_took_ns(event));
		break;
	case COLUMN_DEVICE:
		store_le16(to, (uint16_t)trace_event_device(event));
		break;
	case COLUMN_SOURCE:
		store_le16(to, event->source);
		break;
	case COLUMN_KIND:
		*to = (uint8_t)kind_of(file, event);
		break;
	case COLUMN_SIZE:
		*to = exit->size;
		break;
	case COLUMN_COUNT:
		store_le32(to, exit->count);
		break;
	case COLUMN_ADDR:
		put_double(to, number_of(event));
		break;
	case COLUMN_LO:
		store_le32(to, (uint32_t)exit->value);
		break;
	case COLUMN_HI:
		store_le32(to, (uint32_t)(exit->value >> 32));
		break;
	case COLUMN_RIPLO:
		store_le32(to, (uint32_t)exit->rip);
		break;
	case COLUMN_RIPHI:
		store_le32(to, (uint32_t)(exit->rip >> 32));
		break;
	}
}

static int put_events(const struct trace_file *file, const struct trace_record *const *events,
	size_t count, FILE *out)
{
	uint8_t *buf = calloc(count + 1, 8);

	if (!buf)
		return -ENOMEM;
	fputs("events:{", out);
	for (size_t column = 0; column < ARRAY_SIZE(columns); column++) {
		unsigned bytes = columns[column].bytes;

		for (size_t i = 0; i < count; i++)
			fill_cell(file, events[i], (enum column)column, buf + i * bytes);
		put_base64(columns[column].name, buf, count * bytes, out);
	}
	fputs("},\n", out);
	free(buf);
	return 0;
}

/* ---- Which events are there one by one ---- */

static int compare_u32(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

/* How long an exit has to take to be one of the `wanted` slowest; 0 when there are fewer. */
static int find_threshold(
	const struct trace_view *view, size_t seen, size_t wanted, uint32_t *threshold)
{
	uint32_t *times = malloc(seen * sizeof(*times) + 1);
	size_t count = 0;

	*threshold = 0;
	if (!times)
		return -ENOMEM;
	TRACE_VIEW_EACH(view, i)
	times[count++] = trace_event_took_ns(view->file->events[i]);
	qsort(times, count, sizeof(*times), compare_u32);
	if (count > wanted)
		*threshold = times[count - wanted];
	free(times);
	return 0;
}

static bool is_rare(const struct trace_file *file, const struct trace_record *event)
{
	return kind_of(file, event) >= KIND_LOST;
}

/* At most TRACE_HTML_EVENTS_MAX of them; *is_all when none is left out. */
static int choose_events(const struct trace_view *view, const struct trace_record ***out,
	size_t *count, bool *is_all)
{
	const struct trace_record **events;
	uint32_t threshold = 0;
	size_t seen = 0;
	int ret = 0;

	TRACE_VIEW_EACH(view, i)
	seen++;
	*is_all = seen <= TRACE_HTML_EVENTS_MAX;
	events = malloc((MIN(seen, (size_t)TRACE_HTML_EVENTS_MAX) + 1) *
		sizeof(const struct trace_record *));
	if (!events)
		return -ENOMEM;
	/* Half the room is for the slowest, the rest for what is rare. */
	if (!*is_all)
		ret = find_threshold(view, seen, TRACE_HTML_EVENTS_MAX / 2, &threshold);
	*count = 0;
	TRACE_VIEW_EACH(view, i)
	{
		const struct trace_record *event = view->file->events[i];

		if (*count < TRACE_HTML_EVENTS_MAX &&
			(*is_all || trace_event_took_ns(event) > threshold ||
				is_rare(view->file, event)))
			events[(*count)++] = event;
	}
	*out = events;
	return ret;
}

/* ---- Sums over time ---- */

/* All that happened in one piece of time, of one kind and device, on one processor. */
struct bin {
	uint32_t bin, count, longest_ns;
	uint16_t cpu, device;
	uint8_t kind;
	double took_ns;
};

enum {
	KINDS_IN_BINS = KIND_KICK + 1,
};

/* The bins that are made, and for each processor, device and kind the last of them and one. */
struct bins {
	struct bin *bins;
	size_t count;
	size_t *last;
};

static size_t *last_bin(struct bins *bins, const struct trace_file *file, unsigned cpu,
	unsigned device, unsigned kind)
{
	size_t row = cpu == TRACE_SOURCE_HOST ? file->header.cpus : cpu;
	size_t place = device == TRACE_DEVICE_NONE ? file->device_count : device;

	return &bins->last[(row * (file->device_count + 1) + place) * KINDS_IN_BINS + kind];
}

static void add_to_bins(struct bins *bins, const struct trace_file *file, uint32_t nth,
	const struct trace_record *event, unsigned kind)
{
	unsigned device = trace_event_device(event);
	size_t *last = last_bin(bins, file, event->source, device, kind);
	uint32_t took_ns = trace_event_took_ns(event);
	struct bin *bin;

	if (!*last || bins->bins[*last - 1].bin != nth) {
		bins->bins[bins->count] = (struct bin){.bin = nth,
			.cpu = event->source,
			.device = (uint16_t)device,
			.kind = (uint8_t)kind};
		*last = ++bins->count;
	}
	bin = &bins->bins[*last - 1];
	bin->count++;
	bin->took_ns += took_ns;
	bin->longest_ns = MAX(bin->longest_ns, took_ns);
}

/* One kind of exit is as good as another here; what is rare is there one by one. */
static bool kind_in_bins(unsigned kind, unsigned *to)
{
	*to = kind < KIND_IRQ || kind == KIND_MARK ? 0 : kind;
	return *to < KIND_LOST && *to != KIND_IRQ + TRACE_IRQ_LOW;
}

static void put_bin_columns(const struct bin *bins, size_t count, uint8_t *buf, FILE *out)
{
	fputs("bins:{", out);
	for (size_t i = 0; i < count; i++)
		store_le32(buf + i * 4, bins[i].bin);
	put_base64("bin", buf, count * 4, out);
	for (size_t i = 0; i < count; i++)
		store_le32(buf + i * 4, bins[i].count);
	put_base64("count", buf, count * 4, out);
	for (size_t i = 0; i < count; i++)
		store_le32(buf + i * 4, bins[i].longest_ns);
	put_base64("max", buf, count * 4, out);
	for (size_t i = 0; i < count; i++)
		store_le16(buf + i * 2, bins[i].cpu);
	put_base64("cpu", buf, count * 2, out);
	for (size_t i = 0; i < count; i++)
		store_le16(buf + i * 2, bins[i].device);
	put_base64("device", buf, count * 2, out);
	for (size_t i = 0; i < count; i++)
		buf[i] = bins[i].kind;
	put_base64("kind", buf, count, out);
	for (size_t i = 0; i < count; i++)
		memcpy(buf + i * 8, &bins[i].took_ns, 8);
	put_base64("took", buf, count * 8, out);
	fputs("},\n", out);
}

static void make_bins(const struct trace_view *view, uint64_t bin_ns, struct bins *bins)
{
	const struct trace_file *file = view->file;

	TRACE_VIEW_EACH(view, i)
	{
		const struct trace_record *event = file->events[i];
		uint64_t nth = (trace_event_time_ns(event) - view->from_ns) / bin_ns;
		unsigned kind;

		if (kind_in_bins(kind_of(file, event), &kind))
			add_to_bins(bins, file, (uint32_t)nth, event, kind);
	}
}

static int put_bins(const struct trace_view *view, uint64_t bin_ns, FILE *out)
{
	const struct trace_file *file = view->file;
	size_t seen = 0, places = (file->header.cpus + 1) * (size_t)(file->device_count + 1);
	struct bins bins = {.last = calloc(places * KINDS_IN_BINS, sizeof(*bins.last))};
	uint8_t *buf = NULL;

	TRACE_VIEW_EACH(view, i)
	seen++;
	bins.bins = malloc((seen + 1) * sizeof(*bins.bins));
	if (bins.bins && bins.last) {
		make_bins(view, bin_ns, &bins);
		buf = calloc(bins.count + 1, 8);
	}
	if (buf)
		put_bin_columns(bins.bins, bins.count, buf, out);
	free(bins.bins);
	free(bins.last);
	if (!buf)
		return -ENOMEM;
	free(buf);
	return 0;
}

/* ---- The rest ---- */

static void put_tables(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	const struct trace_file *file = view->file;

	fputs("facts:[", out);
	for (unsigned i = 0; i < file->fact_count; i++) {
		fputs("[", out);
		json_put_text(file->facts[i].key, out);
		fputs(",", out);
		json_put_text(file->facts[i].value, out);
		fputs("],", out);
	}
	fputs("],\ndevices:[", out);
	for (unsigned i = 0; i < file->device_count; i++) {
		json_put_text(file->devices[i] ? file->devices[i]->name : "", out);
		fputs(",", out);
	}
	fputs("],\nreasons:[", out);
	for (unsigned i = 0; i < TRACE_REASON_COUNT; i++)
		fprintf(out, "\"%s\",", trace_reason_text(i));
	fputs("],\nhist:[", out);
	for (size_t i = 0; i < sums->tally_count; i++)
		fprintf(out, "[%u,%u,%" PRIu64 ",%" PRIu64 ",%u],", sums->tallies[i].reason,
			sums->tallies[i].device, sums->tallies[i].exits, sums->tallies[i].took_ns,
			sums->tallies[i].longest_ns);
	fprintf(out,
		"],\nsums:{exits:%" PRIu64 ",took:%" PRIu64 ",irqs:%" PRIu64 ",kicks:%" PRIu64
		"},\n",
		sums->exits, sums->took_ns, sums->irqs, sums->kicks);
}

static void put_doubts(const struct trace_file *file, FILE *out)
{
	char text[160] = "";

	if (file->lost)
		snprintf(text, sizeof(text),
			"%" PRIu64 " events were lost: the disk did not keep up.", file->lost);
	else if (!file->has_ended)
		snprintf(text, sizeof(text),
			"The trace has no end: vmm runs on, was killed, or the disk was full.");
	fputs("warn:", out);
	json_put_text(text, out);
	fputs(",\n", out);
}

static uint32_t longest_of(const struct trace_record *const *events, size_t count)
{
	uint32_t longest_ns = 0;

	for (size_t i = 0; i < count; i++)
		longest_ns = MAX(longest_ns, trace_event_took_ns(events[i]));
	return longest_ns;
}

static int put_data(const struct trace_view *view, const struct trace_sums *sums, FILE *out)
{
	uint64_t bin_ns = trace_view_span_ns(view) / TRACE_HTML_BINS + 1;
	const struct trace_record **events = NULL;
	size_t count = 0;
	bool is_all;
	int ret = choose_events(view, &events, &count, &is_all);

	fprintf(out, "{cpus:%u,cpu:%d,from:%" PRIu64 ",to:%" PRIu64 ",bin_ns:%" PRIu64 ",\n",
		view->file->header.cpus, view->cpu, view->from_ns,
		view->from_ns + trace_view_span_ns(view), bin_ns);
	put_doubts(view->file, out);
	put_tables(view, sums, out);
	if (ret == 0) {
		fprintf(out, "longest_ns:%u,\n", longest_of(events, count));
		ret = put_events(view->file, events, count, out);
	}
	if (ret == 0 && !is_all)
		ret = put_bins(view, bin_ns, out);
	fputs("}", out);
	free(events);
	return ret;
}

int trace_html_write(const struct trace_view *view, FILE *out)
{
	const char *mark = strstr(trace_page, DATA_MARK);
	struct trace_sums *sums;
	int ret = trace_sums_make(&sums, view);

	ASSERT(mark);
	if (ret < 0)
		return ret;
	fwrite(trace_page, 1, (size_t)(mark - trace_page), out);
	ret = put_data(view, sums, out);
	mark += strlen(DATA_MARK);
	fwrite(mark, 1, (size_t)(trace_page_end - mark), out);
	trace_sums_free(sums);
	return ret;
}
