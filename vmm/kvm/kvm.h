/*
 * /dev/kvm and one virtual machine of it: opening with a sentence for each
 * cause of trouble, making the machine with its interrupt chip, memory slots.
 *
 * A guest reset destroys KVM's machine and makes a fresh one in the same process,
 * because then no piece of KVM's state can be forgotten. So everything that was
 * registered (memory slots, interrupt lines, doorbells) is kept in struct kvm
 * and applied again by kvm_create_vm(). It may be registered before the first
 * kvm_create_vm() as well.
 *
 * The order: kvm_open, { kvm_create_vm, vcpu_create…, vcpu_destroy…,
 * kvm_destroy_vm }, kvm_finish. Registering at any time between open and finish.
 *
 * Threads: open, create, destroy and finish on one thread, with no vCPU alive;
 * kvm_set_memory() on that thread; kvm_take_dirty() and what irqchip.h offers on any thread.
 * Source: Linux Documentation/virt/kvm/api.rst.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/coalesce.h"

enum {
	KVM_SLOTS_MAX = 32,
	KVM_WIRES_MAX = 128,
	KVM_DOORBELLS_MAX = 512,
	KVM_GSI_COUNT = 24 /* pins of the IOAPIC */
};

/* Flags of kvm_set_memory(). */
#define KVM_MEMORY_READ_ONLY  (1u << 0) /* guest writes arrive as MMIO */
#define KVM_MEMORY_LOG_WRITES (1u << 1) /* for the dirty log */

/* ---- Private to vmm/kvm: what is applied again after a reset ---- */

struct kvm_slot {
	bool used;
	uint64_t gpa, size;
	void *host;
	unsigned flags;
};

struct kvm_wire {
	struct kvm *kvm;
	unsigned gsi;
	bool asserted; /* guarded by kvm->gsi[].lock */
	int fd;	       /* eventfd behind an irqfd; -1 for a level line */
};

struct kvm_gsi {
	pthread_mutex_t lock;
	unsigned asserted; /* wires that hold this pin up: the pin is their OR */
};

struct kvm_doorbell {
	bool used;
	bool pio;
	unsigned size;
	uint64_t addr, value;
	int fd; /* borrowed eventfd */
};

/* ---- Public ---- */

/* Must stay in place from kvm_open() to kvm_finish(). */
struct kvm {
	int dev_fd;  /* /dev/kvm */
	int vm_fd;   /* one number for good; stands for /dev/null while there is no machine */
	int null_fd; /* what vm_fd stands for then */
	bool has_vm;
	bool is_left;	 /* vm_fd is not ours any more: see kvm_leave_vm() */
	size_t run_size; /* bytes of a vCPU's shared page */
	unsigned vcpus_max;
	unsigned tsc_khz;   /* of the guest's TSC, 0 = not known; after kvm_create_vm() */
	bool has_sync_regs; /* KVM hands out registers with each exit */
	bool has_tsc_deadline;
	bool no_pit; /* set between kvm_open() and kvm_create_vm(): no timer chip */

	/* A machine that is being made: see kvm_begin_vm() */
	pthread_t maker;
	bool has_maker;
	int made; /* its descriptor, or -errno */

	struct coalesce coalesce;

	pthread_mutex_t lock; /* guards the tables below, not the pins' levels */
	struct kvm_slot slots[KVM_SLOTS_MAX];
	struct kvm_wire wires[KVM_WIRES_MAX];
	size_t wire_count;
	struct kvm_gsi gsi[KVM_GSI_COUNT];
	size_t doorbell_count;				  /* entries that are or were in use */
	struct kvm_doorbell doorbells[KVM_DOORBELLS_MAX]; /* last: see kvm_open() */
};

/*
 * Opens /dev/kvm in the caller's struct, checks its version and the capabilities
 * without which no machine can be made, and prepares the process: the table of file
 * descriptors is grown (later, with threads, that costs tens of milliseconds),
 * and the signal that takes a vCPU out of the guest gets its handler and is
 * blocked in the calling thread, hence in all threads made from now on.
 * Call it before any other thread is made.
 *
 * Error: -errno, a sentence of kind EXIT_CODE_KVM with what to do (see cause.h); the
 * struct then needs no kvm_finish().
 */
int kvm_open(struct kvm *kvm, struct err *err);

/*
 * The process is about to end, and all vCPUs are destroyed: no line or doorbell is taken out of the
 * machine any more, and kvm_finish() does not wait for its end, which leave.h sees to.
 */
void kvm_leave_vm(struct kvm *kvm);

/*
 * Closes everything. All vCPUs are destroyed before; the machine need not be.
 * Lines made by kvm_irq_connect() end here.
 */
void kvm_finish(struct kvm *kvm);

/*
 * Lets a thread begin with what kvm_create_vm() waits for: KVM makes a thread of its own for each
 * machine and moves it into our cgroup, for which the host waits until no processor is in an old
 * state, 10 to 27 ms. Legal, and without effect, when no thread can be made.
 */
void kvm_begin_vm(struct kvm *kvm);

/*
 * Makes KVM's machine with the interrupt chip (PICs, IOAPIC, local APICs, PIT) in
 * the kernel, and applies all that was registered. Interrupt lines that their
 * devices hold up are up again; pulses given before are forgotten. Error: -errno and a
 * sentence; there is no machine then.
 */
int kvm_create_vm(struct kvm *kvm, struct err *err);

/*
 * Destroys KVM's machine; a no-op when there is none. Slow (KVM waits for RCU).
 * Registrations stay. Devices may raise interrupts meanwhile: a level is
 * remembered, a pulse is lost.
 */
void kvm_destroy_vm(struct kvm *kvm);

/*
 * Shows host memory to the guest. `slot` < KVM_SLOTS_MAX names the registration; `gpa`,
 * `size` and `host` are multiples of 4 KiB; `size` 0 removes the slot. The memory stays
 * the caller's and must outlive the slot. Error: -errno and a sentence.
 */
int kvm_set_memory(struct kvm *kvm, unsigned slot, uint64_t gpa, uint64_t size, void *host,
	unsigned flags, struct err *err);

/* The host's address of [gpa, gpa + len) if it lies in one slot, else NULL. */
void *kvm_find_memory(const struct kvm *kvm, uint64_t gpa, uint64_t len);

/*
 * The pages of a slot with KVM_MEMORY_LOG_WRITES that the guest has written to since the last call:
 * bit n of the 64-bit words of `bitmap` for page n, at times of one that it has only read as well.
 * Any thread, also while the machine is destroyed and made again: then -errno. No sentence.
 */
int kvm_take_dirty(struct kvm *kvm, unsigned slot, uint64_t *bitmap);
