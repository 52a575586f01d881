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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/opts.h"
#include "vmm/base/util.h"

enum {
	CONFIG_DISKS_MAX = 26, /* vda to vdz */
	CONFIG_CPUS_MAX = 255, /* as many as have an APIC id of one byte */
	CONFIG_CPUS_DEFAULT = 4,
	CONFIG_SECONDS_MAX = 30 * 24 * 3600,
	CONFIG_GRACE_DEFAULT_MS = 30000,
	CONFIG_NAME_MAX = 63,
	CONFIG_DISK_SERIAL_MAX = 20, /* VIRTIO_BLK_ID_BYTES */
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

struct vm_config {
	const char *name;
	const char *kernel; /* never NULL after config_parse() */
	const char *initrd; /* or NULL */
	const char *append; /* words for the kernel's command line, or NULL */
	struct disk_config disks[CONFIG_DISKS_MAX];
	unsigned disk_count;
	uint64_t memory_bytes; /* a multiple of 1 MiB, of 2 MiB with hugepages */
	unsigned cpus;
	bool hugepages;
	bool no_unpack;
	bool no_rng;
	const char *serial; /* stdio, pty, file:PATH, unix:PATH, null, none */
	const char
		*debugcon;  /* the same, or NULL: port 0xe9 shares the serial console's host side */
	int64_t rtc_base_s; /* seconds since 1970 at which the guest's clock starts, -1: now */
	bool no_reboot;
	unsigned timeout_ms; /* 0: none */
	unsigned grace_ms;   /* from the power button to the end by force */
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
 * Fills `config` from the words argv[0] to argv[argc - 1] (without the program's name; all
 * borrowed, they must outlive `config`). Error: -errno and a sentence of kind
 * EXIT_CODE_USAGE. config_finish() is due in either case.
 */
int config_parse(int argc, char *const *argv, struct vm_config *config, struct err *err);
void config_finish(struct vm_config *config);

/*
 * Refuses memory that a host with `host_bytes` of RAM and swap can't give even to a guest
 * that touches next to nothing of it; warns when the guest could ask for more than there is.
 */
int config_check_memory(const struct vm_config *config, uint64_t host_bytes, struct err *err);
