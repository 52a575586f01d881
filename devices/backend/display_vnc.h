/*
 * A display over the network: VNC by libvncserver, loaded only when it is asked for. RFC 6143.
 *
 * People come and go, up to VNC_CLIENTS_MAX at once; all see the same picture and may use keyboard
 * and pointer. With nobody there nothing is looked at and nothing runs. Each has a thread of his
 * own: one who is slow, reads no more or sends nonsense delays neither the guest nor the others,
 * and is cut off after a time.
 *
 * Without a password only a UNIX socket (mode 0600) or an address of this host itself will do. The
 * password of RFC 6143 §7.2.2 has 8 characters that count, and nothing is encrypted: it keeps out
 * who came by chance, not who listens to the wire. Across a network: ssh -L.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/backend/display.h"
#include "devices/backend/input.h"
#include "devices/backend/listen_address.h"
#include "vmm/base/err.h"
#include "vmm/core/loop.h"

struct display_vnc;

/* Debian's name of the library, for sentences. */
#define DISPLAY_VNC_PACKAGE "libvncserver1"

enum {
	VNC_CLIENTS_MAX = 8,
	VNC_PASSWORD_BYTES = 8,
};

struct display_vnc_config {
	struct listen_address address;
	const char *password_file; /* its first line is the password; NULL: none is asked for */
};

/*
 * Listens. `display`, `input` (NULL: nobody listens to keys) and `loop` are borrowed until
 * display_vnc_stop(). On the loop's thread. Error: -errno and a sentence, EXIT_CODE_DEVICE.
 */
int display_vnc_start(struct display_vnc **vnc, struct display *display, struct input *input,
	struct loop *loop, const struct display_vnc_config *config, struct err *err);

/* Hangs up on all. On the loop's thread; NULL is legal. */
void display_vnc_stop(struct display_vnc *vnc);

struct display_vnc_stats {
	unsigned clients;     /* now */
	uint64_t connections; /* that were let in, ever */
	uint64_t refused;     /* too many, or wrong passwords */
	uint64_t looks;	      /* at the display */
	uint64_t frames;      /* in which something was new */
	uint64_t pixels;      /* of it that had changed, 4 bytes each */
};

/* Any thread. */
struct display_vnc_stats display_vnc_stats(const struct display_vnc *vnc);
