/*
 * See replay.h. Every device has its own part of the recording, in its order. What drives it (an
 * access, a timer, input) is given to it; what it does and asks meanwhile (its interrupt line, the
 * host's clock) is compared with, or taken from, what stands between that and what drives it next.
 *
 * Threats (a trace is a stranger's)
 *   what it can say                  limit                                  where
 *   accesses of any kind             as of a hostile guest: the devices'    -
 *   devices that we do not have      refused                                check_devices
 *   features that we do not have     told, and the device is not compared   apply_features
 *   configurations                   compared with, never given to devices  is_told
 *   more input than a console takes  its room                               chr_feed
 */
#include "vmm/tools/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "devices/legacy/acpi_pm.h"
#include "devices/virtio/virtio.h"
#include "vmm/machine_paper.h"
#include "vmm/tools/replay_machine.h"

enum {
	CONTEXT = 4, /* accesses shown before a difference */
	CONFIG_BYTES_MAX = 4096,
};

/* One device's part of the recording. */
struct part {
	const struct trace_tape **own; /* borrowed from `all_own` */
	size_t count;
	size_t at;	 /* what drives it now, and one */
	size_t value_at; /* the next that may be a value of the clock */
	size_t line_at;	 /* or a move of its line */
	uint64_t last_value;
	const char *why_not;   /* it is not compared from here on, or NULL */
	const uint8_t *config; /* as the host made it last, or NULL */
	size_t config_bytes;
	size_t accesses, answers, lines, different;
};

struct replayed_line {
	struct replay *replay;
	unsigned device;
};

struct replay {
	const struct trace_file *file;
	const struct replay_options *options;
	struct replay_result *result;
	struct replay_machine made;
	struct tape tape;
	struct part parts[TRACE_DEVICES_MAX];
	const struct trace_tape **all_own; /* owned */
	struct replayed_line lines[TRACE_DEVICES_MAX * DEVICE_RES_MAX];
	size_t line_count;
	size_t request_at; /* in file->tape: the next that may be a request */
	bool is_driving;
};

static bool is_access(const struct trace_tape *tape)
{
	return tape->kind <= TRACE_TAPE_ACCESS_LAST;
}

static bool is_write(const struct trace_tape *tape)
{
	return tape->kind == TRACE_PIO_WRITE || tape->kind == TRACE_MMIO_WRITE;
}

/* What happens to a device by its own doing. */
static bool is_answer(const struct trace_tape *tape)
{
	return tape->kind == TRACE_TAPE_VALUE || tape->kind == TRACE_TAPE_LINE;
}

static const char *name_of(const struct replay *replay, unsigned device)
{
	return trace_file_device_name(replay->file, device);
}

/* ---- Differences ---- */

static void print_access(const struct trace_tape *tape, FILE *out)
{
	fprintf(out, "%s 0x%" PRIx64 ", %u byte%s, 0x%0*" PRIx64, trace_reason_text(tape->kind),
		tape->addr, tape->size, tape->size == 1 ? "" : "s", tape->size * 2, tape->value);
}

/* The accesses before the one that drives the device now. */
static void print_context(const struct part *part, FILE *out)
{
	const struct trace_tape *before[CONTEXT];
	unsigned count = 0;

	for (size_t i = part->at ? part->at - 1 : 0; i && count < CONTEXT; i--)
		if (is_access(part->own[i - 1]))
			before[count++] = part->own[i - 1];
	while (count) {
		fputs("    after  ", out);
		print_access(before[--count], out);
		fputc('\n', out);
	}
}

/* Counts a difference; true when it is to be told, which then is begun. */
static bool differs(struct replay *replay, unsigned device)
{
	struct part *part = &replay->parts[device];

	part->different++;
	if (replay->result->different++ >= replay->options->differences_shown)
		return false;
	fprintf(replay->options->out, "%s, record %" PRIu64 ": ", name_of(replay, device),
		part->at ? part->own[part->at - 1]->seq : 0);
	return true;
}

static void compare_answer(struct replay *replay, const struct trace_tape *tape, uint64_t answer)
{
	struct part *part = &replay->parts[tape->device];
	FILE *out = replay->options->out;

	part->answers++;
	replay->result->compared++;
	if (answer == tape->value || !differs(replay, tape->device))
		return;
	print_access(tape, out);
	fprintf(out, " in the recording, 0x%0*" PRIx64 " here\n", tape->size * 2, answer);
	print_context(part, out);
}

static const char *move_name(uint64_t what)
{
	static const char *const names[] = {"goes down", "goes up", "is pulsed"};

	return what < ARRAY_SIZE(names) ? names[what] : "?";
}

/* ---- What devices do and hear ---- */

/* The next record from *at on, of `kind`, before what drives the device next; NULL: there is none. */
static const struct trace_tape *next_answer(struct part *part, size_t *at, unsigned kind)
{
	for (; *at < part->count && is_answer(part->own[*at]); (*at)++)
		if (part->own[*at]->kind == kind)
			return part->own[(*at)++];
	return NULL;
}

static uint64_t say_value(struct tape *tape, const struct device *device, uint64_t value)
{
	struct replay *replay = CONTAINER_OF(tape, struct replay, tape);
	struct part *part = &replay->parts[device->number];
	const struct trace_tape *said = next_answer(part, &part->value_at, TRACE_TAPE_VALUE);

	(void)value;
	if (said)
		part->last_value = said->value;
	return part->last_value;
}

static void ignore_note(struct tape *tape, const struct device *device, enum trace_tape_kind kind,
	uint64_t value, const void *bytes, size_t count)
{
	(void)tape, (void)device, (void)kind, (void)value, (void)bytes, (void)count;
}

static bool is_virtio(const struct device *device)
{
	return !strncmp(device->class->name, "virtio-", 7);
}

static const struct device *device_of(const struct replay *replay, unsigned number)
{
	return replay->made.machine.devices[number];
}

/* Lines of virtio devices follow from requests, which are not made again. */
static bool compares_lines(const struct replay *replay, unsigned device)
{
	return replay->is_driving && !replay->parts[device].why_not &&
		!is_virtio(device_of(replay, device));
}

static void compare_line(const struct replayed_line *line, unsigned gsi, enum trace_irq_what what)
{
	struct replay *replay = line->replay;
	struct part *part = &replay->parts[line->device];
	const struct trace_tape *was;

	if (!compares_lines(replay, line->device))
		return;
	was = next_answer(part, &part->line_at, TRACE_TAPE_LINE);
	part->lines++;
	replay->result->compared++;
	if (was && was->addr == gsi && was->value == what)
		return;
	if (!differs(replay, line->device))
		return;
	fprintf(replay->options->out, "interrupt %u %s here, and in the recording ", gsi,
		move_name(what));
	if (was)
		fprintf(replay->options->out, "%" PRIu64 " %s\n", was->addr, move_name(was->value));
	else
		fputs("nothing happens\n", replay->options->out);
	print_context(part, replay->options->out);
}

/* What the recorded device did with its line after what drove it, and this one did not. */
static void finish_lines(struct replay *replay, unsigned device)
{
	struct part *part = &replay->parts[device];
	const struct trace_tape *was;

	if (!compares_lines(replay, device))
		return;
	while ((was = next_answer(part, &part->line_at, TRACE_TAPE_LINE))) {
		replay->result->compared++;
		if (!differs(replay, device))
			continue;
		fprintf(replay->options->out,
			"interrupt %" PRIu64 " %s in the recording, and nothing happens here\n",
			was->addr, move_name(was->value));
		print_context(part, replay->options->out);
	}
}

static void line_set(struct irq_line *line, bool level)
{
	compare_line(line->opaque, line->gsi, level ? TRACE_IRQ_HIGH : TRACE_IRQ_LOW);
}

static void line_pulse(struct irq_line *line)
{
	compare_line(line->opaque, line->gsi, TRACE_IRQ_PULSE);
}

static int connect_line(
	void *opaque, unsigned gsi, bool level, struct irq_line *line, struct err *err)
{
	struct replay *replay = opaque;
	struct replayed_line *made = &replay->lines[replay->line_count];

	(void)level;
	if (replay->line_count == ARRAY_SIZE(replay->lines))
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC, "more interrupts than there can be");
	replay->line_count++;
	*made = (struct replayed_line){replay, (unsigned)replay->made.machine.device_count - 1};
	*line = (struct irq_line){.set = line_set, .pulse = line_pulse, .opaque = made, .gsi = gsi};
	return 0;
}

static void compare_request(void *opaque, enum machine_request request, int value)
{
	struct replay *replay = opaque;
	const struct trace_file *file = replay->file;
	const struct trace_tape *was = NULL;

	while (replay->request_at < file->tape_count && !was) {
		was = file->tape[replay->request_at++];
		if (was->kind != TRACE_TAPE_REQUEST)
			was = NULL;
	}
	replay->result->compared++;
	if (was && was->addr == request && was->value == (uint64_t)value)
		return;
	if (replay->result->different++ < replay->options->differences_shown)
		fprintf(replay->options->out,
			"the guest asks for %d, value %d, here, and in the recording for %s\n",
			(int)request, value, was ? "something else" : "nothing more");
}

/* ---- What is given to them ---- */

/* What the host has put into a virtio device's configuration space is taken on trust. */
static bool is_told(const struct replay *replay, const struct trace_tape *tape)
{
	const struct part *part = &replay->parts[tape->device];
	const struct device *device = device_of(replay, tape->device);
	const struct device_res *res = device_find_res(device, DEVICE_RES_MMIO, 0);
	uint64_t offset, told = 0;

	if (!is_virtio(device) || !part->config || !res ||
		tape->addr < res->base + VIRTIO_MMIO_CONFIG)
		return false;
	offset = tape->addr - res->base - VIRTIO_MMIO_CONFIG;
	if (!util_range_inside(offset, tape->size, part->config_bytes))
		return false;
	memcpy(&told, part->config + offset, tape->size);
	return told == tape->value;
}

static void apply_access(struct replay *replay, const struct trace_tape *tape)
{
	struct machine *machine = &replay->made.machine;
	struct part *part = &replay->parts[tape->device];
	bool is_pio = tape->kind == TRACE_PIO_READ || tape->kind == TRACE_PIO_WRITE;
	const struct bus *bus = is_pio ? &machine->pio : &machine->mmio;
	uint64_t value = tape->value;

	part->accesses++;
	if (is_write(tape)) {
		bus_write(bus, tape->addr, &value, tape->size);
		return;
	}
	value = 0;
	bus_read(bus, tape->addr, &value, tape->size);
	if (part->why_not)
		return;
	if (is_told(replay, tape))
		value = tape->value;
	compare_answer(replay, tape, value);
}

static void apply_features(struct replay *replay, const struct trace_tape *tape)
{
	struct virtio_dev *vdev = virtio_of(replay->made.machine.devices[tape->device]);

	if (!is_virtio(&vdev->dev))
		return;
	if (tape->value & ~vdev->offered)
		replay->parts[tape->device].why_not = "it offered features that it does not here";
	vdev->offered &= tape->value;
}

static void apply_config(struct replay *replay, const struct trace_tape *tape)
{
	struct part *part = &replay->parts[tape->device];
	struct device *device = replay->made.machine.devices[tape->device];

	if (!is_virtio(device))
		return;
	part->config = tape->bytes;
	part->config_bytes = MIN(tape->record.bytes - sizeof(*tape), (size_t)CONFIG_BYTES_MAX);
	virtio_of(device)->config_generation = (uint32_t)tape->value;
}

static void apply_cause(struct replay *replay, const struct trace_tape *tape)
{
	struct virtio_dev *vdev = virtio_of(replay->made.machine.devices[tape->device]);

	if (!is_virtio(&vdev->dev))
		return;
	if (tape->value & VIRTIO_MMIO_INT_VRING)
		vdev->transport_ops->interrupt_queues(vdev->transport, 1);
	if (tape->value & VIRTIO_MMIO_INT_CONFIG)
		vdev->transport_ops->interrupt_config(vdev->transport);
}

static struct chr *console_of(const struct machine *machine, const struct device *device)
{
	return !strcmp(device->class->name, "serial") ? machine->serial : NULL;
}

static void apply_bytes(struct replay *replay, const struct trace_tape *tape)
{
	struct chr *chr = console_of(&replay->made.machine, device_of(replay, tape->device));

	if (chr)
		chr_feed(chr, tape->bytes, tape->record.bytes - sizeof(*tape));
}

static void apply_break(struct replay *replay, const struct trace_tape *tape)
{
	struct chr *chr = console_of(&replay->made.machine, device_of(replay, tape->device));

	if (chr)
		chr_send_break(chr);
}

static void apply_timer(struct replay *replay, const struct trace_tape *tape)
{
	struct device *device = replay->made.machine.devices[tape->device];

	/* Those of virtio devices are about requests. */
	if (is_virtio(device) || loop_fire(replay->made.machine.loop, &device->lock) ||
		replay->parts[tape->device].why_not)
		return;
	if (differs(replay, tape->device))
		fputs("its timer fires in the recording, and is not set here\n",
			replay->options->out);
}

static void apply_broken(struct replay *replay, const struct trace_tape *tape)
{
	struct device *device = replay->made.machine.devices[tape->device];

	if (!is_virtio(device))
		return;
	pthread_mutex_lock(&device->lock);
	virtio_break(virtio_of(device), "as it did in the recording");
	pthread_mutex_unlock(&device->lock);
}

static void apply_reset(struct replay *replay)
{
	struct machine *machine = &replay->made.machine;

	if (machine->input)
		input_reset(machine->input);
	for (size_t i = 0; i < machine->device_count; i++)
		device_reset(machine->devices[i]);
}

static void apply(struct replay *replay, const struct trace_tape *tape)
{
	struct device *device = replay->made.machine.devices[tape->device];

	switch (tape->kind) {
	case TRACE_TAPE_TIMER:
		apply_timer(replay, tape);
		break;
	case TRACE_TAPE_BYTES:
		apply_bytes(replay, tape);
		break;
	case TRACE_TAPE_BREAK:
		apply_break(replay, tape);
		break;
	case TRACE_TAPE_ROOM:
		replay->parts[tape->device].why_not = "its host side did not keep up with it";
		break;
	case TRACE_TAPE_FEATURES:
		apply_features(replay, tape);
		break;
	case TRACE_TAPE_CONFIG:
		apply_config(replay, tape);
		break;
	case TRACE_TAPE_CAUSE:
		apply_cause(replay, tape);
		break;
	case TRACE_TAPE_BROKEN:
		apply_broken(replay, tape);
		break;
	case TRACE_TAPE_BUTTON:
		if (!strcmp(device->class->name, "acpi-pm"))
			acpi_pm_press_power_button(device);
		break;
	default:
		apply_access(replay, tape);
	}
}

/* Gives one record to its device; its answers are expected behind it. */
static void drive(struct replay *replay, const struct trace_tape *tape)
{
	struct part *part = &replay->parts[tape->device];

	while (part->at < part->count && part->own[part->at] != tape)
		part->at++;
	part->at++;
	part->value_at = part->line_at = part->at;
	apply(replay, tape);
	finish_lines(replay, tape->device);
}

/* ---- The whole ---- */

static int split(struct replay *replay, struct err *err)
{
	const struct trace_file *file = replay->file;
	const struct trace_tape **next;

	replay->all_own = calloc(file->tape_count + 1, sizeof(const struct trace_tape *));
	if (!replay->all_own)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the recording");
	for (size_t i = 0; i < file->tape_count; i++)
		if (file->tape[i]->device < TRACE_DEVICES_MAX)
			replay->parts[file->tape[i]->device].count++;
	next = replay->all_own;
	for (unsigned i = 0; i < TRACE_DEVICES_MAX; i++) {
		replay->parts[i].own = next;
		next += replay->parts[i].count;
		replay->parts[i].count = 0;
	}
	for (size_t i = 0; i < file->tape_count; i++) {
		const struct trace_tape *tape = file->tape[i];
		struct part *part = &replay->parts[MIN(tape->device, TRACE_DEVICES_MAX - 1u)];

		if (tape->device < TRACE_DEVICES_MAX)
			part->own[part->count++] = tape;
	}
	return 0;
}

static int check_recording(const struct trace_file *file, struct err *err)
{
	if (!(file->header.flags & TRACE_FLAG_RECORD) || !file->tape_count) {
		err_set(err, EXIT_CODE_IMAGE, EINVAL, "the trace is no recording");
		err_hint(err, "vmm --trace FILE,record ... makes one");
		return -EINVAL;
	}
	for (size_t i = 0; i < file->tape_count; i++)
		if (file->tape[i]->seq != i)
			return err_set(err, EXIT_CODE_IMAGE, EINVAL,
				"the recording has a gap at its record %zu: what was lost can't be "
				"replayed",
				i);
	return 0;
}

static int check_devices(const struct replay *replay, struct err *err)
{
	const struct trace_file *file = replay->file;
	const struct machine *machine = &replay->made.machine;

	for (unsigned i = 0; i < MAX(file->device_count, (unsigned)machine->device_count); i++) {
		const char *was =
			i < file->device_count && file->devices[i] ? name_of(replay, i) : NULL;
		/* Only recordings have the port of marks. */
		const char *is = i < machine->device_count ? machine->devices[i]->name : NULL;

		/* A stranger may call a device anything: a name does not stand for its absence. */
		if (was && is ? strcmp(was, is) != 0 : was != is)
			return err_set(err, EXIT_CODE_IMAGE, EINVAL,
				"this vmm makes another machine of the recorded command line: "
				"device %u was %s and is %s",
				i, was ? was : "none", is ? is : "none");
	}
	return 0;
}

static void choose_compared(struct replay *replay)
{
	const struct machine *machine = &replay->made.machine;
	unsigned nic = 0;

	for (size_t i = 0; i < machine->device_count; i++) {
		const char *class_name = machine->devices[i]->class->name;
		struct part *part = &replay->parts[i];

		if (machine->input &&
			(!strcmp(class_name, "i8042") || !strcmp(class_name, "virtio-keyboard") ||
				!strcmp(class_name, "virtio-tablet")))
			part->why_not = "what was typed and pointed at is not in a recording";
		if (!strcmp(class_name, "virtio-net") && replay->made.vhost[nic++])
			part->why_not = "the host's kernel worked on its queues";
	}
}

static void run(struct replay *replay)
{
	const struct trace_file *file = replay->file;

	replay->is_driving = true;
	for (size_t i = 0; i < file->tape_count; i++) {
		const struct trace_tape *tape = file->tape[i];

		replay->result->replayed++;
		if (tape->kind == TRACE_TAPE_RESET)
			apply_reset(replay);
		else if (tape->kind != TRACE_TAPE_REQUEST && !is_answer(tape))
			drive(replay, tape);
	}
	replay->is_driving = false;
}

static void print_table(const struct replay *replay, FILE *out)
{
	const struct machine *machine = &replay->made.machine;

	if (!replay->file->has_ended)
		fputs("the recording has no end: this is as far as it goes\n", out);
	fprintf(out, "%-18s %9s %9s %9s %9s\n", "DEVICE", "ACCESSES", "ANSWERS", "LINE",
		"DIFFERENT");
	for (size_t i = 0; i < machine->device_count; i++) {
		const struct part *part = &replay->parts[i];

		fprintf(out, "%-18s %9zu %9zu %9zu %9zu  ", machine->devices[i]->name,
			part->accesses, part->answers, part->lines, part->different);
		if (part->why_not)
			fprintf(out, "not compared: %s\n", part->why_not);
		else if (!part->count)
			fputs("not touched\n", out);
		else if (is_virtio(machine->devices[i]))
			fputs("compared: registers; not compared: requests\n", out);
		else
			fputs("compared\n", out);
	}
}

int replay_run(const struct trace_file *file, const struct replay_options *options,
	struct replay_result *result, struct err *err)
{
	struct platform_ops ops = machine_paper_ops;
	struct replay *replay = calloc(1, sizeof(*replay));
	struct machine_hooks hooks = {.paper = &ops, .opaque = replay};
	int ret;

	*result = (struct replay_result){0};
	if (!replay)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the machine");
	replay->file = file;
	replay->options = options;
	replay->result = result;
	replay->tape = (struct tape){.value = say_value, .note = ignore_note};
	ops.irq_connect = connect_line;
	ops.request = compare_request;
	hooks.tape = &replay->tape;
	ret = check_recording(file, err);
	if (ret == 0)
		ret = split(replay, err);
	if (ret == 0) {
		ret = replay_machine_make(&replay->made, file, &hooks, err);
		if (ret == 0)
			ret = check_devices(replay, err);
		if (ret == 0) {
			choose_compared(replay);
			run(replay);
			print_table(replay, options->out);
		}
		replay_machine_finish(&replay->made);
	}
	free(replay->all_own);
	free(replay);
	return ret;
}
