/*
 * Tells a person why a processor can't go on: which step failed, registers,
 * code bytes, the page walks of RIP and of the fault address, the last exits.
 * Everything read from the guest goes through gmem; hostile tables are harmless.
 *
 * Call on the vCPU's own thread (in its event callback) or while it is parked
 * or stopped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/kvm/vcpu.h"

/*
 * One sentence without full stop, cut to `size`: "triple fault: … while the page
 * walk of RIP 0x… stops at the PDPT entry …".
 */
void vcpu_explain_sentence(struct vcpu *vcpu, char *text, size_t size);

/* The sentence and the whole dump, about 40 lines of plain ASCII. */
void vcpu_explain(struct vcpu *vcpu, FILE *out);

/* The linear address of the instruction it stands at; false when KVM has lost it. */
bool vcpu_find_code(const struct vcpu *vcpu, uint64_t *code);

/* What it reported last was a triple fault. */
bool vcpu_has_shut_down(const struct vcpu *vcpu);
