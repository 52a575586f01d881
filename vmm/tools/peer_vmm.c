/*
 * The command of vmm itself, with what it decided by itself written out.
 */
#include "vmm/tools/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"

static void print_text(const char *option, const char *value)
{
	if (!value)
		return;
	peer_option("--%s", option);
	peer_value("%s", value);
}

static void print_flag(const char *option, bool is_set)
{
	if (is_set)
		peer_option("--%s", option);
}

static void print_kernel(const struct peer_machine *machine)
{
	static const char *const consoles[] = {
		[CONSOLE_SERIAL] = "serial", [CONSOLE_HVC0] = "hvc0", [CONSOLE_BOTH] = "both"};
	const struct vm_config *config = machine->config;

	peer_option("--machine %s", config->profile == PROFILE_MICRO ? "micro" : "pc");
	print_text("kernel", config->kernel);
	if (config->flat.bits)
		peer_option("--flat 0x%llx,%u", (unsigned long long)config->flat.address,
			config->flat.bits);
	print_flag("boot-sector", config->boot_sector);
	for (unsigned i = 0; i < config->initrd_count; i++)
		print_text("initrd", config->initrds[i]);
	print_text("append", machine->cmdline);
	print_flag("no-boot-words", config->no_boot_words);
	print_flag("no-unpack", config->no_unpack);
	print_flag("no-kernel-cache", config->no_kernel_cache);
	peer_option("--console %s", consoles[config->console]);
}

static void print_disks(const struct vm_config *config)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct disk_config *disk = &config->disks[i];
		char *path = peer_double_commas(disk->path);
		char *serial = peer_double_commas(disk->serial ? disk->serial : "");

		peer_option("--disk");
		peer_value("%s%s%s%s%s", path ? path : "", disk->read_only ? ",ro" : "",
			disk->ephemeral ? ",ephemeral" : "", disk->serial ? ",serial=" : "",
			serial ? serial : "");
		free(path);
		free(serial);
	}
}

static void print_machine(const struct vm_config *config)
{
	char size[24], cid[32];

	opts_format_size(config->memory_bytes, size, sizeof(size));
	peer_option("--cpus %u --memory %s", config->cpus, size);
	print_flag("hugepages", config->hugepages);
	print_flag("no-rng", config->no_rng);
	print_flag("no-balloon", config->no_balloon);
	if (config->balloon_keep_bytes) {
		opts_format_size(config->balloon_keep_bytes, size, sizeof(size));
		peer_option("--balloon %s", size);
	}
	if (config->rtc_base_s >= 0)
		peer_option("--rtc-base %lld", (long long)config->rtc_base_s);
	if (config->vsock.path) {
		snprintf(cid, sizeof(cid), "cid=%u,path=", config->vsock.cid);
		peer_option("--vsock");
		peer_value_path(cid, config->vsock.path, "");
	}
	if (config->has_name)
		print_text("name", config->name);
}

static void print_nics(const struct vm_config *config)
{
	char mac[PEER_MAC_CHARS], tail[160];

	if (!config->nic_count)
		peer_option("--net none");
	for (unsigned i = 0; i < config->nic_count; i++) {
		const struct nic_config *nic = &config->nics[i];

		snprintf(tail, sizeof(tail), ",mac=%s%s%s%s", peer_mac(config, i, mac),
			nic->restricted ? ",restrict" : "", nic->offload ? "" : ",offload=off",
			nic->vhost ? "" : ",vhost=off");
		peer_option("--net");
		if (nic->kind == NET_USER)
			peer_value("user%s", tail);
		else if (nic->kind == NET_SOCKET)
			peer_value_path("socket=", nic->socket, tail);
		else if (nic->tap)
			peer_value("tap=%s,queues=%u%s", nic->tap, nic->queues ? nic->queues : 1,
				tail);
		else
			peer_value("fd=%u%s", nic->fd, tail);
	}
	for (unsigned i = 0; i < config->forward_count; i++) {
		const struct net_forward *forward = &config->forwards[i];
		const char *host = forward->host_address[0] ? forward->host_address : "127.0.0.1";
		bool is_v6 = strchr(host, ':');

		peer_option("-p");
		peer_value("%s%s%s:%u:%u%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
			forward->host_port, forward->guest_port, forward->udp ? "/udp" : "");
	}
}

static void print_vnc(const struct display_config *display)
{
	char *place = peer_double_commas(display->vnc);
	char *file = peer_double_commas(display->password_file ? display->password_file : "");

	peer_option("--display");
	peer_value("vnc=%s,%ux%u%s%s", place ? place : "", display->width, display->height,
		display->password_file ? ",password-file=" : "", file ? file : "");
	free(place);
	free(file);
}

static void print_screen(const struct vm_config *config)
{
	const struct display_config *display = &config->display;

	if (!display->has_screen)
		return;
	if (!display->has_window && !display->vnc)
		peer_option("--display none,%ux%u", display->width, display->height);
	if (display->has_window)
		peer_option("--display sdl,%ux%u", display->width, display->height);
	if (display->vnc)
		print_vnc(display);
	if (display->has_mouse)
		peer_option("--pointer mouse");
}

static void print_consoles(const struct vm_config *config)
{
	print_text("serial", config->serial);
	print_text("hvc0", config->hvc0);
	print_text("debugcon", config->debugcon);
	for (unsigned i = 0; i < config->port_count; i++) {
		peer_option("--port");
		peer_value("%s=%s", config->ports[i].name, config->ports[i].spec);
	}
}

void peer_print_vmm(const struct peer_machine *machine)
{
	const struct vm_config *config = machine->config;

	peer_command("vmm");
	print_kernel(machine);
	print_disks(config);
	print_machine(config);
	print_nics(config);
	print_screen(config);
	print_consoles(config);
	print_flag("no-reboot", config->no_reboot);
	if (config->timeout_ms)
		peer_option(
			"--timeout %u.%03u", config->timeout_ms / 1000, config->timeout_ms % 1000);
	peer_option("--grace %u.%03u", config->grace_ms / 1000, config->grace_ms % 1000);
	peer_end();
}
