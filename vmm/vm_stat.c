/*
 * The command "stat" of the control socket: counters of a running machine, lines KEY=VALUE with
 * dots in the keys. All but "name" and "state" are numbers that only grow, or say how much of
 * something there is now (rss, pss, memory). The processors come CPUS_PER_ANSWER at a time, because
 * an answer has a limit, and last: "stat FIRST" goes on with that one.
 *
 * Threads: the loop's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/virtio/blk.h"
#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "vmm/base/opts.h"
#include "vmm/kvm/vcpu_stats.h"
#include "vmm/vm_impl.h"

enum {
	CPUS_PER_ANSWER = 48
};

static void print(struct control_call *call, const char *prefix, const char *key, uint64_t value)
{
	control_print(call, "%s%s=%llu\n", prefix, key, (unsigned long long)value);
}

/* ---- The process ---- */

/* "Rss:   123 kB" in a file of lines like that. */
static uint64_t find_kib(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	return found ? strtoull(found + strlen(name), NULL, 10) * 1024 : 0;
}

static void print_memory(struct control_call *call)
{
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	char text[2048];
	ssize_t len;

	if (fd < 0)
		return;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return;
	text[len] = '\0';
	print(call, "", "rss", find_kib(text, "\nRss:"));
	print(call, "", "pss", find_kib(text, "\nPss:"));
}

static void print_process(struct control_call *call, const struct vm *vm)
{
	struct timespec ts = {0};
	uint64_t now_ns = util_now_ns();

	control_print(call, "name=%s\nstate=%s\n", vm->config->name, vm_state_name(vm));
	print(call, "", "pid", (uint64_t)getpid());
	print(call, "", "uptime_ns", now_ns - vm->started_ns);
	print(call, "", "memory", vm->config->memory_bytes);
	print_memory(call);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	print(call, "", "cpu_ns", (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
	print(call, "", "resets", atomic_load(&vm->resets.total));
	print(call, "", "cpus", vm->machine.vcpu_count);
}

/* ---- Processors ---- */

static const struct {
	enum exit_kind kind;
	const char *key;
} kinds[] = {
	{EXIT_KIND_PIO_READ, "port_reads"},
	{EXIT_KIND_PIO_WRITE, "port_writes"},
	{EXIT_KIND_MMIO_READ, "mmio_reads"},
	{EXIT_KIND_MMIO_WRITE, "mmio_writes"},
	{EXIT_KIND_INTERRUPTED, "interrupted"},
};

static void print_cpu(struct control_call *call, struct vcpu *vcpu, unsigned index)
{
	const struct exit_ring *exits = vcpu_exits(vcpu);
	struct vcpu_stats stats;
	char prefix[24];

	snprintf(prefix, sizeof(prefix), "cpu.%u.", index);
	vcpu_get_stats(vcpu, &stats);
	print(call, prefix, "run_ns", stats.run_ns);
	print(call, prefix, "wait_ns", stats.wait_ns);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		print(call, prefix, kinds[i].key, atomic_load(&exits->counts[kinds[i].kind]));
	print(call, prefix, "unclaimed", atomic_load(&exits->unclaimed));
	if (stats.kvm_is_coming)
		print(call, prefix, "kvm_is_coming", 1);
	if (!stats.has_kvm)
		return;
#define PRINT(field, name) print(call, prefix, "kvm_" #field, stats.field);
	VCPU_KVM_STAT_TABLE(PRINT)
#undef PRINT
}

static void print_cpus(struct control_call *call, const struct machine *machine, unsigned first)
{
	for (unsigned i = first; i < machine->vcpu_count && i < first + CPUS_PER_ANSWER; i++)
		print_cpu(call, machine->vcpus[i], i);
}

/* ---- Devices ---- */

static void print_disk(struct control_call *call, struct device *device, unsigned index)
{
	struct virtio_blk_stats stats;
	char prefix[24];

	virtio_blk_get_stats(device, &stats);
	snprintf(prefix, sizeof(prefix), "disk.vd%c.", 'a' + (int)index);
	print(call, prefix, "reads", stats.reads);
	print(call, prefix, "read_bytes", stats.read_bytes);
	print(call, prefix, "writes", stats.writes);
	print(call, prefix, "written_bytes", stats.written_bytes);
	print(call, prefix, "flushes", stats.flushes);
	print(call, prefix, "errors", stats.errors);
	print(call, prefix, "kicks", stats.kicks);
	print(call, prefix, "interrupts", stats.interrupts);
}

static void print_nic(struct control_call *call, struct device *device, unsigned index)
{
	struct virtio_net_stats stats;
	char prefix[24];

	virtio_net_get_stats(device, &stats);
	snprintf(prefix, sizeof(prefix), "nic.%u.", index);
	print(call, prefix, "sent_frames", stats.sent_frames);
	print(call, prefix, "sent_bytes", stats.sent_bytes);
	print(call, prefix, "received_frames", stats.received_frames);
	print(call, prefix, "received_bytes", stats.received_bytes);
	print(call, prefix, "dropped", stats.dropped_to_host + stats.dropped_to_guest);
	print(call, prefix, "kicks", stats.kicks);
	print(call, prefix, "interrupts", stats.interrupts);
}

static void print_virtio(struct control_call *call, struct device *device)
{
	struct virtio_stats stats;
	char prefix[DEVICE_NAME_MAX + 16];

	pthread_mutex_lock(&device->lock);
	stats = virtio_of(device)->stats;
	pthread_mutex_unlock(&device->lock);
	snprintf(prefix, sizeof(prefix), "device.%s.", device->name);
	print(call, prefix, "requests", stats.requests);
	print(call, prefix, "kicks", stats.kicks);
	print(call, prefix, "interrupts", stats.interrupts);
}

static void print_devices(struct control_call *call, const struct machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		struct device *device = machine->devices[i];

		if (strncmp(device->class->name, "virtio-", 7) != 0)
			continue;
		if (!strcmp(device->class->name, "virtio-blk"))
			print_disk(call, device, device->index);
		else if (!strcmp(device->class->name, "virtio-net"))
			print_nic(call, device, device->index);
		else
			print_virtio(call, device);
	}
}

void vm_command_stat(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	uint64_t first = 0;

	if (call->word_count &&
		opts_parse_number("stat", call->words[0], 0, CONFIG_CPUS_MAX, &first, NULL) < 0) {
		control_fail(call, "stat goes on with a processor's number, not '%.20s'",
			call->words[0]);
		return;
	}
	if (!first) {
		print_process(call, vm);
		print_devices(call, &vm->machine);
	}
	print_cpus(call, &vm->machine, (unsigned)first);
}
