/*
 * A file that says it is a trace: what is taken from it is in its range, and every form that it is
 * shown in comes to an end.
 *
 * The input is what follows the magic and the version, which a fuzzer would have to guess.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/tools/trace_file.h"
#include "vmm/tools/trace_html.h"
#include "vmm/tools/trace_perfetto.h"
#include "vmm/tools/trace_text.h"
#include "vmm/tools/trace_view.h"

enum {
	GIVEN_BYTES = TRACE_MAGIC_BYTES + sizeof(uint32_t),
	SLOWEST = 3,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct trace_file *file)
{
	for (size_t i = 0; i < file->tape_count; i++) {
		const struct trace_tape *tape = file->tape[i];

		ASSERT(tape->kind < TRACE_TAPE_KINDS);
		ASSERT(tape->kind == TRACE_TAPE_REQUEST || tape->kind == TRACE_TAPE_RESET ||
			file->devices[tape->device]);
		ASSERT(!i || file->tape[i - 1]->seq <= tape->seq);
	}
	for (size_t i = 0; i < file->event_count; i++) {
		const struct trace_record *event = file->events[i];
		unsigned device = trace_event_device(event);

		ASSERT(event->source < file->header.cpus || event->source == TRACE_SOURCE_HOST);
		ASSERT(device == TRACE_DEVICE_NONE || file->devices[device]);
		ASSERT(trace_event_time_ns(event) <= file->end_ns);
		ASSERT(!i ||
			trace_event_time_ns(file->events[i - 1]) <= trace_event_time_ns(event));
	}
}

static void show(const struct trace_file *file, FILE *out)
{
	struct trace_view view;

	trace_view_init(&view, file);
	trace_text_list(&view, out);
	trace_text_print(&view, SLOWEST, out);
	trace_perfetto_write(&view, out);
	trace_html_write(&view, out);
	view.from_ns = 1;
	view.to_ns = file->end_ns;
	view.cpu = 0;
	trace_text_print(&view, SLOWEST, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace_file file;
	uint8_t *bytes = malloc(GIVEN_BYTES + size);
	FILE *out = fopen("/dev/null", "w");

	ASSERT(bytes && out);
	memcpy(bytes, TRACE_MAGIC, TRACE_MAGIC_BYTES);
	store_le32(bytes + TRACE_MAGIC_BYTES, TRACE_VERSION);
	if (size)
		memcpy(bytes + GIVEN_BYTES, data, size);
	if (trace_file_parse(&file, "it", bytes, GIVEN_BYTES + size, NULL) == 0) {
		check(&file);
		show(&file, out);
		trace_file_free(&file);
	}
	fclose(out);
	free(bytes);
	return 0;
}
