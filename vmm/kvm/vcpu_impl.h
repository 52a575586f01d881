/*
 * Inside of struct vcpu, for the files of vmm/kvm that work on a vCPU.
 */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmm/kvm/exit_ring.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vcpu_sample.h"

/* What others want of a vCPU's thread. */
enum {
	VCPU_WANT_PAUSE = 1u << 0,
	VCPU_WANT_STOP = 1u << 1,
	VCPU_WANT_SAMPLE = 1u << 2, /* see vcpu_sample.h */
	VCPU_WANT_STATS = 1u << 3   /* see vcpu_stats.h */
};

/*
 * Registers as KVM handed them out with an exit that left them intact: the first exits bring them,
 * and later each so many do. The system registers cost more, so they are older still.
 */
struct vcpu_last_regs {
	bool has_regs, has_sregs;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t regs_at, sregs_at; /* exits.total when they were taken */
	uint64_t next_at;	    /* exits.total when they are to be asked for */
};

struct vcpu {
	unsigned id;
	struct kvm *kvm; /* borrowed */
	struct vcpu_env env;
	int fd;
	struct kvm_run *run; /* mapped, kvm->run_size bytes */
	struct exit_ring exits;
	struct vcpu_last_regs last;

	/* What happened; written by the thread before it reports and parks. */
	bool has_event;
	enum vcpu_event event;
	int run_errno; /* of a KVM_RUN that failed, else 0 */

	struct vcpu_debugger *debugger; /* owned; NULL until there is one: see vcpu_debug.c */

	pthread_t thread;
	bool has_thread;	/* changed by the owner's thread, under `lock` */
	_Atomic unsigned wants; /* VCPU_WANT_*; changed under `lock` */
	pthread_mutex_t lock;	/* guards is_parked, has_ended, has_sample, sample */
	pthread_cond_t changed;
	bool is_parked;
	bool has_ended;
	bool has_sample;
	struct vcpu_sample sample;
	pid_t tid;	      /* of the thread; once stats_fd has been asked for */
	_Atomic int stats_fd; /* owned; VCPU_STATS_… when there is none */
};

/* In the place of an fd. */
enum {
	VCPU_STATS_UNASKED = -1,
	VCPU_STATS_NONE = -2
};

/* vcpu.c: tells the thread what is wanted of it (VCPU_WANT_*) and takes it out of the guest. */
void vcpu_want(struct vcpu *vcpu, unsigned what);

/* vcpu_sample.c: on the vCPU's own thread, outside of the guest. */
void vcpu_answer_sample(struct vcpu *vcpu);

/* vcpu_stats.c: the same. */
void vcpu_open_stats(struct vcpu *vcpu);

/* vcpu_debug.c: a KVM_EXIT_DEBUG. True when the debugger is to see it. On the vCPU's thread. */
bool vcpu_debug_handle_exit(struct vcpu *vcpu);

/*
 * The same after an access to a device that was completed: KVM's emulator forgets a step over it.
 * Both only with a debugger.
 */
bool vcpu_debug_is_stepping(const struct vcpu *vcpu);
bool vcpu_debug_handle_access(struct vcpu *vcpu);
