/*
 * What doctor says: facts in, words out. Pure, so that each text is tested
 * without such a host.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "vmm/base/err.h"
#include "vmm/kvm/host_facts.h"
#include "vmm/kvm/probe.h"

struct doctor_facts {
	struct host_facts host;
	struct err trouble; /* set when KVM can't be opened or no guest can be made */
	bool was_opened;
	unsigned vcpus_max;
	unsigned tsc_khz; /* of guests, 0 = not known */
	uint64_t
		making_ns; /* what KVM took for a machine, the first of this process; 0 = not known */
	struct probe_result probes[PROBE_COUNT];
};

enum doctor_verdict {
	DOCTOR_USABLE,
	DOCTOR_NO_KVM,	 /* facts.trouble says why */
	DOCTOR_EMULATED, /* guest kernel code is interpreted */
	DOCTOR_BROKEN,	 /* fast enough, but something that kernels need fails */
};

enum doctor_verdict doctor_judge(const struct doctor_facts *facts);

/* One sentence without full stop (with NO_KVM: what, why; the remedy is in facts.trouble.hint). */
void doctor_describe(const struct doctor_facts *facts, char *text, size_t size);

/* What to do about it, one sentence without full stop, or "" when all is well. */
void doctor_advise(const struct doctor_facts *facts, char *text, size_t size);

/* The whole report: host, probes, verdict. */
void doctor_print(const struct doctor_facts *facts, FILE *out);
