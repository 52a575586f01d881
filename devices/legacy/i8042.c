/*
 * The keyboard controller of a PC, an Intel 8042, at ports 0x60 and 0x64 with irq 1, a
 * keyboard (ps2_keyboard.h) behind it, and the reset line of the machine. Where the machine has a
 * screen, keys come from the hub of input.h, and there is a mouse (ps2_mouse.h) on the auxiliary
 * port with irq 12. Elsewhere that port's commands are answered as a controller answers that has
 * nothing connected there, at once, so that a driver does not wait.
 *
 * The state after reset is the one that a PC's firmware leaves: interrupt and
 * translation on.
 *
 * On a PC a byte takes a millisecond on its wire, and a command finds the output buffer empty or
 * waits. Here the next byte is there at once, so that a probe is short; an answer to
 * a command goes before a byte of a key that was not read yet, which is put back.
 *
 * IBM PC/AT Technical Reference and PS/2 Hardware Interface Technical Reference,
 * "Keyboard/Auxiliary Device Controller".
 *
 * Threads: vCPUs, and the loop's for what comes from people; under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                             where        test
 *   commands without reading         one answer is kept, the newest    reply        unread_answers
 *   the same while keys come         one byte of each is put back      reply        put_back
 *   controller RAM reads and writes  32 bytes, index masked            run_command  controller_ram
 *   never to read keys               the queues of both devices        take_…       never_reads
 *   lamps, rates, modes of all kinds what they mean, or nothing        ps2_…        all_commands…
 *   resets without end               the first of several counts       platform     -
 */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>

#include "devices/backend/input.h"
#include "devices/legacy/ps2_codes.h"
#include "devices/legacy/ps2_keyboard.h"
#include "devices/legacy/ps2_mouse.h"
#include "vmm/core/device.h"

enum {
	DATA_PORT = 0x60,
	COMMAND_PORT = 0x64,
	IRQ_KEYBOARD = 1,
	IRQ_AUX = 12,
	RAM_BYTES = 32,

	/* Status register */
	STATUS_OUTPUT_FULL = 0x01,
	STATUS_SYSTEM = 0x04,
	STATUS_COMMAND = 0x08, /* the last byte came through 0x64 */
	STATUS_UNLOCKED = 0x10,
	STATUS_AUX = 0x20, /* with OUTPUT_FULL: it is from the auxiliary port */
	STATUS_TIMEOUT = 0x40,

	/* Command byte, the first byte of the controller's RAM */
	CTR_KEYBOARD_IRQ = 0x01,
	CTR_AUX_IRQ = 0x02,
	CTR_SYSTEM = 0x04,
	CTR_KEYBOARD_OFF = 0x10,
	CTR_AUX_OFF = 0x20,
	CTR_TRANSLATE = 0x40,
	CTR_DEFAULT = CTR_KEYBOARD_IRQ | CTR_SYSTEM | CTR_AUX_OFF | CTR_TRANSLATE,

	/* Commands */
	CMD_READ_RAM = 0x20,  /* to 0x3f */
	CMD_WRITE_RAM = 0x60, /* to 0x7f, then the byte */
	CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KEYBOARD_TEST = 0xab,
	CMD_KEYBOARD_OFF = 0xad,
	CMD_KEYBOARD_ON = 0xae,
	CMD_READ_INPUT = 0xc0,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1, /* then the byte */
	CMD_FAKE_KEYBOARD = 0xd2,
	CMD_FAKE_AUX = 0xd3,
	CMD_WRITE_AUX = 0xd4,
	CMD_A20_OFF = 0xdd,
	CMD_A20_ON = 0xdf,
	CMD_READ_TEST = 0xe0,
	CMD_PULSE = 0xf0, /* to 0xff: pulses the output lines whose bit is zero */

	SELF_TEST_PASSED = 0x55,
	KEYBOARD_TEST_PASSED = 0x00,
	AUX_TEST_PASSED = 0x00,
	AUX_CLOCK_STUCK = 0x02, /* nothing drives the line */
	AUX_NO_ANSWER = 0xfe,
	INPUT_UNLOCKED = 0x80,
	OUTPUT_NOT_RESET = 0x01,
	OUTPUT_A20 = 0x02,
};

/* Who has filled the output buffer. */
enum origin {
	FROM_CONTROLLER,
	FROM_KEYBOARD,
	FROM_AUX,
	ORIGINS,
};

struct i8042 {
	struct device dev;
	struct irq_line keyboard_irq, aux_irq;
	bool keyboard_irq_level, aux_irq_level;
	struct ps2_keyboard keyboard;
	bool broken; /* the translation has seen PS2_BREAK */

	/* Only with a screen; NULL: no keys come, and nothing is on the auxiliary port. */
	struct input *input; /* borrowed */
	struct ps2_mouse mouse;
	struct input_sink keyboard_sink, mouse_sink;
	struct loop_timer repeat;
	int32_t wheel_rest, tilt_rest; /* parts of a notch */
	uint8_t shown_leds;

	uint8_t ram[RAM_BYTES]; /* [0] is the command byte */
	uint8_t status;
	uint8_t output; /* the output buffer, what port 0x60 reads */
	enum origin origin;
	/* Bytes that had to make room for an answer, by whose they were. */
	bool has_put_back[ORIGINS];
	uint8_t put_back[ORIGINS];
	uint8_t pending; /* the command that waits for its byte, or 0 */
	bool a20;
};

#define NS_PER_MS UINT64_C(1000000)

extern const struct device_class i8042_class;

/* ---- The output buffer ---- */

static void set_wire(struct irq_line *line, bool *now, bool level)
{
	if (*now == level)
		return;
	*now = level;
	irq_set(line, level);
}

static void update_irqs(struct i8042 *ctl)
{
	bool full = ctl->status & STATUS_OUTPUT_FULL, aux = ctl->status & STATUS_AUX;

	set_wire(&ctl->keyboard_irq, &ctl->keyboard_irq_level,
		full && !aux && ctl->ram[0] & CTR_KEYBOARD_IRQ);
	if (ctl->input)
		set_wire(&ctl->aux_irq, &ctl->aux_irq_level,
			full && aux && ctl->ram[0] & CTR_AUX_IRQ);
}

static void fill_output(struct i8042 *ctl, uint8_t byte, uint8_t flags, enum origin origin)
{
	ctl->output = byte;
	ctl->origin = origin;
	ctl->status &= (uint8_t) ~(STATUS_AUX | STATUS_TIMEOUT);
	ctl->status |= STATUS_OUTPUT_FULL | flags;
	update_irqs(ctl);
}

/*
 * An answer of the controller itself. It takes the place of one that was not read. A byte of a key
 * or of a movement comes again behind it: without it the ones that follow would mean another.
 */
static void reply_with(struct i8042 *ctl, uint8_t byte, uint8_t flags)
{
	if (ctl->input && ctl->status & STATUS_OUTPUT_FULL && ctl->origin != FROM_CONTROLLER) {
		ctl->has_put_back[ctl->origin] = true;
		ctl->put_back[ctl->origin] = ctl->output;
	}
	fill_output(ctl, byte, flags, FROM_CONTROLLER);
}

static void reply(struct i8042 *ctl, uint8_t byte)
{
	reply_with(ctl, byte, 0);
}

static bool is_off(const struct i8042 *ctl, enum origin origin)
{
	return ctl->ram[0] & (origin == FROM_AUX ? CTR_AUX_OFF : CTR_KEYBOARD_OFF);
}

static bool fetch_put_back(struct i8042 *ctl, enum origin origin)
{
	if (!ctl->has_put_back[origin] || is_off(ctl, origin))
		return false;
	ctl->has_put_back[origin] = false;
	fill_output(ctl, ctl->put_back[origin], origin == FROM_AUX ? STATUS_AUX : 0, origin);
	return true;
}

static bool fetch_keyboard(struct i8042 *ctl)
{
	uint8_t byte;

	if (is_off(ctl, FROM_KEYBOARD))
		return false;
	do {
		if (!ps2_keyboard_read(&ctl->keyboard, &byte))
			return false;
	} while (ctl->ram[0] & CTR_TRANSLATE && !ps2_translate(&byte, &ctl->broken));
	fill_output(ctl, byte, 0, FROM_KEYBOARD);
	return true;
}

static bool fetch_aux(struct i8042 *ctl)
{
	uint8_t byte;

	if (!ctl->input || is_off(ctl, FROM_AUX) || !ps2_mouse_read(&ctl->mouse, &byte))
		return false;
	fill_output(ctl, byte, STATUS_AUX, FROM_AUX);
	return true;
}

/* The next byte of what is connected, if there is room for it. */
static void fetch(struct i8042 *ctl)
{
	if (ctl->status & STATUS_OUTPUT_FULL || fetch_put_back(ctl, FROM_KEYBOARD) ||
		fetch_put_back(ctl, FROM_AUX) || fetch_keyboard(ctl))
		return;
	(void)fetch_aux(ctl);
}

static uint8_t read_data(struct i8042 *ctl)
{
	uint8_t byte = ctl->output;

	ctl->status &= (uint8_t) ~(STATUS_OUTPUT_FULL | STATUS_AUX | STATUS_TIMEOUT);
	/* Each byte has its own edge. */
	update_irqs(ctl);
	fetch(ctl);
	return byte;
}

/* ---- What people do ---- */

static bool keyboard_is_ready(void *opaque)
{
	return ((struct i8042 *)opaque)->keyboard.is_scanning;
}

static bool take_key(void *opaque, const struct input_event *event)
{
	struct i8042 *ctl = opaque;

	if (event->type != INPUT_EVENT_KEY)
		return true;
	if (!ps2_keyboard_key(&ctl->keyboard, event->code, event->value))
		return false;
	if (event->value)
		loop_timer_arm(ctl->dev.platform->loop, &ctl->repeat,
			ps2_keyboard_delay_ms(&ctl->keyboard) * NS_PER_MS);
	fetch(ctl);
	return true;
}

static void repeat_key(void *opaque)
{
	struct i8042 *ctl = opaque;

	if (!ps2_keyboard_repeat(&ctl->keyboard))
		return;
	loop_timer_arm(ctl->dev.platform->loop, &ctl->repeat,
		ps2_keyboard_period_ms(&ctl->keyboard) * NS_PER_MS);
	fetch(ctl);
}

static bool mouse_is_ready(void *opaque)
{
	return ps2_mouse_is_listened_to(&((struct i8042 *)opaque)->mouse);
}

/* Whole notches; `rest` is what lacked for one, and is what will lack. */
static int32_t count_notches(int32_t amount, int32_t *rest)
{
	int64_t sum = (int64_t)*rest + amount;

	*rest = (int32_t)(sum % INPUT_NOTCH);
	return (int32_t)(sum / INPUT_NOTCH);
}

/* A mouse's wheel counts down and to the left. */
static bool turn(struct i8042 *ctl, const struct input_event *event)
{
	int32_t wheel_rest = ctl->wheel_rest, tilt_rest = ctl->tilt_rest;
	int32_t wheel = count_notches(event->y, &wheel_rest);
	int32_t tilt = count_notches(event->x, &tilt_rest);

	if (!ps2_mouse_turn(&ctl->mouse, -wheel, -tilt))
		return false;
	ctl->wheel_rest = wheel_rest;
	ctl->tilt_rest = tilt_rest;
	return true;
}

static bool press_button(struct i8042 *ctl, unsigned code, bool down)
{
	static const enum ps2_mouse_button buttons[] = {
		PS2_MOUSE_LEFT, PS2_MOUSE_RIGHT, PS2_MOUSE_MIDDLE, PS2_MOUSE_SIDE, PS2_MOUSE_EXTRA};

	if (code < BTN_LEFT || code - BTN_LEFT >= ARRAY_SIZE(buttons))
		return true;
	return ps2_mouse_press(&ctl->mouse, buttons[code - BTN_LEFT], down);
}

static bool take_pointer(void *opaque, const struct input_event *event)
{
	struct i8042 *ctl = opaque;
	bool taken = true;

	switch (event->type) {
	case INPUT_EVENT_KEY:
		taken = press_button(ctl, event->code, event->value);
		break;
	case INPUT_EVENT_MOVE:
		/* A screen's y grows downwards, a mouse's upwards. */
		taken = ps2_mouse_move(&ctl->mouse, event->x, -MAX(event->y, -INT32_MAX));
		break;
	case INPUT_EVENT_WHEEL:
		taken = turn(ctl, event);
		break;
	case INPUT_EVENT_POINT:
		break;
	}
	if (taken)
		fetch(ctl);
	return taken;
}

/* After the guest has read or written: there may be room, or another mode. */
static void wake_input(struct i8042 *ctl)
{
	static const unsigned lamps[] = {1 << LED_SCROLLL, 1 << LED_NUML, 1 << LED_CAPSL};
	unsigned leds = 0;

	if (!ctl->input)
		return;
	input_sink_wake(&ctl->keyboard_sink);
	if (ctl->keyboard.leds == ctl->shown_leds)
		return;
	ctl->shown_leds = ctl->keyboard.leds;
	for (unsigned i = 0; i < ARRAY_SIZE(lamps); i++)
		if (ctl->shown_leds >> i & 1)
			leds |= lamps[i];
	input_sink_set_leds(&ctl->keyboard_sink, leds);
}

/* ---- Commands ---- */

static void reset_machine(struct i8042 *ctl)
{
	device_request(&ctl->dev, MACHINE_RESET, 0);
}

static void write_output_port(struct i8042 *ctl, uint8_t value)
{
	ctl->a20 = value & OUTPUT_A20;
	if (!(value & OUTPUT_NOT_RESET))
		reset_machine(ctl);
}

static void set_ctr_bits(struct i8042 *ctl, uint8_t clear, uint8_t set)
{
	ctl->ram[0] = (uint8_t)((ctl->ram[0] & ~clear) | set);
}

static void run_command(struct i8042 *ctl, uint8_t command)
{
	ctl->pending = 0;
	switch (command) {
	case CMD_READ_RAM ... CMD_READ_RAM + RAM_BYTES - 1:
		reply(ctl, ctl->ram[command - CMD_READ_RAM]);
		break;
	case CMD_WRITE_RAM ... CMD_WRITE_RAM + RAM_BYTES - 1:
	case CMD_WRITE_OUTPUT:
	case CMD_FAKE_KEYBOARD:
	case CMD_FAKE_AUX:
	case CMD_WRITE_AUX:
		ctl->pending = command;
		break;
	case CMD_AUX_OFF:
		set_ctr_bits(ctl, 0, CTR_AUX_OFF);
		break;
	case CMD_AUX_ON:
		set_ctr_bits(ctl, CTR_AUX_OFF, 0);
		break;
	case CMD_AUX_TEST:
		reply(ctl, ctl->input ? AUX_TEST_PASSED : AUX_CLOCK_STUCK);
		break;
	case CMD_SELF_TEST:
		ctl->status |= STATUS_SYSTEM;
		reply(ctl, SELF_TEST_PASSED);
		break;
	case CMD_KEYBOARD_TEST:
		reply(ctl, KEYBOARD_TEST_PASSED);
		break;
	case CMD_KEYBOARD_OFF:
		set_ctr_bits(ctl, 0, CTR_KEYBOARD_OFF);
		break;
	case CMD_KEYBOARD_ON:
		set_ctr_bits(ctl, CTR_KEYBOARD_OFF, 0);
		break;
	case CMD_READ_INPUT:
		reply(ctl, INPUT_UNLOCKED);
		break;
	case CMD_READ_OUTPUT:
		reply(ctl, OUTPUT_NOT_RESET | (ctl->a20 ? OUTPUT_A20 : 0));
		break;
	case CMD_A20_OFF:
	case CMD_A20_ON:
		ctl->a20 = command == CMD_A20_ON;
		break;
	case CMD_READ_TEST:
		reply(ctl, 0);
		break;
	case CMD_PULSE ... CMD_PULSE + 15:
		if (!(command & OUTPUT_NOT_RESET))
			reset_machine(ctl);
		break;
	default:
		break;
	}
}

static void write_aux(struct i8042 *ctl, uint8_t byte)
{
	if (!ctl->input) {
		fill_output(ctl, AUX_NO_ANSWER, STATUS_AUX | STATUS_TIMEOUT, FROM_CONTROLLER);
		return;
	}
	/* Any byte to the mouse also lets it talk again. */
	set_ctr_bits(ctl, CTR_AUX_OFF, 0);
	ps2_mouse_write(&ctl->mouse, byte);
}

/* A byte through the data port: of a command, or for the keyboard. */
static void take_byte(struct i8042 *ctl, uint8_t byte)
{
	uint8_t command = ctl->pending;

	ctl->pending = 0;
	switch (command) {
	case 0:
		/* Any byte to the keyboard also lets it talk again. */
		set_ctr_bits(ctl, CTR_KEYBOARD_OFF, 0);
		ps2_keyboard_write(&ctl->keyboard, byte);
		break;
	case CMD_WRITE_OUTPUT:
		write_output_port(ctl, byte);
		break;
	case CMD_FAKE_KEYBOARD:
		reply(ctl, byte);
		break;
	case CMD_FAKE_AUX:
		/* Without an auxiliary port there is one place only for both. */
		reply_with(ctl, byte, ctl->input ? STATUS_AUX : 0);
		break;
	case CMD_WRITE_AUX:
		write_aux(ctl, byte);
		break;
	default:
		ctl->ram[command - CMD_WRITE_RAM] = byte;
		break;
	}
}

/* ---- Ports ---- */

static uint64_t read_data_port(void *opaque, uint64_t offset, unsigned size)
{
	struct i8042 *ctl = opaque;
	uint8_t byte = read_data(ctl);

	(void)offset;
	(void)size;
	wake_input(ctl);
	return byte;
}

static void write_data_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *ctl = opaque;

	(void)offset;
	(void)size;
	ctl->status &= (uint8_t)~STATUS_COMMAND;
	take_byte(ctl, (uint8_t)value);
	fetch(ctl);
	update_irqs(ctl);
	wake_input(ctl);
}

static const struct bus_ops data_ops = {.read = read_data_port, .write = write_data_port};

static uint64_t read_status_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	return ((struct i8042 *)opaque)->status;
}

static void write_command_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *ctl = opaque;

	(void)offset;
	(void)size;
	ctl->status |= STATUS_COMMAND;
	run_command(ctl, (uint8_t)value);
	fetch(ctl);
	update_irqs(ctl);
	wake_input(ctl);
}

static const struct bus_ops command_ops = {.read = read_status_port, .write = write_command_port};

/* ---- Life ---- */

static void set_power_on(struct i8042 *ctl)
{
	memset(ctl->ram, 0, sizeof(ctl->ram));
	ctl->ram[0] = CTR_DEFAULT;
	ctl->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	ctl->output = 0;
	ctl->pending = 0;
	ctl->a20 = true;
	memset(ctl->has_put_back, 0, sizeof(ctl->has_put_back));
	ctl->broken = false;
	ctl->wheel_rest = 0;
	ctl->tilt_rest = 0;
	ps2_keyboard_reset(&ctl->keyboard);
	ps2_mouse_reset(&ctl->mouse);
}

static void init_input(struct i8042 *ctl, struct input *input)
{
	ctl->input = input;
	ctl->keyboard_sink = (struct input_sink){
		.kinds = INPUT_KEYBOARD,
		.rank = INPUT_RANK_PS2,
		.is_ready = keyboard_is_ready,
		.take = take_key,
		.opaque = ctl,
		.lock = &ctl->dev.lock,
	};
	ctl->mouse_sink = (struct input_sink){
		.kinds = INPUT_MOTION,
		.rank = INPUT_RANK_PS2,
		.is_ready = mouse_is_ready,
		.take = take_pointer,
		.opaque = ctl,
		.lock = &ctl->dev.lock,
	};
	ctl->repeat = (struct loop_timer){.fn = repeat_key, .opaque = ctl, .lock = &ctl->dev.lock};
}

static int i8042_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct i8042 *ctl = calloc(1, sizeof(*ctl));

	if (!ctl)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&ctl->dev, &i8042_class, args);
	ps2_keyboard_init(&ctl->keyboard);
	ps2_mouse_init(&ctl->mouse);
	init_input(ctl, args->input);
	set_power_on(ctl);
	*device = &ctl->dev;
	return 0;
}

/* A mouse is a device of its own to ACPI: a driver that finds none there does not look for it. */
static int claim_aux(struct i8042 *ctl, struct err *err)
{
	int ret = device_claim_irq(&ctl->dev, IRQ_AUX, false, &ctl->aux_irq, err);

	if (ret >= 0)
		ctl->dev.res[ctl->dev.res_count - 1].acpi_hid = "PNP0F13";
	return ret;
}

static int i8042_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct i8042 *ctl = CONTAINER_OF(device, struct i8042, dev);
	int ret = device_claim_irq(device, IRQ_KEYBOARD, false, &ctl->keyboard_irq, err);

	(void)platform;
	if (ret >= 0)
		ret = device_claim_pio(device, DATA_PORT, 1, &data_ops, ctl, err);
	if (ret >= 0)
		ret = device_claim_pio(device, COMMAND_PORT, 1, &command_ops, ctl, err);
	if (ret < 0 || !ctl->input)
		return ret;
	ret = claim_aux(ctl, err);
	if (ret >= 0) {
		input_add_sink(ctl->input, &ctl->keyboard_sink);
		input_add_sink(ctl->input, &ctl->mouse_sink);
	}
	return ret;
}

static void i8042_reset(struct device *device)
{
	struct i8042 *ctl = CONTAINER_OF(device, struct i8042, dev);

	set_power_on(ctl);
	update_irqs(ctl);
	wake_input(ctl);
}

static void i8042_destroy(struct device *device)
{
	struct i8042 *ctl = CONTAINER_OF(device, struct i8042, dev);

	input_remove_sink(&ctl->keyboard_sink);
	input_remove_sink(&ctl->mouse_sink);
	loop_timer_cancel(&ctl->repeat);
	device_finish(device);
	free(ctl);
}

const struct device_class i8042_class = {
	.name = "i8042",
	.description = "keyboard controller, with the reset line",
	.acpi_hid = "PNP0303",
	.dt_compatible = "intel,8042",
	.create = i8042_create,
	.realize = i8042_realize,
	.reset = i8042_reset,
	.destroy = i8042_destroy,
};
