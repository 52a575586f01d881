/*
 * Small guests that show what a KVM really does, whatever it says of itself.
 * Each is a few instructions of 64-bit ring 0 code in a fresh machine, with a limit of time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/kvm.h"

#define PROBE_TABLE(X)                                                                             \
	X(PROBE_LOOP, "64-bit ring 0 loop", "how fast guest kernel code runs")                     \
	X(PROBE_CMPXCHG16B, "cmpxchg16b", "Linux's memory allocator uses it")                      \
	X(PROBE_INT3, "int3", "Linux patches its own code with it at every boot")                  \
	X(PROBE_XSAVE, "xsave", "Linux keeps floating point registers with it")                    \
	X(PROBE_LEVEL_IRQ, "level interrupt",                                                      \
		"a device's interrupt line, through IOAPIC and APIC")                              \
	X(PROBE_IRQFD, "irqfd", "an interrupt by a write to an eventfd")                           \
	X(PROBE_MSI, "MSI", "a message-signalled interrupt")                                       \
	X(PROBE_IOEVENTFD_PIO, "port ioeventfd", "a doorbell that does not stop the processor")    \
	X(PROBE_IOEVENTFD_MMIO, "MMIO ioeventfd", "the same for virtio-mmio")

#define PROBE_ENUM(id, name, meaning) id,
enum probe_id {
	PROBE_TABLE(PROBE_ENUM) PROBE_COUNT
};
#undef PROBE_ENUM

enum probe_outcome {
	PROBE_SKIPPED, /* no time was left */
	PROBE_OK,
	PROBE_ABSENT, /* KVM does not offer it, so guests don't use it */
	PROBE_FAILED,
};

struct probe_result {
	enum probe_outcome outcome;
	double mips;	  /* PROBE_LOOP: million instructions a second */
	char detail[240]; /* why it failed */
};

const char *probe_name(enum probe_id id);
const char *probe_meaning(enum probe_id id);

/*
 * Runs all of them on an opened KVM without a machine: less than a second as a rule, at most
 * 2.2 seconds of waiting for guests that say nothing, however bad this KVM is. Error: -errno and a sentence when no guest can be made at
 * all; the results so far stay.
 */
int probe_run_all(struct kvm *kvm, struct probe_result results[PROBE_COUNT], struct err *err);
