/*
 * All devices of the PC at once under arbitrary port accesses of all sizes, with a
 * console whose host side stalls, fails, floods and recovers, clocks that jump, and
 * resets in between. Nothing may crash, hang or leak.
 */
#include "devices/backend/chr_memory.h"
#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/cmos.h"
#include "tests/fake/fake_machine.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	OPERATIONS_MAX = 3000,
};

extern const struct device_class acpi_pm_class, reset_port_class, cmos_class, i8042_class,
	port92_class, serial_class, debug_console_class, debug_exit_class, pvpanic_class;

static const struct device_class *const classes[] = {&acpi_pm_class, &reset_port_class, &cmos_class,
	&i8042_class, &port92_class, &serial_class, &debug_console_class, &debug_exit_class,
	&pvpanic_class};

enum {
	ACPI_PM = 0,
	CMOS = 2,
};

/* Where something is, and a little to both sides. */
static const struct {
	uint16_t base;
	uint8_t count;
} places[] = {
	{0x3f6, 12}, /* serial; twice, because there is most to find */
	{0x3f8, 8},
	{0x70, 2},
	{0x60, 1},
	{0x64, 1},
	{0x5fe, 16}, /* ACPI */
	{0xcf6, 12},
	{0x90, 4},
	{0xe8, 4},
	{0xf2, 8},
	{0x503, 4},
};

struct world {
	struct fake_machine *fm;
	struct chr *chr;
	struct device *devs[ARRAY_SIZE(classes)];
	uint64_t now_ns;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t fuzz_clock(void *opaque)
{
	return ((struct world *)opaque)->now_ns;
}

static void make_world(struct world *w)
{
	int ret;

	log_set_level(LOG_ERROR);
	*w = (struct world){.now_ns = UINT64_C(1700000000000000000)};
	w->fm = fake_machine_create(64 * KIB);
	ret = chr_memory_open(&w->chr, w->fm->loop, NULL);
	ASSERT(ret == 0);
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		struct device_args args = {
			.name = classes[i]->name, .chr = w->chr, .rtc_base_s = -1};

		ret = device_create(&w->devs[i], classes[i], &args, NULL);
		ASSERT(ret == 0);
		if (i == ACPI_PM)
			acpi_pm_set_clock(w->devs[i], fuzz_clock, w);
		if (i == CMOS)
			cmos_set_clock(w->devs[i], fuzz_clock, w);
		ret = device_realize(w->devs[i], &w->fm->platform, NULL);
		ASSERT(ret == 0);
	}
}

static void end_world(struct world *w)
{
	for (size_t i = ARRAY_SIZE(classes); i--;)
		device_destroy(w->devs[i]);
	/* Or closing would wait for the host side. */
	chr_memory_stall(w->chr, false);
	chr_close(w->chr);
	fake_machine_destroy(w->fm);
}

static void access_port(struct world *w, struct fuzz_input *input, bool write)
{
	size_t place = fuzz_take(input, 1);
	unsigned size = fuzz_take(input, 1) % 8 + 1;
	uint16_t port;

	if (place == 0xff)
		port = (uint16_t)fuzz_take(input, 2);
	else
		port = (uint16_t)(places[place % ARRAY_SIZE(places)].base +
			place / ARRAY_SIZE(places) % places[place % ARRAY_SIZE(places)].count);
	/* Most accesses are of one byte. */
	if (fuzz_take(input, 1) & 3)
		size = 1;
	if (write)
		fake_machine_out(w->fm, port, size, fuzz_take(input, size));
	else
		fake_machine_in(w->fm, port, size);
}

/* Another front end fills the ring, so that the serial port soon finds it full. */
static void flood_output(struct world *w, struct fuzz_input *input)
{
	static const uint8_t block[CHR_OUTPUT_BYTES];

	chr_write(w->chr, block, fuzz_take(input, 2));
}

static void feed_input(struct world *w, struct fuzz_input *input)
{
	uint8_t bytes[64];
	size_t len = fuzz_take(input, 1) % sizeof(bytes);

	fuzz_take_bytes(input, bytes, len);
	chr_memory_feed(w->chr, bytes, len);
}

static void step(struct world *w, struct fuzz_input *input)
{
	switch (fuzz_take(input, 1) % 20) {
	case 0 ... 5:
		access_port(w, input, false);
		break;
	case 6 ... 11:
		access_port(w, input, true);
		break;
	case 12:
		feed_input(w, input);
		break;
	case 13:
		chr_memory_break(w->chr);
		break;
	case 14:
		chr_memory_stall(w->chr, fuzz_take(input, 1) & 1);
		break;
	case 15:
		flood_output(w, input);
		break;
	case 16:
		/* Also backwards, as a host's clock may be set. */
		w->now_ns += (int64_t)fuzz_take(input, 8) >> (fuzz_take(input, 1) % 64);
		w->now_ns &= UINT64_MAX >> 2;
		break;
	case 17:
		acpi_pm_press_power_button(w->devs[ACPI_PM]);
		break;
	case 18:
		device_reset(w->devs[fuzz_take(input, 1) % ARRAY_SIZE(classes)]);
		break;
	default:
		fake_machine_run_loop(w->fm);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .left = size};
	struct world w;

	make_world(&w);
	for (int i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		step(&w, &input);
	fake_machine_run_loop(w.fm);
	end_world(&w);
	return 0;
}
