/*
 * Inside of struct vm, for vm.c and for the commands that others may give it (vm_commands.c).
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/machine.h"
#include "vmm/panic_watch.h"
#include "vmm/runtime_dir.h"
#include "vmm/watchdog.h"

enum vm_state {
	VM_BUILDING,
	VM_RUNNING,
	VM_RESETTING,
	VM_PAUSED,
	VM_ENDED
};

enum vm_event {
	VM_EVENT_NONE,
	VM_EVENT_POWEROFF,
	VM_EVENT_RESET,
	VM_EVENT_EXIT,	/* value: the status */
	VM_EVENT_CRASH, /* vcpu: who */
};

/* Who keeps it paused. */
enum {
	VM_HOLD_PERSON = 1u << 0,
	VM_HOLD_DEBUGGER = 1u << 1,
};

/* Two consoles may print at the same time, each a panic of its own. */
enum {
	VM_WATCHED_MAX = 2
};

struct watched_console {
	struct vm *vm;
	struct panic_watch panic;
};

struct vm {
	const struct vm_config *config;
	struct machine machine;
	enum vm_state state;
	unsigned holds; /* VM_HOLD_*: while there is one it is paused */
	int exit_code;
	struct err *err; /* the owner's, for a reset that fails */

	pthread_mutex_t mutex; /* guards the next five */
	enum vm_event event;   /* the first that is not handled yet */
	int event_value;
	struct vcpu *event_vcpu;
	bool panicked;					 /* pvpanic said so */
	struct watched_console consoles[VM_WATCHED_MAX]; /* ttyS0 and hvc0 */

	struct loop_task event_task;
	struct loop_timer timeout, grace, panic_grace;
	struct loop_fd signal_watch;
	unsigned signals_seen;
	int last_signal;
	struct log_limit resets;
	void (*end_when_told)(struct vm *vm); /* it ends, and the watchdog is saying how it was */
	struct watchdog watchdog;

	struct runtime_name claim; /* the name under which others find this machine */
	bool is_claimed;
	struct vm_debugger *debugger; /* NULL without --gdb */
	struct control *control;      /* NULL: nobody can ask it anything */
	uint64_t started_ns;
	struct boot_timer boot_timer; /* with --boot-timer */
};

/* The loop's thread, all of them. */

/* Ends the machine; the first end decides the status. */
void vm_end(struct vm *vm, int exit_code);

/* All processors stand still between two instructions; false when the machine does not run. */
bool vm_pause(struct vm *vm);

/* They go on; false when nobody has paused the machine. A debugger may hold it all the same. */
bool vm_resume(struct vm *vm);

/* The same for one of VM_HOLD_*; legal in any state. */
void vm_hold(struct vm *vm, unsigned who);
void vm_release(struct vm *vm, unsigned who);

/* Asks the guest to power off; false when it can't hear that, and is ended instead. */
bool vm_press_power_button(struct vm *vm);

/* Starts the machine afresh, whatever the guest does; while it runs or is paused. */
void vm_restart(struct vm *vm);

/* vm_display.c: what people ask for in a window or a viewer, for display_set_owner(). */
void vm_handle_display(void *opaque, enum display_request request);

/* "running", "paused", ... */
const char *vm_state_name(const struct vm *vm);

/* vm_commands_devices.c: lines for the status, and commands. */
void vm_print_nics(struct control_call *call, const struct machine *machine);
void vm_command_link(struct control_call *call, void *opaque);
void vm_command_screen(struct control_call *call, void *opaque);		/* vm_display.c */
void vm_print_window(struct control_call *call, const struct machine *machine); /* vm_display.c */
void vm_command_balloon(struct control_call *call, void *opaque);

/*
 * vm_debug.c: the debugger. start() and stop() do nothing without --gdb, nor do the others, of which
 * note_event() is for any thread and only for a debugger's event.
 */
int vm_debug_start(struct vm *vm, struct err *err);
void vm_debug_stop(struct vm *vm);
bool vm_debug_is_attached(const struct vm *vm);
void vm_debug_note_event(struct vm *vm);
void vm_debug_look(struct vm *vm); /* at once, what note_event() has posted */
bool vm_debug_note_crash(struct vm *vm, struct vcpu *vcpu); /* true: the end has to wait for it */
void vm_debug_note_reset(struct vm *vm);
void vm_debug_note_end(struct vm *vm);

/* vm_stat.c */
void vm_command_stat(struct control_call *call, void *opaque);

/* vm_display.c: a picture of the screen. */
void vm_command_screenshot(struct control_call *call, void *opaque);

/* vm_input.c: lines for the status, and commands. */
void vm_print_input(struct control_call *call, const struct machine *machine);
void vm_command_key(struct control_call *call, void *opaque);
void vm_command_pointer(struct control_call *call, void *opaque);

/* What others may ask of the machine, for control_start() with a struct vm. */
extern const struct control_command vm_commands[];
