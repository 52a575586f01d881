/*
 * The machine's consoles: the host sides that --serial, --hvc0, --debugcon and --port ask for. For
 * machine.c only.
 *
 * Threads: the loop's.
 */
#pragma once

#include <stdbool.h>

#include "vmm/machine.h"

/* Opens the host sides. Error: -errno and a sentence; some may be open then. */
int machine_console_open(struct machine *machine, struct err *err);

/* After the devices are gone. */
void machine_console_close(struct machine *machine);

/*
 * True for a class whose devices are consoles. Then `args` gets what the device is given, and
 * *count says how many of them the machine has: one or none.
 */
bool machine_console_args(const struct machine *machine, const struct device_class *class,
	struct device_args *args, unsigned *count);
