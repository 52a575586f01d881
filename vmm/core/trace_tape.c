/*
 * See trace_tape.h.
 */
#include "vmm/core/trace_tape.h"

#include <errno.h>
#include <stdlib.h>

/* Stands in the place of a device's range on the bus. */
struct tap {
	const struct bus_ops *ops;
	void *opaque;
	struct trace *trace;
	uint64_t base;
	uint16_t device;
	bool is_pio;
	struct tap *next;
};

struct trace_tape_recorder {
	struct tape tape;
	struct trace *trace;
	struct tap *taps; /* owned */
	struct device *const *devices;
	const size_t *device_count;
};

/* ---- Accesses ---- */

static void note_access(const struct tap *tap, struct trace_tape *record, enum trace_reason kind)
{
	record->kind = (uint8_t)kind;
	record->device = tap->device;
	trace_note_tape(tap->trace, record, NULL, 0);
}

static uint64_t tapped_read(void *opaque, uint64_t offset, unsigned size)
{
	const struct tap *tap = opaque;
	/* Its place is before what it makes the device ask for. */
	struct trace_tape record = {.seq = trace_next_seq(tap->trace),
		.addr = tap->base + offset,
		.size = (uint8_t)size};
	uint64_t value = tap->ops->read(tap->opaque, offset, size);

	record.value = util_low_bytes(value, size);
	note_access(tap, &record, tap->is_pio ? TRACE_PIO_READ : TRACE_MMIO_READ);
	return value;
}

static void tapped_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	const struct tap *tap = opaque;
	struct trace_tape record = {.seq = trace_next_seq(tap->trace),
		.addr = tap->base + offset,
		.value = value,
		.size = (uint8_t)size};

	tap->ops->write(tap->opaque, offset, size, value);
	note_access(tap, &record, tap->is_pio ? TRACE_PIO_WRITE : TRACE_MMIO_WRITE);
}

static const struct bus_ops tap_ops = {.read = tapped_read, .write = tapped_write};

int trace_tape_bus(
	struct trace_tape_recorder *recorder, struct bus *bus, bool is_pio, struct err *err)
{
	ASSERT(!bus->frozen);
	for (size_t i = 0; i < bus->count; i++) {
		struct bus_range *range = &bus->ranges[i];
		struct tap *tap = range->lock ? malloc(sizeof(*tap)) : NULL;

		if (!tap)
			return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the trace");
		*tap = (struct tap){.ops = range->ops,
			.opaque = range->opaque,
			.trace = recorder->trace,
			.base = range->base,
			.device = CONTAINER_OF(range->lock, struct device, lock)->number,
			.is_pio = is_pio,
			.next = recorder->taps};
		recorder->taps = tap;
		range->ops = &tap_ops;
		range->opaque = tap;
	}
	return 0;
}

/* ---- What the host says ---- */

static void note(struct tape *tape, const struct device *device, enum trace_tape_kind kind,
	uint64_t value, const void *bytes, size_t count)
{
	struct trace_tape_recorder *self = CONTAINER_OF(tape, struct trace_tape_recorder, tape);
	struct trace_tape record = {.seq = trace_next_seq(self->trace),
		.value = value,
		.device = device->number,
		.kind = (uint8_t)kind};

	trace_note_tape(self->trace, &record, bytes, count);
}

static uint64_t hear(struct tape *tape, const struct device *device, uint64_t value)
{
	note(tape, device, TRACE_TAPE_VALUE, value, NULL, 0);
	return value;
}

/* A timer without a device's lock is the business of a back end, or of the machine. */
static void note_timer(void *opaque, const pthread_mutex_t *lock)
{
	struct trace_tape_recorder *self = opaque;

	for (size_t i = 0; lock && i < *self->device_count; i++)
		if (&self->devices[i]->lock == lock)
			note(&self->tape, self->devices[i], TRACE_TAPE_TIMER, 0, NULL, 0);
}

void trace_tape_loop(struct trace_tape_recorder *recorder, struct loop *loop,
	struct device *const *devices, const size_t *count)
{
	recorder->devices = devices;
	recorder->device_count = count;
	loop_set_tap(loop, note_timer, recorder);
}

void trace_tape_note(struct trace_tape_recorder *recorder, enum trace_tape_kind kind, uint64_t addr,
	uint64_t value)
{
	struct trace_tape record = {.seq = trace_next_seq(recorder->trace),
		.addr = addr,
		.value = value,
		.device = TRACE_DEVICE_NONE,
		.kind = (uint8_t)kind};

	trace_note_tape(recorder->trace, &record, NULL, 0);
}

/* ---- Life ---- */

int trace_tape_create(struct trace_tape_recorder **recorder, struct trace *trace, struct err *err)
{
	struct trace_tape_recorder *made = calloc(1, sizeof(*made));

	*recorder = made;
	if (!made)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the trace");
	made->trace = trace;
	made->tape = (struct tape){.value = hear, .note = note};
	return 0;
}

void trace_tape_destroy(struct trace_tape_recorder *recorder)
{
	if (!recorder)
		return;
	while (recorder->taps) {
		struct tap *tap = recorder->taps;

		recorder->taps = tap->next;
		free(tap);
	}
	free(recorder);
}

struct tape *trace_tape_of(struct trace_tape_recorder *recorder)
{
	return &recorder->tape;
}
