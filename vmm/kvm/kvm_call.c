/*
 * See kvm_call.h. Texts only: what the calls are for stands here once, and what they carry is read
 * from their own structures. Sections are those of Linux Documentation/virt/kvm/api.rst.
 */
#include "vmm/kvm/kvm_call.h"

#include <errno.h>
#include <stdio.h>

/* Without pointers, which the loader would have to relocate at every start. */
struct call {
	uint32_t request;
	char name[24], section[6], text[80];
};

/* Without a text: what_for() has one that says what it carries. */
static const struct call calls[] = {
	{KVM_GET_API_VERSION, "GET_API_VERSION", "4.1", "12 is the only one there ever was"},
	{KVM_GET_VCPU_MMAP_SIZE, "GET_VCPU_MMAP_SIZE", "4.5",
		"bytes that a processor shares with this process: struct kvm_run"},
	{KVM_CREATE_VM, "CREATE_VM", "4.2",
		"a machine without memory and processors; it is a file"},
	{KVM_CREATE_IRQCHIP, "CREATE_IRQCHIP", "4.24",
		"two PICs and an IOAPIC in the kernel, and a local APIC for each processor"},
	{KVM_SET_IRQCHIP, "SET_IRQCHIP", "4.26",
		"pins of the IOAPIC without a line are the firmware's: Linux leaves them alone"},
	{KVM_CREATE_PIT2, "CREATE_PIT2", "4.71", "the timer chip 8254, with port 0x61"},
	{KVM_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR", "4.40", ""},
	{KVM_SET_TSS_ADDR, "SET_TSS_ADDR", "4.36", ""},
	{KVM_GET_TSC_KHZ, "GET_TSC_KHZ", "4.56", "kHz, the rate of the guest's time stamp counter"},
	{KVM_SET_USER_MEMORY_REGION, "SET_USER_MEMORY_REGION", "4.35", ""},
	{KVM_IRQFD, "IRQFD", "4.75", ""},
	{KVM_IOEVENTFD, "IOEVENTFD", "4.59", ""},
	{KVM_CREATE_VCPU, "CREATE_VCPU", "4.7", ""},
	{KVM_GET_SUPPORTED_CPUID, "GET_SUPPORTED_CPUID", "4.46",
		"what this host's processor and KVM have for a guest"},
	{KVM_SET_CPUID2, "SET_CPUID2", "4.20", ""},
	{KVM_GET_MSRS, "GET_MSRS", "4.18", ""},
	{KVM_SET_MSRS, "SET_MSRS", "4.19", ""},
	{KVM_GET_LAPIC, "GET_LAPIC", "4.57", "the local APIC's registers, to change two of them:"},
	{KVM_SET_LAPIC, "SET_LAPIC", "4.58",
		"LINT0 takes the PIC's interrupts, LINT1 the NMI (virtual wire mode)"},
	{KVM_GET_SREGS, "GET_SREGS", "4.13",
		"control registers and segments, as reset leaves them"},
	{KVM_SET_SREGS, "SET_SREGS", "4.14", "and as the kernel's entry wants them:"},
	{KVM_SET_REGS, "SET_REGS", "4.12", "the general registers:"},
	{KVM_SET_FPU, "SET_FPU", "4.23", ""},
	{KVM_SET_MP_STATE, "SET_MP_STATE", "4.39", "processor 0 is runnable"},
};

static const struct call *find(unsigned long request)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].request == (uint32_t)request)
			return &calls[i];
	return NULL;
}

#define HEX(value) ((unsigned long long)(value))

static const char *msr_name(uint32_t index)
{
	switch (index) {
	case 0x1a0:
		return "IA32_MISC_ENABLE";
	case 0x2ff:
		return "IA32_MTRR_DEF_TYPE";
	case 0x10a:
		return "IA32_ARCH_CAPABILITIES";
	default:
		return "an MSR";
	}
}

static void detail_sregs(const struct kvm_sregs *s)
{
	explain_detail("CR0 0x%llx  CR3 0x%llx  CR4 0x%llx  EFER 0x%llx", HEX(s->cr0), HEX(s->cr3),
		HEX(s->cr4), HEX(s->efer));
	explain_detail("CS 0x%x, a %s-bit code segment  DS ES FS GS SS 0x%x  GDT at 0x%llx  IDT "
		       "none",
		s->cs.selector,
		s->cs.l		   ? "64"
			: s->cs.db ? "32"
				   : "16",
		s->ds.selector, HEX(s->gdt.base));
}

/* What the structure behind `arg`, or the number `arg`, says of its purpose. */
static void what_for(unsigned long request, uintptr_t arg, char *text, size_t size)
{
	const void *p = (const void *)arg;
	const struct kvm_userspace_memory_region *region = p;
	const struct kvm_ioeventfd *bell = p;
	const struct kvm_irqfd *irqfd = p;
	const struct kvm_msrs *msrs = p;
	const struct kvm_fpu *fpu = p;

	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
		snprintf(text, size, "slot %u: guest 0x%llx to 0x%llx, %s%s%s, is host 0x%llx",
			region->slot, HEX(region->guest_phys_addr),
			HEX(region->guest_phys_addr + region->memory_size - 1),
			explain_size(region->memory_size),
			region->flags & KVM_MEM_READONLY ? " read-only" : "",
			region->flags & KVM_MEM_LOG_DIRTY_PAGES ? " with a log of writes" : "",
			HEX(region->userspace_addr));
		break;
	case KVM_SET_IDENTITY_MAP_ADDR:
		snprintf(text, size, "0x%llx: a page table for real mode on old Intel processors",
			HEX(*(const uint64_t *)p));
		break;
	case KVM_SET_TSS_ADDR:
		snprintf(text, size, "0x%llx: three pages of task state for the same", HEX(arg));
		break;
	case KVM_IRQFD:
		snprintf(text, size, "a write to file %u is an interrupt at pin %u of the IOAPIC",
			irqfd->fd, irqfd->gsi);
		break;
	case KVM_IOEVENTFD:
		snprintf(text, size, "the guest's write of %llu to %s 0x%llx signals file %d",
			HEX(bell->datamatch),
			bell->flags & KVM_IOEVENTFD_FLAG_PIO ? "port" : "address", HEX(bell->addr),
			bell->fd);
		break;
	case KVM_CREATE_VCPU:
		snprintf(text, size, "processor %llu; it is a file, and a thread will run it",
			HEX(arg));
		break;
	case KVM_SET_CPUID2:
		snprintf(text, size,
			"%u entries for CPUID: that, with this processor's APIC id and the number "
			"of processors",
			((const struct kvm_cpuid2 *)p)->nent);
		break;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		snprintf(text, size, "%s (0x%x) %s 0x%llx%s", msr_name(msrs->entries[0].index),
			msrs->entries[0].index, request == KVM_GET_MSRS ? "is" : "becomes",
			HEX(msrs->entries[0].data),
			request == KVM_GET_MSRS ? "" : ", as firmware leaves it");
		break;
	case KVM_SET_FPU:
		snprintf(text, size, "floating point: control word 0x%x, MXCSR 0x%x", fpu->fcw,
			fpu->mxcsr);
		break;
	default:
		*text = '\0';
		break;
	}
}

static void detail_regs(const struct kvm_regs *regs)
{
	explain_detail("RIP 0x%llx  RSP 0x%llx  RFLAGS 0x%llx", HEX(regs->rip), HEX(regs->rsp),
		HEX(regs->rflags));
	explain_detail("RAX 0x%llx  RBX 0x%llx  RSI 0x%llx  RDI 0x%llx", HEX(regs->rax),
		HEX(regs->rbx), HEX(regs->rsi), HEX(regs->rdi));
}

void kvm_call_explain(unsigned long request, uintptr_t arg, int result)
{
	const struct call *call = find(request);
	/* What a device has connected is a detail of the device. */
	unsigned indent = request == KVM_IRQFD || request == KVM_IOEVENTFD ? 6 : 2;
	int errnum = errno;
	char text[200], value[80];

	if (!call)
		return;
	what_for(request, arg, text, sizeof(text));
	if (result < 0)
		snprintf(value, sizeof(value), "-1 (%s)", strerror(errnum));
	else
		snprintf(value, sizeof(value), "%d", result);
	explain_at(indent, "KVM_%s [%s] = %s: %s", call->name, call->section, value,
		*call->text ? call->text : text);
	if (request == KVM_SET_SREGS)
		detail_sregs((const void *)arg);
	else if (request == KVM_SET_REGS)
		detail_regs((const void *)arg);
	errno = errnum;
}
