/*
 * See machine_trace.h.
 */
#include "vmm/machine_trace.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "vmm/machine.h"

int machine_trace_open(struct machine *machine, struct err *err)
{
	const struct vm_config *config = machine->config;

	if (!config->trace || config->dump_dtb)
		return 0;
	return trace_open(&machine->trace, config->trace, config->cpus, err);
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
