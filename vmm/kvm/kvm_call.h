/*
 * ioctl(2) on the files of KVM, for the calls that make a machine: --explain tells each with its
 * purpose. What is called while the guest runs goes by ioctl() itself.
 */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "vmm/core/explain.h"

/* What was called with `arg` and what came of it; keeps errno. */
void kvm_call_explain(unsigned long request, uintptr_t arg, int result);

static inline int kvm_call_told(int fd, unsigned long request, uintptr_t arg)
{
	int result = ioctl(fd, request, arg);

	if (explain_is_on())
		kvm_call_explain(request, arg, result);
	return result;
}

/* `arg` is a number or a pointer, as with ioctl(). */
#define kvm_call(fd, request, arg) kvm_call_told(fd, request, (uintptr_t)(arg))
