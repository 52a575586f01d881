/*
 * See vcpu.h. Knows nothing of devices or of what an event means.
 *
 * The thread's loop looks at `wants` after it has cleared immediate_exit and
 * before it enters the guest; whoever sets `wants` sends the signal afterwards. So either
 * the loop sees the wish, or the signal finds it on its way into KVM_RUN and
 * immediate_exit makes that return at once: no wish is lost, and none needs a lock.
 *
 * Source: Linux Documentation/virt/kvm/api.rst, "The kvm_run structure".
 */
#include "vmm/kvm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/trace.h"
#include "vmm/kvm/cpu_x86.h"
#include "vmm/kvm/kick.h"
#include "vmm/kvm/kvm_call.h"
#include "vmm/kvm/vcpu_impl.h"
#include "vmm/kvm/vcpu_trace.h"

/*
 * Exits that bring the registers along, which costs each of them a copy in KVM: all of a short run,
 * and of a long one only some. With a trace, which tells RIP, all.
 */
enum {
	REGS_FIRST_EXITS = 1024,
	REGS_EVERY_EXITS = 16,
	SREGS_FIRST_EXITS = 64,
	SREGS_EVERY_EXITS = 64
};

const char *vcpu_event_name(enum vcpu_event event)
{
	static const char *const names[] = {
		[VCPU_EVENT_SHUTDOWN] = "triple fault",
		[VCPU_EVENT_SYSTEM_SHUTDOWN] = "shutdown asked for",
		[VCPU_EVENT_SYSTEM_RESET] = "reset asked for",
		[VCPU_EVENT_SYSTEM_CRASH] = "crash reported",
		[VCPU_EVENT_INTERNAL_ERROR] = "KVM internal error",
		[VCPU_EVENT_FAIL_ENTRY] = "failed entry",
		[VCPU_EVENT_DEBUG] = "debug stop",
		[VCPU_EVENT_HALT] = "halt",
	};

	return names[event];
}

/* ---- Making and destroying ---- */

static int open_vcpu(struct vcpu *vcpu, unsigned cpu_count, struct err *err)
{
	struct kvm *kvm = vcpu->kvm;

	if (cpu_count > kvm->vcpus_max) {
		err_set(err, EXIT_CODE_KVM, EINVAL,
			"%u processors are more than this host's KVM allows (%u)", cpu_count,
			kvm->vcpus_max);
		err_hint(err, "ask for at most %u with --cpus", kvm->vcpus_max);
		return -EINVAL;
	}
	vcpu->fd = kvm_call(kvm->vm_fd, KVM_CREATE_VCPU, vcpu->id);
	if (vcpu->fd < 0)
		return err_set(err, EXIT_CODE_KVM, errno, "KVM can't make processor %u of %u: %s",
			vcpu->id, cpu_count, strerror(errno));
	vcpu->run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return err_set(err, EXIT_CODE_KVM, errno,
			"can't map the shared page of processor %u: %s", vcpu->id, strerror(errno));
	}
	if (vcpu->id == 0)
		coalesce_attach(kvm, vcpu->run);
	/* Registers with the exit, for the exit ring: a copy in KVM instead of a system call. */
	if (kvm->has_sync_regs)
		vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	else
		vcpu->last.next_at = UINT64_MAX;
	return 0;
}

int vcpu_create(struct vcpu **vcpu, struct kvm *kvm, unsigned id, unsigned cpu_count,
	const struct vcpu_env *env, struct err *err)
{
	struct vcpu *made = calloc(1, sizeof(*made));
	int ret;

	ASSERT(kvm->has_vm && id < cpu_count);
	*vcpu = NULL;
	if (!made)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a processor");
	*made = (struct vcpu){
		.id = id, .kvm = kvm, .env = *env, .fd = -1, .stats_fd = VCPU_STATS_UNASKED};
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->changed, NULL);
	ret = open_vcpu(made, cpu_count, err);
	if (ret == 0)
		ret = cpu_x86_init(kvm, made->fd, id, cpu_count, err);
	if (ret < 0) {
		vcpu_destroy(made);
		return ret;
	}
	*vcpu = made;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	vcpu_stop(vcpu);
	if (vcpu->run && vcpu->id == 0)
		coalesce_attach(vcpu->kvm, NULL);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->kvm->run_size);
	if (vcpu->stats_fd >= 0)
		close(vcpu->stats_fd);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu->debugger);
	free(vcpu);
}

int vcpu_set_entry(struct vcpu *vcpu, const struct cpu_entry *entry, struct err *err)
{
	return cpu_x86_enter(vcpu->fd, entry, err);
}

/* ---- Exits ---- */

static void report(struct vcpu *vcpu, enum vcpu_event event)
{
	vcpu->has_event = true;
	vcpu->event = event;
	/* Park unless told to go on meanwhile; the owner may resume as soon as it hears. */
	atomic_fetch_or(&vcpu->wants, VCPU_WANT_PAUSE);
	vcpu->env.event(vcpu->env.opaque, vcpu, event);
}

static struct exit_record *record(struct vcpu *vcpu, enum exit_kind kind, uint64_t addr)
{
	struct exit_record *made = exit_ring_push(&vcpu->exits, kind);

	made->addr = addr;
	if (vcpu->run->kvm_valid_regs & KVM_SYNC_X86_REGS)
		made->rip = vcpu->run->s.regs.regs.rip;
	return made;
}

/* String instructions move `count` elements between memory and the same port. */
static __attribute__((noinline)) bool move_string(const struct vcpu *vcpu, uint8_t *data)
{
	const struct kvm_run *run = vcpu->run;
	bool claimed = true;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			claimed &= bus_write(vcpu->env.pio, run->io.port, data, run->io.size);
		else
			claimed &= bus_read(vcpu->env.pio, run->io.port, data, run->io.size);
	}
	return claimed;
}

static void handle_pio(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT, claimed;
	uint8_t *data = (uint8_t *)vcpu->run + run->io.data_offset;
	struct exit_record *made =
		record(vcpu, is_write ? EXIT_KIND_PIO_WRITE : EXIT_KIND_PIO_READ, run->io.port);

	made->size = run->io.size;
	made->count = run->io.count;
	if (__builtin_expect(made->count != 1, 0))
		claimed = move_string(vcpu, data);
	else if (is_write)
		claimed = bus_write(vcpu->env.pio, made->addr, data, made->size);
	else
		claimed = bus_read(vcpu->env.pio, made->addr, data, made->size);
	/* 1, 2 or 4 bytes, in a page of their own. */
	made->value = load_le64(data) & (UINT64_MAX >> (64 - 8 * made->size));
	if (!claimed)
		exit_ring_note_unclaimed(&vcpu->exits, made);
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned len = MIN(run->mmio.len, (uint32_t)sizeof(run->mmio.data));
	struct exit_record *made =
		record(vcpu, run->mmio.is_write ? EXIT_KIND_MMIO_WRITE : EXIT_KIND_MMIO_READ,
			run->mmio.phys_addr);
	bool claimed;

	made->size = (uint8_t)len;
	if (run->mmio.is_write)
		claimed = bus_write(vcpu->env.mmio, run->mmio.phys_addr, run->mmio.data, len);
	else
		claimed = bus_read(vcpu->env.mmio, run->mmio.phys_addr, run->mmio.data, len);
	memcpy(&made->value, run->mmio.data, len);
	if (!claimed)
		exit_ring_note_unclaimed(&vcpu->exits, made);
}

static void handle_system_event(struct vcpu *vcpu)
{
	uint32_t type = vcpu->run->system_event.type;

	record(vcpu, EXIT_KIND_SYSTEM_EVENT, type);
	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		report(vcpu, VCPU_EVENT_SYSTEM_SHUTDOWN);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		report(vcpu, VCPU_EVENT_SYSTEM_RESET);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		report(vcpu, VCPU_EVENT_SYSTEM_CRASH);
		break;
	default:
		report(vcpu, VCPU_EVENT_INTERNAL_ERROR);
	}
}

static __attribute__((noinline)) void handle_rare_exit(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_INTR:
		exit_ring_count(&vcpu->exits, EXIT_KIND_INTERRUPTED);
		break;
	case KVM_EXIT_HLT:
		record(vcpu, EXIT_KIND_HALT, 0);
		report(vcpu, VCPU_EVENT_HALT);
		break;
	case KVM_EXIT_SHUTDOWN:
		/* The RIP may be that of a reset processor: the explanation knows the true one. */
		record(vcpu, EXIT_KIND_SHUTDOWN, 0)->rip = 0;
		report(vcpu, VCPU_EVENT_SHUTDOWN);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(vcpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		record(vcpu, EXIT_KIND_INTERNAL_ERROR, run->internal.suberror);
		report(vcpu, VCPU_EVENT_INTERNAL_ERROR);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		record(vcpu, EXIT_KIND_FAIL_ENTRY, run->fail_entry.hardware_entry_failure_reason);
		report(vcpu, VCPU_EVENT_FAIL_ENTRY);
		break;
	case KVM_EXIT_DEBUG:
		record(vcpu, EXIT_KIND_DEBUG, run->debug.arch.pc);
		if (!vcpu->debugger) /* KVM was not asked for it */
			report(vcpu, VCPU_EVENT_INTERNAL_ERROR);
		else if (vcpu_debug_handle_exit(vcpu))
			report(vcpu, VCPU_EVENT_DEBUG);
		break;
	default:
		record(vcpu, EXIT_KIND_OTHER, run->exit_reason);
		report(vcpu, VCPU_EVENT_INTERNAL_ERROR);
	}
}

static inline void handle_exit(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;

	if (__builtin_expect(reason == KVM_EXIT_IO, 1))
		handle_pio(vcpu);
	else if (reason == KVM_EXIT_MMIO)
		handle_mmio(vcpu);
	else
		handle_rare_exit(vcpu);
}

/* KVM_RUN, and what the guest's processors did before its exit without one. */
static int enter_guest(struct vcpu *vcpu)
{
	int result = ioctl(vcpu->fd, KVM_RUN, 0);

	if (__builtin_expect(
		    atomic_load_explicit(&vcpu->kvm->coalesce.may_hold, memory_order_acquire), 0) &&
		!(result == 0 && coalesce_can_wait(&vcpu->kvm->coalesce, vcpu->run))) {
		int saved = errno;

		coalesce_drain(vcpu->kvm, vcpu->env.pio);
		errno = saved;
	}
	return result;
}

static void take_exit(struct vcpu *vcpu)
{
	uint64_t began_ns, records = vcpu->exits.total;

	if (__builtin_expect(!vcpu->env.trace, 1)) {
		handle_exit(vcpu);
		return;
	}
	began_ns = trace_now_ns(vcpu->env.trace);
	handle_exit(vcpu);
	vcpu_trace_exit(vcpu, began_ns, records);
}

/*
 * A triple fault on AMD leaves KVM with the registers of a reset processor; those of
 * an exit before are then the best there is.
 */
static void keep_registers(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_SHUTDOWN)
		return;
	vcpu->last.regs = run->s.regs.regs;
	vcpu->last.regs_at = vcpu->exits.total;
	vcpu->last.has_regs = true;
	if (!(run->kvm_valid_regs & KVM_SYNC_X86_SREGS))
		return;
	vcpu->last.sregs = run->s.regs.sregs;
	vcpu->last.sregs_at = vcpu->exits.total;
	vcpu->last.has_sregs = true;
}

/* What the next exit is to bring, and which one after it has to be thought of again. */
static void want_registers(struct vcpu *vcpu)
{
	uint64_t total = vcpu->exits.total;
	bool is_early = total < REGS_FIRST_EXITS || vcpu->env.trace;

	vcpu->last.next_at = is_early ? 0 : (total / REGS_EVERY_EXITS + 1) * REGS_EVERY_EXITS;
	vcpu->run->kvm_valid_regs = 0;
	if (is_early || total % REGS_EVERY_EXITS == 0)
		vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	if (total < SREGS_FIRST_EXITS || total % SREGS_EVERY_EXITS == 0)
		vcpu->run->kvm_valid_regs |= KVM_SYNC_X86_SREGS;
}

/*
 * The guest's clocks go on while it stands still: when it runs again its time is right, and its
 * watchdogs see that no CPU has done anything for long. This tells them that it was not the CPU's
 * fault. Refused without kvmclock, where there is nobody to tell.
 */
static void excuse_gap(struct vcpu *vcpu)
{
	(void)ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

static bool is_more_of_access(uint32_t reason)
{
	return reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO || reason == KVM_EXIT_DEBUG;
}

/* KVM finishes an access (writes what was read into a register) at the next entry only. */
static void complete_access(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;

	if (vcpu->has_event || (reason != KVM_EXIT_IO && reason != KVM_EXIT_MMIO))
		return;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	/*
	 * An access of more than one part (a page crossed) gives the next part instead, and a step
	 * over it may end here.
	 */
	while (enter_guest(vcpu) == 0 && is_more_of_access(vcpu->run->exit_reason))
		take_exit(vcpu);
}

/* A step that made an access ends behind it, whether KVM says so or not. */
static void finish_step(struct vcpu *vcpu)
{
	uint32_t reason = vcpu->run->exit_reason;

	if (vcpu->has_event || (reason != KVM_EXIT_IO && reason != KVM_EXIT_MMIO) ||
		!vcpu_debug_is_stepping(vcpu))
		return;
	complete_access(vcpu);
	if (!vcpu->has_event && vcpu_debug_handle_access(vcpu))
		report(vcpu, VCPU_EVENT_DEBUG);
}

static void run_guest(struct vcpu *vcpu)
{
	if (enter_guest(vcpu) == 0) {
		if (__builtin_expect(vcpu->env.boot_timer != NULL, 0)) {
			boot_timer_note(vcpu->env.boot_timer, BOOT_STEP_EXIT);
			vcpu->env.boot_timer = NULL;
		}
		if (vcpu->run->kvm_valid_regs)
			keep_registers(vcpu);
		take_exit(vcpu);
		if (vcpu->run->kvm_valid_regs || vcpu->exits.total >= vcpu->last.next_at)
			want_registers(vcpu);
		if (__builtin_expect(vcpu->debugger != NULL, 0))
			finish_step(vcpu);
		return;
	}
	switch (errno) {
	case EINTR:
	case EAGAIN: /* a waiting processor was woken for a reset or a signal */
		exit_ring_count(&vcpu->exits, EXIT_KIND_INTERRUPTED);
		if (vcpu->env.trace)
			vcpu_trace_exit(vcpu, trace_now_ns(vcpu->env.trace), vcpu->exits.total);
		/*
		 * A signal that nobody of us sent: SIGSTOP and SIGCONT, a frozen cgroup, a sleep
		 * of the host. By now that is over.
		 */
		if (!atomic_load(&vcpu->wants))
			excuse_gap(vcpu);
		break;
	default:
		vcpu->run_errno = errno;
		record(vcpu, EXIT_KIND_OTHER, 0);
		report(vcpu, VCPU_EVENT_INTERNAL_ERROR);
	}
}

/* ---- The thread ---- */

static void park(struct vcpu *vcpu)
{
	complete_access(vcpu);
	excuse_gap(vcpu);
	pthread_mutex_lock(&vcpu->lock);
	vcpu->is_parked = true;
	pthread_cond_broadcast(&vcpu->changed);
	while ((atomic_load(&vcpu->wants) & (VCPU_WANT_PAUSE | VCPU_WANT_STOP)) == VCPU_WANT_PAUSE)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	vcpu->is_parked = false;
	pthread_mutex_unlock(&vcpu->lock);
}

/* The thread names itself: for another's name the C library has to go through /proc. */
static void name_thread(unsigned id)
{
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", id);
	pthread_setname_np(pthread_self(), name);
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	unsigned wants;

	name_thread(vcpu->id);
	kick_attach(vcpu->run);
	if (vcpu->env.trace)
		trace_attach(vcpu->env.trace, vcpu->id);
	boot_timer_note(vcpu->env.boot_timer, BOOT_STEP_RUN);
	for (;;) {
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
		/* The handler runs on this thread: the compiler alone must keep the order. */
		atomic_signal_fence(memory_order_seq_cst);
		wants = atomic_load(&vcpu->wants);
		if (__builtin_expect(!wants, 1)) {
			vcpu->has_event = false;
			run_guest(vcpu);
			continue;
		}
		if (wants & VCPU_WANT_STOP)
			break;
		if (wants & VCPU_WANT_PAUSE)
			park(vcpu);
		else if (wants & VCPU_WANT_SAMPLE)
			vcpu_answer_sample(vcpu);
		else
			vcpu_open_stats(vcpu);
	}
	complete_access(vcpu);
	kick_attach(NULL);
	pthread_mutex_lock(&vcpu->lock);
	vcpu->has_ended = true;
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct err *err)
{
	int ret;

	ASSERT(!vcpu->has_thread);
	/* Who wants something meanwhile, a processor that runs already, finds a thread to kick. */
	pthread_mutex_lock(&vcpu->lock);
	ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	vcpu->has_thread = ret == 0;
	pthread_mutex_unlock(&vcpu->lock);
	if (ret)
		return err_set(err, EXIT_CODE_INTERNAL, ret,
			"can't make a thread for processor %u: %s", vcpu->id, strerror(ret));
	return 0;
}

/* ---- From other threads ---- */

void vcpu_want(struct vcpu *vcpu, unsigned what)
{
	unsigned before;

	pthread_mutex_lock(&vcpu->lock);
	before = atomic_fetch_or(&vcpu->wants, what);
	pthread_cond_broadcast(&vcpu->changed);
	/* Not when it is known already: signals of this kind queue up. */
	if (!(before & what) && vcpu->has_thread && !vcpu->has_ended && !vcpu->is_parked)
		kick_thread(vcpu->thread);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_request_pause(struct vcpu *vcpu)
{
	vcpu_want(vcpu, VCPU_WANT_PAUSE);
}

void vcpu_request_stop(struct vcpu *vcpu)
{
	vcpu_want(vcpu, VCPU_WANT_STOP);
}

void vcpu_wait_paused(struct vcpu *vcpu)
{
	if (!vcpu->has_thread)
		return;
	pthread_mutex_lock(&vcpu->lock);
	while (!vcpu->is_parked && !vcpu->has_ended)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_resume(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	atomic_fetch_and(&vcpu->wants, ~(unsigned)VCPU_WANT_PAUSE);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->has_thread)
		return;
	vcpu_request_stop(vcpu);
	pthread_join(vcpu->thread, NULL);
	pthread_mutex_lock(&vcpu->lock);
	vcpu->has_thread = false;
	pthread_mutex_unlock(&vcpu->lock);
}

unsigned vcpu_id(const struct vcpu *vcpu)
{
	return vcpu->id;
}

const struct exit_ring *vcpu_exits(const struct vcpu *vcpu)
{
	return &vcpu->exits;
}
