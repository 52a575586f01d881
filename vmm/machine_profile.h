/*
 * What kind of machine it is: the devices that a profile has, the words that it says to the kernel,
 * and a machine that is only described. For machine.c and main.c.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/core/device.h"

/* False for a class that machines of this profile never have. */
bool machine_profile_allows(enum machine_profile profile, const struct device_class *class);

/* What the kernel is told unless the person says something of the same name; ended by NULL. */
const char *const *machine_profile_words(const struct vm_config *config);

/* For the devices of a machine that is described and never runs, where KVM may be missing. */
extern const struct platform_ops machine_profile_paper_ops;

/*
 * Makes the machine of `config` without KVM, writes its device tree to config->dump_dtb ("-" is
 * standard output), and takes the machine down. The files that it names are opened. Returns 0, or
 * -errno and a sentence.
 */
int machine_profile_dump(const struct vm_config *config, struct err *err);
