/*
 * Taking a vCPU's thread out of the guest: a real-time signal whose handler
 * does nothing but set immediate_exit in that thread's shared page, so that KVM_RUN
 * returns now, or at its next call when the thread was about to enter.
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_RUN and immediate_exit.
 */
#pragma once

#include <pthread.h>

struct kvm_run;

/*
 * Installs the handler, once per process, and blocks the signal in the calling thread and
 * those it makes from now on.
 */
void kick_init(void);

/*
 * On a vCPU's thread: kicks are for `run` and get through, and no other signal for the
 * process does; NULL = block them again.
 */
void kick_attach(struct kvm_run *run);

/* Any thread. The caller has set what the vCPU is to see before. */
void kick_thread(pthread_t thread);
