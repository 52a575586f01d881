/*
 * See fake_trace.h.
 */
#include "tests/fake/fake_trace.h"

#include <stdio.h>

#include "vmm/base/util.h"

void fake_trace_begin(struct fake_trace *trace, uint32_t cpus)
{
	struct trace_header header = {
		.version = TRACE_VERSION, .header_bytes = sizeof(header), .cpus = cpus};

	memcpy(header.magic, TRACE_MAGIC, sizeof(header.magic));
	memset(trace, 0, sizeof(*trace));
	memcpy(trace->bytes, &header, sizeof(header));
	trace->count = sizeof(header);
}

void fake_trace_add(
	struct fake_trace *trace, uint8_t type, uint16_t source, const void *record, size_t bytes)
{
	struct trace_record head = {.type = type, .source = source, .bytes = (uint32_t)bytes};

	ASSERT(trace->count + util_align_up(bytes, 8) <= sizeof(trace->bytes));
	memcpy(trace->bytes + trace->count, record, bytes);
	memcpy(trace->bytes + trace->count, &head, sizeof(head));
	trace->count += util_align_up(bytes, 8);
}

void fake_trace_add_fact(struct fake_trace *trace, const char *text)
{
	uint8_t record[1024] = {0};
	size_t bytes = strlen(text);

	ASSERT(bytes <= sizeof(record) - sizeof(struct trace_record));
	memcpy(record + sizeof(struct trace_record), text, bytes);
	fake_trace_add(
		trace, TRACE_FACT, TRACE_SOURCE_HOST, record, sizeof(struct trace_record) + bytes);
}

void fake_trace_add_device(
	struct fake_trace *trace, uint16_t number, const char *name, const char *class_name)
{
	struct trace_device device = {.number = number};

	snprintf(device.name, sizeof(device.name), "%s", name);
	snprintf(device.class_name, sizeof(device.class_name), "%s", class_name);
	fake_trace_add(trace, TRACE_DEVICE, TRACE_SOURCE_HOST, &device, sizeof(device));
}

void fake_trace_add_exit(struct fake_trace *trace, uint16_t cpu, uint64_t time_ns,
	enum trace_reason reason, uint16_t device, uint32_t took_ns)
{
	struct trace_exit exit = {.time_ns = time_ns,
		.rip = 0x1000,
		.addr = 0x3f8,
		.value = 'A',
		.took_ns = took_ns,
		.count = 1,
		.device = device,
		.reason = (uint8_t)reason,
		.size = 1};

	fake_trace_add(trace, TRACE_EXIT, cpu, &exit, sizeof(exit));
}

void fake_trace_add_moment(struct fake_trace *trace, uint8_t type, uint64_t time_ns)
{
	struct trace_moment moment = {.time_ns = time_ns};

	fake_trace_add(trace, type, TRACE_SOURCE_HOST, &moment, sizeof(moment));
}
