/*
 * The keyboard controller of a PC, an Intel 8042, at ports 0x60 and 0x64 with irq 1, a
 * keyboard (ps2_keyboard.h) behind it, and the reset line of the machine. There is no
 * auxiliary port: its commands are answered as a controller answers that has
 * nothing connected there, at once, so that a driver does not wait.
 *
 * The state after reset is the one that a PC's firmware leaves: interrupt and
 * translation on.
 *
 * IBM PC/AT Technical Reference and PS/2 Hardware Interface Technical Reference,
 * "Keyboard/Auxiliary Device Controller".
 *
 * Threads: vCPUs, under the device's lock.
 *
 * Threats
 *   what the guest can send          limit                             where        test
 *   commands without reading         one answer is kept, the newest    reply        unread_answers
 *   controller RAM reads and writes  32 bytes, index masked            run_command  controller_ram
 *   resets without end               the first of several counts       platform     -
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/legacy/ps2_keyboard.h"
#include "vmm/core/device.h"

enum {
	DATA_PORT = 0x60,
	COMMAND_PORT = 0x64,
	IRQ = 1,
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
	AUX_CLOCK_STUCK = 0x02, /* nothing drives the line */
	AUX_NO_ANSWER = 0xfe,
	INPUT_UNLOCKED = 0x80,
	OUTPUT_NOT_RESET = 0x01,
	OUTPUT_A20 = 0x02,

	ID_2 = 0x83,
	ID_2_TRANSLATED = 0x41,
};

struct i8042 {
	struct device dev;
	struct irq_line irq;
	bool irq_level;
	struct ps2_keyboard keyboard;
	uint8_t ram[RAM_BYTES]; /* [0] is the command byte */
	uint8_t status;
	uint8_t output;	 /* the output buffer, what port 0x60 reads */
	uint8_t pending; /* the command that waits for its byte, or 0 */
	bool a20;
};

extern const struct device_class i8042_class;

/* ---- The output buffer ---- */

static void update_irq(struct i8042 *ctl)
{
	bool level = (ctl->status & STATUS_OUTPUT_FULL) && !(ctl->status & STATUS_AUX) &&
		(ctl->ram[0] & CTR_KEYBOARD_IRQ);

	if (level == ctl->irq_level)
		return;
	ctl->irq_level = level;
	irq_set(&ctl->irq, level);
}

static void fill_output(struct i8042 *ctl, uint8_t byte, uint8_t flags)
{
	ctl->output = byte;
	ctl->status &= (uint8_t) ~(STATUS_AUX | STATUS_TIMEOUT);
	ctl->status |= STATUS_OUTPUT_FULL | flags;
	update_irq(ctl);
}

/* An answer of the controller itself. It takes the place of one that was not read. */
static void reply(struct i8042 *ctl, uint8_t byte)
{
	fill_output(ctl, byte, 0);
}

/*
 * The next byte of the keyboard, if there is room for it. Of the translation from scan
 * code set 2 to set 1 the identification is all that a keyboard without keys sends.
 */
static void fetch_keyboard(struct i8042 *ctl)
{
	uint8_t byte;

	if ((ctl->status & STATUS_OUTPUT_FULL) || (ctl->ram[0] & CTR_KEYBOARD_OFF) ||
		!ps2_keyboard_read(&ctl->keyboard, &byte))
		return;
	if (byte == ID_2 && (ctl->ram[0] & CTR_TRANSLATE))
		byte = ID_2_TRANSLATED;
	fill_output(ctl, byte, 0);
}

static uint8_t read_data(struct i8042 *ctl)
{
	uint8_t byte = ctl->output;

	ctl->status &= (uint8_t) ~(STATUS_OUTPUT_FULL | STATUS_AUX | STATUS_TIMEOUT);
	/* Each byte has its own edge. */
	update_irq(ctl);
	fetch_keyboard(ctl);
	return byte;
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
		reply(ctl, AUX_CLOCK_STUCK);
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
	case CMD_FAKE_AUX:
		/* Without an auxiliary port there is one place only for both. */
		reply(ctl, byte);
		break;
	case CMD_WRITE_AUX:
		fill_output(ctl, AUX_NO_ANSWER, STATUS_AUX | STATUS_TIMEOUT);
		break;
	default:
		ctl->ram[command - CMD_WRITE_RAM] = byte;
		break;
	}
}

/* ---- Ports ---- */

static uint64_t read_data_port(void *opaque, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	return read_data(opaque);
}

static void write_data_port(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *ctl = opaque;

	(void)offset;
	(void)size;
	ctl->status &= (uint8_t)~STATUS_COMMAND;
	take_byte(ctl, (uint8_t)value);
	fetch_keyboard(ctl);
	update_irq(ctl);
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
	fetch_keyboard(ctl);
	update_irq(ctl);
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
	ps2_keyboard_reset(&ctl->keyboard);
}

static int i8042_create(struct device **device, const struct device_args *args, struct err *err)
{
	struct i8042 *ctl = calloc(1, sizeof(*ctl));

	if (!ctl)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for %s", args->name);
	device_init(&ctl->dev, &i8042_class, args);
	ps2_keyboard_init(&ctl->keyboard);
	set_power_on(ctl);
	*device = &ctl->dev;
	return 0;
}

static int i8042_realize(struct device *device, struct platform *platform, struct err *err)
{
	struct i8042 *ctl = CONTAINER_OF(device, struct i8042, dev);
	int ret = device_claim_irq(device, IRQ, false, &ctl->irq, err);

	(void)platform;
	if (ret >= 0)
		ret = device_claim_pio(device, DATA_PORT, 1, &data_ops, ctl, err);
	if (ret >= 0)
		ret = device_claim_pio(device, COMMAND_PORT, 1, &command_ops, ctl, err);
	return ret;
}

static void i8042_reset(struct device *device)
{
	struct i8042 *ctl = CONTAINER_OF(device, struct i8042, dev);

	set_power_on(ctl);
	update_irq(ctl);
}

static void i8042_destroy(struct device *device)
{
	device_finish(device);
	free(CONTAINER_OF(device, struct i8042, dev));
}

const struct device_class i8042_class = {
	.name = "i8042",
	.description = "keyboard controller, with the reset line",
	.acpi_hid = "PNP0303",
	.create = i8042_create,
	.realize = i8042_realize,
	.reset = i8042_reset,
	.destroy = i8042_destroy,
};
