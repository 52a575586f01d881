/*
 * See machine_explain.h. The loop's thread, before the guest runs.
 */
#include "vmm/machine_explain.h"

#include <stdio.h>

#include "vmm/core/explain.h"

void machine_explain_files(const struct machine *machine)
{
	const struct vm_config *config = machine->config;

	if (!explain_is_on())
		return;
	if (machine->boot)
		boot_explain_files(machine->boot);
	for (unsigned i = 0; i < config->disk_count; i++)
		explain("%s, %s: the disk vd%c%s", config->disks[i].path,
			explain_size(blk_info(machine->disks[i])->size), (int)('a' + i),
			config->disks[i].ephemeral	     ? ", whose writes are thrown away"
				: config->disks[i].read_only ? ", read-only"
							     : "");
	for (unsigned i = 0; i < config->nic_count; i++)
		explain("network card %u: %s", i, net_info(machine->nics[i])->name);
	for (unsigned i = 0; i < machine->console_count; i++)
		explain("%s: a console of%s%s%s", machine->consoles[i].spec,
			machine->consoles[i].chr == machine->serial ? " ttyS0" : "",
			machine->consoles[i].chr == machine->hvc0 ? " hvc0" : "",
			machine->consoles[i].chr == machine->debugcon ? " port 0xe9" : "");
}

void machine_explain_device(const struct device *device)
{
	const struct device_class *class = device->class;

	explain("%-16s %s%s%s", device->name, class->description,
		class->acpi_hid ? "; in ACPI as " : "", class->acpi_hid ? class->acpi_hid : "");
}

void machine_explain_places(const struct device *device)
{
	char text[200] = "";
	size_t used = 0;

	for (unsigned i = 0; i < device->res_count && used < sizeof(text); i++) {
		const struct device_res *res = &device->res[i];
		unsigned long long base = res->base, last = res->base + res->size - 1;
		const char *comma = i ? ", " : "";
		char *at = text + used;
		size_t room = sizeof(text) - used;

		if (res->kind == DEVICE_RES_IRQ)
			used += (size_t)snprintf(at, room, "%sIRQ %llu (%s)", comma, base,
				res->level ? "level" : "edge");
		else
			used += (size_t)snprintf(at, room,
				last > base ? "%s%s 0x%llx to 0x%llx" : "%s%s 0x%llx", comma,
				res->kind == DEVICE_RES_PIO ? "port" : "address", base, last);
	}
	if (used)
		explain_detail("%s", text);
}
