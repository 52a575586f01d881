/*
 * See irqchip.h. Knows nothing of devices.
 *
 * Locks: kvm->lock guards the tables of lines and doorbells; a pin's lock guards
 * the number of lines that hold it up together with the ioctl that tells KVM, so
 * that two threads can't leave the pin at the wrong level. Both are held for an
 * ioctl at most. A pin's lock is never held when kvm->lock is taken.
 */
#include "vmm/kvm/irqchip.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/kvm/irqchip_impl.h"
#include "vmm/kvm/kvm_call.h"

enum {
	DELIVERY_MODE_SMI = 2, /* of a redirection entry (82093AA IOAPIC, 3.2.4) */
};

#define IOAPIC_DEFAULT_BASE_ADDRESS UINT64_C(0xfec00000)

/* ---- Lines ---- */

/* Fails harmlessly while there is no machine: see kvm.c. */
static void set_pin(const struct kvm *kvm, unsigned gsi, bool level)
{
	struct kvm_irq_level request = {.irq = gsi, .level = level};

	(void)ioctl(kvm->vm_fd, KVM_IRQ_LINE, &request);
}

static void wire_set(struct irq_line *line, bool level)
{
	struct kvm_wire *wire = line->opaque;
	struct kvm_gsi *pin = &wire->kvm->gsi[wire->gsi];

	pthread_mutex_lock(&pin->lock);
	if (wire->asserted != level) {
		wire->asserted = level;
		pin->asserted += level ? 1 : -1u;
		/* Only the first line up and the last one down change the pin. */
		if (pin->asserted == (level ? 1 : 0))
			set_pin(wire->kvm, wire->gsi, level);
	}
	pthread_mutex_unlock(&pin->lock);
}

static void wire_pulse_level(struct irq_line *line)
{
	wire_set(line, true);
	wire_set(line, false);
}

static void wire_pulse_edge(struct irq_line *line)
{
	const struct kvm_wire *wire = line->opaque;

	/* Fails only when 2^64 - 2 pulses wait. */
	(void)eventfd_write(wire->fd, 1);
}

static int wire_pulse_fd(const struct irq_line *line)
{
	return ((const struct kvm_wire *)line->opaque)->fd;
}

static int connect_irqfd(const struct kvm *kvm, const struct kvm_wire *wire)
{
	struct kvm_irqfd request = {.fd = (uint32_t)wire->fd, .gsi = wire->gsi};
	eventfd_t stale;

	/* Pulses of the time without a machine are forgotten. */
	(void)eventfd_read(wire->fd, &stale);
	return kvm_call(kvm->vm_fd, KVM_IRQFD, &request) < 0 ? -errno : 0;
}

static int fill_wire(struct kvm *kvm, struct kvm_wire *wire, bool level)
{
	int ret;

	if (level)
		return 0;
	wire->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wire->fd < 0)
		return -errno;
	ret = kvm->has_vm ? connect_irqfd(kvm, wire) : 0;
	if (ret < 0) {
		close(wire->fd);
		wire->fd = -1;
	}
	return ret;
}

int kvm_irq_connect(
	struct kvm *kvm, unsigned gsi, bool level, struct irq_line *line, struct err *err)
{
	struct kvm_wire *wire;
	int ret;

	if (gsi >= KVM_GSI_COUNT)
		return err_set(err, EXIT_CODE_DEVICE, EINVAL,
			"interrupt %u does not exist: the interrupt chip has pins 0 to %d", gsi,
			KVM_GSI_COUNT - 1);
	pthread_mutex_lock(&kvm->lock);
	if (kvm->wire_count == KVM_WIRES_MAX) {
		pthread_mutex_unlock(&kvm->lock);
		return err_set(err, EXIT_CODE_DEVICE, ENOSPC,
			"no interrupt line is left (%d); use fewer devices", KVM_WIRES_MAX);
	}
	wire = &kvm->wires[kvm->wire_count];
	*wire = (struct kvm_wire){.kvm = kvm, .gsi = gsi, .fd = -1};
	ret = fill_wire(kvm, wire, level);
	if (ret == 0)
		kvm->wire_count++;
	pthread_mutex_unlock(&kvm->lock);
	if (ret < 0)
		return err_set(err, EXIT_CODE_DEVICE, -ret, "can't connect interrupt %u to KVM: %s",
			gsi, strerror(-ret));
	*line = (struct irq_line){.set = wire_set,
		.pulse = level ? wire_pulse_level : wire_pulse_edge,
		.pulse_fd = level ? NULL : wire_pulse_fd,
		.opaque = wire,
		.gsi = gsi};
	return 0;
}

/* ---- Doorbells ---- */

static int tell_doorbell(const struct kvm *kvm, const struct kvm_doorbell *bell, bool assign)
{
	struct kvm_ioeventfd request = {.datamatch = bell->value,
		.addr = bell->addr,
		.len = bell->size,
		.fd = bell->fd,
		.flags = bell->size ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0};

	if (bell->pio)
		request.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (!assign)
		request.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return kvm_call(kvm->vm_fd, KVM_IOEVENTFD, &request) < 0 ? -errno : 0;
}

static bool is_same_bell(const struct kvm_doorbell *a, const struct kvm_doorbell *b)
{
	return a->used && a->pio == b->pio && a->addr == b->addr && a->size == b->size &&
		a->value == b->value;
}

static struct kvm_doorbell *find_bell(struct kvm *kvm, const struct kvm_doorbell *wanted)
{
	for (size_t i = 0; i < kvm->doorbell_count; i++)
		if (is_same_bell(&kvm->doorbells[i], wanted))
			return &kvm->doorbells[i];
	return NULL;
}

static struct kvm_doorbell *find_free_bell(struct kvm *kvm)
{
	for (size_t i = 0; i < kvm->doorbell_count; i++)
		if (!kvm->doorbells[i].used)
			return &kvm->doorbells[i];
	if (kvm->doorbell_count == KVM_DOORBELLS_MAX)
		return NULL;
	kvm->doorbells[kvm->doorbell_count].used = false;
	return &kvm->doorbells[kvm->doorbell_count++];
}

static int add_bell(struct kvm *kvm, const struct kvm_doorbell *wanted)
{
	struct kvm_doorbell *place = find_free_bell(kvm);
	int ret;

	if (find_bell(kvm, wanted))
		return -EEXIST;
	if (!place)
		return -ENOSPC;
	ret = kvm->has_vm ? tell_doorbell(kvm, wanted, true) : 0;
	if (ret == 0)
		*place = *wanted;
	return ret;
}

static int remove_bell(struct kvm *kvm, const struct kvm_doorbell *wanted)
{
	struct kvm_doorbell *bell = find_bell(kvm, wanted);
	int ret;

	if (!bell || bell->fd != wanted->fd)
		return -ENOENT;
	ret = kvm->has_vm ? tell_doorbell(kvm, bell, false) : 0;
	*bell = (struct kvm_doorbell){0};
	return ret;
}

int kvm_ioeventfd(struct kvm *kvm, bool pio, uint64_t addr, unsigned size, uint64_t value, int fd,
	bool assign)
{
	struct kvm_doorbell wanted = {
		.used = true, .pio = pio, .addr = addr, .size = size, .value = value, .fd = fd};
	int ret;

	if (size > 8 || (size && !util_is_power_of_two(size)) || (pio && size == 8))
		return -EINVAL;
	pthread_mutex_lock(&kvm->lock);
	ret = assign ? add_bell(kvm, &wanted) : remove_bell(kvm, &wanted);
	pthread_mutex_unlock(&kvm->lock);
	return ret;
}

/* ---- Messages ---- */

int kvm_msi_send(struct kvm *kvm, uint64_t address, uint32_t data)
{
	struct kvm_msi message = {.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data};
	int ret = ioctl(kvm->vm_fd, KVM_SIGNAL_MSI, &message);

	if (ret >= 0)
		return ret > 0;
	return errno == ENOTTY ? -ENODEV : -errno;
}

/* ---- Reset and end ---- */

static void apply_pin(struct kvm *kvm, unsigned gsi)
{
	struct kvm_gsi *pin = &kvm->gsi[gsi];

	pthread_mutex_lock(&pin->lock);
	if (pin->asserted)
		set_pin(kvm, gsi, true);
	pthread_mutex_unlock(&pin->lock);
}

/* A doorbell that KVM refuses is dropped: the write then arrives over the bus. */
static void apply_bells(struct kvm *kvm)
{
	for (size_t i = 0; i < kvm->doorbell_count; i++) {
		struct kvm_doorbell *bell = &kvm->doorbells[i];
		int ret = bell->used ? tell_doorbell(kvm, bell, true) : 0;

		if (ret < 0) {
			log_debug("KVM refuses the doorbell at 0x%llx: %s",
				(unsigned long long)bell->addr, strerror(-ret));
			*bell = (struct kvm_doorbell){0};
		}
	}
}

/* The timer chip's, by KVM's routing and by that of PC boards, and those of the lines. */
static uint32_t pins_in_use(const struct kvm *kvm)
{
	uint32_t pins = kvm->no_pit ? 0 : 1u << 0 | 1u << 2;

	for (size_t i = 0; i < kvm->wire_count; i++)
		pins |= 1u << kvm->wires[i].gsi;
	return pins;
}

/*
 * Linux clears each pin of the IOAPIC with twelve accesses, which are exits, but leaves one that is
 * set to delivery mode SMI to the firmware after four. So that is what pins without a line are,
 * masked as after a reset. A driver that uses a pin later writes all of its entry. A wish: a KVM
 * that refuses it has a guest with more exits.
 */
static void reserve_free_pins(const struct kvm *kvm)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
	struct kvm_ioapic_state *ioapic = &chip.chip.ioapic;
	uint32_t used = pins_in_use(kvm);

	ioapic->base_address = IOAPIC_DEFAULT_BASE_ADDRESS;
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		ioapic->redirtbl[pin].fields.mask = 1;
		if (!(used >> pin & 1))
			ioapic->redirtbl[pin].fields.delivery_mode = DELIVERY_MODE_SMI;
	}
	if (kvm_call(kvm->vm_fd, KVM_SET_IRQCHIP, &chip) < 0)
		log_debug("KVM refuses the IOAPIC's registers: %s", strerror(errno));
}

int irqchip_apply(struct kvm *kvm)
{
	int ret = 0;

	pthread_mutex_lock(&kvm->lock);
	kvm->has_vm = true;
	for (size_t i = 0; i < kvm->wire_count && ret == 0; i++)
		if (kvm->wires[i].fd >= 0)
			ret = connect_irqfd(kvm, &kvm->wires[i]);
	apply_bells(kvm);
	/* A machine that is made before its lines keeps all pins as KVM made them. */
	if (kvm->wire_count)
		reserve_free_pins(kvm);
	pthread_mutex_unlock(&kvm->lock);
	for (unsigned gsi = 0; gsi < KVM_GSI_COUNT; gsi++)
		apply_pin(kvm, gsi);
	return ret;
}

void irqchip_finish(struct kvm *kvm)
{
	for (size_t i = 0; i < kvm->wire_count; i++)
		if (kvm->wires[i].fd >= 0)
			close(kvm->wires[i].fd);
	kvm->wire_count = 0;
}
