/*
 * The kernel command line of a configuration: which words its consoles, screen, disks and profile
 * add to those of --append. For machine.c, and for those who only want to know the line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "firmware/source.h"
#include "vmm/base/err.h"
#include "vmm/config.h"

struct machine_cmdline_disk {
	struct source source;
	bool read_only;
};

/* What there is of what was asked for. All borrowed. */
struct machine_cmdline_facts {
	bool has_screen, has_serial, has_hvc0;
	bool is_linux;	   /* else nothing is added for it */
	bool is_elsewhere; /* not in vmm's machine: the profile's words are left out */
	const struct machine_cmdline_disk *disks; /* as many as the configuration has */
};

/* Writes the whole line, terminated. Error: -errno and a sentence when it is too long. */
int machine_cmdline_build(const struct vm_config *config, const struct machine_cmdline_facts *facts,
	char *buf, size_t size, struct err *err);

/* The words in the line of a Linux kernel that only make its start faster; "" if there are none. */
void machine_cmdline_describe_words(const struct vm_config *config, char *text, size_t size);
