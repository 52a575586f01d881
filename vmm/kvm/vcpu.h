/*
 * A virtual processor: one thread that runs the guest and carries its port
 * and memory accesses to the buses.
 *
 * States: created → (vcpu_start) running ⇄ parked → (vcpu_stop) stopped. A processor
 * parks when asked to, and by itself after it reported an event; its accesses
 * are complete then, and its state may be read by any one thread. Whoever
 * owns it decides whether it resumes or stops.
 *
 * A vCPU is taken out of the guest by a real-time signal whose handler does
 * nothing but set the shared page's immediate_exit.
 *
 * Threads: create, set_entry, start, stop, destroy on the owner's thread;
 * request_pause on any; wait_paused, resume on any but the vCPU's own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/core/boot_timer.h"
#include "vmm/core/bus.h"
#include "vmm/core/cpu_entry.h"
#include "vmm/core/gmem.h"
#include "vmm/kvm/exit_ring.h"
#include "vmm/kvm/kvm.h"

struct vcpu;
struct trace;

enum vcpu_event {
	VCPU_EVENT_SHUTDOWN,	    /* triple fault */
	VCPU_EVENT_SYSTEM_SHUTDOWN, /* KVM_EXIT_SYSTEM_EVENT: the guest asked its hypervisor */
	VCPU_EVENT_SYSTEM_RESET,
	VCPU_EVENT_SYSTEM_CRASH,
	VCPU_EVENT_INTERNAL_ERROR, /* KVM could not go on, or an exit we do not know */
	VCPU_EVENT_FAIL_ENTRY,	   /* the hardware refused the processor's state */
	VCPU_EVENT_DEBUG,	   /* what a debugger waits for: see vcpu_debug.h */
	VCPU_EVENT_HALT, /* HLT outside KVM's own waiting: never with its interrupt chip */
};

/* The event in words: "triple fault", … */
const char *vcpu_event_name(enum vcpu_event event);

/* What a vCPU works with; all borrowed, the struct is copied. */
struct vcpu_env {
	const struct bus *pio, *mmio; /* frozen */
	const struct gmem *mem;	      /* for vcpu_explain(); may be NULL */
	/*
	 * Called on the vCPU's thread, which then parks. It may call vcpu_explain()
	 * and vcpu_id(), and request pauses; it must not block and must not start, stop or
	 * destroy any vCPU: tell the owner's thread to do that (loop_post).
	 */
	void (*event)(void *opaque, struct vcpu *vcpu, enum vcpu_event event);
	void *opaque;
	struct boot_timer *boot_timer; /* or NULL */
	struct trace *trace;	       /* or NULL */
};

/*
 * Makes processor `id` of `cpu_count` with its CPUID and power-on state. APIC id =
 * id. Every processor but 0 waits for INIT and SIPI when started. Error: -errno and a sentence
 * (too many for this KVM, out of memory). vcpu_destroy(NULL) is legal; it stops first.
 */
int vcpu_create(struct vcpu **vcpu, struct kvm *kvm, unsigned id, unsigned cpu_count,
	const struct vcpu_env *env, struct err *err);
void vcpu_destroy(struct vcpu *vcpu);

/* Gives a processor that does not run the state in which a loaded kernel is entered. */
int vcpu_set_entry(struct vcpu *vcpu, const struct cpu_entry *entry, struct err *err);

/* Makes the thread, named "vcpuN". When a pause was requested before, it parks at once. */
int vcpu_start(struct vcpu *vcpu, struct err *err);

/*
 * Asks the thread to park and returns at once; vcpu_wait_paused() waits for that.
 * To pause a whole machine request all first, then wait for all. Legal when not started or
 * already parked. vcpu_resume() lets it go on, also after an event.
 */
void vcpu_request_pause(struct vcpu *vcpu);
void vcpu_wait_paused(struct vcpu *vcpu);
void vcpu_resume(struct vcpu *vcpu);

/*
 * Ends the thread, whatever it does, and waits for its end; legal when not started. The guest
 * does not run on: a stopped processor may only be explained and destroyed. To stop several
 * at once, vcpu_request_stop() them first.
 */
void vcpu_request_stop(struct vcpu *vcpu);
void vcpu_stop(struct vcpu *vcpu);

unsigned vcpu_id(const struct vcpu *vcpu);

/* Exits of each kind so far; any thread. For the ring itself see exit_ring.h. */
const struct exit_ring *vcpu_exits(const struct vcpu *vcpu);
