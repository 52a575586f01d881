/*
 * See display_sdl_impl.h. What people do in the window: it goes to the guest by way of the input
 * hub, but for the host's own keys (Ctrl+Alt and one more), and for the window's close button.
 */
#include "devices/backend/display_sdl_impl.h"

#include <errno.h>
#include <linux/input-event-codes.h>

/* For what has to be done twice. */
#define TWICE_NS UINT64_C(3000000000)

/* True for the second one in that time, which ends the matter. */
static bool is_second(uint64_t *until_ns)
{
	const uint64_t now_ns = util_now_ns();
	const bool second = *until_ns && now_ns < *until_ns;

	*until_ns = second ? 0 : now_ns + TWICE_NS;
	return second;
}

/* ---- The host's keys ---- */

static void reset(struct display_sdl *self)
{
	if (is_second(&self->reset_ns)) {
		display_sdl_note(self, "Reset");
		display_request(self->display, DISPLAY_REQUEST_RESET);
	} else {
		display_sdl_note(self,
			"Once more within 3 seconds resets the machine,\n"
			"and what the guest has not saved is lost");
	}
}

static void pause_or_go_on(struct display_sdl *self)
{
	display_sdl_note(self,
		self->is_paused ? "The machine goes on"
				: "Paused: Ctrl+Alt+2 lets the machine go on");
	display_request(self->display, DISPLAY_REQUEST_PAUSE);
}

static void press_ctrl_alt_del(struct display_sdl *self)
{
	if (self->input)
		input_press_ctrl_alt_del(self->input);
	display_expect_change(self->display);
	display_sdl_note(self, "Ctrl-Alt-Del was sent to the guest");
}

static void act(struct display_sdl *self, enum display_sdl_action action)
{
	switch (action) {
	case DISPLAY_SDL_FULL_SCREEN:
		display_sdl_set_full_screen(self, !self->is_full_screen);
		break;
	case DISPLAY_SDL_SCREENSHOT:
		display_sdl_save_picture(self);
		break;
	case DISPLAY_SDL_PAUSE:
		pause_or_go_on(self);
		break;
	case DISPLAY_SDL_RESET:
		reset(self);
		break;
	case DISPLAY_SDL_CTRL_ALT_DEL:
		press_ctrl_alt_del(self);
		break;
	case DISPLAY_SDL_SMOOTH:
		display_sdl_set_smooth(self, !self->is_smooth);
		break;
	case DISPLAY_SDL_ZOOM_IN:
		display_sdl_set_zoom(self, self->zoom + 1);
		break;
	case DISPLAY_SDL_ZOOM_OUT:
		display_sdl_set_zoom(self, self->zoom - 1);
		break;
	case DISPLAY_SDL_ZOOM_ONE:
		display_sdl_set_zoom(self, 1);
		break;
	case DISPLAY_SDL_HELP:
		self->overlay.shows_help = !self->overlay.shows_help;
		display_sdl_show_help(self);
		break;
	case DISPLAY_SDL_NOTHING:
		break;
	}
}

void display_sdl_show_help(struct display_sdl *self)
{
	struct display_overlay *overlay = &self->overlay;
	const struct display_sdl_host_key *key = display_sdl_host_keys;
	const unsigned leds = self->input ? input_leds(self->input) : 0;

	self->all_dirty = true;
	if (!overlay->shows_help)
		return;
	display_overlay_clear_help(overlay, "Keys of this window, with Ctrl and Alt held");
	for (; key->action; key++)
		display_overlay_add_help(overlay, key->name, "%s", key->text);
	display_overlay_add_help(overlay, "", "%s", "");
	display_overlay_add_help(overlay, "", "%s",
		"Ctrl+Alt alone gives the pointer back. All other keys are the guest's.");
	display_overlay_add_help(overlay, "", "%s",
		"Closing the window asks the guest to power off; twice ends it.");
	display_overlay_add_help(overlay, "", "Guest's lamps:  %s Num   %s Caps   %s Scroll",
		leds & 1u << LED_NUML ? "[*]" : "[ ]", leds & 1u << LED_CAPSL ? "[*]" : "[ ]",
		leds & 1u << LED_SCROLLL ? "[*]" : "[ ]");
}

/* ---- Keys ---- */

static bool is_ctrl(SDL_Scancode scancode)
{
	return scancode == SDL_SCANCODE_LCTRL || scancode == SDL_SCANCODE_RCTRL;
}

/* The right Alt writes characters on many keyboards, and is the guest's in any case. */
static bool is_alt(SDL_Scancode scancode)
{
	return scancode == SDL_SCANCODE_LALT;
}

static bool holds_host_keys(const struct display_sdl *self)
{
	return (self->ctrl[0] || self->ctrl[1]) && self->alt;
}

/* Ctrl and Alt pressed, and let go of with nothing else in between, give the pointer back. */
static void follow_chord(struct display_sdl *self, SDL_Scancode scancode, bool down)
{
	if (scancode == SDL_SCANCODE_LCTRL)
		self->ctrl[0] = down;
	else if (scancode == SDL_SCANCODE_RCTRL)
		self->ctrl[1] = down;
	else if (is_alt(scancode))
		self->alt = down;
	if (down) {
		self->is_chord = (is_ctrl(scancode) || is_alt(scancode)) && holds_host_keys(self);
	} else if (self->is_chord && (is_ctrl(scancode) || is_alt(scancode))) {
		self->is_chord = false;
		display_sdl_set_grab(self, false);
	}
}

static void release_all(struct display_sdl *self)
{
	if (self->input)
		input_release_all(self->input);
}

static void handle_key(struct display_sdl *self, const SDL_KeyboardEvent *event)
{
	const SDL_Scancode scancode = event->keysym.scancode;
	const bool down = event->state == SDL_PRESSED;
	const unsigned code = display_sdl_key(scancode);
	enum display_sdl_action action = DISPLAY_SDL_NOTHING;

	if (event->repeat)
		return;
	if (down && holds_host_keys(self))
		action = display_sdl_find_action(scancode, event->keysym.sym);
	follow_chord(self, scancode, down);
	if (action) {
		/* The guest knows nothing of the third key, and is not to act on the two. */
		release_all(self);
		act(self, action);
		return;
	}
	if (!code || !self->input)
		return;
	input_key(self->input, code, down);
	if (down)
		display_expect_change(self->display);
}

/* ---- The pointer ---- */

static bool takes_positions(const struct display_sdl *self)
{
	return self->input && input_takes_positions(self->input);
}

static void point(struct display_sdl *self, int x, int y)
{
	int32_t picture_x, picture_y;

	if (!takes_positions(self) || !self->guest_width)
		return;
	display_sdl_map(self, x, y, &picture_x, &picture_y);
	input_point(self->input, picture_x, picture_y, self->guest_width, self->guest_height);
}

static void handle_motion(struct display_sdl *self, const SDL_MouseMotionEvent *event)
{
	if (self->is_grabbed)
		input_move(self->input, event->xrel, event->yrel);
	else
		point(self, event->x, event->y);
}

static void handle_button(struct display_sdl *self, const SDL_MouseButtonEvent *event)
{
	const bool down = event->state == SDL_PRESSED;
	const unsigned code = display_sdl_button(event->button);

	if (!self->input || !code)
		return;
	self->is_chord = false;
	/* But what goes up does so for the guest too: it may have gone down before the pointer left. */
	if (down && !takes_positions(self) && !self->is_grabbed) {
		/* This click is for the window. */
		if (self->guest_width)
			display_sdl_set_grab(self, true);
		return;
	}
	if (!self->is_grabbed)
		point(self, event->x, event->y);
	input_key(self->input, code, down);
	if (down)
		display_expect_change(self->display);
}

/* Whole steps of the guest's unit; what is less is kept for the next time. */
static int32_t take_steps(float *rest, float notches)
{
	int32_t steps;

	/* So many at once nobody turns; and no other number is one, either. */
	if (!(notches > -100 && notches < 100))
		return 0;
	*rest += notches * INPUT_NOTCH;
	steps = (int32_t)*rest;
	*rest -= (float)steps;
	return steps;
}

static void handle_wheel(struct display_sdl *self, const SDL_MouseWheelEvent *event)
{
	int32_t vertical, horizontal;

	/* Which device turns the wheel is the guest's matter; not so whether it listens at all. */
	if (!self->input || (!takes_positions(self) && !self->is_grabbed))
		return;
	vertical = take_steps(&self->wheel_rest[0], event->preciseY);
	horizontal = take_steps(&self->wheel_rest[1], event->preciseX);
	if (!vertical && !horizontal)
		return;
	input_wheel(self->input, vertical, horizontal);
	display_expect_change(self->display);
}

void display_sdl_handle_input_change(struct display_sdl *self)
{
	if (takes_positions(self))
		display_sdl_set_grab(self, false);
	display_sdl_show_cursor(self);
	if (self->overlay.shows_help)
		display_sdl_show_help(self);
}

/* ---- The window ---- */

static void handle_close(struct display_sdl *self)
{
	if (is_second(&self->close_ns)) {
		display_request(self->display, DISPLAY_REQUEST_QUIT);
		return;
	}
	display_sdl_note(self,
		"The guest was asked to power off.\n"
		"Closing the window again within 3 seconds ends it at once.");
	display_request(self->display, DISPLAY_REQUEST_POWEROFF);
}

static void lose_focus(struct display_sdl *self)
{
	self->ctrl[0] = self->ctrl[1] = self->alt = self->is_chord = false;
	release_all(self);
	display_sdl_set_grab(self, false);
}

static void handle_window(struct display_sdl *self, const SDL_WindowEvent *event)
{
	switch (event->event) {
	case SDL_WINDOWEVENT_CLOSE:
		handle_close(self);
		break;
	case SDL_WINDOWEVENT_SIZE_CHANGED:
		display_sdl_handle_size(self);
		break;
	case SDL_WINDOWEVENT_HIDDEN:
	case SDL_WINDOWEVENT_MINIMIZED:
		display_sdl_set_visible(self, false);
		break;
	case SDL_WINDOWEVENT_SHOWN:
	case SDL_WINDOWEVENT_RESTORED:
	case SDL_WINDOWEVENT_MAXIMIZED:
		display_sdl_set_visible(self, true);
		break;
	case SDL_WINDOWEVENT_EXPOSED:
		display_sdl_set_visible(self, true);
		self->all_dirty = true;
		break;
	case SDL_WINDOWEVENT_FOCUS_LOST:
		lose_focus(self);
		break;
	default:
		break;
	}
}

void display_sdl_handle_event(struct display_sdl *self, const SDL_Event *event)
{
	switch (event->type) {
	case SDL_KEYDOWN:
	case SDL_KEYUP:
		handle_key(self, &event->key);
		break;
	case SDL_MOUSEMOTION:
		handle_motion(self, &event->motion);
		break;
	case SDL_MOUSEBUTTONDOWN:
	case SDL_MOUSEBUTTONUP:
		handle_button(self, &event->button);
		break;
	case SDL_MOUSEWHEEL:
		handle_wheel(self, &event->wheel);
		break;
	case SDL_WINDOWEVENT:
		handle_window(self, &event->window);
		break;
	default:
		break;
	}
}
