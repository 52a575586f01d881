/*
 * How a debugger may connect, as the command line says. Plain data.
 */
#pragma once

#include <stdbool.h>

#include "devices/backend/listen_address.h"
#include "vmm/core/cpu_regs.h"

struct gdb_config {
	struct listen_address address;
	bool has_fixed_mode; /* the guest is described as `fixed_mode`, whatever it runs */
	enum cpu_mode fixed_mode;
};
