/*
 * What a processor is doing, seen while it runs: it is taken out of the guest for a moment, looks
 * at its own registers, and goes on. Nobody waits for it, and the guest is not told of a pause.
 *
 * Threads: request and take on the owner's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/kvm/exit_ring.h"
#include "vmm/kvm/vcpu.h"

enum {
	VCPU_SAMPLE_REGS = 16
};

struct vcpu_sample {
	bool is_off;	    /* waits for its start by another processor */
	bool is_halted;	    /* in HLT, waiting for an interrupt */
	bool interrupts_on; /* RFLAGS.IF */
	bool in_user;	    /* at privilege level 3 */
	bool is_64bit;
	uint64_t code;			 /* linear address of the next instruction */
	uint64_t regs[VCPU_SAMPLE_REGS]; /* the general ones, in no order that matters */
	uint64_t exits, unclaimed;	 /* so far: all kinds, and accesses without a device */
	struct exit_record last;	 /* the last port or memory access; kind OTHER: none */
};

/* Asks a processor that was started to look at itself, and returns at once. */
void vcpu_request_sample(struct vcpu *vcpu);

/* Fetches the answer to the last request; false while there is none. */
bool vcpu_take_sample(struct vcpu *vcpu, struct vcpu_sample *sample);
