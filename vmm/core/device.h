/*
 * A device, its class and life cycle, and the platform it is put into.
 *
 *   create   takes its arguments; no effect on the host; may fail with a sentence
 *   realize  claims addresses and interrupts, opens host resources; may fail
 *   reset    back to power-on state; all vCPUs are stopped
 *   destroy  undoes all of it; legal at any point after create
 *
 * The addresses and interrupts of a device are data (res[]): the bus, the ACPI
 * tables, the device tree and the kernel command line are all written from
 * that one description.
 *
 * A device sees the platform only: never KVM, never the VM that owns it. Its
 * mutex is taken by the bus and the loop before they call it; device code never
 * takes it, except in a callback of a thread of its own (a backend's worker).
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/log.h"
#include "vmm/core/bus.h"
#include "vmm/core/gmem.h"
#include "vmm/core/irq.h"
#include "vmm/core/loop.h"
#include "vmm/core/trace_format.h"

struct device;
struct chr;
struct blk;
struct vsock_host;
struct net;
struct display;
struct input;
struct boot_timer;
struct trace;

/* ---- What a device asks of the machine ---- */

enum machine_request {
	MACHINE_POWEROFF, /* ACPI S5 */
	MACHINE_RESET,	  /* reset register, i8042, triple fault is the vCPU's */
	MACHINE_EXIT,	  /* debug-exit port; value = exit status, 0 to 255 */
	MACHINE_PANIC,	  /* pvpanic: the guest's kernel panicked */
};

enum {
	PIO_COALESCED_MAX = 256
};

struct platform_ops {
	/*
	 * Connects an interrupt wire: fills `line`, which stays valid until the
	 * platform ends. Level lines are active high.
	 */
	int (*irq_connect)(
		void *opaque, unsigned gsi, bool level, struct irq_line *line, struct err *err);

	/*
	 * A guest write of exactly `size` bytes of `value` to `addr` signals the
	 * eventfd instead of exiting to user space. -errno where that can't be had:
	 * the write then arrives over the bus, and the caller must handle both.
	 */
	int (*ioeventfd)(void *opaque, bool pio, uint64_t addr, unsigned size, uint64_t value,
		int fd, bool assign);

	/*
	 * Memory of the device's own where no RAM is, at whole pages of 4 KiB: the guest reads and
	 * writes it without an exit. `host` stays the device's until memory_unmap(). On the loop's
	 * thread, before the guest runs. Result: a number for the next two, or -errno and a
	 * sentence.
	 */
	int (*memory_map)(void *opaque, uint64_t addr, void *host, uint64_t size, struct err *err);
	void (*memory_unmap)(void *opaque, int number);

	/*
	 * The pages that the guest has written to since the last call (and perhaps some that it has
	 * only read), a bit for each in the order of their addresses; `bitmap` has whole words for
	 * all of them. Any thread, one at a time. -errno, and nothing in the bitmap, while the machine
	 * is being reset.
	 */
	int (*memory_take_dirty)(void *opaque, int number, uint64_t *bitmap);

	/*
	 * Or NULL. Lets byte writes to a port arrive later than the guest makes them, and cheaper:
	 * many in one run, before anything else that the guest does arrives but for byte reads of
	 * `status`, or a few milliseconds later. For one port of a machine, which may be refused; it
	 * ends by itself when there are no writes, so ask again and again while they come.
	 * PIO_COALESCED_MAX of them wait at most. false: from now on at once. Any thread, with the
	 * device's lock.
	 */
	void (*pio_coalesce)(void *opaque, uint16_t port, uint16_t status, bool on);

	/* Asks for a state change. Any thread, never blocks; the first of several wins. */
	void (*request)(void *opaque, enum machine_request request, int value);
};

/*
 * What a device hears of the host besides accesses of the guest, at the place where it does, with
 * its lock held: to write it down, or to replay what was. Most machines have none.
 */
struct tape {
	/* The host says `value` to the device, which is to take the result for it. */
	uint64_t (*value)(struct tape *tape, const struct device *device, uint64_t value);

	/* Something happened to the device. */
	void (*note)(struct tape *tape, const struct device *device, enum trace_tape_kind kind,
		uint64_t value, const void *bytes, size_t count);
};

struct platform {
	struct gmem *mem; /* all borrowed */
	struct bus *pio;
	struct bus *mmio;
	struct loop *loop;
	const struct platform_ops *ops;
	void *opaque;	     /* for the ops */
	struct trace *trace; /* or NULL */
	struct tape *tape;   /* or NULL */

	/* Where devices without a fixed place are put; only grows. */
	uint64_t mmio_next, mmio_end;
	unsigned irq_first, irq_next, irq_end; /* GSIs [irq_first, irq_end), given out in turn */
};

/* ---- Resources ---- */

enum device_res_kind {
	DEVICE_RES_PIO,
	DEVICE_RES_MMIO,
	DEVICE_RES_IRQ
};

struct device_res {
	enum device_res_kind kind;
	uint64_t base;	      /* first port, guest-physical address, or GSI */
	uint64_t size;	      /* bytes; 1 for an interrupt */
	bool level;	      /* interrupts: level (active high), else edge */
	bool shared;	      /* interrupts: other devices may be on the same GSI */
	const char *acpi_hid; /* in the DSDT a device of its own; NULL: part of the device's */
};

enum {
	DEVICE_RES_MAX = 8,
	DEVICE_NAME_MAX = 24
};

/* ---- Classes and devices ---- */

/* A port of a virtio console. */
struct device_port {
	const char *name; /* NULL: the console hvc0, which is the first port or not there */
	struct chr *chr;  /* never NULL */
	bool no_input;	  /* another device has the input of `chr` */
};

/* What the machine's builder hands to create(). All pointers are borrowed and outlive the device. */
struct device_args {
	const char *name;   /* "serial0", "disk1": in messages and statistics */
	unsigned index;	    /* of this class, from 0 */
	struct chr *chr;    /* character backend, or NULL */
	bool no_input;	    /* another device has the input of `chr` */
	struct blk *blk;    /* block backend, or NULL */
	struct net *net;    /* network backend, or NULL */
	const uint8_t *mac; /* of the network card, 6 bytes; NULL: its driver makes one up */
	const char *serial; /* --disk serial=, or NULL */
	unsigned queues;    /* wanted number of queues, 0 = the device's default */
	int64_t rtc_base_s; /* cmos: fixed start time in seconds since 1970, or -1 = host's clock */
	struct vsock_host *vsock; /* back end of virtio-vsock */
	uint32_t vsock_cid;
	uint64_t balloon_bytes;		 /* virtio-balloon: what to ask the guest for at first */
	const struct device *peer;	 /* a device that this one belongs to, or NULL */
	const struct device_port *ports; /* of a virtio console */
	unsigned port_count;
	bool is_plain; /* virtio console: hvc0 alone, without the messages that tell of ports */
	struct display *display; /* NULL: the machine has no screen, as the next two */
	struct input *input;
	uint32_t width, height;	       /* of the screen at first, in pixels */
	uint64_t base;		       /* fixed guest-physical address of a framebuffer */
	bool has_mouse;		       /* a relative pointer is wanted, no tablet */
	struct boot_timer *boot_timer; /* of the mark port */
	struct blk *const *drives;     /* of the BIOS, the one that is started first */
	unsigned drive_count;
};

struct device_class {
	const char *name;	   /* "serial", "virtio-blk": also in --help and device lists */
	const char *description;   /* one line for people */
	const char *acpi_hid;	   /* for the DSDT: "PNP0501", or NULL = not listed there */
	const char *dt_compatible; /* for the device tree, or NULL */

	int (*create)(struct device **device, const struct device_args *args, struct err *err);
	int (*realize)(struct device *device, struct platform *platform, struct err *err);
	void (*reset)(struct device *device);
	void (*destroy)(struct device *device); /* frees it */
};

struct device {
	const struct device_class *class;
	char name[DEVICE_NAME_MAX];
	unsigned index;
	uint16_t number; /* in the machine, from 0: for traces */
	pthread_mutex_t lock;
	struct platform *platform; /* NULL before realize */
	struct device_res res[DEVICE_RES_MAX];
	unsigned res_count;
	struct log_limit guest_errors; /* counts and limits what the guest did wrong */
};

/*
 * All classes, in order of creation, ended by NULL: made from
 * devices/device-list.def by devices/devices.c.
 */
extern const struct device_class *const device_classes[];

/* The class of that name, or NULL. */
const struct device_class *device_class_find(const char *name);

/* For create(): sets up the common part of a zeroed struct. device_finish() undoes it. */
void device_init(
	struct device *device, const struct device_class *class, const struct device_args *args);
void device_finish(struct device *device);

/* The life cycle, with its order checked. device_destroy(NULL) is legal. */
int device_create(struct device **device, const struct device_class *class,
	const struct device_args *args, struct err *err);
int device_realize(struct device *device, struct platform *platform, struct err *err);
void device_reset(struct device *device);
void device_destroy(struct device *device);

/*
 * For realize(): claim a range on a bus with the device's lock, and note it in
 * res[]. device_claim_mmio() with *base == 0 takes the next free place, aligned to
 * `size` rounded up to 4 KiB, and stores it in *base.
 */
int device_claim_pio(struct device *device, uint64_t base, uint64_t size, const struct bus_ops *ops,
	void *opaque, struct err *err);
int device_claim_mmio(struct device *device, uint64_t *base, uint64_t size,
	const struct bus_ops *ops, void *opaque, struct err *err);

/*
 * Connects a wire. gsi DEVICE_IRQ_ANY takes the next of the free ones in turn; when
 * all are used devices share them, so such a line is edge-triggered and its
 * driver must look at its own status register first.
 */
#define DEVICE_IRQ_ANY (~0u)
int device_claim_irq(
	struct device *device, unsigned gsi, bool level, struct irq_line *line, struct err *err);

/* The n-th resource of a kind, or NULL. */
const struct device_res *device_find_res(
	const struct device *device, enum device_res_kind kind, unsigned nth);

/* platform->ops->request and ->ioeventfd, for short. */
void device_request(struct device *device, enum machine_request request, int value);
int device_ioeventfd(struct device *device, bool pio, uint64_t addr, unsigned size, uint64_t value,
	int fd, bool assign);

/* See struct tape; legal before realize. */
static inline uint64_t device_hear(const struct device *device, uint64_t value)
{
	if (__builtin_expect(!device->platform || !device->platform->tape, 1))
		return value;
	return device->platform->tape->value(device->platform->tape, device, value);
}

static inline void device_note(const struct device *device, enum trace_tape_kind kind,
	uint64_t value, const void *bytes, size_t count)
{
	if (__builtin_expect(device->platform && device->platform->tape, 0))
		device->platform->tape->note(
			device->platform->tape, device, kind, value, bytes, count);
}

/* The guest did something it must not: counted, and shown within limits. */
#define device_guest_error(device, ...)                                                            \
	log_guest(&(device)->guest_errors, (device)->name, __VA_ARGS__)
