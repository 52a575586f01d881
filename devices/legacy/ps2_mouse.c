/*
 * See ps2_mouse.h. Bytes arrive from a guest: any byte at any time is legal.
 *
 * A packet is made when the controller asks for its first byte, out of all that has happened until
 * then: so a slow guest sees fewer and longer movements, and nothing piles up. Buttons change
 * in a packet of their own, behind the movements that came before.
 *
 * Threats
 *   what the guest can send          limit                            where      test
 *   commands without end             queue of 16, the rest dropped    answer     mouse_flood
 *   never to read                    sums that saturate               add        mouse_without_reader
 */
#include "devices/legacy/ps2_mouse.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/base/util.h"

enum {
	/* From the controller */
	MOUSE_SCALE_1 = 0xe6,
	MOUSE_SCALE_2 = 0xe7,
	MOUSE_SET_RESOLUTION = 0xe8,
	MOUSE_GET_STATUS = 0xe9,
	MOUSE_SET_STREAM = 0xea,
	MOUSE_READ_DATA = 0xeb,
	MOUSE_LEAVE_WRAP = 0xec,
	MOUSE_SET_WRAP = 0xee,
	MOUSE_SET_REMOTE = 0xf0,
	MOUSE_IDENTIFY = 0xf2,
	MOUSE_SET_RATE = 0xf3,
	MOUSE_ENABLE = 0xf4,
	MOUSE_DISABLE = 0xf5,
	MOUSE_DEFAULTS = 0xf6,
	MOUSE_RESEND = 0xfe,
	MOUSE_RESET = 0xff,

	/* To the controller */
	MOUSE_ACK = 0xfa,
	MOUSE_PASSED = 0xaa,
	MOUSE_AGAIN = 0xfe,

	ID_STANDARD = 0,
	ID_WHEEL = 3,
	ID_EXPLORER = 4,

	RESOLUTION_DEFAULT = 2, /* 4 counts per mm */
	RESOLUTION_MAX = 3,
	RATE_DEFAULT = 100,

	STATUS_REMOTE = 0x40,
	STATUS_ENABLED = 0x20,
	STATUS_DOUBLING = 0x10,

	/* Packet */
	PACKET_ALWAYS = 0x08,
	PACKET_X_SIGN = 0x10,
	PACKET_Y_SIGN = 0x20,
	PACKET_SIDE = 0x10, /* of the fourth byte */
	PACKET_EXTRA = 0x20,
	PACKET_TILT = 0x40,
	THREE_BUTTONS = PS2_MOUSE_LEFT | PS2_MOUSE_RIGHT | PS2_MOUSE_MIDDLE,

	STEP_MAX = 255,	 /* 9 bits */
	WHEEL_MAX = 7,	 /* 4 bits */
	TILT_MAX = 31,	 /* 6 bits */
	SUM_MAX = 32767, /* of what waits to be told */
};

void ps2_mouse_init(struct ps2_mouse *mouse)
{
	ring_init(&mouse->answers, mouse->answer_bytes, sizeof(mouse->answer_bytes));
	ring_init(&mouse->packet, mouse->packet_bytes, sizeof(mouse->packet_bytes));
	ps2_mouse_reset(mouse);
}

static void clear_motion(struct ps2_mouse *mouse)
{
	ring_clear(&mouse->packet);
	mouse->x = mouse->y = mouse->wheel = mouse->tilt = 0;
}

static void set_defaults(struct ps2_mouse *mouse)
{
	mouse->resolution = RESOLUTION_DEFAULT;
	mouse->rate = RATE_DEFAULT;
	mouse->is_remote = mouse->is_enabled = mouse->is_doubling = false;
	clear_motion(mouse);
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
	ring_clear(&mouse->answers);
	mouse->last = 0;
	mouse->argument_of = 0;
	mouse->id = ID_STANDARD;
	memset(mouse->knocks, 0, sizeof(mouse->knocks));
	mouse->is_wrapped = mouse->tilts = mouse->lost_packet = false;
	mouse->buttons = mouse->told_buttons = 0;
	set_defaults(mouse);
}

/* ---- Packets ---- */

/* Those that a packet of the chosen kind can tell of. */
static uint8_t visible_buttons(const struct ps2_mouse *mouse)
{
	return mouse->id == ID_EXPLORER ? mouse->buttons : mouse->buttons & THREE_BUTTONS;
}

static bool has_motion(const struct ps2_mouse *mouse)
{
	return mouse->x || mouse->y || mouse->wheel || mouse->tilt;
}

static bool has_new_buttons(const struct ps2_mouse *mouse)
{
	return visible_buttons(mouse) != mouse->told_buttons;
}

/* Takes as much as fits out of a sum. */
static int32_t take_step(int32_t *sum, int32_t max)
{
	int32_t step = MAX(MIN(*sum, max), -max);

	*sum -= step;
	return step;
}

/* 2:1 for movements that are told without being asked for. */
static int32_t scale(const struct ps2_mouse *mouse, int32_t step)
{
	static const uint8_t small[] = {0, 1, 1, 3, 6, 9};
	int32_t size = abs(step);

	if (!mouse->is_doubling || mouse->is_remote)
		return step;
	size = size < (int32_t)ARRAY_SIZE(small) ? small[size] : MIN(2 * size, STEP_MAX);
	return step < 0 ? -size : size;
}

static uint8_t fourth_byte(struct ps2_mouse *mouse)
{
	uint8_t byte;

	if (mouse->id == ID_EXPLORER && mouse->tilts && mouse->tilt && !mouse->wheel &&
		!has_new_buttons(mouse))
		return (uint8_t)(PACKET_TILT |
			((unsigned)take_step(&mouse->tilt, TILT_MAX) & (PACKET_TILT - 1)));
	byte = (uint8_t)take_step(&mouse->wheel, WHEEL_MAX);
	if (mouse->id != ID_EXPLORER)
		return byte;
	return (uint8_t)((byte & 0x0f) | (mouse->buttons & PS2_MOUSE_SIDE ? PACKET_SIDE : 0) |
		(mouse->buttons & PS2_MOUSE_EXTRA ? PACKET_EXTRA : 0));
}

static void make_packet(struct ps2_mouse *mouse)
{
	int32_t x = scale(mouse, take_step(&mouse->x, STEP_MAX));
	int32_t y = scale(mouse, take_step(&mouse->y, STEP_MAX));
	uint8_t bytes[4];

	bytes[0] = (uint8_t)(PACKET_ALWAYS | (mouse->buttons & THREE_BUTTONS) |
		(x < 0 ? PACKET_X_SIGN : 0) | (y < 0 ? PACKET_Y_SIGN : 0));
	bytes[1] = (uint8_t)x;
	bytes[2] = (uint8_t)y;
	bytes[3] = fourth_byte(mouse);
	mouse->told_buttons = visible_buttons(mouse);
	mouse->lost_packet = false;
	ring_put(&mouse->packet, bytes, mouse->id == ID_STANDARD ? 3 : 4);
}

static bool streams(const struct ps2_mouse *mouse)
{
	return mouse->is_enabled && !mouse->is_remote && !mouse->is_wrapped;
}

bool ps2_mouse_read(struct ps2_mouse *mouse, uint8_t *byte)
{
	if (!ring_get(&mouse->answers, byte, 1)) {
		/* A command is being given: its argument comes first. */
		if (mouse->argument_of)
			return false;
		if (!ring_used(&mouse->packet) && streams(mouse) &&
			(has_motion(mouse) || has_new_buttons(mouse) || mouse->lost_packet))
			make_packet(mouse);
		if (!ring_get(&mouse->packet, byte, 1))
			return false;
	}
	mouse->last = *byte;
	return true;
}

/* ---- Commands ---- */

static void answer(struct ps2_mouse *mouse, uint8_t byte)
{
	ring_put(&mouse->answers, &byte, 1);
}

static void answer_status(struct ps2_mouse *mouse)
{
	/* Here the buttons stand the other way round. */
	answer(mouse,
		(uint8_t)((mouse->is_remote ? STATUS_REMOTE : 0) |
			(mouse->is_enabled ? STATUS_ENABLED : 0) |
			(mouse->is_doubling ? STATUS_DOUBLING : 0) |
			(mouse->buttons & PS2_MOUSE_LEFT ? 0x04 : 0) |
			(mouse->buttons & PS2_MOUSE_MIDDLE ? 0x02 : 0) |
			(mouse->buttons & PS2_MOUSE_RIGHT ? 0x01 : 0)));
	answer(mouse, mouse->resolution);
	answer(mouse, mouse->rate);
}

static bool knocked(const struct ps2_mouse *mouse, uint8_t first, uint8_t second, uint8_t third)
{
	const uint8_t wanted[PS2_MOUSE_KNOCKS] = {first, second, third};

	return !memcmp(mouse->knocks, wanted, sizeof(wanted));
}

/* Three rates in a row that no driver sets but to ask for more. */
static void take_rate(struct ps2_mouse *mouse, uint8_t rate)
{
	mouse->rate = rate;
	memmove(mouse->knocks, mouse->knocks + 1, PS2_MOUSE_KNOCKS - 1);
	mouse->knocks[PS2_MOUSE_KNOCKS - 1] = rate;
	if (knocked(mouse, 200, 100, 80) && mouse->id == ID_STANDARD)
		mouse->id = ID_WHEEL;
	else if (knocked(mouse, 200, 200, 80) && mouse->id == ID_WHEEL)
		mouse->id = ID_EXPLORER;
	else if (knocked(mouse, 200, 80, 40) && mouse->id == ID_EXPLORER)
		mouse->tilts = true;
}

static void take_argument(struct ps2_mouse *mouse, uint8_t command, uint8_t byte)
{
	if (command == MOUSE_SET_RESOLUTION && byte > RESOLUTION_MAX) {
		answer(mouse, MOUSE_AGAIN);
		return;
	}
	if (command == MOUSE_SET_RESOLUTION)
		mouse->resolution = byte;
	else
		take_rate(mouse, byte);
	answer(mouse, MOUSE_ACK);
}

static void answer_data(struct ps2_mouse *mouse)
{
	uint8_t bytes[4];
	size_t count;

	ring_clear(&mouse->packet);
	make_packet(mouse);
	count = ring_get(&mouse->packet, bytes, sizeof(bytes));
	answer(mouse, MOUSE_ACK);
	ring_put(&mouse->answers, bytes, count);
}

static void run_reset(struct ps2_mouse *mouse)
{
	ps2_mouse_reset(mouse);
	answer(mouse, MOUSE_ACK);
	answer(mouse, MOUSE_PASSED);
	answer(mouse, mouse->id);
}

static void take_command(struct ps2_mouse *mouse, uint8_t command)
{
	switch (command) {
	case MOUSE_RESEND:
		answer(mouse, mouse->last);
		return;
	case MOUSE_RESET:
		run_reset(mouse);
		return;
	case MOUSE_READ_DATA:
		answer_data(mouse);
		return;
	case MOUSE_GET_STATUS:
		answer(mouse, MOUSE_ACK);
		answer_status(mouse);
		return;
	case MOUSE_IDENTIFY:
		answer(mouse, MOUSE_ACK);
		answer(mouse, mouse->id);
		return;
	case MOUSE_SET_RESOLUTION:
	case MOUSE_SET_RATE:
		mouse->argument_of = command;
		break;
	case MOUSE_SCALE_1:
	case MOUSE_SCALE_2:
		mouse->is_doubling = command == MOUSE_SCALE_2;
		break;
	case MOUSE_SET_STREAM:
	case MOUSE_SET_REMOTE:
		mouse->is_remote = command == MOUSE_SET_REMOTE;
		clear_motion(mouse);
		break;
	case MOUSE_SET_WRAP:
	case MOUSE_LEAVE_WRAP:
		mouse->is_wrapped = command == MOUSE_SET_WRAP;
		clear_motion(mouse);
		break;
	case MOUSE_ENABLE:
	case MOUSE_DISABLE:
		mouse->is_enabled = command == MOUSE_ENABLE;
		clear_motion(mouse);
		break;
	case MOUSE_DEFAULTS:
		set_defaults(mouse);
		break;
	default:
		answer(mouse, MOUSE_AGAIN);
		return;
	}
	answer(mouse, MOUSE_ACK);
}

void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte)
{
	uint8_t command = mouse->argument_of;

	mouse->argument_of = 0;
	/* Any byte ends a packet that is on its way. */
	if (ring_used(&mouse->packet)) {
		ring_clear(&mouse->packet);
		mouse->lost_packet = true;
	}
	if (mouse->is_wrapped && byte != MOUSE_LEAVE_WRAP && byte != MOUSE_RESET)
		answer(mouse, byte);
	else if (command && byte < MOUSE_SCALE_1)
		take_argument(mouse, command, byte);
	else
		take_command(mouse, byte);
	/* What happens from now on is not seen: a release would be missed, and the button stay down. */
	if (!ps2_mouse_is_listened_to(mouse))
		mouse->buttons = 0;
}

/* ---- What people do ---- */

bool ps2_mouse_is_listened_to(const struct ps2_mouse *mouse)
{
	return mouse->is_remote || (mouse->is_enabled && !mouse->is_wrapped);
}

static void add(int32_t *sum, int32_t amount)
{
	int64_t wide = (int64_t)*sum + amount;

	*sum = (int32_t)MAX(MIN(wide, (int64_t)SUM_MAX), (int64_t)-SUM_MAX);
}

/* In remote mode nothing has an order: the driver asks for the sums and the buttons. */
static bool must_wait_for_buttons(const struct ps2_mouse *mouse)
{
	return !mouse->is_remote && has_new_buttons(mouse);
}

bool ps2_mouse_move(struct ps2_mouse *mouse, int32_t x, int32_t y)
{
	if (must_wait_for_buttons(mouse))
		return false;
	add(&mouse->x, x);
	add(&mouse->y, y);
	return true;
}

bool ps2_mouse_turn(struct ps2_mouse *mouse, int32_t wheel, int32_t tilt)
{
	if (must_wait_for_buttons(mouse))
		return false;
	if (mouse->id != ID_STANDARD)
		add(&mouse->wheel, wheel);
	if (mouse->id == ID_EXPLORER && mouse->tilts)
		add(&mouse->tilt, tilt);
	return true;
}

bool ps2_mouse_press(struct ps2_mouse *mouse, enum ps2_mouse_button button, bool down)
{
	if (!mouse->is_remote && (has_motion(mouse) || has_new_buttons(mouse)))
		return false;
	mouse->buttons = (uint8_t)(down ? mouse->buttons | button : mouse->buttons & ~button);
	return true;
}
