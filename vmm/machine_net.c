/*
 * See machine_net.h.
 */
#include "vmm/machine_net.h"

#include <stdio.h>

/* Ports are forwarded to the first user network. */
static bool gets_forwards(const struct vm_config *config, unsigned index)
{
	if (config->nics[index].kind != NET_USER)
		return false;
	for (unsigned i = 0; i < index; i++)
		if (config->nics[i].kind == NET_USER)
			return false;
	return true;
}

static int open_nic(struct machine *machine, unsigned index, struct err *err)
{
	const struct vm_config *config = machine->config;
	const struct nic_config *nic = &config->nics[index];
	struct net_config net = {
		.kind = nic->kind,
		.path = nic->kind == NET_TAP ? nic->tap : nic->socket,
		.fd = nic->fd == CONFIG_NO_FD ? -1 : (int)nic->fd,
		.queues = nic->queues,
		.mtu = nic->mtu,
		.restricted = nic->restricted,
		.needed = !config->net_is_default,
		.no_offloads = !nic->offload,
		.no_vhost = !nic->vhost,
	};

	if (gets_forwards(config, index)) {
		net.forwards = config->forwards;
		net.forward_count = config->forward_count;
	}
	config_net_mac(config, index, machine->macs[index]);
	memcpy(net.mac, machine->macs[index], sizeof(net.mac));
	return net_open(&machine->nics[index], &net, machine->loop, err);
}

int machine_net_open(struct machine *machine, struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; ret >= 0 && i < machine->config->nic_count; i++)
		ret = open_nic(machine, i, err);
	return ret;
}

void machine_net_close(struct machine *machine)
{
	for (unsigned i = 0; i < ARRAY_SIZE(machine->nics); i++)
		net_close(machine->nics[i]);
}

void machine_net_args(const struct machine *machine, struct device_args *args)
{
	args->net = machine->nics[args->index];
	args->mac = machine->macs[args->index];
	args->queues = machine->config->nics[args->index].queues;
}

void machine_net_describe(const struct machine *machine, char *text, size_t size)
{
	size_t len = 0;

	snprintf(text, size, "no net");
	for (unsigned i = 0; i < machine->config->nic_count && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "net ",
			net_info(machine->nics[i])->name);
}
