/*
 * See vcpu_debug.h: the registers of a vCPU, from KVM's structs and into them.
 *
 * What KVM does not know (some know few MSRs) reads as zero and is not written.
 */
#include "vmm/kvm/vcpu_debug.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "vmm/kvm/cpu_x86.h"
#include "vmm/kvm/vcpu_impl.h"

/* By CPU_MSR_… AMD APM vol. 2, appendix A. */
static const uint32_t msr_numbers[CPU_MSR_COUNT] = {
	[CPU_MSR_KERNEL_GS_BASE] = 0xc0000102,
	[CPU_MSR_STAR] = 0xc0000081,
	[CPU_MSR_LSTAR] = 0xc0000082,
	[CPU_MSR_CSTAR] = 0xc0000083,
	[CPU_MSR_SFMASK] = 0xc0000084,
	[CPU_MSR_SYSENTER_CS] = 0x174,
	[CPU_MSR_SYSENTER_ESP] = 0x175,
	[CPU_MSR_SYSENTER_EIP] = 0x176,
	[CPU_MSR_PAT] = 0x277,
	[CPU_MSR_TSC_AUX] = 0xc0000103,
};

/* The segments by CPU_…, where they lie in KVM's struct. */
static const size_t segment_offsets[CPU_SEGMENT_COUNT] = {
	[CPU_CS] = offsetof(struct kvm_sregs, cs),
	[CPU_SS] = offsetof(struct kvm_sregs, ss),
	[CPU_DS] = offsetof(struct kvm_sregs, ds),
	[CPU_ES] = offsetof(struct kvm_sregs, es),
	[CPU_FS] = offsetof(struct kvm_sregs, fs),
	[CPU_GS] = offsetof(struct kvm_sregs, gs),
	[CPU_TR] = offsetof(struct kvm_sregs, tr),
	[CPU_LDT] = offsetof(struct kvm_sregs, ldt),
};

static struct kvm_segment *segment_of(struct kvm_sregs *sregs, unsigned nth)
{
	return (void *)((uint8_t *)sregs + segment_offsets[nth]);
}

/* ---- The general registers: KVM's order is not that of instructions ---- */

static const size_t gpr_offsets[CPU_GPR_COUNT] = {
	offsetof(struct kvm_regs, rax),
	offsetof(struct kvm_regs, rcx),
	offsetof(struct kvm_regs, rdx),
	offsetof(struct kvm_regs, rbx),
	offsetof(struct kvm_regs, rsp),
	offsetof(struct kvm_regs, rbp),
	offsetof(struct kvm_regs, rsi),
	offsetof(struct kvm_regs, rdi),
	offsetof(struct kvm_regs, r8),
	offsetof(struct kvm_regs, r9),
	offsetof(struct kvm_regs, r10),
	offsetof(struct kvm_regs, r11),
	offsetof(struct kvm_regs, r12),
	offsetof(struct kvm_regs, r13),
	offsetof(struct kvm_regs, r14),
	offsetof(struct kvm_regs, r15),
};

static int get_general(struct vcpu *vcpu, struct cpu_regs *regs)
{
	struct kvm_regs kvm;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &kvm) < 0)
		return -errno;
	for (unsigned i = 0; i < CPU_GPR_COUNT; i++)
		memcpy(&regs->gpr[i], (uint8_t *)&kvm + gpr_offsets[i], sizeof(regs->gpr[i]));
	regs->rip = kvm.rip;
	regs->rflags = kvm.rflags;
	return 0;
}

static int set_general(struct vcpu *vcpu, const struct cpu_regs *regs)
{
	struct kvm_regs kvm = {.rip = regs->rip, .rflags = regs->rflags};

	for (unsigned i = 0; i < CPU_GPR_COUNT; i++)
		memcpy((uint8_t *)&kvm + gpr_offsets[i], &regs->gpr[i], sizeof(regs->gpr[i]));
	return ioctl(vcpu->fd, KVM_SET_REGS, &kvm) < 0 ? -errno : 0;
}

/* ---- The system registers ---- */

static struct cpu_segment segment_from_kvm(const struct kvm_segment *kvm)
{
	return (struct cpu_segment){
		.base = kvm->base,
		.limit = kvm->limit,
		.selector = kvm->selector,
		.access = (kvm->type & CPU_ACCESS_TYPE) | (kvm->s ? CPU_ACCESS_CODE : 0) |
			(kvm->dpl & 3u) << CPU_ACCESS_DPL |
			(kvm->present ? CPU_ACCESS_PRESENT : 0) | (kvm->avl ? CPU_ACCESS_AVL : 0) |
			(kvm->l ? CPU_ACCESS_LONG : 0) | (kvm->db ? CPU_ACCESS_BIG : 0) |
			(kvm->g ? CPU_ACCESS_GRANULAR : 0) |
			(kvm->unusable ? CPU_ACCESS_UNUSABLE : 0),
	};
}

static struct kvm_segment segment_to_kvm(const struct cpu_segment *segment)
{
	uint32_t access = segment->access;

	return (struct kvm_segment){
		.base = segment->base,
		.limit = segment->limit,
		.selector = segment->selector,
		.type = access & CPU_ACCESS_TYPE,
		.s = !!(access & CPU_ACCESS_CODE),
		.dpl = access >> CPU_ACCESS_DPL & 3,
		.present = !!(access & CPU_ACCESS_PRESENT),
		.avl = !!(access & CPU_ACCESS_AVL),
		.l = !!(access & CPU_ACCESS_LONG),
		.db = !!(access & CPU_ACCESS_BIG),
		.g = !!(access & CPU_ACCESS_GRANULAR),
		.unusable = !!(access & CPU_ACCESS_UNUSABLE),
	};
}

static int get_system(struct vcpu *vcpu, struct cpu_regs *regs)
{
	struct kvm_sregs kvm;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &kvm) < 0)
		return -errno;
	for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++)
		regs->segments[i] = segment_from_kvm(segment_of(&kvm, i));
	regs->gdt = (struct cpu_table){kvm.gdt.base, kvm.gdt.limit};
	regs->idt = (struct cpu_table){kvm.idt.base, kvm.idt.limit};
	regs->cr0 = kvm.cr0;
	regs->cr2 = kvm.cr2;
	regs->cr3 = kvm.cr3;
	regs->cr4 = kvm.cr4;
	regs->cr8 = kvm.cr8;
	regs->efer = kvm.efer;
	regs->apic_base = kvm.apic_base;
	return 0;
}

static int set_system(struct vcpu *vcpu, const struct cpu_regs *regs)
{
	struct kvm_sregs kvm;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &kvm) < 0)
		return -errno;
	for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++)
		*segment_of(&kvm, i) = segment_to_kvm(&regs->segments[i]);
	kvm.gdt = (struct kvm_dtable){.base = regs->gdt.base, .limit = regs->gdt.limit};
	kvm.idt = (struct kvm_dtable){.base = regs->idt.base, .limit = regs->idt.limit};
	kvm.cr0 = regs->cr0;
	kvm.cr2 = regs->cr2;
	kvm.cr3 = regs->cr3;
	kvm.cr4 = regs->cr4;
	kvm.cr8 = regs->cr8;
	kvm.efer = regs->efer;
	kvm.apic_base = regs->apic_base;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &kvm) < 0 ? -errno : 0;
}

static bool system_differs(const struct cpu_regs *a, const struct cpu_regs *b)
{
	for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
		const struct cpu_segment *x = &a->segments[i], *y = &b->segments[i];

		if (x->base != y->base || x->limit != y->limit || x->access != y->access ||
			x->selector != y->selector)
			return true;
	}
	return a->gdt.base != b->gdt.base || a->gdt.limit != b->gdt.limit ||
		a->idt.base != b->idt.base || a->idt.limit != b->idt.limit || a->cr0 != b->cr0 ||
		a->cr2 != b->cr2 || a->cr3 != b->cr3 || a->cr4 != b->cr4 || a->cr8 != b->cr8 ||
		a->efer != b->efer || a->apic_base != b->apic_base;
}

/* ---- Debug registers of the guest, MSRs ---- */

static void get_debug(struct vcpu *vcpu, struct cpu_regs *regs)
{
	struct kvm_debugregs kvm;

	if (ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &kvm) < 0)
		return;
	memcpy(regs->dr, kvm.db, sizeof(regs->dr));
	regs->dr6 = kvm.dr6;
	regs->dr7 = kvm.dr7;
}

static int set_debug(struct vcpu *vcpu, const struct cpu_regs *regs)
{
	struct kvm_debugregs kvm = {.dr6 = regs->dr6, .dr7 = regs->dr7};

	memcpy(kvm.db, regs->dr, sizeof(kvm.db));
	return ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &kvm) < 0 ? -errno : 0;
}

static bool debug_differs(const struct cpu_regs *a, const struct cpu_regs *b)
{
	return memcmp(a->dr, b->dr, sizeof(a->dr)) != 0 || a->dr6 != b->dr6 || a->dr7 != b->dr7;
}

static void get_msrs(struct vcpu *vcpu, struct cpu_regs *regs)
{
	for (unsigned i = 0; i < CPU_MSR_COUNT; i++)
		cpu_x86_get_msr(vcpu->fd, msr_numbers[i], &regs->msr[i]);
}

static int set_msrs(struct vcpu *vcpu, const struct cpu_regs *old, const struct cpu_regs *regs)
{
	for (unsigned i = 0; i < CPU_MSR_COUNT; i++)
		if (regs->msr[i] != old->msr[i] &&
			!cpu_x86_set_msr(vcpu->fd, msr_numbers[i], regs->msr[i]))
			return -EINVAL;
	return 0;
}

/* ---- Floating point ---- */

/*
 * By XSAVE's format: KVM_GET_FPU leaves MXCSR out, and what KVM_SET_FPU writes has no effect on a
 * processor that has not used its registers yet. The begin is FXSAVE's. AMD APM vol. 2, 11.5.9 and
 * 11.4.4; Linux Documentation/virt/kvm/api.rst, KVM_GET_XSAVE.
 */
enum {
	FXSAVE_FCW = 0,
	FXSAVE_FSW = 2,
	FXSAVE_FTW = 4,
	FXSAVE_FOP = 6,
	FXSAVE_FIP = 8,
	FXSAVE_FDP = 16,
	FXSAVE_MXCSR = 24,
	FXSAVE_ST = 32,
	FXSAVE_XMM = 160,
	XSAVE_IN_USE = 512,
	XSAVE_X87_AND_SSE = 3, /* bits there */
};

static int get_fpu(struct vcpu *vcpu, struct cpu_regs *regs)
{
	struct kvm_xsave xsave;
	const uint8_t *area = (const uint8_t *)xsave.region;

	if (ioctl(vcpu->fd, KVM_GET_XSAVE, &xsave) < 0)
		return -errno;
	regs->fcw = load_le16(area + FXSAVE_FCW);
	regs->fsw = load_le16(area + FXSAVE_FSW);
	regs->ftw = area[FXSAVE_FTW];
	regs->fop = load_le16(area + FXSAVE_FOP);
	regs->fip = load_le64(area + FXSAVE_FIP);
	regs->fdp = load_le64(area + FXSAVE_FDP);
	regs->mxcsr = load_le32(area + FXSAVE_MXCSR);
	memcpy(regs->st, area + FXSAVE_ST, sizeof(regs->st));
	memcpy(regs->xmm, area + FXSAVE_XMM, sizeof(regs->xmm));
	return 0;
}

static int set_fpu(struct vcpu *vcpu, const struct cpu_regs *regs)
{
	struct kvm_xsave xsave;
	uint8_t *area = (uint8_t *)xsave.region;

	/* Whatever else is in it (AVX and more) stays as it is. */
	if (ioctl(vcpu->fd, KVM_GET_XSAVE, &xsave) < 0)
		return -errno;
	store_le16(area + FXSAVE_FCW, regs->fcw);
	store_le16(area + FXSAVE_FSW, regs->fsw);
	area[FXSAVE_FTW] = regs->ftw;
	store_le16(area + FXSAVE_FOP, regs->fop);
	store_le64(area + FXSAVE_FIP, regs->fip);
	store_le64(area + FXSAVE_FDP, regs->fdp);
	store_le32(area + FXSAVE_MXCSR, regs->mxcsr);
	memcpy(area + FXSAVE_ST, regs->st, sizeof(regs->st));
	memcpy(area + FXSAVE_XMM, regs->xmm, sizeof(regs->xmm));
	store_le64(area + XSAVE_IN_USE, load_le64(area + XSAVE_IN_USE) | XSAVE_X87_AND_SSE);
	return ioctl(vcpu->fd, KVM_SET_XSAVE, &xsave) < 0 ? -errno : 0;
}

static bool fpu_differs(const struct cpu_regs *a, const struct cpu_regs *b)
{
	return memcmp(a->st, b->st, sizeof(a->st)) != 0 ||
		memcmp(a->xmm, b->xmm, sizeof(a->xmm)) != 0 || a->fcw != b->fcw ||
		a->fsw != b->fsw || a->ftw != b->ftw || a->fop != b->fop || a->fip != b->fip ||
		a->fdp != b->fdp || a->mxcsr != b->mxcsr;
}

/* ---- All of them ---- */

static enum cpu_activity get_activity(struct vcpu *vcpu)
{
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};

	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) < 0)
		return CPU_RUNS;
	switch (state.mp_state) {
	case KVM_MP_STATE_HALTED:
		return CPU_HALTED;
	case KVM_MP_STATE_UNINITIALIZED:
		return CPU_WAITS_FOR_INIT;
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
		return CPU_WAITS_FOR_SIPI;
	default:
		return CPU_RUNS;
	}
}

int vcpu_get_regs(struct vcpu *vcpu, struct cpu_regs *regs)
{
	int ret;

	memset(regs, 0, sizeof(*regs));
	ret = get_general(vcpu, regs);
	if (ret == 0)
		ret = get_system(vcpu, regs);
	if (ret == 0)
		ret = get_fpu(vcpu, regs);
	get_debug(vcpu, regs);
	get_msrs(vcpu, regs);
	regs->activity = get_activity(vcpu);
	return ret;
}

int vcpu_set_regs(struct vcpu *vcpu, const struct cpu_regs *old, const struct cpu_regs *regs)
{
	int ret = 0;

	/* The system registers first: what the others mean hangs on them. */
	if (system_differs(old, regs))
		ret = set_system(vcpu, regs);
	if (ret == 0 &&
		(memcmp(old->gpr, regs->gpr, sizeof(regs->gpr)) != 0 || old->rip != regs->rip ||
			old->rflags != regs->rflags))
		ret = set_general(vcpu, regs);
	if (ret == 0 && fpu_differs(old, regs))
		ret = set_fpu(vcpu, regs);
	if (ret == 0 && debug_differs(old, regs))
		ret = set_debug(vcpu, regs);
	return ret < 0 ? ret : set_msrs(vcpu, old, regs);
}
