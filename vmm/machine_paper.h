/*
 * A machine that is made to be looked at and never runs: --dump-dtb, --dump-acpi, --explain-only.
 * It is made without KVM, so that these work on any host. For machine.c and main.c.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/core/device.h"

/* For the devices of such a machine. */
extern const struct platform_ops machine_paper_ops;

/*
 * Makes the machine of `config`, writes what is asked for, and takes it down. The files that it
 * names are opened. With config->explain_only it stands ready to run, in KVM where that can be
 * had. Returns 0, or -errno and a sentence.
 */
int machine_paper_run(struct vm_config *config, struct err *err);
