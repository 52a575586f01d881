/*
 * --explain, the part that knows the machine: its files and devices. What each layer does it tells
 * itself (vmm/core/explain.h). For machine.c only.
 */
#pragma once

#include "vmm/machine.h"

/* Kernel, initrd, disks, networks, consoles: opened. */
void machine_explain_files(const struct machine *machine);

/* What a device is, before it is realized; and its addresses and interrupts, afterwards. */
void machine_explain_device(const struct device *device);
void machine_explain_places(const struct device *device);
