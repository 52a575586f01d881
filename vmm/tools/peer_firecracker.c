/*
 * The configuration file of Firecracker. Keys and types: Firecracker, src/firecracker/swagger/
 * firecracker.yaml, and src/vmm/src/resources.rs for the names of the parts.
 */
#include "vmm/tools/peer.h"

#include <stdio.h>
#include <string.h>

#include "firmware/cmdline.h"
#include "vmm/base/json.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	CPUS_MAX = 32,
};

/* How its guests end: Firecracker has no power button and no reset port but the 8042's. */
static void print_boot_args(const struct peer_machine *machine)
{
	char words[64];

	snprintf(words, sizeof(words), "%s%s",
		cmdline_has(machine->cmdline, "reboot") ? "" : "reboot=k ",
		cmdline_has(machine->cmdline, "pci") ? "" : "pci=off ");
	fputs("    \"boot_args\": \"", stdout);
	fputs(words, stdout);
	json_put_piece(machine->cmdline, stdout);
	fputs("\"\n  },\n", stdout);
	if (*words)
		peer_note(
			"the kernel's words %sare Firecracker's: its guests end by a reset", words);
}

static void print_boot_source(const struct peer_machine *machine)
{
	const struct vm_config *config = machine->config;

	fputs("  \"boot-source\": {\n    \"kernel_image_path\": ", stdout);
	json_put_text(config->kernel ? config->kernel : "", stdout);
	fputs(",\n", stdout);
	if (config->initrd_count) {
		fputs("    \"initrd_path\": ", stdout);
		json_put_text(config->initrds[0], stdout);
		fputs(",\n", stdout);
	}
	print_boot_args(machine);
}

/* No drive is the root device: then Firecracker adds no root= to the one that is there. */
static void print_drives(const struct vm_config *config)
{
	fputs("  \"drives\": [", stdout);
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct disk_config *disk = &config->disks[i];

		printf("%s\n    {\n      \"drive_id\": \"disk%u\",\n      \"path_on_host\": ",
			i ? "," : "", i);
		json_put_text(disk->path, stdout);
		printf(",\n      \"is_root_device\": false,\n      \"is_read_only\": %s\n    }",
			disk->read_only ? "true" : "false");
		if (disk->ephemeral)
			peer_note("--disk %s,ephemeral: Firecracker writes to the file; give it a "
				  "copy",
				disk->path);
		if (disk->serial)
			peer_note("--disk %s,serial=: Firecracker's disks have numbers of its own",
				disk->path);
	}
	fputs(config->disk_count ? "\n  ],\n" : "],\n", stdout);
}

static void print_nics(const struct vm_config *config)
{
	const char *comma = "";
	char mac[PEER_MAC_CHARS];

	fputs("  \"network-interfaces\": [", stdout);
	for (unsigned i = 0; i < config->nic_count; i++) {
		const struct nic_config *nic = &config->nics[i];

		if (nic->kind != NET_TAP || !nic->tap) {
			peer_note(
				"--net %s: Firecracker has TAP interfaces only: ip tuntap add dev "
				"tap0 mode tap, addresses, and --net tap=tap0",
				nic->kind == NET_USER	       ? "user"
					: nic->kind == NET_TAP ? "fd="
							       : "socket=");
			continue;
		}
		printf("%s\n    {\n      \"iface_id\": \"net%u\",\n      \"guest_mac\": \"%s\",\n"
		       "      \"host_dev_name\": ",
			comma, i, peer_mac(config, i, mac));
		json_put_text(nic->tap, stdout);
		fputs("\n    }", stdout);
		comma = ",";
	}
	fputs(*comma ? "\n  ],\n" : "],\n", stdout);
	if (config->forward_count)
		peer_note("-p: Firecracker forwards no ports; iptables does for a TAP interface");
}

static void print_small_devices(const struct vm_config *config)
{
	if (config->vsock.path) {
		printf("  \"vsock\": {\n    \"guest_cid\": %u,\n    \"uds_path\": ",
			config->vsock.cid);
		json_put_text(config->vsock.path, stdout);
		fputs("\n  },\n", stdout);
	}
	if (!config->no_balloon) {
		uint64_t keep = config->balloon_keep_bytes;

		printf("  \"balloon\": {\n    \"amount_mib\": %llu,\n    \"deflate_on_oom\": true\n"
		       "  },\n",
			(unsigned long long)(keep ? (config->memory_bytes - keep) / MIB : 0));
	}
	if (!config->no_rng)
		fputs("  \"entropy\": {},\n", stdout);
}

static void print_machine(const struct vm_config *config)
{
	printf("  \"machine-config\": {\n    \"vcpu_count\": %u,\n    \"mem_size_mib\": %llu%s\n"
	       "  }\n",
		config->cpus, (unsigned long long)(config->memory_bytes / MIB),
		config->hugepages ? ",\n    \"huge_pages\": \"2M\"" : "");
	if (config->cpus > CPUS_MAX)
		peer_note("--cpus: Firecracker's guests have up to %d", CPUS_MAX);
}

static void print_notes(const struct peer_machine *machine)
{
	const struct vm_config *config = machine->config;

	if (!machine->is_linux)
		peer_note("--kernel: Firecracker starts Linux, and what looks like it");
	if (config->initrd_count > 1)
		peer_note("--initrd: Firecracker takes one file");
	if (strcmp(config->serial, "stdio") != 0)
		peer_note("--serial %s: Firecracker's is this terminal", config->serial);
	if (strcmp(config->hvc0, "none") != 0 || config->port_count)
		peer_note("--hvc0, --port: Firecracker has no virtio console");
	if (config->display.has_screen)
		peer_note("--display: Firecracker has no screen");
	if (config->rtc_base_s >= 0)
		peer_note("--rtc-base: Firecracker's guests see the host's clock");
	if (config->timeout_ms)
		peer_note("--timeout: run it by timeout(1)");
	log_info("write this to vm.json, then: firecracker --no-api --config-file vm.json; "
		 "older Firecrackers start nothing but an unpacked vmlinux");
}

void peer_print_firecracker(const struct peer_machine *machine)
{
	fputs("{\n", stdout);
	print_boot_source(machine);
	print_drives(machine->config);
	print_nics(machine->config);
	print_small_devices(machine->config);
	print_machine(machine->config);
	fputs("}\n", stdout);
	print_notes(machine);
}
