/*
 * What the command line asks for, typed, with all defaults in one place.
 *
 * Knows words and numbers, not files: whether a file is there and fit is found
 * by those who open it. The same table makes --help, the man page's list and
 * the shell completions (help.h).
 *
 * One thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/backend/display_vnc.h"
#include "devices/backend/net.h"
#include "firmware/boot.h"
#include "vmm/base/err.h"
#include "vmm/base/opts.h"
#include "vmm/base/util.h"
#include "vmm/gdb_config.h"

enum {
	CONFIG_DISKS_MAX = 26, /* vda to vdz */
	CONFIG_NICS_MAX = 8,
	CONFIG_CPUS_MAX = 255, /* as many as have an APIC id of one byte */
	CONFIG_CPUS_DEFAULT = 4,
	CONFIG_SECONDS_MAX = 30 * 24 * 3600,
	CONFIG_GRACE_DEFAULT_MS = 30000,
	CONFIG_DISK_SERIAL_MAX = 20, /* VIRTIO_BLK_ID_BYTES */
	CONFIG_PORTS_MAX = 15,
	CONFIG_PORT_NAME_MAX = 63,
	CONFIG_DISPLAYS_MAX = 2, /* a window and a VNC server */
};

#define CONFIG_MEMORY_DEFAULT (1 * GIB)
#define CONFIG_MEMORY_MIN     (32 * MIB)
#define CONFIG_MEMORY_MAX     (4096 * GIB)

struct disk_config {
	const char *path;
	bool read_only;
	bool ephemeral;	    /* what the guest writes is thrown away at the end */
	const char *serial; /* what the guest reads as the disk's serial number, or NULL */
	char *text;	    /* owned: the words above lie in it */
};

#define CONFIG_NO_FD UINT_MAX

struct nic_config {
	enum net_kind kind;
	const char *type, *tap, *socket; /* one of these, or fd, says what it is */
	unsigned fd;			 /* CONFIG_NO_FD: none */
	unsigned queues;
	unsigned mtu; /* 0: the host side's own */
	bool restricted, offload, vhost;
	const char *mac_text; /* NULL: made from the machine's name */
	uint8_t mac[NET_MAC_BYTES];
	char *text; /* owned: the words above lie in it; NULL for the default */
};

/* Which console the guest's kernel uses. */
enum kernel_console {
	CONSOLE_SERIAL,
	CONSOLE_HVC0,
	CONSOLE_BOTH
};

/* What kind of machine it is: see machine_profile.h. */
enum machine_profile {
	PROFILE_PC,
	PROFILE_MICRO
};

struct port_config {
	char *name;	  /* owned, and what `spec` lies in */
	const char *spec; /* of the host side: stdio, pty, file:PATH, unix:PATH, pipe:PATH, null */
};

struct vsock_config {
	const char *path; /* of the socket of the host's side; NULL: no vsock */
	unsigned cid;	  /* the guest's */
	char *text;	  /* owned: the words above lie in it */
};

struct display_config {
	bool has_screen;	  /* there is one, whether somebody looks or not */
	bool has_window;	  /* of this desktop */
	bool window_is_default;	  /* nobody asked for it: if it can't be had, so be it */
	bool smooth, full_screen; /* of the window */
	unsigned width, height;	  /* of the screen, in pixels */
	const char *vnc;	  /* unix:PATH or [ADDRESS:]PORT; NULL: none */
	struct listen_address vnc_address;
	const char *password_file;	  /* of vnc, or NULL */
	bool has_mouse;			  /* a relative pointer, in place of the tablet */
	bool is_none, may_open;		  /* private to config_display.c, as is what follows */
	char *texts[CONFIG_DISPLAYS_MAX]; /* owned: the words above lie in them */
	unsigned count;
};

/* --print-cmdline */
enum peer {
	PEER_NONE,
	PEER_QEMU,
	PEER_FIRECRACKER,
	PEER_VMM
};

struct trace_option {
	const char *path; /* file for every exit, or NULL */
	bool record;	  /* what vmm replay needs as well */
	char *text;	  /* owned: the path lies in it */
};

enum boot_timer_format {
	BOOT_TIMER_OFF,
	BOOT_TIMER_TEXT,
	BOOT_TIMER_JSON
};

/* --gdb and --gdb-wait */
struct gdb_place {
	bool is_asked_for;
	bool waits; /* the guest, before its first instruction */
	char *text; /* owned; the next three point into it */
	const char *place, *arch;
	bool is_open;
	struct gdb_config config;
};

struct vm_config {
	enum machine_profile profile;
	/* Write the device tree there, or the ACPI tables, and end; NULL: not asked for */
	const char *dump_dtb, *dump_acpi;
	const char *explain; /* tell the start to this file, "-": to stderr; NULL: no */
	bool explain_only;   /* that, to stdout, and end before the first instruction */
	bool on_paper;	     /* the machine is made without KVM and never runs */
	enum peer peer;	     /* print its command for this machine and end */
	const char *name;    /* while it runs: the one that others find it under */
	bool has_name;	     /* --name was given; else another may be chosen (see vm.h) */
	const char *kernel;  /* NULL after config_parse() only where none is needed */
	struct boot_flat flat;
	bool boot_sector; /* start one, from `kernel` or else the first disk */
	const char *initrds[BOOT_MODULES_MAX];
	unsigned initrd_count;
	const char *append; /* words for the kernel's command line, or NULL */
	struct disk_config disks[CONFIG_DISKS_MAX];
	unsigned disk_count;
	struct nic_config nics[CONFIG_NICS_MAX];
	unsigned nic_count;
	bool net_is_default;			       /* nobody asked for the one there is */
	struct net_forward forwards[NET_FORWARDS_MAX]; /* to the first user network */
	unsigned forward_count;
	uint64_t memory_bytes; /* a multiple of 1 MiB, of 2 MiB with hugepages */
	unsigned cpus;
	bool hugepages;
	bool no_unpack;
	bool no_kernel_cache;
	bool no_boot_words; /* the kernel is told nothing that only makes it start faster */
	bool no_rng;
	bool no_balloon;
	struct vsock_config vsock;
	uint64_t balloon_keep_bytes; /* what the balloon leaves to the guest at first, 0: all */
	/* Host sides: stdio, pty, file:PATH, unix:PATH, pipe:PATH, null, none. */
	const char *serial;
	const char *hvc0;
	const char *debugcon; /* or NULL: port 0xe9 shares the serial port's, or else hvc0's */
	enum kernel_console console;
	bool has_console; /* --console was given */
	struct display_config display;
	struct port_config ports[CONFIG_PORTS_MAX];
	unsigned port_count;
	int64_t rtc_base_s; /* seconds since 1970 at which the guest's clock starts, -1: now */
	bool no_reboot;
	unsigned timeout_ms; /* 0: none */
	bool has_watchdog;   /* --watchdog was given */
	bool watchdog_ends;  /* it ends a guest that hangs */
	unsigned watchdog_ms;
	const char *symbols; /* a vmlinux or System.map, or NULL */
	unsigned grace_ms;   /* from the power button to the end by force */
	enum boot_timer_format boot_timer;
	struct trace_option trace;
	char *const *words; /* what all this was read from, borrowed */
	int word_count;
	struct gdb_place gdb;
	uint64_t main_ns; /* when main() began (util_now_ns()), for the boot timer */
	bool quiet;
	bool verbose;
	bool show_help; /* --help or --version was given: nothing else was checked */
	bool show_version;
};

/* The options, ended by a zero entry: for help.h. */
extern const struct opt config_options[];

/* The keys of --disk, ended by a zero entry. */
extern const struct opt config_disk_keys[];

/*
 * config_net.c: --net and -p, their check once all is known, what to free, and the MAC
 * of a card: as given, else a hash of the machine's name and the card's number.
 */
extern const struct opt config_net_keys[];
int config_parse_net(void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_publish(void *target, const struct opt *opt, const char *text, struct err *err);
int config_check_net(struct vm_config *config, struct err *err);
void config_finish_net(struct vm_config *config);
void config_net_mac(const struct vm_config *config, unsigned index, uint8_t *mac);

/*
 * Fills `config` from the words argv[0] to argv[argc - 1] (without the program's name; all
 * borrowed, they must outlive `config`). Error: -errno and a sentence of kind
 * EXIT_CODE_USAGE. config_finish() is due in either case.
 */
int config_parse(int argc, char *const *argv, struct vm_config *config, struct err *err);
void config_finish(struct vm_config *config);

/*
 * config_display.c: --display and --pointer, their defaults, what to free. config_choose_window()
 * opens a window where nothing was said of screens and consoles, on a desktop without a terminal.
 */
extern const struct opt config_display_keys[];
int config_parse_display(void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_pointer(void *target, const struct opt *opt, const char *text, struct err *err);

/* WIDTHxHEIGHT within the limits of display.h. */
int config_read_screen_size(const char *text, unsigned *width, unsigned *height, struct err *err);
void config_check_display(struct vm_config *config);
void config_choose_window(struct vm_config *config, bool is_on_desktop);
void config_finish_display(struct vm_config *config);

/* config_machine.c: --machine, and what follows from it once all else is parsed. */
int config_parse_machine(void *target, const struct opt *opt, const char *text, struct err *err);
int config_check_machine(struct vm_config *config, struct err *err);

/* --initrd and --flat */
int config_parse_initrd(void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_flat(void *target, const struct opt *opt, const char *text, struct err *err);

/* Is there something to boot, and one thing only? */
int config_check_kernel(const struct vm_config *config, struct err *err);

/* The keys of --vsock, and what reads it. */
extern const struct opt config_vsock_keys[];
int config_parse_vsock(void *target, const struct opt *opt, const char *text, struct err *err);

/* config_gdb.c: --gdb and --gdb-wait. */
#define GDB_PLACE_DEFAULT "tcp:1234"
extern const struct opt config_gdb_keys[];
int config_parse_gdb(void *target, const struct opt *opt, const char *text, struct err *err);
int config_check_gdb(struct vm_config *config, struct err *err);
void config_finish_gdb(struct vm_config *config);

/* --trace */
extern const struct opt config_trace_keys[];
int config_parse_trace(void *target, const struct opt *opt, const char *text, struct err *err);

/* --boot-timer, --explain, --print-cmdline */
int config_parse_peer(void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_explain(void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_boot_timer(void *target, const struct opt *opt, const char *text, struct err *err);

/* --watchdog */
int config_parse_watchdog(void *target, const struct opt *opt, const char *text, struct err *err);

/* What config_parse() checks of --balloon together with other options. */
int config_check_balloon(const struct vm_config *config, struct err *err);

/*
 * Refuses memory that a host with `host_bytes` of RAM and swap can't give even to a guest
 * that touches next to nothing of it; warns when the guest could ask for more than there is.
 */
int config_check_memory(const struct vm_config *config, uint64_t host_bytes, struct err *err);

/* ---- config_console.c: parsers for the table, and what they need at the end ---- */

int config_parse_console(void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_kernel_console(
	void *target, const struct opt *opt, const char *text, struct err *err);
int config_parse_port(void *target, const struct opt *opt, const char *text, struct err *err);
int config_check_consoles(struct vm_config *config, struct err *err);
void config_finish_ports(struct vm_config *config);

/* True when two host sides are one: the same words, which mean one file, socket or terminal. */
bool config_is_same_place(const char *a, const char *b);
