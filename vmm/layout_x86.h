/*
 * Every fixed address and interrupt of the machine, in one place.
 *
 *   0x0000_0000  RAM (what stands in the first MiB: firmware/layout.h)
 *   0xC000_0000  hole: no RAM up to 4 GiB; with a screen, its framebuffer (up to 127 MiB)
 *   0xD000_0000  virtio-mmio registers, one 4 KiB page each
 *   0xFEC0_0000  IOAPIC      0xFEE0_0000  local APICs   (both in KVM)
 *   0xFFFB_C000  four pages for KVM's own use on old Intel processors
 *   0x1_0000_0000  the rest of RAM
 *
 * Ports and interrupts of the ISA devices are those of every PC and stand in
 * the devices' own files.
 */
#pragma once

#define LAYOUT_HOLE_START    UINT64_C(0xc0000000)
#define LAYOUT_HIGH_RAM_BASE UINT64_C(0x100000000)
#define LAYOUT_FRAMEBUFFER   LAYOUT_HOLE_START
#define LAYOUT_VIRTIO_BASE   UINT64_C(0xd0000000)
#define LAYOUT_VIRTIO_END    UINT64_C(0xd0100000)
#define LAYOUT_IOAPIC_BASE   UINT64_C(0xfec00000)
#define LAYOUT_LAPIC_BASE    UINT64_C(0xfee00000)
#define LAYOUT_KVM_BASE	     UINT64_C(0xfffbc000) /* set in vmm/kvm/kvm.c */
#define LAYOUT_KVM_SIZE	     UINT64_C(0x4000)

/*
 * Devices without a fixed interrupt share these IOAPIC pins in turn: above the
 * 16 of the ISA bus, so that no PC device is ever disturbed.
 */
#define LAYOUT_IRQ_FIRST 16
#define LAYOUT_IRQ_END	 24
