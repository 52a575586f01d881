/*
 * See watch_facts.h.
 */
#include "vmm/watch_facts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/symbols.h"
#include "vmm/kvm/cpu_x86.h"
#include "vmm/vm_impl.h"
#include "vmm/watch_words.h"

/* Where Linux puts its lowest 2 GiB of physical memory: its early code runs without that. */
#define LINUX_KERNEL_MAP UINT64_C(0xffffffff80000000)

/* ---- Symbols ---- */

static bool find_in_file(const char *path, uint64_t code, struct symbol *symbol)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct source source;
	struct stat st;
	bool found = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		source = source_from_fd(&fd, (uint64_t)st.st_size);
		found = symbols_find(&source, code, symbol);
		if (!found && code < LINUX_KERNEL_MAP)
			found = code < 2 * GIB &&
				symbols_find(&source, code + LINUX_KERNEL_MAP, symbol);
	}
	close(fd);
	return found;
}

/* /boot/vmlinuz-6.1.0 → /boot/System.map-6.1.0; arch/x86/boot/bzImage → vmlinux. */
static bool find_beside(const char *kernel, uint64_t code, struct symbol *symbol)
{
	static const char *const names[] = {
		"System.map", "vmlinux", "../../../System.map", "../../../vmlinux"};
	const char *slash = strrchr(kernel, '/'), *name = slash ? slash + 1 : kernel;
	const char *version = strchr(name, '-');
	char path[PATH_MAX];
	int dir = (int)(name - kernel);

	if (version &&
		(size_t)snprintf(path, sizeof(path), "%.*sSystem.map%s", dir, kernel, version) <
			sizeof(path) &&
		find_in_file(path, code, symbol))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((size_t)snprintf(path, sizeof(path), "%.*s%s", dir, kernel, names[i]) <
				sizeof(path) &&
			find_in_file(path, code, symbol))
			return true;
	return false;
}

bool watch_find_symbol(const struct vm *vm, uint64_t code, char *text, size_t size)
{
	const struct vm_config *config = vm->config;
	struct symbol symbol;
	uint64_t low = code;

	/* A boot sector may be started from a disk. */
	if (!config->symbols && !config->kernel)
		return false;
	if (config->symbols ? !find_in_file(config->symbols, code, &symbol)
			    : !find_in_file(config->kernel, code, &symbol) &&
				!find_beside(config->kernel, code, &symbol))
		return false;
	if (symbol.address > code)
		low += LINUX_KERNEL_MAP;
	snprintf(text, size, "%s+0x%llx", symbol.name, (unsigned long long)(low - symbol.address));
	return true;
}

/* ---- Facts ---- */

static enum guest_driver disk_driver(const struct vm *vm, unsigned nth)
{
	struct device *device = machine_find_device(&vm->machine, "virtio-blk", nth);

	return device ? guest_driver_of(device) : GUEST_DRIVER_READY;
}

static void add_console(
	struct watch_facts *facts, const char *name, struct chr *chr, enum guest_driver driver)
{
	struct chr_stats stats;

	if (!chr)
		return;
	chr_get_stats(chr, &stats);
	facts->consoles[facts->console_count++] = (struct watch_console){
		.name = name,
		.host_side = chr_name(chr),
		.is_shown = strcmp(chr_name(chr), "null") != 0,
		.bytes = stats.output_bytes,
		.driver = driver,
	};
}

/* Who has this terminal for a console looks at that, and not at what else there is. */
static void prefer_stdio(struct watch_facts *facts)
{
	bool has_stdio = false;

	for (unsigned i = 0; i < facts->console_count; i++)
		has_stdio |= !strcmp(facts->consoles[i].host_side, "stdio");
	for (unsigned i = 0; has_stdio && i < facts->console_count; i++)
		facts->consoles[i].is_shown = !strcmp(facts->consoles[i].host_side, "stdio");
}

static void gather_consoles(const struct machine *machine, struct watch_facts *facts)
{
	struct device *console = machine_find_device(machine, "virtio-console", 0);

	add_console(facts, "ttyS0", machine->serial, GUEST_DRIVER_READY);
	add_console(facts, "hvc0", machine->hvc0,
		console ? guest_driver_of(console) : GUEST_DRIVER_READY);
	if (machine->debugcon != machine->serial && machine->debugcon != machine->hvc0)
		add_console(facts, "port 0xe9", machine->debugcon, GUEST_DRIVER_READY);
	prefer_stdio(facts);
	if (machine->display)
		facts->consoles[facts->console_count++] = (struct watch_console){.name = "tty0",
			.host_side = "the screen",
			.is_shown = true,
			.is_screen = true};
}

/* What the guest said; `words` are copies, for the console may go on. */
struct said {
	bool has_reason;
	char reason[PANIC_WATCH_LINE_MAX], line[PANIC_WATCH_LINE_MAX];
};

static void gather_words(struct vm *vm, struct said *said)
{
	pthread_mutex_lock(&vm->mutex);
	for (unsigned i = VM_WATCHED_MAX; i-- > 0;) {
		struct panic_watch *watch = &vm->consoles[i].panic;
		const char *reason = panic_watch_reason(watch);
		const char *line = panic_watch_last_line(watch);

		if (reason) {
			said->has_reason = true;
			memcpy(said->reason, watch->reason, sizeof(said->reason));
		}
		if (*line)
			snprintf(said->line, sizeof(said->line), "%s", line);
	}
	pthread_mutex_unlock(&vm->mutex);
}

static const char *find_device(const struct vm *vm, const struct watch_verdict *verdict)
{
	const struct exit_record *access = &vm->watchdog.cpus[verdict->cpu].last.last;
	bool is_port = access->kind == EXIT_KIND_PIO_READ || access->kind == EXIT_KIND_PIO_WRITE;
	const struct bus_range *range =
		bus_find(is_port ? &vm->machine.pio : &vm->machine.mmio, access->addr);

	return range ? range->name : NULL;
}

void watch_report_make(struct vm *vm, struct watch_report *report)
{
	enum guest_driver drivers[CONFIG_DISKS_MAX];
	struct said said = {.has_reason = false};
	struct watch_facts facts = {
		.cpus = vm->watchdog.cpus,
		.cpu_count = vm->watchdog.cpu_count,
		.window_ns = util_now_ns() - vm->watchdog.first_ns,
		.is_linux = boot_is_linux(vm->machine.boot),
		.is_interpreted = !cpu_x86_has_virtualization(),
		.cmdline = vm->machine.cmdline,
		.last_line = said.line,
		.disk_count = vm->config->disk_count,
		.disk_drivers = drivers,
		.has_initrd = vm->config->initrd_count > 0,
	};
	char place[WATCH_SYMBOL_MAX + 40], symbol[WATCH_SYMBOL_MAX];
	uint64_t code;

	gather_words(vm, &said);
	facts.panic_reason = said.has_reason ? said.reason : NULL;
	gather_consoles(&vm->machine, &facts);
	for (unsigned i = 0; i < facts.disk_count; i++)
		drivers[i] = disk_driver(vm, i);
	watch_judge(&facts, &report->verdict);
	code = report->verdict.code;
	if (report->verdict.has_place && watch_find_symbol(vm, code, symbol, sizeof(symbol)))
		snprintf(place, sizeof(place), "RIP 0x%llx (%s)", (unsigned long long)code, symbol);
	else
		snprintf(place, sizeof(place), "RIP 0x%llx", (unsigned long long)code);
	watch_explain(&facts, &report->verdict, place,
		report->verdict.kind == WATCH_POLLS ? find_device(vm, &report->verdict) : NULL,
		report->text, report->hint);
}

enum guest_driver watch_root_driver(const struct vm *vm)
{
	int root = watch_root_disk(vm->machine.cmdline);

	return disk_driver(vm, root < 0 ? 0 : (unsigned)root);
}
