/*
 * A recording of any content, replayed: the devices of a whole machine are told and asked anything
 * in any order, by the guest and by the host, and none of it ends badly.
 *
 * The input is records of RECORD_BYTES for a machine that is always the same: kind, device, size,
 * the place in the device's ranges, value; and the bytes that follow for what has some.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_trace.h"
#include "vmm/base/log.h"
#include "vmm/machine_paper.h"
#include "vmm/tools/replay.h"
#include "vmm/tools/replay_machine.h"

enum {
	RECORD_BYTES = 16,
	RECORDS_MAX = 2000,
	MORE_BYTES_MAX = 40,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = {"word=--kernel", "word=k", "word=-m", "word=32M", "word=--cpus",
	"word=1", "word=--disk", "word=d,ro", "word=--port", "word=a=null", "word=--display",
	"word=none", "word=--console", "word=both"};

static struct fake_trace made;

/* The ranges of all devices, as addresses: found once, in a machine that is made for it. */
struct place {
	uint64_t base, size;
	bool is_pio;
};

static struct place places[TRACE_DEVICES_MAX];
static char names[TRACE_DEVICES_MAX][TRACE_NAME_BYTES];
static unsigned device_count;

static void begin(void)
{
	fake_trace_begin(&made, 1);
	((struct trace_header *)(void *)made.bytes)->flags = TRACE_FLAG_RECORD;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		fake_trace_add_fact(&made, words[i]);
	for (unsigned i = 0; i < device_count; i++)
		fake_trace_add_device(&made, (uint16_t)i, names[i], "-");
}

static uint64_t same(struct tape *tape, const struct device *device, uint64_t value)
{
	(void)tape, (void)device;
	return value;
}

static void nothing(struct tape *tape, const struct device *device, enum trace_tape_kind kind,
	uint64_t value, const void *bytes, size_t count)
{
	(void)tape, (void)device, (void)kind, (void)value, (void)bytes, (void)count;
}

static void look_at_machine(void)
{
	static struct replay_machine machine;
	static struct trace_file file;
	static struct tape tape = {.value = same, .note = nothing};
	const struct machine_hooks hooks = {.paper = &machine_paper_ops, .tape = &tape};
	int ret;

	log_set_level(LOG_ERROR);
	begin();
	ret = trace_file_parse(&file, "it", made.bytes, made.count, NULL);
	ASSERT(ret == 0);
	ret = replay_machine_make(&machine, &file, &hooks, NULL);
	ASSERT(ret == 0);
	for (size_t i = 0; i < machine.machine.device_count; i++) {
		const struct device *device = machine.machine.devices[i];
		const struct device_res *res = device_find_res(device, DEVICE_RES_PIO, 0);

		places[i].is_pio = res;
		if (!res)
			res = device_find_res(device, DEVICE_RES_MMIO, 0);
		if (res) {
			places[i].base = res->base;
			places[i].size = res->size;
		}
		snprintf(names[i], sizeof(names[i]), "%s", device->name);
	}
	device_count = (unsigned)machine.machine.device_count;
	replay_machine_finish(&machine);
	trace_file_free(&file);
}

static size_t add_record(const uint8_t *data, size_t left, uint64_t seq)
{
	uint8_t record[sizeof(struct trace_tape) + MORE_BYTES_MAX] = {0};
	struct trace_tape *tape = (struct trace_tape *)(void *)record;
	const struct place *place = &places[data[1] % device_count];
	size_t more = MIN(left - RECORD_BYTES, (size_t)data[7] % MORE_BYTES_MAX);

	*tape = (struct trace_tape){.seq = seq,
		.kind = data[0] % TRACE_TAPE_KINDS,
		.device = data[1] % device_count,
		.size = (uint8_t)(1 << data[2] % 4),
		.value = load_le64(data + 8)};
	if (tape->kind <= TRACE_TAPE_ACCESS_LAST) {
		tape->kind = (uint8_t)((tape->kind & 1) | (place->is_pio ? 0 : 2));
		tape->addr = place->base + (place->size ? load_le16(data + 3) % place->size : 0);
	}
	memcpy(tape->bytes, data + RECORD_BYTES, more);
	fake_trace_add(&made, TRACE_TAPE, 0, record, sizeof(*tape) + more);
	return RECORD_BYTES + more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace_file file;
	struct replay_options options = {.differences_shown = 3, .out = fopen("/dev/null", "w")};
	struct replay_result result;
	uint64_t seq = 0;

	if (!device_count)
		look_at_machine();
	begin();
	for (size_t at = 0; size - at >= RECORD_BYTES && seq < RECORDS_MAX; seq++)
		at += add_record(data + at, size - at, seq);
	if (trace_file_parse(&file, "it", made.bytes, made.count, NULL) == 0) {
		(void)replay_run(&file, &options, &result, NULL);
		trace_file_free(&file);
	}
	fclose(options.out);
	return 0;
}
