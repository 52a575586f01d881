/*
 * `vmm inspect FILE`: says what a kernel, an initrd, a disk image or a device tree is, as lines
 * "key: value" or as JSON. No byte of the file reaches the terminal unfiltered.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "vmm/base/err.h"

struct inspect_options {
	bool json;
	bool config; /* only the configuration that is built into a Linux kernel, as a text */
};

/*
 * Error: -errno and a sentence of kind EXIT_CODE_IMAGE when the file can't be read, or has no
 * configuration that was asked for.
 */
int inspect_file(
	const char *path, const struct inspect_options *options, FILE *out, struct err *err);
