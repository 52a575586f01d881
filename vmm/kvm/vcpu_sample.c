/*
 * See vcpu_sample.h.
 */
#include "vmm/kvm/vcpu_sample.h"

#include <asm/processor-flags.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/vcpu_impl.h"

static void copy_regs(const struct kvm_regs *r, uint64_t *regs)
{
	const uint64_t values[VCPU_SAMPLE_REGS] = {r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi,
		r->rbp, r->rsp, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};

	memcpy(regs, values, sizeof(values));
}

static bool is_access(enum exit_kind kind)
{
	return kind <= EXIT_KIND_MMIO_WRITE;
}

static void note_exits(const struct exit_ring *ring, struct vcpu_sample *sample)
{
	const struct exit_record *record;

	sample->exits = ring->total;
	sample->unclaimed = atomic_load_explicit(&ring->unclaimed, memory_order_relaxed);
	sample->last.kind = EXIT_KIND_OTHER;
	for (size_t i = 0; (record = exit_ring_latest(ring, i)); i++) {
		if (!is_access(record->kind))
			continue;
		sample->last = *record;
		break;
	}
}

static bool look(struct vcpu *vcpu, struct vcpu_sample *sample)
{
	struct kvm_mp_state state;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) < 0 ||
		ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
		ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	*sample = (struct vcpu_sample){
		.is_off = state.mp_state == KVM_MP_STATE_UNINITIALIZED ||
			state.mp_state == KVM_MP_STATE_INIT_RECEIVED,
		.is_halted = state.mp_state == KVM_MP_STATE_HALTED,
		.interrupts_on = regs.rflags & X86_EFLAGS_IF,
		.in_user = sregs.ss.dpl == 3,
		.is_64bit = sregs.cs.l,
		.code = sregs.cs.l ? regs.rip : (sregs.cs.base + regs.rip) & UINT32_MAX,
	};
	copy_regs(&regs, sample->regs);
	note_exits(&vcpu->exits, sample);
	return true;
}

void vcpu_answer_sample(struct vcpu *vcpu)
{
	struct vcpu_sample sample;
	bool ok = look(vcpu, &sample);

	pthread_mutex_lock(&vcpu->lock);
	atomic_fetch_and(&vcpu->wants, ~(unsigned)VCPU_WANT_SAMPLE);
	if (ok)
		vcpu->sample = sample;
	vcpu->has_sample = ok;
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_request_sample(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->has_sample = false;
	pthread_mutex_unlock(&vcpu->lock);
	vcpu_want(vcpu, VCPU_WANT_SAMPLE);
}

bool vcpu_take_sample(struct vcpu *vcpu, struct vcpu_sample *sample)
{
	bool has;

	pthread_mutex_lock(&vcpu->lock);
	has = vcpu->has_sample;
	if (has)
		*sample = vcpu->sample;
	vcpu->has_sample = false;
	pthread_mutex_unlock(&vcpu->lock);
	return has;
}
