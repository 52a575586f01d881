/*
 * See machine.h. The order: what a person named wrongly is found first (kernel,
 * disks, consoles), then what the host lacks (memory, KVM), then the devices.
 *
 * Threads: the loop's, but for the platform operations that devices call from
 * vCPU threads; those touch only what is fixed by then.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/bios_disk.h"
#include "devices/legacy/power.h"
#include "firmware/boot_explain.h"
#include "firmware/cmdline.h"
#include "firmware/fdt.h"
#include "vmm/base/log.h"
#include "vmm/core/explain.h"
#include "vmm/kvm/irqchip.h"
#include "vmm/layout_x86.h"
#include "vmm/machine_bios.h"
#include "vmm/machine_cmdline.h"
#include "vmm/machine_console.h"
#include "vmm/machine_display.h"
#include "vmm/machine_explain.h"
#include "vmm/machine_net.h"
#include "vmm/machine_paper.h"
#include "vmm/machine_profile.h"
#include "vmm/machine_trace.h"

enum {
	DISK_QUEUES_MAX = 4
};

/* ---- What devices ask of the platform ---- */

static int connect_irq(
	void *opaque, unsigned gsi, bool level, struct irq_line *line, struct err *err)
{
	struct machine *machine = opaque;
	int ret = kvm_irq_connect(&machine->kvm, gsi, level, line, err);

	if (ret < 0 || !machine->trace)
		return ret;
	return trace_tap_irq(
		machine->trace, machine->devices[machine->device_count - 1], line, err);
}

static int set_ioeventfd(
	void *opaque, bool pio, uint64_t addr, unsigned size, uint64_t value, int fd, bool assign)
{
	struct machine *machine = opaque;

	return kvm_ioeventfd(&machine->kvm, pio, addr, size, value, fd, assign);
}

/* RAM has the first slots; a device's number is its slot's. */
static int map_memory(void *opaque, uint64_t addr, void *host, uint64_t size, struct err *err)
{
	struct machine *machine = opaque;
	unsigned slot = machine->mem.region_count;
	int ret;

	while (slot < KVM_SLOTS_MAX && machine->kvm.slots[slot].used)
		slot++;
	if (slot == KVM_SLOTS_MAX)
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC, "no room for more device memory");
	ret = kvm_set_memory(&machine->kvm, slot, addr, size, host, KVM_MEMORY_LOG_WRITES, err);
	return ret < 0 ? ret : (int)slot;
}

static void unmap_memory(void *opaque, int number)
{
	struct machine *machine = opaque;

	kvm_set_memory(&machine->kvm, (unsigned)number, 0, 0, NULL, 0, NULL);
}

static int take_dirty(void *opaque, int number, uint64_t *bitmap)
{
	struct machine *machine = opaque;

	return kvm_take_dirty(&machine->kvm, (unsigned)number, bitmap);
}

/* As often as somebody who reads along can see, and the ring has room for. */
#define COALESCE_TICK_NS UINT64_C(5000000)

static void handle_coalesce_tick(void *opaque)
{
	struct machine *machine = opaque;

	if (coalesce_tick(&machine->kvm, &machine->pio))
		loop_timer_arm(machine->loop, &machine->coalesce_timer, COALESCE_TICK_NS);
}

static void coalesce_pio(void *opaque, uint16_t port, uint16_t status, bool on)
{
	struct machine *machine = opaque;

	if (!on)
		coalesce_end(&machine->kvm);
	/* A trace has each write as an exit. */
	else if (!machine->trace && coalesce_begin(&machine->kvm, port, status))
		loop_timer_arm(machine->loop, &machine->coalesce_timer, COALESCE_TICK_NS);
}

static void pass_request(void *opaque, enum machine_request request, int value)
{
	struct machine *machine = opaque;

	if (machine->recorder)
		trace_tape_note(machine->recorder, TRACE_TAPE_REQUEST, request, (uint64_t)value);
	machine->hooks.request(machine->hooks.opaque, request, value);
}

static const struct platform_ops platform_ops = {
	.irq_connect = connect_irq,
	.ioeventfd = set_ioeventfd,
	.memory_map = map_memory,
	.memory_unmap = unmap_memory,
	.memory_take_dirty = take_dirty,
	.pio_coalesce = coalesce_pio,
	.request = pass_request,
};

static void init_platform(struct machine *machine)
{
	bus_init(&machine->pio, "port");
	bus_init(&machine->mmio, "MMIO");
	machine->coalesce_timer =
		(struct loop_timer){.fn = handle_coalesce_tick, .opaque = machine};
	machine->platform = (struct platform){
		.mem = &machine->mem,
		.pio = &machine->pio,
		.mmio = &machine->mmio,
		.loop = machine->loop,
		.ops = !machine->config->on_paper ? &platform_ops
			: machine->hooks.paper	  ? machine->hooks.paper
						  : &machine_paper_ops,
		.opaque = machine->hooks.paper ? machine->hooks.opaque : machine,
		.trace = machine->trace,
		.tape = machine->recorder ? trace_tape_of(machine->recorder) : machine->hooks.tape,
		.mmio_next = LAYOUT_VIRTIO_BASE,
		.mmio_end = LAYOUT_VIRTIO_END,
		.irq_first = LAYOUT_IRQ_FIRST,
		.irq_next = LAYOUT_IRQ_FIRST,
		.irq_end = LAYOUT_IRQ_END,
	};
}

static void note_step(struct machine *machine, enum boot_step step)
{
	boot_timer_note(machine->hooks.boot_timer, step);
}

/* ---- Files ---- */

static int open_files(struct machine *machine, struct err *err)
{
	const struct vm_config *config = machine->config;
	struct boot_config boot_config = {
		.kernel_path = config->kernel,
		.initrd_paths = config->initrds,
		.initrd_count = config->initrd_count,
		.flat = config->flat,
		.boot_sector = config->boot_sector,
		/* Who asks for a random kernel address gets the kernel's own decompressor. */
		.unpack = !config->no_unpack && !cmdline_has(config->append, "kaslr"),
		.cache = !config->no_kernel_cache,
	};
	int ret = config->kernel || config->boot_sector
		? boot_open(&machine->boot, &boot_config, err)
		: 0;

	note_step(machine, BOOT_STEP_KERNEL_FOUND);
	for (unsigned i = 0; ret >= 0 && i < config->disk_count; i++) {
		const struct disk_config *disk = &config->disks[i];
		struct blk_config blk_config = {
			.path = disk->path,
			.read_only = disk->read_only,
			.ephemeral = disk->ephemeral,
		};

		ret = blk_open(&machine->disks[i], &blk_config, machine->loop, err);
	}
	if (ret >= 0)
		ret = machine_bios_open(machine, err);
	if (ret >= 0)
		ret = machine_net_open(machine, err);
	if (ret >= 0 && config->vsock.path)
		ret = vsock_open(&machine->vsock, config->vsock.path, machine->loop, err);
	if (ret >= 0)
		ret = machine_display_open(machine, err);
	return ret < 0 ? ret : machine_console_open(machine, err);
}

/* ---- The kernel command line ---- */

static int64_t read_disk(void *opaque, uint64_t offset, void *buf, uint64_t len)
{
	return blk_read_sync(opaque, offset, buf, len);
}

static int build_cmdline(struct machine *machine, struct err *err)
{
	const struct vm_config *config = machine->config;
	struct machine_cmdline_disk disks[CONFIG_DISKS_MAX];
	const struct machine_cmdline_facts facts = {
		.has_screen = machine->display != NULL,
		.has_serial = machine->serial != NULL,
		.has_hvc0 = machine->hvc0 != NULL,
		.is_linux = !boot_is_own(machine->boot),
		.disks = disks,
	};

	for (unsigned i = 0; i < config->disk_count; i++)
		disks[i] = (struct machine_cmdline_disk){
			.source = {.read = read_disk,
				.opaque = machine->disks[i],
				.size = blk_info(machine->disks[i])->size},
			.read_only = blk_info(machine->disks[i])->read_only,
		};
	if (!machine->cmdline)
		machine->cmdline = malloc(CMDLINE_MAX);
	if (!machine->cmdline)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the command line");
	return machine_cmdline_build(config, &facts, machine->cmdline, CMDLINE_MAX, err);
}

/* A window that nobody asked for and that can't be opened leaves the machine without a screen. */
static int start_display(struct machine *machine, struct err *err)
{
	bool had_screen = machine->display;
	int ret = machine_display_start(machine, err);

	return ret >= 0 && had_screen && !machine->display ? build_cmdline(machine, err) : ret;
}

/* ---- KVM and memory ---- */

static int open_kvm(struct machine *machine, struct err *err)
{
	struct gmem_config mem_config = {
		.size = machine->config->memory_bytes,
		.hole_start = LAYOUT_HOLE_START,
		.high_base = LAYOUT_HIGH_RAM_BASE,
		/* A machine on paper takes none from the pool. */
		.hugepages = machine->config->hugepages && !machine->config->on_paper,
	};
	int ret;

	explain_head("KVM (kernel: Documentation/virt/kvm/api.rst, sections in brackets)");
	if (machine->config->on_paper) {
		explain("the machine is made on paper: nothing is asked of /dev/kvm");
		return gmem_init(&machine->mem, &mem_config, err);
	}
	ret = kvm_open(&machine->kvm, err);
	if (ret < 0)
		return ret;
	machine->kvm_is_open = true;
	note_step(machine, BOOT_STEP_KVM);
	machine->kvm.no_pit = machine->config->profile == PROFILE_MICRO;
	/* Who reads each step reads them one after the other. */
	if (explain_is_on())
		ret = kvm_create_vm(&machine->kvm, err);
	else
		kvm_begin_vm(&machine->kvm);
	if (ret >= 0)
		ret = gmem_init(&machine->mem, &mem_config, err);
	for (unsigned i = 0; ret >= 0 && i < machine->mem.region_count; i++) {
		const struct gmem_region *region = &machine->mem.regions[i];

		ret = kvm_set_memory(
			&machine->kvm, i, region->base, region->size, region->host, 0, err);
	}
	note_step(machine, BOOT_STEP_MEMORY);
	return ret;
}

/* ---- Devices ---- */

/* "serial0": by hand, for it is done for each device of each start. */
static void name_device(const struct device_class *class, unsigned index, char *name)
{
	size_t len = strnlen(class->name, DEVICE_NAME_MAX - 3);

	memcpy(name, class->name, len);
	if (index >= 10)
		name[len++] = (char)('0' + index / 10 % 10);
	name[len++] = (char)('0' + index % 10);
	name[len] = '\0';
}

static int add_device(struct machine *machine, const struct device_class *class,
	struct device_args *args, struct err *err)
{
	char name[DEVICE_NAME_MAX];
	struct device *device;
	int ret;

	if (machine->device_count == MACHINE_DEVICES_MAX)
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC,
			"the machine has room for %d devices; ask for fewer", MACHINE_DEVICES_MAX);
	name_device(class, args->index, name);
	args->name = name;
	ret = device_create(&device, class, args, err);
	if (ret < 0)
		return ret;
	device->number = (uint16_t)machine->device_count;
	machine->devices[machine->device_count++] = device;
	if (explain_is_on())
		machine_explain_device(device);
	ret = device_realize(device, &machine->platform, err);
	if (explain_is_on())
		machine_explain_places(device);
	return ret;
}

/* How many of a class there are, and what each is given, follows from the configuration. */
static int add_class(struct machine *machine, const struct device_class *class, struct err *err)
{
	const struct vm_config *config = machine->config;
	struct device_args args = {
		.rtc_base_s = config->rtc_base_s,
		.display = machine->display,
		.input = machine->input,
		.width = config->display.width,
		.height = config->display.height,
		.base = LAYOUT_FRAMEBUFFER,
		.has_mouse = config->display.has_mouse,
		.boot_timer = machine->hooks.boot_timer,
	};
	unsigned count;
	int ret = 0;

	if (!machine_profile_allows(config->profile, class))
		return 0;
	if (!strcmp(class->name, "virtio-blk")) {
		args.queues = MIN(config->cpus, (unsigned)DISK_QUEUES_MAX);
		for (args.index = 0; ret >= 0 && args.index < config->disk_count; args.index++) {
			args.blk = machine->disks[args.index];
			args.serial = config->disks[args.index].serial;
			ret = add_device(machine, class, &args, err);
		}
		return ret;
	}
	if (!strcmp(class->name, "boot-mark"))
		return args.boot_timer || machine->trace || machine->hooks.tape
			? add_device(machine, class, &args, err)
			: 0;
	if (!strcmp(class->name, "virtio-rng"))
		return config->no_rng ? 0 : add_device(machine, class, &args, err);
	if (!strcmp(class->name, "virtio-net")) {
		for (args.index = 0; ret >= 0 && args.index < config->nic_count; args.index++) {
			machine_net_args(machine, &args);
			ret = add_device(machine, class, &args, err);
		}
		return ret;
	}
	if (!strcmp(class->name, "virtio-vsock")) {
		args.vsock = machine->vsock;
		args.vsock_cid = config->vsock.cid;
		return machine->vsock ? add_device(machine, class, &args, err) : 0;
	}
	if (!strcmp(class->name, "virtio-balloon")) {
		if (config->balloon_keep_bytes)
			args.balloon_bytes = config->memory_bytes - config->balloon_keep_bytes;
		return config->no_balloon ? 0 : add_device(machine, class, &args, err);
	}
	if (machine_display_has(machine, class, &count) ||
		machine_bios_args(machine, class, &args, &count) ||
		machine_console_args(machine, class, &args, &count))
		return count ? add_device(machine, class, &args, err) : 0;
	return add_device(machine, class, &args, err);
}

static int add_devices(struct machine *machine, struct err *err)
{
	int ret = 0;

	explain_head("The devices and their places (vmm/layout_x86.h)");
	for (size_t i = 0; ret >= 0 && device_classes[i]; i++)
		ret = add_class(machine, device_classes[i], err);
	if (ret >= 0)
		ret = machine_trace_tap(machine, err);
	bus_freeze(&machine->pio);
	bus_freeze(&machine->mmio);
	note_step(machine, BOOT_STEP_DEVICES);
	return ret;
}

struct device *machine_find_device(
	const struct machine *machine, const char *class_name, unsigned nth)
{
	for (size_t i = 0; i < machine->device_count; i++)
		if (!strcmp(machine->devices[i]->class->name, class_name) && !nth--)
			return machine->devices[i];
	return NULL;
}

/* ---- Life cycle ---- */

int machine_init(struct machine *machine, const struct vm_config *config,
	const struct machine_hooks *hooks, struct err *err)
{
	int ret;

	machine->config = config;
	machine->hooks = *hooks;
	machine->mem.fd = -1;
	ret = loop_create(&machine->loop, err);
	if (ret < 0)
		return ret;
	ret = machine_trace_open(machine, err);
	init_platform(machine);
	explain_head("The files");
	if (ret >= 0)
		ret = open_files(machine, err);
	note_step(machine, BOOT_STEP_FILES);
	if (ret >= 0) {
		machine_explain_files(machine);
		ret = build_cmdline(machine, err);
	}
	if (ret >= 0)
		ret = open_kvm(machine, err);
	if (ret >= 0 && !config->on_paper)
		ret = start_display(machine, err);
	if (ret >= 0)
		ret = add_devices(machine, err);
	if (ret >= 0)
		ret = machine_trace_start(machine, err);
	if (ret < 0)
		machine_finish(machine);
	return ret;
}

void machine_finish(struct machine *machine)
{
	machine_halt(machine);
	if (machine->kvm_is_open)
		kvm_leave_vm(&machine->kvm);
	machine_display_stop(machine);
	while (machine->device_count)
		device_destroy(machine->devices[--machine->device_count]);
	loop_timer_cancel(&machine->coalesce_timer);
	if (machine->kvm_is_open)
		kvm_finish(&machine->kvm);
	gmem_finish(&machine->mem);
	machine_display_close(machine);
	machine_console_close(machine);
	machine_net_close(machine);
	vsock_close(machine->vsock);
	for (unsigned i = 0; i < ARRAY_SIZE(machine->disks); i++)
		blk_close(machine->disks[i]);
	machine_bios_close(machine);
	boot_close(machine->boot);
	trace_tape_destroy(machine->recorder);
	trace_close(machine->trace);
	free(machine->cmdline);
	loop_destroy(machine->loop);
	*machine = (struct machine){.mem.fd = -1};
}

/* `apic_ids` has room for all processors; the description points to it. */
static struct boot_machine describe_to_kernel(const struct machine *machine, uint32_t *apic_ids)
{
	/*
	 * The interrupt controllers are where tables and processors say: a kernel needs no entry of
	 * the memory map for them, and Linux goes through that map some 10,000 times.
	 */
	static const struct boot_range reserved[] = {{LAYOUT_KVM_BASE, LAYOUT_KVM_SIZE}};
	bool has_tree = machine->config->profile == PROFILE_MICRO;

	for (unsigned i = 0; i < machine->config->cpus; i++)
		apic_ids[i] = i;
	return (struct boot_machine){
		.cmdline = machine->cmdline,
		.apic_ids = apic_ids,
		.cpu_count = machine->config->cpus,
		.devices = (const struct device *const *)machine->devices,
		.device_count = machine->device_count,
		.lapic_base = LAYOUT_LAPIC_BASE,
		.ioapic_base = LAYOUT_IOAPIC_BASE,
		.pit_gsi = 0, /* as KVM routes it by default */
		.reset_port = ACPI_PM_RESET_PORT,
		.reset_value = ACPI_PM_RESET_VALUE,
		.has_tree = has_tree,
		.power_off_value = POWER_OFF_VALUE,
		.bios_disk_port = BIOS_DISK_PORT,
		.bios_drive_count = machine->bios_drive_count,
		.reserved = reserved,
		/* Nothing in a machine with a tree looks for room for more devices. */
		.reserved_count = has_tree ? 0 : ARRAY_SIZE(reserved),
	};
}

int machine_build_tree(
	const struct machine *machine, uint8_t *buf, size_t room, size_t *used, struct err *err)
{
	uint32_t apic_ids[CONFIG_CPUS_MAX];
	struct boot_machine boot_machine = describe_to_kernel(machine, apic_ids);

	return fdt_build(&boot_machine, &machine->mem, buf, room, used, err);
}

int machine_build_acpi(
	const struct machine *machine, acpi_file_fn *write, void *opaque, struct err *err)
{
	uint32_t apic_ids[CONFIG_CPUS_MAX];
	struct boot_machine boot_machine = describe_to_kernel(machine, apic_ids);

	return acpi_write_files(&boot_machine, write, opaque, err);
}

static int load_kernel(struct machine *machine, struct cpu_entry *entry, struct err *err)
{
	const struct boot_screen screen = {
		.base = LAYOUT_FRAMEBUFFER,
		.width = machine->config->display.width,
		.height = machine->config->display.height,
		.stride = machine->config->display.width * DISPLAY_PIXEL_BYTES,
	};
	uint32_t apic_ids[CONFIG_CPUS_MAX];
	struct boot_machine boot_machine = describe_to_kernel(machine, apic_ids);
	uint8_t sector[BLK_SECTOR_BYTES];

	if (machine_find_device(machine, "framebuffer", 0))
		boot_machine.screen = &screen;
	if (machine->bios_start) {
		int ret = machine_bios_read(machine, sector, err);

		if (ret < 0)
			return ret;
		boot_machine.boot_sector = sector;
	}
	return boot_load(machine->boot, &machine->mem, &boot_machine, entry, err);
}

/* The others are made as the first was, and told in a line. */
static void hold_after_first(const struct machine *machine, unsigned made)
{
	unsigned cpus = machine->config->cpus;

	if (made == 1 && cpus > 1)
		explain("%u more: the same calls, APIC ids up to %u; they wait for INIT and SIPI",
			cpus - 1, cpus - 1);
	explain_hold(made > 0 && made < cpus);
}

int machine_prepare(struct machine *machine, struct err *err)
{
	const struct vcpu_env env = {
		.pio = &machine->pio,
		.mmio = &machine->mmio,
		.mem = &machine->mem,
		.event = machine->hooks.vcpu_event,
		.opaque = machine->hooks.opaque,
		.boot_timer = machine->hooks.boot_timer,
		.trace = machine->trace,
	};
	struct cpu_entry entry = {.cr3 = 0};
	int ret;

	explain_head("The kernel and its tables go into guest memory");
	ret = load_kernel(machine, &entry, err);
	if (ret >= 0)
		boot_explain(&machine->mem, &entry);
	if (machine->config->on_paper)
		return ret;
	note_step(machine, BOOT_STEP_KERNEL_LOADED);
	machine->linux_cr3 =
		entry.mode == CPU_ENTRY_LONG64 && !boot_is_own(machine->boot) ? entry.cr3 : 0;
	if (machine->hooks.boot_timer)
		machine->hooks.boot_timer->kernel_source = boot_kernel_way(machine->boot);
	if (ret >= 0 && !machine->kvm.has_vm)
		ret = kvm_create_vm(&machine->kvm, err);
	note_step(machine, BOOT_STEP_VM);
	explain_head("The processors");
	for (unsigned i = 0; ret >= 0 && i < machine->config->cpus; i++) {
		hold_after_first(machine, i);
		ret = vcpu_create(
			&machine->vcpus[i], &machine->kvm, i, machine->config->cpus, &env, err);
		if (ret >= 0)
			machine->vcpu_count++;
	}
	explain_hold(false);
	if (ret >= 0)
		ret = vcpu_set_entry(machine->vcpus[0], &entry, err);
	note_step(machine, BOOT_STEP_VCPUS);
	if (ret < 0)
		machine_halt(machine);
	return ret;
}

int machine_start(struct machine *machine, struct err *err)
{
	int ret = machine_prepare(machine, err), explained;

	if (ret >= 0)
		explain("KVM_RUN [4.10], on a thread for each processor: the guest runs");
	/* From here on there are more threads than this. */
	explained = explain_stop();
	if (explained < 0)
		log_warn("--explain: not all of it could be written: %s", strerror(-explained));
	for (unsigned i = 0; ret >= 0 && i < machine->vcpu_count; i++) {
		if (machine->starts_still)
			vcpu_request_pause(machine->vcpus[i]);
		ret = vcpu_start(machine->vcpus[i], err);
	}
	if (ret < 0)
		machine_halt(machine);
	return ret;
}

void machine_halt(struct machine *machine)
{
	/* All are told before the first is waited for: they may wait for each other. */
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_request_stop(machine->vcpus[i]);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_stop(machine->vcpus[i]);
	while (machine->vcpu_count)
		vcpu_destroy(machine->vcpus[--machine->vcpu_count]);
}

void machine_pause(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_request_pause(machine->vcpus[i]);
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		vcpu_wait_paused(machine->vcpus[i]);
}

void machine_resume(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpu_count; i++)
		if (!machine->keeps_still[i])
			vcpu_resume(machine->vcpus[i]);
}

int machine_reset(struct machine *machine, struct err *err)
{
	ASSERT(!machine->vcpu_count);
	/* A new VM in KVM: no register, timer or interrupt of the old one can survive. */
	kvm_destroy_vm(&machine->kvm);
	if (machine->trace)
		machine_trace_reset(machine);
	if (machine->input)
		input_reset(machine->input);
	for (size_t i = 0; i < machine->device_count; i++)
		device_reset(machine->devices[i]);
	gmem_discard_all(&machine->mem);
	return kvm_create_vm(&machine->kvm, err);
}

bool machine_press_power_button(struct machine *machine)
{
	struct device *pm = machine_find_device(machine, "acpi-pm", 0);

	if (!pm)
		return false;
	acpi_pm_press_power_button(pm);
	return true;
}

void machine_describe_words(const struct machine *machine, char *text, size_t size)
{
	text[0] = '\0';
	if (!boot_is_own(machine->boot))
		machine_cmdline_describe_words(machine->config, text, size);
}

void machine_describe(const struct machine *machine, char *text, size_t size)
{
	const struct vm_config *config = machine->config;
	char kernel[160], disks[32] = "no disk", nets[120];

	boot_describe(machine->boot, kernel, sizeof(kernel));
	if (config->disk_count)
		snprintf(disks, sizeof(disks), "%u disk%s", config->disk_count,
			config->disk_count > 1 ? "s" : "");
	machine_net_describe(machine, nets, sizeof(nets));
	snprintf(text, size, "%s; %u CPU%s, %llu MiB, %s, %s", kernel, config->cpus,
		config->cpus > 1 ? "s" : "", (unsigned long long)(config->memory_bytes / MIB),
		disks, nets);
}
