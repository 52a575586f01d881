/*
 * See vcpu_trace.h. Knows no device: who answers is the bus's business.
 */
#include "vmm/kvm/vcpu_trace.h"

#include "vmm/core/device.h"
#include "vmm/core/trace.h"
#include "vmm/kvm/vcpu_impl.h"

static enum trace_reason reason_of(enum exit_kind kind)
{
	static const enum trace_reason reasons[EXIT_KIND_COUNT] = {
		[EXIT_KIND_PIO_READ] = TRACE_PIO_READ,
		[EXIT_KIND_PIO_WRITE] = TRACE_PIO_WRITE,
		[EXIT_KIND_MMIO_READ] = TRACE_MMIO_READ,
		[EXIT_KIND_MMIO_WRITE] = TRACE_MMIO_WRITE,
		[EXIT_KIND_HALT] = TRACE_HALT,
		[EXIT_KIND_SHUTDOWN] = TRACE_SHUTDOWN,
		[EXIT_KIND_SYSTEM_EVENT] = TRACE_SYSTEM_EVENT,
		[EXIT_KIND_INTERRUPTED] = TRACE_INTERRUPTED,
		[EXIT_KIND_INTERNAL_ERROR] = TRACE_INTERNAL_ERROR,
		[EXIT_KIND_FAIL_ENTRY] = TRACE_FAIL_ENTRY,
		[EXIT_KIND_OTHER] = TRACE_OTHER,
	};

	return reasons[kind];
}

static uint16_t device_at(const struct bus *bus, uint64_t addr)
{
	const struct bus_range *range = bus_find(bus, addr);

	return range && range->lock ? CONTAINER_OF(range->lock, struct device, lock)->number
				    : TRACE_DEVICE_NONE;
}

static uint16_t device_of(const struct vcpu *vcpu, enum trace_reason reason, uint64_t addr)
{
	if (reason == TRACE_PIO_READ || reason == TRACE_PIO_WRITE)
		return device_at(vcpu->env.pio, addr);
	if (reason == TRACE_MMIO_READ || reason == TRACE_MMIO_WRITE)
		return device_at(vcpu->env.mmio, addr);
	return TRACE_DEVICE_NONE;
}

void vcpu_trace_exit(struct vcpu *vcpu, uint64_t began_ns, uint64_t records)
{
	struct trace *trace = vcpu->env.trace;
	const struct exit_record *made = exit_ring_latest(&vcpu->exits, 0);
	struct trace_exit exit = {.time_ns = began_ns,
		.reason = TRACE_INTERRUPTED,
		.count = 1,
		.device = TRACE_DEVICE_NONE};

	if (vcpu->exits.total != records && made) {
		exit.reason = reason_of(made->kind);
		exit.rip = made->rip;
		exit.addr = made->addr;
		exit.value = made->value;
		exit.count = made->count;
		exit.size = made->size;
		exit.flags = made->unclaimed ? TRACE_EXIT_UNCLAIMED : 0;
		exit.device = device_of(vcpu, exit.reason, exit.addr);
	}
	exit.took_ns = (uint32_t)MIN(trace_now_ns(trace) - began_ns, (uint64_t)UINT32_MAX);
	trace_note_exit(trace, &exit);
}
