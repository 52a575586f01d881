/*
 * `vmm inspect FILE`: says what a kernel, an initrd or a disk image is, one
 * "key: value" per line. No byte of the file reaches the terminal unfiltered.
 */
#pragma once

#include <stdio.h>

#include "vmm/base/err.h"

/* Error: -errno and a sentence of kind EXIT_CODE_IMAGE when the file can't be read. */
int inspect_file(const char *path, FILE *out, struct err *err);
