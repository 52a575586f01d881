/*
 * See vcpu_debug.h.
 *
 * KVM stops for INT3 (#BP) and for what the debug registers and the trap flag give (#DB) before
 * the guest hears of it. What is not ours is given to the guest as if nobody had looked: kernels
 * put INT3 into their own code while they change it, and run debuggers of their own.
 */
#include "vmm/kvm/vcpu_debug.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vmm/kvm/cpu_x86.h"
#include "vmm/kvm/vcpu_impl.h"

enum {
	IN_NO_REGISTER = -1,
	VECTOR_DEBUG = 1,
	VECTOR_BREAKPOINT = 3
};

/* AMD APM vol. 2, 13.1.1. */
#define DR6_STEP	  (UINT64_C(1) << 14)
#define DR6_TRAPS	  UINT64_C(0xf)
#define DR7_ALWAYS_ONE	  (UINT64_C(1) << 10)
#define DR7_GLOBAL(n)	  (UINT64_C(2) << (n)*2)
#define DR7_KIND_SHIFT(n) (16 + (n)*4)
#define DR7_LEN_SHIFT(n)  (18 + (n)*4)

struct vcpu_debugger {
	struct vcpu_debug_config config;
	struct cpu_x86_debug host;
	struct vcpu_debug plan;
	struct vcpu_stop stop;
	/* Of each trap the debug register, or IN_NO_REGISTER: it is found by stepping. */
	int places[VCPU_TRAPS_MAX];
	bool is_stepped;	       /* there is one of those */
	uint64_t seen[VCPU_TRAPS_MAX]; /* the values at them */
};

/* Gives each trap one of the four debug registers, or has it found by stepping. */
static void place_traps(struct vcpu_debugger *debugger)
{
	int used = 0;

	debugger->is_stepped = false;
	for (unsigned i = 0; i < debugger->plan.trap_count; i++) {
		bool is_known = debugger->plan.traps[i].kind == VCPU_TRAP_EXECUTE
			? debugger->host.trap_execute
			: debugger->host.trap_access;

		debugger->places[i] =
			is_known && used < VCPU_DEBUG_REGISTERS ? used++ : IN_NO_REGISTER;
		debugger->is_stepped |= debugger->places[i] == IN_NO_REGISTER;
	}
}

static uint64_t encode_trap(int nth, const struct vcpu_trap *trap)
{
	static const uint64_t lens[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};

	return DR7_GLOBAL(nth) | (uint64_t)trap->kind << DR7_KIND_SHIFT(nth) |
		lens[trap->len] << DR7_LEN_SHIFT(nth);
}

static bool is_halted(struct vcpu *vcpu)
{
	struct kvm_mp_state state;

	return ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) == 0 &&
		state.mp_state == KVM_MP_STATE_HALTED;
}

/* `injects`: KVM_GUESTDBG_INJECT_… or 0. */
static int tell_kvm(struct vcpu *vcpu, uint32_t injects)
{
	const struct vcpu_debugger *debugger = vcpu->debugger;
	const struct vcpu_debug *plan = &debugger->plan;
	struct kvm_guest_debug debug = {.control = injects};

	if (plan->breaks)
		debug.control |= KVM_GUESTDBG_USE_SW_BP;
	if (plan->step || debugger->is_stepped)
		debug.control |= KVM_GUESTDBG_SINGLESTEP;
	for (unsigned i = 0; i < plan->trap_count; i++) {
		int place = debugger->places[i];

		if (place == IN_NO_REGISTER)
			continue;
		debug.control |= KVM_GUESTDBG_USE_HW_BP;
		debug.arch.debugreg[place] = plan->traps[i].address;
		debug.arch.debugreg[7] |= DR7_ALWAYS_ONE | encode_trap(place, &plan->traps[i]);
	}
	if (debug.control)
		debug.control |= KVM_GUESTDBG_ENABLE;
#ifdef KVM_GUESTDBG_BLOCKIRQ
	/*
	 * A step that ends in the handler of a timer is of no use, but a processor that is halted
	 * needs one. Old KVMs don't know this.
	 */
	if (plan->step && !is_halted(vcpu)) {
		debug.control |= KVM_GUESTDBG_BLOCKIRQ;
		if (ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug) == 0)
			return 0;
		debug.control &= ~(uint32_t)KVM_GUESTDBG_BLOCKIRQ;
	}
#endif
	return ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug) < 0 ? -errno : 0;
}

static bool read_tables(struct vcpu *vcpu, struct page_walk_regs *walk)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	*walk = (struct page_walk_regs){sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer};
	return true;
}

/* ---- Traps that the processor does not look after ---- */

/*
 * What there is now: of an EXECUTE trap whether it is `pc`, of others the memory. Bit n of the
 * result: it differs from `seen`, which is updated.
 */
static unsigned look_at_traps(struct vcpu *vcpu, uint64_t pc, uint64_t *seen)
{
	const struct vcpu_debugger *debugger = vcpu->debugger;
	const struct vcpu_debug *plan = &debugger->plan;
	struct page_walk_regs walk;
	bool has_tables = false;
	unsigned differs = 0;

	for (unsigned i = 0; i < plan->trap_count; i++) {
		const struct vcpu_trap *trap = &plan->traps[i];
		uint64_t now = 0;

		if (debugger->places[i] != IN_NO_REGISTER)
			continue;
		if (trap->kind == VCPU_TRAP_EXECUTE) {
			differs |= (unsigned)(trap->address == pc) << i;
			continue;
		}
		has_tables = has_tables || read_tables(vcpu, &walk);
		if (!has_tables || !vcpu->env.mem ||
			page_walk_read(vcpu->env.mem, &walk, trap->address, &now, trap->len) <
				trap->len)
			continue;
		differs |= (unsigned)(now != seen[i]) << i;
		seen[i] = now;
	}
	return differs;
}

int vcpu_debug_set(
	struct vcpu *vcpu, const struct vcpu_debug *debug, const struct vcpu_debug_config *config)
{
	ASSERT(debug->trap_count <= VCPU_TRAPS_MAX);
	if (!vcpu->debugger) {
		vcpu->debugger = calloc(1, sizeof(*vcpu->debugger));
		if (!vcpu->debugger)
			return -ENOMEM;
		vcpu->debugger->config = *config;
		vcpu->debugger->host = cpu_x86_find_debug();
	}
	vcpu->debugger->plan = *debug;
	place_traps(vcpu->debugger);
	if (vcpu->debugger->is_stepped)
		look_at_traps(vcpu, 0, vcpu->debugger->seen);
	return tell_kvm(vcpu, 0);
}

/* ---- Exits ---- */

/* The guest's own #DB. What its DR6 would say is KVM's to hand on only if it is put there. */
static void give_debug_to_guest(struct vcpu *vcpu, uint64_t dr6)
{
	struct kvm_debugregs regs;

	if (ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &regs) == 0) {
		regs.dr6 |= dr6 & (DR6_STEP | DR6_TRAPS);
		(void)ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs);
	}
	(void)tell_kvm(vcpu, KVM_GUESTDBG_INJECT_DB);
}

static bool is_break(struct vcpu *vcpu, uint64_t linear)
{
	const struct vcpu_debug_config *config = &vcpu->debugger->config;
	struct page_walk_regs walk;

	return read_tables(vcpu, &walk) && config->is_break(config->opaque, &walk, linear);
}

/* `dr6`: what the processor itself has found. */
static struct vcpu_stop find_trap(struct vcpu *vcpu, uint64_t pc, uint64_t dr6)
{
	struct vcpu_debugger *debugger = vcpu->debugger;
	const struct vcpu_debug *plan = &debugger->plan;
	unsigned hit = 0;

	if (debugger->is_stepped)
		hit = look_at_traps(vcpu, pc, debugger->seen);
	for (unsigned i = 0; i < plan->trap_count; i++)
		if ((hit & 1u << i) ||
			(debugger->places[i] != IN_NO_REGISTER &&
				(dr6 & 1u << debugger->places[i])))
			return (struct vcpu_stop){VCPU_STOP_TRAP, plan->traps[i]};
	return (struct vcpu_stop){.kind = plan->step ? VCPU_STOP_STEP : VCPU_STOP_NONE};
}

static struct vcpu_stop find_stop(struct vcpu *vcpu)
{
	const struct kvm_debug_exit_arch *exit = &vcpu->run->debug.arch;

	if (exit->exception != VECTOR_BREAKPOINT)
		return find_trap(vcpu, exit->pc, exit->dr6);
	if (vcpu->debugger->plan.breaks && is_break(vcpu, exit->pc))
		return (struct vcpu_stop){.kind = VCPU_STOP_BREAK};
	return (struct vcpu_stop){.kind = VCPU_STOP_NONE};
}

bool vcpu_debug_handle_exit(struct vcpu *vcpu)
{
	struct vcpu_debugger *debugger = vcpu->debugger;

	debugger->stop = find_stop(vcpu);
	if (debugger->stop.kind != VCPU_STOP_NONE)
		return true;
	if (vcpu->run->debug.arch.exception == VECTOR_BREAKPOINT)
		(void)tell_kvm(vcpu, KVM_GUESTDBG_INJECT_BP);
	else if (debugger->is_stepped)
		/* The next step: the guest may have written its flags. */
		(void)tell_kvm(vcpu, 0);
	else if (vcpu->run->debug.arch.exception == VECTOR_DEBUG)
		give_debug_to_guest(vcpu, vcpu->run->debug.arch.dr6);
	return false;
}

bool vcpu_debug_is_stepping(const struct vcpu *vcpu)
{
	return vcpu->debugger->plan.step || vcpu->debugger->is_stepped;
}

bool vcpu_debug_handle_access(struct vcpu *vcpu)
{
	struct cpu_regs regs;

	if (vcpu_get_regs(vcpu, &regs) < 0)
		return false;
	vcpu->debugger->stop = find_trap(vcpu, regs.segments[CPU_CS].base + regs.rip, 0);
	if (vcpu->debugger->stop.kind == VCPU_STOP_NONE)
		(void)tell_kvm(vcpu, 0);
	return vcpu->debugger->stop.kind != VCPU_STOP_NONE;
}

struct vcpu_stop vcpu_debug_take_stop(struct vcpu *vcpu)
{
	struct vcpu_stop stop = {.kind = VCPU_STOP_NONE};

	if (!vcpu->debugger)
		return stop;
	stop = vcpu->debugger->stop;
	vcpu->debugger->stop.kind = VCPU_STOP_NONE;
	return stop;
}
