/*
 * For vmm/kvm/kvm.c alone: the part of a reset and of the end that concerns lines and doorbells.
 */
#pragma once

#include "vmm/kvm/kvm.h"

/*
 * Connects all registered lines and doorbells to the new machine and sets has_vm:
 * from then on lines and doorbells connect themselves. -errno without a sentence.
 */
int irqchip_apply(struct kvm *kvm);

/* Frees what the lines own. */
void irqchip_finish(struct kvm *kvm);
