/*
 * The machine's screen: the hubs of display.h and input.h, and those who show the one and feed the
 * other: a window, a VNC server. For machine.c only. Without --display nothing of it is made, and
 * the devices of a screen are not there.
 *
 * Threads: the loop's.
 */
#pragma once

#include <stdbool.h>

#include "vmm/machine.h"

/* Makes the hubs, when there is to be a screen. Error: -errno and a sentence. */
int machine_display_open(struct machine *machine, struct err *err);

/*
 * Opens the window and the server. A window that nobody asked for may fail: the machine then has
 * no screen, and what was said of one (the kernel's command line) is to be taken back.
 */
int machine_display_start(struct machine *machine, struct err *err);

/* stop: nobody looks any more; before the devices go. close: after they have gone. */
void machine_display_stop(struct machine *machine);
void machine_display_close(struct machine *machine);

/* True for a class that is there for the screen's sake; *count: how many the machine has. */
bool machine_display_has(
	const struct machine *machine, const struct device_class *class, unsigned *count);
