/* A key of the number pad is an arrow, too. */
#include "game.h"
#include "interrupts.h"

enum {
	DATA_PORT = 0x60,
	STATUS_PORT = 0x64,
	STATUS_DATA = 0x01,
	STATUS_MOUSE = 0x20,
	KEYBOARD_IRQ = 1,
	RING_KEYS = 64,

	CODE_PREFIX = 0xe0,
	CODE_RELEASED = 0x80,
};

/* The handler writes at `head`, the reader reads at `tail`; both count up for ever. */
static volatile enum key ring[RING_KEYS];
static volatile unsigned head, tail;
static bool has_prefix; /* the last byte was CODE_PREFIX */

static enum key find_key(uint8_t code)
{
	if (!has_prefix)
		if (code == 0x01)
			return KEY_ESCAPE;
	switch (code) {
	case 0x48:
		return KEY_UP;
	case 0x50:
		return KEY_DOWN;
	case 0x4b:
		return KEY_LEFT;
	case 0x4d:
		return KEY_RIGHT;
	default:
		return KEY_OTHER;
	}
}

static void take_byte(uint8_t code)
{
	if (code == CODE_PREFIX) {
		has_prefix = true;
		return;
	}
	if (!(code & CODE_RELEASED) && head - tail < RING_KEYS) {
		ring[head % RING_KEYS] = find_key(code);
		head++;
	}
	has_prefix = false;
}

static struct frame *handle_interrupt(struct frame *frame)
{
	uint8_t status;

	while ((status = inb(STATUS_PORT)) & STATUS_DATA) {
		uint8_t byte = inb(DATA_PORT);

		if (!(status & STATUS_MOUSE))
			take_byte(byte);
	}
	pic_done(KEYBOARD_IRQ);
	return frame;
}

void keyboard_start(void)
{
	interrupts_set_handler(PIC_VECTOR + KEYBOARD_IRQ, handle_interrupt);
	pic_unmask(KEYBOARD_IRQ);
}

enum key keyboard_read(void)
{
	enum key key;

	if (head == tail)
		return KEY_NONE;
	key = ring[tail % RING_KEYS];
	tail++;
	return key;
}
