/*
 * What a port write of a guest costs at least: the shortest loop around KVM_RUN that one can write,
 * to compare a machine's dispatcher with. Used by `vmm bench` only; the program does not contain it.
 */
#pragma once

#include <stdint.h>

#include "vmm/base/err.h"

/*
 * Runs a guest that writes to a port `writes` times. *ns is this thread's time on a processor from
 * the first KVM_RUN to the last exit, the kernel's and the guest's part included. Error: -errno and
 * a sentence.
 */
int port_floor_measure(uint32_t writes, uint64_t *ns, struct err *err);
