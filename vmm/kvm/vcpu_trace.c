/*
 * See vcpu_trace.h. Knows no device: who answers is the bus's business.
 */
#include "vmm/kvm/vcpu_trace.h"

#include "vmm/core/device.h"
#include "vmm/core/trace.h"
#include "vmm/kvm/vcpu_impl.h"

/* Without a default: the compiler names a kind that is missing. */
static enum trace_reason reason_of(enum exit_kind kind)
{
	switch (kind) {
	case EXIT_KIND_PIO_READ:
		return TRACE_PIO_READ;
	case EXIT_KIND_PIO_WRITE:
		return TRACE_PIO_WRITE;
	case EXIT_KIND_MMIO_READ:
		return TRACE_MMIO_READ;
	case EXIT_KIND_MMIO_WRITE:
		return TRACE_MMIO_WRITE;
	case EXIT_KIND_HALT:
		return TRACE_HALT;
	case EXIT_KIND_SHUTDOWN:
		return TRACE_SHUTDOWN;
	case EXIT_KIND_SYSTEM_EVENT:
		return TRACE_SYSTEM_EVENT;
	case EXIT_KIND_INTERRUPTED:
		return TRACE_INTERRUPTED;
	case EXIT_KIND_INTERNAL_ERROR:
		return TRACE_INTERNAL_ERROR;
	case EXIT_KIND_FAIL_ENTRY:
		return TRACE_FAIL_ENTRY;
	case EXIT_KIND_DEBUG:
		return TRACE_DEBUG;
	case EXIT_KIND_OTHER:
	case EXIT_KIND_COUNT:
		break;
	}
	return TRACE_OTHER;
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
