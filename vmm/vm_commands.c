/*
 * What others may ask of a running machine over its control socket: one function for each
 * command, and the table of them. control.h says how they are sent and answered.
 *
 * Threads: the loop's.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/vm_impl.h"

/* "Linux 6.1.0-56-cloud-amd64" of "Linux 6.1.0-56-cloud-amd64 (bzImage, ...)". */
static void describe_guest(const struct vm *vm, char *text, size_t size)
{
	char *more;

	boot_describe(vm->machine.boot, text, size);
	more = strstr(text, " (");
	if (more)
		*more = 0;
}

static void print_consoles(struct control_call *call, const struct machine *machine)
{
	if (machine->serial)
		control_print(call, "console=serial %s\n", chr_name(machine->serial));
	if (machine->hvc0)
		control_print(call, "console=hvc0 %s\n", chr_name(machine->hvc0));
	/* It is with one of the others unless somebody said otherwise. */
	if (machine->debugcon && machine->debugcon != machine->serial &&
		machine->debugcon != machine->hvc0)
		control_print(call, "console=debugcon %s\n", chr_name(machine->debugcon));
}

static void run_status(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	const struct vm_config *config = vm->config;
	char guest[160];

	describe_guest(vm, guest, sizeof(guest));
	control_print(call, "name=%s\npid=%d\nstate=%s\n", config->name, (int)getpid(),
		vm_state_name(vm));
	control_print(call, "guest=%s\ncpus=%u\nmemory=%llu\nuptime_ms=%llu\n", guest, config->cpus,
		(unsigned long long)config->memory_bytes,
		(unsigned long long)((util_now_ns() - vm->started_ns) / 1000000));
	for (unsigned i = 0; i < config->disk_count; i++)
		control_print(call, "disk=vd%c %s%s\n", 'a' + (int)i, config->disks[i].path,
			config->disks[i].read_only	     ? ", read-only"
				: config->disks[i].ephemeral ? ", ephemeral"
							     : "");
	print_consoles(call, &vm->machine);
}

static void run_stop(struct control_call *call, void *opaque)
{
	struct vm *vm = opaque;

	/* A guest that stands still can't hear the button. */
	vm_resume(vm);
	if (vm->state != VM_RUNNING)
		control_fail(call, "the machine is %s", vm_state_name(vm));
	else if (!machine_press_power_button(&vm->machine))
		control_fail(call, "the machine has no power button");
	else
		log_info("vmm stop: pressed the guest's power button");
}

static void run_kill(struct control_call *call, void *opaque)
{
	struct vm *vm = opaque;

	(void)call;
	log_error("vmm kill: the guest is ended");
	vm_end(vm, EXIT_CODE_SIGNAL_BASE + SIGKILL);
}

static void run_pause(struct control_call *call, void *opaque)
{
	struct vm *vm = opaque;

	if (!vm_pause(vm))
		control_fail(call, "the machine is %s", vm_state_name(vm));
}

static void run_resume(struct control_call *call, void *opaque)
{
	struct vm *vm = opaque;

	if (!vm_resume(vm))
		control_fail(call, "the machine is %s", vm_state_name(vm));
}

const struct control_command vm_commands[] = {
	{"status", "", 0, 0, run_status},
	{"stop", "", 0, 0, run_stop},
	{"kill", "", 0, 0, run_kill},
	{"pause", "", 0, 0, run_pause},
	{"resume", "", 0, 0, run_resume},
	{.name = NULL},
};
