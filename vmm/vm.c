/*
 * The VM: owns the machine and decides what its events mean: power-off, reset,
 * crash, panic, signals, time limits, and with which status the program ends.
 *
 * Threads: everything runs on the loop's thread, except on_request() and
 * on_vcpu_event() (any thread: they note the first event and wake the loop) and
 * on_console_output() (the thread that prints).
 */
#include "vmm/vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "devices/backend/term.h"
#include "vmm/kvm/cpu_x86.h"
#include "vmm/kvm/fault.h"
#include "vmm/signals.h"
#include "vmm/vm_impl.h"
#include "vmm/watch_facts.h"

/* How long the console may go on after pvpanic told of a panic. */
#define PANIC_GRACE_NS UINT64_C(1000000000)

/* ---- State ---- */

static void set_state(struct vm *vm, enum vm_state next)
{
	static const bool legal[][VM_ENDED + 1] = {
		[VM_BUILDING] = {[VM_RUNNING] = true, [VM_ENDED] = true},
		[VM_RUNNING] = {[VM_RESETTING] = true, [VM_PAUSED] = true, [VM_ENDED] = true},
		[VM_RESETTING] = {[VM_RUNNING] = true, [VM_ENDED] = true},
		[VM_PAUSED] = {[VM_RUNNING] = true, [VM_RESETTING] = true, [VM_ENDED] = true},
		[VM_ENDED] = {[VM_ENDED] = true},
	};

	ASSERT(legal[vm->state][next]);
	vm->state = next;
	if (vm->machine.display)
		display_set_paused(vm->machine.display, next == VM_PAUSED);
}

const char *vm_state_name(const struct vm *vm)
{
	static const char *const names[] = {
		[VM_BUILDING] = "starting",
		[VM_RUNNING] = "running",
		[VM_RESETTING] = "resetting",
		[VM_PAUSED] = "paused",
		[VM_ENDED] = "ending",
	};

	if (vm->state == VM_PAUSED && vm->holds == VM_HOLD_DEBUGGER)
		return "debugged";
	return names[vm->state];
}

void vm_end(struct vm *vm, int exit_code)
{
	if (vm->state == VM_ENDED)
		return;
	set_state(vm, VM_ENDED);
	boot_timer_note(vm->machine.hooks.boot_timer, BOOT_STEP_ENDED);
	vm->exit_code = exit_code;
	vm_debug_note_end(vm);
	loop_stop(vm->machine.loop, 0);
}

/* ---- Events from any thread ---- */

static void note_event(struct vm *vm, enum vm_event event, int value, struct vcpu *vcpu)
{
	pthread_mutex_lock(&vm->mutex);
	if (vm->event == VM_EVENT_NONE) {
		vm->event = event;
		vm->event_value = value;
		vm->event_vcpu = vcpu;
	}
	pthread_mutex_unlock(&vm->mutex);
	/* The guest gets no further than the access that ended or reset it. */
	for (unsigned i = 0; i < vm->machine.vcpu_count; i++)
		vcpu_request_pause(vm->machine.vcpus[i]);
	loop_post(vm->machine.loop, &vm->event_task);
}

static void on_request(void *opaque, enum machine_request request, int value)
{
	struct vm *vm = opaque;

	switch (request) {
	case MACHINE_POWEROFF:
		note_event(vm, VM_EVENT_POWEROFF, 0, NULL);
		break;
	case MACHINE_RESET:
		note_event(vm, VM_EVENT_RESET, 0, NULL);
		break;
	case MACHINE_EXIT:
		note_event(vm, VM_EVENT_EXIT, value & 0xff, NULL);
		break;
	case MACHINE_PANIC:
		pthread_mutex_lock(&vm->mutex);
		vm->panicked = true;
		pthread_mutex_unlock(&vm->mutex);
		loop_post(vm->machine.loop, &vm->event_task);
		break;
	}
}

static void on_vcpu_event(void *opaque, struct vcpu *vcpu, enum vcpu_event event)
{
	switch (event) {
	case VCPU_EVENT_SYSTEM_RESET:
		note_event(opaque, VM_EVENT_RESET, 0, vcpu);
		break;
	case VCPU_EVENT_SYSTEM_SHUTDOWN:
		note_event(opaque, VM_EVENT_POWEROFF, 0, vcpu);
		break;
	case VCPU_EVENT_DEBUG:
		vm_debug_note_event(opaque);
		break;
	default:
		note_event(opaque, VM_EVENT_CRASH, 0, vcpu);
		break;
	}
}

static void on_console_output(void *opaque, const void *data, size_t len)
{
	struct watched_console *console = opaque;
	struct vm *vm = console->vm;

	boot_timer_note(vm->machine.hooks.boot_timer, BOOT_STEP_CONSOLE);
	watchdog_hear(&vm->watchdog);
	pthread_mutex_lock(&vm->mutex);
	panic_watch_feed(&console->panic, data, len);
	pthread_mutex_unlock(&vm->mutex);
}

/* ---- Standing still ---- */

void vm_hold(struct vm *vm, unsigned who)
{
	if (vm->state == VM_RUNNING) {
		machine_pause(&vm->machine);
		set_state(vm, VM_PAUSED);
	}
	vm->holds |= who;
}

void vm_release(struct vm *vm, unsigned who)
{
	bool may_go_on;

	vm->holds &= ~who;
	if (vm->state != VM_PAUSED || vm->holds)
		return;
	set_state(vm, VM_RUNNING);
	/* What came just before the pause had to wait; after it the guest may go no further. */
	pthread_mutex_lock(&vm->mutex);
	may_go_on = vm->event == VM_EVENT_NONE;
	pthread_mutex_unlock(&vm->mutex);
	loop_post(vm->machine.loop, &vm->event_task);
	if (may_go_on)
		machine_resume(&vm->machine);
}

bool vm_pause(struct vm *vm)
{
	if (vm->state != VM_RUNNING && (vm->state != VM_PAUSED || (vm->holds & VM_HOLD_PERSON)))
		return false;
	vm_hold(vm, VM_HOLD_PERSON);
	return true;
}

bool vm_resume(struct vm *vm)
{
	if (vm->state != VM_PAUSED || !(vm->holds & VM_HOLD_PERSON))
		return false;
	/* What a processor has stopped for is not to be run over. */
	vm_debug_look(vm);
	vm_release(vm, VM_HOLD_PERSON);
	return true;
}

/* ---- What the events mean ---- */

/* Says what the guest's kernel said; false when it did not panic. */
static bool end_if_panicked(struct vm *vm)
{
	char reason[PANIC_WATCH_LINE_MAX] = "", hint[WATCH_TEXT_MAX];
	bool panicked;

	pthread_mutex_lock(&vm->mutex);
	panicked = vm->panicked;
	for (unsigned i = 0; i < VM_WATCHED_MAX; i++) {
		const char *said = panic_watch_reason(&vm->consoles[i].panic);

		if (said) {
			snprintf(reason, sizeof(reason), "%s", said);
			panicked = true;
		}
	}
	pthread_mutex_unlock(&vm->mutex);
	if (!panicked)
		return false;
	log_error("the guest's kernel panicked%s%s", reason[0] ? ": " : ".", reason);
	if (panic_watch_hint(reason, vm->config->disk_count > 0, vm->config->initrd_count > 0,
		    watch_root_driver(vm), hint, sizeof(hint)))
		log_error("%s.", hint);
	vm_end(vm, EXIT_CODE_PANIC);
	return true;
}

void vm_restart(struct vm *vm)
{
	unsigned holds = vm->holds | (vm_debug_is_attached(vm) ? VM_HOLD_DEBUGGER : 0);
	int ret;

	if (vm->end_when_told) {
		vm->end_when_told(vm);
		return;
	}
	set_state(vm, VM_RESETTING);
	watchdog_forget(vm);
	machine_halt(&vm->machine);
	ret = machine_reset(&vm->machine, vm->err);
	/* What the stopped vCPUs still said belongs to the old life. */
	pthread_mutex_lock(&vm->mutex);
	vm->event = VM_EVENT_NONE;
	vm->panicked = false;
	for (unsigned i = 0; i < VM_WATCHED_MAX; i++)
		panic_watch_reset(&vm->consoles[i].panic);
	pthread_mutex_unlock(&vm->mutex);
	if (ret >= 0) {
		set_state(vm, VM_RUNNING);
		vm->machine.starts_still = holds;
		ret = machine_start(&vm->machine, vm->err);
	}
	if (ret < 0) {
		vm_end(vm, (int)vm->err->kind);
		return;
	}
	if (holds)
		vm_hold(vm, holds);
	vm_debug_note_reset(vm);
}

static void reset(struct vm *vm)
{
	if (end_if_panicked(vm))
		return;
	if (vm->config->no_reboot) {
		log_info("the guest asked for a reset; ending, as --no-reboot says");
		vm_end(vm, EXIT_CODE_RESET);
		return;
	}
	log_guest(&vm->resets, "machine", "the guest asked for a reset; starting it again");
	vm_restart(vm);
}

static void advise_on_crash(const struct vcpu *vcpu)
{
	if (vcpu_has_shut_down(vcpu))
		log_error("an IDT with handlers for exceptions 8, 13 and 14 would tell the guest "
			  "itself what was wrong");
	else if (!cpu_x86_has_virtualization())
		log_error("this host's KVM interprets the guest and lacks some instructions: vmm "
			  "doctor says more");
}

static void crash(struct vm *vm, struct vcpu *vcpu)
{
	uint64_t code;

	/* No vCPU may change memory while it is being looked at. */
	machine_pause(&vm->machine);
	term_restore();
	vcpu_explain(vcpu, stderr);
	if (vcpu_find_code(vcpu, &code))
		watchdog_say_place(vm, "RIP", code);
	advise_on_crash(vcpu);
	vm_end(vm, EXIT_CODE_CRASH);
}

static void handle_event(void *opaque)
{
	struct vm *vm = opaque;
	enum vm_event event;
	bool panicked;
	int value;
	struct vcpu *vcpu;

	pthread_mutex_lock(&vm->mutex);
	event = vm->event;
	value = vm->event_value;
	vcpu = vm->event_vcpu;
	panicked = vm->panicked;
	pthread_mutex_unlock(&vm->mutex);
	if (vm->state != VM_RUNNING)
		return;
	if (vm->end_when_told && event != VM_EVENT_NONE) {
		vm->end_when_told(vm);
		return;
	}
	switch (event) {
	case VM_EVENT_NONE:
		/* The panic's text may still be on its way to the console. */
		if (panicked)
			loop_timer_arm(vm->machine.loop, &vm->panic_grace, PANIC_GRACE_NS);
		break;
	case VM_EVENT_POWEROFF:
		if (!end_if_panicked(vm))
			vm_end(vm, EXIT_CODE_OK);
		break;
	case VM_EVENT_RESET:
		reset(vm);
		break;
	case VM_EVENT_EXIT:
		vm_end(vm, value);
		break;
	case VM_EVENT_CRASH:
		if (!vm_debug_note_crash(vm, vcpu) && !end_if_panicked(vm))
			crash(vm, vcpu);
		break;
	}
}

static void handle_panic_grace(void *opaque)
{
	struct vm *vm = opaque;

	if (vm->state == VM_RUNNING)
		end_if_panicked(vm);
}

/* Ends it after a word about what the guest is doing, which takes half a second at most. */
static void tell_and_end(struct vm *vm, void (*end)(struct vm *vm))
{
	vm->end_when_told = end;
	if (vm->state == VM_RUNNING)
		watchdog_tell(vm, end);
	else
		end(vm);
}

static void end_timed_out(struct vm *vm)
{
	vm_end(vm, EXIT_CODE_TIMEOUT);
}

static void handle_timeout(void *opaque)
{
	struct vm *vm = opaque;

	log_error("the time limit of %g seconds is reached; the guest is ended",
		(double)vm->config->timeout_ms / 1000);
	tell_and_end(vm, end_timed_out);
}

/* ---- Signals and keys ---- */

static void end_by_signal(struct vm *vm)
{
	vm_end(vm, EXIT_CODE_SIGNAL_BASE + vm->last_signal);
}

static void kill_guest(struct vm *vm, const char *why)
{
	log_error("%s; the guest is ended", why);
	end_by_signal(vm);
}

static void handle_grace(void *opaque)
{
	struct vm *vm = opaque;

	log_error("the guest did not power off in time; the guest is ended");
	tell_and_end(vm, end_by_signal);
}

bool vm_press_power_button(struct vm *vm)
{
	/* A guest that stands still can't hear the button. */
	vm_resume(vm);
	if (machine_press_power_button(&vm->machine))
		return true;
	kill_guest(vm, "the machine has no power button");
	return false;
}

/* The first asks the guest politely, the second does not. */
static void ask_to_power_off(struct vm *vm, int signal)
{
	vm->last_signal = signal;
	if (vm->signals_seen++) {
		kill_guest(vm, "asked twice to end");
		return;
	}
	if (!vm_press_power_button(vm))
		return;
	log_info("%s: pressed the guest's power button; it has %u seconds to power off",
		signal == SIGINT ? "interrupted" : "asked to end", vm->config->grace_ms / 1000);
	loop_timer_arm(vm->machine.loop, &vm->grace, (uint64_t)vm->config->grace_ms * 1000000);
}

static void handle_signal(void *opaque, uint32_t events)
{
	struct vm *vm = opaque;
	struct signalfd_siginfo info;

	(void)events;
	while (read(vm->signal_watch.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (vm->state == VM_ENDED)
			return;
		if (info.ssi_signo == SIGQUIT) {
			vm->last_signal = SIGQUIT;
			kill_guest(vm, "told to quit");
		} else {
			ask_to_power_off(vm, (int)info.ssi_signo);
		}
	}
}

static void handle_key(void *opaque, enum chr_escape_key key)
{
	struct vm *vm = opaque;

	switch (key) {
	case CHR_ESCAPE_QUIT:
		log_info("ended by Ctrl-a x");
		vm_end(vm, EXIT_CODE_OK);
		break;
	case CHR_ESCAPE_HELP:
	case CHR_ESCAPE_DETACH: /* means something in vmm console only */
		log_info("Ctrl-a x  end the guest at once    Ctrl-a Ctrl-a  send a Ctrl-a");
		log_info("Ctrl-a b  send a break             Ctrl-a h       this help");
		break;
	default:
		break;
	}
}

/* ---- The whole life ---- */

/* The consoles that the kernel may print to. True when one of them is a person's terminal. */
static bool watch_consoles(struct vm *vm)
{
	struct chr *const chrs[VM_WATCHED_MAX] = {vm->machine.serial, vm->machine.hvc0};
	bool interactive = false;

	for (unsigned i = 0; i < VM_WATCHED_MAX; i++) {
		vm->consoles[i].vm = vm;
		if (!chrs[i])
			continue;
		chr_set_observer(chrs[i], on_console_output, &vm->consoles[i]);
		chr_set_escape(chrs[i], handle_key, vm);
		interactive |= chr_is_terminal(chrs[i]);
	}
	return interactive;
}

static void print_description(const struct vm *vm, bool interactive)
{
	char text[300];

	machine_describe(&vm->machine, text, sizeof(text));
	log_info("%s%s", text, interactive ? "; Ctrl-a x quits, Ctrl-a h helps" : "");
	machine_describe_words(&vm->machine, text, sizeof(text));
	if (text[0])
		log_info("the kernel is told %s, to start faster and sleep when idle; not so with "
			 "--no-boot-words",
			text);
}

static int start(struct vm *vm, struct err *err)
{
	struct loop *loop = vm->machine.loop;
	bool interactive;
	int ret;

	ret = loop_fd_add(loop, &vm->signal_watch);
	if (ret < 0)
		return err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch for signals: %s",
			strerror(-ret));
	interactive = watch_consoles(vm);
	if (log_is_enabled(LOG_INFO))
		print_description(vm, interactive);
	if (vm->config->timeout_ms)
		loop_timer_arm(loop, &vm->timeout, vm->config->timeout_ms * UINT64_C(1000000));
	set_state(vm, VM_RUNNING);
	if (vm->machine.display) {
		display_set_name(vm->machine.display, vm->config->name);
		display_set_owner(vm->machine.display, vm_handle_display, vm);
	}
	ret = vm_debug_start(vm, err);
	if (ret >= 0)
		ret = machine_start(&vm->machine, err);
	if (ret < 0)
		return ret;
	if (vm->machine.starts_still)
		vm_hold(vm, VM_HOLD_DEBUGGER);
	vm->started_ns = util_now_ns();
	watchdog_start(vm, interactive);
	if (vm->is_claimed)
		ret = control_start(&vm->control, vm->claim.listen_fd, loop, vm_commands, vm, err);
	if (ret < 0)
		return ret;
	/* A guest that stands still for minutes would be the only other sign. */
	if (!cpu_x86_has_virtualization())
		log_warn("this processor offers no virtualization (neither vmx nor svm): KVM may "
			 "interpret the guest and stock kernels may not start; see vmm doctor");
	return 0;
}

/*
 * Takes the name under which others find this machine. A host without a place for it (a
 * read-only system) costs the machine nothing but that.
 */
static int claim_name(struct vm *vm, struct vm_config *config, struct err *err)
{
	struct err trouble = ERR_INIT;
	int ret = runtime_name_claim(&vm->claim, config->has_name ? config->name : NULL, &trouble);

	if (ret == -EADDRINUSE) {
		err_set(err, trouble.kind, EADDRINUSE, "%s", trouble.text);
		err_hint(err, "%s", trouble.hint);
		return ret;
	}
	if (ret < 0) {
		log_debug("other programs can't reach this machine by its name: %s", trouble.text);
		return 0;
	}
	vm->is_claimed = true;
	config->name = vm->claim.name;
	return 0;
}

int vm_run(struct vm_config *config, struct err *err)
{
	/* Zero without being written to: most of it is room for more than a machine has. */
	static struct vm vm;
	const struct machine_hooks hooks = {.request = on_request,
		.vcpu_event = on_vcpu_event,
		.opaque = &vm,
		.boot_timer = config->boot_timer == BOOT_TIMER_OFF ? NULL : &vm.boot_timer};
	int ret;

	vm.config = config;
	vm.err = err;
	pthread_mutex_init(&vm.mutex, NULL);
	vm.event_task = (struct loop_task){.fn = handle_event, .opaque = &vm};
	vm.timeout = (struct loop_timer){.fn = handle_timeout, .opaque = &vm};
	vm.grace = (struct loop_timer){.fn = handle_grace, .opaque = &vm};
	vm.panic_grace = (struct loop_timer){.fn = handle_panic_grace, .opaque = &vm};
	if (hooks.boot_timer)
		boot_timer_init(&vm.boot_timer, config->main_ns);
	/* Before any thread is made: all inherit the mask. */
	ret = signals_open(err);
	vm.signal_watch =
		(struct loop_fd){.fd = ret, .events = EPOLLIN, .fn = handle_signal, .opaque = &vm};
	if (ret >= 0)
		ret = claim_name(&vm, config, err);
	if (ret >= 0)
		ret = machine_init(&vm.machine, config, &hooks, err);
	if (ret >= 0) {
		ret = start(&vm, err);
		if (ret >= 0) {
			loop_run(vm.machine.loop);
			ret = vm.exit_code;
		}
		loop_fd_remove(&vm.signal_watch);
		control_stop(vm.control);
		watchdog_finish(&vm.watchdog);
		vm_debug_stop(&vm);
		machine_finish(&vm.machine);
	}
	if (vm.is_claimed)
		runtime_name_release(&vm.claim);
	if (vm.signal_watch.fd >= 0)
		close(vm.signal_watch.fd);
	if (hooks.boot_timer && ret >= 0) {
		boot_timer_note(&vm.boot_timer, BOOT_STEP_CLOSED);
		boot_timer_print(&vm.boot_timer, config->boot_timer == BOOT_TIMER_JSON, stderr);
	}
	return ret < 0 ? (int)err->kind : ret;
}
