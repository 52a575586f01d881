/*
 * What the files of the VNC display share: display_vnc.c listens and lets people in, a
 * display_vnc_client.c serves one of them, display_vnc_touch.c takes his keys and pointer.
 */
#pragma once

#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "devices/backend/display_vnc.h"
#include "devices/backend/display_vnc_lib.h"
#include "vmm/base/util.h"

struct vnc_client {
	struct display_vnc *vnc;
	const struct vnc_lib *lib;

	/* Of display_vnc.c, on the loop's thread. */
	pthread_t thread;
	bool has_thread;
	_Atomic bool is_served; /* cleared by the thread as its last act */

	pthread_mutex_t lock; /* guards sock */
	int sock;	      /* -1: nobody; the library has a duplicate of it */
	int wake_fd;

	/* The thread's own from here on. */
	rfbScreenInfoPtr screen; /* made once; a client's is never another's */
	rfbClientPtr rfb;
	char name[96];
	uint64_t since_ns;

	struct display_viewer viewer;
	bool is_viewing, was_woken;
	uint64_t looked_ns, lamps_until_ns;
	uint32_t picture_width, picture_height; /* of the guest's screen */
	uint32_t *pixels;			/* the client's: of the screen's width and height */

	bool is_down[KEY_CNT];
	int buttons, x, y;
	bool has_pointed;
	bool wants_lamps;
	int sent_lamps; /* -1: none */
};

struct display_vnc {
	const struct vnc_lib *lib;
	struct display *display;
	struct input *input; /* may be NULL */
	char password[VNC_PASSWORD_BYTES + 1];
	void *password_data; /* not NULL: the library asks for one */

	_Atomic unsigned failures; /* wrong passwords since the last right one */
	_Atomic uint64_t closed_until_ns;
	_Atomic uint64_t connections, refused, looks, frames, pixels;
	struct vnc_client clients[VNC_CLIENTS_MAX];
};

/* Prepares the place of a client. Error: -errno. */
int vnc_client_init(struct vnc_client *client, struct display_vnc *vnc);
void vnc_client_finish(struct vnc_client *client);

/* Serves `client->sock` to its end, and closes it. On a thread of its own. */
void vnc_client_serve(struct vnc_client *client);

/* Ends that soon. Any thread. */
void vnc_client_hang_up(struct vnc_client *client);

/* ---- display_vnc_touch.c: on the client's thread ---- */

/* The library's hooks for keys, pointer, lamps, and for keys by scan code. Once in a process. */
void vnc_touch_register(const struct vnc_lib *lib);
void vnc_touch_init(struct vnc_client *client);

/* A new client: nothing is down. */
void vnc_touch_begin(struct vnc_client *client);

/* He is gone: what he held down goes up. */
void vnc_touch_end(struct vnc_client *client);

/* Tells him of lamps that are new. */
void vnc_touch_send_lamps(struct vnc_client *client);
