/*
 * Why KVM can't be used: one text per cause, with what to do. Pure functions
 * from facts to words, so that every text is tested without such a host.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/kvm/host_facts.h"

enum kvm_cause {
	KVM_CAUSE_NO_HARDWARE, /* no vmx or svm, on a real machine: off in firmware or too old */
	KVM_CAUSE_OFF_IN_FIRMWARE, /* the processor's register says so */
	KVM_CAUSE_NOT_NESTED,	   /* this host is a guest and has no vmx or svm */
	KVM_CAUSE_NO_MODULE,	   /* the processor can, the kernel's module is not loaded */
	KVM_CAUSE_CONTAINER,	   /* the module is there, the node is not: hidden by a container */
	KVM_CAUSE_NO_NODE,	   /* the same outside a container */
	KVM_CAUSE_NO_PERMISSION,   /* EACCES */
	KVM_CAUSE_FORBIDDEN,	   /* EPERM: a device cgroup or a sandbox */
	KVM_CAUSE_NOT_KVM,	   /* /dev/kvm is something else */
	KVM_CAUSE_WRONG_API,	   /* detail: the version as text */
	KVM_CAUSE_MISSING_CAPABILITY, /* detail: names */
	KVM_CAUSE_BUSY,		      /* another hypervisor holds the processor */
	KVM_CAUSE_OTHER,	      /* detail: which call failed and why */
};

/* What stopped open("/dev/kvm") with this errno. */
enum kvm_cause kvm_cause_of_open(const struct host_facts *facts, int open_errno);

/*
 * Fills `err` (kind EXIT_CODE_KVM) with the cause's sentence and what to do; returns
 * -errnum. `detail` may be NULL for causes that need none.
 */
int kvm_cause_explain(enum kvm_cause cause, const struct host_facts *facts, int errnum,
	const char *detail, struct err *err);
