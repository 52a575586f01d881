/*
 * Keys, pointer and lamps of one VNC client: see display_vnc_impl.h.
 *
 * A client names keys by their symbols, which depend on his layout. Most can also send the place of
 * a key (the QEMU extension: message 255, pseudo-encoding -258): then the layout is the guest's
 * business, as it is with a keyboard. Lamps go to those who ask by pseudo-encoding -261.
 *
 * What a client can send             limit                              enforced in     test
 * a key or button down, and go       it goes up                         touch_end       keys_go_up...
 * symbols and codes of no key        dropped                            vnc_key_of...   vnc_keys_...
 * events without end                 the input hub's ring               input.c         a_full_ring...
 * positions outside                  moved inside                       input_point     pointer_...
 *
 * Threads: the client's.
 */
#include <arpa/inet.h>
#include <linux/input-event-codes.h>
#include <string.h>

#include "devices/backend/display_vnc_impl.h"
#include "devices/backend/display_vnc_keys.h"

enum {
	ENCODING_KEY_PLACES = -258,
	ENCODING_LAMPS = -261,
	MESSAGE_KEY_PLACE = 255,
	MESSAGE_KEY_PLACE_REST = 11, /* behind its first byte */
};

#define LAMPS_WATCH_NS UINT64_C(1000000000)

/* ---- Keys ---- */

static void press(struct vnc_client *client, unsigned code, bool down)
{
	struct display_vnc *vnc = client->vnc;

	if (!code || !vnc->input)
		return;
	client->is_down[code] = down;
	input_key(vnc->input, code, down);
	if (!down)
		return;
	display_expect_change(vnc->display);
	if (code == KEY_CAPSLOCK || code == KEY_NUMLOCK || code == KEY_SCROLLLOCK)
		client->lamps_until_ns = util_now_ns() + LAMPS_WATCH_NS;
}

static void take_symbol(rfbBool down, rfbKeySym symbol, rfbClientPtr rfb)
{
	press(rfb->screen->screenData, vnc_key_of_symbol(symbol), down);
}

/* Submessage 0: down (16 bits), symbol and scan code (32 bits each). */
static rfbBool take_message(rfbClientPtr rfb, void *data, const rfbClientToServerMsg *message)
{
	struct vnc_client *client = rfb->screen->screenData;
	uint8_t rest[MESSAGE_KEY_PLACE_REST];
	uint32_t scancode;
	uint16_t down;
	unsigned code;

	(void)data;
	if (message->type != MESSAGE_KEY_PLACE)
		return FALSE;
	if (client->lib->read_exact(rfb, (char *)rest, sizeof(rest)) <= 0 || rest[0] != 0) {
		client->lib->close_client(rfb);
		return TRUE;
	}
	memcpy(&down, rest + 1, sizeof(down));
	memcpy(&scancode, rest + 7, sizeof(scancode));
	code = vnc_key_of_scancode(ntohl(scancode));
	/* Some have no code for a key that their screen shows. */
	if (!ntohl(scancode)) {
		uint32_t symbol;

		memcpy(&symbol, rest + 3, sizeof(symbol));
		code = vnc_key_of_symbol(ntohl(symbol));
	}
	press(client, code, down != 0);
	return TRUE;
}

/* ---- Pointer ---- */

static void point(struct vnc_client *client, int x, int y)
{
	struct input *input = client->vnc->input;

	if (input_takes_positions(input)) {
		if (!client->has_pointed || x != client->x || y != client->y)
			input_point(input, x, y, client->picture_width, client->picture_height);
	} else if (client->has_pointed && (x != client->x || y != client->y)) {
		input_move(input, x - client->x, y - client->y);
	}
	client->has_pointed = true;
	client->x = x;
	client->y = y;
}

static void take_pointer(int buttons, int x, int y, rfbClientPtr rfb)
{
	static const struct {
		uint16_t code;
		int8_t vertical, horizontal;
	} meanings[8] = {
		{.code = BTN_LEFT},
		{.code = BTN_MIDDLE},
		{.code = BTN_RIGHT},
		{.vertical = 1},
		{.vertical = -1},
		{.horizontal = -1},
		{.horizontal = 1},
		{.code = BTN_SIDE},
	};
	struct vnc_client *client = rfb->screen->screenData;
	int changed = buttons ^ client->buttons;

	if (!client->vnc->input || !client->picture_width)
		return;
	point(client, x, y);
	client->buttons = buttons;
	for (unsigned i = 0; i < ARRAY_SIZE(meanings); i++) {
		bool down = buttons & 1 << i;

		if (!(changed & 1 << i))
			continue;
		if (meanings[i].code)
			press(client, meanings[i].code, down);
		else if (down)
			input_wheel(client->vnc->input, meanings[i].vertical * INPUT_NOTCH,
				meanings[i].horizontal * INPUT_NOTCH);
	}
	display_expect_change(client->vnc->display);
}

/* ---- Lamps ---- */

static int get_lamps(rfbScreenInfoPtr screen)
{
	struct vnc_client *client = screen->screenData;
	unsigned leds = client->vnc->input ? input_leds(client->vnc->input) : 0;

	return (leds & 1 << LED_CAPSL ? rfbKeyboardMaskCapsLock : 0) |
		(leds & 1 << LED_NUML ? rfbKeyboardMaskNumLock : 0) |
		(leds & 1 << LED_SCROLLL ? rfbKeyboardMaskScrollLock : 0);
}

/* An update of one rectangle without a place: it only tells something. */
static void send_note(struct vnc_client *client, int32_t encoding, const void *rest, size_t len)
{
	uint8_t update[4 + 12 + 1] = {rfbFramebufferUpdate, 0, 0, 1};
	uint32_t number = htonl((uint32_t)encoding);

	ASSERT(len <= 1);
	memcpy(update + 12, &number, sizeof(number));
	if (len)
		memcpy(update + 16, rest, len);
	if (client->lib->write_exact(client->rfb, (char *)update, (int)(16 + len)) < 0)
		client->lib->close_client(client->rfb);
}

void vnc_touch_send_lamps(struct vnc_client *client)
{
	unsigned leds;
	uint8_t lamps;

	if (!client->wants_lamps || !client->vnc->input)
		return;
	leds = input_leds(client->vnc->input);
	lamps = (uint8_t)((leds & 1 << LED_SCROLLL ? 1 : 0) | (leds & 1 << LED_NUML ? 2 : 0) |
		(leds & 1 << LED_CAPSL ? 4 : 0));
	if (lamps == client->sent_lamps)
		return;
	client->sent_lamps = lamps;
	send_note(client, ENCODING_LAMPS, &lamps, 1);
}

/* ---- What the library calls ---- */

static rfbBool is_for_all(rfbClientPtr rfb, void **data)
{
	(void)rfb;
	(void)data;
	return TRUE;
}

static rfbBool take_encoding(rfbClientPtr rfb, void **data, int encoding)
{
	struct vnc_client *client = rfb->screen->screenData;

	(void)data;
	if (encoding == ENCODING_KEY_PLACES)
		send_note(client, encoding, NULL, 0);
	else if (encoding == ENCODING_LAMPS)
		client->wants_lamps = true;
	return encoding == ENCODING_KEY_PLACES || encoding == ENCODING_LAMPS;
}

void vnc_touch_register(const struct vnc_lib *lib)
{
	static int encodings[] = {ENCODING_KEY_PLACES, ENCODING_LAMPS, 0};
	static rfbProtocolExtension extension = {
		.newClient = is_for_all,
		.pseudoEncodings = encodings,
		.enablePseudoEncoding = take_encoding,
		.handleMessage = take_message,
	};

	lib->register_extension(&extension);
}

void vnc_touch_init(struct vnc_client *client)
{
	client->screen->kbdAddEvent = take_symbol;
	client->screen->ptrAddEvent = take_pointer;
	client->screen->getKeyboardLedStateHook = get_lamps;
	/* Else motion waits for the next update. */
	client->screen->deferPtrUpdateTime = 0;
}

void vnc_touch_begin(struct vnc_client *client)
{
	memset(client->is_down, 0, sizeof(client->is_down));
	client->buttons = 0;
	client->has_pointed = client->wants_lamps = false;
	client->sent_lamps = -1;
	client->lamps_until_ns = 0;
}

void vnc_touch_end(struct vnc_client *client)
{
	for (unsigned code = 0; code < KEY_CNT; code++)
		if (client->is_down[code])
			press(client, code, false);
}
