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

#include "vmm/base/opts.h"
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

/* ---- Consoles ---- */

struct console {
	const char *name;
	struct chr *chr;
};

/* All that can be attached to; the first is the one that is meant when none is named. */
static size_t list_consoles(const struct machine *machine, struct console *list)
{
	bool hvc0_first = machine->config->console != CONSOLE_SERIAL;
	size_t count = 0;

	if (machine->hvc0 && hvc0_first)
		list[count++] = (struct console){"hvc0", machine->hvc0};
	if (machine->serial)
		list[count++] = (struct console){"serial", machine->serial};
	if (machine->hvc0 && !hvc0_first)
		list[count++] = (struct console){"hvc0", machine->hvc0};
	/* It is with one of the others unless somebody said otherwise. */
	if (machine->debugcon && machine->debugcon != machine->serial &&
		machine->debugcon != machine->hvc0)
		list[count++] = (struct console){"debugcon", machine->debugcon};
	for (unsigned i = 0; i < machine->port_count; i++)
		if (machine->ports[i].name)
			list[count++] =
				(struct console){machine->ports[i].name, machine->ports[i].chr};
	return count;
}

/* The console that a word of the request names; NULL and a failed call when there is none. */
static struct chr *find_console(
	struct control_call *call, const struct machine *machine, const char *name)
{
	struct console list[MACHINE_CONSOLES_MAX];
	size_t count = list_consoles(machine, list);
	char names[200] = "";

	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(names);

		if (!strcmp(name, "-") || !strcmp(name, list[i].name))
			return list[i].chr;
		snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "", list[i].name);
	}
	if (count)
		control_fail(call, "there is no console '%s'; there are: %s", name, names);
	else
		control_fail(call, "the machine has no console");
	return NULL;
}

static void run_console(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct err err = ERR_INIT;
	bool leaves = call->word_count > 1 && !strcmp(call->words[1], "send");
	struct chr *chr = find_console(call, &vm->machine, call->words[0]);
	int fd = chr ? control_socket(call) : -1;

	if (fd < 0)
		return;
	/* The answer goes out before the replay, and by the same way. */
	if (chr_client_add(chr, fd, "ok 0\n", leaves, &err) < 0)
		control_fail(call, "%s", err.text);
	else
		control_take(call);
}

static void run_break(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct chr *chr = find_console(call, &vm->machine, call->words[0]);

	if (chr)
		chr_send_break(chr);
}

static void run_resize(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct chr *chr = find_console(call, &vm->machine, call->words[0]);
	uint64_t columns, rows;

	if (!chr)
		return;
	if (opts_parse_number("resize", call->words[1], 1, UINT16_MAX, &columns, NULL) < 0 ||
		opts_parse_number("resize", call->words[2], 1, UINT16_MAX, &rows, NULL) < 0)
		control_fail(call, "resize takes a number of columns and one of rows");
	else
		chr_client_set_size(chr, (unsigned)columns, (unsigned)rows);
}

/* ---- Status ---- */

static void print_consoles(struct control_call *call, const struct machine *machine)
{
	struct console list[MACHINE_CONSOLES_MAX];
	size_t count = list_consoles(machine, list);

	for (size_t i = 0; i < count; i++)
		control_print(call, "console=%s %s\n", list[i].name, chr_name(list[i].chr));
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
	vm_print_nics(call, &vm->machine);
	vm_print_window(call, &vm->machine);
	vm_print_input(call, &vm->machine);
}

/* ---- Life ---- */

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
	{"stat", "[CPU]", 0, 1, vm_command_stat},
	{"stop", "", 0, 0, run_stop},
	{"kill", "", 0, 0, run_kill},
	{"pause", "", 0, 0, run_pause},
	{"resume", "", 0, 0, run_resume},
	{"console", "NAME|- [send]", 1, 2, run_console},
	{"break", "NAME|-", 1, 1, run_break},
	{"resize", "NAME|- COLUMNS ROWS", 3, 3, run_resize},
	{"link", "[NIC] up|down", 1, 2, vm_command_link},
	{"screen", "WIDTHxHEIGHT", 1, 1, vm_command_screen},
	{"balloon", "[SIZE]", 0, 1, vm_command_balloon},
	{"key", "[CHORD...]", 0, CONTROL_WORDS_MAX, vm_command_key},
	{"pointer", "[WORD...]", 0, CONTROL_WORDS_MAX, vm_command_pointer},
	{"screenshot", "", 0, 0, vm_command_screenshot},
	{.name = NULL},
};
