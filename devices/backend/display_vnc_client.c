/*
 * One client of the VNC display: see display_vnc_impl.h.
 *
 * The library serves many clients in one thread, or by two threads for each, and in both ways one
 * that does not read holds up others. So here each has a thread, a screen of the library, a copy of
 * the picture and a viewer of the display to himself: who is slow only collects damage there, and
 * gets it all at once when he has room.
 *
 * The library takes web sockets and TLS on the same port, before anybody is known. It is handed a
 * harmless socket at first, and gets the client's when that stage is over.
 *
 * What a client can do               limit                              enforced in     test
 * read no more, stop in a message    STALL_MS, then he is cut off       the library     stalled_...
 * never finish his greeting          GREETING_NS                        deadline        greeting_...
 * let the library scale the picture  he is cut off                      check_client    garbage_...
 * ask for updates without end        a look at the display each frame   next_look       -
 * ask for a size                     within DISPLAY_..._MIN and _MAX    take_size       size_...
 * guess passwords                    ten seconds' pause after five      check_password  password_...
 *
 * Threads: the client's; the display's callback comes on any.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/display_changes.h"
#include "devices/backend/display_vnc_impl.h"
#include "devices/backend/listen_address.h"
#include "vmm/base/log.h"

enum {
	STALL_MS = 10000,
	FAILURES_MAX = 5,
	/* Of ExtendedDesktopSize: asked of somebody else, and may come later. */
	SIZE_FORWARDED = 4,
	VERSION_BYTES = 12, /* "RFB 003.008\n" */
	SEND_BYTES = 32768, /* on a UNIX socket; small beside what may be asked for later */
};

#define GREETING_NS    UINT64_C(10000000000)
#define CLOSED_NS      UINT64_C(10000000000)
#define LAMPS_POLL_NS  UINT64_C(50000000)
#define CLOSED_FROM(c) ((c)->rfb->sock < 0)

/* ---- The client's copy of the picture ---- */

/* XRGB, as it comes from the display: the library's own choice has red lowest. */
static void set_format(struct vnc_client *client)
{
	rfbPixelFormat *format = &client->screen->serverFormat;

	format->redShift = 16;
	format->greenShift = 8;
	format->blueShift = 0;
	format->depth = 24;
	if (client->rfb && client->rfb->state == RFB_NORMAL)
		client->screen->setTranslateFunction(client->rfb);
	else if (client->rfb)
		client->rfb->format = *format;
}

/* Without memory he keeps what he has. */
static void resize(struct vnc_client *client, uint32_t width, uint32_t height)
{
	uint32_t *pixels = calloc((size_t)width * height, DISPLAY_PIXEL_BYTES);

	if (!pixels)
		return;
	client->lib->new_framebuffer(
		client->screen, (char *)pixels, (int)width, (int)height, 8, 3, DISPLAY_PIXEL_BYTES);
	set_format(client);
	free(client->pixels);
	client->pixels = pixels;
}

/* Only who knows of new sizes, or was told of none yet, gets one; else the picture is cut. */
static bool can_resize(const struct vnc_client *client)
{
	return client->rfb->state != RFB_NORMAL || client->rfb->useNewFBSize;
}

static void copy_rect(struct vnc_client *client, const struct display_surface *surface,
	const struct display_rect *rect, struct display_changes *changes)
{
	uint32_t columns = (uint32_t)client->screen->width, rows = (uint32_t)client->screen->height;
	struct display_rect inside = *rect;

	columns = MIN(columns, surface->width);
	rows = MIN(rows, surface->height);
	if (rect->x >= columns || rect->y >= rows)
		return;
	inside.width = MIN(rect->width, columns - rect->x);
	inside.height = MIN(rect->height, rows - rect->y);
	display_copy_changes(
		client->pixels, (size_t)client->screen->width, surface, &inside, changes);
}

/* Takes what is new; `changes` is what the library has to be told. */
static void copy_frame(struct vnc_client *client, const struct display_frame *frame,
	struct display_changes *changes)
{
	const struct display_surface *surface = &frame->surface;
	struct display_rect all = {.width = surface->width, .height = surface->height};
	bool is_new = frame->surface_changed;

	changes->count = 0;
	if (!surface->pixels)
		return;
	client->picture_width = surface->width;
	client->picture_height = surface->height;
	if (can_resize(client) &&
		((uint32_t)client->screen->width != surface->width ||
			(uint32_t)client->screen->height != surface->height)) {
		resize(client, surface->width, surface->height);
		is_new = true;
	} else if (is_new) {
		memset(client->pixels, 0,
			(size_t)client->screen->width * (size_t)client->screen->height *
				DISPLAY_PIXEL_BYTES);
	}
	if (!is_new) {
		for (unsigned i = 0; i < frame->damage.count; i++)
			copy_rect(client, surface, &frame->damage.rects[i], changes);
		return;
	}
	copy_rect(client, surface, &all, changes);
	changes->rects[0] = (struct display_rect){.width = (uint32_t)client->screen->width,
		.height = (uint32_t)client->screen->height};
	changes->count = 1;
}

/* ---- The cursor ---- */

/* Its colours are multiplied by their coverage; a client's have a mask of one bit. */
static uint32_t unmultiply(uint32_t argb)
{
	uint32_t alpha = argb >> 24, rgb = 0;

	for (unsigned shift = 0; shift < 24 && alpha; shift += 8)
		rgb |= MIN((argb >> shift & 0xff) * 255 / alpha, 255U) << shift;
	return rgb;
}

/* The library's free() gets these: see rfbFreeCursor(). NULL: no memory, or none is to be seen. */
static rfbCursorPtr make_cursor(const struct display_cursor *cursor)
{
	rfbCursorPtr new;
	size_t row_bytes = (cursor->width + 7) / 8;

	if (!cursor->width || !cursor->height)
		return NULL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return NULL;
	*new = (rfbCursor){.cleanup = TRUE,
		.cleanupSource = TRUE,
		.cleanupMask = TRUE,
		.cleanupRichSource = TRUE,
		.width = (unsigned short)cursor->width,
		.height = (unsigned short)cursor->height,
		.xhot = (unsigned short)MIN(cursor->hot_x, cursor->width - 1),
		.yhot = (unsigned short)MIN(cursor->hot_y, cursor->height - 1),
		.foreRed = 0xffff,
		.foreGreen = 0xffff,
		.foreBlue = 0xffff};
	new->mask = calloc(cursor->height, row_bytes);
	new->richSource = malloc((size_t)cursor->width * cursor->height * DISPLAY_PIXEL_BYTES);
	if (!new->mask || !new->richSource) {
		free(new->mask);
		free(new->richSource);
		free(new);
		return NULL;
	}
	for (uint32_t i = 0; i < cursor->width * cursor->height; i++) {
		uint32_t x = i % cursor->width, y = i / cursor->width;

		store_le32(new->richSource + (size_t)i *DISPLAY_PIXEL_BYTES,
			unmultiply(cursor->argb[i]));
		if (cursor->argb[i] >> 31)
			new->mask[y * row_bytes + x / 8] |= (unsigned char)(0x80 >> x % 8);
	}
	return new;
}

/* ---- Looking ---- */

static void handle_wake(void *opaque)
{
	const struct vnc_client *client = opaque;
	const uint64_t one = 1;

	(void)!write(client->wake_fd, &one, sizeof(one));
}

static void tell_of(struct vnc_client *client, const struct display_rect *rect)
{
	client->lib->mark_rect(client->screen, (int)rect->x, (int)rect->y,
		(int)(rect->x + rect->width), (int)(rect->y + rect->height));
	atomic_fetch_add_explicit(
		&client->vnc->pixels, (uint64_t)rect->width * rect->height, memory_order_relaxed);
}

static void look(struct vnc_client *client)
{
	struct display_vnc *vnc = client->vnc;
	struct display_changes changes;
	struct display_frame frame;
	rfbCursorPtr cursor = NULL;
	bool cursor_changed;
	int cursor_x, cursor_y;

	client->looked_ns = util_now_ns();
	client->was_woken = false;
	atomic_fetch_add_explicit(&vnc->looks, 1, memory_order_relaxed);
	display_begin_frame(&client->viewer, &frame);
	copy_frame(client, &frame, &changes);
	cursor_changed = frame.cursor_changed;
	if (cursor_changed)
		cursor = make_cursor(frame.cursor);
	cursor_x = frame.cursor_x + (int)frame.cursor->hot_x;
	cursor_y = frame.cursor_y + (int)frame.cursor->hot_y;
	if (frame.state_changed)
		snprintf(client->name, sizeof(client->name), "%s - vmm", frame.name);
	display_end_frame(&client->viewer);

	if (cursor_changed)
		client->lib->set_cursor(client->screen, cursor);
	client->screen->cursorX = MAX(0, MIN(cursor_x, client->screen->width - 1));
	client->screen->cursorY = MAX(0, MIN(cursor_y, client->screen->height - 1));
	for (unsigned i = 0; i < changes.count; i++)
		tell_of(client, &changes.rects[i]);
	if (changes.count)
		atomic_fetch_add_explicit(&vnc->frames, 1, memory_order_relaxed);
}

/* Who may see the picture has a viewer of it; nobody else makes anybody look. */
static void begin_viewing(struct vnc_client *client)
{
	client->viewer = (struct display_viewer){.wake = handle_wake, .opaque = client};
	client->is_viewing = true;
	client->was_woken = true;
	display_add_viewer(client->vnc->display, &client->viewer);
	/* The size goes into the library's answer. */
	look(client);
}

static bool wants_picture(const struct vnc_client *client)
{
	return client->is_viewing && client->rfb->state == RFB_NORMAL &&
		!client->lib->region_is_empty(client->rfb->requestedRegion);
}

/* When to look at the display next; UINT64_MAX: not before something happens. */
static uint64_t next_look_ns(const struct vnc_client *client)
{
	uint64_t pause_ns = DISPLAY_FRAME_NS;

	if (!wants_picture(client))
		return UINT64_MAX;
	if (!client->was_woken)
		pause_ns = display_poll_ns(client->vnc->display);
	return pause_ns == UINT64_MAX ? UINT64_MAX : client->looked_ns + pause_ns;
}

static uint64_t next_deadline_ns(const struct vnc_client *client)
{
	uint64_t next_ns = next_look_ns(client), now_ns = util_now_ns();

	if (client->rfb->state != RFB_NORMAL)
		next_ns = MIN(next_ns, client->since_ns + GREETING_NS);
	if (client->wants_lamps && now_ns < client->lamps_until_ns)
		next_ns = MIN(next_ns, now_ns + LAMPS_POLL_NS);
	return next_ns;
}

/* ---- Serving ---- */

/* Until the client or the display has something, or it is time. True: the client has. */
static bool wait(struct vnc_client *client)
{
	uint64_t next_ns = next_deadline_ns(client), now_ns = util_now_ns(), count;
	uint64_t pause_ns = next_ns > now_ns ? next_ns - now_ns : 0;
	struct timespec pause = {.tv_sec = (time_t)(pause_ns / 1000000000),
		.tv_nsec = (long)(pause_ns % 1000000000)};
	struct pollfd fds[] = {
		{.fd = client->rfb->sock, .events = POLLIN},
		{.fd = client->wake_fd, .events = POLLIN},
	};

	if (ppoll(fds, 2, next_ns == UINT64_MAX ? NULL : &pause, NULL) <= 0)
		return false;
	if (fds[1].revents && read(client->wake_fd, &count, sizeof(count)) > 0)
		client->was_woken = true;
	return fds[0].revents;
}

static void check_client(struct vnc_client *client)
{
	const char *why = NULL;

	if (CLOSED_FROM(client))
		return;
	/* The library keeps scaled copies in step badly when the picture's size is a new one. */
	if (client->rfb->scaledScreen != client->screen)
		why = "wants the picture scaled";
	else if (client->rfb->state != RFB_NORMAL && util_now_ns() - client->since_ns > GREETING_NS)
		why = "does not end his greeting";
	if (!why)
		return;
	log_debug("vnc: a client %s: hanging up", why);
	client->lib->close_client(client->rfb);
}

static void serve(struct vnc_client *client)
{
	while (!CLOSED_FROM(client)) {
		if (wait(client)) {
			/* In this state he has shown that he may see it. */
			if (client->rfb->state == RFB_INITIALISATION && !client->is_viewing)
				begin_viewing(client);
			client->lib->process_message(client->rfb);
		}
		check_client(client);
		if (CLOSED_FROM(client) || client->rfb->state != RFB_NORMAL)
			continue;
		if (!client->is_viewing)
			begin_viewing(client);
		if (util_now_ns() >= next_look_ns(client))
			look(client);
		vnc_touch_send_lamps(client);
		if (!CLOSED_FROM(client))
			client->lib->update_client(client->rfb);
	}
}

/* ---- Greeting ---- */

/*
 * The library looks at what a new client sends first, for web sockets: it is shown "RFB ", and its
 * own first words are passed on. Then its descriptor becomes the client's socket.
 */
static bool greet(struct vnc_client *client)
{
	char version[VERSION_BYTES];
	int pair[2];
	bool is_good;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	if (pair[0] >= FD_SETSIZE || write(pair[1], "RFB ", 4) != 4) {
		close(pair[0]);
		close(pair[1]);
		return false;
	}
	client->rfb = client->lib->new_client(client->screen, pair[0]);
	is_good = client->rfb && read(pair[1], version, sizeof(version)) == sizeof(version) &&
		dup3(client->sock, pair[0], O_CLOEXEC) >= 0 &&
		send(client->sock, version, sizeof(version), MSG_NOSIGNAL) == sizeof(version);
	close(pair[1]);
	return is_good;
}

static bool is_local(int sock)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* One that vanishes without a word is found out. */
static void tune_socket(int sock)
{
	const int buffer_bytes = SEND_BYTES;

	if (is_local(sock))
		setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
	else
		listen_address_tune(sock);
}

/* What the library made for scaled pictures it would keep for the next client. */
static void drop_scaled(struct vnc_client *client)
{
	rfbScreenInfoPtr scaled;

	while ((scaled = client->screen->scaledScreenNext)) {
		client->screen->scaledScreenNext = scaled->scaledScreenNext;
		free(scaled->frameBuffer);
		free(scaled);
	}
}

/* The library frees a client, but not its list of extensions. */
static void free_client(struct vnc_client *client)
{
	rfbExtensionData *data;

	while ((data = client->rfb->extensions)) {
		client->rfb->extensions = data->next;
		free(data);
	}
	client->lib->free_client(client->rfb);
	client->rfb = NULL;
}

void vnc_client_serve(struct vnc_client *client)
{
	client->since_ns = util_now_ns();
	client->looked_ns = 0;
	client->picture_width = client->picture_height = 0;
	vnc_touch_begin(client);
	tune_socket(client->sock);
	if (greet(client))
		serve(client);
	if (client->is_viewing)
		display_remove_viewer(&client->viewer);
	client->is_viewing = false;
	vnc_touch_end(client);
	if (client->rfb)
		free_client(client);
	client->lib->set_cursor(client->screen, NULL);
	drop_scaled(client);
	pthread_mutex_lock(&client->lock);
	close(client->sock);
	client->sock = -1;
	pthread_mutex_unlock(&client->lock);
}

/*
 * A thread may wait in the library for room to send. A TCP socket that is shut has room; a UNIX
 * socket has not (the library would look again after five seconds), unless its buffer grows.
 */
void vnc_client_hang_up(struct vnc_client *client)
{
	const int buffer_bytes = INT_MAX / 2;

	pthread_mutex_lock(&client->lock);
	if (client->sock >= 0) {
		shutdown(client->sock, SHUT_RDWR);
		if (is_local(client->sock))
			setsockopt(client->sock, SOL_SOCKET, SO_SNDBUF, &buffer_bytes,
				sizeof(buffer_bytes));
	}
	pthread_mutex_unlock(&client->lock);
}

/* ---- What the library calls ---- */

static rfbBool check_password(rfbClientPtr rfb, const char *response, int len)
{
	const struct vnc_client *client = rfb->screen->screenData;
	struct display_vnc *vnc = client->vnc;
	unsigned char expected[CHALLENGESIZE], differs = 0;

	if (len != CHALLENGESIZE)
		return FALSE;
	memcpy(expected, rfb->authChallenge, sizeof(expected));
	client->lib->encrypt(expected, vnc->password);
	for (size_t i = 0; i < sizeof(expected); i++)
		differs |= (unsigned char)(expected[i] ^ (unsigned char)response[i]);
	if (!differs) {
		atomic_store(&vnc->failures, 0);
		return TRUE;
	}
	atomic_fetch_add_explicit(&vnc->refused, 1, memory_order_relaxed);
	if (atomic_fetch_add(&vnc->failures, 1) + 1 >= FAILURES_MAX) {
		atomic_store(&vnc->closed_until_ns, util_now_ns() + CLOSED_NS);
		atomic_store(&vnc->failures, 0);
		log_warn("vnc: %d wrong passwords: nobody is let in for ten seconds", FAILURES_MAX);
	}
	return FALSE;
}

static int take_size(
	int width, int height, int screens, rfbExtDesktopScreen *layout, rfbClientPtr rfb)
{
	const struct vnc_client *client = rfb->screen->screenData;

	(void)layout;
	if (screens != 1 || width < DISPLAY_WIDTH_MIN || width > DISPLAY_WIDTH_MAX ||
		height < DISPLAY_HEIGHT_MIN || height > DISPLAY_HEIGHT_MAX)
		return rfbExtDesktopSize_InvalidScreenLayout;
	display_request_size(client->vnc->display, (uint32_t)width, (uint32_t)height);
	return SIZE_FORWARDED;
}

/* ---- Life ---- */

int vnc_client_init(struct vnc_client *client, struct display_vnc *vnc)
{
	client->vnc = vnc;
	client->lib = vnc->lib;
	client->sock = -1;
	pthread_mutex_init(&client->lock, NULL);
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->wake_fd < 0)
		return -errno;
	client->pixels =
		calloc((size_t)DISPLAY_WIDTH_DEFAULT * DISPLAY_HEIGHT_DEFAULT, DISPLAY_PIXEL_BYTES);
	/* One for each, and now: the library may make none while another is in use. */
	client->screen = client->lib->get_screen(NULL, NULL, DISPLAY_WIDTH_DEFAULT,
		DISPLAY_HEIGHT_DEFAULT, 8, 3, DISPLAY_PIXEL_BYTES);
	if (!client->pixels || !client->screen)
		return -ENOMEM;
	snprintf(client->name, sizeof(client->name), "vmm");
	client->screen->screenData = client;
	client->screen->frameBuffer = (char *)client->pixels;
	client->screen->desktopName = client->name;
	client->screen->cursor = NULL;
	client->screen->maxClientWait = STALL_MS;
	client->screen->deferUpdateTime = 0;
	client->screen->alwaysShared = TRUE;
	client->screen->authPasswdData = vnc->password_data;
	client->screen->passwordCheck = check_password;
	client->screen->setDesktopSizeHook = take_size;
	set_format(client);
	vnc_touch_init(client);
	return 0;
}

void vnc_client_finish(struct vnc_client *client)
{
	if (!client->vnc)
		return;
	if (client->screen)
		client->lib->cleanup_screen(client->screen);
	if (client->wake_fd >= 0)
		close(client->wake_fd);
	free(client->pixels);
	pthread_mutex_destroy(&client->lock);
}
