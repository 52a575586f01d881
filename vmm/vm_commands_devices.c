/*
 * What others may ask of a running machine's devices: see vm_commands.c. Network cards and the
 * balloon.
 *
 * Threads: the loop's.
 */
#include <errno.h>
#include <string.h>

#include "devices/virtio/balloon.h"
#include "devices/virtio/net.h"
#include "vmm/base/opts.h"
#include "vmm/vm_impl.h"

/* ---- Network cards ---- */

void vm_print_nics(struct control_call *call, const struct machine *machine)
{
	struct device *nic;

	for (unsigned i = 0; (nic = machine_find_device(machine, "virtio-net", i)); i++) {
		const uint8_t *mac = machine->macs[i];
		struct virtio_net_stats stats;

		virtio_net_get_stats(nic, &stats);
		control_print(call,
			"nic=%u %s, %02x:%02x:%02x:%02x:%02x:%02x, link %s, sent %llu frames (%llu "
			"bytes), received %llu (%llu bytes), dropped %llu and %llu\n",
			i, net_info(machine->nics[i])->name, mac[0], mac[1], mac[2], mac[3], mac[4],
			mac[5], virtio_net_link_is_up(nic) ? "up" : "down",
			(unsigned long long)stats.sent_frames, (unsigned long long)stats.sent_bytes,
			(unsigned long long)stats.received_frames,
			(unsigned long long)stats.received_bytes,
			(unsigned long long)stats.dropped_to_host,
			(unsigned long long)stats.dropped_to_guest);
	}
}

/* "0" or "net0". */
static struct device *find_nic(
	struct control_call *call, const struct machine *machine, const char *name)
{
	const char *number = strncmp(name, "net", 3) ? name : name + 3;
	uint64_t index = MACHINE_DEVICES_MAX;
	struct device *nic = NULL;

	if (opts_parse_number("link", number, 0, MACHINE_DEVICES_MAX, &index, NULL) == 0)
		nic = machine_find_device(machine, "virtio-net", (unsigned)index);
	if (!nic)
		control_fail(call, "there is no network card '%.60s'", name);
	return nic;
}

void vm_command_link(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	bool has_nic = call->word_count == 2;
	const char *wanted = call->words[call->word_count - 1];
	bool up = !strcmp(wanted, "up");
	struct device *nic;

	if (!up && strcmp(wanted, "down") != 0) {
		control_fail(call, "a link is set up or down, not '%.60s'", wanted);
		return;
	}
	nic = find_nic(call, &vm->machine, has_nic ? call->words[0] : "0");
	if (nic)
		virtio_net_set_link(nic, up);
}

/* ---- The balloon ---- */

static const struct {
	unsigned tag;
	const char *name;
} guest_stats[] = {
	{VIRTIO_BALLOON_S_MEMTOT, "guest_total"},
	{VIRTIO_BALLOON_S_MEMFREE, "guest_free"},
	{VIRTIO_BALLOON_S_AVAIL, "guest_available"},
	{VIRTIO_BALLOON_S_CACHES, "guest_caches"},
	{VIRTIO_BALLOON_S_SWAP_IN, "guest_swapped_in"},
	{VIRTIO_BALLOON_S_SWAP_OUT, "guest_swapped_out"},
	{VIRTIO_BALLOON_S_MAJFLT, "guest_major_faults"},
	{VIRTIO_BALLOON_S_MINFLT, "guest_minor_faults"},
};

static void print_balloon(struct control_call *call, struct device *balloon)
{
	struct virtio_balloon_stats stats;

	virtio_balloon_get_stats(balloon, &stats);
	control_print(call, "memory=%llu\nwanted=%llu\nactual=%llu\ndriver=%s\n",
		(unsigned long long)stats.ram_bytes,
		(unsigned long long)(stats.ram_bytes - stats.target_bytes),
		(unsigned long long)(stats.ram_bytes - MIN(stats.actual_bytes, stats.ram_bytes)),
		stats.driver_ready ? "yes" : "no");
	control_print(call, "given_by_balloon=%llu\ngiven_as_free=%llu\n",
		(unsigned long long)stats.inflated_bytes, (unsigned long long)stats.reported_bytes);
	control_print(call, "guest_answers=%llu\n", (unsigned long long)stats.guest_answers);
	for (size_t i = 0; i < ARRAY_SIZE(guest_stats); i++)
		if (stats.guest_known & (1u << guest_stats[i].tag))
			control_print(call, "%s=%llu\n", guest_stats[i].name,
				(unsigned long long)stats.guest[guest_stats[i].tag]);
}

static void set_balloon(
	struct control_call *call, struct device *balloon, uint64_t ram_bytes, const char *size)
{
	struct err err = ERR_INIT;
	uint64_t keep_bytes;
	int ret;

	if (opts_parse_size("balloon", size, MIB, ram_bytes, 4096, &keep_bytes, &err) < 0) {
		control_fail(call, "%s", err.text);
		return;
	}
	ret = virtio_balloon_set_target(balloon, ram_bytes - keep_bytes);
	if (ret == -EOPNOTSUPP)
		control_fail(call,
			"the machine's memory is on huge pages, of which a balloon gives "
			"none back");
	else if (ret < 0)
		control_fail(call, "the balloon can't do that: %s", strerror(-ret));
}

void vm_command_balloon(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct device *balloon = machine_find_device(&vm->machine, "virtio-balloon", 0);

	if (!balloon) {
		control_fail(call, "the machine has no balloon");
		return;
	}
	if (call->word_count)
		set_balloon(call, balloon, vm->config->memory_bytes, call->words[0]);
	print_balloon(call, balloon);
	/* For whoever asks next: the guest answers in its own time. */
	virtio_balloon_ask_guest(balloon);
}
