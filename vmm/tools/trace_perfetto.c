/*
 * See trace_perfetto.h. Times there are microseconds, with decimals.
 */
#include "vmm/tools/trace_perfetto.h"

#include <inttypes.h>

#include "vmm/base/json.h"

enum {
	PID_CPUS = 1,
	PID_DEVICES = 2,
};

static void put_name(int pid, unsigned tid, const char *what, const char *name, FILE *out)
{
	fprintf(out,
		",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%u,\"name\":\"%s\",\"args\":{\"name\":", pid,
		tid, what);
	json_put_text(name, out);
	fputs("}}", out);
}

static void put_names(const struct trace_file *file, FILE *out)
{
	char text[24];

	fprintf(out,
		"{\"ph\":\"M\",\"pid\":%d,\"tid\":0,\"name\":\"process_name\","
		"\"args\":{\"name\":\"processors\"}}",
		PID_CPUS);
	put_name(PID_DEVICES, 0, "process_name", "devices", out);
	for (unsigned i = 0; i < file->header.cpus; i++) {
		snprintf(text, sizeof(text), "vcpu%u", i);
		put_name(PID_CPUS, i, "thread_name", text, out);
	}
	for (unsigned i = 0; i < file->device_count; i++)
		if (file->devices[i])
			put_name(PID_DEVICES, i, "thread_name", file->devices[i]->name, out);
}

static void put_ns(const char *key, uint64_t ns, FILE *out)
{
	fprintf(out, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned)(ns % 1000));
}

/* Opens an event; its name and arguments follow. */
static void begin(const char *phase, int pid, unsigned tid, uint64_t time_ns, FILE *out)
{
	fprintf(out, ",\n{\"ph\":\"%s\",\"pid\":%d,\"tid\":%u", phase, pid, tid);
	put_ns("ts", time_ns, out);
}

static void put_mark(unsigned number, uint64_t time_ns, unsigned tid, FILE *out)
{
	begin("i", PID_CPUS, tid, time_ns, out);
	fprintf(out, ",\"s\":\"g\",\"cat\":\"mark\",\"name\":\"mark %u\",\"args\":{}}", number);
}

static void put_exit(const struct trace_file *file, const struct trace_exit *exit, FILE *out)
{
	const char *device = trace_file_device_name(file, exit->device);
	unsigned mark;

	if (trace_event_mark(file, &exit->record, &mark))
		put_mark(mark, exit->time_ns, exit->record.source, out);
	begin("X", PID_CPUS, exit->record.source, exit->time_ns, out);
	put_ns("dur", exit->took_ns, out);
	fprintf(out, ",\"cat\":\"%s\",\"name\":", trace_reason_key(exit->reason));
	json_put_text(*device ? device : trace_reason_text(exit->reason), out);
	/* 64 bits are more than a JSON number holds exactly. */
	fprintf(out,
		",\"args\":{\"reason\":\"%s\",\"address\":\"0x%" PRIx64 "\",\"size\":%u,"
		"\"count\":%u,\"value\":\"0x%" PRIx64 "\",\"rip\":\"0x%" PRIx64 "\"}}",
		trace_reason_key(exit->reason), exit->addr, exit->size, exit->count, exit->value,
		exit->rip);
}

static void put_irq(const struct trace_irq *irq, FILE *out)
{
	static const char *const moves[] = {"down", "up", "pulse"};

	if (irq->device == TRACE_DEVICE_NONE || irq->what >= ARRAY_SIZE(moves))
		return;
	begin("i", PID_DEVICES, irq->device, irq->time_ns, out);
	fprintf(out, ",\"s\":\"t\",\"cat\":\"irq\",\"name\":\"irq %u %s\",\"args\":{}}", irq->gsi,
		moves[irq->what]);
}

static void put_kick(const struct trace_kick *kick, FILE *out)
{
	if (kick->device == TRACE_DEVICE_NONE)
		return;
	begin("X", PID_DEVICES, kick->device, kick->time_ns, out);
	put_ns("dur", kick->took_ns, out);
	fprintf(out, ",\"cat\":\"kick\",\"name\":\"queue %u\",\"args\":{}}", kick->queue);
}

static void put_moment(const char *name, uint64_t time_ns, FILE *out)
{
	begin("i", PID_CPUS, 0, time_ns, out);
	fprintf(out, ",\"s\":\"g\",\"cat\":\"machine\",\"name\":\"%s\",\"args\":{}}", name);
}

static void put_event(const struct trace_file *file, const struct trace_record *event, FILE *out)
{
	switch (event->type) {
	case TRACE_EXIT:
		put_exit(file, (const struct trace_exit *)event, out);
		break;
	case TRACE_IRQ:
		put_irq((const struct trace_irq *)event, out);
		break;
	case TRACE_KICK:
		put_kick((const struct trace_kick *)event, out);
		break;
	case TRACE_LOST:
		put_moment("events lost", trace_event_time_ns(event), out);
		break;
	case TRACE_RESET:
		put_moment("reset", trace_event_time_ns(event), out);
		break;
	default:
		put_moment("end", trace_event_time_ns(event), out);
	}
}

void trace_perfetto_write(const struct trace_view *view, FILE *out)
{
	const struct trace_file *file = view->file;
	const char *machine = trace_file_fact(file, "machine");

	fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"machine\":", out);
	json_put_text(machine ? machine : "", out);
	fputs("},\"traceEvents\":[\n", out);
	put_names(file, out);
	TRACE_VIEW_EACH(view, i)
	put_event(file, file->events[i], out);
	fputs("\n]}\n", out);
}
