/*
 * What a person at the window, or at a VNC viewer, asks of the machine; and vmm screenshot. See
 * vm_impl.h; the loop's thread.
 */
#include "vmm/vm_impl.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/backend/display_sdl.h"
#include "vmm/base/log.h"

/* ---- Requests from the screen ---- */

static void turn_pause(struct vm *vm)
{
	if (!vm_resume(vm))
		vm_pause(vm);
}

static void restart(struct vm *vm)
{
	/* One that stands still is woken first: it is then stopped as any other. */
	vm_resume(vm);
	log_info("reset, as was asked for at the screen");
	vm_restart(vm);
}

void vm_handle_display(void *opaque, enum display_request request)
{
	struct vm *vm = opaque;

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return;
	switch (request) {
	case DISPLAY_REQUEST_POWEROFF:
		/* No time limit: the guest may ask its user what to do with unsaved work. */
		vm->last_signal = SIGTERM;
		if (vm_press_power_button(vm))
			log_info("its window was closed: pressed the guest's power button");
		break;
	case DISPLAY_REQUEST_QUIT:
		log_info("ended by closing the window again");
		vm_end(vm, EXIT_CODE_OK);
		break;
	case DISPLAY_REQUEST_PAUSE:
		turn_pause(vm);
		break;
	case DISPLAY_REQUEST_RESET:
		restart(vm);
		break;
	}
}

void vm_command_screen(struct control_call *call, void *opaque)
{
	const struct vm *vm = opaque;
	struct err err = ERR_INIT;
	unsigned width, height;

	if (!vm->machine.display)
		control_fail(call, "the machine has no screen");
	else if (config_read_screen_size(call->words[0], &width, &height, &err) < 0)
		control_fail(call, "%s", err.text);
	else
		display_request_size(vm->machine.display, width, height);
}

static void print_vnc(struct control_call *call, const struct display_vnc *vnc)
{
	struct display_vnc_stats stats = display_vnc_stats(vnc);

	control_print(call, "vnc_clients=%u\nvnc_looks=%llu\nvnc_frames=%llu\nvnc_bytes=%llu\n",
		stats.clients, (unsigned long long)stats.looks, (unsigned long long)stats.frames,
		(unsigned long long)stats.pixels * DISPLAY_PIXEL_BYTES);
}

void vm_print_window(struct control_call *call, const struct machine *machine)
{
	struct display_sdl_stats stats;

	if (machine->vnc)
		print_vnc(call, machine->vnc);
	if (!machine->window)
		return;
	stats = display_sdl_stats(machine->window);
	control_print(call, "window=%s\nwindow_looks=%llu\nwindow_frames=%llu\nwindow_bytes=%llu\n",
		stats.is_lost ? "lost" : "open", (unsigned long long)stats.looks,
		(unsigned long long)stats.frames, (unsigned long long)stats.bytes);
}

/* ---- A picture ---- */

/* The pixels as a file without a name: rows of `width`, nothing between; or -errno. */
static int store_pixels(const struct display_image *image)
{
	size_t bytes = (size_t)image->width * image->height * DISPLAY_PIXEL_BYTES;
	int fd = memfd_create("screenshot", MFD_CLOEXEC);
	int64_t n;

	if (fd < 0)
		return -errno;
	n = util_pwrite_full(fd, image->xrgb, bytes, 0);
	if (n == (int64_t)bytes)
		return fd;
	close(fd);
	return n < 0 ? (int)n : -ENOSPC;
}

/*
 * Packing a picture takes a while, and the guest's devices wait for this thread: so the pixels go
 * to the client as they are.
 */
void vm_command_screenshot(struct control_call *call, void *opaque)
{
	struct vm *vm = opaque;
	struct display_image image;
	int ret;

	if (!vm->machine.display) {
		control_fail(call,
			"the machine has no screen; it was started without --display (none, for a "
			"screen that nobody looks at)");
		return;
	}
	ret = display_copy_image(vm->machine.display, &image);
	if (ret == -ENODATA) {
		control_fail(call, "there is no picture on the screen now");
		return;
	}
	if (ret >= 0) {
		ret = store_pixels(&image);
		display_image_finish(&image);
	}
	if (ret < 0) {
		control_fail(call, "the picture can't be copied: %s", strerror(-ret));
		return;
	}
	control_attach(call, ret);
	control_print(call, "width=%u\nheight=%u\n", image.width, image.height);
}
