/*
 * `vmm doctor`: what this host's KVM can do, found out by running small guests.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "vmm/base/err.h"

/*
 * Prints a table of probes and one sentence of verdict to `out` (nothing with
 * `quiet`). Returns the exit status: EXIT_CODE_OK when KVM is usable for stock kernels,
 * EXIT_CODE_KVM when not, with the reason in the printed verdict and in `err`
 * (the caller prints no second error then). Takes below three seconds. Call it while
 * the process has one thread.
 */
int doctor_run(bool quiet, FILE *out, struct err *err);
