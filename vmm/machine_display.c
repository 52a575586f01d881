/*
 * See machine_display.h.
 */
#include "vmm/machine_display.h"

#include <errno.h>
#include <string.h>

#include "devices/backend/display_sdl.h"
#include "vmm/base/log.h"

int machine_display_open(struct machine *machine, struct err *err)
{
	int ret;

	if (!machine->config->display.has_screen)
		return 0;
	ret = display_create(&machine->display, machine->loop, err);
	return ret < 0 ? ret : input_create(&machine->input, machine->loop, err);
}

static int start_window(struct machine *machine, struct err *err)
{
	const struct display_sdl_config config = {
		.smooth = machine->config->display.smooth,
		.full_screen = machine->config->display.full_screen,
	};
	struct err trouble = ERR_INIT;
	int ret = display_sdl_start(
		&machine->window, machine->display, machine->input, &config, &trouble);

	if (ret >= 0 || !machine->config->display.window_is_default) {
		if (ret < 0)
			*err = trouble;
		return ret;
	}
	log_debug("there is no window: %s", trouble.text);
	machine_display_close(machine);
	return 0;
}

static int start_vnc(struct machine *machine, struct err *err)
{
	const struct display_vnc_config config = {
		.address = machine->config->display.vnc_address,
		.password_file = machine->config->display.password_file,
	};

	return display_vnc_start(
		&machine->vnc, machine->display, machine->input, machine->loop, &config, err);
}

int machine_display_start(struct machine *machine, struct err *err)
{
	const struct display_config *config = &machine->config->display;
	int ret = 0;

	if (!machine->display)
		return 0;
	display_set_name(machine->display, machine->config->name);
	if (config->vnc)
		ret = start_vnc(machine, err);
	if (ret >= 0 && config->has_window)
		ret = start_window(machine, err);
	return ret;
}

void machine_display_stop(struct machine *machine)
{
	display_sdl_stop(machine->window);
	machine->window = NULL;
	display_vnc_stop(machine->vnc);
	machine->vnc = NULL;
}

void machine_display_close(struct machine *machine)
{
	input_destroy(machine->input);
	display_destroy(machine->display);
	machine->input = NULL;
	machine->display = NULL;
}

bool machine_display_has(
	const struct machine *machine, const struct device_class *class, unsigned *count)
{
	static const char *const names[] = {"framebuffer", "virtio-gpu", "virtio-keyboard"};

	if (!strcmp(class->name, "virtio-tablet")) {
		*count = machine->display && !machine->config->display.has_mouse;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(class->name, names[i])) {
			*count = machine->display ? 1 : 0;
			return true;
		}
	}
	return false;
}
