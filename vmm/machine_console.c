/*
 * The host sides of a machine's consoles: which there are, which devices share one, and who has
 * the input. See machine.h; the loop's thread, before the guest runs.
 */
#include "vmm/machine_console.h"

#include <string.h>

/* The same words mean the same place, and that is opened once. *chr stays NULL for "none". */
static int open_console(
	struct machine *machine, struct chr **chr, const char *spec, struct err *err)
{
	struct machine_console *console;
	int ret;

	for (unsigned i = 0; i < machine->console_count; i++) {
		if (config_is_same_place(machine->consoles[i].spec, spec)) {
			*chr = machine->consoles[i].chr;
			return 0;
		}
	}
	ret = chr_open(chr, spec, machine->loop, err);
	if (ret < 0 || !*chr)
		return ret;
	ASSERT(machine->console_count < MACHINE_CONSOLES_MAX);
	console = &machine->consoles[machine->console_count++];
	*console = (struct machine_console){*chr, spec};
	return 0;
}

static void add_port(struct machine *machine, const struct device_port *port)
{
	machine->ports[machine->port_count++] = *port;
}

int machine_console_open(struct machine *machine, struct err *err)
{
	const struct vm_config *config = machine->config;
	bool serial_first = config->console == CONSOLE_SERIAL;
	int ret = open_console(machine, &machine->serial, config->serial, err);

	if (ret >= 0)
		ret = open_console(machine, &machine->hvc0, config->hvc0, err);
	if (ret >= 0 && config->debugcon)
		ret = open_console(machine, &machine->debugcon, config->debugcon, err);
	else
		machine->debugcon = machine->serial ? machine->serial : machine->hvc0;
	/* What is typed goes to the console that is /dev/console in the guest. */
	if (ret >= 0 && machine->hvc0)
		add_port(machine,
			&(struct device_port){.chr = machine->hvc0,
				.no_input = serial_first && machine->hvc0 == machine->serial});
	for (unsigned i = 0; ret >= 0 && i < config->port_count; i++) {
		struct device_port port = {.name = config->ports[i].name};

		ret = open_console(machine, &port.chr, config->ports[i].spec, err);
		if (ret >= 0)
			add_port(machine, &port);
	}
	return ret;
}

void machine_console_close(struct machine *machine)
{
	while (machine->console_count)
		chr_close(machine->consoles[--machine->console_count].chr);
	machine->serial = machine->hvc0 = machine->debugcon = NULL;
	machine->port_count = 0;
}

bool machine_console_args(const struct machine *machine, const struct device_class *class,
	struct device_args *args, unsigned *count)
{
	if (!strcmp(class->name, "serial")) {
		args->chr = machine->serial;
		args->no_input = machine->serial == machine->hvc0 &&
			machine->config->console != CONSOLE_SERIAL;
		*count = args->chr ? 1 : 0;
	} else if (!strcmp(class->name, "debug-console")) {
		args->chr = machine->debugcon;
		*count = args->chr ? 1 : 0;
	} else if (!strcmp(class->name, "virtio-console")) {
		args->ports = machine->ports;
		args->port_count = machine->port_count;
		args->is_plain = machine->config->profile == PROFILE_MICRO;
		*count = args->port_count ? 1 : 0;
	} else {
		return false;
	}
	return true;
}
