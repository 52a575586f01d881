/*
 * See cpu_x86.h.
 *
 * Sources: Intel SDM vol. 3A 9.1 (power-on state), 11.11 (MTRR), vol. 4 (MSRs);
 * AMD APM vol. 2, 14.1; MultiProcessor Specification 3.6.1 (virtual wire mode);
 * Linux Documentation/arch/x86/boot.rst; Xen docs/misc/pvh.pandoc.
 */
#include "vmm/kvm/cpu_x86.h"

#include <asm/processor-flags.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/base/log.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/kvm_call.h"

/* Not in the kernel's exported headers. */
#define MSR_IA32_ARCH_CAPABILITIES 0x10a
#define MSR_IA32_MISC_ENABLE	   0x1a0
#define MISC_ENABLE_FAST_STRING	   (1u << 0)
#define MSR_MTRR_DEF_TYPE	   0x2ff
#define MTRR_ENABLE		   (1u << 11)
#define MTRR_WRITE_BACK		   6
#define EFER_LME		   (UINT64_C(1) << 8)
#define EFER_LMA		   (UINT64_C(1) << 10)

/* 256 vectors of four bytes: what real mode has for an interrupt table. */
#define REAL_IDT_BYTES 0x400

#define APIC_LVT0	      0x350
#define APIC_LVT1	      0x360
#define APIC_MODE_NMI	      (4u << 8)
#define APIC_MODE_EXTINT      (7u << 8)
#define MXCSR_DEFAULT	      0x1f80
#define FPU_CONTROL_DEFAULT   0x37f
#define ECX7_ARCH_CAPS_IN_EDX (1u << 29)

static int fail(const char *what, int errnum, struct err *err)
{
	return err_set(err, EXIT_CODE_KVM, errnum, "KVM does not accept the processor's %s: %s",
		what, strerror(errnum));
}

/* ---- CPUID ---- */

static struct kvm_cpuid2 *alloc_cpuid(void)
{
	/* Not zeroed: KVM fills as many entries as it says, and so do we. */
	struct kvm_cpuid2 *cpuid =
		malloc(sizeof(*cpuid) + CPUID_LEAVES_MAX * sizeof(cpuid->entries[0]));

	if (cpuid)
		*cpuid = (struct kvm_cpuid2){.nent = CPUID_LEAVES_MAX};
	return cpuid;
}

static void table_from_kvm(struct cpuid_table *table, const struct kvm_cpuid2 *cpuid)
{
	table->count = MIN(cpuid->nent, (uint32_t)CPUID_LEAVES_MAX);
	for (unsigned i = 0; i < table->count; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		table->leaves[i] = (struct cpuid_leaf){.function = entry->function,
			.index = entry->index,
			.has_index = entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = entry->eax,
			.ebx = entry->ebx,
			.ecx = entry->ecx,
			.edx = entry->edx};
	}
}

static void table_to_kvm(const struct cpuid_table *table, struct kvm_cpuid2 *cpuid)
{
	cpuid->nent = table->count;
	for (unsigned i = 0; i < table->count; i++) {
		const struct cpuid_leaf *leaf = &table->leaves[i];

		cpuid->entries[i] = (struct kvm_cpuid_entry2){.function = leaf->function,
			.index = leaf->index,
			.flags = leaf->has_index ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = leaf->eax,
			.ebx = leaf->ebx,
			.ecx = leaf->ecx,
			.edx = leaf->edx};
	}
}

/* The host processor's own name, for a KVM that leaves it out. */
static void read_brand(char brand[static 48])
{
	uint32_t regs[4];

	memset(brand, 0, 48);
	for (uint32_t i = 0; i < 3; i++) {
		if (!__get_cpuid(0x80000002 + i, &regs[0], &regs[1], &regs[2], &regs[3]))
			return;
		memcpy(brand + i * 16, regs, 16);
	}
}

static int set_cpuid(const struct kvm *kvm, int vcpu_fd, unsigned id, unsigned cpu_count,
	struct cpuid_table *table, struct err *err)
{
	struct cpuid_config config = {.id = id,
		.cpu_count = cpu_count,
		.tsc_khz = kvm->tsc_khz,
		.tsc_deadline = kvm->has_tsc_deadline,
		.tell_rates = kvm->no_pit};
	struct kvm_cpuid2 *cpuid = alloc_cpuid();
	int ret = 0;

	if (!cpuid)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a CPUID table");
	if (kvm_call(kvm->dev_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		ret = fail("CPUID (KVM_GET_SUPPORTED_CPUID)", errno, err);
		goto out;
	}
	read_brand(config.brand);
	table_from_kvm(table, cpuid);
	ret = cpuid_adapt(table, &config);
	if (ret < 0) {
		fail("CPUID (too many leaves)", -ret, err);
		goto out;
	}
	table_to_kvm(table, cpuid);
	if (kvm_call(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		ret = fail("CPUID", errno, err);
out:
	free(cpuid);
	return ret;
}

/* ---- MSRs ---- */

union one_msr {
	struct kvm_msrs list;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

bool cpu_x86_get_msr(int fd, uint32_t index, uint64_t *value)
{
	union one_msr msr = {.room = {0}};

	msr.list.nmsrs = 1;
	msr.list.entries[0].index = index;
	if (kvm_call(fd, KVM_GET_MSRS, &msr) != 1)
		return false;
	*value = msr.list.entries[0].data;
	return true;
}

bool cpu_x86_set_msr(int fd, uint32_t index, uint64_t value)
{
	union one_msr msr = {.room = {0}};

	msr.list.nmsrs = 1;
	msr.list.entries[0].index = index;
	msr.list.entries[0].data = value;
	return kvm_call(fd, KVM_SET_MSRS, &msr) == 1;
}

/*
 * What firmware would have set up. A refused one is no error: Linux copes with
 * each of them missing, and some KVMs know less than others.
 */
static void set_msrs(const struct kvm *kvm, int vcpu_fd, struct cpuid_table *table)
{
	const struct cpuid_leaf *features = cpuid_find(table, 7, 0);
	uint64_t value;

	if (cpu_x86_get_msr(vcpu_fd, MSR_IA32_MISC_ENABLE, &value))
		cpu_x86_set_msr(vcpu_fd, MSR_IA32_MISC_ENABLE, value | MISC_ENABLE_FAST_STRING);
	/* All of memory is cached; without MTRRs Linux would switch its PAT off as well. */
	if (!cpu_x86_set_msr(vcpu_fd, MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK))
		log_debug("KVM refuses the MTRR default type");
	/* Which processor bugs the guest need not work round. */
	if (features && (features->edx & ECX7_ARCH_CAPS_IN_EDX) &&
		cpu_x86_get_msr(kvm->dev_fd, MSR_IA32_ARCH_CAPABILITIES, &value) &&
		!cpu_x86_set_msr(vcpu_fd, MSR_IA32_ARCH_CAPABILITIES, value))
		log_debug("KVM refuses IA32_ARCH_CAPABILITIES; its own default stays");
}

/* ---- Local APIC ---- */

/* Virtual wire mode: the PICs reach processor 0 through LINT0, the NMI through LINT1. */
static int set_local_pins(int vcpu_fd, struct err *err)
{
	struct kvm_lapic_state apic;

	if (kvm_call(vcpu_fd, KVM_GET_LAPIC, &apic) < 0)
		return fail("local APIC (KVM_GET_LAPIC)", errno, err);
	store_le32(apic.regs + APIC_LVT0, APIC_MODE_EXTINT);
	store_le32(apic.regs + APIC_LVT1, APIC_MODE_NMI);
	if (kvm_call(vcpu_fd, KVM_SET_LAPIC, &apic) < 0)
		return fail("local APIC", errno, err);
	return 0;
}

int cpu_x86_init(
	const struct kvm *kvm, int vcpu_fd, unsigned id, unsigned cpu_count, struct err *err)
{
	struct cpuid_table *table = malloc(sizeof(*table));
	int ret;

	if (!table)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a CPUID table");
	ret = set_cpuid(kvm, vcpu_fd, id, cpu_count, table, err);
	if (ret == 0)
		set_msrs(kvm, vcpu_fd, table);
	if (ret == 0 && id == 0)
		ret = set_local_pins(vcpu_fd, err);
	free(table);
	return ret;
}

/* ---- Entry ---- */

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.selector = selector,
		.base = 0,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1};
}

static struct kvm_segment real_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.selector = selector,
		.base = (uint64_t)selector << 4,
		.limit = 0xffff,
		.type = type,
		.present = 1,
		.s = 1};
}

static void fill_real_segments(struct kvm_sregs *sregs, const struct cpu_entry *entry)
{
	struct kvm_segment data = real_segment(entry->data_selector, 0x3); /* read, write */

	sregs->cs = real_segment(entry->code_selector, 0xb); /* execute, read */
	sregs->ds = sregs->es = sregs->fs = sregs->gs = data;
	sregs->ss = real_segment(entry->stack_selector, 0x3);
	sregs->gdt = (struct kvm_dtable){.base = 0, .limit = 0xffff};
	sregs->idt = (struct kvm_dtable){.base = 0, .limit = REAL_IDT_BYTES - 1};
}

static void fill_flat_segments(struct kvm_sregs *sregs, const struct cpu_entry *entry)
{
	bool is_long = entry->mode == CPU_ENTRY_LONG64;
	struct kvm_segment code = flat_segment(entry->code_selector, 0xb); /* execute, read */
	struct kvm_segment data = flat_segment(entry->data_selector, 0x3); /* read, write */

	code.l = is_long;
	code.db = !is_long;
	data.db = 1;
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->gdt = (struct kvm_dtable){.base = entry->gdt_base, .limit = entry->gdt_limit};
	/* No handler is there: a fault before the kernel loads its own is a triple fault. */
	sregs->idt = (struct kvm_dtable){.base = 0, .limit = 0};
}

static int set_sregs(int vcpu_fd, const struct cpu_entry *entry, struct err *err)
{
	struct kvm_sregs sregs;

	if (kvm_call(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("system registers (KVM_GET_SREGS)", errno, err);
	sregs.cr0 = X86_CR0_ET | X86_CR0_NE;
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (entry->mode == CPU_ENTRY_REAL16) {
		fill_real_segments(&sregs, entry);
	} else {
		fill_flat_segments(&sregs, entry);
		sregs.cr0 |= X86_CR0_PE;
	}
	if (entry->mode == CPU_ENTRY_LONG64) {
		sregs.cr0 |= X86_CR0_PG;
		sregs.cr3 = entry->cr3;
		sregs.cr4 = X86_CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
	}
	if (kvm_call(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return fail("system registers", errno, err);
	return 0;
}

int cpu_x86_enter(int vcpu_fd, const struct cpu_entry *entry, struct err *err)
{
	struct kvm_regs regs = {.rip = entry->rip,
		.rsp = entry->rsp,
		.rax = entry->rax,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rdi = entry->rdi,
		.rflags = X86_EFLAGS_FIXED};
	struct kvm_fpu fpu = {.fcw = FPU_CONTROL_DEFAULT, .mxcsr = MXCSR_DEFAULT};
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int ret = set_sregs(vcpu_fd, entry, err);

	if (ret < 0)
		return ret;
	if (kvm_call(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return fail("registers", errno, err);
	if (kvm_call(vcpu_fd, KVM_SET_FPU, &fpu) < 0)
		return fail("floating point state", errno, err);
	if (kvm_call(vcpu_fd, KVM_SET_MP_STATE, &state) < 0)
		return fail("run state", errno, err);
	return 0;
}

bool cpu_x86_has_virtualization(void)
{
	const unsigned vmx = 1u << 5, svm = 1u << 2; /* Fn8000_0001 ECX */
	unsigned eax, ebx, ecx, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & vmx)
		return true;
	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && ecx & svm;
}

static bool is_emulated_by_tcg(void)
{
	const unsigned hypervisor_bit = 1u << 31; /* Fn0000_0001 ECX */
	unsigned eax, words[3], ecx, edx;

	if (!__get_cpuid(1, &eax, &words[0], &ecx, &edx) || !(ecx & hypervisor_bit))
		return false;
	/* __get_cpuid() compares with the highest leaf of another range. */
	__cpuid(0x40000000, eax, words[0], words[1], words[2]);
	return !memcmp(words, "TCGTCGTCGTCG", sizeof(words));
}

struct cpu_x86_debug cpu_x86_find_debug(void)
{
	bool is_real = cpu_x86_has_virtualization() && !is_emulated_by_tcg();

	return (struct cpu_x86_debug){
		.int3 = is_real,
		.trap_execute = is_real || !cpu_x86_has_virtualization(),
		.trap_access = is_real,
	};
}
