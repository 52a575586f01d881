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
#include "vmm/kvm/kvm.h"

enum {
	PAGE_BYTES = 4096,
	ENTRIES = (PAGE_BYTES - sizeof(struct kvm_coalesced_mmio_ring)) /
		sizeof(struct kvm_coalesced_mmio),
	QUIET_TICKS = 10
};

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

bool coalesce_begin(struct kvm *kvm, uint16_t port)
{
	struct coalesce *coalesce = &kvm->coalesce;
	bool began = false;

	pthread_mutex_lock(&coalesce->zone_lock);
	if (!coalesce->has_zone && coalesce->run && find_ring_page(kvm)) {
		coalesce->port = port;
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

unsigned coalesce_drain(struct kvm *kvm, const struct bus *bus)
{
	struct kvm_coalesced_mmio_ring *ring;
	unsigned count = 0;

	pthread_mutex_lock(&kvm->coalesce.ring_lock);
	ring = find_ring(kvm);
	while (ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[ring->first];

		if (entry->pio && entry->len <= sizeof(entry->data))
			bus_write(bus, entry->phys_addr, entry->data, entry->len);
		__atomic_store_n(&ring->first, (ring->first + 1) % ENTRIES, __ATOMIC_RELEASE);
		count++;
	}
	pthread_mutex_unlock(&kvm->coalesce.ring_lock);
	return count;
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
