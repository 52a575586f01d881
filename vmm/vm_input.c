/*
 * vmm key and vmm pointer, the machine's side: see vm_impl.h; the loop's thread.
 *
 *	key                how many keys' events wait for the guest to take them: "waiting=N"
 *	key CHORD...       each is pressed and released
 *	pointer            the same of the pointer's
 *	pointer WORD...    X,Y (a place on the screen), by=DX,DY, a button to click, a wheel's notch
 *
 * A command is done whole or not at all: what it says is understood, and there is room.
 */
#include <stdio.h>
#include <string.h>

#include <linux/input-event-codes.h>

#include "vmm/key_names.h"
#include "vmm/vm_impl.h"

enum {
	PLACE_MAX = 65535,
	POINTER_KINDS = INPUT_POSITION | INPUT_MOTION,
};

static struct input *find_input(struct control_call *call, const struct vm *vm)
{
	if (!vm->machine.input)
		control_fail(call,
			"the machine has no screen, and so no keyboard: start it with --display");
	return vm->machine.input;
}

/* Events that the call makes for certain. */
static bool has_room(
	struct control_call *call, const struct input *input, unsigned kinds, unsigned events)
{
	if (input_waiting(input, kinds) + events <= INPUT_RING / 2)
		return true;
	control_fail(call, "the guest has not taken what was typed before");
	return false;
}

/* ---- Keys ---- */

static void press_chord(struct input *input, const unsigned *codes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		input_key(input, codes[i], true);
	while (count--)
		input_key(input, codes[count], false);
}

void vm_command_key(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct input *input = find_input(call, vm);
	unsigned codes[CONTROL_WORDS_MAX][KEY_CHORD_MAX], counts[CONTROL_WORDS_MAX], events = 0;
	const char *bad;
	size_t bad_len;

	if (!input)
		return;
	for (unsigned i = 0; i < call->word_count; i++) {
		counts[i] = key_parse_chord(call->words[i], codes[i], &bad, &bad_len);
		events += 2 * counts[i];
		if (!counts[i]) {
			control_fail(
				call, "there is no key '%.*s'", (int)MIN(bad_len, (size_t)60), bad);
			return;
		}
	}
	if (!call->word_count)
		control_print(call, "waiting=%u\n", input_waiting(input, INPUT_KEYBOARD));
	else if (has_room(call, input, INPUT_KEYBOARD, events))
		for (unsigned i = 0; i < call->word_count; i++)
			press_chord(input, codes[i], counts[i]);
}

/* ---- The pointer ---- */

enum pointer_kind {
	POINTER_PLACE,
	POINTER_STEP,
	POINTER_CLICK,
	POINTER_WHEEL,
};

struct pointer_act {
	enum pointer_kind kind;
	unsigned button;
	int x, y; /* also notches: right and up */
};

static const struct {
	const char *name;
	int x, y;
} wheels[] = {
	{"wheel-up", 0, 1},
	{"wheel-down", 0, -1},
	{"wheel-left", -1, 0},
	{"wheel-right", 1, 0},
};

static bool parse_act(const char *word, struct pointer_act *act)
{
	char rest;

	act->button = key_find_button(word);
	act->kind = POINTER_CLICK;
	if (act->button)
		return true;
	act->kind = POINTER_WHEEL;
	for (size_t i = 0; i < ARRAY_SIZE(wheels); i++)
		if (!strcmp(word, wheels[i].name)) {
			act->x = wheels[i].x;
			act->y = wheels[i].y;
			return true;
		}
	act->kind = strncmp(word, "by=", 3) ? POINTER_PLACE : POINTER_STEP;
	if (act->kind == POINTER_STEP)
		word += 3;
	/* No more digits than an int holds. */
	return strlen(word) <= 13 && sscanf(word, "%6d,%6d%c", &act->x, &act->y, &rest) == 2 &&
		act->x >= -PLACE_MAX && act->x <= PLACE_MAX && act->y >= -PLACE_MAX &&
		act->y <= PLACE_MAX;
}

/* The screen as it is now, or as it was asked for while it shows nothing. */
static void find_size(const struct vm *vm, uint32_t *width, uint32_t *height)
{
	*width = vm->config->display.width;
	*height = vm->config->display.height;
	display_find_size(vm->machine.display, width, height);
}

static void run_act(const struct vm *vm, const struct pointer_act *act)
{
	struct input *input = vm->machine.input;
	uint32_t width, height;

	switch (act->kind) {
	case POINTER_PLACE:
		find_size(vm, &width, &height);
		input_point(input, act->x, act->y, width, height);
		break;
	case POINTER_STEP:
		input_move(input, act->x, act->y);
		break;
	case POINTER_CLICK:
		input_key(input, act->button, true);
		input_key(input, act->button, false);
		break;
	case POINTER_WHEEL:
		input_wheel(input, act->y * INPUT_NOTCH, act->x * INPUT_NOTCH);
		break;
	}
}

void vm_command_pointer(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct pointer_act acts[CONTROL_WORDS_MAX];
	struct input *input = find_input(call, vm);

	if (!input)
		return;
	for (unsigned i = 0; i < call->word_count; i++) {
		if (!parse_act(call->words[i], &acts[i])) {
			control_fail(call, "a pointer can't do '%.60s'", call->words[i]);
			return;
		}
		if (acts[i].kind == POINTER_PLACE && !input_takes_positions(input)) {
			control_fail(call,
				"the guest takes no places on the screen, for it has no driver for "
				"a tablet: move by=DX,DY");
			return;
		}
	}
	if (!call->word_count)
		control_print(call, "waiting=%u\n", input_waiting(input, POINTER_KINDS));
	else if (has_room(call, input, POINTER_KINDS, 2 * call->word_count))
		for (unsigned i = 0; i < call->word_count; i++)
			run_act(vm, &acts[i]);
}

/* ---- Status ---- */

void vm_print_input(struct control_call *call, const struct machine *machine)
{
	unsigned leds;

	if (!machine->input)
		return;
	leds = input_leds(machine->input);
	control_print(call, "input_leds=%s%s%s\npointer=%s\ninput_dropped=%llu\n",
		leds & 1 << LED_NUML ? "num " : "", leds & 1 << LED_CAPSL ? "caps " : "",
		leds & 1 << LED_SCROLLL ? "scroll " : "",
		input_takes_positions(machine->input) ? "places" : "movements",
		(unsigned long long)input_dropped(machine->input));
}
