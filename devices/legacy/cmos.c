/*
 * The real-time clock and CMOS RAM of a PC, MC146818A, at ports 0x70 and 0x71 with irq 8.
 *
 * The time is the host's (UTC) or runs from a fixed start; a guest that sets it gets
 * an offset of its own. Nothing ticks in here: registers are computed when they are read,
 * and a timer runs only while an interrupt is enabled and its last one was taken.
 *
 * UIP is set for the last 2.2 ms of each second, as on the chip: whoever reads it clear has
 * time to read a consistent date, and whoever waits for its edge sees it every second.
 *
 * Motorola MC146818A data sheet, "Registers"; layout of the RAM: IBM PC/AT Technical
 * Reference. It has a battery: a reset keeps time and RAM.
 *
 * Threads: vCPUs and the loop, under the device's lock.
 *
 * Threats
 *   what the guest can send           limit                           where          test
 *   dates that are none               run over, cut at the year 9999  rtc_decode     impossible_dates
 *   periodic interrupts at 8 kHz      one for each read of register   arm            periodic_*
 *                                     C, at most 1000 a second
 *   an index beyond the RAM           masked to 7 bits                write_byte     index_is_masked
 */
#include "devices/legacy/cmos.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "devices/legacy/byte_ports.h"
#include "devices/legacy/rtc_calendar.h"
#include "vmm/core/device.h"

#define SECOND_NS UINT64_C(1000000000)

/* tBUC + tUC of the data sheet for a crystal of 32768 Hz: 244 us and 1984 us. */
#define UPDATE_NS UINT64_C(2228000)

/* The host's clock may be set: a far alarm is looked at again now and then. */
#define ALARM_CHECK_NS (60 * SECOND_NS)

enum {
	INDEX_PORT = 0x70,
	PORTS = 2,
	IRQ = 8,
	RAM_BYTES = 128,

	REG_A = 10,
	REG_B,
	REG_C,
	REG_D,

	A_UIP = 0x80,
	A_DIVIDER = 0x70,
	A_DIVIDER_RESET = 0x60, /* and 0x70 */
	A_RATE = 0x0f,
	A_DEFAULT = 0x26, /* crystal of 32768 Hz, rate 1024 Hz */

	B_SET = 0x80,
	B_PIE = 0x40,
	B_AIE = 0x20,
	B_UIE = 0x10,

	/* Register C: a flag stands where its enable stands in B. */
	C_IRQF = 0x80,
	C_PF = 0x40,
	C_AF = 0x20,
	C_UF = 0x10,
	C_FLAGS = C_PF | C_AF | C_UF,

	D_VALID = 0x80,

	EQUIPMENT = 0x14,
	EQUIPMENT_FPU = 0x02,
	BASE_MEMORY_KIB = 0x15,
	MEMORY_ABOVE_1M_KIB = 0x17,
	MEMORY_ABOVE_1M_KIB_TOO = 0x30,
	MEMORY_ABOVE_16M_64KIB = 0x34,
	MEMORY_ABOVE_4G_64KIB = 0x5b, /* three bytes */
};

struct cmos {
	struct device dev;
	struct irq_line irq;
	bool irq_level;
	uint8_t index;
	uint8_t ram[RAM_BYTES]; /* the time in it counts only while the clock stands */

	uint64_t (*now_ns)(void *opaque);
	void *now_opaque;
	int64_t base_s;	   /* fixed start, or -1: the host's time */
	uint64_t start_ns; /* CLOCK_BOOTTIME when it started */
	int64_t offset_s;  /* guest's seconds - the clock's, after the phase */
	uint64_t phase_ns; /* added to the clock: where in a second the guest's seconds begin */
	bool divider_was_reset;

	int64_t seen_s;	      /* flags are right up to this second of the guest */
	uint64_t seen_period; /* and this period */
	struct loop_timer timer;
};

extern const struct device_class cmos_class;

/* ---- Time ---- */

static uint64_t host_clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t default_clock(void *opaque)
{
	const struct cmos *cmos = opaque;

	if (cmos->base_s < 0)
		return host_clock_ns(CLOCK_REALTIME);
	return host_clock_ns(CLOCK_BOOTTIME) - cmos->start_ns;
}

static uint64_t clock_ns(const struct cmos *cmos)
{
	return device_hear(&cmos->dev, cmos->now_ns(cmos->now_opaque));
}

static uint64_t phased_ns(const struct cmos *cmos)
{
	return clock_ns(cmos) + cmos->phase_ns;
}

static int64_t running_s(const struct cmos *cmos)
{
	return (int64_t)(phased_ns(cmos) / SECOND_NS) + cmos->offset_s;
}

static bool divider_is_reset(const struct cmos *cmos)
{
	return (cmos->ram[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool is_standing(const struct cmos *cmos)
{
	return (cmos->ram[REG_B] & B_SET) || divider_is_reset(cmos);
}

/* Nanoseconds between two periodic events, 0 = none. */
static uint64_t period_ns(const struct cmos *cmos)
{
	unsigned rate = cmos->ram[REG_A] & A_RATE;

	if (!rate || divider_is_reset(cmos))
		return 0;
	/* The two fastest rates of the other crystals are slow ones with this crystal. */
	if (rate <= 2)
		rate += 7;
	return (SECOND_NS << (rate - 1)) / 32768;
}

/* Counts the periods that have passed; 0 when there is none. */
static uint64_t current_period(const struct cmos *cmos)
{
	uint64_t period = period_ns(cmos);

	return period ? phased_ns(cmos) / period : 0;
}

static void show_time(const struct cmos *cmos, uint8_t *registers, uint8_t *century)
{
	rtc_encode(running_s(cmos), cmos->ram[REG_B], registers, century);
}

/* Makes the guest's time what its registers say. */
static void take_time(struct cmos *cmos)
{
	int64_t seconds = rtc_decode(cmos->ram, cmos->ram[CMOS_CENTURY], cmos->ram[REG_B]);

	/* The chip's first second after a reset of its divider is half a second long. */
	if (cmos->divider_was_reset) {
		uint64_t in_second = clock_ns(cmos) % SECOND_NS;

		cmos->phase_ns = (SECOND_NS + SECOND_NS / 2 - in_second) % SECOND_NS;
	}
	cmos->divider_was_reset = false;
	cmos->offset_s = seconds - (int64_t)(phased_ns(cmos) / SECOND_NS);
	cmos->seen_s = seconds;
}

/* ---- Flags and interrupts ---- */

static void update_irq(struct cmos *cmos)
{
	bool level = cmos->ram[REG_C] & cmos->ram[REG_B] & C_FLAGS;

	if (level == cmos->irq_level)
		return;
	cmos->irq_level = level;
	irq_set(&cmos->irq, level);
}

/* Sets the flags of what has happened since the last look. */
static void look(struct cmos *cmos)
{
	uint64_t period = current_period(cmos);
	int64_t now_s;

	if (period != cmos->seen_period)
		cmos->ram[REG_C] |= C_PF;
	cmos->seen_period = period;
	if (is_standing(cmos))
		return;
	now_s = running_s(cmos);
	if (now_s > cmos->seen_s) {
		unsigned alarm = rtc_seconds_to_alarm(
			MAX(cmos->seen_s, INT64_C(0)), cmos->ram, cmos->ram[REG_B]);

		cmos->ram[REG_C] |= C_UF;
		if (alarm && alarm <= now_s - cmos->seen_s)
			cmos->ram[REG_C] |= C_AF;
	}
	cmos->seen_s = now_s;
}

/* Nanoseconds until the next event that has to interrupt; UINT64_MAX = none. */
static uint64_t next_event_ns(const struct cmos *cmos)
{
	uint8_t wanted = cmos->ram[REG_B] & C_FLAGS & (uint8_t)~cmos->ram[REG_C];
	uint64_t period = period_ns(cmos), now_ns = phased_ns(cmos), next = UINT64_MAX;
	uint64_t to_second = SECOND_NS - now_ns % SECOND_NS;

	if ((wanted & C_PF) && period)
		next = period - now_ns % period;
	if (is_standing(cmos))
		return next;
	if (wanted & C_UF)
		next = MIN(next, to_second);
	if (wanted & C_AF) {
		unsigned alarm = rtc_seconds_to_alarm(
			MAX(running_s(cmos), INT64_C(0)), cmos->ram, cmos->ram[REG_B]);

		if (alarm)
			next = MIN(next, to_second + (alarm - 1) * SECOND_NS);
		next = MIN(next, ALARM_CHECK_NS);
	}
	return next;
}

static void arm(struct cmos *cmos)
{
	uint64_t next = next_event_ns(cmos);

	if (next != UINT64_MAX)
		loop_timer_arm(cmos->dev.platform->loop, &cmos->timer, next);
}

static void handle_timer(void *opaque)
{
	struct cmos *cmos = opaque;

	look(cmos);
	update_irq(cmos);
	arm(cmos);
}

/* ---- Registers ---- */

static bool is_time(unsigned index)
{
	return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_HOURS ||
		(index >= RTC_DAY_OF_WEEK && index <= RTC_YEAR) || index == CMOS_CENTURY;
}

static bool is_alarm(unsigned index)
{
	return index == RTC_SECONDS_ALARM || index == RTC_MINUTES_ALARM || index == RTC_HOURS_ALARM;
}

static uint8_t read_time(const struct cmos *cmos, unsigned index)
{
	uint8_t registers[RTC_TIME_REGISTERS], century;

	if (is_standing(cmos))
		return cmos->ram[index];
	show_time(cmos, registers, &century);
	return index == CMOS_CENTURY ? century : registers[index];
}

static void write_time(struct cmos *cmos, unsigned index, uint8_t value)
{
	if (is_standing(cmos)) {
		cmos->ram[index] = value;
		return;
	}
	show_time(cmos, cmos->ram, &cmos->ram[CMOS_CENTURY]);
	cmos->ram[index] = value;
	take_time(cmos);
}

static uint8_t read_c(struct cmos *cmos)
{
	uint8_t flags;

	look(cmos);
	flags = cmos->ram[REG_C];
	if (flags & cmos->ram[REG_B] & C_FLAGS)
		flags |= C_IRQF;
	cmos->ram[REG_C] = 0;
	update_irq(cmos);
	arm(cmos);
	return flags;
}

static uint8_t read_a(const struct cmos *cmos)
{
	uint8_t value = cmos->ram[REG_A];

	if (!is_standing(cmos) && phased_ns(cmos) % SECOND_NS >= SECOND_NS - UPDATE_NS)
		value |= A_UIP;
	return value;
}

static uint8_t read_data(struct cmos *cmos)
{
	if (is_time(cmos->index))
		return read_time(cmos, cmos->index);
	switch (cmos->index) {
	case REG_A:
		return read_a(cmos);
	case REG_C:
		return read_c(cmos);
	case REG_D:
		return D_VALID;
	default:
		return cmos->ram[cmos->index];
	}
}

/* A or B: may stop the clock or let it go. */
static void write_control(struct cmos *cmos, unsigned index, uint8_t value)
{
	bool stood = is_standing(cmos);

	if (index == REG_A)
		value &= (uint8_t)~A_UIP;
	else if (value & B_SET)
		value &= (uint8_t)~B_UIE;
	if (!stood)
		show_time(cmos, cmos->ram, &cmos->ram[CMOS_CENTURY]);
	cmos->ram[index] = value;
	if (divider_is_reset(cmos))
		cmos->divider_was_reset = true;
	if (stood && !is_standing(cmos))
		take_time(cmos);
	cmos->seen_period = current_period(cmos);
}

static void write_data(struct cmos *cmos, uint8_t value)
{
	unsigned index = cmos->index;

	if (index == REG_C || index == REG_D)
		return;
	if (!is_time(index) && !is_alarm(index) && index != REG_A && index != REG_B) {
		cmos->ram[index] = value;
		return;
	}
	look(cmos);
	if (is_time(index))
		write_time(cmos, index, value);
	else if (is_alarm(index))
		cmos->ram[index] = value;
	else
		write_control(cmos, index, value);
	update_irq(cmos);
	arm(cmos);
}

static uint8_t read_byte(void *opaque, unsigned port)
{
	/* The index can't be read back. */
	return port ? read_data(opaque) : 0xff;
}

static void write_byte(void *opaque, unsigned port, uint8_t value)
{
	struct cmos *cmos = opaque;

	/* Bit 7 of the index masks NMIs, of which there are none. */
	if (port)
		write_data(cmos, value);
	else
		cmos->index = value & (RAM_BYTES - 1);
}

static uint64_t read_ports(void *opaque, uint64_t offset, unsigned size)
{
	return byte_ports_read(opaque, offset, size, read_byte);
}

static void write_ports(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	byte_ports_write(opaque, offset, size, value, write_byte);
}

static const struct bus_ops ops = {.read = read_ports, .write = write_ports};

/* ---- Life ---- */

void cmos_set_clock(struct device *device, uint64_t (*now_ns)(void *opaque), void *opaque)
{
	struct cmos *cmos = CONTAINER_OF(device, struct cmos, dev);

	cmos->now_ns = now_ns;
	cmos->now_opaque = opaque;
}

static int cmos_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct cmos *cmos;

	if (args->rtc_base_s > RTC_SECONDS_MAX)
		return err_set(err, EXIT_CODE_DEVICE, EINVAL,
			"%s: the start time lies beyond the year 9999", args->name);
	cmos = calloc(1, sizeof(*cmos));
	if (!cmos)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&cmos->dev, &cmos_class, args);
	cmos->base_s = args->rtc_base_s;
	cmos->offset_s = MAX(args->rtc_base_s, INT64_C(0));
	cmos->now_ns = default_clock;
	cmos->now_opaque = cmos;
	cmos->ram[REG_A] = A_DEFAULT;
	cmos->ram[REG_B] = RTC_B_24H;
	cmos->timer =
		(struct loop_timer){.fn = handle_timer, .opaque = cmos, .lock = &cmos->dev.lock};
	*device = &cmos->dev;
	return 0;
}

static void put_size(struct cmos *cmos, unsigned index, uint64_t units, unsigned bytes)
{
	uint64_t max = (UINT64_C(1) << (8 * bytes)) - 1;

	units = MIN(units, max);
	for (unsigned i = 0; i < bytes; i++)
		cmos->ram[index + i] = (uint8_t)(units >> (8 * i));
}

/* How much memory there is, where firmware and old kernels look for it. */
static void show_memory(struct cmos *cmos, const struct gmem *mem)
{
	uint64_t low = mem->region_count ? mem->regions[0].size : 0;
	uint64_t high = mem->region_count > 1 ? mem->regions[1].size : 0;
	uint64_t above_1m_kib = low > MIB ? (low - MIB) / KIB : 0;

	put_size(cmos, BASE_MEMORY_KIB, 640, 2);
	put_size(cmos, MEMORY_ABOVE_1M_KIB, above_1m_kib, 2);
	put_size(cmos, MEMORY_ABOVE_1M_KIB_TOO, above_1m_kib, 2);
	put_size(cmos, MEMORY_ABOVE_16M_64KIB, low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0,
		2);
	put_size(cmos, MEMORY_ABOVE_4G_64KIB, high / (64 * KIB), 3);
	cmos->ram[EQUIPMENT] = EQUIPMENT_FPU;
}

static int cmos_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct cmos *cmos = CONTAINER_OF(device, struct cmos, dev);
	int ret = device_claim_irq(device, IRQ, false, &cmos->irq, err);

	if (ret >= 0)
		ret = device_claim_pio(device, INDEX_PORT, PORTS, &ops, cmos, err);
	if (ret < 0)
		return ret;
	cmos->start_ns = host_clock_ns(CLOCK_BOOTTIME);
	cmos->seen_s = running_s(cmos);
	cmos->seen_period = current_period(cmos);
	show_memory(cmos, platform->mem);
	return 0;
}

static void cmos_reset(struct device *device)
{
	struct cmos *cmos = CONTAINER_OF(device, struct cmos, dev);

	if (is_standing(cmos))
		take_time(cmos);
	cmos->ram[REG_A] = A_DEFAULT;
	cmos->ram[REG_B] = RTC_B_24H;
	cmos->ram[REG_C] = 0;
	cmos->index = 0;
	loop_timer_cancel(&cmos->timer);
	update_irq(cmos);
}

static void cmos_destroy(struct device *device)
{
	struct cmos *cmos = CONTAINER_OF(device, struct cmos, dev);

	loop_timer_cancel(&cmos->timer);
	device_finish(device);
	free(cmos);
}

const struct device_class cmos_class = {
	.name = "cmos",
	.description = "real-time clock and CMOS RAM",
	.acpi_hid = "PNP0B00",
	.dt_compatible = "motorola,mc146818",
	.create = cmos_create,
	.realize = cmos_realize,
	.reset = cmos_reset,
	.destroy = cmos_destroy,
};
