/*
 * What kind of machine it is: the devices that a profile has, and the words that it says to the
 * kernel. For machine.c.
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
