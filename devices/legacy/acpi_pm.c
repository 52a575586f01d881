/*
 * ACPI fixed hardware: the PM1a event and control blocks, the power management timer
 * and the power button. It knows nothing of the ACPI tables; acpi_pm.h has the
 * numbers for their writer.
 *
 * ACPI 6.4: 4.8.2.1 PM timer, 4.8.3.1 PM1 event group, 4.8.3.2 PM1 control group.
 * The machine is always in ACPI mode: SCI_EN reads as one.
 *
 * Threads: vCPUs and the loop, under the device's lock; the power button from any.
 *
 * Threats
 *   what the guest can send          limit                        where            test
 *   any width at any offset          bytes of a known register    read_bytes,      wide_and_odd_accesses
 *                                                                 merge_bytes
 *   unknown SLP_TYP                  ignored, logged in limits    write_control    unknown_sleep_type
 *   enabled timer event never taken  one timer, at most one       arm_timer        timer_carry
 *                                    interrupt in 2.3 seconds
 */
#include "devices/legacy/acpi_pm.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/core/device.h"

/* PM1 status and enable bits (ACPI 6.4, tables 4.13 and 4.14) */
enum {
	PM1_TMR = 1 << 0,
	PM1_GBL = 1 << 5,
	PM1_PWRBTN = 1 << 8,
	PM1_SLPBTN = 1 << 9,
	PM1_RTC = 1 << 10,
	PM1_EVENTS = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC,
};

/* PM1 control bits (table 4.15) */
enum {
	CNT_SCI_EN = 1 << 0,
	CNT_BM_RLD = 1 << 1,
	CNT_GBL_RLS = 1 << 2,
	CNT_SLP_TYP_SHIFT = 10,
	CNT_SLP_TYP_MASK = 7 << CNT_SLP_TYP_SHIFT,
	CNT_SLP_EN = 1 << 13,
	CNT_KEPT = CNT_BM_RLD | CNT_SLP_TYP_MASK,
};

/* TMR_STS is set when the timer's highest bit changes. */
#define CARRY_TICKS (UINT64_C(1) << (ACPI_PM_TIMER_BITS - 1))

struct acpi_pm {
	struct device dev;
	struct irq_line sci;
	bool sci_level;
	uint16_t status, enable, control;
	uint64_t carries; /* changes of the highest bit that TMR_STS has told of */
	struct loop_timer timer;
	uint64_t (*now_ns)(void *opaque);
	void *now_opaque;
};

extern const struct device_class acpi_pm_class;

static uint64_t monotonic_clock(void *opaque)
{
	(void)opaque;
	return util_now_ns();
}

void acpi_pm_set_clock(struct device *device, uint64_t (*now_ns)(void *opaque), void *opaque)
{
	struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, dev);

	pm->now_ns = now_ns;
	pm->now_opaque = opaque;
}

static uint64_t timer_ticks(const struct acpi_pm *pm)
{
	uint64_t now_ns = device_hear(&pm->dev, pm->now_ns(pm->now_opaque));
	unsigned __int128 product = (unsigned __int128)now_ns * ACPI_PM_TIMER_HZ;

	return (uint64_t)(product / 1000000000);
}

/* ---- Status and SCI ---- */

static void note_carry(struct acpi_pm *pm)
{
	uint64_t carries = timer_ticks(pm) / CARRY_TICKS;

	if (carries != pm->carries)
		pm->status |= PM1_TMR;
	pm->carries = carries;
}

/* Only a guest that asked for the event, and has taken the last one, costs the host a timer. */
static void arm_timer(struct acpi_pm *pm)
{
	uint64_t ticks;

	if (!(pm->enable & PM1_TMR) || (pm->status & PM1_TMR))
		return;
	ticks = CARRY_TICKS - timer_ticks(pm) % CARRY_TICKS;
	loop_timer_arm(
		pm->dev.platform->loop, &pm->timer, ticks * 1000000000 / ACPI_PM_TIMER_HZ + 1);
}

static void update_sci(struct acpi_pm *pm)
{
	bool level = pm->status & pm->enable & PM1_EVENTS;

	if (level == pm->sci_level)
		return;
	pm->sci_level = level;
	irq_set(&pm->sci, level);
}

static void handle_timer(void *opaque)
{
	struct acpi_pm *pm = opaque;

	note_carry(pm);
	arm_timer(pm);
	update_sci(pm);
}

void acpi_pm_press_power_button(struct device *device)
{
	struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, dev);

	pthread_mutex_lock(&device->lock);
	device_note(device, TRACE_TAPE_BUTTON, 0, NULL, 0);
	pm->status |= PM1_PWRBTN;
	update_sci(pm);
	pthread_mutex_unlock(&device->lock);
}

/* ---- Registers ---- */

static uint64_t read_bytes(uint64_t value, uint64_t offset, unsigned size)
{
	return util_low_bytes(value >> (8 * offset), size);
}

/* `mask` gets ones where the access wrote; the result has zeros elsewhere. */
static uint64_t merge_bytes(uint64_t offset, unsigned size, uint64_t value, uint64_t *mask)
{
	*mask = util_low_bytes(UINT64_MAX, size) << (8 * offset);
	return value << (8 * offset);
}

static uint64_t read_events(void *opaque, uint64_t offset, unsigned size)
{
	struct acpi_pm *pm = opaque;

	note_carry(pm);
	update_sci(pm);
	return read_bytes(pm->status | (uint64_t)pm->enable << 16, offset, size);
}

static void write_events(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = opaque;
	uint64_t mask, written = merge_bytes(offset, size, value, &mask);

	note_carry(pm);
	/* A one clears a status bit. */
	pm->status &= (uint16_t)~written;
	pm->enable = (uint16_t)((pm->enable & ~(mask >> 16)) | (written >> 16)) & PM1_EVENTS;
	arm_timer(pm);
	update_sci(pm);
}

static const struct bus_ops event_ops = {.read = read_events, .write = write_events};

static uint64_t read_control(void *opaque, uint64_t offset, unsigned size)
{
	struct acpi_pm *pm = opaque;

	return read_bytes(pm->control | CNT_SCI_EN, offset, size);
}

static void write_control(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = opaque;
	uint64_t mask, written = merge_bytes(offset, size, value, &mask);
	unsigned type;

	pm->control = (uint16_t)((pm->control & ~mask) | written) & CNT_KEPT;
	if (!(written & CNT_SLP_EN))
		return;
	type = (pm->control & CNT_SLP_TYP_MASK) >> CNT_SLP_TYP_SHIFT;
	if (type == ACPI_PM_SLP_TYP_S5)
		device_request(&pm->dev, MACHINE_POWEROFF, 0);
	else
		device_guest_error(
			&pm->dev, "the guest asked for sleep type %u, which is none", type);
}

static const struct bus_ops control_ops = {.read = read_control, .write = write_control};

static uint64_t read_timer(void *opaque, uint64_t offset, unsigned size)
{
	uint64_t ticks = timer_ticks(opaque) & ((UINT64_C(1) << ACPI_PM_TIMER_BITS) - 1);

	return read_bytes(ticks, offset, size);
}

static void ignore_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	(void)opaque;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct bus_ops timer_ops = {.read = read_timer, .write = ignore_write};

/* ---- Life ---- */

static int acpi_pm_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct acpi_pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&pm->dev, &acpi_pm_class, args);
	pm->now_ns = monotonic_clock;
	pm->timer = (struct loop_timer){.fn = handle_timer, .opaque = pm, .lock = &pm->dev.lock};
	*device = &pm->dev;
	return 0;
}

static int acpi_pm_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, dev);
	int ret = device_claim_irq(device, ACPI_PM_SCI_GSI, true, &pm->sci, err);

	(void)platform;
	if (ret >= 0)
		ret = device_claim_pio(
			device, ACPI_PM_PM1_EVT_PORT, ACPI_PM_PM1_EVT_LEN, &event_ops, pm, err);
	if (ret >= 0)
		ret = device_claim_pio(
			device, ACPI_PM_PM1_CNT_PORT, ACPI_PM_PM1_CNT_LEN, &control_ops, pm, err);
	if (ret >= 0)
		ret = device_claim_pio(
			device, ACPI_PM_TIMER_PORT, ACPI_PM_TIMER_LEN, &timer_ops, pm, err);
	if (ret >= 0)
		device->class->reset(device);
	return ret;
}

static void acpi_pm_reset(struct device *device)
{
	struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, dev);

	pm->status = pm->enable = pm->control = 0;
	pm->carries = timer_ticks(pm) / CARRY_TICKS;
	loop_timer_cancel(&pm->timer);
	update_sci(pm);
}

static void acpi_pm_destroy(struct device *device)
{
	struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, dev);

	loop_timer_cancel(&pm->timer);
	device_finish(device);
	free(pm);
}

const struct device_class acpi_pm_class = {
	.name = "acpi-pm",
	.description = "ACPI power management: power button, soft off, timer",
	.create = acpi_pm_create,
	.realize = acpi_pm_realize,
	.reset = acpi_pm_reset,
	.destroy = acpi_pm_destroy,
};
