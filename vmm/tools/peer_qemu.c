/*
 * The command of QEMU: its microvm machine, which has what vmm's pc has (virtio-mmio devices, ACPI,
 * a serial port, no PCI). Where there is no KVM it has no clock that a stock kernel could find its
 * own rate with, so there it is q35 with virtio-pci devices. Written for QEMU 7.2 and later; see
 * docs/system/i386/microvm.rst there.
 */
#include "vmm/tools/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/base/util.h"
#include "vmm/kvm/cpu_x86.h"

/* How the names of virtio devices end. */
static const char *bus;

static bool has_kvm(void)
{
	return cpu_x86_has_virtualization() && access("/dev/kvm", R_OK | W_OK) == 0;
}

bool peer_qemu_is_alike(const struct vm_config *config)
{
	return config->profile == PROFILE_MICRO || has_kvm();
}

static void choose_machine(const struct vm_config *config)
{
	if (peer_qemu_is_alike(config)) {
		bus = "device";
		peer_option("-M microvm,rtc=on -accel %s -cpu max", has_kvm() ? "kvm" : "tcg");
	} else {
		/* With la57 it takes QEMU minutes. */
		bus = "pci";
		peer_option("-M q35 -accel tcg -cpu max,la57=off");
		peer_note("there is no KVM here, so QEMU interprets the guest, with PCI devices; "
			  "where there is KVM the command is another");
	}
}

static void print_disks(const struct vm_config *config)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct disk_config *disk = &config->disks[i];
		char *path = peer_double_commas(disk->path),
		     *serial = peer_double_commas(disk->serial ? disk->serial : "");

		peer_option("-drive");
		peer_value("if=none,id=disk%u,format=raw,file=%s%s%s", i, path ? path : "",
			disk->read_only ? ",readonly=on" : "",
			disk->ephemeral ? ",snapshot=on" : "");
		peer_option("-device");
		peer_value("virtio-blk-%s,drive=disk%u%s%s", bus, i, disk->serial ? ",serial=" : "",
			serial ? serial : "");
		free(path);
		free(serial);
	}
}

/* ---- Networks ---- */

static void print_user_net(const struct vm_config *config, unsigned index, bool has_forwards)
{
	size_t size;
	char *text = NULL;
	FILE *value = open_memstream(&text, &size);

	if (!value)
		return;
	fprintf(value, "user,id=net%u%s", index,
		config->nics[index].restricted ? ",restrict=on" : "");
	for (unsigned i = 0; has_forwards && i < config->forward_count; i++) {
		const struct net_forward *forward = &config->forwards[i];
		const char *host = forward->host_address[0] ? forward->host_address : "127.0.0.1";

		fprintf(value, ",hostfwd=%s:%s:%u-:%u", forward->udp ? "udp" : "tcp", host,
			forward->host_port, forward->guest_port);
		if (strchr(host, ':'))
			peer_note("-p: QEMU 7.2 forwards from no IPv6 address like %s", host);
	}
	fclose(value);
	peer_option("-netdev");
	peer_value("%s", text);
	free(text);
}

static void print_nics(const struct vm_config *config)
{
	bool had_user = false;
	char mac[PEER_MAC_CHARS], stream[64];

	for (unsigned i = 0; i < config->nic_count; i++) {
		const struct nic_config *nic = &config->nics[i];

		if (nic->kind == NET_USER) {
			print_user_net(config, i, !had_user);
			had_user = true;
		} else if (nic->kind == NET_TAP && nic->tap) {
			peer_option("-netdev");
			peer_value("tap,id=net%u,ifname=%s,script=no,downscript=no,vhost=%s", i,
				nic->tap,
				nic->vhost && access("/dev/vhost-net", R_OK | W_OK) == 0 ? "on"
											 : "off");
		} else if (nic->kind == NET_TAP) {
			peer_option("-netdev");
			peer_value("tap,id=net%u,fd=%u", i, nic->fd);
		} else {
			peer_option("-netdev");
			snprintf(stream, sizeof(stream),
				"stream,id=net%u,server=off,addr.type=unix,addr.path=", i);
			peer_value_path(stream, nic->socket, "");
			peer_note("--net socket: with server=off somebody has to listen there "
				  "before; "
				  "vmm listens itself where nobody does");
		}
		peer_option("-device");
		peer_value("virtio-net-%s,netdev=net%u,mac=%s", bus, i, peer_mac(config, i, mac));
	}
}

/* ---- Consoles ---- */

/* Host sides that are one place are one chardev, shared. */
struct chardevs {
	const char *specs[CONFIG_PORTS_MAX + 3];
	unsigned count;
};

static void print_chardev(unsigned id, const char *spec, bool is_shared)
{
	const char *colon = strchr(spec, ':');
	char *place = peer_double_commas(colon ? colon + 1 : "");
	const char *path = place ? place : "", *mux = is_shared ? ",mux=on" : "";

	peer_option("-chardev");
	if (!strcmp(spec, "stdio"))
		peer_value("stdio,id=chr%u,mux=on,signal=off", id);
	else if (!strncmp(spec, "file:", 5))
		peer_value("file,id=chr%u,path=%s%s", id, path, mux);
	else if (!strncmp(spec, "unix:", 5))
		peer_value("socket,id=chr%u,path=%s,server=on,wait=off%s", id, path, mux);
	else if (!strncmp(spec, "pipe:", 5))
		peer_value("pipe,id=chr%u,path=%s%s", id, path, mux);
	else
		peer_value("%s,id=chr%u%s", spec, id, mux);
	free(place);
}

static bool has_place(const char *spec)
{
	return spec && strcmp(spec, "none") != 0;
}

static void add_chardev(struct chardevs *list, const char *spec)
{
	for (unsigned i = 0; i < list->count; i++)
		if (config_is_same_place(list->specs[i], spec))
			return;
	list->specs[list->count++] = spec;
}

static unsigned find_chardev(const struct chardevs *list, const char *spec)
{
	unsigned i = 0;

	while (i < list->count && !config_is_same_place(list->specs[i], spec))
		i++;
	return i;
}

static void print_consoles(const struct vm_config *config)
{
	struct chardevs list = {.count = 0};
	bool is_shared = has_place(config->serial) && has_place(config->hvc0) &&
		config_is_same_place(config->serial, config->hvc0);

	if (has_place(config->serial))
		add_chardev(&list, config->serial);
	if (has_place(config->hvc0))
		add_chardev(&list, config->hvc0);
	if (has_place(config->debugcon))
		add_chardev(&list, config->debugcon);
	for (unsigned i = 0; i < config->port_count; i++)
		add_chardev(&list, config->ports[i].spec);
	for (unsigned i = 0; i < list.count; i++) {
		print_chardev(i, list.specs[i], is_shared && i == 0);
		/* Ctrl-a x and its like. */
		if (!strcmp(list.specs[i], "stdio"))
			peer_option("-mon chardev=chr%u", i);
	}
	if (has_place(config->serial))
		peer_option("-serial chardev:chr%u", find_chardev(&list, config->serial));
	if (has_place(config->hvc0) || config->port_count)
		peer_option("-device virtio-serial-%s", bus);
	if (has_place(config->hvc0))
		peer_option("-device virtconsole,chardev=chr%u", find_chardev(&list, config->hvc0));
	for (unsigned i = 0; i < config->port_count; i++) {
		peer_option("-device");
		peer_value("virtserialport,chardev=chr%u,name=%s",
			find_chardev(&list, config->ports[i].spec), config->ports[i].name);
	}
	if (has_place(config->debugcon))
		peer_option("-device isa-debugcon,iobase=0xe9,chardev=chr%u",
			find_chardev(&list, config->debugcon));
}

/* ---- The rest ---- */

/* The modules of a Multiboot kernel are one value, in which each has its words. */
static void print_initrds(const struct vm_config *config)
{
	size_t size;
	char *text = NULL;
	FILE *value = config->initrd_count ? open_memstream(&text, &size) : NULL;

	if (!value)
		return;
	for (unsigned i = 0; i < config->initrd_count; i++) {
		char *file = peer_double_commas(config->initrds[i]);

		fprintf(value, "%s%s", i ? "," : "",
			config->initrd_count > 1 && file ? file : config->initrds[i]);
		free(file);
	}
	fclose(value);
	peer_option("-initrd");
	peer_value("%s", text);
	free(text);
}

static void print_small_devices(const struct vm_config *config)
{
	if (!config->no_rng)
		peer_option("-device virtio-rng-%s", bus);
	if (!config->no_balloon)
		peer_option("-device virtio-balloon-%s,free-page-reporting=on", bus);
	if (config->vsock.path) {
		peer_option("-device vhost-vsock-%s,guest-cid=%u", bus, config->vsock.cid);
		peer_note("--vsock: with QEMU the host's programs use AF_VSOCK (its module "
			  "vhost_vsock), not the socket %s",
			config->vsock.path);
	}
	if (config->profile == PROFILE_PC)
		peer_option("-device isa-debug-exit,iobase=0xf4,iosize=4");
}

static void print_memory(const struct vm_config *config)
{
	peer_option("-m %lluM", (unsigned long long)(config->memory_bytes / MIB));
	if (config->hugepages)
		peer_option("-mem-path /dev/hugepages");
	peer_option("-smp %u", config->cpus);
}

static void print_clock(const struct vm_config *config)
{
	time_t base = (time_t)config->rtc_base_s;
	char text[32];
	struct tm tm;

	if (config->rtc_base_s < 0 || !gmtime_r(&base, &tm))
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	peer_option("-rtc base=%s", text);
}

static void print_notes(const struct vm_config *config)
{
	if (config->display.has_screen)
		peer_note("--display: QEMU's microvm machine has no screen; -M q35 -vga std has, "
			  "with other devices than vmm's");
	if (config->timeout_ms)
		peer_note("--timeout: run it by timeout(1)");
	if (config->balloon_keep_bytes)
		peer_note("--balloon: QEMU's monitor sets its size later");
	if (config->no_unpack || config->no_kernel_cache)
		peer_note("--no-unpack, --no-kernel-cache: QEMU always lets the kernel unpack "
			  "itself");
	peer_note("a guest that writes V to port 0xf4 ends vmm with status V, QEMU with 2*V+1");
}

void peer_print_qemu(const struct peer_machine *machine)
{
	const struct vm_config *config = machine->config;

	peer_command("qemu-system-x86_64");
	choose_machine(config);
	peer_option(
		"-nodefaults -no-user-config -nographic%s", config->no_reboot ? " -no-reboot" : "");
	peer_option("-name");
	peer_value("%s", config->name);
	print_memory(config);
	print_clock(config);
	if (config->kernel) {
		peer_option("-kernel");
		peer_value("%s", config->kernel);
	}
	print_initrds(config);
	if (*machine->cmdline) {
		peer_option("-append");
		peer_value("%s", machine->cmdline);
	}
	print_disks(config);
	print_nics(config);
	print_consoles(config);
	print_small_devices(config);
	peer_end();
	if (!machine->is_linux)
		peer_note("a kernel that is no Linux: QEMU starts Multiboot kernels by -kernel, "
			  "and boot "
			  "sectors as a disk: qemu-system-x86_64 -drive format=raw,file=FILE");
	print_notes(config);
}
