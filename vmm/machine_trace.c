/*
 * See machine_trace.h.
 */
#include "vmm/machine_trace.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "devices/virtio/virtio.h"
#include "vmm/machine.h"

int machine_trace_open(struct machine *machine, struct err *err)
{
	const struct vm_config *config = machine->config;

	const struct trace_config trace = {
		.path = config->trace.path, .cpus = config->cpus, .records = config->trace.record};
	int ret;

	if (!trace.path || config->on_paper)
		return 0;
	ret = trace_open(&machine->trace, &trace, err);
	return ret < 0 || !trace.records
		? ret
		: trace_tape_create(&machine->recorder, machine->trace, err);
}

/* Where a virtio device begins: it depends on the host's files and networks. */
static void note_virtio(struct machine *machine, struct device *device)
{
	struct tape *tape = trace_tape_of(machine->recorder);
	const struct virtio_dev *vdev = virtio_of(device);

	if (strncmp(device->class->name, "virtio-", 7) != 0)
		return;
	tape->note(tape, device, TRACE_TAPE_FEATURES, vdev->offered, NULL, 0);
	tape->note(tape, device, TRACE_TAPE_CONFIG, vdev->config_generation, vdev->config,
		vdev->config_size);
}

int machine_trace_tap(struct machine *machine, struct err *err)
{
	struct trace_tape_recorder *recorder = machine->recorder;
	int ret;

	if (!recorder)
		return 0;
	ret = trace_tape_bus(recorder, &machine->pio, true, err);
	if (ret >= 0)
		ret = trace_tape_bus(recorder, &machine->mmio, false, err);
	trace_tape_loop(recorder, machine->loop, machine->devices, &machine->device_count);
	for (size_t i = 0; ret >= 0 && i < machine->device_count; i++)
		note_virtio(machine, machine->devices[i]);
	return ret;
}

void machine_trace_reset(struct machine *machine)
{
	trace_note_reset(machine->trace);
	if (machine->recorder)
		trace_tape_note(machine->recorder, TRACE_TAPE_RESET, 0, 0);
}

static void add_facts(struct machine *machine)
{
	const struct vm_config *config = machine->config;
	struct trace *trace = machine->trace;
	char text[400];
	struct utsname host;

	machine_describe(machine, text, sizeof(text));
	trace_add_fact(trace, "machine", text);
	trace_add_fact(trace, "name", config->name);
	if (uname(&host) == 0) {
		snprintf(text, sizeof(text), "%s %s %s", host.sysname, host.release, host.machine);
		trace_add_fact(trace, "host", text);
	}
	trace_add_fact(trace, "cmdline", machine->cmdline);
	for (int i = 0; i < config->word_count; i++)
		trace_add_fact(trace, "word", config->words[i]);
}

int machine_trace_start(struct machine *machine, struct err *err)
{
	if (!machine->trace)
		return 0;
	add_facts(machine);
	for (size_t i = 0; i < machine->device_count; i++)
		trace_add_device(machine->trace, machine->devices[i]);
	return trace_start(machine->trace, err);
}
