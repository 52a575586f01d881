/*
 * What a person at the window, or at a VNC viewer, asks of the machine. See vm_impl.h; the loop's
 * thread.
 */
#include "vmm/vm_impl.h"

#include <signal.h>

#include "vmm/base/log.h"

static void turn_pause(struct vm *vm)
{
	if (!vm_resume(vm))
		vm_pause(vm);
}

static void restart(struct vm *vm)
{
	/* One that stands still is woken first: it is then stopped as any other. */
	vm_resume(vm);
	log_info("reset, as was asked for at the screen");
	vm_restart(vm);
}

void vm_handle_display(void *opaque, enum display_request request)
{
	struct vm *vm = opaque;

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return;
	switch (request) {
	case DISPLAY_REQUEST_POWEROFF:
		vm->last_signal = SIGTERM;
		vm_press_power_button(vm, "its window was closed");
		break;
	case DISPLAY_REQUEST_QUIT:
		log_info("ended by closing the window again");
		vm_end(vm, EXIT_CODE_OK);
		break;
	case DISPLAY_REQUEST_PAUSE:
		turn_pause(vm);
		break;
	case DISPLAY_REQUEST_RESET:
		restart(vm);
		break;
	}
}

void vm_command_resize(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct err err = ERR_INIT;
	unsigned width, height;

	if (!vm->machine.display)
		control_fail(call, "the machine has no screen");
	else if (config_read_screen_size(call->words[0], &width, &height, &err) < 0)
		control_fail(call, "%s", err.text);
	else
		display_request_size(vm->machine.display, width, height);
}
