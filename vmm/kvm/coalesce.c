/*
 * See coalesce.h. KVM writes entries and then `last`, we read them and then move `first`; both are
 * indices below COALESCE_MAX of a page that the guest can't reach.
 */
#include "vmm/kvm/coalesce.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/util.h"
#include "vmm/core/device.h"
#include "vmm/kvm/kvm.h"

enum {
	PAGE_BYTES = 4096,
	ENTRIES = (PAGE_BYTES - sizeof(struct kvm_coalesced_mmio_ring)) /
		sizeof(struct kvm_coalesced_mmio),
	QUIET_TICKS = 10
};

_Static_assert((int)ENTRIES <= (int)PIO_COALESCED_MAX, "a device has room for all that waits");

void coalesce_init(struct coalesce *coalesce)
{
	pthread_mutex_init(&coalesce->ring_lock, NULL);
	pthread_mutex_init(&coalesce->zone_lock, NULL);
}

void coalesce_finish(struct coalesce *coalesce)
{
	pthread_mutex_destroy(&coalesce->ring_lock);
	pthread_mutex_destroy(&coalesce->zone_lock);
}

/* ---- The zone ---- */

static bool tell_zone(const struct kvm *kvm, bool on)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = kvm->coalesce.port, .size = 1, .pio = 1};

	return ioctl(kvm->vm_fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
		       &zone) == 0;
}

/* Asked when it is wanted for the first time, not at each start. */
static bool find_ring_page(struct kvm *kvm)
{
	struct coalesce *coalesce = &kvm->coalesce;
	int page;

	if (coalesce->ring_page || coalesce->is_refused)
		return !coalesce->is_refused;
	page = ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	coalesce->is_refused = page <= 0 || ((size_t)page + 1) * PAGE_BYTES > kvm->run_size ||
		ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_PIO) <= 0;
	if (!coalesce->is_refused)
		coalesce->ring_page = (unsigned)page;
	return !coalesce->is_refused;
}

bool coalesce_begin(struct kvm *kvm, uint16_t port, uint16_t status_port)
{
	struct coalesce *coalesce = &kvm->coalesce;
	bool began = false;

	pthread_mutex_lock(&coalesce->zone_lock);
	if (!coalesce->has_zone && coalesce->run && find_ring_page(kvm)) {
		coalesce->port = port;
		atomic_store_explicit(&coalesce->status_port, status_port, memory_order_relaxed);
		coalesce->quiet_ticks = 0;
		/* Before the first entry can be: who comes back from the guest looks. */
		atomic_store(&coalesce->may_hold, true);
		coalesce->has_zone = began = tell_zone(kvm, true);
		coalesce->is_refused = !began;
		if (!began)
			atomic_store(&coalesce->may_hold, false);
	}
	pthread_mutex_unlock(&coalesce->zone_lock);
	return began;
}

static void end_zone(struct kvm *kvm)
{
	if (kvm->coalesce.has_zone)
		tell_zone(kvm, false);
	kvm->coalesce.has_zone = false;
}

void coalesce_end(struct kvm *kvm)
{
	pthread_mutex_lock(&kvm->coalesce.zone_lock);
	end_zone(kvm);
	pthread_mutex_unlock(&kvm->coalesce.zone_lock);
}

void coalesce_attach(struct kvm *kvm, struct kvm_run *run)
{
	struct coalesce *coalesce = &kvm->coalesce;

	/* Nobody runs the guest, so there is nobody to wait for; the ring was emptied by who did. */
	pthread_mutex_lock(&coalesce->ring_lock);
	pthread_mutex_lock(&coalesce->zone_lock);
	coalesce->run = run;
	coalesce->has_zone = false;
	atomic_store(&coalesce->may_hold, false);
	pthread_mutex_unlock(&coalesce->zone_lock);
	pthread_mutex_unlock(&coalesce->ring_lock);
}

/* ---- The ring ---- */

static struct kvm_coalesced_mmio_ring *find_ring(struct kvm *kvm)
{
	struct coalesce *coalesce = &kvm->coalesce;
	uint8_t *run;

	pthread_mutex_lock(&coalesce->zone_lock);
	run = coalesce->ring_page ? (uint8_t *)coalesce->run : NULL;
	pthread_mutex_unlock(&coalesce->zone_lock);
	return run ? (void *)(run + (size_t)coalesce->ring_page * PAGE_BYTES) : NULL;
}

/* Takes the oldest writes that go to one port: so many, to `bytes`, and the port. */
static unsigned take_run(struct kvm_coalesced_mmio_ring *ring, uint8_t *bytes, uint64_t *port)
{
	uint32_t first = ring->first, last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
	unsigned count = 0;

	for (; first != last && count < ENTRIES; first = (first + 1) % ENTRIES) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[first];

		/* A zone is one port of one byte: KVM puts nothing else here. */
		if (count && entry->phys_addr != *port)
			break;
		*port = entry->phys_addr;
		bytes[count++] = entry->data[0];
	}
	__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	return count;
}

unsigned coalesce_drain(struct kvm *kvm, const struct bus *bus)
{
	struct kvm_coalesced_mmio_ring *ring;
	uint8_t bytes[ENTRIES];
	unsigned count, total = 0;
	uint64_t port = 0;

	pthread_mutex_lock(&kvm->coalesce.ring_lock);
	ring = find_ring(kvm);
	while (ring && (count = take_run(ring, bytes, &port)) > 0) {
		bus_write_run(bus, port, bytes, count);
		total += count;
	}
	pthread_mutex_unlock(&kvm->coalesce.ring_lock);
	return total;
}

bool coalesce_tick(struct kvm *kvm, const struct bus *bus)
{
	struct coalesce *coalesce = &kvm->coalesce;
	/* Looked at before: what the guest still wrote then is found by draining. */
	bool had_zone, goes_on;
	unsigned count;

	pthread_mutex_lock(&coalesce->zone_lock);
	had_zone = coalesce->has_zone;
	pthread_mutex_unlock(&coalesce->zone_lock);
	count = coalesce_drain(kvm, bus);
	pthread_mutex_lock(&coalesce->zone_lock);
	coalesce->quiet_ticks = count ? 0 : coalesce->quiet_ticks + 1;
	if (coalesce->quiet_ticks >= QUIET_TICKS)
		end_zone(kvm);
	goes_on = had_zone || coalesce->has_zone;
	if (!goes_on)
		atomic_store(&coalesce->may_hold, false);
	pthread_mutex_unlock(&coalesce->zone_lock);
	return goes_on;
}
