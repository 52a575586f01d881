/*
 * The machine: memory, buses, devices, processors, and the kernel that is put
 * into it. Builds them in order and takes them down in reverse. It knows the
 * parts; what a power-off, a reset or a signal means is vm.c's business.
 *
 * All functions are called on the thread that runs the loop. The hooks may be
 * called on any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "devices/backend/blk.h"
#include "devices/backend/chr.h"
#include "devices/backend/display.h"
#include "devices/backend/input.h"
#include "devices/backend/net.h"
#include "devices/backend/vsock.h"
#include "firmware/acpi_files.h"
#include "firmware/boot.h"
#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/core/boot_timer.h"
#include "vmm/core/device.h"
#include "vmm/core/gmem.h"
#include "vmm/core/loop.h"
#include "vmm/core/trace.h"
#include "vmm/core/trace_tape.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"

/* What the machine tells its owner; both on any thread, neither may block. */
struct machine_hooks {
	void (*request)(void *opaque, enum machine_request request, int value);
	void (*vcpu_event)(void *opaque, struct vcpu *vcpu, enum vcpu_event event);
	void *opaque;
	struct boot_timer *boot_timer; /* or NULL */
	/*
	 * Of a machine on paper that is replayed: what it has in the place of KVM (with `opaque`),
	 * and what its devices hear. NULL in others.
	 */
	const struct platform_ops *paper;
	struct tape *tape;
};

enum {
	MACHINE_DEVICES_MAX = 64,
	MACHINE_CONSOLES_MAX = CONFIG_PORTS_MAX + 3,
};

struct machine_console {
	struct chr *chr;
	const char *spec; /* borrowed from the configuration */
};

struct machine {
	const struct vm_config *config; /* borrowed */
	struct machine_hooks hooks;

	struct loop_timer coalesce_timer; /* while port writes are coalesced */

	struct boot *boot;
	struct blk *disks[CONFIG_DISKS_MAX];
	/* Of the BIOS: its drives, and the one that is started; NULL: no boot sector is. */
	struct blk *bios_drives[CONFIG_DISKS_MAX + 1], *bios_start;
	unsigned bios_drive_count;
	struct blk *bios_kernel; /* one of them: the file of --kernel; owned, or NULL */
	struct net *nics[CONFIG_NICS_MAX];
	struct vsock_host *vsock; /* or NULL */
	uint8_t macs[CONFIG_NICS_MAX][NET_MAC_BYTES];
	struct machine_console consoles[MACHINE_CONSOLES_MAX]; /* owned */
	unsigned console_count;
	/* Of these, or NULL: two or all may be the same. */
	struct chr *serial, *hvc0, *debugcon;
	struct device_port ports[CONFIG_PORTS_MAX + 1]; /* of the virtio console */
	unsigned port_count;
	struct display *display; /* NULL: there is no screen */
	struct input *input;	 /* of those who look at it; or NULL */
	struct display_sdl *window;
	struct display_vnc *vnc; /* or NULL */
	char *cmdline;
	struct trace *trace; /* owned; NULL: there is none, as the next */
	struct trace_tape_recorder *recorder;

	struct loop *loop;
	struct gmem mem;
	struct bus pio, mmio;
	struct platform platform;
	struct device *devices[MACHINE_DEVICES_MAX];
	size_t device_count;

	struct kvm kvm;
	bool kvm_is_open;
	struct vcpu *vcpus[CONFIG_CPUS_MAX];
	unsigned vcpu_count; /* made so far */
	uint64_t linux_cr3;  /* the page tables that a Linux kernel was entered with; or 0 */
	bool starts_still;   /* machine_start() lets no guest code run */
	bool keeps_still[CONFIG_CPUS_MAX]; /* machine_resume() leaves this one alone */
};

/*
 * Opens all that the configuration names (kernel, disks, consoles), then KVM, and
 * makes the devices. `machine` is zero. No guest code runs yet. On failure the machine is finished
 * and the sentence says which part.
 */
int machine_init(struct machine *machine, const struct vm_config *config,
	const struct machine_hooks *hooks, struct err *err);

/* Stops the vCPUs if need be and frees everything. Legal after a failed machine_init(). */
void machine_finish(struct machine *machine);

/*
 * Loads the kernel into fresh memory and makes the vCPUs, which stand before the first instruction;
 * a machine on paper has none. On failure there is none either.
 */
int machine_prepare(struct machine *machine, struct err *err);

/* machine_prepare(), and lets them run. */
int machine_start(struct machine *machine, struct err *err);

/* The device tree of the machine as it was made. Error: -errno and a sentence. */
int machine_build_tree(
	const struct machine *machine, uint8_t *buf, size_t room, size_t *used, struct err *err);

/* Its ACPI tables, each to `write`. Error: the first that is not 0, or -errno and a sentence. */
int machine_build_acpi(
	const struct machine *machine, acpi_file_fn *write, void *opaque, struct err *err);

/* Stops and frees the vCPUs; the devices stand still but for what their host side does. */
void machine_halt(struct machine *machine);

/* All processors stand still, with their accesses complete; and go on from there. */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);

/* After machine_halt(): everything as after machine_init(), with fresh memory. */
int machine_reset(struct machine *machine, struct err *err);

/* The nth device (from 0) of that class, or NULL. */
struct device *machine_find_device(
	const struct machine *machine, const char *class_name, unsigned nth);

/* The ACPI power button; false when the machine has none. */
bool machine_press_power_button(struct machine *machine);

/* One line for people: what runs with what. */
void machine_describe(const struct machine *machine, char *text, size_t size);

/* The words that only make its kernel start faster; "" if there are none. */
void machine_describe_words(const struct machine *machine, char *text, size_t size);
