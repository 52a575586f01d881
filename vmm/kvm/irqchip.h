/*
 * Interrupts into KVM's chip and doorbells out of it.
 *
 * An interrupt line of kind level is set with KVM_IRQ_LINE; one of kind edge is
 * pulsed by a write to an eventfd that KVM turns into an interrupt (irqfd).
 * Lines on the same pin are OR-ed here, since KVM keeps one level per pin for all
 * of user space. Lines outlive a reset: see kvm.h. All functions are safe on
 * any thread and none waits for a vCPU.
 *
 * Routing is KVM's default: GSI 0–15 reach the PIC and the IOAPIC's pin of the same
 * number (so the PIT is pin 0, not 2 as on a PC board), 16–23 the IOAPIC alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/core/irq.h"
#include "vmm/kvm/kvm.h"

/*
 * Fills `line` (the caller's memory) for pin `gsi`, valid until kvm_finish().
 *
 * irq_set() works on both kinds and holds the level; on an edge line its rise is
 * the interrupt. irq_pulse() on an edge line is one eventfd write; on a level line
 * it is up and down again. Of the lines on one pin use either all for set or all
 * for pulse. Raising a line while there is no machine is legal.
 * Error: -EINVAL (no such pin), -ENOSPC (table full), -errno of eventfd or KVM; with
 * a sentence.
 */
int kvm_irq_connect(
	struct kvm *kvm, unsigned gsi, bool level, struct irq_line *line, struct err *err);

/*
 * A guest write of exactly `size` bytes (1, 2, 4, 8; PIO without 8) of `value`
 * to `addr` signals eventfd `fd` instead of exiting. `assign` false takes the same
 * registration back. `fd` stays the caller's and open until then. `size` 0 matches any width
 * and value where KVM can do that. Error: -errno without a sentence, the caller
 * goes on without: -EEXIST (same doorbell twice), -ENOENT, -ENOSPC (table or KVM's
 * bus full), what KVM says. While there is no machine only our table is checked.
 */
int kvm_ioeventfd(struct kvm *kvm, bool pio, uint64_t addr, unsigned size, uint64_t value, int fd,
	bool assign);

/*
 * Delivers one message-signalled interrupt. Returns 1 when a processor took
 * it, 0 when the guest blocked it, -errno otherwise (-ENODEV without a machine).
 */
int kvm_msi_send(struct kvm *kvm, uint64_t address, uint32_t data);
