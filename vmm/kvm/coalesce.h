/*
 * Coalesced port writes: the guest's writes of a byte to one port go to a ring in memory that is
 * shared with KVM, without an exit, and are carried to the bus later, before anything that the guest
 * does after them: whoever comes back from KVM_RUN, on any processor, empties the ring before it
 * looks at its own exit. Only when that is a read of the one port whose answer does not depend on
 * them, by which a guest asks before each write whether it may, they wait and become a long run.
 * When the ring is full KVM makes the next write an exit.
 *
 * What nobody comes back for (the last byte before the guest sleeps) waits in the ring until
 * coalesce_tick(), which its user calls every few milliseconds until that says no more.
 *
 * Locks: the ring's is held while the bus is called, so it comes before a device's; that of the zone
 * is the last of all, and a device may ask for the zone with its own lock held.
 *
 * Threads: any. Source: Linux Documentation/virt/kvm/api.rst, 4.116.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/bus.h"

struct kvm;

/* Inside of struct kvm. */
struct coalesce {
	_Atomic bool may_hold;	      /* the ring may have something in it */
	_Atomic uint16_t status_port; /* the writes wait while this is read */

	pthread_mutex_t ring_lock; /* held by who reads the ring */

	pthread_mutex_t zone_lock; /* guards what follows */
	struct kvm_run *run;	   /* of processor 0, with the ring; NULL: there is none */
	unsigned ring_page; /* where in a processor's shared pages, 0: not yet asked or none */
	bool is_refused;    /* this KVM can't, or did not want to */
	bool has_zone;
	uint16_t port;
	unsigned quiet_ticks;
};

void coalesce_init(struct coalesce *coalesce);
void coalesce_finish(struct coalesce *coalesce);

/* Processor 0 has come with its shared pages, or goes (NULL) without a thread that runs it. */
void coalesce_attach(struct kvm *kvm, struct kvm_run *run);

/*
 * Begins: true when writes to the port are coalesced from now on and ticks are needed; false also
 * when that is so already. One port for each machine, and reads of another that don't depend on it.
 */
bool coalesce_begin(struct kvm *kvm, uint16_t port, uint16_t status_port);

/* Whether the ring may stay as it is for this exit. */
static inline bool coalesce_can_wait(const struct coalesce *coalesce, const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN &&
		run->io.size == 1 &&
		run->io.port == atomic_load_explicit(&coalesce->status_port, memory_order_relaxed);
}

/* From now on each write is an exit again; what is in the ring stays to be carried. */
void coalesce_end(struct kvm *kvm);

/* Carries what is in the ring to the bus; without the lock of a device. Returns how many there were. */
unsigned coalesce_drain(struct kvm *kvm, const struct bus *bus);

/*
 * Drains, and ends by itself after some ticks without a write. True while another tick is needed.
 */
bool coalesce_tick(struct kvm *kvm, const struct bus *bus);
