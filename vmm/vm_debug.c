/*
 * The machine as gdb sees it (gdb_target.h), and what becomes of the debugger when the machine
 * stops, resets or ends. Made only with --gdb.
 *
 * The debugger holds the machine as a person does who pauses it: it runs when neither holds it.
 *
 * Threads: the loop's, except vm_debug_note_event() and is_break() (vCPUs').
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "vmm/gdb.h"
#include "vmm/kvm/cpu_x86.h"
#include "vmm/kvm/fault.h"
#include "vmm/vm_impl.h"

struct vm_debugger {
	struct vm *vm;
	struct gdb *gdb;
	struct gdb_target target;
	struct loop_task look_task;
	bool knows_crash; /* was told of the event that ends the machine */
};

/* ---- What the stub asks of the machine ---- */

static struct machine *machine_of(void *opaque)
{
	return &((struct vm_debugger *)opaque)->vm->machine;
}

/* Else KVM would let the caller wait for a processor that runs. */
static bool stands_still(void *opaque)
{
	return ((struct vm_debugger *)opaque)->vm->state == VM_PAUSED;
}

static unsigned cpu_count(void *opaque)
{
	return machine_of(opaque)->vcpu_count;
}

static void stop(void *opaque)
{
	struct vm_debugger *debugger = opaque;

	vm_hold(debugger->vm, VM_HOLD_DEBUGGER);
}

static void run(void *opaque, const bool *runs)
{
	struct vm_debugger *debugger = opaque;
	struct machine *machine = machine_of(opaque);

	for (unsigned i = 0; i < machine->vcpu_count; i++)
		machine->keeps_still[i] = !runs[i];
	vm_release(debugger->vm, VM_HOLD_DEBUGGER);
}

static int get_regs(void *opaque, unsigned cpu, struct cpu_regs *regs)
{
	return !stands_still(opaque) ? -EBUSY : vcpu_get_regs(machine_of(opaque)->vcpus[cpu], regs);
}

static int set_regs(
	void *opaque, unsigned cpu, const struct cpu_regs *old, const struct cpu_regs *regs)
{
	return !stands_still(opaque) ? -EBUSY
				     : vcpu_set_regs(machine_of(opaque)->vcpus[cpu], old, regs);
}

static bool is_break(void *opaque, const struct page_walk_regs *walk, uint64_t linear)
{
	return gdb_has_break(((struct vm_debugger *)opaque)->gdb, walk, linear);
}

static int set_debug(void *opaque, unsigned cpu, const struct vcpu_debug *debug)
{
	const struct vcpu_debug_config config = {.is_break = is_break, .opaque = opaque};

	if (!stands_still(opaque))
		return -EBUSY;
	return vcpu_debug_set(machine_of(opaque)->vcpus[cpu], debug, &config);
}

static struct vcpu_stop take_stop(void *opaque, unsigned cpu)
{
	return vcpu_debug_take_stop(machine_of(opaque)->vcpus[cpu]);
}

static uint64_t linux_cr3(void *opaque)
{
	return machine_of(opaque)->linux_cr3;
}

static void *device_memory(void *opaque, gpa_t gpa, uint64_t len)
{
	return kvm_find_memory(&machine_of(opaque)->kvm, gpa, len);
}

static void explain(void *opaque, unsigned cpu, FILE *out)
{
	if (stands_still(opaque))
		vcpu_explain(machine_of(opaque)->vcpus[cpu], out);
}

static const struct exit_ring *exits(void *opaque, unsigned cpu)
{
	return vcpu_exits(machine_of(opaque)->vcpus[cpu]);
}

static void reset(void *opaque)
{
	log_info("gdb resets the guest");
	vm_restart(((struct vm_debugger *)opaque)->vm);
}

static void kill_machine(void *opaque)
{
	log_error("gdb kills the guest");
	/* Its breakpoints are taken out of memory, and of the table that processors look at. */
	stop(opaque);
	vm_end(((struct vm_debugger *)opaque)->vm, EXIT_CODE_SIGNAL_BASE + SIGKILL);
}

static const struct gdb_target_ops target_ops = {
	.cpu_count = cpu_count,
	.stop = stop,
	.run = run,
	.get_regs = get_regs,
	.set_regs = set_regs,
	.set_debug = set_debug,
	.take_stop = take_stop,
	.linux_cr3 = linux_cr3,
	.device_memory = device_memory,
	.explain = explain,
	.exits = exits,
	.reset = reset,
	.kill = kill_machine,
};

/* ---- What the machine tells the stub ---- */

static struct gdb_session *session_of(const struct vm *vm)
{
	return vm->debugger ? gdb_session(vm->debugger->gdb) : NULL;
}

static void look(void *opaque)
{
	struct vm_debugger *debugger = opaque;
	struct gdb_session *session = gdb_session(debugger->gdb);

	if (!session || debugger->vm->state == VM_ENDED)
		return;
	gdb_session_look(session);
	gdb_flush(debugger->gdb);
}

void vm_debug_note_event(struct vm *vm)
{
	for (unsigned i = 0; i < vm->machine.vcpu_count; i++)
		vcpu_request_pause(vm->machine.vcpus[i]);
	loop_post(vm->machine.loop, &vm->debugger->look_task);
}

void vm_debug_look(struct vm *vm)
{
	if (vm->debugger && loop_unpost(vm->machine.loop, &vm->debugger->look_task))
		look(vm->debugger);
}

bool vm_debug_note_crash(struct vm *vm, struct vcpu *vcpu)
{
	struct gdb_session *session = session_of(vm);
	char sentence[600] = "", text[sizeof(sentence) + 2];

	if (!session || vm->debugger->knows_crash)
		return false;
	vm->debugger->knows_crash = true;
	vm_hold(vm, VM_HOLD_DEBUGGER);
	vcpu_explain_sentence(vcpu, sentence, sizeof(sentence));
	snprintf(text, sizeof(text), "%s\n", sentence);
	gdb_session_note_stop(session, vcpu_id(vcpu), GDB_SIGNAL_SEGV, text);
	gdb_flush(vm->debugger->gdb);
	return true;
}

bool vm_debug_is_attached(const struct vm *vm)
{
	return session_of(vm);
}

void vm_debug_note_reset(struct vm *vm)
{
	struct gdb_session *session = session_of(vm);

	if (!vm->debugger)
		return;
	vm->debugger->knows_crash = false;
	if (!session)
		return;
	gdb_session_note_reset(session);
	gdb_flush(vm->debugger->gdb);
}

void vm_debug_note_end(struct vm *vm)
{
	struct gdb_session *session = session_of(vm);

	/* What it answers is sent when the debugger's door is closed. */
	if (session)
		gdb_session_note_exit(session, vm->exit_code);
}

/* ---- Life ---- */

static void announce(const struct gdb_place *place, bool waits)
{
	const struct listen_address *address = &place->config.address;
	bool is_v6 = strchr(address->host, ':');
	const char *what = waits ? "the guest waits for gdb" : "for gdb";

	if (address->path[0])
		log_info("%s: target remote %s", what, address->path);
	else
		log_info("%s: target remote %s%s%s:%u", what, is_v6 ? "[" : "", address->host,
			is_v6 ? "]" : "", address->port);
}

int vm_debug_start(struct vm *vm, struct err *err)
{
	const struct gdb_place *place = &vm->config->gdb;
	struct vm_debugger *debugger;
	bool has_int3;
	int ret;

	if (!place->is_asked_for)
		return 0;
	debugger = calloc(1, sizeof(*debugger));
	if (!debugger)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the debugger");
	vm->debugger = debugger;
	has_int3 = cpu_x86_find_debug().int3;
	*debugger = (struct vm_debugger){
		.vm = vm,
		.target = {.ops = &target_ops,
			.opaque = debugger,
			.mem = &vm->machine.mem,
			.has_int3 = has_int3,
			.trap_max = has_int3 ? VCPU_DEBUG_REGISTERS : GDB_TRAPS_MAX},
		.look_task = {.fn = look, .opaque = debugger},
	};
	ret = gdb_start(&debugger->gdb, vm->machine.loop, &place->config, &debugger->target, err);
	if (ret < 0)
		return ret;
	vm->machine.starts_still = place->waits;
	announce(place, place->waits);
	return 0;
}

void vm_debug_stop(struct vm *vm)
{
	if (!vm->debugger)
		return;
	/* The processors ask it for its breakpoints as long as they run. */
	machine_halt(&vm->machine);
	gdb_stop(vm->debugger->gdb);
	loop_unpost(vm->machine.loop, &vm->debugger->look_task);
	free(vm->debugger);
	vm->debugger = NULL;
}
